//! An endpoint on another machine: the engine's port `Endpoint` over the wire protocol.

use std::sync::Arc;

use async_trait::async_trait;
use evenfold_core::apply::{Batch, Report};
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Digest, Dir, RelPath};
use evenfold_engine::{Endpoint, EndpointError};
use evenfold_ssh::{Connection, OpenError, Pipe, Stream};
use evenfold_wire::{CallError, Client, HandshakeError, RemoteError};
use tokio::sync::{mpsc, watch};

use crate::limits::{Limited, Limits};

/// Where streams to another machine come from.
pub(crate) trait Streams: Sync {
    /// Opens one.
    fn stream(&self) -> impl Future<Output = Result<Stream, OpenError>> + Send;
}

impl<S: Streams + Send> Streams for Arc<S> {
    async fn stream(&self) -> Result<Stream, OpenError> {
        (**self).stream().await
    }
}

impl Streams for Connection {
    async fn stream(&self) -> Result<Stream, OpenError> {
        self.open().await
    }
}

impl Streams for Pipe {
    async fn stream(&self) -> Result<Stream, OpenError> {
        self.open()
    }
}

/// The hub's endpoint of one relationship, over one connection.
///
/// It uses three streams, because calls of one stream are answered in order: one for looking and nudges, one
/// to send contents and changes, one to receive contents. So a question is never stuck behind data.
pub(crate) struct RemoteEndpoint {
    machine: String,
    control: Client,
    outward: Client,
    inward: Client,
    nudges: watch::Receiver<u64>,
    lost: watch::Receiver<bool>,
}

impl RemoteEndpoint {
    /// Opens the streams.
    pub(crate) async fn open(
        streams: &impl Streams,
        own_name: &str,
        machine: String,
        relationship: u128,
        limits: &Arc<Limits>,
    ) -> Result<Self, EndpointError> {
        let stream =
            async || streams.stream().await.map_err(|error| EndpointError::Offline(error.to_string()));
        let control = async { Client::open(stream().await?, own_name, relationship).await.map_err(refused) };
        // Questions are few and small, and wait for no limit.
        let session = async || {
            let stream = Limited::new(stream().await?, Arc::clone(limits));
            Client::open(stream, own_name, relationship).await.map_err(refused)
        };
        let (control, outward, inward) = tokio::try_join!(control, session(), session())?;
        let mut pushed = control.subscribe().await.map_err(failed)?;
        let (sender, nudges) = watch::channel(0);
        let (lost_sender, lost) = watch::channel(false);
        tokio::spawn(async move {
            while pushed.changed().await.is_ok() {
                let count = pushed.borrow_and_update().count;
                sender.send_if_modified(|last| std::mem::replace(last, count) != count);
            }
            lost_sender.send_replace(true);
        });
        Ok(RemoteEndpoint { machine, control, outward, inward, nudges, lost })
    }

    /// Waits until the session has ended.
    pub(crate) async fn ended(&self) {
        let mut lost = self.lost.clone();
        // An error means that the watching task is gone, which it is only after the session.
        _ = lost.wait_for(|lost| *lost).await;
    }

    /// Tells the hub what this spoke's state is, as JSON.
    pub(crate) async fn report_state(&self, state: Vec<u8>) -> Result<(), EndpointError> {
        self.control.report_state(state).await.map_err(failed)
    }
}

#[async_trait]
impl Endpoint for RemoteEndpoint {
    fn machine(&self) -> String {
        self.machine.clone()
    }

    async fn scan(&self, extent: Extent, known: &[Arc<Dir>]) -> Result<Snapshot, EndpointError> {
        match extent {
            Extent::Paths(paths) if paths.is_empty() => self.control.current(known).await.map_err(failed),
            extent => self.control.scan(extent, known).await.map_err(failed),
        }
    }

    async fn manifest(&self, items: &[Item], indices: &[u32]) -> Result<Vec<Manifest>, EndpointError> {
        self.inward.manifest(items.to_vec(), indices.to_vec()).await.map_err(failed)
    }

    async fn read_bases(&self, batch: &Arc<Batch>) -> Result<(), EndpointError> {
        self.outward.read_bases(Arc::clone(batch)).await.map_err(failed)
    }

    async fn prepare(
        &self,
        batch: &Arc<Batch>,
        manifests: Vec<Manifest>,
    ) -> Result<Vec<Need>, EndpointError> {
        self.outward.prepare(Arc::clone(batch), manifests).await.map_err(failed)
    }

    async fn supply(
        &self,
        batch: &Arc<Batch>,
        needs: Vec<Need>,
    ) -> Result<mpsc::Receiver<Piece>, EndpointError> {
        self.inward.supply(batch.items.clone(), needs).await.map_err(failed)
    }

    async fn apply(
        &self,
        batch: &Arc<Batch>,
        pieces: mpsc::Receiver<Piece>,
    ) -> Result<Report, EndpointError> {
        self.outward.apply(Arc::clone(batch), pieces, None).await.map_err(failed)
    }

    fn nudges(&self) -> watch::Receiver<u64> {
        self.nudges.clone()
    }

    async fn author(&self, path: &RelPath, digest: Digest) -> Result<Option<String>, EndpointError> {
        self.control.author(path.clone(), digest).await.map_err(failed)
    }
}

/// Maps what became of a call to an endpoint's error.
pub(crate) fn failed(error: CallError) -> EndpointError {
    match error {
        CallError::Lost(cause) => EndpointError::Offline(cause.to_string()),
        CallError::Remote(error) => from_remote(error),
    }
}

fn refused(error: HandshakeError) -> EndpointError {
    match error {
        HandshakeError::Refused(error) => from_remote(error),
        other => EndpointError::Offline(other.to_string()),
    }
}

const ROOT_MISSING: &str = "root-missing";
const ROOT_REPLACED: &str = "root-replaced";
const ROOT_UNREADABLE: &str = "root-unreadable";
/// The code of everything that a peer may not do.
pub(crate) const REFUSED: &str = "refused";

fn from_remote(error: RemoteError) -> EndpointError {
    match error.code.as_str() {
        ROOT_MISSING => EndpointError::RootMissing,
        ROOT_REPLACED => EndpointError::RootReplaced(error.message),
        ROOT_UNREADABLE => EndpointError::RootUnreadable(error.message),
        REFUSED => EndpointError::Refused(error.message),
        _ => EndpointError::Failed { code: error.code, message: error.message },
    }
}

/// Puts an endpoint's error into the form that travels to the spoke.
pub(crate) fn to_remote(error: EndpointError) -> RemoteError {
    let (code, message) = match error {
        EndpointError::RootMissing => (ROOT_MISSING.to_owned(), "the folder is missing".to_owned()),
        EndpointError::RootReplaced(detail) => (ROOT_REPLACED.to_owned(), detail),
        EndpointError::RootUnreadable(detail) => (ROOT_UNREADABLE.to_owned(), detail),
        EndpointError::Refused(detail) => (REFUSED.to_owned(), detail),
        EndpointError::Offline(detail) => ("offline".to_owned(), detail),
        EndpointError::Failed { code, message } => (code, message),
    };
    RemoteError::new(code, message, "")
}
