//! A folder of this machine: the engine's port `Endpoint` over `evenfold-fs`.
//!
//! There is one of these for each relationship, shared by all pairs that use it: one scanner, one watcher, one
//! snapshot. The disk is only touched on blocking threads.

mod changes;
mod opening;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use evenfold_core::apply::{Batch, Report};
use evenfold_core::select::Select;
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Digest, Dir, Entry, ProblemKind, RelPath};
use evenfold_engine::ports::PIECES_IN_FLIGHT;
use evenfold_engine::{Endpoint, EndpointError};
use evenfold_fs::apply::{Applied, Kept, KeptWhy, Rules};
use evenfold_fs::marker::{Identity, Marker};
use evenfold_fs::matcher::Matcher;
use evenfold_fs::platform::RealDisk;
use evenfold_fs::replica::{Options, Replica};
use evenfold_store::Store;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::back::Back;
use crate::record::now_micros;
use crate::reopening::Reopening;
use crate::watcher::{self, Watching};
use crate::writing::Writing;

use changes::Changes;
pub(crate) use changes::forget as forget_counters;
pub(crate) use opening::{cache_row, stored_row};
use opening::{open, scan_error};

/// How late the digest cache is saved after a change.
const SAVE_CACHE: Duration = Duration::from_secs(2);

/// The folder of one relationship on this machine.
pub(crate) struct LocalEndpoint {
    /// For the tasks that it starts, which must not keep it alive.
    me: Back<LocalEndpoint>,
    machine: String,
    root: PathBuf,
    relationship: Uuid,
    store: Arc<Store>,
    /// Whether digests are kept in the database.
    remembers: bool,
    /// Whether saving the digest cache is due.
    saving: AtomicBool,
    pub(crate) reopening: Reopening,
    settings: Mutex<LocalSettings>,
    open: Mutex<Open>,
    /// Held while the folder is being opened, so that it is opened once.
    opening: tokio::sync::Mutex<()>,
    nudge: watch::Sender<u64>,
    /// What peers are writing into it right now.
    pub(crate) writing: Writing,
    told: Mutex<Option<Digest>>,
    changes: Changes,
}

/// The options of a folder.
#[derive(Clone, PartialEq)]
pub(crate) struct LocalSettings {
    pub(crate) select: Select,
    pub(crate) rules: Rules,
    /// How the folder is recognised.
    pub(crate) mark: Mark,
    /// Whether a watcher is wanted.
    pub(crate) watch: bool,
}

/// How a folder is recognised when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It is being joined and gets a marker.
    Create,
    /// It must have the marker that it got when it was joined.
    Expect(Option<u128>),
    /// It is only looked at; nothing is written.
    Look,
    /// It is only looked at, and must have the inode that it had when it was joined.
    Inode(u64),
}

/// The opened folder; opened again after it was missing or replaced.
#[derive(Default)]
struct Open {
    replica: Option<Arc<Replica<RealDisk>>>,
    watching: Option<Watching>,
}

impl LocalEndpoint {
    pub(crate) fn new(
        machine: String,
        root: PathBuf,
        relationship: Uuid,
        store: Arc<Store>,
        settings: LocalSettings,
    ) -> Arc<Self> {
        Self::make(machine, root, relationship, store, settings, true)
    }

