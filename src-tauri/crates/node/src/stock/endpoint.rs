//! A folder on a host without Evenfold: the engine's port `Endpoint` over SFTP.
//!
//! There is one of these for each session. The node that has the relationship does all the work: it scans, stages and
//! publishes there with the same code as at home ([`SftpDisk`]). Nobody on the host tells of changes, so the
//! folder is looked at again every so often.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use evenfold_core::apply::{Batch, Report};
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Digest, Dir, RelPath};
use evenfold_engine::ports::PIECES_IN_FLIGHT;
use evenfold_engine::{Endpoint, EndpointError};
use evenfold_fs::marker::{Identity, Marker};
use evenfold_fs::replica::{BatchError, OpenError, Options, Replica};
use evenfold_fs::scan::ScanError;
use evenfold_ssh::stock::Host;
use evenfold_ssh::stock::sftp::Sftp;
use evenfold_store::Store;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::Tuning;
use super::disk::SftpDisk;
use crate::limits::Limits;
use crate::local::{LocalEndpoint, Mark, blocking, cache_row, lock, stored_row};

/// How often a folder is looked at for changes at least, and how much longer than the look itself the pause is: so
/// a large tree costs the host at most a twentieth of its time.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
const PAUSE_PER_LOOK: u32 = 20;

/// How often what retention no longer keeps is dropped there.
const CLEANING: Duration = Duration::from_secs(24 * 3600);

/// The folder of one relationship on a host, for one session.
pub(super) struct StockEndpoint {
    me: Weak<StockEndpoint>,
    place: Place,
    /// How the folder is recognised when it is opened.
    mark: Mutex<Mark>,
    /// The opened folder; opened again after it was missing or replaced.
    open: Mutex<Option<Open>>,
    opening: tokio::sync::Mutex<()>,
    sftp: Arc<Sftp>,
    _host: Host,
    nudge: watch::Sender<u64>,
    told: Mutex<Option<Digest>>,
    looking: Mutex<Option<JoinHandle<()>>>,
}

/// The opened folder, and what it obeys.
struct Open {
    replica: Arc<Replica<SftpDisk>>,
    tuning: Tuning,
}

/// Where the folder is, and what it is opened with.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) machine: String,
    /// On the host, absolute.
    pub(super) path: Vec<u8>,
    pub(super) relationship: Uuid,
    pub(super) tuning: Arc<watch::Sender<Tuning>>,
    pub(super) store: Arc<Store>,
    /// Ours, in which the fine part of times is looked up.
    pub(super) local: Arc<LocalEndpoint>,
    /// How fast contents travel.
    pub(super) limits: Arc<Limits>,
}

impl StockEndpoint {
    /// Takes over a session; the folder is opened when it is first looked at.
    pub(super) fn new(host: Host, sftp: Sftp, place: Place, mark: Mark) -> Arc<Self> {
        let endpoint = Arc::new_cyclic(|me| StockEndpoint {
            me: me.clone(),
            place,
            mark: Mutex::new(mark),
            open: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            sftp: Arc::new(sftp),
            _host: host,
            nudge: watch::Sender::new(0),
            told: Mutex::new(None),
            looking: Mutex::new(None),
        });
        *lock(&endpoint.looking) = Some(tokio::spawn(look_again(Arc::downgrade(&endpoint))));
        endpoint
    }

    /// Returns the opened folder, opening it where necessary.
    async fn replica(&self) -> Result<Arc<Replica<SftpDisk>>, EndpointError> {
        let tuning = self.place.tuning.borrow().clone();
        if let Some(replica) = self.opened(Some(&tuning)) {
            return Ok(replica);
        }
        let _opening = self.opening.lock().await;
        if let Some(replica) = self.opened(Some(&tuning)) {
            return Ok(replica);
        }
        let Place { path, relationship, store, .. } = self.place.clone();
        let cache = match store.far_digest_cache().load(relationship).await {
            Ok(rows) => rows.into_iter().map(cache_row).collect(),
            Err(error) => {
                tracing::warn!(%error, "the digest cache cannot be read; reading everything on the host");
                Vec::new()
            }
        };
        let mark = *lock(&self.mark);
        let (sftp, runtime) = (Arc::clone(&self.sftp), tokio::runtime::Handle::current());
        let options = Options {
            relationship: relationship.as_u128(),
            marker: Marker::Expect { replica: None },
            select: tuning.select.clone(),
            cache,
            rules: tuning.rules,
            parallel: true,
            counters: Default::default(),
        };
        let limits = Arc::clone(&self.place.limits);
        let opened = blocking(move || open(sftp, runtime, &path, mark, limits, options)).await;
        let replica = Arc::new(self.unless_ended(opened?)?);
        if let (Mark::Create, Identity::Marker { replica: identity }) = (mark, replica.identity()) {
            super::root::remember(&store, relationship, identity).await;
            *lock(&self.mark) = Mark::Expect(Some(identity));
        }
        *lock(&self.open) = Some(Open { replica: Arc::clone(&replica), tuning });
        Ok(replica)
    }

