//! A folder on a host without Evenfold: the engine's port `Endpoint` over SFTP.
//!
//! There is one of these for each session. The node that has the relationship does all the work: it scans, stages and
//! publishes there with the same code as at home ([`SftpDisk`]). Nobody on the host tells of changes, so the
//! folder is looked at again every so often.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use evenfold_core::apply::{Batch, Report};
use evenfold_core::select::Select;
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Digest, Dir, RelPath};
use evenfold_engine::ports::PIECES_IN_FLIGHT;
use evenfold_engine::{Endpoint, EndpointError};
use evenfold_fs::apply::Rules;
use evenfold_fs::marker::{Identity, Marker};
use evenfold_fs::replica::{BatchError, OpenError, Options, Replica};
use evenfold_fs::scan::ScanError;
use evenfold_ssh::stock::Host;
use evenfold_ssh::stock::sftp::Sftp;
use evenfold_store::Store;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::disk::SftpDisk;
use crate::local::{LocalEndpoint, Mark, blocking, cache_row, lock, stored_row};

/// How often a folder is looked at for changes at least, and how much longer than the look itself the pause is: so
/// a large tree costs the host at most a twentieth of its time.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
const PAUSE_PER_LOOK: u32 = 20;

/// The folder of one relationship on a host, for one session.
pub(super) struct StockEndpoint {
    me: Weak<StockEndpoint>,
    machine: String,
    replica: Arc<Replica<SftpDisk>>,
    relationship: Uuid,
    store: Arc<Store>,
    /// Ours, in which the fine part of times is looked up.
    local: Arc<LocalEndpoint>,
    sftp: Arc<Sftp>,
    _host: Host,
    nudge: watch::Sender<u64>,
    told: Mutex<Option<Digest>>,
    looking: Mutex<Option<JoinHandle<()>>>,
}

/// How a folder on a host is opened.
pub(super) struct Opening {
    pub(super) machine: String,
    pub(super) path: Vec<u8>,
    pub(super) relationship: Uuid,
    pub(super) select: Select,
    pub(super) rules: Rules,
    pub(super) mark: Mark,
    /// Whether it is looked at again and again.
    pub(super) watch: bool,
    pub(super) store: Arc<Store>,
    pub(super) local: Arc<LocalEndpoint>,
}

impl StockEndpoint {
    /// Opens the folder over a new session.
    pub(super) async fn open(host: Host, opening: Opening) -> Result<Arc<Self>, EndpointError> {
        let offline = |error: evenfold_ssh::stock::StockError| EndpointError::Offline(error.to_string());
        let sftp = Arc::new(host.sftp().await.map_err(offline)?);
        let Opening { machine, path, relationship, select, rules, mark, watch, store, local } = opening;
        let rows = match store.far_digest_cache().load(relationship).await {
            Ok(rows) => rows.into_iter().map(cache_row).collect(),
            Err(error) => {
                tracing::warn!(%error, "the digest cache cannot be read; reading everything on the host");
                Vec::new()
            }
        };
        let (session, runtime) = (Arc::clone(&sftp), tokio::runtime::Handle::current());
        let replica = blocking(move || {
            let may_write = mark != Mark::Look;
            let gone = Arc::clone(&session);
            let unusable = |error: std::io::Error| match error.kind() {
                _ if gone.has_ended() => EndpointError::Offline("the connection ended".to_owned()),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => EndpointError::RootMissing,
                _ => EndpointError::RootUnreadable(error.to_string()),
            };
            let disk = SftpDisk::open(session, runtime, &path, may_write).map_err(unusable)?;
            disk.remember(&rows);
            let (dev, ino) = disk.identity().map_err(unusable)?;
            let marker = match mark {
                Mark::Create => Marker::Create { replica: rand::random() },
                Mark::Expect(replica) => Marker::Expect { replica },
                Mark::Look => Marker::FileSystem { dev, ino },
            };
            let options = Options { relationship: relationship.as_u128(), marker, select, cache: rows, rules, parallel: true };
            let replica = Replica::open(disk, options).map_err(|error| match error {
                _ if gone.has_ended() => EndpointError::Offline("the connection ended".to_owned()),
                OpenError::Root(error) => scan_error(error),
                other => EndpointError::RootUnreadable(other.to_string()),
            })?;
            if may_write && let Err(error) = replica.disk().read_clock() {
                // Then its clock is guessed, which costs reading a little more.
                tracing::debug!(%error, "the host's clock cannot be read");
            }
            Ok(replica)
        })
        .await??;
        let endpoint = Arc::new_cyclic(|me| StockEndpoint {
            me: me.clone(),
            machine,
            replica: Arc::new(replica),
            relationship,
            store,
            local,
            sftp,
            _host: host,
            nudge: watch::Sender::new(0),
            told: Mutex::new(None),
            looking: Mutex::new(None),
        });
        if watch {
            *lock(&endpoint.looking) = Some(tokio::spawn(look_again(Arc::downgrade(&endpoint))));
        }
        Ok(endpoint)
    }

