//! From what was accomplished to what the ancestor says.

use std::sync::Arc;

use evenfold_core::apply::{Batch, Outcome, Refusal};
use evenfold_core::edit::{Edit, edit};
use evenfold_core::plan::{Agreement, Blocked, Change, Plan, Reason};
use evenfold_core::policy::Side;
use evenfold_core::{Dir, Entry, RelPath};

use crate::ports::{Intent, Wanted};

/// Returns how the ancestor changes after `batch` was carried out with these outcomes.
///
/// The ancestor takes what the *sending* side holds (`change.new`), not what the receiving disk made of it:
/// where a file system rounds a time, the receiver then looks touched and its value travels back, once,
/// instead of the sender's value being sent for ever.
pub fn edits_of(batch: &Batch, outcomes: &[Outcome]) -> Vec<Edit> {
    let (moved, changed) = outcomes.split_at(batch.moves.len().min(outcomes.len()));
    let mut edits = Vec::new();
    for (mv, outcome) in batch.moves.iter().zip(moved) {
        if matches!(outcome, Outcome::Applied { .. }) {
            edits.push(Edit { path: mv.from.clone(), entry: None, shallow: false });
            edits.push(Edit { path: mv.to.clone(), entry: Some(mv.entry.clone()), shallow: false });
        }
    }
    for (change, outcome) in batch.changes.iter().zip(changed) {
        if let Outcome::Applied { now, short } = outcome {
            edits.extend(edits_of_change(change, now.as_ref(), short));
        }
    }
    edits
}

fn edits_of_change(change: &Change, now: Option<&Entry>, short: &[(RelPath, Refusal)]) -> Vec<Edit> {
    let path = change.path.clone();
    let directories = matches!((&change.old, &change.new), (Some(Entry::Dir(_)), Some(Entry::Dir(_))));
    match &change.new {
        Some(new) => {
            let mut edits = vec![Edit { path, entry: Some(new.clone()), shallow: directories }];
            // What was left out was not agreed on: without it in the ancestor it is created by the next cycle.
            edits.extend(short.iter().map(|(path, _)| Edit {
                path: path.clone(),
                entry: None,
                shallow: false,
            }));
            edits
        }
        // A deletion that left something: what stands there still is what remains to be deleted.
        None if !short.is_empty() => vec![Edit { path, entry: now.cloned(), shallow: false }],
        None => vec![Edit { path, entry: None, shallow: false }],
    }
}

/// Returns how the ancestor changes by agreements, which touch no disk.
pub fn edits_of_agreements(agreed: &[Agreement]) -> Vec<Edit> {
    let edit = |a: &Agreement| Edit { path: a.path.clone(), entry: a.entry.clone(), shallow: a.shallow };
    agreed.iter().map(edit).collect()
}

/// Returns the paths of a batch that were refused on `side`, with their reasons.
pub fn refused(batch: &Batch, outcomes: &[Outcome], side: Side) -> Vec<Blocked> {
    let paths = batch.moves.iter().map(|mv| &mv.to).chain(batch.changes.iter().map(|change| &change.path));
    let mut blocked = Vec::new();
    for (path, outcome) in paths.zip(outcomes) {
        match outcome {
            Outcome::Applied { short, .. } => {
                let reason = |refusal: &Refusal| Reason::Refused(side, refusal.clone());
                blocked
                    .extend(short.iter().map(|(path, r)| Blocked { path: path.clone(), reason: reason(r) }));
            }
            Outcome::Refused(refusal) => {
                let reason = Reason::Refused(side, refusal.clone());
                blocked.push(Blocked { path: path.clone(), reason });
            }
        }
    }
    blocked
}

/// Returns the effects that carrying out `plan` intends.
pub fn intents_of(plan: &Plan) -> Vec<Intent> {
    let mut intents = Vec::new();
    for side in [Side::Ours, Side::Theirs] {
        for change in plan.copies(side).iter().chain(plan.changes(side)) {
            let new = change.new.clone().map(Wanted::Entry);
            intents.push(Intent { side, path: change.path.clone(), new });
        }
    }
    intents
}

/// Brings the ancestor up to what intended effects did before a crash: where a side holds exactly what we were
/// about to put there, both sides have had that state, and it counts as agreed. A user may have done the
/// same; then it is agreed as well.
pub fn recover(
    ancestor: &Arc<Dir>,
    intents: &[Intent],
    ours: &Arc<Dir>,
    theirs: &Arc<Dir>,
) -> (Arc<Dir>, Vec<Edit>) {
    let mut edits = Vec::new();
    for intent in intents {
        let tree = match intent.side {
            Side::Ours => ours,
            Side::Theirs => theirs,
        };
        let now = tree.get(&intent.path);
        let happened = match (&intent.new, now) {
            (None, None) => true,
            (Some(Wanted::Entry(wanted)), Some(entry)) => wanted == entry,
            (Some(Wanted::Tree(digest)), Some(Entry::Dir(dir))) => dir.digest() == *digest,
            _ => false,
        };
        if happened && ancestor.get(&intent.path) != now {
            edits.push(Edit { path: intent.path.clone(), entry: now.cloned(), shallow: false });
        }
    }
    (edit(ancestor, edits.iter().cloned()), edits)
}
