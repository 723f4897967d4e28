//! Pure synchronisation logic of Evenfold: paths, entries, snapshots, diff, reconcile, safety.
//!
//! Nothing in this crate touches a disk, a network, a clock or a thread: every function is a deterministic
//! function of its arguments, so it can be read, checked exhaustively and simulated.

pub mod apply;
pub mod batch;
pub mod commit;
pub mod conflict;
pub mod delivery;
pub mod diff;
pub mod digest;
pub mod edit;
pub mod entry;
pub mod moves;
#[cfg(test)]
mod notation;
pub mod path;
pub mod patience;
pub mod plan;
pub mod policy;
pub mod reconcile;
pub mod safety;
pub mod scope;
pub mod select;
pub mod settle;
pub mod snapshot;
#[cfg(test)]
mod tests;
pub mod tracking;
pub mod transfer;

pub use digest::Digest;
pub use entry::{Child, Dir, Entry, File, Mode, Mtime, ProblemKind, Symlink};
pub use path::{Name, PathError, RelPath};
pub use plan::{Blocked, Change, Conflict, Plan, Reason};
pub use policy::{ConflictRule, Deletion, Flow, Guard, Policy, Side};
