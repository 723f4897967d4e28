//! The driver's side of an endpoint session.

use std::sync::{Arc, OnceLock};

use evenfold_core::apply::{Batch, Report};
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Digest, Dir, RelPath};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot, watch};

use crate::call::Call;
use crate::driver::Driver;
use crate::endpoint::Progress;
use crate::error::{CallError, WireError};
use crate::handshake::{HandshakeError, Purpose, open};
use crate::message::Look;

/// Calls that wait for their turn on one stream: more than a driver has reason to, and past it callers wait.
const CALLS: usize = 16;

/// What the endpoint pushed because its root changed.
#[derive(Debug, Clone, Default)]
pub struct Nudge {
    /// The endpoint's counter; 0 before the first nudge.
    pub count: u64,
    /// Epoch and digest of the root, if the endpoint could tell them.
    pub root: Option<(u64, Digest)>,
    /// The tree itself, where few paths changed since the last tree that this stream told.
    pub tree: Option<Arc<Dir>>,
}

/// A session with an endpoint over one stream. Clones share it; the stream closes with the last of them.
///
/// Calls of one stream are answered one after another in the order they were made; who wants calls side by
/// side opens several streams.
///
/// **Cancelling.** Every call may be dropped at any point, and the stream stays usable. The endpoint is told
/// and drops its work, except for [`Client::apply`], which it ends early with what has arrived; calls made
/// afterwards wait until then. A session of which an answer was already on its way takes it in to the end.
#[derive(Debug, Clone)]
pub struct Client {
    calls: mpsc::Sender<Call>,
    lost: Arc<OnceLock<Arc<WireError>>>,
    nudges: watch::Receiver<Nudge>,
}

impl Client {
    /// Opens a session about `relationship` over a new stream; `name` is this machine's, for messages.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub async fn open<S>(mut stream: S, name: &str, relationship: u128) -> Result<Self, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        open(&mut stream, name, Purpose::Endpoint { relationship }).await?;
        Ok(Self::over(stream)?)
    }

    /// Begins a session over a stream whose handshake is done.
    ///
    /// # Errors
    /// Where no compressor can be allocated.
    pub fn over<S>(stream: S) -> Result<Self, WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (calls, rx) = mpsc::channel(CALLS);
        let (nudger, nudges) = watch::channel(Nudge::default());
        let lost = Arc::new(OnceLock::new());
        let driver = Driver::new(stream, rx, nudger)?;
        let cause = Arc::clone(&lost);
        tokio::spawn(async move {
            if let Err(error) = driver.run().await {
                tracing::debug!(%error, "an endpoint session ended");
                // Only this task sets it, and only once.
                let _ = cause.set(error);
            }
        });
        Ok(Client { calls, lost, nudges })
    }

    async fn call<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, CallError>>) -> Call,
    ) -> Result<T, CallError> {
        let (reply, answer) = oneshot::channel();
        if self.calls.send(make(reply)).await.is_err() {
            return Err(self.lost());
        }
        answer.await.unwrap_or_else(|_| Err(self.lost()))
    }

    fn lost(&self) -> CallError {
        CallError::Lost(self.lost.get().cloned().unwrap_or_else(|| Arc::new(WireError::Truncated)))
    }

    /// Has the endpoint scan, and returns what it found. Only what differs from `known` trees (the last one of
    /// that endpoint first, then the driver's own) and from the last tree of this stream is transferred.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn scan(&self, extent: Extent, known: &[Arc<Dir>]) -> Result<Snapshot, CallError> {
        let (look, paths) = match extent {
            Extent::Full => (Look::Full, Vec::new()),
            Extent::Deep => (Look::Deep, Vec::new()),
            Extent::Paths(paths) => (Look::Paths, paths),
        };
        self.call(|reply| Call::Scan { look, paths, known: known.to_vec(), reply }).await
    }

    /// Returns the endpoint's last snapshot without a scan. See [`Client::scan`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn current(&self, known: &[Arc<Dir>]) -> Result<Snapshot, CallError> {
        self.call(|reply| Call::Scan { look: Look::Current, paths: Vec::new(), known: known.to_vec(), reply })
            .await
    }

    /// Returns the chunks of those `items` that `indices` name.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn manifest(&self, items: Vec<Item>, indices: Vec<u32>) -> Result<Vec<Manifest>, CallError> {
        self.call(|reply| Call::Manifest { items, indices, reply }).await
    }

    /// Has the endpoint read the files that resemble the items of `batch`; nothing else of it is sent.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn read_bases(&self, batch: Arc<Batch>) -> Result<(), CallError> {
        self.call(|reply| Call::ReadBases { batch, reply }).await
    }

    /// Announces a batch and returns what of its items has to be sent. A following [`Client::apply`] of the
    /// same batch on this stream does not send it again.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn prepare(&self, batch: Arc<Batch>, manifests: Vec<Manifest>) -> Result<Vec<Need>, CallError> {
        self.call(|reply| Call::Prepare { batch, manifests, reply }).await
    }

    /// Asks for contents. The channel ends after the last piece; where the endpoint or the stream fails
    /// underway, every need that was not served yet gets a [`Piece::Failed`] that says why. Dropping the
    /// receiver cancels.
    ///
    /// # Errors
    /// See [`CallError`]; only where nothing was supplied.
    pub async fn supply(
        &self,
        items: Vec<Item>,
        needs: Vec<Need>,
    ) -> Result<mpsc::Receiver<Piece>, CallError> {
        self.call(|reply| Call::Supply { items, needs, reply }).await
    }

    /// Has a batch carried out. `pieces` are sent at once, without waiting for an answer, until their channel
    /// closes; they are not awaited where the batch has no items. `progress` is told what the endpoint tells.
    ///
    /// # Errors
    /// See [`CallError`]. Where it is lost, the endpoint may have carried out any part of the batch.
    pub async fn apply(
        &self,
        batch: Arc<Batch>,
        pieces: mpsc::Receiver<Piece>,
        progress: Option<watch::Sender<Progress>>,
    ) -> Result<Report, CallError> {
        self.call(|reply| Call::Apply { batch, pieces, progress, reply }).await
    }

    /// Returns the machine that wrote the version `digest` of `path`, if the endpoint knows it.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn author(&self, path: RelPath, digest: Digest) -> Result<Option<String>, CallError> {
        self.call(|reply| Call::Author { path, digest, reply }).await
    }

    /// Reports the driver's own status, JSON of at most [`crate::MAX_STATE`] bytes.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn report_state(&self, state: Vec<u8>) -> Result<(), CallError> {
        self.call(|reply| Call::ReportState { state, reply }).await
    }

    /// Asks the endpoint to push nudges from now on. The receiver fails once the stream is gone.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn subscribe(&self) -> Result<watch::Receiver<Nudge>, CallError> {
        self.call(|reply| Call::Subscribe { reply }).await?;
        Ok(self.nudges.clone())
    }
}
