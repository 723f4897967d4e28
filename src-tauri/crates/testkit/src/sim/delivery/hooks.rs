//! Commands after something happened, as in the real node: asked for durably, run, written down; the machine may stop
//! between any two of these.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_core::delivery::{Happened, Ledger, Numbered, Occasion, occasions};
use evenfold_engine::backoff::Backoff;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::host::{HookRow, Host, Shared};
use crate::sim::node::lock;

/// Commands that run at the same time.
const AT_ONCE: usize = 3;

pub(crate) struct Hooks {
    host: Arc<Host>,
    shared: Arc<Shared>,
    wake: Notify,
    seen: Mutex<u64>,
    /// What could not be asked for yet.
    unasked: Mutex<Vec<Occasion>>,
}

impl Hooks {
    /// Finds again what was written just before the last end of the process.
    pub(crate) fn new(host: Arc<Host>, shared: Arc<Shared>) -> Arc<Hooks> {
        let (rows, seen) = {
            let tables = lock(&host.tables);
            (tables.rows.values().cloned().collect::<Vec<_>>(), tables.seen)
        };
        let hooks =
            Hooks { host, shared, wake: Notify::new(), seen: Mutex::new(seen), unasked: Mutex::default() };
        let mut ledger = Ledger::default();
        ledger.put(rows.iter().map(|row| row.row.clone()));
        let missed: Vec<Numbered> = rows.into_iter().filter(|row| row.seq > seen).collect();
        hooks.after(&ledger, &missed);
        Arc::new(hooks)
    }

    /// Asks for what is to run after these rows were written.
    pub(crate) fn after(&self, ledger: &Ledger, rows: &[Numbered]) {
        let mut asked = std::mem::take(&mut *lock(&self.unasked));
        for row in rows {
            let found = occasions(ledger, &row.row, self.host.party).into_iter();
            asked.extend(
                found.filter(|occasion| matches!(occasion.happened, Happened::Arrival | Happened::Delivery)),
            );
        }
        let newest = rows.iter().map(|row| row.seq).max().unwrap_or(0);
        let before = *lock(&self.seen);
        if asked.is_empty() && newest <= before {
            return;
        }
        let now = self.shared.now();
        let written = asked.is_empty()
            || self
                .host
                .write(|tables| {
                    for Occasion { id, path, .. } in asked.clone() {
                        tables.hooks.entry(id).or_insert(HookRow {
                            path,
                            attempts: 0,
                            next_at: now,
                            done: false,
                        });
                    }
                })
                .is_ok();
        if !written {
            // Nothing is said to be seen before it is asked for.
            *lock(&self.unasked) = asked;
            if !rows.is_empty() {
                self.wake.notify_one();
            }
            return;
        }
        *lock(&self.seen) = newest.max(before);
        self.wake.notify_one();
    }

    /// Runs commands as they become due.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut running: JoinSet<String> = JoinSet::new();
        let mut busy: BTreeSet<String> = BTreeSet::new();
        loop {
            if !lock(&self.unasked).is_empty() {
                self.after(&Ledger::default(), &[]);
            }
            let seen = *lock(&self.seen);
            // What is looked through again is asked for under the same ids.
            drop(self.host.write(|tables| tables.seen = tables.seen.max(seen)));
            let now = self.shared.now();
            let mut pause = if lock(&self.unasked).is_empty() { 3_600_000_000 } else { 1_000_000 };
            let pending: Vec<(String, HookRow)> = {
                let tables = lock(&self.host.tables);
                let left = tables.hooks.iter().filter(|(id, hook)| !hook.done && !busy.contains(*id));
                left.map(|(id, hook)| (id.clone(), hook.clone())).collect()
            };
            for (id, hook) in pending {
                if hook.next_at > now {
                    pause = pause.min(hook.next_at - now);
                } else if busy.len() < AT_ONCE {
                    busy.insert(id.clone());
                    running.spawn(Arc::clone(&self).run_one(id, hook));
                }
            }
            let pause = Duration::from_micros(u64::try_from(pause).unwrap_or(0).max(10_000));
            tokio::select! {
                biased;
                Some(ended) = running.join_next(), if !running.is_empty() => {
                    if let Ok(id) = ended {
                        busy.remove(&id);
                    }
                }
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn run_one(self: Arc<Self>, id: String, hook: HookRow) -> String {
        let (fails, moves, millis) = {
            let mut rng = lock(&self.shared.rng);
            let calm = self.shared.calm.load(Ordering::Relaxed);
            let troubled = self.shared.settings.troubles.hooks && !calm;
            (troubled && rng.percent(25), rng.percent(20), rng.below(400))
        };
        if self.host.moment(false).is_err() {
            // Tried again at once, nothing else would ever get its turn: on a machine that has stopped, until the end.
            tokio::time::sleep(Duration::from_secs(1)).await;
            return id;
        }
        tokio::time::sleep(Duration::from_millis(millis)).await;
        let now = self.shared.now();
        if !fails {
            lock(&self.shared.judge).hook_ended(self.host.at(), &id);
            self.shared.note(|| format!("hook {id} of {} ends well on {}", hook.path, self.host.at()));
            if moves {
                // It moves the item away, as hooks do.
                super::users::remove(&self.shared, &self.host, &hook.path);
            }
        }
        let written = self.host.write(|tables| {
            if let Some(row) = tables.hooks.get_mut(&id) {
                if fails {
                    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
                    (0..row.attempts.min(16)).for_each(|_| _ = backoff.next(1.0));
                    row.attempts += 1;
                    row.next_at = now + i64::try_from(backoff.next(0.5).as_micros()).unwrap_or(i64::MAX);
                } else {
                    row.done = true;
                }
            }
        });
        if written.is_ok() && !fails {
            lock(&self.shared.judge).hook_recorded(self.host.at(), &id);
        } else if written.is_err() {
            lock(&self.shared.judge).excuse(self.host.at());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        id
    }
}
