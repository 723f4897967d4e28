//! What happened, as rows for the history: made from what was accomplished, never from what was intended.

use evenfold_core::apply::{Batch, Outcome};
use evenfold_core::plan::Conflict;
use evenfold_core::policy::Side;
use evenfold_core::safety::Halt;
use evenfold_core::{Entry, RelPath};

/// One act. An act on a directory stands for everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// What was done.
    pub kind: ActKind,
    /// On which side it was carried out.
    pub on: Side,
    /// Where.
    pub path: RelPath,
    /// What stood there before.
    pub old: Option<Entry>,
    /// What stands there now.
    pub new: Option<Entry>,
    /// More in words.
    pub detail: Option<String>,
    /// The batch that did it; 0 if none.
    pub batch: u128,
}

/// Kinds of acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActKind {
    /// Something new appeared.
    Create,
    /// Content was replaced.
    Update,
    /// Something was deleted.
    Delete,
    /// It was renamed; `detail` names where from.
    Rename,
    /// Only times or permissions changed.
    Metadata,
    /// Both sides had changed it; a copy was kept or one version won.
    Conflict,
    /// The relationship was held.
    Halt,
    /// The record was void and everything was compared anew.
    Compared,
}

impl ActKind {
    /// Returns the stable word.
    pub fn word(self) -> &'static str {
        match self {
            ActKind::Create => "create",
            ActKind::Update => "update",
            ActKind::Delete => "delete",
            ActKind::Rename => "rename",
            ActKind::Metadata => "metadata",
            ActKind::Conflict => "conflict",
            ActKind::Halt => "halt",
            ActKind::Compared => "compared",
        }
    }
}

/// Returns the acts of a batch that was carried out on `on`.
pub fn acts_of(batch: &Batch, outcomes: &[Outcome], on: Side) -> Vec<Act> {
    let mut acts = Vec::new();
    let (moved, changed) = outcomes.split_at(batch.moves.len().min(outcomes.len()));
    for (mv, outcome) in batch.moves.iter().zip(moved) {
        if matches!(outcome, Outcome::Applied { .. }) {
            acts.push(Act {
                kind: ActKind::Rename,
                on,
                path: mv.to.clone(),
                old: Some(mv.entry.clone()),
                new: Some(mv.entry.clone()),
                detail: Some(mv.from.to_string()),
                batch: batch.id,
            });
        }
    }
    for (change, outcome) in batch.changes.iter().zip(changed) {
        let Outcome::Applied { now, .. } = outcome else { continue };
        let kind = match (&change.old, &change.new) {
            (None, _) => ActKind::Create,
            (Some(_), None) => ActKind::Delete,
            (Some(Entry::Dir(_)), Some(Entry::Dir(_))) => ActKind::Metadata,
            (Some(old), Some(new)) if old.same_content(new) => ActKind::Metadata,
            _ => ActKind::Update,
        };
        acts.push(Act {
            kind,
            on,
            path: change.path.clone(),
            old: change.old.clone(),
            new: now.clone(),
            detail: None,
            batch: batch.id,
        });
    }
    acts
}

/// Returns the act of a conflict that a rule settled.
pub fn act_of_conflict(conflict: &Conflict, how: &str) -> Act {
    Act {
        kind: ActKind::Conflict,
        on: Side::Ours,
        path: conflict.path.clone(),
        old: conflict.ours.clone(),
        new: conflict.theirs.clone(),
        detail: Some(how.to_owned()),
        batch: 0,
    }
}

/// Returns the act of a halt.
pub fn act_of_halt(halt: &Halt) -> Act {
    Act {
        kind: ActKind::Halt,
        on: Side::Ours,
        path: RelPath::root(),
        old: None,
        new: None,
        detail: Some(format!("{}: {halt}", halt.code())),
        batch: 0,
    }
}
