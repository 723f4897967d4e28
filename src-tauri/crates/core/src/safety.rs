//! Refusing to proceed: every reason why a plan is held instead of carried out.

use std::collections::HashMap;
use std::sync::Arc;

use crate::digest::Digest;
use crate::entry::{Dir, Entry};
use crate::plan::{Change, Plan};
use crate::policy::{Guard, Side};

/// Why a relationship does nothing until a person has looked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The root folder is not there: unmounted, moved or deleted.
    #[error("the folder is missing")]
    RootMissing(Side),
    /// The folder is there but is not the one that was joined: another disk, or remade by hand.
    #[error("the folder is not the one that was joined")]
    RootReplaced(Side),
    /// The folder could not be read at all.
    #[error("the folder cannot be read: {1}")]
    RootUnreadable(Side, String),
    /// Everything in it is gone at once.
    #[error("the folder is empty, but held {1} items before")]
    RootEmptied(Side, u64),
    /// More deletions than the guard allows.
    #[error("would delete {deleting} of {of} items")]
    TooManyDeletions {
        /// Where the items would be deleted.
        on: Side,
        /// How many would be deleted, renames not counted.
        deleting: u64,
        /// How many there are.
        of: u64,
    },
}

impl Halt {
    /// Returns the stable code of the halt.
    pub fn code(&self) -> &'static str {
        match self {
            Halt::RootMissing(_) => "root-missing",
            Halt::RootReplaced(_) => "root-replaced",
            Halt::RootUnreadable(..) => "root-unreadable",
            Halt::RootEmptied(..) => "root-emptied",
            Halt::TooManyDeletions { .. } => "too-many-deletions",
        }
    }

    /// Tells whether a person can approve the plan that was held; otherwise the cause must be mended.
    pub fn approvable(&self) -> bool {
        matches!(self, Halt::RootEmptied(..) | Halt::TooManyDeletions { .. })
    }
}

/// A plan that may be carried out. There is no other way to make one than [`approve`].
#[derive(Debug, Clone)]
pub struct ApprovedPlan(Plan);

impl ApprovedPlan {
    /// Returns the plan.
    pub fn plan(&self) -> &Plan {
        &self.0
    }

    /// Returns the plan itself.
    pub fn into_plan(self) -> Plan {
        self.0
    }
}

/// The three trees from which a plan was made.
#[derive(Debug, Clone, Copy)]
pub struct Trees<'a> {
    /// The last tree on which both agreed.
    pub ancestor: &'a Arc<Dir>,
    /// Our tree.
    pub ours: &'a Arc<Dir>,
    /// Their tree.
    pub theirs: &'a Arc<Dir>,
}

/// Lets a plan pass, or holds it.
///
/// `approved` is the id of a plan that a person has seen and approved; it lets exactly that plan pass.
///
/// # Errors
/// The reason for holding it, together with the plan, so that it can be shown.
pub fn approve(
    plan: Plan,
    trees: Trees<'_>,
    guard: &Guard,
    approved: Option<Digest>,
) -> Result<ApprovedPlan, Box<(Halt, Plan)>> {
    let seen = approved.is_some_and(|id| id == plan.id());
    if !seen && let Some(halt) = reason_to_hold(&plan, trees, guard) {
        return Err(Box::new((halt, plan)));
    }
    Ok(ApprovedPlan(plan))
}

fn reason_to_hold(plan: &Plan, trees: Trees<'_>, guard: &Guard) -> Option<Halt> {
    let before = trees.ancestor.totals().items();
    for (side, tree) in [(Side::Ours, trees.ours), (Side::Theirs, trees.theirs)] {
        // An empty folder is what an unmounted disk looks like. Only what it would delete elsewhere matters.
        let deletes = plan.changes(side.other()).iter().any(|change| deleted_items(change) > 0);
        if deletes && before > 0 && tree.children().is_empty() {
            return Some(Halt::RootEmptied(side, before));
        }
    }
    for (side, tree) in [(Side::Ours, trees.ours), (Side::Theirs, trees.theirs)] {
        let changes = plan.changes(side);
        let upper: u64 = changes.iter().map(deleted_items).sum();
        let of = tree.totals().items();
        if exceeds(upper, of, guard) {
            let deleting = upper - renamed_files(changes).min(upper);
            if exceeds(deleting, of, guard) {
                return Some(Halt::TooManyDeletions { on: side, deleting, of });
            }
        }
    }
    None
}

/// A single deletion is no batch: in a folder of three files everybody may delete one.
fn exceeds(deleting: u64, of: u64, guard: &Guard) -> bool {
    let too_many = guard.count.is_some_and(|limit| deleting > limit);
    let too_large_a_share = guard
        .percent
        .is_some_and(|limit| deleting > 1 && u128::from(deleting) * 100 > u128::from(of) * u128::from(limit));
    too_many || too_large_a_share
}

/// Counts the items that a change takes away: a deletion, or a directory that gives way to something else.
fn deleted_items(change: &Change) -> u64 {
    match (&change.old, &change.new) {
        (Some(Entry::Dir(_)), Some(Entry::Dir(_))) => 0,
        (Some(old @ Entry::Dir(_)), Some(_)) => old.totals().items().saturating_sub(1),
        (Some(old), None) => old.totals().items(),
        _ => 0,
    }
}

/// Counts the deleted items whose content is created elsewhere by the same changes: the halves of renames.
/// A directory counts as renamed when one of equal listing is created.
fn renamed_files(changes: &[Change]) -> u64 {
    let mut created: HashMap<Digest, u64> = HashMap::new();
    for change in changes.iter().filter(|change| change.old.is_none()) {
        each_item(change.new.as_ref(), &mut |digest| *created.entry(digest).or_default() += 1);
    }
    let mut renamed = 0;
    for change in changes.iter().filter(|change| deleted_items(change) > 0) {
        each_item(change.old.as_ref(), &mut |digest| {
            if let Some(left) = created.get_mut(&digest).filter(|left| **left > 0) {
                *left -= 1;
                renamed += 1;
            }
        });
    }
    renamed
}

fn each_item(entry: Option<&Entry>, visit: &mut dyn FnMut(Digest)) {
    match entry {
        Some(Entry::File(file)) => visit(file.digest),
        Some(Entry::Symlink(link)) => visit(Digest::of(&link.target)),
        Some(Entry::Dir(dir)) => {
            visit(dir.digest());
            for child in dir.children() {
                each_item(Some(&child.entry), visit);
            }
        }
        Some(Entry::Unknown(_)) | None => {}
    }
}
