//! Nodes on the local network, by mDNS: who is there, and where.
//!
//! A node that listens beyond this machine announces `_evenfold._tcp` with its name and fingerprint, and listens for
//! others: so a code alone is enough to pair, and peers are found again when their addresses change. What is heard is
//! only a hint where to knock; who opens has to hold the pinned key, or to know the code.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use evenfold_ssh::{Code, PairError, PeerKey};
use mdns_sd::{ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::task::JoinHandle;

use crate::api::{ApiError, ErrorCode, Event, NearbyNode, Paired};
use crate::config::{Config, Flags};
use crate::home::Home;
use crate::local::lock;
use crate::node::{Node, db};
use crate::pairing::pairing_failed;

/// The kind of service, as RFC 6763 names it.
const SERVICE: &str = "_evenfold._tcp.local.";

/// Nodes that are remembered at most: more than any office has, so that nobody fills our memory by shouting.
const MOST_NODES: usize = 256;

/// Addresses that are remembered of one node.
const MOST_ADDRESSES: usize = 8;

/// Addresses at which a code is tried: so that a crowd does not keep somebody waiting for minutes.
const MOST_TRIED: usize = 32;

/// How long a search lasts that was asked for: three queries, which mDNS repeats after one and two seconds.
const SEARCH: Duration = Duration::from_secs(4);

/// How often what was heard is looked at in a search.
const LOOK: Duration = Duration::from_millis(100);

/// A node that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) name: String,
    pub(crate) fingerprint: String,
    /// As `host:port`, nearest first.
    pub(crate) addresses: Vec<String>,
}

/// The ear and mouth of a node on the local network.
#[derive(Default)]
pub(crate) struct Nearby {
    daemon: Mutex<Option<ServiceDaemon>>,
    /// By the full name of the service.
    heard: Arc<Mutex<BTreeMap<String, Heard>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Nearby {
    /// Begins to announce and to listen, if the node listens beyond this machine. What cannot be done is logged: the
    /// node works without.
    pub(crate) fn start(node: &Arc<Node>) {
        let ports = node.network.open_ports();
        if ports.is_empty() || !node.is_heard() {
            return;
        }
        let daemon = match ServiceDaemon::new() {
            Ok(daemon) => daemon,
            Err(error) => {
                tracing::info!(%error, "nodes on the local network cannot be found by themselves");
                return;
            }
        };
        for port in ports {
            if let Err(error) = announce(&daemon, node, port) {
                tracing::info!(%error, "this node cannot be announced on the local network");
            }
        }
        match daemon.browse(SERVICE) {
            Ok(events) => {
                let task = tokio::spawn(listen(Arc::downgrade(node), events));
                *lock(&node.nearby.task) = Some(task);
            }
            Err(error) => tracing::info!(%error, "nodes on the local network cannot be found by themselves"),
        }
        *lock(&node.nearby.daemon) = Some(daemon);
    }

    /// Says goodbye.
    pub(crate) fn stop(&self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
        if let Some(daemon) = lock(&self.daemon).take()
            && let Err(error) = daemon.shutdown()
        {
            tracing::debug!(%error, "the local network was not told that this node leaves");
        }
    }

    /// Begins a search. Where this node listens all the time, what it has heard is there at once.
    pub(crate) fn search(&self) -> Search {
        if lock(&self.daemon).is_some() {
            return Search { heard: Arc::clone(&self.heard), _passing: None };
        }
        let heard = Arc::new(Mutex::new(BTreeMap::new()));
        let begun = ServiceDaemon::new().and_then(|daemon| Ok((daemon.browse(SERVICE)?, daemon)));
        let passing = match begun {
            Ok((events, daemon)) => {
                let into = Arc::clone(&heard);
                let task = tokio::spawn(async move {
                    while let Ok(event) = events.recv_async().await {
                        note(&mut lock(&into), event);
                    }
                });
                Some(Passing { daemon, task })
            }
            Err(error) => {
                tracing::info!(%error, "nodes on the local network cannot be searched for");
                None
            }
        };
        Search { heard, _passing: passing }
    }
}

/// A search under way.
pub(crate) struct Search {
    heard: Arc<Mutex<BTreeMap<String, Heard>>>,
    /// Ends with the search.
    _passing: Option<Passing>,
}

impl Search {
    /// Returns who was heard so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        lock(&self.heard).values().cloned().collect()
    }

