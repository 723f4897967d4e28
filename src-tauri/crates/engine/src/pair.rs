//! One pair: this spoke's folder and the hub's, and the cycle that makes them equal.
//!
//! A cycle is: look at both folders, reconcile with the ancestor, settle conflicts, ask `safety`, carry out,
//! record, look again; until nothing is left to do or something needs a person.

mod terms;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::diff::{Drift, compare};
use evenfold_core::edit::{Edit, edit};
use evenfold_core::patience::Patience;
use evenfold_core::plan::{Blocked, Conflict, Plan, Reason};
use evenfold_core::policy::{ConflictRule, Flow, Side};
use evenfold_core::reconcile::reconcile;
use evenfold_core::safety::{Halt, Trees, approve};
use evenfold_core::scope::{Direction, Scope, forced, moved_on, narrow, spare};
use evenfold_core::settle::{Authors, settle, winner};
use evenfold_core::snapshot::Snapshot;
use evenfold_core::{Dir, Entry, ProblemKind, RelPath};

use crate::execute::{Execution, Manner};
use crate::history::{Act, ActKind, act_of_conflict, act_of_halt};
use crate::ports::{Clock, Commit, Endpoint, EndpointError, Epochs, Intent, Store, StoreError};
use crate::progress::{Phase, Progress};
use crate::record::{edits_of_agreements, recover};

use terms::ending_of;
pub use terms::{CycleError, CycleReport, Ending, Habits, Look, PairSettings, Permission, TakesPart};

/// After so many rounds a cycle ends although something is left: somebody keeps changing what we look at.
const MAX_ROUNDS: usize = 6;

/// Authors are asked for at most so many conflicts of a cycle, so that a mass conflict costs no mass of round trips.
const MAX_AUTHORS: usize = 256;

/// One pair and what is remembered of it between cycles.
pub struct Pair {
    ours: Arc<dyn Endpoint>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    progress: Arc<Progress>,
    settings: PairSettings,
    batch_ids: BatchIds,
    memory: Option<Memory>,
    /// What is left of the recorded ancestor under the settings, where it was wanted before the first cycle.
    stored: Option<Arc<Dir>>,
    patience: Patience,
}

/// Where the ids of batches come from.
pub type BatchIds = Arc<dyn Fn() -> u128 + Send + Sync>;

/// What is remembered between cycles; the same as the store holds.
pub(crate) struct Memory {
    pub(crate) ancestor: Arc<Dir>,
    pub(crate) epochs: Epochs,
    /// Effects that were intended and whose outcome is not known yet.
    pub(crate) intents: Vec<Intent>,
    theirs: Option<Arc<Dir>>,
}

impl Pair {
    /// Makes a pair; nothing is read before the first cycle.
    pub fn new(
        ours: Arc<dyn Endpoint>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        progress: Arc<Progress>,
        settings: PairSettings,
    ) -> Self {
        Pair {
            ours,
            store,
            clock,
            progress,
            settings,
            batch_ids: Arc::new(rand::random),
            memory: None,
            stored: None,
            patience: Patience::default(),
        }
    }

    /// Takes the ids of batches from somewhere else than chance, so that a run can be repeated exactly.
    pub fn set_batch_ids(&mut self, ids: BatchIds) {
        self.batch_ids = ids;
    }

    /// Takes new settings, from the next cycle on. Paths that do not take part any more are forgotten, not
    /// deleted.
    pub fn set_settings(&mut self, settings: PairSettings) {
        if let Some(memory) = &mut self.memory {
            memory.ancestor = settings.left_of(&memory.ancestor);
        }
        self.stored = None;
        self.settings = settings;
    }

    /// Returns how closely a cycle looks that was told to look like this.
    pub fn closeness(&self, look: Look) -> Look {
        if look == Look::Full && self.settings.habits.thorough { Look::Deep } else { look }
    }

    /// Tells whether somebody chooses by hand what is sent.
    pub fn is_by_hand(&self) -> bool {
        self.settings.tracking.is_some()
    }