    fn make(
        machine: String,
        root: PathBuf,
        relationship: Uuid,
        store: Arc<Store>,
        settings: LocalSettings,
        remembers: bool,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| LocalEndpoint {
            me: me.clone().into(),
            machine,
            root,
            relationship,
            store,
            remembers,
            saving: AtomicBool::new(false),
            reopening: Reopening::default(),
            settings: Mutex::new(settings),
            open: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            nudge: watch::Sender::new(0),
            writing: Writing::default(),
            told: Mutex::new(None),
            changes: Changes::default(),
        })
    }

    /// A folder that is only looked at once, for a preview: nothing of it is remembered.
    pub(crate) fn passing(
        machine: String,
        root: PathBuf,
        relationship: Uuid,
        store: Arc<Store>,
        settings: LocalSettings,
    ) -> Arc<Self> {
        Self::make(machine, root, relationship, store, settings, false)
    }

    /// Returns how the folder is recognised from now on.
    pub(crate) fn mark(&self) -> Mark {
        lock(&self.settings).mark
    }

    /// Has the folder recognised in another way from now on, although it stays open.
    pub(crate) fn set_mark(&self, mark: Mark) {
        lock(&self.settings).mark = mark;
    }

    /// Returns the free bytes of the folder's file system, if they can be told.
    pub(crate) async fn free_space(&self) -> Option<u64> {
        let space = self.on_disk(|replica| replica.space()).await;
        space.ok()?.ok().map(|(free, _)| free)
    }

    /// Returns where the folder is.
    pub(crate) fn root(&self) -> &PathBuf {
        &self.root
    }

    /// Takes new options; the folder is looked at again with them.
    pub(crate) fn set_settings(&self, settings: LocalSettings) {
        *lock(&self.settings) = settings;
        *lock(&self.open) = Open::default();
        *lock(&self.told) = None;
        self.await_folder(true);
    }

    /// Lets go of the folder and its watcher for good.
    pub(crate) fn close(&self) {
        self.reopening.end();
        *lock(&self.open) = Open::default();
    }

    /// Returns the opened folder, opening it where necessary.
    pub(crate) async fn replica(&self) -> Result<Arc<Replica<RealDisk>>, EndpointError> {
        if let Some(replica) = lock(&self.open).replica.clone() {
            return Ok(replica);
        }
        let _opening = self.opening.lock().await;
        if let Some(replica) = lock(&self.open).replica.clone() {
            return Ok(replica);
        }
        let cache = match self.store.digest_cache().load(self.relationship).await {
            Ok(rows) => rows.into_iter().map(cache_row).collect(),
            Err(error) => {
                // The cache only saves work: without it everything is hashed.
                tracing::warn!(%error, "the digest cache cannot be read; hashing everything");
                Vec::new()
            }
        };
        let settings = lock(&self.settings).clone();
        let root = self.root.clone();
        let watch = settings.watch;
        let options = Options {
            relationship: self.relationship.as_u128(),
            marker: Marker::Expect { replica: None },
            select: settings.select.clone(),
            rules: settings.rules,
            cache,
            parallel: true,
            counters: self.remembered_counters(settings.mark).await,
        };
        let opened = blocking(move || open(&root, settings.mark, options)).await?;
        let replica = Arc::new(opened.inspect_err(|_| self.await_folder(false))?);
        if let (Mark::Create, Identity::Marker { replica: identity }) = (settings.mark, replica.identity()) {
            lock(&self.settings).mark = Mark::Expect(Some(identity));
        }
        let mut open = lock(&self.open);
        open.replica = Some(Arc::clone(&replica));
        if watch {
            open.watching = watcher::start(self.me.clone(), &replica);
        }
        Ok(replica)
    }

    /// Runs `work` on the opened folder on a blocking thread.
    pub(crate) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Replica<RealDisk>) -> T + Send + 'static,
    ) -> Result<T, EndpointError> {
        let replica = self.replica().await?;
        blocking(move || work(&replica)).await
    }

    async fn look(&self, extent: Extent) -> Result<Snapshot, EndpointError> {
        let whole = matches!(extent, Extent::Full | Extent::Deep);
        let noted = whole.then(|| (now_micros(), extent == Extent::Deep, self.bytes_read()));
        let looked = self.look_now(extent).await;
        if let Some((started, deep, read_before)) = noted.filter(|_| self.remembers) {
            self.note_scan(started, deep, read_before, &looked).await;
        }
        looked
    }

    /// Returns the relationship's id.
    pub(crate) fn relationship(&self) -> Uuid {
        self.relationship
    }

    /// Returns the present tree.
    pub(crate) async fn tree(&self) -> Result<Arc<Dir>, EndpointError> {
        self.look(Extent::Paths(Vec::new())).await.map(|snapshot| snapshot.tree)
    }

    /// Reads contents again whatever their sizes and times say, one after the other, and returns how many of them
    /// are under suspicion of damage now.
    pub(crate) async fn read_again(&self, paths: Vec<RelPath>) -> Result<u64, EndpointError> {
        let named = paths.clone();
        let snapshot = self.on_disk(move |replica| replica.read_again(&named)).await?.map_err(scan_error)?;
        self.tell(snapshot.tree.digest());
        self.save_cache_soon();
        let suspected = Entry::Unknown(ProblemKind::SuspectedRot);
        Ok(paths.iter().filter(|path| snapshot.tree.get(path) == Some(&suspected)).count() as u64)
    }

    fn bytes_read(&self) -> u64 {
        lock(&self.open).replica.as_ref().map_or(0, |replica| replica.counts().bytes)
    }

    /// Writes down that the whole folder was looked at, for people who ask when.
    async fn note_scan(
        &self,
        started: i64,
        deep: bool,
        read_before: u64,
        looked: &Result<Snapshot, EndpointError>,
    ) {
        let totals = looked.as_ref().map(|snapshot| snapshot.tree.totals()).unwrap_or_default();
        let row = evenfold_store::ScanRow {
            started,
            ended: now_micros(),
            deep,
            success: looked.is_ok(),
            files: totals.files,
            bytes: totals.bytes,
            read: self.bytes_read().saturating_sub(read_before),
            errors: totals.unknown,
            detail: looked.as_ref().err().map(ToString::to_string),
        };
        if let Err(error) = self.store.scans().add(self.relationship, &row).await {
            tracing::debug!(%error, "a scan could not be noted");
        }
    }

    async fn look_now(&self, extent: Extent) -> Result<Snapshot, EndpointError> {
        let looked = self
            .on_disk(move |replica| match &extent {
                Extent::Paths(paths) if paths.is_empty() => {
                    replica.snapshot().map_or_else(|| replica.scan(&Extent::Full), Ok)
                }
                extent => replica.scan(extent),
            })
            .await?;
        match looked {
            Ok(snapshot) => {
                self.notice_change(snapshot.tree.digest());
                self.tell(snapshot.tree.digest());
                self.save_cache_soon();
                Ok(snapshot)
            }
            Err(error) => {
                // The folder is opened anew at the next look, by its path: it may have come back.
                *lock(&self.open) = Open::default();
                self.await_folder(false);
                Err(scan_error(error))
            }
        }
    }

    /// Has the folder opened again as soon as it can be, where it is to be watched.
    fn await_folder(&self, at_once: bool) {
        if lock(&self.settings).watch {
            self.reopening.begin(&self.me, &self.root, at_once);
        }
    }

    /// Tells whether the folder is open.
    pub(crate) fn is_open(&self) -> bool {
        lock(&self.open).replica.is_some()
    }

    /// Looks at everything, and lets those who wait for news know even if it is what it was.
    pub(crate) async fn look_anew(&self) -> Result<(), EndpointError> {
        *lock(&self.told) = None;
        self.look(Extent::Full).await.map(drop)
    }

    /// Raises the nudge if the tree is not the one that was last told.
    fn tell(&self, digest: Digest) {
        if lock(&self.told).replace(digest) != Some(digest) {
            self.nudge.send_modify(|count| *count += 1);
        }
    }

    /// Saves the digest cache a little later, so that no cycle waits for it and a burst is saved once.
    fn save_cache_soon(&self) {
        if !self.remembers || self.saving.swap(true, Ordering::Relaxed) {
            return;
        }
        let me = self.me.clone();
        tokio::spawn(async move {
            tokio::time::sleep(SAVE_CACHE).await;
            let Some(local) = me.upgrade() else { return };
            local.saving.store(false, Ordering::Relaxed);
            local.save_cache().await;
        });
    }

    /// Saves what changed in the digest cache. Losing it costs hashing, nothing else.
    pub(crate) async fn save_cache(&self) {
        if !self.remembers {
            return;
        }
        let Some(replica) = lock(&self.open).replica.clone() else { return };
        self.save_counters(&replica).await;
        loop {
            let delta = replica.take_cache_delta();
            if delta.is_empty() {
                return;
            }
            let more = delta.more;
            let upserts: Vec<_> = delta.upserts.into_iter().map(stored_row).collect();
            let saved = self.store.digest_cache().apply(self.relationship, &upserts, &delta.removes).await;
            if let Err(error) = saved {
                tracing::warn!(%error, "the digest cache could not be saved; files will be hashed again");
                return;
            }
            if !more {
                return;
            }
        }
    }

    /// Sends what is needed of `items` into `sink`; a closed sink ends it early.
    pub(crate) async fn supply_into(
        &self,
        items: Vec<Item>,
        needs: Vec<Need>,
        sink: mpsc::Sender<Piece>,
    ) -> Result<(), EndpointError> {
        self.on_disk(move |replica| {
            let mut send = |piece| sink.blocking_send(piece).map_err(|_| evenfold_fs::supply::Stopped);
            // Stopped means that the receiver wants no more, which is its right.
            _ = replica.supply(&items, &needs, &mut send);
        })
        .await
    }

    /// Applies a batch; see [`Endpoint::apply`].
    pub(crate) async fn carry_out(
        &self,
        batch: &Arc<Batch>,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> Result<Applied, EndpointError> {
        let work = Arc::clone(batch);
        let applied = self
            .on_disk(move |replica| {
                let mut pieces = std::iter::from_fn(move || pieces.blocking_recv());
                let applied = replica.apply(&work, &mut pieces, &Unwatched)?;
                Ok::<_, evenfold_fs::replica::BatchError>((
                    applied,
                    replica.snapshot().map(|s| s.tree.digest()),
                ))
            })
            .await?;
        match applied {
            Ok((applied, digest)) => {
                if let Some(digest) = digest {
                    self.tell(digest);
                }
                self.save_cache_soon();
                self.note_versions(batch, &applied.kept).await;
                Ok(applied)
            }
            Err(error) => Err(EndpointError::Failed { code: "apply".to_owned(), message: error.to_string() }),
        }
    }

    /// Writes the kept versions into the database, where they are listed from; the disk remains the truth.
    async fn note_versions(&self, batch: &Batch, kept: &[Kept]) {
        let time = now_micros();
        let rows: Vec<_> = kept
            .iter()
            .filter_map(|kept| {
                let old =
                    batch.changes.iter().find(|change| change.path == kept.path).and_then(|c| c.old.as_ref());
                Some(evenfold_store::VersionRow {
                    path: kept.path.clone(),
                    version: kept.version.clone(),
                    time,
                    // What nobody expected there is found on the disk only.
                    entry: old.and_then(evenfold_store::Record::of)?,
                    reason: reason(kept.why).to_owned(),
                    batch: Some(batch.id),
                })
            })
            .collect();
        if !rows.is_empty()
            && let Err(error) = self.store.versions().add(self.relationship, &rows).await
        {
            tracing::warn!(%error, "versions could not be noted; they are found on the disk all the same");
        }
    }
}

