//! Connections to peers: who is pinned, who is connected, who is dialled.
//!
//! Either side of a pair may dial; what flows over a connection does not depend on who did.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_ssh::{Connection, DialError, Gate, Identity, Limits, PeerKey, Server};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::local::lock;

/// Connections that wait to be taken over; each is taken at once, so few ever wait.
const ARRIVALS: usize = 32;

/// The keys that may log in.
#[derive(Default)]
pub(crate) struct Pins(Mutex<HashSet<PeerKey>>);

impl Pins {
    pub(crate) fn add(&self, key: PeerKey) {
        lock(&self.0).insert(key);
    }

    pub(crate) fn remove(&self, key: &PeerKey) {
        lock(&self.0).remove(key);
    }
}

impl Pins {
    /// Tells whether this key may log in.
    pub(crate) fn is_known(&self, key: &PeerKey) -> bool {
        lock(&self.0).contains(key)
    }
}

impl Gate for Pins {
    fn is_pinned(&self, key: &PeerKey) -> bool {
        lock(&self.0).contains(key)
    }
}

/// The task that keeps a connection to a peer, and what it goes by.
struct Dialling {
    way: watch::Sender<Way>,
    task: JoinHandle<()>,
}

/// How a peer is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) addresses: Vec<String>,
    /// Whether it is dialled at once, without leaving the other side a head start.
    pub(crate) eager: bool,
}

/// All connections of a node.
pub(crate) struct Network {
    pub(crate) identity: Arc<Identity>,
    /// What this node is called, for the messages of others.
    own_name: String,
    pub(crate) limits: Limits,
    pub(crate) pins: Arc<Pins>,
    server: Option<Arc<Server>>,
    live: Mutex<HashMap<PeerKey, Vec<Arc<Connection>>>>,
    dialling: Mutex<HashMap<PeerKey, Dialling>>,
    failures: Mutex<HashMap<PeerKey, DialError>>,
    changed: watch::Sender<u64>,
    arrivals: mpsc::Sender<Arc<Connection>>,
}

impl Network {
    /// Makes the network of a node; connections from either side arrive at the receiver.
    pub(crate) fn new(
        identity: Arc<Identity>,
        own_name: String,
        pins: Arc<Pins>,
        server: Option<Server>,
        limits: Limits,
    ) -> (Arc<Self>, mpsc::Receiver<Arc<Connection>>) {
        let (arrivals, receiver) = mpsc::channel(ARRIVALS);
        let network = Arc::new(Network {
            identity,
            own_name,
            limits,
            pins,
            server: server.map(Arc::new),
            live: Mutex::default(),
            dialling: Mutex::default(),
            failures: Mutex::default(),
            changed: watch::Sender::new(0),
            arrivals,
        });
        if let Some(server) = network.server.clone() {
            let accepting = Arc::downgrade(&network);
            tokio::spawn(async move {
                while let Some(connection) = server.accept().await {
                    let Some(network) = accepting.upgrade() else { return };
                    network.register(connection).await;
                }
            });
        }
        (network, receiver)
    }

    /// Returns the server that listens, if this node does.
    pub(crate) fn server(&self) -> Option<&Arc<Server>> {
        self.server.as_ref()
    }

