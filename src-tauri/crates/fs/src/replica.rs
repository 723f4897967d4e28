//! One root for one relationship: the door of this crate.
//!
//! Scans and changes of one replica exclude each other by an inner lock; reading contents, the last snapshot
//! and the index do not wait for them. All calls block.

mod aside;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenfold_core::apply::{Batch, Outcome};
use evenfold_core::select::Select;
use evenfold_core::snapshot::{Extent, Problem, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Dir, Entry, File, ProblemKind, RelPath};

use crate::apply::{Applied, ApplyError, Progress, Rules, Site};
use crate::cache::{self, CacheDelta, CacheRow, Ledger, MAX_DELTA};
use crate::disk::{Disk, Place, ReadFile};
use crate::hash::Hashing;
use crate::index::{Index, Keys};
use crate::marker::{self, Identity, Marker};
use crate::matcher::{BadPattern, Matcher};
use crate::prepare::Prepared;
use crate::recover::Recovered;
use crate::restore::{RestoreError, Restored};
use crate::scan::{Counters, Counts, Found, Scan, ScanError, Target, Trie, run_in_pool};
use crate::supply::Stopped;
use crate::versions::{Dropped, Keep, Version};
use crate::watch::DirWatch;

/// How a root is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The relationship's UUID.
    pub relationship: u128,
    /// How the root is recognised.
    pub marker: Marker,
    /// Which paths take part.
    pub select: Select,
    /// The digest cache as the database holds it.
    pub cache: Vec<CacheRow>,
    /// What batches have to respect.
    pub rules: Rules,
    /// Whether scans use all processors. Without it, one seed gives one order of disk calls.
    pub parallel: bool,
    /// What the database knows of the root's counters. A root that shows less was restored from a backup.
    pub counters: RootCounters,
}

/// By what it is noticed that a root was restored from a backup. Both are numbers in the root's own folder, which only
/// grow; the database remembers them after the root does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RootCounters {
    /// The epoch: how many batches were applied.
    pub epoch: u64,
    /// How often it was counted that users changed it.
    pub changes: u64,
}

