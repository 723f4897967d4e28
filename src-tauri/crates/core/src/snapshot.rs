//! What a scan found below a root.

use std::sync::Arc;

use crate::entry::{Dir, ProblemKind};
use crate::path::RelPath;

/// The tree of entries that a scan found below a root.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The root directory. Every path that was not looked at completely and without error is
    /// [`crate::Entry::Unknown`] in it; a path that is not in it is absent with proof.
    pub tree: Arc<Dir>,
    /// How many batches have been applied to the root, as its marker says. A root whose epoch is lower than
    /// the epoch that was last seen was rolled back (restored from a backup): the ancestor is void then.
    pub epoch: u64,
    /// One line for each unknown entry, up to [`MAX_PROBLEMS`].
    pub problems: Vec<Problem>,
}

/// The most problems that are described one by one; a tree with more is counted by its totals.
pub const MAX_PROBLEMS: usize = 10_000;

/// An entry that could not be looked at or cannot take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub path: RelPath,
    /// What kind of problem.
    pub kind: ProblemKind,
    /// The operating system's own words, or other evidence.
    pub detail: String,
}

/// How much of a root a scan looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Full,
    /// Everything, and all contents are hashed again, whatever sizes and times say.
    Deep,
    /// These paths, and what is new below them.
    Paths(Vec<RelPath>),
}
