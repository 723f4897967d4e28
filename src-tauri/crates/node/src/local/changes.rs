//! By what it is noticed that a folder was restored from a backup while nobody looked: its counters, which the database
//! remembers, too.
//!
//! The epoch counts batches. A folder in which only its users work has none, so that they changed it is counted as well,
//! at most once a minute: whoever restores a backup that is younger than that is taken for a user.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_core::Digest;
use evenfold_fs::platform::RealDisk;
use evenfold_fs::replica::{Replica, RootCounters};
use serde::{Deserialize, Serialize};

use super::{LocalEndpoint, Mark, lock};
use crate::back::Back;
use crate::record::now_micros;

/// Scope in the store, by relationship.
const SCOPE: &str = "root-counters";

/// A change is counted so soon, so that a burst is one.
const COUNT: Duration = Duration::from_secs(1);

/// The next one is counted this much later: each costs a write to the folder.
const PAUSE: Duration = Duration::from_secs(59);

/// What is known of changes by users.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Whether something changed that is not counted yet.
    pending: AtomicBool,
    /// Whether somebody counts.
    counting: AtomicBool,
    remembered: Mutex<Remembered>,
}

/// What the database remembers of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    epoch: u64,
    changes: u64,
    /// The tree as it was last seen, so that what changed while nobody looked is counted, too.
    #[serde(default)]
    tree: String,
}

impl LocalEndpoint {
    /// Returns what the database remembers of the folder's counters; of one that is being joined, nothing.
    pub(super) async fn remembered_counters(&self, mark: Mark) -> RootCounters {
        if !self.remembers || mark == Mark::Create {
            *lock(&self.changes.remembered) = Remembered::default();
            return RootCounters::default();
        }
        let text = match self.store.settings().get(SCOPE, &self.relationship.to_string()).await {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(%error, "what is known of the folder cannot be read; a restored backup may go unnoticed");
                None
            }
        };
        let known: Remembered = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        *lock(&self.changes.remembered) = known.clone();
        RootCounters { epoch: known.epoch, changes: known.changes }
    }

    /// Takes note of a tree that a look found: if it is not the one that was known, users changed it.
    pub(super) fn notice_change(&self, now: Digest) {
        if !self.remembers {
            return;
        }
        let before = match *lock(&self.told) {
            Some(told) => told.to_string(),
            None => lock(&self.changes.remembered).tree.clone(),
        };
        if before.is_empty() || before == now.to_string() {
            return;
        }
        self.changes.pending.store(true, Ordering::SeqCst);
        if !self.changes.counting.swap(true, Ordering::SeqCst) {
            tokio::spawn(count(self.me.clone()));
        }
    }

    /// Has the database remember the counters, if they are others than it knows.
    pub(super) async fn save_counters(&self, replica: &Arc<Replica<RealDisk>>) {
        let Some(snapshot) = replica.snapshot() else { return };
        let RootCounters { epoch, changes } = replica.root_counters();
        let now = Remembered { epoch, changes, tree: snapshot.tree.digest().to_string() };
        if *lock(&self.changes.remembered) == now {
            return;
        }
        let text = serde_json::to_string(&now).unwrap_or_default();
        let key = self.relationship.to_string();
        match self.store.settings().set(SCOPE, &key, &text, now_micros()).await {
            Ok(()) => *lock(&self.changes.remembered) = now,
            Err(error) => tracing::warn!(%error, "what is known of the folder could not be saved"),
        }
    }
}

/// Forgets what was remembered, with the relationship.
pub(crate) async fn forget(
    store: &evenfold_store::Store,
    relationship: uuid::Uuid,
) -> Result<(), evenfold_store::StoreError> {
    store.settings().remove(SCOPE, &relationship.to_string()).await.map(drop)
}

async fn count(local: Back<LocalEndpoint>) {
    loop {
        tokio::time::sleep(COUNT).await;
        let Some(strong) = local.upgrade() else { return };
        let changes = &strong.changes;
        if !changes.pending.swap(false, Ordering::SeqCst) {
            changes.counting.store(false, Ordering::SeqCst);
            // Somebody may have come between the two.
            if !changes.pending.load(Ordering::SeqCst) || changes.counting.swap(true, Ordering::SeqCst) {
                return;
            }
            continue;
        }
        match strong.on_disk(|replica| replica.count_change()).await {
            Ok(Ok(())) => strong.save_cache().await,
            Ok(Err(error)) => tracing::debug!(%error, "a change could not be counted"),
            Err(error) => tracing::debug!(%error, "a change could not be counted"),
        }
        drop(strong);
        tokio::time::sleep(PAUSE).await;
    }
}
