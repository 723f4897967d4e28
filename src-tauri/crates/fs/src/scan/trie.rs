//! The paths that a partial scan shall look at, as a tree of names.

use std::collections::BTreeMap;

use evenfold_core::{Name, RelPath};

/// A set of paths. A node is either named itself or only leads to named ones.
#[derive(Debug, Default, Clone)]
pub(crate) struct Trie {
    pub(crate) named: bool,
    pub(crate) below: BTreeMap<Name, Trie>,
}

impl Trie {
    /// Builds the set.
    pub(crate) fn new<'a>(paths: impl IntoIterator<Item = &'a RelPath>) -> Self {
        let mut root = Trie::default();
        for path in paths {
            let mut at = &mut root;
            for name in path.components().filter_map(|name| Name::new(name).ok()) {
                at = at.below.entry(name).or_default();
            }
            at.named = true;
        }
        root
    }

    /// Tells whether no path is in the set.
    pub(crate) fn is_empty(&self) -> bool {
        !self.named && self.below.is_empty()
    }
}
