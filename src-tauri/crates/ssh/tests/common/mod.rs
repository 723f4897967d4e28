//! Two nodes on the loopback interface.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod raw;
pub mod relay;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_ssh::{Connection, DialError, Gate, Identity, Limits, PeerKey, Server, dial};

/// Waits for what must come; far longer than it takes, so that only a hang fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A gate whose pins a test can change.
#[derive(Default)]
pub struct Pins(Mutex<HashSet<PeerKey>>);

impl Pins {
    pub fn pin(&self, key: PeerKey) {
        self.0.lock().unwrap().insert(key);
    }

    pub fn unpin(&self, key: PeerKey) {
        self.0.lock().unwrap().remove(&key);
    }
}

impl Gate for Pins {
    fn is_pinned(&self, key: &PeerKey) -> bool {
        self.0.lock().unwrap().contains(key)
    }
}

/// A server, and a client that it has pinned.
pub struct Rig {
    pub server: Arc<Server>,
    pub pins: Arc<Pins>,
    pub server_key: PeerKey,
    pub identity: Arc<Identity>,
    pub client: Arc<Identity>,
    pub limits: Limits,
}

impl Rig {
    pub async fn new(limits: Limits) -> Self {
        Self::at("127.0.0.1:0", limits).await.unwrap()
    }

    /// `None` if the machine has no such address, as some have no IPv6.
    pub async fn at(addr: &str, limits: Limits) -> Option<Self> {
        let identity = Arc::new(Identity::ephemeral().unwrap());
        let client = Arc::new(Identity::ephemeral().unwrap());
        let pins = Arc::new(Pins::default());
        pins.pin(client.key());
        let server_key = identity.key();
        let addr: SocketAddr = addr.parse().unwrap();
        let server = Server::bind(&[addr], identity.clone(), pins.clone(), limits.clone()).await.ok()?;
        Some(Self { server: Arc::new(server), pins, server_key, identity, client, limits })
    }

    pub fn addr(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    pub async fn dial(&self) -> Result<Arc<Connection>, DialError> {
        self.dial_as(&self.client).await
    }

    pub async fn dial_as(&self, who: &Arc<Identity>) -> Result<Arc<Connection>, DialError> {
        let addrs = [self.addr().to_string()];
        in_time(dial(&addrs, who.clone(), &self.server_key, self.limits.clone())).await
    }

    /// Returns both ends of a new connection: the dialler's, the acceptor's.
    pub async fn connect(&self) -> (Arc<Connection>, Arc<Connection>) {
        let dialled = self.dial().await.unwrap();
        let accepted = in_time(self.server.accept()).await.unwrap();
        (dialled, accepted)
    }
}

pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("came to no end")
}

/// Reproducible bytes that repeat nowhere nearby.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
