//! Two nodes in one process, where the command line has no words for what is asked, or for what has to be done to them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod deciding;
mod machine;
mod rot;