    /// Compares our folder with what both sides agreed on last, without the other side: what changed here since then
    /// waits to travel. `None` if nothing was ever agreed on, so that nothing can be said.
    ///
    /// # Errors
    /// Where our endpoint or the store fails.
    pub async fn waiting(&mut self) -> Result<Option<Drift>, CycleError> {
        let ours = self.ours.scan(Look::Current.extent(), &[]).await.map_err(on(Side::Ours))?.tree;
        let ancestor = match (&self.memory, &self.stored) {
            (Some(memory), _) => memory.ancestor.clone(),
            (None, Some(stored)) => stored.clone(),
            (None, None) => {
                let recorded = self.store.load(&ours).await?.ancestor;
                self.stored.insert(self.settings.left_of(&recorded)).clone()
            }
        };
        if ancestor.children().is_empty() {
            return Ok(None);
        }
        let ours = match &self.settings.tracking {
            Some(tracking) => tracking.choose(&ours, &ancestor, &ancestor),
            None => ours,
        };
        Ok(Some(compare(Some(&ancestor), &ours, &ancestor, Side::Ours)))
    }

    /// Runs one cycle with the hub's endpoint `theirs`.
    ///
    /// # Errors
    /// Where an endpoint or the store fails. A root that is missing, replaced or unreadable is no error but a
    /// halt. Dropping the future is safe at any point: what was applied is recognised by the next cycle.
    pub async fn cycle(
        &mut self,
        theirs: &Arc<dyn Endpoint>,
        look: Look,
        permission: Permission,
    ) -> Result<CycleReport, CycleError> {
        self.cycle_within(theirs, look, permission, &Scope::whole()).await
    }

    /// Runs one cycle that carries out a part of what it finds; see [`Pair::cycle`]. The report is about everything.
    ///
    /// # Errors
    /// As [`Pair::cycle`].
    pub async fn cycle_within(
        &mut self,
        theirs: &Arc<dyn Endpoint>,
        look: Look,
        permission: Permission,
        scope: &Scope,
    ) -> Result<CycleReport, CycleError> {
        let result = self.run(theirs, look, permission, scope).await;
        self.progress.enter(Phase::Idle);
        match result {
            Err(CycleError::Endpoint(side, error)) => match error.as_halt(side) {
                Some(halt) => self.held_root(halt).await,
                None => Err(CycleError::Endpoint(side, error)),
            },
            other => other,
        }
    }

    async fn run(
        &mut self,
        theirs: &Arc<dyn Endpoint>,
        look: Look,
        permission: Permission,
        scope: &Scope,
    ) -> Result<CycleReport, CycleError> {
        self.progress.enter(Phase::Scanning);
        let mut seen = self.look(theirs, look).await?;
        self.remember(&seen).await?;
        self.choose(&mut seen)?;
        let mut work = Work::default();
        // What a person asked for, or wants to see, does not wait.
        let patient = permission == Permission::Normal && scope.direction == Direction::Both;
        for round in 0..MAX_ROUNDS {
            self.progress.enter(Phase::Comparing);
            let (plan, settled) = self.plan(theirs, &seen, scope, patient, &mut work).await?;
            if self.is_refused(scope, &plan, &settled)? {
                return Ok(self.report(Ending::MovedOn, plan, settled, work, &seen));
            }
            let plan = match scope.force {
                true => forced(plan, &scope.within(&seen.ours.tree), &scope.within(&seen.theirs.tree)),
                false => narrow(plan, scope.direction),
            };
            if permission == Permission::PlanOnly {
                return Ok(self.report(Ending::Planned, plan, settled, work, &seen));
            }
            let approved = match permission {
                Permission::Exactly(id) if round == 0 && plan.id() != id => {
                    return Err(CycleError::PlanOutdated);
                }
                Permission::Exactly(id) if round == 0 => Some(id),
                _ => None,
            };
            let ancestor = self.memory()?.ancestor.clone();
            let trees = Trees { ancestor: &ancestor, ours: &seen.ours.tree, theirs: &seen.theirs.tree };
            let approved = match approve(plan, trees, &self.settings.guard, approved) {
                Ok(approved) => approved,
                Err(held) => {
                    let (halt, plan) = *held;
                    let commit = Commit { acts: vec![act_of_halt(&halt)], ..self.commit()? };
                    self.store.commit(commit).await?;
                    return Ok(self.report(Ending::Held(halt), plan, settled, work, &seen));
                }
            };
            if approved.plan().moves_nothing() {
                self.agree(approved.plan()).await?;
                if !scope.is_whole() {
                    break;
                }
                return Ok(self.finish(approved.into_plan(), settled, work, &seen));
            }
            let plan = approved.into_plan();
            let before = work.files;
            self.progress.enter(Phase::Transferring);
            self.execute(theirs, &plan, settled, &seen, scope, &mut work).await?;
            self.progress.enter(Phase::Comparing);
            seen = self.look(theirs, Look::Current).await?;
            self.choose(&mut seen)?;
            // What somebody asked for in one direction is done once: what came meanwhile they have not seen.
            let once = permission != Permission::Normal || scope.direction != Direction::Both;
            if work.files == before || once {
                break;
            }
        }
        let (plan, _) = self.plan(theirs, &seen, &Scope::whole(), patient, &mut work).await?;
        if plan.moves_nothing() {
            self.agree(&plan).await?;
        }
        Ok(self.finish(plan, Vec::new(), work, &seen))
    }

