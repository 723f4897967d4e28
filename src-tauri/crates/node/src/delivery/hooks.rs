//! Commands after something happened: asked for durably together with what they follow, run at least once, tried again
//! with growing pauses, killed at their time limit; one that fails or hangs holds up no other.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_core::RelPath;
use evenfold_core::delivery::{Happened, Ledger, Party, occasions};
use evenfold_engine::backoff::Backoff;
use evenfold_engine::delivery::command::run;
use evenfold_store::{HookRun, LedgerRow, StoreError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::executor::subject;
use crate::api::ApiError;
use crate::back::Back;
use crate::hooks::Asked;
use crate::local::lock;
use crate::node::{Node, db};
use crate::record::now_micros;
use crate::relationship::Relationship;
use crate::settings::Argv;

/// Commands that run at the same time: one that hangs must not hold up the next, and a burst must not fork a thousand.
const AT_ONCE: usize = 8;

/// First and longest pause before a command is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));

/// Commands that are looked at together.
const PAGE: u32 = 256;

/// Scope in the store of how far the ledger was looked through for hooks, by relationship.
const SEEN: &str = "hooks-seen";

/// The hooks of one relationship on this node.
pub(crate) struct Hooks {
    node: Back<Node>,
    relationship: Back<Relationship>,
    me: Party,
    wake: Notify,
    /// How far the ledger was looked through.
    seen: Mutex<u64>,
    /// How far that is saved.
    saved: Mutex<u64>,
    /// What could not be asked for yet: id, path, command.
    unasked: Mutex<Vec<Asked>>,
    state: watch::Sender<HookState>,
}

/// What is known of the hooks.
#[derive(Debug, Clone, Default)]
pub(crate) struct HookState {
    /// Commands that run.
    pub(crate) running: usize,
    /// Commands that run or are due.
    pub(crate) due: usize,
    /// Commands that failed and are tried again, with their errors.
    pub(crate) failing: Vec<(RelPath, String)>,
    /// Rises with every look, so that a look can be waited for.
    looks: u64,
}

impl Hooks {
    pub(super) async fn new(
        node: &Arc<Node>,
        relationship: &Arc<Relationship>,
        rows: &[LedgerRow],
    ) -> Result<Arc<Hooks>, ApiError> {
        let id = relationship.row().id;
        let seen = node.store.settings().get(SEEN, &id.to_string()).await.map_err(db)?;
        let seen = seen.and_then(|text| text.parse().ok()).unwrap_or(0);
        let hooks = Arc::new(Hooks {
            node: Back::to(node),
            relationship: Back::to(relationship),
            me: node.as_party(),
            wake: Notify::new(),
            seen: Mutex::new(seen),
            saved: Mutex::new(seen),
            unasked: Mutex::default(),
            state: watch::Sender::new(HookState::default()),
        });
        // What was written just before the last end of this process.
        let mut ledger = Ledger::default();
        ledger.put(rows.iter().map(|row| row.row.clone()));
        let missed: Vec<LedgerRow> = rows.iter().filter(|row| row.seq > seen).cloned().collect();
        hooks.after(&ledger, &missed).await;
        Ok(hooks)
    }

    /// The hooks of a relationship that does not deliver; what they are for is found elsewhere.
    pub(crate) fn of_pair(node: &Arc<Node>, relationship: &Arc<Relationship>) -> Arc<Hooks> {
        Arc::new(Hooks {
            node: Back::to(node),
            relationship: Back::to(relationship),
            me: node.as_party(),
            wake: Notify::new(),
            seen: Mutex::new(0),
            saved: Mutex::new(0),
            unasked: Mutex::default(),
            state: watch::Sender::new(HookState::default()),
        })
    }

    /// Asks for commands; one whose id was used before is not asked for again. Durable when it returns.
    ///
    /// # Errors
    /// Where the database fails.
    pub(crate) async fn ask(&self, asked: &[Asked]) -> Result<(), StoreError> {
        let (Some(node), Some(relationship)) = (self.node.upgrade(), self.relationship.upgrade()) else {
            return Ok(());
        };
        if asked.is_empty() {
            return Ok(());
        }
        // Arguments are text and can always be written.
        let text = |argv: &Argv| serde_json::Value::from(argv.clone()).to_string();
        let asked: Vec<_> =
            asked.iter().map(|(id, path, argv)| (id.clone(), path.clone(), text(argv))).collect();
        node.store.hook_runs().ask(relationship.row().id, &asked, now_micros()).await?;
        self.wake.notify_one();
        Ok(())
    }

    /// Returns what is known.
    pub(crate) fn state(&self) -> HookState {
        self.state.borrow().clone()
    }

    /// Asks for what is to run after these rows were written.
    pub(super) async fn after(&self, ledger: &Ledger, rows: &[LedgerRow]) {
        let Some(relationship) = self.relationship.upgrade() else { return };
        let settings = relationship.settings();
        let mut asked = std::mem::take(&mut *lock(&self.unasked));
        for LedgerRow { row, .. } in rows {
            for occasion in occasions(ledger, row, self.me) {
                let commands = match occasion.happened {
                    Happened::Arrival => &settings.hooks.after_arrival,
                    Happened::Delivery => &settings.hooks.after_delivery,
                    Happened::Conflict => &settings.hooks.on_conflict,
                    Happened::Failure => &settings.hooks.on_error,
                };
                for (nth, argv) in commands.iter().enumerate() {
                    let id = format!("{}-{nth}", occasion.id);
                    asked.push((id, occasion.path.clone(), argv.clone()));
                }
            }
        }
        let newest = rows.iter().map(|row| row.seq).max().unwrap_or(0);
        let before = *lock(&self.seen);
        if asked.is_empty() && newest <= before {
            return;
        }
        if let Err(error) = self.ask(&asked).await {
            // Nothing is said to be seen before it is asked for, so a start finds it again, too.
            tracing::error!(%error, "hooks could not be asked for; that is tried again");
            lock(&self.unasked).extend(asked);
            if !rows.is_empty() {
                // The loop may be waiting for nothing in particular.
                self.wake.notify_one();
            }
            return;
        }
        *lock(&self.seen) = newest.max(before);
        self.wake.notify_one();
    }

    /// Waits until every command that is due has been tried. Tells whether one of those that are left failed.
    pub(crate) async fn until_idle(&self) -> bool {
        let mut state = self.state.subscribe();
        let looks = state.borrow().looks;
        self.wake.notify_one();
        let idle = state.wait_for(|state| state.looks > looks && state.running == 0 && state.due == 0).await;
        idle.is_ok_and(|state| !state.failing.is_empty())
    }

    /// Runs commands as they become due, until this is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut running: JoinSet<String> = JoinSet::new();
        let mut busy: HashSet<String> = HashSet::new();
        loop {
            let pause = self.begin_due(&mut running, &mut busy).await;
            tokio::select! {
                Some(ended) = running.join_next(), if !running.is_empty() => match ended {
                    Ok(id) => _ = busy.remove(&id),
                    Err(error) => tracing::error!(%error, "a hook's task ended unexpectedly"),
                },
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Saves how far the ledger was looked through, at the loop's own pace: what is looked through again after a crash is
    /// asked for under the same ids.
    async fn save_seen(&self, node: &Node, id: uuid::Uuid) {
        let seen = *lock(&self.seen);
        if seen == *lock(&self.saved) {
            return;
        }
        match node.store.settings().set(SEEN, &id.to_string(), &seen.to_string(), now_micros()).await {
            Ok(()) => *lock(&self.saved) = seen,
            Err(error) => tracing::debug!(%error, "how far hooks were looked for is saved later"),
        }
    }

    /// Begins what is due; returns when to look again at the latest.
    async fn begin_due(&self, running: &mut JoinSet<String>, busy: &mut HashSet<String>) -> Duration {
        // Nothing asked for is worth waking up for.
        const IDLE: Duration = Duration::from_secs(3600);
        let (Some(node), Some(relationship)) = (self.node.upgrade(), self.relationship.upgrade()) else {
            return IDLE;
        };
        let id = relationship.row().id;
        if !lock(&self.unasked).is_empty() {
            self.after(&Ledger::default(), &[]).await;
        }
        self.save_seen(&node, id).await;
        let pending = match node.store.hook_runs().pending(id, PAGE).await {
            Ok(pending) => pending,
            Err(error) => {
                tracing::error!(%error, "hooks cannot be read");
                return PAUSES.0;
            }
        };
        let now = now_micros();
        let mut pause = if lock(&self.unasked).is_empty() { IDLE } else { PAUSES.0 };
        let mut due = 0;
        for hook in &pending {
            if busy.contains(&hook.id) {
                continue;
            }
            if hook.next_at > now {
                let wait = Duration::from_micros(u64::try_from(hook.next_at - now).unwrap_or(0));
                pause = pause.min(wait.max(Duration::from_millis(10)));
            } else if busy.len() < AT_ONCE {
                busy.insert(hook.id.clone());
                running.spawn(run_one(self.node.clone(), self.relationship.clone(), hook.clone()));
            } else {
                due += 1;
            }
        }
        let failing = pending.iter().filter(|hook| !hook.error.is_empty());
        let failing = failing.map(|hook| (hook.path.clone(), hook.error.clone())).collect();
        self.state.send_modify(|state| {
            state.running = busy.len();
            state.due = due;
            state.failing = failing;
            state.looks += 1;
        });
        pause
    }
}

/// Runs one command and writes down how it ended. Returns its id.
async fn run_one(node: Back<Node>, relationship: Back<Relationship>, hook: HookRun) -> String {
    let id = hook.id.clone();
    let (Some(node), Some(relationship)) = (node.upgrade(), relationship.upgrade()) else { return id };
    let uuid = relationship.row().id;
    let argv: Argv = serde_json::from_str(&hook.argv).unwrap_or_default();
    let subject = subject(&relationship, &hook.path, &id);
    let ended = run(&argv, &subject, relationship.settings().hook_timeout).await;
    let written = match &ended {
        Ok(()) => node.store.hook_runs().done(uuid, &id, now_micros()).await,
        Err(error) => {
            tracing::warn!(%error, path = %hook.path, "a hook failed; it is tried again");
            let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
            for _ in 0..hook.attempts.min(16) {
                _ = backoff.next(1.0);
            }
            let pause = super::micros(backoff.next(rand::random()));
            node.store
                .hook_runs()
                .failed(uuid, &id, &error.to_string(), now_micros().saturating_add(pause))
                .await
        }
    };
    if let Err(error) = written {
        // It runs again, under the same id: at least once is what is promised.
        tracing::error!(%error, "how a hook ended could not be written");
        tokio::time::sleep(PAUSES.0).await;
    }
    id
}
