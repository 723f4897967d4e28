//! The one folder that a process serves, once it has been named.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_core::Digest;
use evenfold_core::snapshot::Extent;
use evenfold_engine::Endpoint as _;
use evenfold_fs::marker::Identity;
use evenfold_store::{Pause, RelationshipRow, Store};
use evenfold_wire::RemoteError;
use uuid::Uuid;

use super::messages::{Begin, Tuned, WRONG_SETTING};
use super::program::ServeOptions;
use super::turn::Turn;
use crate::api::PathText;
use crate::care::clean_folder;
use crate::home::Home;
use crate::hub::{Grant, HubView};
use crate::local::{LocalEndpoint, LocalSettings, Mark, lock};
use crate::record::now_micros;
use crate::relationship::local_settings;
use crate::remote::REFUSED;
use crate::settings::{Flow, Kind, Settings};

/// A session that lasts gets to it; a short one leaves it to the next.
const FIRST_CLEANING: Duration = Duration::from_secs(15 * 60);
const CLEANING: Duration = Duration::from_secs(24 * 3600);

/// Scope in the store of the inode by which a folder is known that must not be written to.
const INODES: &str = "served-inode";

/// The folder, and what is kept of it.
pub(super) struct Folder {
    pub(super) relationship: Uuid,
    pub(super) path: PathBuf,
    pub(super) read_only: bool,
    pub(super) turn: Turn,
    local: Arc<LocalEndpoint>,
    store: Arc<Store>,
    driver: String,
    settings: Mutex<Settings>,
}

fn refused(message: impl Into<String>) -> RemoteError {
    RemoteError::new(REFUSED, message, "")
}

fn failed(message: String) -> RemoteError {
    RemoteError::new("store", message, "make the home of Evenfold on that host writable for this account")
}

/// Reads the settings of the relationship.
fn read(tuned: &Tuned) -> Result<Settings, RemoteError> {
    let wrong = |error: crate::settings::SettingError| {
        RemoteError::new(WRONG_SETTING, error.to_string(), "update Evenfold on that host")
    };
    let kind: Kind = tuned.kind.parse().map_err(wrong)?;
    Settings::parse(kind, &tuned.settings).map_err(wrong)
}

impl Folder {
    /// Opens what is kept of the relationship. The folder itself is opened when it is first looked at.
    pub(super) async fn begin(
        home: &Home,
        options: &ServeOptions,
        path: PathBuf,
        begin: Begin,
    ) -> Result<Arc<Folder>, RemoteError> {
        let settings = read(&begin.tuned)?;
        let mark = begin.mark.mark().ok_or_else(|| refused("the identity of the folder is no number"))?;
        let read_only = options.read_only || settings.flow == Flow::None;
        let dir = kept(home, begin.relationship, &path)?;
        dir.create().map_err(|error| failed(error.to_string()))?;
        let turn = Turn::take(&dir).await.map_err(|error| {
            RemoteError::new(
                "busy",
                format!("an earlier session there does not end: {error}"),
                "it is tried again",
            )
        })?;
        let store = Store::open(dir.dir()).await.map_err(|error| failed(error.to_string()))?;
        let store = Arc::new(store);
        note(&store, &begin, &path).await.map_err(|error| failed(error.to_string()))?;
        // A folder that is only read gets no marker.
        let unmarkable = mark == Mark::Create && !look(&path, options.read_only).writable;
        let mark = match options.read_only || unmarkable {
            true => known_inode(&store, begin.relationship).await?,
            false => mark,
        };
        let local = LocalEndpoint::new(
            begin.machine,
            path.clone(),
            begin.relationship,
            Arc::clone(&store),
            local_settings(&settings, mark, begin.tuned.watch),
        );
        let folder = Arc::new(Folder {
            relationship: begin.relationship,
            path,
            read_only,
            turn,
            local,
            store,
            driver: begin.driver,
            settings: Mutex::new(settings),
        });
        // So that the first question finds the answer ready, and the watcher is there.
        let first = Arc::clone(&folder);
        tokio::spawn(async move {
            if let Err(error) = first.local.scan(Extent::Paths(Vec::new()), &[]).await {
                return tracing::debug!(%error, "the folder could not be looked at");
            }
            if note_inode(&first).await.is_err() {
                tracing::warn!("the inode of the folder could not be noted");
            }
        });
        tokio::spawn(keep_clean(Arc::downgrade(&folder)));
        Ok(folder)
    }

    /// Returns what this machine is called by whoever drives.
    pub(super) fn machine(&self) -> String {
        self.local.machine()
    }

