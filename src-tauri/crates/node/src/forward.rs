//! Two nodes that cannot reach each other, connected through a third that both have paired with.
//!
//! The node in the middle passes bytes of a stream of one peer on as a stream of the other, if its owner allows it
//! (`forward = "peers"` in `config.toml`). What travels in them is a whole SSH connection between the two ends, with
//! their own keys: the middle neither reads it nor can take either's place. This is the middle and the far end; the near one is
//! `crate::through`.
//!
//! ```text
//! A ── asks for B ──▶ middle ── says it comes from A ──▶ B
//! A ◀═════════════ SSH, end to end, with pinned keys ═════════════▶ B
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenfold_ssh::{PeerKey, Remote, Stream};
use evenfold_wire::{HandshakeError, Incoming, Purpose, RemoteError};
use serde::{Deserialize, Serialize};
use tokio::io::copy_bidirectional_with_sizes;

use crate::limits::{Limited, Limits};
use crate::local::lock;
use crate::node::Node;
use crate::remote::REFUSED;
use crate::settings::Timetable;

/// The request that lists whom a node in the middle can reach.
pub(crate) const NEIGHBOURS: &str = "neighbours";

/// Connections that are passed on at once: a handful for each pair of a small office. Each costs two streams and what
/// they may hold.
const MOST: usize = 64;
/// Of these, from one peer: it needs one for each machine behind, and while the lines change, another.
const MOST_PER_PEER: usize = 16;

/// Held in memory for each direction: some packets.
const BUFFER: usize = 64 * 1024;

/// How long the middle and the far end may take to open the way.
pub(crate) const OPENING: Duration = Duration::from_secs(10);

/// What a node does for others.
pub(crate) struct Forwarding {
    allowed: bool,
    limits: Arc<Limits>,
    /// Connections that are passed on now, by the peer that asked.
    open: Mutex<HashMap<PeerKey, usize>>,
}

/// A peer of the node in the middle, as that one tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Neighbour {
    /// What it is called there.
    pub(crate) name: String,
    pub(crate) key: [u8; 32],
    /// Whether it is connected to the node in the middle now.
    pub(crate) online: bool,
}

impl Forwarding {
    /// `rate` is for all together, in each direction.
    pub(crate) fn new(allowed: bool, rate: Timetable) -> Self {
        Forwarding { allowed, limits: Limits::same(rate), open: Mutex::default() }
    }

    fn enter(self: &Arc<Self>, peer: PeerKey) -> Result<Passage, RemoteError> {
        let mut open = lock(&self.open);
        let all: usize = open.values().sum();
        let of_peer = open.get(&peer).copied().unwrap_or_default();
        if all >= MOST || of_peer >= MOST_PER_PEER {
            let message = "this machine already connects as many others as it may";
            return Err(RemoteError::new("busy", message, "it is tried again"));
        }
        open.insert(peer, of_peer + 1);
        Ok(Passage { forwarding: Arc::clone(self), peer })
    }
}

