//! Paired machines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evenfold_ssh::{PeerKey, Remote};

use crate::api::{ApiError, ErrorCode, Event, PeerInfo, Ping, WayInfo};
use crate::node::{Node, db};
use crate::serving::node_client;
use crate::text::format_time;

/// How long a ping waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a list waits for what the clocks of peers show; a peer that is slower is told of the next time.
const CLOCKS: Duration = Duration::from_millis(500);

/// Writes a moment of the database as text.
pub(crate) fn time_text(micros: i64) -> Option<String> {
    jiff::Timestamp::from_microsecond(micros).ok().map(format_time)
}

/// Refuses what cannot be the name of a machine.
pub(crate) fn check_name(name: &str) -> Result<(), ApiError> {
    if !crate::config::valid_name(name) {
        let message = format!("'{}' cannot be the name of a machine", name.escape_debug());
        let hint = "use up to 48 letters, digits, '-', '_' and '.', beginning with a letter or digit";
        return Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint));
    }
    Ok(())
}

impl Node {
    pub(crate) async fn peer_list(self: &Arc<Self>) -> Result<Vec<PeerInfo>, ApiError> {
        let mut list = Vec::new();
        let peers = self.store.peers().list().await.map_err(db)?;
        let keys: Vec<PeerKey> = peers.iter().map(|peer| PeerKey::from_bytes(peer.key)).collect();
        self.measure_clocks(&keys, CLOCKS).await;
        for peer in peers {
            let key = PeerKey::from_bytes(peer.key);
            let online = self.network.connection(&key).is_some();
            let last_seen = peer.last_seen.and_then(time_text);
            let mut relationships = Vec::new();
            for relationship in self.all() {
                let row = relationship.row();
                let member = row.hub.is_none()
                    && self.store.members().get(row.id, &peer.key).await.map_err(db)?.is_some();
                if row.hub == Some(peer.key) || member {
                    relationships.push(row.name);
                }
            }
            list.push(PeerInfo {
                name: peer.name,
                fingerprint: key.fingerprint(),
                addresses: self.shown_addresses(&peer.addresses).await?,
                way: self.way_to(&key).await?,
                online,
                offline_since: if online { None } else { last_seen.clone() },
                last_seen: if online { time_text(crate::record::now_micros()) } else { last_seen },
                relationships,
                clock_offset_seconds: self.clocks.ahead(&key),
                version: self.clocks.version(&key),
            });
        }
        Ok(list)
    }

    /// Says how a peer is connected now, if it is.
    pub(crate) async fn way_to(&self, peer: &PeerKey) -> Result<Option<WayInfo>, ApiError> {
        let Some(connection) = self.network.connection(peer) else { return Ok(None) };
        Ok(Some(match connection.remote() {
            Remote::Address(address) => {
                WayInfo { kind: "direct".to_owned(), note: Some(address.to_string()) }
            }
            Remote::Through(middle) => {
                let known = self.store.peers().get(middle.as_bytes()).await.map_err(db)?;
                let name = known.map_or_else(|| middle.fingerprint(), |peer| peer.name);
                WayInfo { kind: "through".to_owned(), note: Some(name) }
            }
        }))
    }

    /// Says how a peer is reached where that is not the usual way.
    pub(crate) async fn unusual_way_to(&self, peer: &PeerKey) -> Result<Option<WayInfo>, ApiError> {
        Ok(self.way_to(peer).await?.filter(|way| way.kind != "direct"))
    }

    pub(crate) async fn peer_rename(&self, peer: &str, name: &str) -> Result<(), ApiError> {
        check_name(name)?;
        let row = self.peer(peer).await?;
        if self.store.peers().by_name(name).await.map_err(db)?.is_some_and(|other| other.key != row.key) {
            let message = format!("another machine is called '{name}' already; nothing was changed");
            return Err(ApiError::new(ErrorCode::Exists, message));
        }
        self.store.peers().rename(&row.key, name).await.map_err(db)?;
        self.tell(Event::Peers);
        Ok(())
    }

    pub(crate) async fn peer_remove(&self, peer: &str) -> Result<(), ApiError> {
        let row = self.peer(peer).await?;
        // First out of the door, then off the list: whatever fails after this, it does not get in again.
        self.network.forget(&PeerKey::from_bytes(row.key));
        self.store.peers().remove(&row.key).await.map_err(db)?;
        self.tell(Event::Peers);
        Ok(())
    }

    pub(crate) async fn peer_ping(&self, peer: &str) -> Result<Ping, ApiError> {
        let row = self.peer(peer).await?;
        let connection = self.reach(&row, PATIENCE).await?;
        let broke = |error: String| {
            ApiError::new(ErrorCode::Unreachable, format!("'{}' did not answer: {error}", row.name))
        };
        let client = node_client(self, &connection).await.map_err(broke)?;
        let begin = Instant::now();
        client.ping(0).await.map_err(|error| broke(error.to_string()))?;
        let milliseconds = begin.elapsed().as_secs_f64() * 1000.0;
        let (bytes_sent, bytes_received) = connection.bytes();
        let address = match self.unusual_way_to(&connection.peer()).await? {
            Some(WayInfo { note: Some(middle), .. }) => format!("via:{middle}"),
            _ => connection.remote().to_string(),
        };
        Ok(Ping { name: row.name, address, milliseconds, bytes_sent, bytes_received })
    }
}
