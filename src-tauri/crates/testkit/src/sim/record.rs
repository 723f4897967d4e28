//! The engine's port `Store` in memory: each write is atomic, and a machine may stop before or after it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use evenfold_core::edit::edit;
use evenfold_core::{Dir, Entry, RelPath};
use evenfold_engine::ports::{Commit, Epochs, Intent, Record, Store, StoreError, Wanted};
use evenfold_fs::cache::CacheRow;

use crate::disk::{Flaw, Machine};

/// What a node's database holds.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    pub(crate) ancestor: Arc<Dir>,
    pub(crate) intents: Vec<Intent>,
    pub(crate) epochs: Epochs,
    pub(crate) cache: std::collections::BTreeMap<RelPath, CacheRow>,
    /// How often something was written.
    pub(crate) writes: u64,
}

impl Default for Tables {
    fn default() -> Self {
        Tables {
            ancestor: Arc::new(Dir::empty()),
            intents: Vec::new(),
            epochs: Epochs::default(),
            cache: std::collections::BTreeMap::new(),
            writes: 0,
        }
    }
}

/// The database of a node.
pub(crate) struct Database {
    pub(crate) machine: Arc<Machine>,
    pub(crate) tables: Mutex<Tables>,
}

impl Database {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A moment in which the machine may stop.
    fn moment(&self, changes: bool) -> Result<(), StoreError> {
        let mut state = self.machine.lock();
        let life = state.life;
        state.call(life, changes).map_err(|error| StoreError(error.to_string()))
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.machine.lock().habits.flaw == Some(flaw)
    }
}

/// A node's database as its pair sees it.
pub(crate) struct Handle(pub(crate) Arc<Database>);

#[async_trait]
impl Store for Handle {
    async fn load(&self, _ours: &Arc<Dir>) -> Result<Record, StoreError> {
        self.0.moment(false)?;
        let tables = self.0.lock();
        let wanted = |wanted: &Wanted| match wanted {
            // Of a directory only its digest is stored.
            Wanted::Entry(Entry::Dir(dir)) => Wanted::Tree(dir.digest()),
            other => other.clone(),
        };
        let intents = tables.intents.iter();
        let intents = intents.map(|intent| Intent { new: intent.new.as_ref().map(wanted), ..intent.clone() });
        Ok(Record { ancestor: tables.ancestor.clone(), intents: intents.collect(), epochs: tables.epochs })
    }

    async fn intend(&self, intents: Vec<Intent>, ours_intended: u64) -> Result<(), StoreError> {
        self.0.moment(true)?;
        let early = self.0.has(Flaw::RecordedBefore);
        {
            let mut tables = self.0.lock();
            for intent in intents {
                if early && let Some(Wanted::Entry(entry)) = &intent.new {
                    let edits = [evenfold_core::edit::Edit {
                        path: intent.path.clone(),
                        entry: Some(entry.clone()),
                        shallow: matches!(entry, Entry::Dir(_)),
                    }];
                    tables.ancestor = edit(&tables.ancestor, edits);
                }
                tables.intents.retain(|old| (old.side, &old.path) != (intent.side, &intent.path));
                tables.intents.push(intent);
            }
            tables.epochs.ours_intended = ours_intended;
            tables.writes += 1;
        }
        self.0.moment(false)
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.0.moment(true)?;
        if commit.reset {
            {
                let mut tables = self.0.lock();
                tables.ancestor = Arc::new(Dir::empty());
                tables.intents.clear();
                tables.epochs = Epochs::default();
                tables.writes += 1;
            }
            self.0.moment(true)?;
        }
        {
            let mut tables = self.0.lock();
            tables.ancestor = edit(&tables.ancestor, commit.ancestor);
            if commit.clear_intents {
                tables.intents.clear();
            }
            tables.epochs.ours = commit.epochs.ours;
            tables.epochs.theirs = commit.epochs.theirs;
            tables.writes += 1;
        }
        self.0.moment(false)
    }
}
