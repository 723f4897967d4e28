//! From what was accomplished to what the ancestor says.

use std::collections::HashSet;
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
pub fn intents_of(plan: &Plan, ours: &Arc<Dir>, theirs: &Arc<Dir>) -> Vec<Intent> {
    let mut intents = Vec::new();
    for (side, other) in [(Side::Ours, theirs), (Side::Theirs, ours)] {
        // What merges both sides, or survives a deletion in part, is held by neither side before: finding it
        // on one says nothing of the other, so a crash leaves it to the comparison.
        let agreed =
            plan.changes(side).iter().filter(|change| other.get(&change.path) == change.new.as_ref());
        for change in plan.copies(side).iter().chain(agreed) {
            let new = change.new.clone().map(Wanted::Entry);
            intents.push(Intent { side, path: change.path.clone(), new });
        }
    }
    intents
}

/// Brings the ancestor up to what intended effects did before a crash: where a side holds exactly what we were
/// about to put there, both sides have had that state, and it counts as agreed. A user may have done the
/// same; then it is agreed as well.
///
/// A conflict copy is intended for both sides and comes from neither. Where one side lacks it, it is not agreed:
/// that side would look as if its user had deleted it. Where one side holds it and the other something else under
/// its name, it is agreed, so that the other side's user has edited it. That takes no content from anybody: the
/// content of the copy stands under the disputed name, too, until either both sides hold the copy, so that whoever
/// wrote the other thing had it before their eyes, or a user replaces it there.
pub fn recover(
    ancestor: &Arc<Dir>,
    intents: &[Intent],
    ours: &Arc<Dir>,
    theirs: &Arc<Dir>,
) -> (Arc<Dir>, Vec<Edit>) {
    let mut edits = Vec::new();
    let now_at = |intent: &Intent| match intent.side {
        Side::Ours => ours.get(&intent.path),
        Side::Theirs => theirs.get(&intent.path),
    };
    let happened = |intent: &Intent| match (&intent.new, now_at(intent)) {
        (None, None) => true,
        (Some(Wanted::Entry(wanted)), Some(entry)) => wanted == entry,
        (Some(Wanted::Tree(digest)), Some(Entry::Dir(dir))) => dir.digest() == *digest,
        _ => false,
    };
    let lacks = |intent: &&Intent| intent.new.is_some() && now_at(intent).is_none();
    let lacking: HashSet<(Side, &RelPath)> =
        intents.iter().filter(lacks).map(|intent| (intent.side, &intent.path)).collect();
    for intent in intents {
        let now = now_at(intent);
        let agreed = happened(intent) && !lacking.contains(&(intent.side.other(), &intent.path));
        if agreed && ancestor.get(&intent.path) != now {
            edits.push(Edit { path: intent.path.clone(), entry: now.cloned(), shallow: false });
        }
    }
    (edit(ancestor, edits.iter().cloned()), edits)
}

#[cfg(test)]
mod tests {
    use evenfold_core::{Child, Digest, File, Mode, Mtime, Name};

    use super::*;

    fn file(content: &str) -> Entry {
        let (digest, size) = (Digest::of(content.as_bytes()), content.len() as u64);
        Entry::File(File { digest, size, mtime: Mtime::default(), mode: Mode::new(0o644) })
    }

    fn tree(children: &[(&str, &Entry)]) -> Arc<Dir> {
        let child = |(name, entry): &(&str, &Entry)| Child {
            name: Name::new(name.as_bytes()).unwrap(),
            entry: (*entry).clone(),
        };
        Arc::new(Dir::new(Mode::new(0o755), children.iter().map(child).collect()))
    }

    fn intent(side: Side, new: &Entry) -> Intent {
        let path = RelPath::new(b"copy").unwrap();
        Intent { side, path, new: Some(Wanted::Entry(new.clone())) }
    }

    #[test]
    fn conflict_copy_on_one_side_only_is_not_agreed_on() {
        let copy = file("1");
        let intents = [intent(Side::Ours, &copy), intent(Side::Theirs, &copy)];
        let (none, both) = (tree(&[]), tree(&[("copy", &copy)]));
        let (ancestor, edits) = recover(&none, &intents, &none, &both);
        assert!(edits.is_empty() && ancestor.children().is_empty());
        let (ancestor, _) = recover(&none, &intents, &both, &both);
        assert_eq!(ancestor, both);
    }

    #[test]
    fn conflict_copy_that_was_edited_at_once_is_agreed_on() {
        let (copy, edited) = (file("1"), file("22"));
        let intents = [intent(Side::Ours, &copy), intent(Side::Theirs, &copy)];
        let (none, has, other) = (tree(&[]), tree(&[("copy", &copy)]), tree(&[("copy", &edited)]));
        assert_eq!(recover(&none, &intents, &has, &other).0, has);
        assert_eq!(recover(&none, &intents, &other, &has).0, has);
    }

    #[test]
    fn effect_on_the_receiving_side_is_agreed_on() {
        let new = file("1");
        let (none, has) = (tree(&[]), tree(&[("copy", &new)]));
        let (ancestor, edits) = recover(&none, &[intent(Side::Theirs, &new)], &none, &has);
        assert_eq!(edits.len(), 1);
        assert_eq!(ancestor, has);
    }

    #[test]
    fn pull_that_was_applied_before_a_crash_is_agreed_though_the_hub_moved_on() {
        let (old, new, newer) = (file("1"), file("22"), file("333"));
        let path = RelPath::new(b"a").unwrap();
        let (ancestor, before) = (tree(&[("a", &old)]), tree(&[("a", &new)]));
        let change = Change { path: path.clone(), old: Some(old), new: Some(new.clone()) };
        let plan = Plan { ours: vec![change], ..Plan::default() };
        let intents = intents_of(&plan, &ancestor, &before);
        let (recovered, _) = recover(&ancestor, &intents, &before, &tree(&[("a", &newer)]));
        assert_eq!(recovered.get(&path), Some(&new));
        // Without the intent the same state is a conflict that no user made.
        let (unrecovered, _) = recover(&ancestor, &[], &before, &tree(&[("a", &newer)]));
        assert_ne!(unrecovered.get(&path), Some(&new));
    }

    #[test]
    fn merge_that_neither_side_held_before_is_no_intent() {
        let (one, merged) = (file("1"), file("22"));
        let change = Change { path: RelPath::new(b"a").unwrap(), old: Some(one.clone()), new: Some(merged) };
        let plan = Plan { theirs: vec![change], ..Plan::default() };
        let seen = tree(&[("a", &one)]);
        assert!(intents_of(&plan, &seen, &seen).is_empty());
    }
}
