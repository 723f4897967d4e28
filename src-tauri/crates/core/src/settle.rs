//! What becomes of conflicts: a rule of the relationship turns each into changes, or leaves it for a person.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::conflict::{conflict_name, is_conflict_name};
use crate::digest::Digest;
use crate::entry::{Dir, Entry, Mtime};
use crate::path::{MAX_PATH, RelPath};
use crate::plan::{Change, Conflict, Plan};
use crate::policy::{ConflictRule, Side};

/// Who wrote the version that stands on each side, for the names of conflict copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authors {
    /// Name of the machine that wrote our version.
    pub ours: String,
    /// Name of the machine that wrote their version.
    pub theirs: String,
}

/// Turns the plan's conflicts into changes where `rule` says how, and returns the conflicts that were settled.
/// Those that stay in `plan.conflicts` wait for a person.
///
/// `authors` is asked once for each conflict of which a copy is kept.
pub fn settle(
    plan: &mut Plan,
    rule: ConflictRule,
    ours: &Arc<Dir>,
    theirs: &Arc<Dir>,
    authors: &mut dyn FnMut(&Conflict) -> Authors,
) -> Vec<Conflict> {
    if plan.conflicts.is_empty() || rule == ConflictRule::Refuse {
        return Vec::new();
    }
    let mut names = Names::new(plan, ours, theirs);
    let mut settled = Vec::new();
    for conflict in std::mem::take(&mut plan.conflicts) {
        let done = match rule {
            ConflictRule::Refuse => false,
            ConflictRule::Prefer(side) => overwrite(plan, &conflict, side),
            ConflictRule::Newest => winner(&conflict).is_some_and(|side| overwrite(plan, &conflict, side)),
            ConflictRule::KeepBoth => keep_both(plan, &conflict, &mut names, authors),
        };
        if done { settled.push(conflict) } else { plan.conflicts.push(conflict) }
    }
    names.promote(plan);
    settled
}

/// A change that waits, because the content that it would replace has no conflict copy yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The change.
    pub change: Change,
    /// The conflict copy that could not be made.
    pub copy: RelPath,
}

/// Takes out of `plan` those changes at the paths of `settled` conflicts that would replace a content whose conflict
/// copy could not be made, and returns them: first both contents are safe, then one of them gives up its name.
///
/// `failed` are conflict copies of this plan that were refused on either side. The next cycle finds the same
/// conflicts again; all others are not held up.
pub fn hold_back(plan: &mut Plan, settled: &[Conflict], failed: &[Change]) -> Vec<Waiting> {
    let key = |path: &RelPath, entry: Option<&Entry>| Some((path.parent()?, content(entry?)?));
    let missing: HashMap<_, &RelPath> =
        failed.iter().filter_map(|copy| Some((key(&copy.path, copy.new.as_ref())?, &copy.path))).collect();
    let mut waiting = Vec::new();
    if missing.is_empty() {
        return waiting;
    }
    let conflicts: HashSet<&RelPath> = settled.iter().map(|conflict| &conflict.path).collect();
    for changes in [&mut plan.ours, &mut plan.theirs] {
        changes.retain(|change| {
            let copy = conflicts.get(&change.path).and_then(|_| key(&change.path, change.old.as_ref()));
            let copy = copy.and_then(|key| missing.get(&key));
            waiting.extend(copy.map(|copy| Waiting { change: change.clone(), copy: (*copy).clone() }));
            copy.is_none()
        });
    }
    waiting
}

/// What a conflict copy is kept of: the digest of a file's content or of what a link says.
fn content(entry: &Entry) -> Option<Digest> {
    match entry {
        Entry::File(file) => Some(file.digest),
        Entry::Symlink(link) => Some(Digest::of(&link.target)),
        Entry::Dir(_) | Entry::Unknown(_) => None,
    }
}

/// Decides whose version keeps the name, by a total order that every node computes alike: a directory before
/// anything else, a file before a link, then the later modification, then the larger size, then the digest.
pub fn winner(conflict: &Conflict) -> Option<Side> {
    let (ours, theirs) = (conflict.ours.as_ref()?, conflict.theirs.as_ref()?);
    Some(if rank(ours) >= rank(theirs) { Side::Ours } else { Side::Theirs })
}

type Rank<'a> = (u8, Mtime, u64, [u8; 32], &'a [u8]);

fn rank(entry: &Entry) -> Rank<'_> {
    match entry {
        Entry::Dir(dir) => (3, Mtime::default(), 0, dir.digest().0, b""),
        Entry::File(file) => (2, file.mtime, file.size, file.digest.0, b""),
        Entry::Symlink(link) => (1, Mtime::default(), 0, [0; 32], &link.target),
        Entry::Unknown(_) => (0, Mtime::default(), 0, [0; 32], b""),
    }
}

fn entries(conflict: &Conflict, winner: Side) -> Option<(&Entry, &Entry)> {
    let (ours, theirs) = (conflict.ours.as_ref()?, conflict.theirs.as_ref()?);
    Some(match winner {
        Side::Ours => (ours, theirs),
        Side::Theirs => (theirs, ours),
    })
}

