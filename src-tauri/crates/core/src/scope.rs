//! What of a plan is carried out now: one direction, or some paths (push and pull by hand).

use std::collections::HashSet;
use std::sync::Arc;

use crate::apply::Refusal;
use crate::entry::{Dir, Entry};
use crate::path::RelPath;
use crate::plan::{Blocked, Change, Plan, Reason};
use crate::policy::Side;
use crate::select::filter;

/// In which direction changes are carried out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// From our side to theirs only; all or nothing, and only onto a side that has not moved on.
    Push,
    /// From their side to ours only.
    Pull,
}

/// What of a plan is carried out now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// In which direction.
    pub direction: Direction,
    /// Only these paths and what is below them; everything if there are none.
    pub paths: Vec<RelPath>,
    /// Of a push: send everything again, over whatever the other side did. What that replaces becomes a version.
    pub force: bool,
}

impl Scope {
    /// Everything, both ways.
    pub fn whole() -> Self {
        Scope::default()
    }

    /// Tells whether this is everything, both ways.
    pub fn is_whole(&self) -> bool {
        self.direction == Direction::Both && self.paths.is_empty()
    }

    /// Tells whether a path belongs to it.
    pub fn covers(&self, path: &RelPath) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|chosen| path.starts_with(chosen))
    }

    /// Returns what of a tree belongs to it, with the directories that lead there.
    pub fn within(&self, tree: &Arc<Dir>) -> Arc<Dir> {
        if self.paths.is_empty() {
            return Arc::clone(tree);
        }
        filter(tree, &|path, _| self.covers(path) || self.paths.iter().any(|chosen| chosen.starts_with(path)))
    }
}

/// Tells whether their side holds changes that ours has not seen, so that a push would go past them.
///
/// `first` says that both sides have never agreed on anything: then what only they hold stands beside what is
/// pushed, and only conflicts are in the way. Times and permissions alone are in nobody's way.
pub fn moved_on(plan: &Plan, first: bool) -> bool {
    !plan.conflicts.is_empty() || (!first && plan.ours.iter().any(brings_content))
}

fn brings_content(change: &Change) -> bool {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => !(old.same_content(new) || is_dir(old) && is_dir(new)),
        _ => true,
    }
}

fn is_dir(entry: &Entry) -> bool {
    matches!(entry, Entry::Dir(_))
}

/// Returns a plan without the changes of the other direction. Agreements stay: they touch no disk.
pub fn narrow(mut plan: Plan, direction: Direction) -> Plan {
    match direction {
        Direction::Both => {}
        Direction::Push => {
            plan.ours.clear();
            plan.copies_ours.clear();
        }
        Direction::Pull => {
            plan.theirs.clear();
            plan.copies_theirs.clear();
        }
    }
    plan
}

/// Turns a plan into that of a forced push: where their side has moved on, our version takes its place, and every
/// file that both hold is sent again. What only they hold stays: nothing of ours would take its place.
pub fn forced(mut plan: Plan, ours: &Arc<Dir>, theirs: &Arc<Dir>) -> Plan {
    let mut touched: HashSet<RelPath> = plan.theirs.iter().map(|change| change.path.clone()).collect();
    let conflicts = std::mem::take(&mut plan.conflicts);
    let incoming = std::mem::take(&mut plan.ours);
    let paths = conflicts.iter().map(|conflict| &conflict.path).chain(incoming.iter().map(|c| &c.path));
    for path in paths {
        let (Some(new), old) = (ours.get(path), theirs.get(path)) else { continue };
        // What cannot be looked at stays as it is, and so does a directory that holds something like that.
        let (Some(new), false) = (new.without_unknown(), old.is_some_and(Entry::has_unknown)) else {
            continue;
        };
        if touched.insert(path.clone()) {
            plan.theirs.push(Change { path: path.clone(), old: old.cloned(), new: Some(new) });
        }
    }
    let mut again = Vec::new();
    each_equal_file(&RelPath::root(), ours, theirs, &mut |path, entry| {
        if !touched.contains(&path) {
            again.push(Change { path, old: Some(entry.clone()), new: Some(entry.clone()) });
        }
    });
    plan.theirs.append(&mut again);
    plan.copies_ours.clear();
    plan.copies_theirs.clear();
    plan
}

fn each_equal_file(path: &RelPath, ours: &Dir, theirs: &Dir, visit: &mut dyn FnMut(RelPath, &Entry)) {
    for child in ours.children() {
        match (&child.entry, theirs.child(child.name.as_bytes())) {
            (Entry::Dir(ours), Some(Entry::Dir(theirs))) => {
                each_equal_file(&path.join(&child.name), ours, theirs, visit);
            }
            (Entry::File(a), Some(Entry::File(b))) if a == b => visit(path.join(&child.name), &child.entry),
            _ => {}
        }
    }
}

/// Splits deletions of directories that hold more than the plan knows of, on either side: what takes part goes one by
/// one, and the directory stays with the rest. A directory that something else should replace is left alone.
///
/// `ours` and `theirs` are the trees with everything, from which the plan saw only a part.
pub fn spare(plan: &mut Plan, ours: &Arc<Dir>, theirs: &Arc<Dir>) {
    let mut blocked = Vec::new();
    for (side, whole, changes) in
        [(Side::Ours, ours, &mut plan.ours), (Side::Theirs, theirs, &mut plan.theirs)]
    {
        let all = std::mem::take(changes);
        for change in all {
            let holds_more = match (&change.old, &change.new) {
                (Some(Entry::Dir(_)), Some(Entry::Dir(_))) => false,
                (Some(old @ Entry::Dir(_)), _) => whole.get(&change.path) != Some(old),
                _ => false,
            };
            match (&change.old, &change.new) {
                (Some(Entry::Dir(dir)), None) if holds_more => {
                    delete_one_by_one(&change.path, dir, whole, changes);
                }
                _ if holds_more => {
                    let reason = Reason::Refused(side, Refusal::HoldsUntracked);
                    blocked.push(Blocked { path: change.path, reason });
                }
                _ => changes.push(change),
            }
        }
    }
    plan.blocked.append(&mut blocked);
}

fn delete_one_by_one(path: &RelPath, dir: &Dir, whole: &Arc<Dir>, changes: &mut Vec<Change>) {
    for child in dir.children() {
        let below = path.join(&child.name);
        match &child.entry {
            Entry::Dir(inner) if whole.get(&below) != Some(&child.entry) => {
                delete_one_by_one(&below, inner, whole, changes);
            }
            Entry::Unknown(_) => {}
            entry => changes.push(Change { path: below, old: Some(entry.clone()), new: None }),
        }
    }
}