    /// Returns the folder if it is open, with this tuning if one is given.
    fn opened(&self, tuning: Option<&Tuning>) -> Option<Arc<Replica<SftpDisk>>> {
        let open = lock(&self.open);
        let open = open.as_ref().filter(|open| {
            tuning.is_none_or(|now| open.tuning.select == now.select && open.tuning.rules == now.rules)
        });
        open.map(|open| Arc::clone(&open.replica))
    }

    /// Returns what was found, unless it was found over a connection that has ended and says nothing of the folder.
    fn unless_ended<T>(&self, found: Result<T, EndpointError>) -> Result<T, EndpointError> {
        if self.sftp.has_ended() {
            return Err(EndpointError::Offline("the connection ended".to_owned()));
        }
        found
    }

    /// Waits until the session has ended.
    pub(super) async fn ended(&self) {
        self.sftp.ended().await;
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Replica<SftpDisk>) -> T + Send + 'static,
    ) -> Result<T, EndpointError> {
        let replica = self.replica().await?;
        let done = blocking(move || work(&replica)).await;
        self.unless_ended(done)
    }

    /// Returns whether the folder was looked at since it was opened.
    fn is_known(&self) -> bool {
        self.opened(None).is_some_and(|replica| replica.snapshot().is_some())
    }

    async fn look(&self, extent: Extent) -> Result<Snapshot, EndpointError> {
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
                self.tell(snapshot.tree.digest());
                self.save_cache().await;
                Ok(snapshot)
            }
            Err(error) => {
                // Opened anew at the next look, by its path: it may have come back.
                *lock(&self.open) = None;
                Err(scan_error(error))
            }
        }
    }

    /// Drops what retention no longer keeps on the host.
    async fn clean(&self) {
        let Tuning { keep, lease, .. } = self.place.tuning.borrow().clone();
        if *lock(&self.mark) == Mark::Look {
            return;
        }
        let cleaned = self.on_disk(move |replica| {
            replica.drop_versions(&keep)?;
            replica.drop_partials(lease)
        });
        let failed = match cleaned.await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::debug!(failed, "old versions on the host could not be dropped");
    }

    fn tell(&self, digest: Digest) {
        if lock(&self.told).replace(digest) != Some(digest) {
            self.nudge.send_modify(|count| *count += 1);
        }
    }

    /// Saves what changed in the digest cache. Losing it costs reading, nothing else.
    async fn save_cache(&self) {
        let Some(replica) = self.opened(None) else { return };
        let (store, relationship) = (&self.place.store, self.place.relationship);
        loop {
            let delta = replica.take_cache_delta();
            if delta.is_empty() {
                return;
            }
            let more = delta.more;
            let upserts: Vec<_> = delta.upserts.into_iter().map(stored_row).collect();
            let saved = store.far_digest_cache().apply(relationship, &upserts, &delta.removes).await;
            if let Err(error) = saved {
                tracing::warn!(%error, "the digest cache could not be saved; files will be read again");
                return;
            }
            if !more {
                return;
            }
        }
    }
}

impl Drop for StockEndpoint {
    fn drop(&mut self) {
        if let Some(open) = lock(&self.open).take() {
            open.replica.interrupt();
        }
        if let Some(task) = lock(&self.looking).take() {
            task.abort();
        }
    }
}

/// Looks at the folder every so often, and raises the nudge when it has changed.
async fn look_again(endpoint: Weak<StockEndpoint>) {
    let mut pause = LOOK_AGAIN;
    let mut cleaned: Option<tokio::time::Instant> = None;
    loop {
        tokio::time::sleep(pause).await;
        let Some(endpoint) = endpoint.upgrade() else { return };
        // Before the first comparison there is nothing to compare with.
        if !endpoint.is_known() {
            continue;
        }
        if cleaned.is_none_or(|at| at.elapsed() >= CLEANING) {
            endpoint.clean().await;
            cleaned = Some(tokio::time::Instant::now());
        }
        if !endpoint.place.tuning.borrow().watch {
            continue;
        }
        let begun = tokio::time::Instant::now();
        if let Err(error) = endpoint.look(Extent::Full).await {
            tracing::debug!(%error, machine = endpoint.place.machine, "the folder on the host could not be looked at");
            // The next cycle finds out more.
            endpoint.nudge.send_modify(|count| *count += 1);
        }
        pause = LOOK_AGAIN.max(begun.elapsed().saturating_mul(PAUSE_PER_LOOK));
    }
}

