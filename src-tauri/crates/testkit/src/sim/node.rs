//! One machine with its folder and database, and the engine's port `Endpoint` on it, here or through a link.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use evenfold_core::apply::{Batch, Outcome, Report};
use evenfold_core::select::Select;
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Digest, Dir, Entry, RelPath};
use evenfold_engine::ports::{Endpoint, EndpointError};
use evenfold_fs::apply::{Kept, KeptWhy, Rules};
use evenfold_fs::marker::Marker;
use evenfold_fs::replica::{OpenError, Options, Replica};
use evenfold_fs::scan::ScanError;
use tokio::sync::{mpsc, watch};

use super::ledger::Ledger;
use super::link::Link;
use super::record::Database;
use super::survey::{contents_in_place, contents_of_versions, present};
use crate::disk::{FakeDisk, Machine};

/// The relationship that all simulations are about.
const RELATIONSHIP: u128 = 0x0e5e_f01d_0000_4000_8000_0000_0000_0001;

/// Needs that are asked for at once: so few are read without threads, whose order would be chance.
const FEW_NEEDS: usize = 4;

/// A machine that takes part.
pub(crate) struct Node {
    pub(crate) at: usize,
    pub(crate) name: String,
    pub(crate) machine: Arc<Machine>,
    pub(crate) database: Arc<Database>,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    replica: Mutex<Option<Arc<Replica<FakeDisk>>>>,
    /// Which machine wrote what; only the hub keeps this.
    authors: Mutex<HashMap<(RelPath, Digest), String>>,
    joined: Mutex<bool>,
    nudges: watch::Sender<u64>,
}

impl Node {
    pub(crate) fn new(at: usize, name: &str, machine: Arc<Machine>, ledger: Arc<Mutex<Ledger>>) -> Arc<Self> {
        let database = Database { machine: Arc::clone(&machine), tables: Mutex::default() };
        Arc::new(Node {
            at,
            name: name.to_owned(),
            machine,
            database: Arc::new(database),
            ledger,
            replica: Mutex::default(),
            authors: Mutex::default(),
            joined: Mutex::new(false),
            nudges: watch::Sender::new(0),
        })
    }

    /// Forgets what a process knows in memory.
    pub(crate) fn stop(&self) {
        *lock(&self.replica) = None;
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.machine.lock().dead
    }

    /// Tells whether the folder is open.
    pub(crate) fn is_open(&self) -> bool {
        lock(&self.replica).is_some()
    }

    /// Opens the folder unless it is open.
    pub(crate) fn replica(&self) -> Result<Arc<Replica<FakeDisk>>, EndpointError> {
        if let Some(replica) = lock(&self.replica).clone() {
            return Ok(replica);
        }
        let disk = FakeDisk::open(&self.machine).map_err(|_| EndpointError::RootMissing)?;
        let mut joined = lock(&self.joined);
        let identity = 7000 + self.at as u128;
        let marker = match *joined {
            true => Marker::Expect { replica: Some(identity) },
            false => Marker::Create { replica: identity },
        };
        let options = Options {
            relationship: RELATIONSHIP,
            marker,
            select: Select::default(),
            cache: self.database.lock().cache.values().cloned().collect(),
            rules: Rules::default(),
            parallel: false,
            counters: Default::default(),
        };
        let replica = Replica::open(disk, options).map_err(|error| match error {
            OpenError::Root(error) => scan_error(error),
            other => EndpointError::RootUnreadable(other.to_string()),
        })?;
        *joined = true;
        let replica = Arc::new(replica);
        *lock(&self.replica) = Some(Arc::clone(&replica));
        Ok(replica)
    }

    /// Looks at the folder.
    pub(crate) fn look(&self, extent: &Extent) -> Result<Snapshot, EndpointError> {
        let replica = self.replica()?;
        let looked = match extent {
            Extent::Paths(paths) if paths.is_empty() => {
                replica.snapshot().map_or_else(|| replica.scan(&Extent::Full), Ok)
            }
            extent => replica.scan(extent),
        };
        match looked {
            Ok(snapshot) => {
                self.save_cache(&replica);
                Ok(snapshot)
            }
            Err(error) => {
                self.stop();
                Err(scan_error(error))
            }
        }
    }