/// Why a root cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The root is missing, another one, or unreadable.
    #[error(transparent)]
    Root(#[from] ScanError),
    /// A pattern of the rules is not valid.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    /// What an interrupted batch left could not be cleared up.
    #[error("what an interrupted batch left could not be cleared up: {0}")]
    Recover(#[source] io::Error),
}

/// Why a batch has no report.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The root is missing, another one, or unreadable; nothing was changed.
    #[error(transparent)]
    Root(#[from] ScanError),
    /// Nothing is ever written into a root that is known by its file system's identity.
    #[error("nothing may be written into the folder")]
    ReadOnly,
    /// Batches were applied, or undone by a restored backup, that this replica does not know of; nothing was
    /// changed. The next scan says more.
    #[error("the folder is at epoch {found} where {expected} was expected")]
    Stale {
        /// The epoch at the last scan.
        expected: u64,
        /// The epoch now.
        found: u64,
    },
    /// Durability is in doubt.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// One root for one relationship. Shared between threads by [`Arc`].
pub struct Replica<D> {
    disk: Arc<D>,
    relationship: u128,
    identity: Identity,
    recovered: Recovered,
    matcher: Matcher,
    rules: Rules,
    parallel: bool,
    /// Held while the root is scanned or changed.
    turn: Mutex<()>,
    index: Mutex<Index>,
    state: Mutex<State>,
    prepared: Prepared,
    watch: Arc<Mutex<Option<Arc<dyn DirWatch>>>>,
    stop: AtomicBool,
    counters: Counters,
}

/// What is known beside the index.
struct State {
    /// Until the first full scan: the index made of the cache, with which that scan is compared.
    cached: Option<Index>,
    problems: Vec<Problem>,
    epoch: u64,
    changes: u64,
    /// Files under suspicion of rot, and what they held before.
    rot: BTreeMap<RelPath, File>,
    /// Paths whose state was lost track of; the next scan looks at them, too.
    unseen: BTreeSet<RelPath>,
    /// Whether a batch failed after it may have changed something. What it did must become durable before it is
    /// told, because whoever is told records it.
    in_doubt: bool,
    ledger: Ledger,
}

impl<D: Disk> Replica<D> {
    /// Opens a root and clears up what an interrupted batch left. Writes nothing into a root that is known by
    /// its file system's identity.
    ///
    /// # Errors
    /// See [`OpenError`]. A root is never created.
    pub fn open(disk: D, options: Options) -> Result<Self, OpenError> {
        let Options { relationship, marker, select, cache, rules, parallel, counters } = options;
        let matcher = Matcher::new(&select)?;
        let identity = marker::open(&disk, relationship, marker)?;
        let (mut recovered, mut epoch) = (Recovered::default(), 0);
        if let Identity::Marker { .. } = identity {
            recovered = crate::recover::recover(&disk, relationship).map_err(OpenError::Recover)?;
            // What is known to have been higher is noticed by the first look.
            epoch = read_epoch(&disk, relationship)?.max(counters.epoch);
        }
        let cached = cache::index_of(cache);
        Ok(Replica {
            disk: Arc::new(disk),
            relationship,
            identity,
            recovered,
            matcher,
            rules,
            parallel,
            turn: Mutex::default(),
            index: Mutex::new(Index::empty()),
            state: Mutex::new(State {
                ledger: Ledger::new(cached.clone()),
                cached: Some(cached),
                problems: Vec::new(),
                epoch,
                changes: counters.changes,
                rot: BTreeMap::new(),
                unseen: BTreeSet::new(),
                in_doubt: false,
            }),
            prepared: Prepared::default(),
            watch: Arc::default(),
            stop: AtomicBool::new(false),
            counters: Counters::default(),
        })
    }

    /// Looks at the root and returns what it holds. The first scan looks at everything whatever `extent` says.
    ///
    /// # Errors
    /// See [`ScanError`]; the previous snapshot then stays.
    pub fn scan(&self, extent: &Extent) -> Result<Snapshot, ScanError> {
        self.look(extent, *extent == Extent::Deep, self.parallel)
    }

    /// Reads the contents at these paths again, whatever their sizes and times say, one after the other. Before the
    /// first scan this is that scan.
    ///
    /// # Errors
    /// See [`ScanError`]; the previous snapshot then stays.
    pub fn read_again(&self, paths: &[RelPath]) -> Result<Snapshot, ScanError> {
        if self.snapshot().is_none() {
            return self.scan(&Extent::Full);
        }
        self.look(&Extent::Paths(paths.to_vec()), true, false)
    }

    fn look(&self, extent: &Extent, deep: bool, parallel: bool) -> Result<Snapshot, ScanError> {
        let _turn = lock(&self.turn);
        self.stop.store(false, Ordering::Relaxed);
        marker::check(&*self.disk, self.relationship, self.identity)?;
        self.clear_doubt()?;
        let (before, rot, paths) = {
            let state = lock(&self.state);
            let paths = match (extent, &state.cached) {
                (Extent::Paths(paths), None) => Some(Trie::new(paths.iter().chain(&state.unseen))),
                _ => None,
            };
            let before = state.cached.clone().unwrap_or_else(|| self.index().clone());
            (before, state.rot.clone(), paths)
        };
        let target = match &paths {
            Some(trie) if trie.is_empty() => return Ok(self.present()),
            Some(trie) => Target::Named(trie),
            None => Target::All,
        };
        let watch = lock(&self.watch).clone();
        let hashing = Hashing { parallel, stop: &self.stop, counters: &self.counters };
        let scan = Scan::new(&*self.disk, &self.matcher, watch.as_deref(), deep, &rot, hashing);
        let found = run_in_pool(self.disk.calls_at_once(), || scan.run(&before, target))?;
        // Whatever is missing in what was found is proof of nothing if the root was exchanged meanwhile.
        marker::check(&*self.disk, self.relationship, self.identity)?;
        let epoch = match self.identity {
            Identity::Marker { .. } => self.notice_rollback()?,
            Identity::FileSystem { .. } => 0,
        };
        if let Some(watch) = watch {
            watch.leave(&found.left);
        }
        self.take_over(found, paths.is_some(), epoch);
        Ok(self.present())
    }

    /// Begins a new generation of epochs if the folder was restored from a backup: otherwise the batches of some peers
    /// would bring its epoch up to what others remember, and those would take what the backup lacks for deleted. Where
    /// users alone changed it, no batch was counted, but their changes were.
    fn notice_rollback(&self) -> Result<u64, ScanError> {
        let found = read_epoch(&*self.disk, self.relationship)?;
        let changes = self.read_changes()?;
        let mut state = lock(&self.state);
        if found >= state.epoch && changes >= state.changes {
            state.changes = changes;
            return Ok(found);
        }
        let next = marker::next_generation(state.epoch.max(found));
        let failed =
            |error: io::Error| ScanError::RootUnreadable(format!("its epoch cannot be written: {error}"));
        marker::bump_epoch(&*self.disk, self.relationship, next).map_err(failed)?;
        // Only then: until it is written, the next look finds the same again.
        if changes < state.changes {
            marker::set_changes(&*self.disk, self.relationship, state.changes).map_err(failed)?;
        }
        state.epoch = next;
        Ok(next)
    }

    fn read_changes(&self) -> Result<u64, ScanError> {
        let failed =
            |error: io::Error| ScanError::RootUnreadable(format!("its counter cannot be read: {error}"));
        marker::changes(&*self.disk, self.relationship).map_err(failed)
    }

    /// Counts, durably, that users changed the root. Nothing is written into a root that is known by its file system's
    /// identity, nor into one that shows less than it did: the next look says more of that.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn count_change(&self) -> Result<(), ScanError> {
        let Identity::Marker { .. } = self.identity else { return Ok(()) };
        let _turn = lock(&self.turn);
        marker::check(&*self.disk, self.relationship, self.identity)?;
        let found = self.read_changes()?;
        let known = lock(&self.state).changes;
        if found < known {
            return Ok(());
        }
        let failed =
            |error: io::Error| ScanError::RootUnreadable(format!("its counter cannot be written: {error}"));
        marker::set_changes(&*self.disk, self.relationship, found + 1).map_err(failed)?;
        lock(&self.state).changes = found + 1;
        Ok(())
    }

    /// Returns the counters as they are known, to be remembered.
    pub fn root_counters(&self) -> RootCounters {
        let state = lock(&self.state);
        RootCounters { epoch: state.epoch, changes: state.changes }
    }

    /// Makes durable what a batch that failed may have changed.
    fn clear_doubt(&self) -> Result<(), ScanError> {
        if lock(&self.state).in_doubt {
            let failed = |error: io::Error| {
                ScanError::RootUnreadable(format!("what was changed could not be made durable: {error}"))
            };
            self.disk.sync_all().map_err(failed)?;
            lock(&self.state).in_doubt = false;
        }
        Ok(())
    }

    fn take_over(&self, found: Found, partial: bool, epoch: u64) {
        let mut state = lock(&self.state);
        let tree = found.index.tree();
        let mut problems = found.problems;
        if partial {
            let new: BTreeSet<RelPath> = problems.iter().map(|problem| problem.path.clone()).collect();
            let old = std::mem::take(&mut state.problems);
            problems.extend(old.into_iter().filter(|old| !new.contains(&old.path)));
            problems.sort_by(|a, b| a.path.cmp(&b.path));
        }
        problems.retain(|problem| is_still(&tree, problem));
        state.rot.extend(found.rot);
        state.rot.retain(|path, _| tree.get(path) == Some(&Entry::Unknown(ProblemKind::SuspectedRot)));
        state.epoch = epoch;
        state.cached = None;
        // What would not hold still is looked at again by the next scan, whatever that is asked to look at.
        let changing = problems.iter().filter(|problem| problem.kind == ProblemKind::Changing);
        state.unseen = changing.map(|problem| problem.path.clone()).collect();
        state.problems = problems;
        *self.index() = found.index;
    }

    /// Returns the last snapshot, with the batches applied since; `None` before the first scan, and while it is in
    /// doubt whether a batch is durable.
    pub fn snapshot(&self) -> Option<Snapshot> {
        let scanned = {
            let state = lock(&self.state);
            state.cached.is_none() && !state.in_doubt
        };
        scanned.then(|| self.present())
    }

    fn present(&self) -> Snapshot {
        let state = lock(&self.state);
        let tree = self.index().tree();
        let problems = state.problems.iter().filter(|problem| is_still(&tree, problem)).cloned().collect();
        Snapshot { tree, epoch: state.epoch, problems }
    }

    /// Sends what a receiver needs. Runs beside scans and batches; a file that changed since the last scan is
    /// reported as such, piece by piece.
    ///
    /// # Errors
    /// `Stopped` as soon as `sink` returns it.
    pub fn supply(
        &self,
        items: &[Item],
        needs: &[Need],
        sink: &mut dyn FnMut(Piece) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        crate::supply::supply(&*self.disk, &|path| self.look_up(path), items, needs, sink)
    }

    /// Cuts items into chunks at the supplier; what changed since the last scan is left out.
    pub fn manifest(&self, items: &[Item], indices: &[u32]) -> Vec<Manifest> {
        crate::supply::manifests(&*self.disk, &|path| self.look_up(path), items, indices)
    }

    /// Finds out what this receiver really needs of a batch's items.
    pub fn prepare(&self, batch: &Batch, manifests: &[Manifest]) -> Vec<Need> {
        let look_up = |path: &RelPath| self.look_up(path);
        crate::prepare::prepare(
            &*self.disk,
            self.relationship,
            &look_up,
            &self.prepared,
            batch,
            manifests,
            self.rules,
        )
    }

    /// Cuts the bases of a batch into chunks ahead of [`Replica::prepare`]; meant to run while the supplier makes
    /// its manifests.
    pub fn read_bases(&self, batch: &Batch) {
        crate::prepare::read_bases(&*self.disk, &|path| self.look_up(path), &self.prepared, batch);
    }

    /// Carries out a batch, durably, and reports what became of each part.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn apply(
        &self,
        batch: &Batch,
        pieces: &mut dyn Iterator<Item = Piece>,
        progress: &dyn Progress,
    ) -> Result<Applied, BatchError> {
        // Nothing is written into a root that is missing or not ours, not even into its staging.
        marker::check(&*self.disk, self.relationship, self.identity)?;
        if let Identity::FileSystem { .. } = self.identity {
            return Err(BatchError::ReadOnly);
        }
        let bump_epoch = || {
            let next = lock(&self.state).epoch + 1;
            marker::bump_epoch(&*self.disk, self.relationship, next)?;
            lock(&self.state).epoch = next;
            Ok(next)
        };
        let site = Site {
            disk: &*self.disk,
            relationship: self.relationship,
            index: &self.index,
            takes_part: &|path, is_dir| self.matcher.takes_part(path, is_dir),
            bump_epoch: &bump_epoch,
            epoch: lock(&self.state).epoch,
            prepared: &self.prepared,
            rules: self.rules,
        };
        // Content may take long to arrive; only its publication excludes scans and other batches.
        let turn = || {
            let turn = lock(&self.turn);
            marker::check(&*self.disk, self.relationship, self.identity)?;
            let (expected, found) = (lock(&self.state).epoch, read_epoch(&*self.disk, self.relationship)?);
            if found == expected { Ok((turn, expected)) } else { Err(BatchError::Stale { expected, found }) }
        };
        let (_turn, result) = crate::apply::apply_in_turn(&site, batch, pieces, progress, turn)?;
        match &result {
            Ok(applied) => {
                self.doubt_what_the_index_lacks(batch, &applied.report.outcomes);
                self.tell_watch(batch, &applied.report.outcomes);
            }
            // What was done is not in the index, so it must be looked at.
            Err(_) => {
                let touched = batch.changes.iter().map(|change| &change.path);
                let moved = batch.moves.iter().flat_map(|step| [&step.from, &step.to]);
                let mut state = lock(&self.state);
                state.unseen.extend(touched.chain(moved).cloned());
                state.in_doubt = true;
            }
        }
        Ok(result?)
    }

    /// Has the next scan look at paths of which the index does not say what the report says.
    fn doubt_what_the_index_lacks(&self, batch: &Batch, outcomes: &[Outcome]) {
        let paths =
            batch.moves.iter().map(|step| &step.to).chain(batch.changes.iter().map(|change| &change.path));
        let tree = self.index().tree();
        let doubtful = paths.zip(outcomes).filter(|(path, outcome)| match outcome {
            Outcome::Applied { now, .. } => !path.is_root() && tree.get(path).is_some() != now.is_some(),
            Outcome::Refused(_) => false,
        });
        let doubtful: Vec<RelPath> = doubtful.map(|(path, _)| path.clone()).collect();
        lock(&self.state).unseen.extend(doubtful);
    }

    /// Returns what changed in the digest cache since the rows that were returned before, at most
    /// [`MAX_DELTA`] rows; call again while `more` is set. Empty before the first scan.
    pub fn take_cache_delta(&self) -> CacheDelta {
        let mut state = lock(&self.state);
        if state.cached.is_some() {
            return CacheDelta::default();
        }
        let current = self.index().clone();
        state.ledger.take(&current, MAX_DELTA)
    }

    /// Returns the versions kept of a path, newest first.
    ///
    /// # Errors
    /// Those of listing.
    pub fn versions(&self, path: &RelPath) -> io::Result<Vec<Version>> {
        crate::versions::versions(&*self.disk, path)
    }

    /// Opens what stands at a path, or a version of it, for reading; links are not followed.
    ///
    /// # Errors
    /// `NotFound` when it is not there, otherwise what the system says: only files can be opened.
    pub fn open_file(&self, path: &RelPath, version: Option<&str>) -> io::Result<Box<dyn ReadFile>> {
        match version {
            Some(id) => crate::versions::open(&*self.disk, id, path),
            None => self.disk.open(&Place::User(path.clone())),
        }
    }

    /// Brings a version back to `to`; what stands there becomes a version itself. The next scan sees it.
    ///
    /// # Errors
    /// See [`RestoreError`].
    pub fn restore(&self, id: &str, path: &RelPath, to: &RelPath) -> Result<Restored, RestoreError> {
        let _turn = lock(&self.turn);
        lock(&self.state).unseen.insert(to.clone());
        crate::restore::restore(&*self.disk, self.relationship, id, path, to)
    }

    /// Deletes versions that need not be kept any longer.
    ///
    /// # Errors
    /// Those of listing and removing.
    pub fn drop_versions(&self, keep: &Keep) -> io::Result<Dropped> {
        crate::versions::drop_versions(&*self.disk, keep)
    }

    /// Deletes parts of large contents whose transfer was interrupted and not taken up for `lease`. Returns the
    /// bytes freed.
    ///
    /// # Errors
    /// Those of listing and removing.
    pub fn drop_partials(&self, lease: Duration) -> io::Result<u64> {
        let _turn = lock(&self.turn);
        crate::prepare::drop_partials(&*self.disk, self.relationship, lease)
    }

    /// Makes a running scan end with [`ScanError::Stopped`] soon.
    pub fn interrupt(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Returns what all scans since the opening have done, live.
    pub fn counts(&self) -> Counts {
        self.counters.get()
    }

    /// Returns by what the root is recognised.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns what was cleared up when the root was opened.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Returns the rules by which paths take part.
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// Returns what a file under suspicion of rot held before; `None` for all other paths.
    pub fn before_rot(&self, path: &RelPath) -> Option<File> {
        lock(&self.state).rot.get(path).copied()
    }

    /// Returns free and total bytes of the root's file system.
    ///
    /// # Errors
    /// Those of the system call.
    pub fn space(&self) -> io::Result<(u64, u64)> {
        self.disk.space()
    }

    /// Returns the disk.
    pub fn disk(&self) -> &Arc<D> {
        &self.disk
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    fn look_up(&self, path: &RelPath) -> Option<(Entry, Keys)> {
        self.index().look_up(path)
    }
}

fn read_epoch<D: Disk>(disk: &D, relationship: u128) -> Result<u64, ScanError> {
    marker::epoch(disk, relationship)
        .map_err(|error| ScanError::RootUnreadable(format!("its epoch cannot be read: {error}")))
}

/// Tells whether a problem that was seen before is still there.
fn is_still(tree: &Arc<Dir>, problem: &Problem) -> bool {
    match tree.get(&problem.path) {
        Some(Entry::Unknown(kind)) => *kind == problem.kind,
        // A name that is too long to be an entry is reported for its folder.
        Some(Entry::Dir(_)) => problem.kind == ProblemKind::TooLong,
        None => problem.path.is_root() && problem.kind == ProblemKind::TooLong,
        Some(Entry::File(_) | Entry::Symlink(_)) => false,
    }
}

/// Locks; what a thread that died left is whole, because every change under these locks is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