    /// Waits a moment; `false` when the search has lasted long enough since `begun`.
    pub(crate) async fn goes_on(&self, begun: Instant) -> bool {
        tokio::time::sleep(LOOK).await;
        begun.elapsed() < SEARCH
    }
}

/// A daemon that serves one search only.
struct Passing {
    daemon: ServiceDaemon,
    task: JoinHandle<()>,
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.task.abort();
        // Fails only if it has ended.
        drop(self.daemon.shutdown());
    }
}

fn announce(daemon: &ServiceDaemon, node: &Node, port: u16) -> Result<(), mdns_sd::Error> {
    let fingerprint = node.network.identity.key().fingerprint();
    let instance = instance_name(&fingerprint, port);
    let properties = HashMap::from([
        ("v".to_owned(), "1".to_owned()),
        ("name".to_owned(), node.name.clone()),
        ("key".to_owned(), fingerprint),
    ]);
    let host = format!("{instance}.local.");
    let info = ServiceInfo::new(SERVICE, &instance, &host, "", port, properties)?.enable_addr_auto();
    daemon.register(info)
}

/// Returns a name that fits into one label of DNS and differs from node to node.
fn instance_name(fingerprint: &str, port: u16) -> String {
    let key = fingerprint.strip_prefix("SHA256:").unwrap_or(fingerprint);
    let key: String = key.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    format!("evenfold-{key}-{port}")
}

/// Takes up what an event says; tells whether a node was heard that has something new.
fn note(heard: &mut BTreeMap<String, Heard>, event: ServiceEvent) -> Option<Heard> {
    match event {
        ServiceEvent::ServiceResolved(found) => {
            let text = |key: &str| found.get_property_val_str(key).unwrap_or_default();
            let name: String = text("name").chars().filter(|c| !c.is_control()).take(64).collect();
            let fingerprint = text("key").to_owned();
            let is_fingerprint =
                fingerprint.len() == 50 && fingerprint.starts_with("SHA256:") && fingerprint.is_ascii();
            if !is_fingerprint || (heard.len() >= MOST_NODES && !heard.contains_key(&found.fullname)) {
                return None;
            }
            let mut addresses: Vec<IpAddr> =
                found.addresses.iter().map(|scoped| scoped.to_ip_addr()).filter(is_useful).collect();
            // IPv4 first: it needs no scope.
            addresses.sort_by_key(|address| (address.is_ipv6(), *address));
            addresses.truncate(MOST_ADDRESSES);
            let addresses =
                addresses.into_iter().map(|ip| SocketAddr::new(ip, found.port).to_string()).collect();
            let new = Heard { name, fingerprint, addresses };
            let before = heard.insert(found.fullname.clone(), new.clone());
            (before.as_ref() != Some(&new)).then_some(new)
        }
        ServiceEvent::ServiceRemoved(_, fullname) => {
            heard.remove(&fullname);
            None
        }
        _ => None,
    }
}

/// Link-local addresses of IPv6 need a scope that an address in writing does not have; loopback is every machine's own.
fn is_useful(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_unspecified(),
        IpAddr::V6(address) => {
            !address.is_loopback() && !address.is_unspecified() && !address.is_unicast_link_local()
        }
    }
}

async fn listen(node: Weak<Node>, events: mdns_sd::Receiver<ServiceEvent>) {
    while let Ok(event) = events.recv_async().await {
        let Some(node) = node.upgrade() else { return };
        let new = note(&mut lock(&node.nearby.heard), event);
        if let Some(heard) = new {
            node.tell(Event::Peers);
            if let Err(error) = node.learn_addresses(&heard).await {
                tracing::debug!(%error, "the addresses of a peer could not be noted");
            }
        }
    }
}

