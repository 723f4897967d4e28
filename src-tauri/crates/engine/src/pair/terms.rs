//! The terms of a cycle: what it obeys, how closely it looks, what it may do, and what it reports.

use std::sync::Arc;
use std::time::Duration;

use evenfold_core::batch::Limit;
use evenfold_core::diff::{Drift, compare};
use evenfold_core::plan::{Blocked, Conflict, Plan, Reason};
use evenfold_core::policy::{Guard, Policy, Side};
use evenfold_core::safety::Halt;
use evenfold_core::select::filter;
use evenfold_core::snapshot::{Extent, Problem};
use evenfold_core::tracking::Tracking;
use evenfold_core::{Digest, Dir, RelPath};

use crate::ports::{EndpointError, StoreError};

/// Decides whether a path takes part; see [`evenfold_core::select`].
pub type TakesPart = Arc<dyn Fn(&RelPath, bool) -> bool + Send + Sync>;

/// The options that a cycle obeys.
#[derive(Clone)]
pub struct PairSettings {
    /// What the reconcile obeys.
    pub policy: Policy,
    /// When deletions are held.
    pub guard: Guard,
    /// Which paths take part.
    pub takes_part: TakesPart,
    /// Which of our paths somebody chose by hand; all if `None`.
    pub tracking: Option<Arc<Tracking>>,
    /// How much one batch may hold.
    pub limit: Limit,
    /// How it goes about it.
    pub habits: Habits,
}

/// How a pair goes about its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Habits {
    /// How long what would travel by itself must have been the same, in microseconds.
    pub settle: i64,
    /// Whether looking at everything means reading all contents again.
    pub thorough: bool,
    /// Whether no batch is begun after something was refused, until the next cycle.
    pub stop_on_error: bool,
}

/// How closely a cycle looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// At the snapshots that the watchers keep current.
    Current,
    /// At everything on both disks, by sizes and times.
    Full,
    /// At all contents on both disks.
    Deep,
}

impl Look {
    pub(super) fn extent(self) -> Extent {
        match self {
            Look::Current => Extent::Paths(Vec::new()),
            Look::Full => Extent::Full,
            Look::Deep => Extent::Deep,
        }
    }
}

/// What a cycle may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Make a plan and stop.
    PlanOnly,
    /// Carry out what `safety` lets pass.
    Normal,
    /// Carry out exactly the plan with this id, which a person has seen; refuse any other.
    Exactly(Digest),
}

/// How a cycle ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Both sides were compared by digest and are equal.
    Equal,
    /// Something differs still; `blocked` says why.
    Differs,
    /// Conflicts wait for a person.
    Conflicts,
    /// The plan was held.
    Held(Halt),
    /// The plan was made and not carried out, as asked.
    Planned,
    /// The other side holds changes that ours has not seen, so nothing was pushed.
    MovedOn,
}

/// What a cycle found and did.
#[derive(Debug, Clone)]
pub struct CycleReport {
    /// How it ended.
    pub ending: Ending,
    /// The plan that is left: what was held or only planned, or what could not be carried out.
    pub plan: Plan,
    /// Conflicts that a rule settled in this cycle.
    pub settled: Vec<Conflict>,
    /// Paths that do not converge, and why.
    pub blocked: Vec<Blocked>,
    /// Conflict copies that stand in our folder.
    pub conflict_copies: u64,
    /// Files put in place or taken away on either side.
    pub files: u64,
    /// Bytes of content that travelled.
    pub bytes: u64,
    /// The last agreed tree after the cycle.
    pub ancestor: Arc<Dir>,
    /// Our tree after the cycle.
    pub ours: Arc<Dir>,
    /// Their tree after the cycle.
    pub theirs: Arc<Dir>,
    /// What could not be looked at on our side.
    pub problems: Vec<Problem>,
    /// When both trees were compared, in microseconds since 1970.
    pub compared_at: i64,
    /// Whether another cycle soon has something to do.
    pub again: bool,
    /// After which time something will have held still for long enough to travel.
    pub settles_in: Option<Duration>,
}

impl CycleReport {
    /// Returns what differs now; `source` is the side that the other is measured against.
    pub fn drift(&self, source: Side) -> Drift {
        compare(Some(&self.ancestor), &self.ours, &self.theirs, source)
    }

    /// Returns how the cycle would have ended if it had not only planned.
    pub fn as_compared(&self) -> CycleReport {
        let ending = ending_of(&self.plan, &[], self.conflict_copies);
        CycleReport { ending, ..self.clone() }
    }
}

/// Why a cycle could not be completed. What it accomplished before is recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CycleError {
    /// An endpoint failed.
    #[error("{1}")]
    Endpoint(Side, EndpointError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The plan that was to be applied does not fit the present state any more; nothing was changed.
    #[error("the folders have changed since this plan was made")]
    PlanOutdated,
    /// The relationship was paused or ended in the middle; what was done stays done.
    #[error("the relationship was paused")]
    Paused,
}

/// Says how a cycle ends that leaves `plan` to do and was refused some paths.
pub(super) fn ending_of(plan: &Plan, refused: &[Blocked], conflict_copies: u64) -> Ending {
    let stands_in_the_way = |blocked: &Blocked| {
        !matches!(&blocked.reason, Reason::DeletionIgnored)
            && !matches!(&blocked.reason, Reason::Problem(_, kind) if kind.takes_no_part())
    };
    if !plan.conflicts.is_empty() || conflict_copies > 0 {
        Ending::Conflicts
    } else if plan.moves_nothing() && refused.is_empty() && !plan.blocked.iter().any(stands_in_the_way) {
        Ending::Equal
    } else {
        Ending::Differs
    }
}

impl PairSettings {
    /// Returns what is left of a recorded tree under these rules.
    pub(super) fn left_of(&self, tree: &Arc<Dir>) -> Arc<Dir> {
        let left = filter(tree, &*self.takes_part);
        self.tracking.as_ref().map_or(left.clone(), |tracking| tracking.without_untracked(&left))
    }
}