#[async_trait]
impl Endpoint for StockEndpoint {
    fn machine(&self) -> String {
        self.place.machine.clone()
    }

    async fn scan(&self, extent: Extent, known: &[Arc<Dir>]) -> Result<Snapshot, EndpointError> {
        let mut hints = known.to_vec();
        let is_first = !self.is_known();
        if is_first {
            // After a restart nothing is known yet but what was agreed on.
            match self.place.store.ancestor().load(self.place.relationship).await {
                Ok(ancestor) => hints.push(ancestor),
                Err(error) => tracing::debug!(%error, "what was agreed on cannot be read"),
            }
        }
        if (is_first || hints.is_empty())
            && let Ok(ours) = self.place.local.scan(Extent::Paths(Vec::new()), &[]).await
        {
            hints.push(ours.tree);
        }
        self.replica().await?.disk().set_hints(hints);
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
        let (me, items) = (self.me.clone(), batch.items.clone());
        tokio::spawn(async move {
            let Some(me) = me.upgrade() else { return };
            let supplied = me.on_disk(move |replica| {
                let mut send = |piece| sender.blocking_send(piece).map_err(|_| evenfold_fs::supply::Stopped);
                // Stopped means that the receiver wants no more, which is its right.
                _ = replica.supply(&items, &needs, &mut send);
            });
            if let Err(error) = supplied.await {
                // The receiver sees that pieces are missing and refuses what needs them.
                tracing::warn!(%error, "contents could not be supplied");
            }
        });
        Ok(receiver)
    }

    async fn apply(
        &self,
        batch: &Arc<Batch>,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> Result<Report, EndpointError> {
        let work = Arc::clone(batch);
        let applied = self.on_disk(move |replica| {
            let mut pieces = std::iter::from_fn(move || pieces.blocking_recv());
            let applied = replica.apply(&work, &mut pieces, &())?;
            replica.disk().after_batch();
            Ok::<_, BatchError>((applied, replica.snapshot().map(|snapshot| snapshot.tree.digest())))
        });
        match applied.await? {
            Ok((applied, digest)) => {
                if let Some(digest) = digest {
                    self.tell(digest);
                }
                self.save_cache().await;
                Ok(applied.report)
            }
            Err(error) => Err(EndpointError::Failed { code: "apply".to_owned(), message: error.to_string() }),
        }
    }

    fn nudges(&self) -> watch::Receiver<u64> {
        self.nudge.subscribe()
    }

    async fn author(&self, _path: &RelPath, _digest: Digest) -> Result<Option<String>, EndpointError> {
        // Nobody on the host keeps a history.
        Ok(None)
    }
}

/// Opens the folder. Blocks.
fn open(
    sftp: Arc<Sftp>,
    runtime: tokio::runtime::Handle,
    path: &[u8],
    mark: Mark,
    limits: Arc<Limits>,
    options: Options,
) -> Result<Replica<SftpDisk>, EndpointError> {
    let unusable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => EndpointError::RootMissing,
        _ => EndpointError::RootUnreadable(error.to_string()),
    };
    let may_write = !matches!(mark, Mark::Look | Mark::Inode(_));
    let disk = SftpDisk::open(sftp, runtime, path, may_write, limits).map_err(unusable)?;
    disk.remember(&options.cache);
    let marker = match mark {
        Mark::Create => Marker::Create { replica: rand::random() },
        Mark::Expect(replica) => Marker::Expect { replica },
        // Over SFTP there is no number of a file that would say more than its path.
        Mark::Look | Mark::Inode(_) => {
            let (dev, ino) = disk.identity().map_err(unusable)?;
            Marker::FileSystem { dev, ino }
        }
    };
    let replica = Replica::open(disk, Options { marker, ..options }).map_err(|error| match error {
        OpenError::Root(error) => scan_error(error),
        other => EndpointError::RootUnreadable(other.to_string()),
    })?;
    if may_write && let Err(error) = replica.disk().read_clock() {
        // Then its clock is guessed, which costs reading a little more.
        tracing::debug!(%error, "the host's clock cannot be read");
    }
    Ok(replica)
}

fn scan_error(error: ScanError) -> EndpointError {
    match error {
        ScanError::RootMissing => EndpointError::RootMissing,
        ScanError::RootReplaced { detail } => EndpointError::RootReplaced(detail),
        other => EndpointError::RootUnreadable(other.to_string()),
    }
}