impl Node {
    /// Returns the nodes on the local network, this one left out.
    pub(crate) async fn nearby(&self) -> Result<Vec<NearbyNode>, ApiError> {
        let peers = self.store.peers().list().await.map_err(db)?;
        let peers: HashMap<String, String> = peers
            .into_iter()
            .filter(|peer| peer.revoked.is_none())
            .map(|peer| (PeerKey::from_bytes(peer.key).fingerprint(), peer.name))
            .collect();
        let own = self.network.identity.key().fingerprint();
        let (search, begun) = (self.nearby.search(), Instant::now());
        let others = || search.heard().into_iter().filter(|heard| heard.fingerprint != own);
        while others().next().is_none() && search.goes_on(begun).await {}
        let node = |heard: Heard| NearbyNode {
            peer: peers.get(&heard.fingerprint).cloned(),
            name: heard.name,
            fingerprint: heard.fingerprint,
            addresses: heard.addresses,
        };
        Ok(others().map(node).collect())
    }

    /// Tells whether the local network may hear of this node.
    fn is_heard(&self) -> bool {
        let home = Home::at(self.home.clone()).ok();
        let config = home.and_then(|home| {
            Config::load(&home, &Flags::default(), &|variable| std::env::var_os(variable)).ok()
        });
        // A node whose settings cannot be understood does not start at all.
        config.is_none_or(|config| config.nearby.value)
    }

    /// Finds the node on the local network that offers `code`, and pairs with it.
    pub(crate) async fn pair_with_somebody(self: &Arc<Self>, code: &Code) -> Result<Paired, ApiError> {
        let own = self.network.identity.key().fingerprint();
        let (search, begun) = (self.nearby.search(), Instant::now());
        let mut tried = HashSet::new();
        loop {
            for heard in search.heard().into_iter().filter(|heard| heard.fingerprint != own) {
                for address in heard.addresses {
                    if tried.len() >= MOST_TRIED || !tried.insert(address.clone()) {
                        continue;
                    }
                    match self.take_offer(code, &address).await {
                        Ok(paired) => return self.pin_offered(paired, &address).await,
                        // Another one may offer it.
                        Err(PairError::NoOffer { .. } | PairError::Dial(_) | PairError::Oneself { .. }) => {}
                        Err(error) => return Err(pairing_failed(&error)),
                    }
                }
            }
            if !search.goes_on(begun).await {
                break;
            }
        }
        let found =
            if tried.is_empty() { "no node was found there" } else { "none of the nodes there offers it" };
        let message =
            format!("the code was looked for on the local network, and {found}; nothing was paired");
        let hint = "give the address that the other machine prints: CODE ADDR:PORT";
        Err(ApiError::new(ErrorCode::Unreachable, message).with_hint(hint))
    }

    /// Takes up where a paired machine is now.
    async fn learn_addresses(self: &Arc<Self>, heard: &Heard) -> Result<(), ApiError> {
        let peers = self.store.peers().list().await.map_err(db)?;
        let known = peers.into_iter().find(|peer| {
            peer.revoked.is_none() && PeerKey::from_bytes(peer.key).fingerprint() == heard.fingerprint
        });
        let Some(mut peer) = known else { return Ok(()) };
        let addresses = crate::addresses::merge(&heard.addresses, &peer.addresses);
        if addresses == peer.addresses || addresses.is_empty() {
            return Ok(());
        }
        peer.addresses.clone_from(&addresses);
        self.store.peers().put(&peer).await.map_err(db)?;
        self.network.keep(PeerKey::from_bytes(peer.key), addresses, false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_is_one_label_and_differs_by_key_and_port() {
        let name = instance_name("SHA256:Ed7dHmHLlc4Q6kwA+B8uz4RReT+92V19k4Opa9OJbU4", 22722);
        assert_eq!(name, "evenfold-Ed7dHmHLlc4Q6kwAB8uz-22722");
        assert!(name.len() <= 63);
    }

    #[test]
    fn addresses_that_lead_nowhere_are_left_out() {
        for (address, useful) in [
            ("192.168.1.5", true),
            ("127.0.0.1", false),
            ("fe80::1", false),
            ("fd00::1", true),
            ("::1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(is_useful(&address.parse().unwrap()), useful, "{address}");
        }
    }
}
