//! Carrying out an approved plan: intents first, then batches, then the record of what was accomplished.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use evenfold_core::apply::{Batch, Outcome};
use evenfold_core::batch::{Limit, Step, assemble, assemble_again, one_step, steps};
use evenfold_core::commit::common;
use evenfold_core::edit::{Edit, edit};
use evenfold_core::plan::{Blocked, Change, Conflict, Plan, Reason};
use evenfold_core::policy::Side;
use evenfold_core::settle::hold_back;
use evenfold_core::{Digest, Dir, Entry, RelPath};
use tokio::sync::Mutex;

use crate::history::{Act, acts_of};
use crate::pair::{BatchIds, CycleError, Memory};
use crate::ports::{Commit, Endpoint, Store};
use crate::progress::Progress;
use crate::record::{edits_of, edits_of_agreements, intents_of, refused};
use crate::transfer::{Failure, transfer};

/// What is accomplished is recorded after so many changed files at the latest, and at the end.
const RECORD_EVERY: u64 = 8192;

/// How changes for one side are divided into batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Piece by piece, so that progress becomes visible and durable on the way.
    Piecewise,
    /// As a whole or not at all.
    Together,
    /// As a whole or not at all, with every content, also where the receiver holds it.
    TogetherAgain,
}

pub(crate) struct Execution<'a> {
    pub(crate) ours: &'a Arc<dyn Endpoint>,
    pub(crate) theirs: &'a Arc<dyn Endpoint>,
    pub(crate) store: &'a Arc<dyn Store>,
    pub(crate) progress: &'a Arc<Progress>,
    pub(crate) limit: Limit,
    /// Whether no batch is begun after something was refused.
    pub(crate) stop_on_error: bool,
    pub(crate) ours_tree: &'a Arc<Dir>,
    pub(crate) theirs_tree: &'a Arc<Dir>,
    pub(crate) ours_epoch: u64,
    pub(crate) batch_ids: &'a BatchIds,
    pub(crate) manner: Manner,
}

/// What was accomplished.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) refused: Vec<Blocked>,
}

/// What was accomplished so far, ahead of the store by what is pending.
struct Ledger<'a> {
    memory: &'a mut Memory,
    /// The ancestor with what is pending.
    ancestor: Arc<Dir>,
    /// Our tree as far as it was changed.
    ours: Arc<Dir>,
    /// Their tree as far as it was changed.
    theirs: Arc<Dir>,
    pending: Commit,
    pending_files: u64,
    done: Done,
}

impl Ledger<'_> {
    /// Takes note of what was done on one side. The ancestor takes of it what both sides hold now: a conflict
    /// copy, say, only after the second side has it.
    fn accomplished(&mut self, side: Side, done: &[Edit]) {
        let tree = match side {
            Side::Ours => &mut self.ours,
            Side::Theirs => &mut self.theirs,
        };
        *tree = edit(tree, done.iter().cloned());
        let edits = common(&self.ancestor, &self.ours, &self.theirs, done);
        self.ancestor = edit(&self.ancestor, edits.iter().cloned());
        self.pending.ancestor.extend(edits);
    }
}

