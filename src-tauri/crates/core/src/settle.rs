//! What becomes of conflicts: a rule of the relationship turns each into changes, or leaves it for a person.

use std::sync::Arc;

use crate::conflict::conflict_name;
use crate::entry::{Dir, Entry, Mtime};
use crate::path::RelPath;
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
    let mut settled = Vec::new();
    for conflict in std::mem::take(&mut plan.conflicts) {
        let done = match rule {
            ConflictRule::Refuse => false,
            ConflictRule::Prefer(side) => overwrite(plan, &conflict, side),
            ConflictRule::Newest => winner(&conflict).is_some_and(|side| overwrite(plan, &conflict, side)),
            ConflictRule::KeepBoth => keep_both(plan, &conflict, ours, theirs, authors),
        };
        if done { settled.push(conflict) } else { plan.conflicts.push(conflict) }
    }
    settled
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
    ours: &Arc<Dir>,
    theirs: &Arc<Dir>,
    authors: &mut dyn FnMut(&Conflict) -> Authors,
) -> bool {
    let Some(winner) = winner(conflict) else { return false };
    let Some((_, lose)) = entries(conflict, winner) else { return false };
    let who = authors(conflict);
    let machine = match winner {
        Side::Ours => who.theirs,
        Side::Theirs => who.ours,
    };
    let Some(copy) = free_name(conflict, lose, &machine, ours, theirs, plan) else { return false };
    if !overwrite(plan, conflict, winner) {
        return false;
    }
    let creation = |tree: &Arc<Dir>| {
        // The copy may stand there already, from a cycle that was interrupted after making it.
        tree.get(&copy).is_none().then(|| Change { path: copy.clone(), old: None, new: Some(lose.clone()) })
    };
    plan.copies_ours.extend(creation(ours));
    plan.copies_theirs.extend(creation(theirs));
    true
}

/// Finds the name under which both sides can keep `lose`: the plain one, or with a piece of its digest where
/// another content has that name. If even that is taken, the conflict waits for a person.
fn free_name(
    conflict: &Conflict,
    lose: &Entry,
    machine: &str,
    ours: &Arc<Dir>,
    theirs: &Arc<Dir>,
    plan: &Plan,
) -> Option<RelPath> {
    let (parent, name) = conflict.path.split_last()?;
    let (mtime, digest) = match lose {
        Entry::File(file) => (file.mtime, file.digest),
        Entry::Symlink(link) => (Mtime::default(), crate::Digest::of(&link.target)),
        Entry::Dir(_) | Entry::Unknown(_) => return None,
    };
    [None, Some(digest)]
        .into_iter()
        .map(|digest| parent.join(&conflict_name(&name, mtime, machine, digest)))
        .find(|path| {
            [ours, theirs].iter().all(|tree| tree.get(path).is_none_or(|there| there == lose))
                && ![&plan.ours, &plan.theirs, &plan.copies_ours, &plan.copies_theirs]
                    .iter()
                    .any(|changes| changes.iter().any(|change| change.path == *path))
        })
}