    /// Returns the identity of the folder, if it has a marker.
    pub(super) fn identity(&self) -> Option<u128> {
        match self.replica.identity() {
            Identity::Marker { replica } => Some(replica),
            Identity::FileSystem { .. } => None,
        }
    }

    /// Waits until the session has ended.
    pub(super) async fn ended(&self) {
        self.sftp.ended().await;
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Replica<SftpDisk>) -> T + Send + 'static,
    ) -> Result<T, EndpointError> {
        let replica = Arc::clone(&self.replica);
        let done = blocking(move || work(&replica)).await;
        // What was found over a dead connection says nothing of the folder.
        if self.sftp.has_ended() {
            return Err(EndpointError::Offline("the connection ended".to_owned()));
        }
        done
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
        let snapshot = looked.map_err(scan_error)?;
        self.tell(snapshot.tree.digest());
        self.save_cache().await;
        Ok(snapshot)
    }

    fn tell(&self, digest: Digest) {
        if lock(&self.told).replace(digest) != Some(digest) {
            self.nudge.send_modify(|count| *count += 1);
        }
    }

    /// Saves what changed in the digest cache. Losing it costs reading, nothing else.
    async fn save_cache(&self) {
        loop {
            let delta = self.replica.take_cache_delta();
            if delta.is_empty() {
                return;
            }
            let more = delta.more;
            let upserts: Vec<_> = delta.upserts.into_iter().map(stored_row).collect();
            let saved = self.store.far_digest_cache().apply(self.relationship, &upserts, &delta.removes).await;
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
        self.replica.interrupt();
        if let Some(task) = lock(&self.looking).take() {
            task.abort();
        }
    }
}

/// Looks at the folder every so often, and raises the nudge when it has changed.
async fn look_again(endpoint: Weak<StockEndpoint>) {
    let mut pause = LOOK_AGAIN;
    loop {
        tokio::time::sleep(pause).await;
        let Some(endpoint) = endpoint.upgrade() else { return };
        // Before the first comparison there is nothing to compare with.
        if endpoint.replica.snapshot().is_none() {
            continue;
        }
        let begun = tokio::time::Instant::now();
        if let Err(error) = endpoint.look(Extent::Full).await {
            tracing::debug!(%error, machine = endpoint.machine, "the folder on the host could not be looked at");
            // The next cycle finds out more.
            endpoint.nudge.send_modify(|count| *count += 1);
        }
        pause = LOOK_AGAIN.max(begun.elapsed().saturating_mul(PAUSE_PER_LOOK));
    }
}

#[async_trait]
impl Endpoint for StockEndpoint {
    fn machine(&self) -> String {
        self.machine.clone()
    }

    async fn scan(&self, extent: Extent, known: &[Arc<Dir>]) -> Result<Snapshot, EndpointError> {
        let mut hints = known.to_vec();
        let is_first = self.replica.snapshot().is_none();
        if is_first {
            // After a restart nothing is known yet but what was agreed on.
            match self.store.ancestor().load(self.relationship).await {
                Ok(ancestor) => hints.push(ancestor),
                Err(error) => tracing::debug!(%error, "what was agreed on cannot be read"),
            }
        }
        if (is_first || hints.is_empty())
            && let Ok(ours) = self.local.scan(Extent::Paths(Vec::new()), &[]).await
        {
            hints.push(ours.tree);
        }
        self.replica.disk().set_hints(hints);
        self.look(extent).await
    }

    async fn manifest(&self, items: &[Item], indices: &[u32]) -> Result<Vec<Manifest>, EndpointError> {
        let (items, indices) = (items.to_vec(), indices.to_vec());
        self.on_disk(move |replica| replica.manifest(&items, &indices)).await
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

fn scan_error(error: ScanError) -> EndpointError {
    match error {
        ScanError::RootMissing => EndpointError::RootMissing,
        ScanError::RootReplaced { detail } => EndpointError::RootReplaced(detail),
        other => EndpointError::RootUnreadable(other.to_string()),
    }
}
