//! Which paths somebody chose by hand (kind manual): what is tracked is sent, what is untracked takes no part.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::entry::{Child, Dir, Entry};
use crate::path::RelPath;
use crate::select::filter;

/// Marks on paths; the nearest mark at or above a path decides for it and everything below.
///
/// A path without any mark takes part once both sides have to do with it: when the other side offers it, or when both
/// agreed on it before. So what was fetched is sent again when it is edited, and a new file is sent only when it
/// is tracked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tracking {
    marks: BTreeMap<RelPath, bool>,
}

impl Tracking {
    /// Takes marks: `true` for tracked, `false` for untracked.
    pub fn new(marks: impl IntoIterator<Item = (RelPath, bool)>) -> Self {
        Tracking { marks: marks.into_iter().collect() }
    }

    /// Returns the marks by path.
    pub fn marks(&self) -> impl Iterator<Item = (&RelPath, bool)> {
        self.marks.iter().map(|(path, tracked)| (path, *tracked))
    }

    /// Returns the nearest mark at or above a path.
    pub fn of(&self, path: &RelPath) -> Option<bool> {
        let mut at = Some(path.clone());
        while let Some(here) = at {
            if let Some(tracked) = self.marks.get(&here) {
                return Some(*tracked);
            }
            at = here.parent();
        }
        None
    }

    /// Marks a path, with everything below it. Returns whether that changes anything.
    pub fn mark(&mut self, path: &RelPath, tracked: bool) -> bool {
        if self.of(path) == Some(tracked) && !self.differs_below(path, tracked) {
            return false;
        }
        self.marks.retain(|at, _| !at.starts_with(path));
        // What is tracked already from above needs no mark of its own.
        if self.of(path) != Some(tracked) {
            self.marks.insert(path.clone(), tracked);
        }
        true
    }

    /// Tells whether a path takes part at all: whether it is not untracked, or something below it is tracked.
    pub fn takes_part(&self, path: &RelPath) -> bool {
        self.of(path) != Some(false) || self.differs_below(path, false)
    }

    /// Returns `tree` without what is untracked. Stopping to track deletes nothing, as with any rule.
    pub fn without_untracked(&self, tree: &Arc<Dir>) -> Arc<Dir> {
        if self.marks.values().all(|tracked| *tracked) {
            return Arc::clone(tree);
        }
        filter(tree, &|path, _| self.takes_part(path))
    }

    /// Returns what of `ours` takes part, given what both agreed on and what `theirs` holds.
    pub fn choose(&self, ours: &Arc<Dir>, ancestor: &Dir, theirs: &Dir) -> Arc<Dir> {
        let root = RelPath::root();
        self.choose_below(&root, self.marks.get(&root).copied(), ours, Some(ancestor), Some(theirs))
    }

    fn choose_below(
        &self,
        path: &RelPath,
        inherited: Option<bool>,
        ours: &Arc<Dir>,
        ancestor: Option<&Dir>,
        theirs: Option<&Dir>,
    ) -> Arc<Dir> {
        let mut changed = false;
        let mut kept = Vec::with_capacity(ours.children().len());
        for child in ours.children() {
            let below = path.join(&child.name);
            let mark = self.marks.get(&below).copied().or(inherited);
            let known = ancestor.and_then(|dir| dir.child(child.name.as_bytes()));
            let offered = theirs.and_then(|dir| dir.child(child.name.as_bytes()));
            let entry = self.choose_entry(&below, mark, &child.entry, known, offered);
            changed |= !entry.as_ref().is_some_and(|entry| is_same(entry, &child.entry));
            kept.extend(entry.map(|entry| Child { name: child.name.clone(), entry }));
        }
        if changed { Arc::new(Dir::new(ours.mode(), kept)) } else { Arc::clone(ours) }
    }

    fn choose_entry(
        &self,
        path: &RelPath,
        mark: Option<bool>,
        entry: &Entry,
        known: Option<&Entry>,
        offered: Option<&Entry>,
    ) -> Option<Entry> {
        let everything = mark == Some(true) && !self.differs_below(path, true);
        let Entry::Dir(dir) = entry else {
            let takes_part = mark.unwrap_or(known.is_some() || offered.is_some());
            return takes_part.then(|| entry.clone());
        };
        if everything {
            return Some(entry.clone());
        }
        let nobody_knows = mark != Some(true) && known.is_none() && offered.is_none();
        if (nobody_knows || mark == Some(false)) && !self.differs_below(path, false) {
            return None;
        }
        let as_dir = |entry: Option<&Entry>| entry.and_then(Entry::as_dir).cloned();
        let (ancestor, theirs) = (as_dir(known), as_dir(offered));
        let chosen = self.choose_below(path, mark, dir, ancestor.as_deref(), theirs.as_deref());
        // Of a directory that holds only what takes no part, the other side need not hear, unless it has one itself.
        let only_others = chosen.children().is_empty() && !dir.children().is_empty();
        let wanted = mark == Some(true) || offered.is_some() && mark.is_none();
        (!only_others || wanted).then_some(Entry::Dir(chosen))
    }

    /// Tells whether a path below `path` has another mark than `tracked`.
    fn differs_below(&self, path: &RelPath, tracked: bool) -> bool {
        // Paths sort by their bytes, so what is below one does not stand in one row; marks are few.
        self.marks.iter().any(|(at, mark)| *mark != tracked && at != path && at.starts_with(path))
    }
}

fn is_same(a: &Entry, b: &Entry) -> bool {
    match (a, b) {
        (Entry::Dir(a), Entry::Dir(b)) => Arc::ptr_eq(a, b),
        // Everything else is kept as it is or not at all.
        _ => true,
    }
}