    /// Returns how the driver sees the folder.
    pub(super) fn view(&self) -> HubView {
        HubView {
            local: Arc::clone(&self.local),
            store: Arc::clone(&self.store),
            relationship: self.relationship,
            // There is no peer: the login says who it is.
            peer: [0; 32],
            peer_name: self.driver.clone(),
            grant: Grant::Given(!self.read_only),
        }
    }

    /// Takes new settings.
    pub(super) fn tune(&self, tuned: &Tuned) -> Result<(), RemoteError> {
        let settings = read(tuned)?;
        let LocalSettings { select, rules, mark, watch } =
            local_settings(&settings, self.local.mark(), tuned.watch);
        *lock(&self.settings) = settings;
        self.local.set_settings(LocalSettings { select, rules, mark, watch });
        Ok(())
    }

    /// Says what the folder is recognised by; nothing where it has no marker.
    pub(super) async fn identity(&self) -> Result<Option<u128>, RemoteError> {
        let replica = self.local.replica().await.map_err(crate::remote::to_remote)?;
        Ok(match replica.identity() {
            Identity::Marker { replica } => Some(replica),
            Identity::FileSystem { .. } => None,
        })
    }

    /// Saves what was learnt, and lets go of the folder.
    pub(super) async fn end(&self) {
        self.local.save_cache().await;
        self.local.close();
        self.store.close().await;
    }
}

/// Where what is known of the relationship is kept.
fn kept(home: &Home, relationship: Uuid, path: &Path) -> Result<Home, RemoteError> {
    let mut key = relationship.as_bytes().to_vec();
    key.extend_from_slice(path.as_os_str().as_encoded_bytes());
    let name = Digest::of(&key).short(16);
    Home::at(home.dir().join("served").join(name)).map_err(|error| failed(error.to_string()))
}

/// Notes the relationship, which everything else in the store hangs on.
async fn note(store: &Store, begin: &Begin, path: &Path) -> Result<(), evenfold_store::StoreError> {
    if store.relationships().get(begin.relationship).await?.is_some() {
        return Ok(());
    }
    let row = RelationshipRow {
        id: begin.relationship,
        name: begin.relationship.to_string(),
        kind: begin.tuned.kind.clone(),
        role: "hub".to_owned(),
        root: path.to_path_buf(),
        hub: None,
        hub_share: None,
        settings: "[]".to_owned(),
        pause: Pause::Running,
        created: now_micros(),
        root_identity: None,
        last_verified: None,
    };
    store.relationships().add(&row).await
}

/// Returns how a folder is recognised that must not be written to: by the inode that it had the first time.
async fn known_inode(store: &Store, relationship: Uuid) -> Result<Mark, RemoteError> {
    let known = store.settings().get(INODES, &relationship.to_string()).await;
    let known = known.map_err(|error| failed(error.to_string()))?;
    Ok(known.and_then(|inode| inode.parse().ok()).map_or(Mark::Look, Mark::Inode))
}

/// Notes the inode of a folder that has no marker, once it has been looked at.
async fn note_inode(folder: &Folder) -> Result<(), RemoteError> {
    let replica = folder.local.replica().await.map_err(crate::remote::to_remote)?;
    let Identity::FileSystem { ino, .. } = replica.identity() else { return Ok(()) };
    let (key, value) = (folder.relationship.to_string(), ino.to_string());
    let noted = folder.store.settings().set(INODES, &key, &value, now_micros()).await;
    noted.map_err(|error| failed(error.to_string()))
}

/// Drops what retention no longer keeps, as long as the session lasts.
async fn keep_clean(folder: std::sync::Weak<Folder>) {
    let mut pause = FIRST_CLEANING;
    loop {
        tokio::time::sleep(pause).await;
        let Some(folder) = folder.upgrade() else { return };
        pause = CLEANING;
        if folder.read_only {
            return;
        }
        let settings = lock(&folder.settings).clone();
        if let Err(error) = clean_folder(&folder.local, &folder.store, &settings).await {
            tracing::warn!(error, "cleaning up is tried again tomorrow");
        }
    }
}

/// Says what is at a path.
pub(super) fn look(path: &Path, read_only: bool) -> super::Looked {
    let found = std::fs::metadata(path);
    let is_folder = found.as_ref().is_ok_and(std::fs::Metadata::is_dir);
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    super::Looked {
        path: PathText::from(path),
        exists: found.is_ok(),
        is_folder,
        writable: !read_only && is_folder && rustix::fs::access(path, access).is_ok(),
    }
}