/// The winner's version replaces the loser's, which the transition keeps as a version.
fn overwrite(plan: &mut Plan, conflict: &Conflict, winner: Side) -> bool {
    let Some((win, lose)) = entries(conflict, winner) else { return false };
    // A directory that holds something unknown must not be replaced as a whole.
    let Some(new) = win.without_unknown().filter(|_| !lose.has_unknown()) else { return false };
    plan.report_unknown(winner, &conflict.path, win);
    let change = Change { path: conflict.path.clone(), old: Some(lose.clone()), new: Some(new) };
    match winner {
        Side::Ours => plan.theirs.push(change),
        Side::Theirs => plan.ours.push(change),
    }
    true
}

/// The loser's version is first copied beside itself on both sides; only then is its name given to the winner.
fn keep_both(
    plan: &mut Plan,
    conflict: &Conflict,
    names: &mut Names<'_>,
    authors: &mut dyn FnMut(&Conflict) -> Authors,
) -> bool {
    let Some(winner) = winner(conflict) else { return false };
    let Some((_, lose)) = entries(conflict, winner) else { return false };
    let who = authors(conflict);
    let machine = match winner {
        Side::Ours => who.theirs,
        Side::Theirs => who.ours,
    };
    let Some(copy) = names.free(conflict, lose, &machine) else { return false };
    if !overwrite(plan, conflict, winner) {
        return false;
    }
    for side in [Side::Ours, Side::Theirs] {
        if names.must_create(side, &copy) {
            let creation = Change { path: copy.clone(), old: None, new: Some(lose.clone()) };
            match side {
                Side::Ours => plan.copies_ours.push(creation),
                Side::Theirs => plan.copies_theirs.push(creation),
            }
        }
    }
    names.claimed.insert(copy);
    true
}

/// Which names are free for conflict copies, given both trees and what the plan already does.
struct Names<'a> {
    trees: [(Side, &'a Arc<Dir>); 2],
    planned: HashMap<RelPath, Vec<(Side, Change)>>,
    claimed: HashSet<RelPath>,
    /// Copies that the plan already creates as ordinary changes, because a cycle that was interrupted made
    /// them on the other side.
    promoted: HashSet<RelPath>,
}

impl<'a> Names<'a> {
    fn new(plan: &Plan, ours: &'a Arc<Dir>, theirs: &'a Arc<Dir>) -> Self {
        let mut planned: HashMap<_, Vec<_>> = HashMap::new();
        for side in [Side::Ours, Side::Theirs] {
            // Only a name that is that of a conflict copy can be in the way of one.
            let copies = plan
                .changes(side)
                .iter()
                .filter(|change| change.path.components().last().is_some_and(is_conflict_name));
            for change in copies {
                planned.entry(change.path.clone()).or_default().push((side, change.clone()));
            }
        }
        let trees = [(Side::Ours, ours), (Side::Theirs, theirs)];
        Names { trees, planned, claimed: HashSet::new(), promoted: HashSet::new() }
    }

    /// Finds the name under which both sides can keep `lose`: the plain one, or with a piece of its digest
    /// where another content has that name. If even that is taken, the conflict waits for a person.
    fn free(&self, conflict: &Conflict, lose: &Entry, machine: &str) -> Option<RelPath> {
        let (parent, name) = conflict.path.split_last()?;
        let digest = content(lose)?;
        let mtime = lose.as_file().map(|file| file.mtime).unwrap_or_default();
        [None, Some(digest)]
            .into_iter()
            .map(|digest| parent.join(&conflict_name(&name, mtime, machine, digest)))
            .find(|path| path.as_bytes().len() <= MAX_PATH && self.can_hold(path, lose))
    }

    fn can_hold(&self, path: &RelPath, lose: &Entry) -> bool {
        let planned = self.planned.get(path).map(Vec::as_slice).unwrap_or_default();
        !self.claimed.contains(path)
            && self.trees.iter().all(|(_, tree)| tree.get(path).is_none_or(|there| there == lose))
            && planned.iter().all(|(_, change)| change.old.is_none() && change.new.as_ref() == Some(lose))
    }

    /// Tells whether the copy must still be created on `side`. It may stand there already, from a cycle that
    /// was interrupted after making it.
    fn must_create(&mut self, side: Side, path: &RelPath) -> bool {
        if self.planned.get(path).is_some_and(|changes| changes.iter().any(|(on, _)| *on == side)) {
            self.promoted.insert(path.clone());
            return true;
        }
        self.trees.iter().any(|(on, tree)| *on == side && tree.get(path).is_none())
    }

    /// What became a conflict copy is no ordinary change any more.
    fn promote(self, plan: &mut Plan) {
        if !self.promoted.is_empty() {
            for changes in [&mut plan.ours, &mut plan.theirs] {
                changes.retain(|change| !self.promoted.contains(&change.path));
            }
        }
    }
}
