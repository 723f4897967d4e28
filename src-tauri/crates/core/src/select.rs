//! Which paths take part in a relationship.

use std::sync::Arc;

use crate::entry::{Child, Dir, Entry};
use crate::path::RelPath;

/// The rules by which paths take part. They belong to the relationship and are the same on all endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// Patterns in gitignore syntax; if any is given, only files that match one take part.
    pub include: Vec<String>,
    /// Patterns in gitignore syntax; what matches does not take part. Wins over `include`.
    pub exclude: Vec<String>,
    /// Whether names that begin with a dot take part.
    pub hidden: bool,
    /// Sizes that a file may have.
    pub sizes: Sizes,
}

/// Sizes that a file may have in bytes, both ends included. A file outside of them does not take part, but it is there:
/// it is reported as [`crate::ProblemKind::SizeLimit`], so that one that grows is never taken for deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// At least so large; any if `None`.
    pub min: Option<u64>,
    /// At most so large; any if `None`.
    pub max: Option<u64>,
}

impl Sizes {
    /// Tells whether a file of this size takes part.
    pub fn allow(self, size: u64) -> bool {
        self.min.is_none_or(|min| size >= min) && self.max.is_none_or(|max| size <= max)
    }
}

impl Default for Select {
    fn default() -> Self {
        Select { include: Vec::new(), exclude: Vec::new(), hidden: true, sizes: Sizes::default() }
    }
}

/// Returns `tree` without what the rules leave out. A rule that changed therefore looks, to the reconcile, as
/// if the path had never been synced: it only stops the tracking and deletes nothing.
///
/// `takes_part` is asked with the full path and whether it is a directory; a directory that does not take
/// part is left out with everything below.
pub fn filter(tree: &Arc<Dir>, takes_part: &dyn Fn(&RelPath, bool) -> bool) -> Arc<Dir> {
    filter_below(tree, &RelPath::root(), takes_part)
}

fn filter_below(dir: &Arc<Dir>, path: &RelPath, takes_part: &dyn Fn(&RelPath, bool) -> bool) -> Arc<Dir> {
    let mut changed = false;
    let mut kept = Vec::with_capacity(dir.children().len());
    for child in dir.children() {
        let below = path.join(&child.name);
        match &child.entry {
            entry if !takes_part(&below, matches!(entry, Entry::Dir(_))) => changed = true,
            Entry::Dir(inner) => {
                let filtered = filter_below(inner, &below, takes_part);
                changed |= !Arc::ptr_eq(&filtered, inner);
                kept.push(Child { name: child.name.clone(), entry: Entry::Dir(filtered) });
            }
            entry => kept.push(Child { name: child.name.clone(), entry: entry.clone() }),
        }
    }
    if changed { Arc::new(Dir::new(dir.mode(), kept)) } else { Arc::clone(dir) }
}