    /// Looks at the folder as a node serves it: what was not seen yet is always looked at.
    pub(crate) fn scan(&self, extent: &Extent) -> Result<Snapshot, EndpointError> {
        let replica = self.replica()?;
        match replica.scan(extent) {
            Ok(snapshot) => {
                self.save_cache(&replica);
                Ok(snapshot)
            }
            Err(error) => {
                self.stop();
                Err(scan_error(error))
            }
        }
    }

    /// Carries out a batch of deletions and keeps no version of what it deleted. Tells whether all is gone.
    pub(crate) fn drop_for_good(&self, batch: &Batch) -> Result<bool, EndpointError> {
        let replica = self.replica()?;
        let applied = replica.apply(batch, &mut std::iter::empty(), &());
        self.alive()?;
        let applied = applied.map_err(|error| EndpointError::Failed {
            code: "apply".to_owned(),
            message: error.to_string(),
        })?;
        let gone = applied
            .report
            .outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Applied { now: None, short } if short.is_empty()));
        for kept in applied.kept {
            // What cannot be dropped now is dropped with other old versions.
            drop(replica.drop_version(&kept.version));
        }
        Ok(gone)
    }

    /// The folder changed, and the watcher tells.
    pub(crate) fn nudge(&self) {
        self.nudges.send_modify(|count| *count += 1);
    }

    /// Returns the watcher's counter.
    pub(crate) fn nudged(&self) -> watch::Receiver<u64> {
        self.nudges.subscribe()
    }

    fn save_cache(&self, replica: &Replica<FakeDisk>) {
        if self.is_dead() {
            return;
        }
        let delta = replica.take_cache_delta();
        let mut tables = self.database.lock();
        tables.cache.extend(delta.upserts.into_iter().map(|row| (row.path.clone(), row)));
        for path in delta.removes {
            tables.cache.remove(&path);
        }
    }

    fn supply(&self, items: &[Item], needs: &[Need]) -> Result<Vec<Piece>, EndpointError> {
        let replica = self.replica()?;
        let mut pieces = Vec::new();
        for needs in needs.chunks(FEW_NEEDS) {
            // The sink never stops, so neither does the supply.
            _ = replica.supply(items, needs, &mut |piece| {
                pieces.push(piece);
                Ok(())
            });
        }
        Ok(pieces)
    }

    fn apply(&self, batch: &Batch, pieces: Vec<Piece>) -> Result<Report, EndpointError> {
        let replica = self.replica()?;
        let applied = replica.apply(batch, &mut pieces.into_iter(), &());
        self.alive()?;
        let displaced = |kept: &[Kept]| kept.iter().any(|kept| kept.why == KeptWhy::Displaced);
        if applied.as_ref().map_or(true, |applied| displaced(&applied.kept)) {
            self.excuse_overtaken();
        }
        let applied = applied.map_err(|error| EndpointError::Failed {
            code: "apply".to_owned(),
            message: error.to_string(),
        })?;
        // What is reported as done must be there for good.
        let state = self.machine.lock();
        let present = present(&state.tree, state.tree.root);
        lock(&self.ledger).secured[self.at].extend(present);
        Ok(applied.report)
    }

    /// Excuses what could not be put back in the middle of a batch.
    pub(crate) fn excuse_overtaken(&self) {
        let state = self.machine.lock();
        let root = state.tree.root;
        let (versions, live) =
            (contents_of_versions(&state.tree, root), contents_in_place(&state.tree, root));
        lock(&self.ledger).overtaken(self.at, &versions, &live);
    }

    /// Lets go of what only lay where versions lie while a user removed it.
    pub(crate) fn let_go(&self) {
        let state = self.machine.lock();
        let present = present(&state.tree, state.tree.root);
        lock(&self.ledger).let_go(self.at, &present);
    }

    fn alive(&self) -> Result<(), EndpointError> {
        if self.is_dead() {
            Err(EndpointError::Offline("the machine has stopped".to_owned()))
        } else {
            Ok(())
        }
    }

    fn note_authors(&self, batch: &Batch, report: &Report, author: &str) {
        let outcomes = report.outcomes.iter().skip(batch.moves.len());
        for (change, outcome) in batch.changes.iter().zip(outcomes) {
            if let (Outcome::Applied { .. }, Some(new)) = (outcome, &change.new) {
                self.note_author(&change.path, new, author);
            }
        }
    }

    fn note_author(&self, path: &RelPath, entry: &Entry, author: &str) {
        match entry {
            Entry::File(file) => {
                lock(&self.authors).insert((path.clone(), file.digest), author.to_owned());
            }
            Entry::Dir(dir) => {
                for child in dir.children() {
                    self.note_author(&path.join(&child.name), &child.entry, author);
                }
            }
            Entry::Symlink(_) | Entry::Unknown(_) => {}
        }
    }
}

