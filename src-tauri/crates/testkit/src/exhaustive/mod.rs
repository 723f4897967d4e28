//! The exhaustive small-scope check of the core: every triple of small trees, every policy, every property.
//!
//! A mistake in a reconcile shows in small trees, if all of them are tried. [`check`] runs one triple: it
//! reconciles, settles, carries the plan out in memory (comparing `old` as a disk would), commits, and asserts
//! the promises of the design as [`Property`]s. It takes the functions under test as values, so that the same
//! check runs against seeded mistakes.

mod check;
mod meaning;
mod partial;
pub mod run;
pub mod space;
pub mod world;

use std::fmt;
use std::sync::Arc;

use evenfold_core::commit::common;
use evenfold_core::edit::Edit;
use evenfold_core::settle::Authors;
use evenfold_core::{Conflict, ConflictRule, Deletion, Dir, Flow, Plan, Policy, Side};

pub use check::{check, check_all};

/// The functions under test.
#[derive(Clone, Copy)]
pub struct Subject {
    /// `reconcile(ancestor, ours, theirs, policy)`.
    pub reconcile: fn(&Arc<Dir>, &Arc<Dir>, &Arc<Dir>, &Policy) -> Plan,
    /// `settle(plan, rule, ours, theirs, authors)`.
    pub settle: Settle,
    /// `record(ancestor, ours, theirs, touched)`: how the ancestor changes, given both trees afterwards.
    pub record: Record,
}

/// The type of [`evenfold_core::commit::common`].
pub type Record = fn(&Arc<Dir>, &Arc<Dir>, &Arc<Dir>, &[Edit]) -> Vec<Edit>;

/// The type of [`evenfold_core::settle::settle`].
pub type Settle =
    fn(&mut Plan, ConflictRule, &Arc<Dir>, &Arc<Dir>, &mut dyn FnMut(&Conflict) -> Authors) -> Vec<Conflict>;

impl Subject {
    /// The core as it is.
    pub const CORE: Subject = Subject {
        reconcile: evenfold_core::reconcile::reconcile,
        settle: evenfold_core::settle::settle,
        record: |ancestor, ours, theirs, touched| common(ancestor, ours, theirs, touched),
    };
}

/// What must hold for every triple.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Property {
    /// Every change finds what it expects where nobody interferes.
    ChangesApply,
    /// What one side holds and the other has not seen is there afterwards, or in a conflict copy on both sides.
    NothingLost,
    /// What appears or vanishes at a path of one side comes from the other side.
    OnlyPropagated,
    /// What one side edited and the other deleted is on both sides afterwards.
    EditWins,
    /// What one side deleted and the other left as it was agreed is gone afterwards.
    DeletionTravels,
    /// Where deletions do not travel, nothing vanishes.
    DeletionIgnored,
    /// Both sides are equal afterwards, except where a conflict or a reason says otherwise.
    Converges,
    /// Every path that does not converge has a conflict or a reason.
    ReasonMissing,
    /// No path has two of them, and none is given where nothing differs.
    ReasonTwice,
    /// Exchanging the sides exchanges the two halves of the plan and nothing else.
    Symmetric,
    /// A second reconcile moves nothing and records nothing.
    Idempotent,
    /// Nothing at or below a conflict changes.
    ConflictUntouched,
    /// A one-way relationship never changes its source, a comparison nothing at all.
    SourceUntouched,
    /// Nothing at or below what could not be looked at moves, on either side.
    UnknownUntouched,
    /// Whatever part of a plan is carried out, later cycles arrive where the whole would have arrived.
    PartsConverge,
}

/// A property that a triple breaks.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which.
    pub property: Property,
    /// Where and how.
    pub detail: String,
}

impl Violation {
    pub(crate) fn new<T>(property: Property, detail: impl fmt::Display) -> Result<T, Violation> {
        Err(Violation { property, detail: detail.to_string() })
    }
}

/// Three trees to reconcile.
#[derive(Clone)]
pub struct Triple {
    /// The last tree on which both agreed.
    pub ancestor: Arc<Dir>,
    /// Our tree.
    pub ours: Arc<Dir>,
    /// Their tree.
    pub theirs: Arc<Dir>,
}

impl fmt::Display for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, o, t] = [&self.ancestor, &self.ours, &self.theirs].map(|dir| space::print(dir));
        write!(f, "ancestor [{a}] ours [{o}] theirs [{t}]")
    }
}

/// Returns every combination of options that makes a difference.
pub fn policies() -> Vec<Policy> {
    let mut all =
        vec![Policy { flow: Flow::None, deletion: Deletion::Propagate, conflict: ConflictRule::KeepBoth }];
    for flow in [Flow::Both, Flow::From(Side::Ours), Flow::From(Side::Theirs)] {
        for deletion in [Deletion::Propagate, Deletion::Ignore] {
            for conflict in [
                ConflictRule::KeepBoth,
                ConflictRule::Newest,
                ConflictRule::Prefer(Side::Ours),
                ConflictRule::Prefer(Side::Theirs),
                ConflictRule::Refuse,
            ] {
                all.push(Policy { flow, deletion, conflict });
            }
        }
    }
    all
}

/// The policy under which everything travels and both contents of a conflict are kept.
pub const TWO_WAY: Policy =
    Policy { flow: Flow::Both, deletion: Deletion::Propagate, conflict: ConflictRule::KeepBoth };
