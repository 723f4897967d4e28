//! A node: identity, database, network and relationships, put together.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_ssh::{Connection, Identity, Limits, PeerKey, Server};
use evenfold_store::{OpenError, PeerRow, RelationshipRow, Store};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

use crate::api::{ApiError, ErrorCode, Event, NodeInfo};
use crate::home::Home;
use crate::hooks::PairHooks;
use crate::local::{Mark, lock};
use crate::network::{Network, Pins};
use crate::pairing::Offers;
use crate::relationship::{Relationship, Surroundings};
use crate::windows::Findings;

/// Events that a slow listener may lag behind; they are nudges, so what is lost heals at the next read.
const EVENTS: usize = 256;

/// How a node is opened.
#[derive(Debug, Clone, Default)]
pub struct NodeOptions {
    /// Where to listen; nowhere if empty.
    pub listen: Vec<SocketAddr>,
    /// What the node calls itself.
    pub name: Option<String>,
    /// Whether it connects to peers, watches folders and syncs by itself. Without it, it does what is asked.
    pub serve_network: bool,
    /// Whether it connects its peers with each other through itself.
    pub forward: bool,
    /// How fast it does so, for all together and in each direction.
    pub forward_limit: crate::settings::Timetable,
    /// How long a peer may be silent before it counts as gone; what connections do by themselves if `None`.
    pub silence: Option<Duration>,
}

/// A running node. See [`crate::control::Service`] for what may be asked of it.
pub struct Node {
    pub(crate) home: PathBuf,
    pub(crate) name: String,
    pub(crate) store: Arc<Store>,
    pub(crate) network: Arc<Network>,
    pub(crate) offers: Offers,
    pub(crate) hosts: Arc<crate::stock::Hosts>,
    pub(crate) nearby: crate::nearby::Nearby,
    pub(crate) forwarding: Arc<crate::forward::Forwarding>,
    pub(crate) clocks: crate::clocks::Clocks,
    relationships: Mutex<HashMap<Uuid, Arc<Relationship>>>,
    events: broadcast::Sender<Event>,
    /// Findings of the comparison that a window looks at.
    pub(crate) findings: Findings,
    /// Held while the settings of the node are written.
    pub(crate) writing_config: tokio::sync::Mutex<()>,
    serving: bool,
    end: watch::Sender<bool>,
}

impl Node {
    /// Opens the node that lives in `home` and starts its relationships. The caller holds the home's lock.
    ///
    /// # Errors
    /// Where identity, database or addresses cannot be used; nothing was changed then.
    pub async fn open(home: &Home, options: NodeOptions) -> Result<Arc<Node>, ApiError> {
        let dir = home.dir().to_path_buf();
        let key_file = dir.join("identity");
        let identity = Identity::load_or_create(&key_file).map_err(|error| {
            ApiError::new(ErrorCode::Io, format!("the key of this node cannot be used: {error}"))
        })?;
        let store = Arc::new(open_store(&dir).await?);
        let stored = store.node().get().await.map_err(db)?.name;
        let name = options.name.clone().or_else(|| stored.clone()).unwrap_or_else(machine_name);
        if stored.as_ref() != Some(&name) {
            store.node().rename(&name).await.map_err(db)?;
        }

        let pins = Arc::new(Pins::default());
        let peers: Vec<PeerRow> = store.peers().list().await.map_err(db)?;
        let peers: Vec<_> = peers.into_iter().filter(|peer| peer.revoked.is_none()).collect();
        for peer in &peers {
            pins.add(PeerKey::from_bytes(peer.key));
        }
        let identity = Arc::new(identity);
        let limits = match options.silence {
            Some(silence) => Limits::default().with_silence(silence),
            None => Limits::default(),
        };
        let server = if options.listen.is_empty() {
            None
        } else {
            let bound =
                Server::bind(&options.listen, Arc::clone(&identity), pins.clone(), limits.clone()).await;
            Some(bound.map_err(|error| {
                ApiError::new(ErrorCode::Io, error.to_string())
                    .with_hint("choose another address with --listen; 127.0.0.1:0 picks a free port")
            })?)
        };
        let (network, arrivals) = Network::new(identity, name.clone(), pins, server, limits);
        let node = Arc::new(Node {
            hosts: Arc::new(crate::stock::Hosts::new(&dir)),
            nearby: crate::nearby::Nearby::default(),
            forwarding: Arc::new(crate::forward::Forwarding::new(options.forward, options.forward_limit)),
            clocks: crate::clocks::Clocks::default(),
            home: dir,
            name,
            store,
            network,
            offers: Offers::default(),
            relationships: Mutex::default(),
            events: broadcast::Sender::new(EVENTS),
            findings: Findings::default(),
            writing_config: tokio::sync::Mutex::default(),
            serving: options.serve_network,
            end: watch::Sender::new(false),
        });
        crate::serving::start(&node, arrivals);
        let rows = node.store.relationships().list().await.map_err(db)?;
        let hubs: HashSet<_> = rows.iter().filter_map(|row| row.hub).collect();
        for row in rows {
            let name = row.name.clone();
            let text = row.root_identity.as_deref();
            let inode = text.and_then(|text| text.strip_prefix("inode:")).and_then(|text| text.parse().ok());
            let identity = text.and_then(|text| text.parse().ok());
            let mark = match identity {
                _ if inode.is_some() => inode.map_or(Mark::Look, Mark::Inode),
                // It has no marker where nothing may be written.
                None if crate::relationship::only_compares(&row).unwrap_or(false) => Mark::Look,
                identity => Mark::Expect(identity),
            };
            if let Err(error) = node.start(row, mark).await {
                // The others run; this one is shown with its error by `doctor` and `rel list`.
                tracing::error!(%error, relationship = name, "a relationship could not be started");
            }
        }
        for peer in peers {
            let eager = hubs.contains(&peer.key);
            node.network.keep(PeerKey::from_bytes(peer.key), peer.addresses, eager);
        }
        if node.serving {
            crate::nearby::Nearby::start(&node);
            crate::care::keep_house(&node);
            crate::drift_history::start(&node);
        }
        Ok(node)
    }

