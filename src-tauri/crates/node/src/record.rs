//! The engine's port `Store`, on top of the node's database.

use std::sync::Arc;

use async_trait::async_trait;
use evenfold_core::{Dir, Entry, RelPath, Side};
use evenfold_engine::history::{Act, ActKind};
use evenfold_engine::ports::{Commit, Epochs, Intent, Record, Store as RecordPort, StoreError, Wanted};
use evenfold_fs::crash;
use evenfold_store::{AncestorCommit, Event, Micros, Put, Record as Row, Store};
use tokio::sync::Notify;
use uuid::Uuid;

/// Acts on a directory are written as one row for each file below it, so that every file can be found in the
/// history; past this number the directory itself is the row.
const ROWS_PER_ACT: u64 = 400_000;

/// The record of one relationship on a spoke.
pub(crate) struct SpokeRecord {
    pub(crate) store: Arc<Store>,
    pub(crate) relationship: Uuid,
    /// Name of this machine.
    pub(crate) ours: String,
    /// Name of the hub.
    pub(crate) theirs: String,
    /// Told when the history has grown.
    pub(crate) occasions: Arc<Notify>,
}

fn failed(error: evenfold_store::StoreError) -> StoreError {
    StoreError(error.to_string())
}

#[async_trait]
impl RecordPort for SpokeRecord {
    async fn load(&self, ours: &Arc<Dir>) -> Result<Record, StoreError> {
        let epochs = self.store.epochs().get(self.relationship).await.map_err(failed)?;
        let ancestor = match self.store.ancestor().load_sharing(self.relationship, ours).await {
            Ok(ancestor) => ancestor,
            Err(error) => {
                // A record that cannot be read is no record: both sides are compared anew, nothing is deleted.
                tracing::error!(%error, "the ancestor cannot be read; comparing anew");
                self.store.ancestor().forget(self.relationship).await.map_err(failed)?;
                Arc::new(Dir::empty())
            }
        };
        let intents = self.store.intents().load(self.relationship).await.map_err(failed)?;
        let intents = intents.into_iter().filter_map(intent).collect();
        let epochs = Epochs {
            ours: epochs.ours_committed,
            ours_intended: epochs.ours_intended,
            theirs: epochs.theirs_seen,
        };
        Ok(Record { ancestor, intents, epochs })
    }

    async fn intend(&self, intents: Vec<Intent>, ours_intended: u64) -> Result<(), StoreError> {
        for side in [Side::Ours, Side::Theirs] {
            let rows: Vec<(RelPath, Option<Entry>)> = intents
                .iter()
                .filter(|intent| intent.side == side)
                .filter_map(|intent| match &intent.new {
                    None => Some((intent.path.clone(), None)),
                    Some(Wanted::Entry(entry)) => Some((intent.path.clone(), Some(entry.clone()))),
                    // Known only by its digest: read from this very table, where it still stands.
                    Some(Wanted::Tree(_)) => None,
                })
                .collect();
            if !rows.is_empty() || side == Side::Ours {
                let intents = self.store.intents();
                intents.record(self.relationship, side, &rows, Some(ours_intended)).await.map_err(failed)?;
            }
        }
        crash::point("intended");
        Ok(())
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        if commit.reset {
            self.store.ancestor().forget(self.relationship).await.map_err(failed)?;
        }
        let put = |edit: evenfold_core::edit::Edit| Put {
            path: edit.path,
            entry: edit.entry,
            shallow: edit.shallow,
        };
        let accomplished = AncestorCommit {
            puts: commit.ancestor.into_iter().map(put).collect(),
            clear_intents: commit.clear_intents,
            ours_epoch: Some(commit.epochs.ours),
            theirs_epoch: Some(commit.epochs.theirs),
            last_verified: None,
            history: self.events(&commit.acts),
            versions: Vec::new(),
        };
        crash::point("before-commit");
        self.store.ancestor().commit(self.relationship, &accomplished).await.map_err(failed)?;
        crash::point("after-commit");
        if !accomplished.history.is_empty() {
            self.occasions.notify_one();
        }
        Ok(())
    }
}

impl SpokeRecord {
    fn events(&self, acts: &[Act]) -> Vec<Event> {
        let mut events = Vec::new();
        for act in acts {
            // What is carried out on one side came from the other.
            let (origin, on) = match act.on {
                Side::Ours => (&self.theirs, &self.ours),
                Side::Theirs => (&self.ours, &self.theirs),
            };
            events.extend(events_of(act, self.relationship, origin, on));
        }
        events
    }
}

/// Returns the history rows of an act: one for each file below a directory.
pub(crate) fn events_of(act: &Act, relationship: Uuid, origin: &str, on: &str) -> Vec<Event> {
    let event = |path: RelPath, entry: Option<&Entry>| Event {
        time: now_micros(),
        relationship: Some(relationship),
        batch: (act.batch != 0).then_some(act.batch),
        node: origin.to_owned(),
        peer: Some(on.to_owned()),
        kind: act.kind.word().to_owned(),
        path: (!path.is_root()).then_some(path),
        digest: entry.and_then(Entry::as_file).map(|file| file.digest),
        size: entry.and_then(Entry::as_file).map(|file| file.size),
        detail: act.detail.clone(),
    };
    let subject = match act.kind {
        ActKind::Delete => act.old.as_ref(),
        _ => act.new.as_ref(),
    };
    match subject {
        Some(Entry::Dir(dir)) if !dir.children().is_empty() && dir.totals().files <= ROWS_PER_ACT => {
            let mut events = Vec::new();
            leaves(&act.path, dir, &mut |path, entry| events.push(event(path, Some(entry))));
            events
        }
        entry => vec![event(act.path.clone(), entry)],
    }
}

fn leaves(path: &RelPath, dir: &Dir, visit: &mut dyn FnMut(RelPath, &Entry)) {
    for child in dir.children() {
        let below = path.join(&child.name);
        match &child.entry {
            Entry::Dir(inner) if !inner.children().is_empty() => leaves(&below, inner, visit),
            entry => visit(below, entry),
        }
    }
}

fn intent(stored: evenfold_store::Intent) -> Option<Intent> {
    let new = match stored.new {
        None => None,
        Some(Row::File(file)) => Some(Wanted::Entry(Entry::File(file))),
        Some(Row::Symlink(link)) => Some(Wanted::Entry(Entry::Symlink(link))),
        Some(Row::Dir { digest: Some(digest), .. }) => Some(Wanted::Tree(digest)),
        // A directory without a digest tells nothing; leaving the intent out costs at worst a conflict.
        Some(Row::Dir { digest: None, .. }) => return None,
    };
    Some(Intent { side: stored.side, path: stored.path, new })
}

/// Microseconds since 1970.
pub(crate) fn now_micros() -> Micros {
    jiff::Timestamp::now().as_microsecond() + wrong_by()
}

/// How wrong this machine's clock is made, in microseconds: so a test sets the clock of one node. Not in releases.
#[cfg(debug_assertions)]
fn wrong_by() -> i64 {
    static WRONG_BY: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    let read = || std::env::var("EVENFOLD_TEST_CLOCK").ok()?.parse::<i64>().ok();
    *WRONG_BY.get_or_init(|| read().unwrap_or(0).saturating_mul(1_000_000))
}

#[cfg(not(debug_assertions))]
fn wrong_by() -> i64 {
    0
}