/// Progress is counted where contents travel; see `evenfold_engine::Progress`.
struct Unwatched;

impl evenfold_fs::apply::Progress for Unwatched {
    fn staged(&self, _files: u64, _bytes: u64) {}
}

fn reason(why: KeptWhy) -> &'static str {
    match why {
        KeptWhy::Replaced => "replaced",
        KeptWhy::Deleted => "deleted",
        KeptWhy::Displaced => "displaced",
    }
}

#[async_trait]
impl Endpoint for LocalEndpoint {
    fn machine(&self) -> String {
        self.machine.clone()
    }

    async fn scan(&self, extent: Extent, _known: &[Arc<Dir>]) -> Result<Snapshot, EndpointError> {
        self.look(extent).await
    }

    async fn manifest(&self, items: &[Item], indices: &[u32]) -> Result<Vec<Manifest>, EndpointError> {
        let (items, indices) = (items.to_vec(), indices.to_vec());
        self.on_disk(move |replica| replica.manifest(&items, &indices)).await
    }

    async fn read_bases(&self, batch: &Arc<Batch>) -> Result<(), EndpointError> {
        let batch = Arc::clone(batch);
        self.on_disk(move |replica| replica.read_bases(&batch)).await
    }

    async fn prepare(
        &self,
        batch: &Arc<Batch>,
        manifests: Vec<Manifest>,
    ) -> Result<Vec<Need>, EndpointError> {
        let batch = Arc::clone(batch);
        self.on_disk(move |replica| replica.prepare(&batch, &manifests)).await
    }

