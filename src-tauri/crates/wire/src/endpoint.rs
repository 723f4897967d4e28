//! What an endpoint server offers to a driver.

use std::sync::Arc;

use async_trait::async_trait;
use evenfold_core::apply::{Batch, Report};
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Digest, RelPath};
use tokio::sync::{mpsc, watch};

use crate::error::RemoteError;

/// How far a batch has come at the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes staged.
    pub bytes: u64,
    /// Items staged and verified.
    pub items: u64,
}

/// An endpoint as its server sees it. Calls of one stream come one after another, calls of several streams at
/// the same time.
///
/// When a caller cancels, or its stream breaks, the future of the call is dropped, except that of
/// [`Handler::apply`]: its `pieces` end early instead, and it is awaited, so that it can leave things in order.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Scans and returns what was found.
    async fn scan(&self, extent: Extent) -> Result<Snapshot, RemoteError>;

    /// Returns the last snapshot without scanning.
    async fn current(&self) -> Result<Snapshot, RemoteError>;

    /// Returns the chunks of those `items` that `indices` name; an item that cannot be read is left out.
    async fn manifest(&self, items: Vec<Item>, indices: Vec<u32>) -> Result<Vec<Manifest>, RemoteError>;

    /// Reads the files that resemble a batch's items, so that [`Handler::prepare`] need not. The batch has nothing but
    /// items and bases.
    async fn read_bases(&self, batch: Arc<Batch>) -> Result<(), RemoteError>;

    /// Reserves room for a batch and says what of its items has to be sent.
    async fn prepare(&self, batch: Arc<Batch>, manifests: Vec<Manifest>) -> Result<Vec<Need>, RemoteError>;

    /// Sends what `needs` ask for into `sink`, in their order. A closed sink means that nobody wants the rest.
    async fn supply(
        &self,
        items: Vec<Item>,
        needs: Vec<Need>,
        sink: mpsc::Sender<Piece>,
    ) -> Result<(), RemoteError>;

    /// Carries a batch out. `pieces` ends after the last piece; if it ends before every need was served, the
    /// rest will not come.
    async fn apply(
        &self,
        batch: Arc<Batch>,
        pieces: mpsc::Receiver<Piece>,
        progress: watch::Sender<Progress>,
    ) -> Result<Report, RemoteError>;

    /// Returns the machine that wrote the version `digest` of `path`, if that is known.
    async fn author(&self, path: RelPath, digest: Digest) -> Result<Option<String>, RemoteError>;

    /// Returns a counter that rises when the snapshot of the root changed.
    fn nudges(&self) -> watch::Receiver<u64>;

    /// Takes in the driver's own status, JSON of at most [`MAX_STATE`] bytes.
    async fn report_state(&self, state: Vec<u8>) -> Result<(), RemoteError>;
}

/// The longest status that a driver may report, in bytes.
pub const MAX_STATE: usize = 64 * 1024;
