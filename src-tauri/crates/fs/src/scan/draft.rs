//! A directory between the walk and the settling.

use std::sync::Arc;

use evenfold_core::{Digest, Dir, Entry, Mode, Name};

use crate::disk::Stat;
use crate::index::{DirKeys, StatKey};

/// A directory as the previous index has it.
#[derive(Debug, Clone)]
pub(super) struct Prev {
    pub(super) dir: Arc<Dir>,
    pub(super) keys: Arc<DirKeys>,
}

impl Prev {
    /// Returns the child at a position, if it is a directory.
    pub(super) fn below(&self, at: usize) -> Option<Prev> {
        match &self.dir.children().get(at)?.entry {
            Entry::Dir(dir) => {
                let keys = self.keys.below(at).map_or_else(|| DirKeys::unsure(dir), Arc::clone);
                Some(Prev { dir: Arc::clone(dir), keys })
            }
            _ => None,
        }
    }
}

/// A directory after the walk.
pub(super) enum Drafted {
    /// Nothing changed in it, at any depth.
    Same(Prev),
    /// Something did, and all is known.
    Done(Prev),
    /// Something has to be looked up or read, here or further below.
    Open(Box<Draft>),
}

impl Drafted {
    /// Tells whether the directory has no children that take part.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Drafted::Same(prev) | Drafted::Done(prev) => prev.dir.children().is_empty(),
            Drafted::Open(draft) => draft.slots.is_empty(),
        }
    }
}

/// A directory of which not all children are settled yet.
pub(super) struct Draft {
    pub(super) mode: Mode,
    pub(super) prev: Option<Prev>,
    /// In the order of their names.
    pub(super) slots: Vec<Slot>,
}

/// One child of a [`Draft`].
pub(super) enum Slot {
    /// The child at this position of the previous directory, unchanged.
    Prev(u32),
    /// A child that is settled.
    Leaf(Box<Leaf>),
    /// A file whose digest is not known yet.
    Read(Box<Read>),
    /// A directory.
    Dir(Box<SubDir>),
}

pub(super) struct Leaf {
    pub(super) name: Name,
    pub(super) entry: Entry,
    pub(super) key: StatKey,
}

pub(super) struct Read {
    pub(super) name: Name,
    pub(super) stat: Stat,
    /// What it holds if it did not rot, as its stat is the same as when this was read.
    pub(super) expected: Option<Digest>,
}

pub(super) struct SubDir {
    pub(super) name: Name,
    pub(super) key: StatKey,
    pub(super) drafted: Drafted,
}
