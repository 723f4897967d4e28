//! Which trees an endpoint told or was asked about lately, so that later answers can refer to them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use evenfold_core::{Digest, Dir, RelPath};

/// Trees kept alive: the last one survives a reconnection and one change. Trees share what they have in
/// common, so this costs the difference only.
const STRONG: usize = 2;
/// Trees that are remembered while someone else keeps them alive.
const WEAK: usize = 32;

/// The trees of one endpoint that were told lately. Shared by all its streams.
#[derive(Debug, Default)]
pub struct History {
    trees: Mutex<Trees>,
}

#[derive(Debug, Default)]
struct Trees {
    strong: VecDeque<Arc<Dir>>,
    weak: VecDeque<Weak<Dir>>,
}

impl History {
    /// Remembers `tree` as the latest.
    pub fn note(&self, tree: &Arc<Dir>) {
        let mut trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        trees.strong.retain(|known| known.digest() != tree.digest());
        trees.strong.push_front(Arc::clone(tree));
        trees.strong.truncate(STRONG);
        trees.weak.retain(|known| known.upgrade().is_some_and(|known| known.digest() != tree.digest()));
        trees.weak.push_front(Arc::downgrade(tree));
        trees.weak.truncate(WEAK);
    }

    /// Finds the directory with this digest at `path` of a remembered tree.
    pub fn find(&self, path: &RelPath, digest: Digest) -> Option<Arc<Dir>> {
        let alive: Vec<Arc<Dir>> = {
            let trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
            trees.weak.iter().filter_map(Weak::upgrade).collect()
        };
        alive.iter().filter_map(|tree| tree.dir_at(path)).find(|dir| dir.digest() == digest)
    }
}