impl Execution<'_> {
    /// Carries out `plan`, in which a rule `settled` conflicts. What was accomplished before an error is recorded;
    /// intents stay until the outcome of everything is known.
    pub(crate) async fn carry_out(
        &self,
        plan: &Plan,
        settled: &[(Conflict, Act)],
        memory: &mut Memory,
    ) -> Result<Done, CycleError> {
        let copies = [Side::Ours, Side::Theirs].map(|side| steps(plan.copies(side), self.limit));
        let changes = [Side::Ours, Side::Theirs].map(|side| match self.manner {
            Manner::Piecewise => steps(plan.changes(side), self.limit),
            Manner::Together | Manner::TogetherAgain => one_step(plan.changes(side)).into_iter().collect(),
        });
        self.expect(plan);
        // Durable before the first effect: after a crash these tell our own doing from a user's.
        let ours_batches = (copies[0].len() + changes[0].len()) as u64;
        memory.epochs.ours_intended = self.ours_epoch + ours_batches;
        memory.intents = intents_of(plan, self.ours_tree, self.theirs_tree);
        self.store.intend(memory.intents.clone(), memory.epochs.ours_intended).await?;

        let agreed = edits_of_agreements(&plan.agreed);
        let ledger = Mutex::new(Ledger {
            ancestor: edit(&memory.ancestor, agreed.iter().cloned()),
            ours: Arc::clone(self.ours_tree),
            theirs: Arc::clone(self.theirs_tree),
            memory,
            pending: Commit { ancestor: agreed, ..Commit::default() },
            pending_files: 0,
            done: Done::default(),
        });
        let result = self.both(plan, copies, changes, settled, &ledger).await;
        let mut ledger = ledger.into_inner();
        if result.is_ok() {
            ledger.pending.clear_intents = true;
        }
        self.record(&mut ledger).await?;
        result?;
        ledger.memory.intents.clear();
        Ok(ledger.done)
    }

    async fn both(
        &self,
        plan: &Plan,
        copies: [Vec<Step>; 2],
        mut changes: [Vec<Step>; 2],
        settled: &[(Conflict, Act)],
        ledger: &Mutex<Ledger<'_>>,
    ) -> Result<(), CycleError> {
        // Conflict copies stand on both sides before either version loses its name.
        for (side, steps) in [Side::Theirs, Side::Ours].into_iter().zip(copies.into_iter().rev()) {
            self.side(side, steps, ledger).await?;
        }
        {
            let mut ledger = ledger.lock().await;
            let waiting = waiting_for_copies(plan, settled, &ledger.done.refused);
            without(&mut changes, &waiting);
            let paths: HashSet<&RelPath> = waiting.iter().map(|held| &held.path).collect();
            let acts = settled.iter().filter(|(conflict, _)| !paths.contains(&conflict.path));
            ledger.pending.acts.extend(acts.map(|(_, act)| act.clone()));
            ledger.done.refused.extend(waiting);
        }
        let [ours, theirs] = changes;
        let results =
            tokio::join!(self.side(Side::Theirs, theirs, ledger), self.side(Side::Ours, ours, ledger));
        results.0?;
        results.1?;
        Ok(())
    }

    /// Carries out the steps for one side, one batch after the other.
    async fn side(&self, side: Side, steps: Vec<Step>, ledger: &Mutex<Ledger<'_>>) -> Result<(), CycleError> {
        let (receiver, supplier) = match side {
            Side::Ours => (self.ours, self.theirs),
            Side::Theirs => (self.theirs, self.ours),
        };
        let (receiver_tree, supplier_tree) = match side {
            Side::Ours => (self.ours_tree, self.theirs_tree),
            Side::Theirs => (self.theirs_tree, self.ours_tree),
        };
        let mut unstable: HashSet<RelPath> = HashSet::new();
        let mut missing: HashSet<Digest> = HashSet::new();
        for mut step in steps {
            if self.stop_on_error && !ledger.lock().await.done.refused.is_empty() {
                break;
            }
            // The deleting half of a move waits while its creating half is not in place.
            let waits = |change: &Change| {
                change.new.is_none() && change.old.as_ref().is_some_and(|old| old.holds_any(&missing))
            };
            step.changes.retain(|change| !waits(change));
            unstable.extend(step.moves.iter().map(|mv| mv.from.clone()));
            let replaced =
                step.changes.iter().filter(|change| change.old.is_some()).map(|change| change.path.clone());
            let replaced: Vec<_> = replaced.collect();
            let id = (self.batch_ids)();
            let mut batch = match self.manner {
                Manner::TogetherAgain => assemble_again(id, step),
                _ => assemble(id, step, supplier_tree, receiver_tree, &unstable),
            };
            batch.together = self.manner != Manner::Piecewise;
            let batch = Arc::new(batch);
            unstable.extend(replaced);
            let (report, bytes) = self.carry(&batch, supplier, receiver, side).await?;
            let refusals = refused(&batch, &report.outcomes, side);
            if !refusals.is_empty() {
                collect_missing(&batch, &report.outcomes, &mut missing);
            }
            let mut ledger = ledger.lock().await;
            let files = changed_files(&batch, &report.outcomes);
            self.progress.add_files(files);
            ledger.accomplished(side, &edits_of(&batch, &report.outcomes));
            ledger.pending.acts.extend(acts_of(&batch, &report.outcomes, side));
            match side {
                Side::Ours => ledger.memory.epochs.ours = ledger.memory.epochs.ours.max(report.epoch),
                Side::Theirs => ledger.memory.epochs.theirs = ledger.memory.epochs.theirs.max(report.epoch),
            }
            ledger.done.files += files;
            ledger.done.bytes += bytes;
            ledger.done.refused.extend(refusals);
            ledger.pending_files += files;
            if ledger.pending_files >= RECORD_EVERY {
                self.record(&mut ledger).await?;
            }
        }
        Ok(())
    }

    async fn record(&self, ledger: &mut Ledger<'_>) -> Result<(), CycleError> {
        let mut commit = std::mem::take(&mut ledger.pending);
        ledger.pending_files = 0;
        commit.epochs = ledger.memory.epochs;
        self.store.commit(commit).await?;
        ledger.memory.ancestor = Arc::clone(&ledger.ancestor);
        Ok(())
    }

    /// Moves the contents of one batch and has it applied. Returns the bytes of content that travelled, too.
    async fn carry(
        &self,
        batch: &Arc<Batch>,
        from: &Arc<dyn Endpoint>,
        to: &Arc<dyn Endpoint>,
        side: Side,
    ) -> Result<(evenfold_core::apply::Report, u64), CycleError> {
        transfer(batch, from, to, side, self.progress).await.map_err(|failure| match failure {
            Failure::Supplier(error) => CycleError::Endpoint(side.other(), error),
            Failure::Receiver(error) => CycleError::Endpoint(side, error),
        })
    }

    fn expect(&self, plan: &Plan) {
        let (mut files, mut bytes) = (0, 0);
        for side in [Side::Ours, Side::Theirs] {
            for change in plan.copies(side).iter().chain(plan.changes(side)) {
                files += files_of(change);
                bytes += change.new.as_ref().map_or(0, |new| new.totals().bytes);
            }
        }
        self.progress.expect(files, bytes);
    }
}

