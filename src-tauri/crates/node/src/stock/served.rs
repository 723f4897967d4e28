//! A folder on a host that has Evenfold: the engine's port `Endpoint`, over a program started there by SSH.
//!
//! The full protocol runs over the one login: trees are compared by their digests, large files travel as differences,
//! and changes are told as they happen. The program's side is `crate::served`.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use evenfold_core::apply::{Batch, Report};
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Digest, Dir, RelPath};
use evenfold_engine::{Endpoint, EndpointError};
use evenfold_ssh::stock::{Host, Target, TargetPath};
use evenfold_ssh::{Limits as SshLimits, Pipe};
use evenfold_wire::{CallError, NodeClient, RemoteError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

use super::Tuning;
use super::endpoint::Place;
use crate::limits::Limits;
use crate::local::{Mark, lock};
use crate::remote::{RemoteEndpoint, failed};
use crate::served::{
    BEGIN, Begin, Begun, FolderName, IDENTITY, LOOK, Looked, MarkText, SETTINGS, Tuned, WRONG_SETTING,
};
use crate::settings::Program;
use crate::text::path_text;

/// Why the program on a host is not used.
pub(super) enum Unfit {
    /// It cannot be; SFTP may be. Why, in words.
    Fallback(String),
    /// It said no.
    Refused(RemoteError),
}

/// A program that was started on a host, before it serves a folder.
pub(super) struct Started {
    pipe: Pipe,
    client: NodeClient,
    /// The version of Evenfold there.
    pub(super) version: String,
}

fn unfit(error: CallError) -> Unfit {
    match error {
        CallError::Lost(error) => Unfit::Fallback(format!("the program there ended: {error}")),
        CallError::Remote(error) if error.code == WRONG_SETTING => {
            Unfit::Fallback(format!("Evenfold there does not know a setting: {error}"))
        }
        CallError::Remote(error) => Unfit::Refused(error),
    }
}

async fn ask<T: DeserializeOwned>(
    client: &NodeClient,
    name: &str,
    what: &impl Serialize,
) -> Result<T, CallError> {
    let internal = |error: serde_json::Error| RemoteError::new("internal", error.to_string(), "");
    let payload = serde_json::to_vec(what).map_err(internal)?;
    let answer = client.custom(name.to_owned(), payload).await?;
    Ok(serde_json::from_slice(&answer).map_err(internal)?)
}

fn folder_name(target: &Target) -> FolderName {
    match &target.path {
        TargetPath::Absolute(path) => FolderName { path: path_text(path), in_home: false },
        TargetPath::Home(path) => FolderName { path: path_text(path), in_home: true },
    }
}

fn tuned(tuning: &Tuning) -> Tuned {
    Tuned { kind: tuning.kind.to_string(), settings: tuning.settings.clone(), watch: tuning.watch }
}

impl Started {
    /// Starts the program.
    pub(super) async fn start(host: &Host, program: &Program, own_name: &str) -> Result<Started, Unfit> {
        let started = host.start(program.as_str(), env!("CARGO_PKG_VERSION"), &SshLimits::default()).await;
        let started = started.map_err(|error| Unfit::Fallback(error.to_string()))?;
        let unusable = |error: String| Unfit::Fallback(format!("Evenfold there cannot be used: {error}"));
        let stream = started.pipe.open().map_err(|error| unusable(error.to_string()))?;
        let client = NodeClient::open(stream, own_name).await.map_err(|error| unusable(error.to_string()))?;
        Ok(Started { pipe: started.pipe, client, version: started.version })
    }

    /// Says what is at the target's path.
    pub(super) async fn look(&self, target: &Target) -> Result<Looked, Unfit> {
        ask(&self.client, LOOK, &folder_name(target)).await.map_err(unfit)
    }

    /// Has the folder served.
    pub(super) async fn begin(
        self,
        host: Host,
        target: &Target,
        place: &Place,
        mark: Mark,
        limits: &Arc<Limits>,
    ) -> Result<Arc<ServedEndpoint>, Unfit> {
        let tuning = place.tuning.borrow().clone();
        let driver = place.local.machine();
        let begin = Begin {
            folder: folder_name(target),
            relationship: place.relationship,
            machine: place.machine.clone(),
            driver: driver.clone(),
            mark: MarkText::of(mark),
            tuned: tuned(&tuning),
        };
        let begun: Begun = ask(&self.client, BEGIN, &begin).await.map_err(unfit)?;
        let relationship = place.relationship.as_u128();
        let remote =
            RemoteEndpoint::open(&self.pipe, &driver, place.machine.clone(), relationship, limits).await;
        let remote = remote.map_err(|error| Unfit::Fallback(error.to_string()))?;
        tracing::info!(
            host = place.machine,
            version = self.version,
            folder = begun.path.path,
            read_only = begun.read_only,
            "a folder is served by Evenfold on its host"
        );
        Ok(Arc::new(ServedEndpoint {
            remote,
            client: self.client,
            place: place.clone(),
            unnamed: Mutex::new(mark == Mark::Create),
            told: tokio::sync::Mutex::new(tuned(&tuning)),
            pipe: self.pipe,
            _host: host,
        }))
    }
}

/// The folder of one relationship on a host, for one session.
pub(super) struct ServedEndpoint {
    remote: RemoteEndpoint,
    client: NodeClient,
    place: Place,
    /// Whether the folder is being joined and its identity is still to be noted.
    unnamed: Mutex<bool>,
    /// The settings that the program has.
    told: tokio::sync::Mutex<Tuned>,
    pipe: Pipe,
    _host: Host,
}

impl ServedEndpoint {
    /// Waits until the session has ended.
    pub(super) async fn ended(&self) {
        tokio::select! {
            () = self.remote.ended() => {}
            _ = self.pipe.ended() => {}
        }
    }

    /// Tells new settings before they are counted on.
    async fn tune(&self) -> Result<(), EndpointError> {
        let now = tuned(&self.place.tuning.borrow());
        let mut told = self.told.lock().await;
        if *told != now {
            let () = ask(&self.client, SETTINGS, &now).await.map_err(failed)?;
            *told = now;
        }
        Ok(())
    }

    /// Notes the identity that the folder got when it was first opened.
    async fn note_identity(&self) -> Result<(), EndpointError> {
        if !*lock(&self.unnamed) {
            return Ok(());
        }
        let identity: Option<String> = ask(&self.client, IDENTITY, &()).await.map_err(failed)?;
        if let Some(identity) = identity.and_then(|identity| identity.parse().ok()) {
            super::root::remember(&self.place.store, self.place.relationship, identity).await;
            *lock(&self.unnamed) = false;
        }
        Ok(())
    }
}

#[async_trait]
impl Endpoint for ServedEndpoint {
    fn machine(&self) -> String {
        self.place.machine.clone()
    }

    async fn scan(&self, extent: Extent, known: &[Arc<Dir>]) -> Result<Snapshot, EndpointError> {
        self.tune().await?;
        let snapshot = self.remote.scan(extent, known).await?;
        self.note_identity().await?;
        Ok(snapshot)
    }

    async fn manifest(&self, items: &[Item], indices: &[u32]) -> Result<Vec<Manifest>, EndpointError> {
        self.remote.manifest(items, indices).await
    }

    async fn read_bases(&self, batch: &Arc<Batch>) -> Result<(), EndpointError> {
        self.remote.read_bases(batch).await
    }

    async fn prepare(
        &self,
        batch: &Arc<Batch>,
        manifests: Vec<Manifest>,
    ) -> Result<Vec<Need>, EndpointError> {
        self.remote.prepare(batch, manifests).await
    }

    async fn supply(
        &self,
        batch: &Arc<Batch>,
        needs: Vec<Need>,
    ) -> Result<mpsc::Receiver<Piece>, EndpointError> {
        self.remote.supply(batch, needs).await
    }

    async fn apply(
        &self,
        batch: &Arc<Batch>,
        pieces: mpsc::Receiver<Piece>,
    ) -> Result<Report, EndpointError> {
        self.remote.apply(batch, pieces).await
    }

    fn nudges(&self) -> watch::Receiver<u64> {
        self.remote.nudges()
    }

    async fn author(&self, path: &RelPath, digest: Digest) -> Result<Option<String>, EndpointError> {
        self.remote.author(path, digest).await
    }
}