    async fn look(&mut self, theirs: &Arc<dyn Endpoint>, look: Look) -> Result<Seen, CycleError> {
        let mut known = Vec::with_capacity(3);
        if let Some(memory) = &self.memory {
            known.extend(memory.theirs.clone());
            known.push(memory.ancestor.clone());
        }
        // Our own tree shares most with theirs, so it is looked at first when that costs nothing.
        let (ours, theirs) = if look == Look::Current {
            let ours = self.ours.scan(look.extent(), &[]).await.map_err(on(Side::Ours))?;
            known.push(ours.tree.clone());
            (ours, theirs.scan(look.extent(), &known).await.map_err(on(Side::Theirs))?)
        } else {
            let both = tokio::join!(self.ours.scan(look.extent(), &[]), theirs.scan(look.extent(), &known));
            (both.0.map_err(on(Side::Ours))?, both.1.map_err(on(Side::Theirs))?)
        };
        if let Some(memory) = &mut self.memory {
            memory.theirs = Some(theirs.tree.clone());
        }
        Ok(Seen { whole: [ours.tree.clone(), theirs.tree.clone()], ours, theirs })
    }

    /// Leaves of both trees what takes part by somebody's choice.
    fn choose(&self, seen: &mut Seen) -> Result<(), CycleError> {
        if let Some(tracking) = &self.settings.tracking {
            seen.theirs.tree = tracking.without_untracked(&seen.whole[1]);
            seen.ours.tree = tracking.choose(&seen.whole[0], &self.memory()?.ancestor, &seen.theirs.tree);
        }
        Ok(())
    }

    /// Tells whether a push would go past changes that this side has not seen.
    fn is_refused(&self, scope: &Scope, plan: &Plan, settled: &[Conflict]) -> Result<bool, CycleError> {
        let first = self.memory()?.ancestor.children().is_empty();
        Ok(scope.direction == Direction::Push
            && !scope.force
            && (!settled.is_empty() || moved_on(plan, first)))
    }

