//! The options of a relationship that the reconcile obeys.

/// One of the two endpoints of a pair, seen from the spoke that drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The spoke's own folder.
    Ours,
    /// The hub's folder.
    Theirs,
}

impl Side {
    /// Returns the other side.
    pub fn other(self) -> Side {
        match self {
            Side::Ours => Side::Theirs,
            Side::Theirs => Side::Ours,
        }
    }
}

/// In which direction changes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flow {
    /// Both ways.
    Both,
    /// From this side to the other only.
    From(Side),
    /// Nowhere: compare only.
    None,
}

/// What happens elsewhere when a user deletes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deletion {
    /// It is deleted there, too, and kept as a version.
    Propagate,
    /// It stays there.
    Ignore,
}

/// What happens when both sides changed one path, differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictRule {
    /// The newer version keeps the name; the other is kept beside it, on all nodes.
    KeepBoth,
    /// The newer version wins; the other becomes a version.
    Newest,
    /// This side wins; the other's content becomes a version.
    Prefer(Side),
    /// Nothing happens until a person decides.
    Refuse,
}

/// The options of a relationship that the reconcile obeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Direction of changes.
    pub flow: Flow,
    /// Whether deletions travel.
    pub deletion: Deletion,
    /// What to do with conflicts.
    pub conflict: ConflictRule,
}

/// How many deletions a batch may hold before a person is asked. `None` switches a limit off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guard {
    /// Share of the side's files, in percent.
    pub percent: Option<u8>,
    /// Number of files.
    pub count: Option<u64>,
}

impl Default for Guard {
    fn default() -> Self {
        Guard { percent: Some(25), count: Some(500) }
    }
}
