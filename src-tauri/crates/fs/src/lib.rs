//! Everything that touches user folders: scan, watch, stage, transition, versions, ignore.
//!
//! The crate is synchronous: every call blocks. All of it is generic over [`disk::Disk`], so that a fake disk
//! runs the very same code. [`replica::Replica`] is the door for the layers above.

pub mod appear;
pub mod apply;
pub mod cache;
pub mod chunk;
pub mod crash;
pub mod disk;
pub mod hash;
pub mod index;
pub mod marker;
pub mod matcher;
pub(crate) mod own;
pub mod platform;
pub mod prepare;
pub mod recover;
pub mod replica;
pub mod restore;
pub mod scan;
pub mod stage;
pub mod supply;
pub mod transition;
pub mod versions;
pub mod watch;