    /// Returns what everybody may know of this node.
    pub(crate) fn info(&self) -> NodeInfo {
        NodeInfo {
            name: self.name.clone(),
            fingerprint: self.network.identity.key().fingerprint(),
            addresses: self.network.addresses(),
            home: self.home.display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Starts a relationship; the folder of a hub is looked at at once, so that spokes need not wait.
    pub(crate) async fn start(
        self: &Arc<Self>,
        row: RelationshipRow,
        mark: Mark,
    ) -> Result<Arc<Relationship>, ApiError> {
        let hub_name = match row.hub {
            Some(key) => self.store.peers().get(&key).await.map_err(db)?.map(|peer| peer.name),
            None => None,
        };
        let marks = self.store.tracking().list(row.id).await.map_err(db)?;
        let access = crate::access::own_access(&self.store, row.id).await.map_err(db)?;
        let around = Surroundings {
            marks,
            access,
            store: Arc::clone(&self.store),
            network: Arc::clone(&self.network),
            hosts: Arc::clone(&self.hosts),
            own_name: self.name.clone(),
            hub_name,
            watch: self.serving,
        };
        let id = row.id;
        let relationship = Relationship::start(row, mark, &around)?;
        if relationship.spoke().is_none() && crate::delivery::delivers(&relationship.settings()) {
            relationship.set_delivery(self.start_delivery(&relationship).await?);
        }
        lock(&self.relationships).insert(id, Arc::clone(&relationship));
        if relationship.delivery().is_none() {
            let wake = Arc::clone(&relationship.occasions);
            // A second one would never be started.
            _ = relationship.hooks.set(PairHooks::start(self, &relationship, wake));
            relationship.occasions.notify_one();
        }
        crate::reporting::start(self, &relationship);
        if let evenfold_store::Pause::Until(until) = relationship.row().pause {
            self.resume_in_time(id, until);
        }
        if self.serving {
            let local = Arc::clone(&relationship.local);
            tokio::spawn(async move {
                use evenfold_engine::Endpoint as _;
                if let Err(error) = local.scan(evenfold_core::snapshot::Extent::Paths(Vec::new()), &[]).await
                {
                    tracing::warn!(%error, folder = %local.root().display(), "the folder could not be looked at");
                }
            });
        }
        self.tell(Event::Relationship { id: id.to_string() });
        Ok(relationship)
    }

    /// Stops a relationship; its files and its record stay.
    pub(crate) fn stop(&self, id: Uuid) {
        if let Some(relationship) = lock(&self.relationships).remove(&id) {
            relationship.local.close();
        }
        self.tell(Event::Relationship { id: id.to_string() });
    }

    /// Returns all running relationships, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Relationship>> {
        let mut all: Vec<_> = lock(&self.relationships).values().cloned().collect();
        all.sort_by_key(|relationship| relationship.row().name);
        all
    }

    /// Returns a running relationship by its id.
    pub(crate) fn by_id(&self, id: Uuid) -> Option<Arc<Relationship>> {
        lock(&self.relationships).get(&id).cloned()
    }

    /// Finds a running relationship by name, by id, or by the beginning of an id of at least 4 characters.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] with the names that exist.
    pub(crate) fn find(&self, wanted: &str) -> Result<Arc<Relationship>, ApiError> {
        let all = self.all();
        let exact = all.iter().find(|r| r.row().name == wanted || r.row().id.to_string() == wanted);
        let by_start = || {
            let mut hits =
                all.iter().filter(|r| wanted.len() >= 4 && r.row().id.to_string().starts_with(wanted));
            hits.next().filter(|_| hits.next().is_none())
        };
        exact.or_else(by_start).cloned().ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|r| r.row().name).collect();
            let hint = if names.is_empty() {
                "this node has no relationships yet; begin with 'evenfold share' or 'evenfold join'"
                    .to_owned()
            } else {
                format!("relationships here: {}", names.join(", "))
            };
            let message = format!("this node has no relationship '{wanted}'");
            ApiError::new(ErrorCode::NotFound, message).with_hint(hint)
        })
    }

    /// Finds a peer by name or fingerprint.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] with the names that exist.
    pub(crate) async fn peer(&self, wanted: &str) -> Result<PeerRow, ApiError> {
        let peers = self.store.peers().list().await.map_err(db)?;
        let names: Vec<_> = peers.iter().map(|peer| peer.name.clone()).collect();
        let fingerprint = |peer: &PeerRow| PeerKey::from_bytes(peer.key).fingerprint();
        peers.into_iter().find(|peer| peer.name == wanted || fingerprint(peer) == wanted).ok_or_else(|| {
            let hint = if names.is_empty() {
                "no machine is paired yet; begin with 'evenfold pair offer' on one of them".to_owned()
            } else {
                format!("paired machines: {}", names.join(", "))
            };
            ApiError::new(ErrorCode::NotFound, format!("no paired machine is called '{wanted}'"))
                .with_hint(hint)
        })
    }

    /// Waits for a connection to a peer.
    ///
    /// # Errors
    /// [`ErrorCode::Unreachable`] or [`ErrorCode::KeyChanged`] with the reason of the last attempt.
    pub(crate) async fn reach(
        &self,
        peer: &PeerRow,
        patience: Duration,
    ) -> Result<Arc<Connection>, ApiError> {
        let key = PeerKey::from_bytes(peer.key);
        if let Some(connection) = self.network.connected(&key, patience).await {
            return Ok(connection);
        }
        let failure = self.network.failure(&key);
        let why = crate::network::describe(failure.as_ref());
        if let Some(evenfold_ssh::DialError::HostKeyChanged { .. }) = failure {
            let hint = "if that machine was set up anew, remove it with 'evenfold peer remove' and pair again; \
                        otherwise somebody may stand between you: do not connect";
            let message = format!("the machine at the address of '{}' shows another key: {why}", peer.name);
            return Err(ApiError::new(ErrorCode::KeyChanged, message).with_hint(hint));
        }
        let message = format!("'{}' cannot be reached: {why}; nothing was changed", peer.name);
        let hint = format!(
            "is 'evenfold daemon' running on {0}, and is its address right? Where both machines reach a third one: \
             evenfold peer via {0} THIRD",
            peer.name
        );
        Err(ApiError::new(ErrorCode::Unreachable, message).with_hint(hint))
    }

    /// Tells everybody who listens.
    pub(crate) fn tell(&self, event: Event) {
        // Nobody listening is fine.
        _ = self.events.send(event);
    }

    /// Returns events from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Tells whether this node runs on its own, watching and connecting.
    pub(crate) fn serves(&self) -> bool {
        self.serving
    }

    /// Asks the node to end; see [`Node::ended`].
    pub(crate) fn ask_to_end(&self) {
        self.end.send_replace(true);
    }

    /// Waits until somebody asked the node to end.
    pub async fn ended(&self) {
        // An error means that the node itself is gone.
        _ = self.end.subscribe().wait_for(|end| *end).await;
    }

    /// Ends everything in order: relationships first, then connections, then the database.
    pub async fn shutdown(&self) {
        self.end.send_replace(true);
        let ids: Vec<_> = lock(&self.relationships).keys().copied().collect();
        for id in ids {
            if let Some(relationship) = self.by_id(id) {
                relationship.local.save_cache().await;
            }
            self.stop(id);
        }
        self.nearby.stop();
        self.network.shutdown();
        self.store.close().await;
    }
}

async fn open_store(dir: &std::path::Path) -> Result<Store, ApiError> {
    match Store::open(dir).await {
        Ok(store) => Ok(store),
        Err(error @ OpenError::Newer { .. }) => {
            let hint = "update Evenfold on this machine; nothing was changed";
            Err(ApiError::new(ErrorCode::Store, error.to_string()).with_hint(hint))
        }
        Err(OpenError::Damaged { detail }) => {
            let message = format!("the database of this node is damaged: {detail}; nothing was changed");
            let hint = format!(
                "move {} aside and restore it from a backup, or pair and join again: folders are then only compared",
                dir.join("state.db").display()
            );
            Err(ApiError::new(ErrorCode::Store, message).with_hint(hint))
        }
        Err(error) => Err(ApiError::new(ErrorCode::Store, error.to_string())),
    }
}

/// Maps a failure of the database.
pub(crate) fn db(error: evenfold_store::StoreError) -> ApiError {
    ApiError::new(ErrorCode::Store, format!("the database failed: {error}"))
}

fn machine_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let short = name.split('.').next().unwrap_or_default().to_owned();
    if short.is_empty() { "unnamed".to_owned() } else { short }
}
