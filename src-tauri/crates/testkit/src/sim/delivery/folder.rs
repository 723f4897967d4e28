//! A folder as a courier reaches it: with the pauses that disks and lines make.

use std::sync::Arc;

use async_trait::async_trait;
use evenfold_core::apply::{Batch, Report};
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Digest, Dir, RelPath};
use evenfold_engine::ports::{Endpoint, EndpointError};
use tokio::sync::{mpsc, watch};

use super::host::Shared;
use crate::sim::node::End;

pub(crate) struct Folder {
    pub(crate) end: End,
    pub(crate) shared: Arc<Shared>,
}

#[async_trait]
impl Endpoint for Folder {
    fn machine(&self) -> String {
        self.end.machine()
    }

    async fn scan(&self, extent: Extent, _known: &[Arc<Dir>]) -> Result<Snapshot, EndpointError> {
        self.shared.delay().await;
        self.end.asked(|node| node.scan(&extent))
    }

    async fn manifest(&self, items: &[Item], indices: &[u32]) -> Result<Vec<Manifest>, EndpointError> {
        self.shared.delay().await;
        self.end.manifest(items, indices).await
    }

    async fn read_bases(&self, batch: &Arc<Batch>) -> Result<(), EndpointError> {
        self.shared.delay().await;
        self.end.read_bases(batch).await
    }

    async fn prepare(
        &self,
        batch: &Arc<Batch>,
        manifests: Vec<Manifest>,
    ) -> Result<Vec<Need>, EndpointError> {
        self.shared.delay().await;
        self.end.prepare(batch, manifests).await
    }

    async fn supply(
        &self,
        batch: &Arc<Batch>,
        needs: Vec<Need>,
    ) -> Result<mpsc::Receiver<Piece>, EndpointError> {
        self.shared.delay().await;
        self.end.supply(batch, needs).await
    }

    async fn apply(
        &self,
        batch: &Arc<Batch>,
        pieces: mpsc::Receiver<Piece>,
    ) -> Result<Report, EndpointError> {
        self.shared.delay().await;
        self.end.apply(batch, pieces).await
    }

    fn nudges(&self) -> watch::Receiver<u64> {
        self.end.nudges()
    }

    async fn author(&self, path: &RelPath, digest: Digest) -> Result<Option<String>, EndpointError> {
        self.end.author(path, digest).await
    }
}
