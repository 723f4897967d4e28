//! The end of a history: users rest, everything works again, and all endpoints have to become equal.

use std::collections::BTreeMap;

use evenfold_core::apply::Refusal;
use evenfold_core::plan::Reason;
use evenfold_core::{Flow, RelPath};
use evenfold_engine::pair::{CycleReport, Ending, Look, Permission};

use super::node::lock;
use super::survey::{Found, live};
use super::world::World;
use super::{Broken, Promise};

/// Rounds over all spokes after which nothing may be left to do.
const ROUNDS: usize = 16;

impl World {
    /// Lets everything come to rest, and checks that it is as it should be.
    pub(crate) fn finish(&mut self) -> Result<(), Broken> {
        self.note(|| "users rest, and everything works again".to_owned());
        for at in 0..self.nodes.len() {
            self.mount(at);
            let mut state = self.nodes[at].machine.lock();
            state.capacity = None;
            state.armed.clear();
        }
        let mut reports = Vec::new();
        for _ in 0..ROUNDS {
            self.pass(5_000_000_000);
            let before = self.effects();
            reports.clear();
            for spoke in 1..self.nodes.len() {
                reports.push(self.settle_spoke(spoke)?);
                self.check()?;
            }
            let after = self.effects();
            // What was refused is tried again and again; users see nothing of it.
            let tried = reports.iter().any(|report| {
                report
                    .blocked
                    .iter()
                    .any(|blocked| matches!(blocked.reason, Reason::Refused(_, Refusal::NotSupplied(_))))
            });
            if after == before || (tried && after.1 == before.1) {
                return self.at_rest(&reports);
            }
        }
        let last =
            reports.iter().map(|report| format!("{:?} {:?}", report.ending, report.plan)).collect::<Vec<_>>();
        Err(Broken::new(
            Promise::Converges,
            format!("after {ROUNDS} rounds something is still done: {last:?}"),
        ))
    }

    /// What cycles did so far to disks, databases and links.
    ///
    /// The second part counts only changes of what is the users'.
    fn effects(&self) -> (Vec<u64>, Vec<u64>) {
        let (mut effects, mut changes) = (Vec::new(), Vec::new());
        for (at, node) in self.nodes.iter().enumerate() {
            let state = node.machine.lock();
            changes.push(state.changes_of_users);
            effects.extend([state.changes_of_users, state.changes_of_own, node.database.lock().writes]);
            effects.push(self.links[at].lock().pieces);
        }
        (effects, changes)
    }

    /// Runs a cycle of a spoke; a person approves what is held.
    fn settle_spoke(&mut self, spoke: usize) -> Result<CycleReport, Broken> {
        let mut permission = Permission::Normal;
        for again in [true, false, false] {
            match self.cycle(spoke, Look::Full, permission)? {
                Ok(report) => match &report.ending {
                    Ending::Held(halt) if halt.approvable() => {
                        permission = Permission::Exactly(report.plan.id())
                    }
                    // A folder that is there again is opened again at the next look.
                    Ending::Held(_) if again => {}
                    Ending::Held(halt) => {
                        return Err(Broken::new(
                            Promise::Converges,
                            format!("spoke {spoke} is held: {halt}"),
                        ));
                    }
                    _ => return Ok(report),
                },
                Err(error) => {
                    return Err(Broken::new(
                        Promise::Converges,
                        format!("cycle of spoke {spoke} fails: {error}"),
                    ));
                }
            }
        }
        Err(Broken::new(
            Promise::Converges,
            format!("what a person approved for spoke {spoke} is held again"),
        ))
    }

    /// Nothing is done any more: all must be equal except where there is a reason.
    fn at_rest(&self, reports: &[CycleReport]) -> Result<(), Broken> {
        let look = |at: usize| {
            let state = self.nodes[at].machine.lock();
            live(&state.tree, state.tree.root)
        };
        let hub = look(0);
        for (report, spoke) in reports.iter().zip(1..) {
            let ours = look(spoke);
            self.differences(report, &ours, &hub, spoke)?;
        }
        if self.settings.keeps_all() {
            let standing: std::collections::BTreeSet<_> =
                (0..self.nodes.len()).flat_map(|at| self.contents(at)).collect();
            let ledger = lock(&self.ledger);
            if let Some((_, what)) = ledger.heads().find(|(digest, _)| !standing.contains(*digest)) {
                let detail =
                    format!("nobody replaced or deleted what was written as {what}, and it stands nowhere");
                return Err(Broken::new(Promise::Live, detail));
            }
        }
        Ok(())
    }

    fn differences(
        &self,
        report: &CycleReport,
        ours: &BTreeMap<RelPath, Found>,
        hub: &BTreeMap<RelPath, Found>,
        spoke: usize,
    ) -> Result<(), Broken> {
        let blocked: Vec<&RelPath> = report.blocked.iter().map(|blocked| &blocked.path).collect();
        let reasons: Vec<&RelPath> =
            blocked.into_iter().chain(report.plan.conflicts.iter().map(|conflict| &conflict.path)).collect();
        // A conflict of which no copy can be kept waits for that copy.
        let reasons = [reasons, report.settled.iter().map(|conflict| &conflict.path).collect()].concat();
        let mut different = 0;
        for path in ours.keys().chain(hub.keys()) {
            let (mine, its) = (ours.get(path), hub.get(path));
            if mine.map(Found::looks) == its.map(Found::looks) {
                continue;
            }
            different += 1;
            // A folder is also there because of what has a reason to be in it.
            let has_reason = |reason: &&&RelPath| path.starts_with(reason) || reason.starts_with(path);
            if !reasons.iter().any(|reason| has_reason(&reason)) {
                let detail =
                    format!("spoke {spoke} and hub differ at {path:?} without a reason: {mine:?} {its:?}");
                return Err(Broken::new(Promise::Equal, detail));
            }
        }
        if different > 0 && reasons.is_empty() && self.settings.policy.flow == Flow::Both {
            return Err(Broken::new(Promise::Honest, format!("spoke {spoke} differs and says nothing")));
        }
        Ok(())
    }
}