fn scan_error(error: ScanError) -> EndpointError {
    match error {
        ScanError::RootMissing => EndpointError::RootMissing,
        ScanError::RootReplaced { detail } => EndpointError::RootReplaced(detail),
        other => EndpointError::RootUnreadable(other.to_string()),
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folder of `node` as the pair of `caller` reaches it.
pub(crate) struct End {
    pub(crate) node: Arc<Node>,
    pub(crate) caller: Arc<Node>,
    /// `None`: it is the caller's own.
    pub(crate) link: Option<Arc<Link>>,
}

impl End {
    /// A message goes one way or the other; whoever has stopped hears and says nothing.
    fn message(&self) -> Result<(), EndpointError> {
        self.caller.alive()?;
        self.node.alive()?;
        self.link.as_ref().map_or(Ok(()), |link| link.message())
    }

    pub(crate) fn asked<T>(
        &self,
        answer: impl FnOnce(&Node) -> Result<T, EndpointError>,
    ) -> Result<T, EndpointError> {
        self.message()?;
        let result = answer(&self.node);
        self.message()?;
        result
    }
}

#[async_trait]
impl Endpoint for End {
    fn machine(&self) -> String {
        self.node.name.clone()
    }

    async fn scan(&self, extent: Extent, _known: &[Arc<Dir>]) -> Result<Snapshot, EndpointError> {
        self.asked(|node| node.look(&extent))
    }

    async fn manifest(&self, items: &[Item], indices: &[u32]) -> Result<Vec<Manifest>, EndpointError> {
        self.asked(|node| Ok(node.replica()?.manifest(items, indices)))
    }

    async fn read_bases(&self, batch: &Arc<Batch>) -> Result<(), EndpointError> {
        self.asked(|node| {
            node.replica()?.read_bases(batch);
            Ok(())
        })
    }

    async fn prepare(
        &self,
        batch: &Arc<Batch>,
        manifests: Vec<Manifest>,
    ) -> Result<Vec<Need>, EndpointError> {
        self.asked(|node| Ok(node.replica()?.prepare(batch, &manifests)))
    }

    async fn supply(
        &self,
        batch: &Arc<Batch>,
        needs: Vec<Need>,
    ) -> Result<mpsc::Receiver<Piece>, EndpointError> {
        self.message()?;
        let pieces = self.node.supply(&batch.items, &needs)?;
        let (sender, receiver) = mpsc::channel(pieces.len().max(1));
        for piece in pieces {
            let piece = match &self.link {
                Some(link) => link.piece(piece),
                None => Some(piece),
            };
            let Some(piece) = piece else { break };
            if self.node.is_dead() || sender.try_send(piece).is_err() {
                break;
            }
        }
        Ok(receiver)
    }

    async fn apply(
        &self,
        batch: &Arc<Batch>,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> Result<Report, EndpointError> {
        self.message()?;
        let (mut arrived, mut broken) = (Vec::new(), false);
        while let Some(piece) = pieces.recv().await {
            let piece = match &self.link {
                Some(link) => link.piece(piece),
                None => Some(piece),
            };
            let Some(piece) = piece else {
                broken = true;
                break;
            };
            arrived.push(piece);
        }
        if broken && !self.link.as_ref().is_some_and(|link| link.lock().applies_parts) {
            return Err(EndpointError::Offline("the connection broke".to_owned()));
        }
        let report = self.node.apply(batch, arrived);
        if self.link.is_some()
            && let Ok(report) = &report
        {
            self.node.note_authors(batch, report, &self.caller.name);
        }
        self.message()?;
        report
    }

    fn nudges(&self) -> watch::Receiver<u64> {
        self.node.nudges.subscribe()
    }

    async fn author(&self, path: &RelPath, digest: Digest) -> Result<Option<String>, EndpointError> {
        self.asked(|node| Ok(lock(&node.authors).get(&(path.clone(), digest)).cloned()))
    }
}