    /// Reads the record at the first cycle, voids it where folder or database were rolled back, and brings it
    /// up to what intended effects did before an interruption.
    async fn remember(&mut self, seen: &Seen) -> Result<(), CycleError> {
        let just_read = self.memory.is_none();
        if just_read {
            let record = self.store.load(&seen.ours.tree).await?;
            self.stored = None;
            let ancestor = self.settings.left_of(&record.ancestor);
            let epochs = record.epochs;
            self.memory = Some(Memory {
                ancestor,
                epochs,
                intents: record.intents,
                theirs: Some(seen.theirs.tree.clone()),
            });
        }
        let memory = self.memory.as_mut().ok_or_else(no_memory)?;
        let agreed = !memory.ancestor.children().is_empty();
        if let Some(why) = rolled_back(memory.epochs, seen, agreed, just_read) {
            // What the ancestor says happened has un-happened on one side. Without it, both sides are only
            // compared: what differs becomes a conflict, what is missing on one side is brought back.
            tracing::warn!(why, "comparing both sides anew");
            memory.ancestor = Arc::new(Dir::empty());
            memory.intents.clear();
            memory.epochs =
                Epochs { ours: seen.ours.epoch, ours_intended: seen.ours.epoch, theirs: seen.theirs.epoch };
            let act = Act {
                kind: ActKind::Compared,
                on: Side::Ours,
                path: RelPath::root(),
                old: None,
                new: None,
                detail: Some(why.to_owned()),
                batch: 0,
            };
            let commit = Commit { reset: true, clear_intents: true, acts: vec![act], ..self.commit()? };
            self.store.commit(commit).await?;
            return Ok(());
        }
        if !memory.intents.is_empty() {
            let (ancestor, edits) =
                recover(&memory.ancestor, &memory.intents, &seen.ours.tree, &seen.theirs.tree);
            memory.ancestor = ancestor;
            memory.intents.clear();
            memory.epochs = reached(memory.epochs, seen);
            let commit = Commit { ancestor: edits, clear_intents: true, ..self.commit()? };
            self.store.commit(commit).await?;
        }
        let memory = self.memory.as_mut().ok_or_else(no_memory)?;
        memory.epochs = reached(memory.epochs, seen);
        Ok(())
    }

    async fn plan(
        &mut self,
        theirs: &Arc<dyn Endpoint>,
        seen: &Seen,
        scope: &Scope,
        patient: bool,
        work: &mut Work,
    ) -> Result<(Plan, Vec<Conflict>), CycleError> {
        let ancestor = scope.within(&self.memory()?.ancestor);
        let (ours, theirs_tree) = (scope.within(&seen.ours.tree), scope.within(&seen.theirs.tree));
        let mut plan = reconcile(&ancestor, &ours, &theirs_tree, &self.settings.policy);
        if patient {
            let (settle, now) = (self.settings.habits.settle, self.clock.now_micros());
            let due = self.patience.hold(&mut plan, settle, now);
            work.settles_in = due.map(|due| Duration::from_micros(u64::try_from(due - now).unwrap_or(0)));
        }
        let rule = match self.settings.policy.flow {
            Flow::Both => self.settings.policy.conflict,
            Flow::From(_) | Flow::None => ConflictRule::Refuse,
        };
        let (ours_name, theirs_name) = (self.ours.machine(), theirs.machine());
        let mut authors: HashMap<RelPath, Authors> = HashMap::new();
        if rule == ConflictRule::KeepBoth {
            for conflict in plan.conflicts.iter().take(MAX_AUTHORS) {
                let theirs_author = match (winner(conflict), &conflict.theirs) {
                    (Some(Side::Ours), Some(Entry::File(file))) => {
                        theirs.author(&conflict.path, file.digest).await.map_err(on(Side::Theirs))?
                    }
                    _ => None,
                };
                let ours_author = match (winner(conflict), &conflict.ours) {
                    (Some(Side::Theirs), Some(Entry::File(file))) => {
                        self.ours.author(&conflict.path, file.digest).await.map_err(on(Side::Ours))?
                    }
                    _ => None,
                };
                let who = Authors {
                    ours: ours_author.unwrap_or_else(|| ours_name.clone()),
                    theirs: theirs_author.unwrap_or_else(|| theirs_name.clone()),
                };
                authors.insert(conflict.path.clone(), who);
            }
        }
        let [ours_whole, theirs_whole] = &seen.whole;
        let settled = settle(&mut plan, rule, ours_whole, theirs_whole, &mut |conflict| {
            let default = || Authors { ours: ours_name.clone(), theirs: theirs_name.clone() };
            authors.get(&conflict.path).cloned().unwrap_or_else(default)
        });
        if self.settings.tracking.is_some() || !scope.paths.is_empty() {
            spare(&mut plan, ours_whole, theirs_whole);
        }
        Ok((plan, settled))
    }