    async fn supply(
        &self,
        batch: &Arc<Batch>,
        needs: Vec<Need>,
    ) -> Result<mpsc::Receiver<Piece>, EndpointError> {
        let (sender, receiver) = mpsc::channel(PIECES_IN_FLIGHT);
        let (local, items) = (self.me.clone(), batch.items.clone());
        tokio::spawn(async move {
            let Some(local) = local.upgrade() else { return };
            if let Err(error) = local.supply_into(items, needs, sender).await {
                // The receiver sees that pieces are missing and refuses what needs them.
                tracing::warn!(%error, "contents could not be supplied");
            }
        });
        Ok(receiver)
    }

    async fn apply(
        &self,
        batch: &Arc<Batch>,
        pieces: mpsc::Receiver<Piece>,
    ) -> Result<Report, EndpointError> {
        Ok(self.carry_out(batch, pieces).await?.report)
    }

    fn nudges(&self) -> watch::Receiver<u64> {
        self.nudge.subscribe()
    }

    async fn author(&self, path: &RelPath, digest: Digest) -> Result<Option<String>, EndpointError> {
        if let Some(machine) = self.writing.author(path, digest) {
            return Ok(Some(machine));
        }
        let author = self.store.history().last_author(self.relationship, path, digest).await;
        author.map_err(|error| EndpointError::Failed { code: "store".to_owned(), message: error.to_string() })
    }
}

impl LocalEndpoint {
    /// Returns the rules by which paths take part.
    pub(crate) fn select(&self) -> Select {
        lock(&self.settings).select.clone()
    }

    /// Builds the matcher of the rules.
    pub(crate) fn matcher(&self) -> Result<Matcher, String> {
        Matcher::new(&self.select()).map_err(|error| error.to_string())
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is replaced as a whole, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs blocking work beside the asynchronous threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, EndpointError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| EndpointError::Failed {
        code: "internal".to_owned(),
        message: format!("a task ended unexpectedly: {error}"),
    })
}
