//! What the window may ask for. This list and that of `build.rs` are the whole of the window's powers.

mod desktop;
mod node;
mod paths;

pub(crate) use desktop::*;
pub(crate) use node::*;
pub(crate) use paths::*;