    /// Returns where this node can be dialled, as `host:port`.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let mut addresses = Vec::new();
        for bound in self.server.iter().flat_map(|server| server.addresses()) {
            for address in reachable(bound) {
                let address = address.to_string();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        addresses
    }

    /// Returns the ports on which this node listens beyond this machine.
    pub(crate) fn open_ports(&self) -> Vec<u16> {
        let bound = self.server.iter().flat_map(|server| server.addresses());
        let mut ports: Vec<u16> =
            bound.filter(|address| !address.ip().is_loopback()).map(|address| address.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Returns a counter that rises when connections come and go.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Returns the newest live connection to a peer.
    pub(crate) fn connection(&self, peer: &PeerKey) -> Option<Arc<Connection>> {
        self.direct(peer).or_else(|| lock(&self.live).get(peer).and_then(|list| list.last()).cloned())
    }

    /// Returns the newest live connection to a peer that does not run through another node.
    pub(crate) fn direct(&self, peer: &PeerKey) -> Option<Arc<Connection>> {
        let live = lock(&self.live);
        let list = live.get(peer)?;
        list.iter().rev().find(|connection| connection.remote().middle().is_none()).cloned()
    }

    /// Returns the peers that are connected now.
    pub(crate) fn live_keys(&self) -> Vec<PeerKey> {
        let live = lock(&self.live);
        live.iter().filter(|(_, list)| !list.is_empty()).map(|(key, _)| *key).collect()
    }

    /// Waits for a connection to a peer, at most `patience`.
    pub(crate) async fn connected(&self, peer: &PeerKey, patience: Duration) -> Option<Arc<Connection>> {
        let mut changes = self.changes();
        let wait = async {
            loop {
                changes.mark_unchanged();
                if let Some(connection) = self.connection(peer) {
                    return Some(connection);
                }
                if changes.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::time::timeout(patience, wait).await.ok().flatten()
    }

    /// Returns why the last dial of a peer failed, until one succeeds.
    pub(crate) fn failure(&self, peer: &PeerKey) -> Option<DialError> {
        lock(&self.failures).get(peer).cloned()
    }

    pub(crate) async fn register(self: &Arc<Self>, connection: Arc<Connection>) {
        let peer = connection.peer();
        if !self.pins.is_pinned(&peer) {
            connection.close("not paired any more");
            return;
        }
        if connection.remote().middle().is_some() && self.direct(&peer).is_some() {
            connection.close("there is a direct connection already");
            return;
        }
        {
            let mut live = lock(&self.live);
            let list = live.entry(peer).or_default();
            if connection.remote().middle().is_none() {
                // What ran through another node goes on directly, and takes up there where it was.
                for other in list.iter().filter(|other| other.remote().middle().is_some()) {
                    other.close("there is a direct connection now");
                }
            }
            list.push(Arc::clone(&connection));
        }
        lock(&self.failures).remove(&peer);
        self.changed.send_modify(|count| *count += 1);
        let (network, watched) = (Arc::downgrade(self), Arc::clone(&connection));
        tokio::spawn(async move {
            watched.closed().await;
            if let Some(network) = network.upgrade() {
                if let Some(list) = lock(&network.live).get_mut(&peer) {
                    list.retain(|other| !Arc::ptr_eq(other, &watched));
                }
                network.changed.send_modify(|count| *count += 1);
            }
        });
        // The receiver is the node itself; it is gone only when the node is.
        _ = self.arrivals.send(connection).await;
    }

    /// Ends connections to a peer that run through other nodes.
    pub(crate) fn leave_roundabouts(&self, peer: &PeerKey) {
        let live = lock(&self.live);
        let roundabouts = live.get(peer).into_iter().flatten();
        for connection in roundabouts.filter(|connection| connection.remote().middle().is_some()) {
            connection.close("this way is not wanted any more");
        }
    }

    /// Notes why a dial failed.
    pub(crate) fn note_failure(&self, peer: PeerKey, error: DialError) {
        lock(&self.failures).insert(peer, error);
    }

    /// Returns what this node is called.
    pub(crate) fn own_name(&self) -> &str {
        &self.own_name
    }

    /// Keeps a connection to a peer: dials whenever there is none. `eager` dials at once and is for a spoke;
    /// otherwise the lesser key goes first. A later call for the same peer changes where it is dialled and
    /// leaves a dial under way alone: the other side may already count on it.
    pub(crate) fn keep(self: &Arc<Self>, peer: PeerKey, addresses: Vec<String>, eager: bool) {
        let mut dialling = lock(&self.dialling);
        match dialling.get(&peer) {
            Some(known) => {
                known.way.send_if_modified(|way| {
                    let new = Way { addresses, eager: eager || way.eager };
                    let changed = *way != new;
                    *way = new;
                    changed
                });
            }
            None => {
                let (way, receiver) = watch::channel(Way { addresses, eager });
                let task = tokio::spawn(crate::dialling::keep(Arc::downgrade(self), peer, receiver));
                dialling.insert(peer, Dialling { way, task });
            }
        }
    }

    /// Shuts a peer out: no more dialling, and what is connected ends.
    pub(crate) fn forget(&self, peer: &PeerKey) {
        self.pins.remove(peer);
        if let Some(dialling) = lock(&self.dialling).remove(peer) {
            dialling.task.abort();
        }
        for connection in lock(&self.live).remove(peer).unwrap_or_default() {
            connection.close("not paired any more");
        }
        self.changed.send_modify(|count| *count += 1);
    }

    /// Ends everything.
    pub(crate) fn shutdown(&self) {
        if let Some(server) = &self.server {
            server.shutdown();
        }
        for (_, dialling) in lock(&self.dialling).drain() {
            dialling.task.abort();
        }
        for connection in lock(&self.live).drain().flat_map(|(_, list)| list) {
            connection.close("the node ends");
        }
    }
}

/// Returns where others reach what is bound to `bound`: itself, or for a wildcard the machine's own addresses.
fn reachable(bound: SocketAddr) -> Vec<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    let (any, far, local): (IpAddr, SocketAddr, IpAddr) = match bound.ip() {
        IpAddr::V4(any) => (any.into(), (Ipv4Addr::new(192, 0, 2, 1), 9).into(), Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(any) => {
            let far = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
            (any.into(), (far, 9).into(), Ipv6Addr::LOCALHOST.into())
        }
    };
    // Connecting a datagram socket sends nothing; it only asks the system which of our addresses it would use.
    let outward = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(far)?;
        socket.local_addr()
    });
    let mut addresses = Vec::new();
    if let Ok(address) = outward
        && !address.ip().is_unspecified()
    {
        addresses.push(SocketAddr::new(address.ip(), bound.port()));
    }
    addresses.push(SocketAddr::new(local, bound.port()));
    addresses
}

/// Says in words why a peer cannot be reached.
pub(crate) fn describe(error: Option<&DialError>) -> String {
    error.map_or_else(|| "it has not connected and no address of it is known".to_owned(), ToString::to_string)
}
