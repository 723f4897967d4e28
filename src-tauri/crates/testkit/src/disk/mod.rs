//! A fake disk: a whole file system in memory, with a clock, failures, crashes and power cuts, on which the
//! real code for scanning and changing folders runs.

mod fake;
mod journal;
mod machine;
mod tree;

pub use fake::FakeDisk;
pub(crate) use machine::mtime;
pub(crate) use machine::{Armed, Event, State};
pub use machine::{Crash, Flaw, Habits, Machine};
pub(crate) use tree::{Body, Ino, Op, Slot, Tree};