    async fn execute(
        &mut self,
        theirs: &Arc<dyn Endpoint>,
        plan: &Plan,
        settled: Vec<Conflict>,
        seen: &Seen,
        scope: &Scope,
        work: &mut Work,
    ) -> Result<(), CycleError> {
        let with_act = |conflict: Conflict| {
            let act = act_of_conflict(&conflict, self.how(&conflict));
            (conflict, act)
        };
        let settled: Vec<_> = settled.into_iter().map(with_act).collect();
        let memory = self.memory.as_mut().ok_or_else(no_memory)?;
        let execution = Execution {
            ours: &self.ours,
            theirs,
            store: &self.store,
            progress: &self.progress,
            limit: self.settings.limit,
            stop_on_error: self.settings.habits.stop_on_error,
            ours_tree: &seen.ours.tree,
            theirs_tree: &seen.theirs.tree,
            ours_epoch: seen.ours.epoch,
            batch_ids: &self.batch_ids,
            manner: match scope {
                Scope { force: true, .. } => Manner::TogetherAgain,
                Scope { direction: Direction::Push, .. } => Manner::Together,
                _ => Manner::Piecewise,
            },
        };
        let done = execution.carry_out(plan, &settled, memory).await?;
        // What waits for its copy is a conflict still, which the next round finds again.
        let refused: HashSet<&RelPath> = done.refused.iter().map(|blocked| &blocked.path).collect();
        let settled = settled.into_iter().map(|(conflict, _)| conflict);
        work.settled.extend(settled.filter(|conflict| !refused.contains(&conflict.path)));
        work.files += done.files;
        work.bytes += done.bytes;
        work.refused = done.refused;
        Ok(())
    }

    /// Records what both sides agree on without any disk being touched.
    async fn agree(&mut self, plan: &Plan) -> Result<(), CycleError> {
        if plan.agreed.is_empty() {
            return Ok(());
        }
        self.progress.enter(Phase::Committing);
        let edits: Vec<Edit> = edits_of_agreements(&plan.agreed);
        let commit = Commit { ancestor: edits.clone(), ..self.commit()? };
        self.store.commit(commit).await?;
        let memory = self.memory.as_mut().ok_or_else(no_memory)?;
        memory.ancestor = edit(&memory.ancestor, edits);
        Ok(())
    }

    /// The root of a side is missing, replaced or unreadable: nothing is known of what it holds, so nothing is
    /// planned, and a person is told.
    async fn held_root(&mut self, halt: Halt) -> Result<CycleReport, CycleError> {
        let ancestor =
            self.memory.as_ref().map_or_else(|| Arc::new(Dir::empty()), |memory| memory.ancestor.clone());
        let (ours, theirs) = (unknown_snapshot(&ancestor), unknown_snapshot(&ancestor));
        let seen = Seen { whole: [ours.tree.clone(), theirs.tree.clone()], ours, theirs };
        Ok(self.report(Ending::Held(halt), Plan::default(), Vec::new(), Work::default(), &seen))
    }

    fn finish(&self, plan: Plan, settled: Vec<Conflict>, mut work: Work, seen: &Seen) -> CycleReport {
        work.settled.extend(settled);
        // A refusal counts only while its path still differs.
        let differs = |path: &RelPath| seen.ours.tree.get(path) != seen.theirs.tree.get(path);
        work.refused.retain(|blocked| differs(&blocked.path));
        let copies = seen.ours.tree.totals().conflict_copies;
        let ending = ending_of(&plan, &work.refused, copies);
        self.report(ending, plan, Vec::new(), work, seen)
    }

    fn report(
        &self,
        ending: Ending,
        plan: Plan,
        settled: Vec<Conflict>,
        work: Work,
        seen: &Seen,
    ) -> CycleReport {
        let mut blocked = plan.blocked.clone();
        blocked
            .extend(work.refused.iter().filter(|r| !plan.blocked.iter().any(|b| b.path == r.path)).cloned());
        let changing = |blocked: &Blocked| {
            matches!(blocked.reason, Reason::Problem(_, ProblemKind::Changing) | Reason::Refused(..))
        };
        let again = matches!(ending, Ending::Differs | Ending::Conflicts)
            && (!plan.moves_nothing() || blocked.iter().any(changing));
        CycleReport {
            ending,
            plan,
            settled: [work.settled, settled].concat(),
            blocked,
            conflict_copies: seen.ours.tree.totals().conflict_copies,
            files: work.files,
            bytes: work.bytes,
            ancestor: self.memory.as_ref().map_or_else(|| Arc::new(Dir::empty()), |m| m.ancestor.clone()),
            ours: seen.ours.tree.clone(),
            theirs: seen.theirs.tree.clone(),
            problems: seen.ours.problems.clone(),
            compared_at: self.clock.now_micros(),
            again,
            settles_in: work.settles_in,
        }
    }

