//! The hub's side of a relationship: one spoke's view of our folder.

use std::sync::Arc;

use async_trait::async_trait;
use evenfold_core::apply::{Batch, Report};
use evenfold_core::policy::Side;
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Digest, RelPath};
use evenfold_engine::Endpoint;
use evenfold_engine::history::acts_of;
use evenfold_ssh::PeerKey;
use evenfold_store::Store;
use evenfold_wire::{Handler, Progress, RemoteError};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::access::may_write;
use crate::back::Back;
use crate::local::LocalEndpoint;
use crate::record::events_of;
use crate::relationship::Relationship;
use crate::remote::{REFUSED, to_remote};
use crate::status::SpokeReport;

/// What one peer may do with our folder, and how it is done.
pub(crate) struct HubView {
    pub(crate) local: Arc<LocalEndpoint>,
    pub(crate) store: Arc<Store>,
    pub(crate) relationship: Uuid,
    pub(crate) peer: [u8; 32],
    pub(crate) peer_name: String,
    pub(crate) grant: Grant,
}

/// Who says what the peer may do.
pub(crate) enum Grant {
    /// The settings of this relationship, with the membership.
    Membership(Back<Relationship>),
    /// Whoever opened the folder for it: whether it may write.
    Given(bool),
}

#[async_trait]
impl Handler for HubView {
    async fn scan(&self, extent: Extent) -> Result<Snapshot, RemoteError> {
        self.local.scan(extent, &[]).await.map_err(to_remote)
    }

    async fn current(&self) -> Result<Snapshot, RemoteError> {
        self.local.scan(Extent::Paths(Vec::new()), &[]).await.map_err(to_remote)
    }

    async fn manifest(&self, items: Vec<Item>, indices: Vec<u32>) -> Result<Vec<Manifest>, RemoteError> {
        self.local.manifest(&items, &indices).await.map_err(to_remote)
    }

    async fn read_bases(&self, batch: Arc<Batch>) -> Result<(), RemoteError> {
        self.writable().await?;
        self.local.read_bases(&batch).await.map_err(to_remote)
    }

    async fn prepare(&self, batch: Arc<Batch>, manifests: Vec<Manifest>) -> Result<Vec<Need>, RemoteError> {
        self.writable().await?;
        self.local.prepare(&batch, manifests).await.map_err(to_remote)
    }

    async fn supply(
        &self,
        items: Vec<Item>,
        needs: Vec<Need>,
        sink: mpsc::Sender<Piece>,
    ) -> Result<(), RemoteError> {
        self.local.supply_into(items, needs, sink).await.map_err(to_remote)
    }

    async fn apply(
        &self,
        batch: Arc<Batch>,
        pieces: mpsc::Receiver<Piece>,
        _progress: watch::Sender<Progress>,
    ) -> Result<Report, RemoteError> {
        self.writable().await?;
        // Until the history knows it: other spokes see the content as soon as it stands there.
        let _underway = self.local.writing.begin(&batch, &self.peer_name);
        let report = self.local.apply(&batch, pieces).await.map_err(to_remote)?;
        let here = self.local.machine();
        let acts = acts_of(&batch, &report.outcomes, Side::Theirs);
        let events: Vec<_> =
            acts.iter().flat_map(|act| events_of(act, self.relationship, &self.peer_name, &here)).collect();
        if !events.is_empty()
            && let Err(error) = self.store.history().add(&events).await
        {
            // The files are in place and durable; a spoke that is told of a failure would only look again.
            tracing::error!(%error, "the history could not be written");
        }
        self.tell();
        Ok(report)
    }

    async fn author(&self, path: RelPath, digest: Digest) -> Result<Option<String>, RemoteError> {
        self.local.author(&path, digest).await.map_err(to_remote)
    }

    fn nudges(&self) -> watch::Receiver<u64> {
        self.local.nudges()
    }

    async fn report_state(&self, state: Vec<u8>) -> Result<(), RemoteError> {
        let failed = |error: evenfold_store::StoreError| RemoteError::new("store", error.to_string(), "");
        let malformed = |error: serde_json::Error| RemoteError::new("malformed", error.to_string(), "");
        let SpokeReport { state, work } = serde_json::from_slice(&state).map_err(malformed)?;
        if let Grant::Membership(relationship) = &self.grant
            && let Some(relationship) = relationship.upgrade()
        {
            relationship.members_work.told(PeerKey::from_bytes(self.peer), work);
        }
        let state = serde_json::to_string(&state).map_err(malformed)?;
        let members = self.store.members();
        let before = members.get(self.relationship, &self.peer).await.map_err(failed)?;
        // How far a transfer is changes all the time, and none of it is worth a write.
        if before.is_none_or(|before| before.state.as_deref() != Some(&state)) {
            let now = crate::record::now_micros();
            members.report(self.relationship, &self.peer, now, None, Some(&state)).await.map_err(failed)?;
        }
        self.tell();
        Ok(())
    }
}

impl HubView {
    /// Tells whoever shows the relationship, or waits for something to happen in it, to look again.
    fn tell(&self) {
        if let Grant::Membership(relationship) = &self.grant
            && let Some(relationship) = relationship.upgrade()
        {
            relationship.occasions.notify_one();
        }
    }

    /// Asked anew for every batch, because it may have changed since the session was opened. Before it joins, a peer may
    /// look, for the preview, and change nothing.
    async fn writable(&self) -> Result<(), RemoteError> {
        let failed = |error: evenfold_store::StoreError| RemoteError::new("store", error.to_string(), "");
        let granted = match &self.grant {
            Grant::Given(may_write) => *may_write,
            Grant::Membership(relationship) => {
                let member = self.store.members().get(self.relationship, &self.peer).await.map_err(failed)?;
                let settings = relationship.upgrade().map(|relationship| relationship.settings());
                member.zip(settings).is_some_and(|(member, settings)| may_write(&member, &settings))
            }
        };
        if granted {
            return Ok(());
        }
        let hint = "ask the owner of the hub for write permission";
        Err(RemoteError::new(REFUSED, "this machine may only read from the hub", hint))
    }
}