fn files_of(change: &Change) -> u64 {
    match (&change.old, &change.new) {
        (Some(Entry::Dir(_)), Some(Entry::Dir(_))) => 1,
        (_, Some(new)) => new.totals().items().max(1),
        (Some(old), None) => old.totals().items().max(1),
        (None, None) => 0,
    }
}

fn changed_files(batch: &Batch, outcomes: &[Outcome]) -> u64 {
    let moved = batch.moves.iter().map(|mv| mv.entry.totals().items().max(1));
    let changed = batch.changes.iter().map(files_of);
    moved
        .chain(changed)
        .zip(outcomes)
        .filter(|(_, o)| matches!(o, Outcome::Applied { .. }))
        .map(|(n, _)| n)
        .sum()
}

/// Returns the paths of conflicts that stay as they are, because the copy of what would lose its name there was
/// refused, each with the reason why it was.
fn waiting_for_copies(plan: &Plan, settled: &[(Conflict, Act)], refused: &[Blocked]) -> Vec<Blocked> {
    if refused.is_empty() {
        return Vec::new();
    }
    // Nothing but copies was carried out so far.
    let reasons: HashMap<&RelPath, &Reason> = refused.iter().map(|copy| (&copy.path, &copy.reason)).collect();
    let copies = plan.copies_ours.iter().chain(&plan.copies_theirs);
    let failed: Vec<Change> = copies.filter(|copy| reasons.contains_key(&copy.path)).cloned().collect();
    let settled: Vec<Conflict> = settled.iter().map(|(conflict, _)| conflict.clone()).collect();
    let waiting = hold_back(&mut plan.clone(), &settled, &failed).into_iter().filter_map(|held| {
        let reason = (*reasons.get(&held.copy)?).clone();
        Some(Blocked { path: held.change.path, reason })
    });
    waiting.collect()
}

/// Takes the changes at and below the paths that wait out of the steps. A directory that replaces something may have
/// been divided into several.
fn without(changes: &mut [Vec<Step>; 2], waiting: &[Blocked]) {
    if waiting.is_empty() {
        return;
    }
    let paths: HashSet<&RelPath> = waiting.iter().map(|held| &held.path).collect();
    let waits = |path: &RelPath| {
        std::iter::successors(Some(path.clone()), RelPath::parent).any(|above| paths.contains(&above))
    };
    for steps in changes {
        steps.iter_mut().for_each(|step| step.changes.retain(|change| !waits(&change.path)));
        steps.retain(|step| !step.changes.is_empty() || !step.moves.is_empty());
    }
}

/// Collects the contents whose creation was refused, so that they are not deleted elsewhere.
fn collect_missing(batch: &Batch, outcomes: &[Outcome], missing: &mut HashSet<Digest>) {
    for (mv, outcome) in batch.moves.iter().zip(outcomes) {
        if matches!(outcome, Outcome::Refused(_)) {
            mv.entry.each_content(&mut |digest| _ = missing.insert(digest));
        }
    }
    for (change, outcome) in batch.changes.iter().zip(outcomes.iter().skip(batch.moves.len())) {
        let whole = matches!(outcome, Outcome::Refused(_));
        let part = matches!(outcome, Outcome::Applied { short, .. } if !short.is_empty());
        if let Some(new) = change.new.as_ref().filter(|_| whole || part) {
            new.each_content(&mut |digest| _ = missing.insert(digest));
        }
    }
}