/// One connection that is passed on.
struct Passage {
    forwarding: Arc<Forwarding>,
    peer: PeerKey,
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut open = lock(&self.forwarding.open);
        if let Some(count) = open.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

fn not_allowed(name: &str) -> RemoteError {
    let message = format!("{name} does not connect other machines through itself");
    let hint = format!("its owner can allow it: forward = \"peers\" in config.toml on {name}");
    RemoteError::new(REFUSED, message, hint)
}

/// Says what became of a handshake.
pub(crate) fn failed(error: HandshakeError) -> RemoteError {
    match error {
        HandshakeError::Refused(error) => error,
        other => RemoteError::new("unreachable", other.to_string(), ""),
    }
}

/// The middle: passes on what `peer` sends to another peer, and back, until either ends.
pub(crate) async fn pass_on(
    node: Arc<Node>,
    (peer, remote): (PeerKey, Remote),
    incoming: Incoming<Stream>,
    to: PeerKey,
) -> Result<(), String> {
    let opened = match remote.middle() {
        None => open_onward(&node, peer, to).await,
        // So that nobody builds chains and circles of machines that do not know of each other.
        Some(_) => Err(RemoteError::new(REFUSED, "what comes through one machine goes through no other", "")),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => {
            tracing::info!(%peer, %to, reason = error.message, "a connection was not passed on");
            return incoming.refuse(&error).await.map_err(|error| error.to_string());
        }
    };
    let (_passage, mut onward) = opened;
    let limits = Arc::clone(&node.forwarding.limits);
    // This lasts; the node need not.
    drop(node);
    let stream = incoming.accept().await.map_err(|error| error.to_string())?;
    tracing::info!(%peer, %to, "two machines are connected through this one");
    let mut stream = Limited::new(stream, limits);
    let copied = copy_bidirectional_with_sizes(&mut stream, &mut onward, BUFFER, BUFFER).await;
    let ended = copied.map(|(there, back)| format!("{there} bytes there, {back} back"));
    let ended = ended.unwrap_or_else(|error| error.to_string());
    tracing::info!(%peer, %to, ended, "two machines are not connected through this one any more");
    Ok(())
}

async fn open_onward(node: &Node, peer: PeerKey, to: PeerKey) -> Result<(Passage, Stream), RemoteError> {
    if !node.forwarding.allowed {
        return Err(not_allowed(&node.name));
    }
    // The same answer for a stranger and for a peer that is away: who is paired here is nobody's business.
    let away = || {
        let message = format!("the other machine is not connected to {}", node.name);
        RemoteError::new("not-here", message, "it is tried again")
    };
    let known = to != peer && node.network.pins.is_known(&to);
    let connection = node.network.direct(&to).filter(|_| known).ok_or_else(away)?;
    let passage = node.forwarding.enter(peer)?;
    let open = async {
        let mut onward = connection.open().await.map_err(|_| away())?;
        let purpose = Purpose::Forwarded { from: *peer.as_bytes() };
        evenfold_wire::open(&mut onward, &node.name, purpose).await.map_err(failed)?;
        Ok::<_, RemoteError>(onward)
    };
    let onward = tokio::time::timeout(OPENING, open).await.map_err(|_| away())??;
    Ok((passage, onward))
}

/// The far end: treats what arrives like a connection to the port on which this node listens.
pub(crate) async fn take_in(node: &Node, middle: PeerKey, incoming: Incoming<Stream>) -> Result<(), String> {
    let Some(server) = node.network.server().cloned() else {
        let error = RemoteError::new(REFUSED, format!("{} takes no connections", node.name), "");
        return incoming.refuse(&error).await.map_err(|error| error.to_string());
    };
    let stream = incoming.accept().await.map_err(|error| error.to_string())?;
    server.welcome_through(stream, middle);
    Ok(())
}

impl Node {
    /// Answers a peer that asks whom it may reach through this node.
    pub(crate) async fn neighbours(&self, asking: &PeerKey) -> Result<Vec<Neighbour>, RemoteError> {
        if !self.forwarding.allowed {
            return Err(not_allowed(&self.name));
        }
        let failed = |error: evenfold_store::StoreError| RemoteError::new("store", error.to_string(), "");
        let peers = self.store.peers().list().await.map_err(failed)?;
        let others =
            peers.into_iter().filter(|peer| peer.revoked.is_none() && peer.key != *asking.as_bytes());
        Ok(others
            .map(|peer| {
                let online = self.network.direct(&PeerKey::from_bytes(peer.key)).is_some();
                Neighbour { name: peer.name, key: peer.key, online }
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_are_passed_on_are_bounded_and_given_back() {
        let forwarding = Arc::new(Forwarding::new(true, Timetable::default()));
        let peer = |number: u8| PeerKey::from_bytes([number; 32]);
        let mut held = Vec::new();
        for _ in 0..MOST_PER_PEER {
            held.push(forwarding.enter(peer(1)).unwrap_or_else(|error| panic!("{error}")));
        }
        assert!(forwarding.enter(peer(1)).is_err());
        for number in 2..=4 {
            for _ in 0..MOST_PER_PEER {
                held.push(forwarding.enter(peer(number)).unwrap_or_else(|error| panic!("{error}")));
            }
        }
        assert!(forwarding.enter(peer(5)).is_err(), "all places are taken");
        held.clear();
        assert!(forwarding.enter(peer(1)).is_ok());
        assert!(lock(&forwarding.open).is_empty());
    }
}
