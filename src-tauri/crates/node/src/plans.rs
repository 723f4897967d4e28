//! Plans in the form that people and scripts see.

use evenfold_core::plan::{Change, Plan};
use evenfold_core::safety::Halt;
use evenfold_core::{Digest, Entry, Side};
use evenfold_engine::{CycleReport, Ending};

use crate::api::{ChangeInfo, HaltInfo, Movement, PlanInfo};
use crate::text::path_text;

/// Changes that are listed one by one for each side; the numbers cover all.
const LISTED: usize = 1000;

/// Describes what a report left to do.
pub(crate) fn plan_info(report: &CycleReport, id: Option<Digest>, ours: &str, theirs: &str) -> PlanInfo {
    let plan = &report.plan;
    let mut changes = Vec::new();
    for (side, machine) in [(Side::Ours, ours), (Side::Theirs, theirs)] {
        let copies = plan.copies(side).iter().map(|change| change_info(change, machine, true));
        let others = plan.changes(side).iter().map(|change| change_info(change, machine, false));
        changes.extend(copies.chain(others).take(LISTED));
    }
    PlanInfo {
        id: id.map(|id| id.short(16)),
        kind: String::new(),
        ours: ours.to_owned(),
        theirs: theirs.to_owned(),
        here: movement(plan, Side::Ours),
        there: movement(plan, Side::Theirs),
        conflicts: (plan.conflicts.len() + report.settled.len()) as u64,
        blocked: report.blocked.len() as u64,
        free_here: None,
        free_there: None,
        changes,
        halt: match &report.ending {
            Ending::Held(halt) => Some(halt_info(halt, id, ours, theirs)),
            _ => None,
        },
    }
}

fn movement(plan: &Plan, side: Side) -> Movement {
    let mut movement = Movement::default();
    for change in plan.copies(side).iter().chain(plan.changes(side)) {
        let new = change.new.as_ref().map(Entry::totals).unwrap_or_default();
        let old = change.old.as_ref().map(Entry::totals).unwrap_or_default();
        match (&change.old, &change.new) {
            (Some(Entry::Dir(_)), Some(Entry::Dir(_))) => {}
            (None, _) => {
                movement.new += new.files;
                movement.bytes += new.bytes;
            }
            (Some(_), None) => movement.deleted += old.files,
            (Some(a), Some(b)) => {
                movement.replaced += old.files.max(1);
                if !a.same_content(b) {
                    movement.bytes += new.bytes;
                }
            }
        }
    }
    movement
}

pub(crate) fn change_info(change: &Change, machine: &str, copy: bool) -> ChangeInfo {
    let totals = change.new.as_ref().or(change.old.as_ref()).map(Entry::totals).unwrap_or_default();
    let act = match (&change.old, &change.new) {
        _ if copy => "conflict-copy",
        (None, _) => "create",
        (Some(_), None) => "delete",
        (Some(Entry::Dir(_)), Some(Entry::Dir(_))) => "metadata",
        (Some(old), Some(new)) if old.same_content(new) => "metadata",
        _ => "replace",
    };
    ChangeInfo {
        node: machine.to_owned(),
        path: path_text(change.path.as_bytes()),
        act: act.to_owned(),
        bytes: totals.bytes,
        files: totals.files,
    }
}

/// Describes a halt: what happened and where, that nothing was changed, and what to do.
pub(crate) fn halt_info(halt: &Halt, plan: Option<Digest>, ours: &str, theirs: &str) -> HaltInfo {
    let machine = |side: &Side| match side {
        Side::Ours => ours,
        Side::Theirs => theirs,
    };
    let plan = plan.map(|id| id.short(16));
    let approve = |what: &str| match &plan {
        Some(id) => format!("if {what} is meant, run 'evenfold apply {id}'; otherwise put the files back"),
        None => format!("if {what} is not meant, put the files back"),
    };
    let (message, hint) = match halt {
        Halt::RootMissing(side) => (
            format!("the folder on {} is missing; nothing was changed anywhere", machine(side)),
            "mount the disk or put the folder back; syncing then goes on by itself".to_owned(),
        ),
        Halt::RootReplaced(side) => (
            format!(
                "the folder on {} is not the one that was joined; nothing was changed anywhere",
                machine(side)
            ),
            "put the right folder back, or remove the relationship and join again with this one".to_owned(),
        ),
        Halt::RootUnreadable(side, detail) => (
            format!("the folder on {} cannot be read: {detail}; nothing was changed anywhere", machine(side)),
            "mend the permissions or the disk; syncing then goes on by itself".to_owned(),
        ),
        Halt::RootEmptied(side, before) => (
            format!(
                "the folder on {} is empty, but held {before} items before; nothing was deleted anywhere",
                machine(side)
            ),
            approve("deleting everything"),
        ),
        Halt::TooManyDeletions { on, deleting, of } => (
            format!("would delete {deleting} of {of} items on {}; nothing was changed anywhere", machine(on)),
            approve("that"),
        ),
    };
    let (about, items, of) = match halt {
        Halt::RootMissing(side) | Halt::RootReplaced(side) | Halt::RootUnreadable(side, _) => {
            (side, None, None)
        }
        Halt::RootEmptied(side, before) => (side, Some(*before), None),
        Halt::TooManyDeletions { on, deleting, of } => (on, Some(*deleting), Some(*of)),
    };
    HaltInfo {
        code: halt.code().to_owned(),
        message,
        hint,
        plan,
        machine: Some(machine(about).to_owned()),
        items,
        of,
    }
}