    fn commit(&self) -> Result<Commit, CycleError> {
        Ok(Commit { epochs: self.memory()?.epochs, ..Commit::default() })
    }

    fn memory(&self) -> Result<&Memory, CycleError> {
        self.memory.as_ref().ok_or_else(no_memory)
    }

    fn how(&self, conflict: &Conflict) -> &'static str {
        match self.settings.policy.conflict {
            ConflictRule::KeepBoth => "kept both",
            ConflictRule::Newest => "kept the newer version",
            ConflictRule::Prefer(_) => "kept the preferred side's version",
            ConflictRule::Refuse if conflict.ours.is_none() => "refused",
            ConflictRule::Refuse => "waits for a decision",
        }
    }
}

/// What both sides looked like at one moment.
pub(crate) struct Seen {
    /// Our tree and theirs with what takes no part by somebody's choice.
    pub(crate) whole: [Arc<Dir>; 2],
    pub(crate) ours: Snapshot,
    pub(crate) theirs: Snapshot,
}

#[derive(Default)]
struct Work {
    files: u64,
    bytes: u64,
    settled: Vec<Conflict>,
    refused: Vec<Blocked>,
    settles_in: Option<Duration>,
}

fn unknown_snapshot(tree: &Arc<Dir>) -> Snapshot {
    Snapshot { tree: tree.clone(), epoch: 0, problems: Vec::new() }
}

fn on(side: Side) -> impl Fn(EndpointError) -> CycleError {
    move |error| CycleError::Endpoint(side, error)
}

/// The memory is set before anything that needs it; saying so as an error keeps every path total.
fn no_memory() -> CycleError {
    CycleError::Store(StoreError("the record has not been read".to_owned()))
}

/// Epochs only grow while the program runs: also by restores and decisions that a person makes here.
fn reached(epochs: Epochs, seen: &Seen) -> Epochs {
    Epochs {
        ours: epochs.ours.max(seen.ours.epoch),
        ours_intended: epochs.ours_intended,
        theirs: epochs.theirs.max(seen.theirs.epoch),
    }
}

/// Tells whether a folder or the database is older than what was recorded. Only a record that was just read
/// can be too old.
fn rolled_back(epochs: Epochs, seen: &Seen, agreed: bool, just_read: bool) -> Option<&'static str> {
    if is_older(seen.ours.epoch, epochs.ours, agreed) {
        Some("this folder is older than its record: it was restored from a backup")
    } else if is_older(seen.theirs.epoch, epochs.theirs, agreed) {
        Some("the other folder is older than its record: it was restored from a backup")
    } else if just_read && seen.ours.epoch > epochs.ours.max(epochs.ours_intended) {
        Some("the record is older than this folder: the database was restored from a backup")
    } else {
        None
    }
}

/// Tells whether a folder of epoch `seen` was rolled back since `recorded`. It may have been changed since then, so
/// a later generation (the upper half of an epoch) says it, too; but before anything was `agreed` on, nothing was
/// recorded of a folder in which no batch was applied.
fn is_older(seen: u64, recorded: u64, agreed: bool) -> bool {
    seen < recorded || ((recorded > 0 || agreed) && seen >> 32 != recorded >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_that_was_rolled_back_is_noticed_however_many_batches_followed() {
        let older = |seen, recorded| is_older(seen, recorded, true);
        assert!(!older(7, 7) && !older(9, 7) && !older(3, 0));
        assert!(older(6, 7));
        assert!(older((1 << 32) + 20, 7), "a new generation");
        assert!(!older((1 << 32) + 20, (1 << 32) + 7));
        assert!(older(1 << 32, 0), "a folder that was only pulled from");
        assert!(!is_older(1 << 32, 0, false), "the first meeting");
    }
}
