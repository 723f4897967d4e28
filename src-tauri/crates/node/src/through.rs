//! The near end of a way through another node: opening it, pairing over it, and a person's wish to go it.
//!
//! What happens in the middle is `crate::forward`.

use std::sync::Arc;
use std::time::Duration;

use evenfold_ssh::{Code, Connection, DialError, PairError, PeerKey, Stream, accept_code_through};
use evenfold_store::PeerRow;
use evenfold_wire::{CallError, Purpose, RemoteError};

use crate::api::{ApiError, ErrorCode, Event, Paired};
use crate::forward::{NEIGHBOURS, Neighbour, OPENING, failed};
use crate::network::Network;
use crate::node::{Node, db};
use crate::pairing::pairing_failed;
use crate::serving::node_client;

/// Machines behind one in the middle at which a code is tried: so that a crowd keeps nobody waiting for minutes.
const MOST_TRIED: usize = 32;

/// How long a node in the middle may take to be connected when it is asked for.
const REACH: Duration = Duration::from_secs(10);

/// Says what stands in the way, and what to do about it.
pub(crate) fn in_words(error: &RemoteError) -> String {
    if error.hint.is_empty() { error.message.clone() } else { format!("{} ({})", error.message, error.hint) }
}

/// Opens a way to `to` through the node at the other end of `middle`.
///
/// # Errors
/// In words for people, why there is none.
pub(crate) async fn open_way(
    middle: &Connection,
    own_name: &str,
    to: &PeerKey,
) -> Result<Stream, RemoteError> {
    let open = async {
        let gone = |error: evenfold_ssh::OpenError| RemoteError::new("unreachable", error.to_string(), "");
        let mut stream = middle.open().await.map_err(gone)?;
        let purpose = Purpose::Forward { to: *to.as_bytes() };
        evenfold_wire::open(&mut stream, own_name, purpose).await.map_err(failed)?;
        Ok(stream)
    };
    let silent = || RemoteError::new("unreachable", "the machine in the middle does not answer", "");
    tokio::time::timeout(OPENING * 2, open).await.map_err(|_| silent())?
}

impl Node {
    /// Sets or removes the node in the middle through which a peer is reached where it cannot be directly.
    pub(crate) async fn peer_via(self: &Arc<Self>, peer: &str, middle: Option<&str>) -> Result<(), ApiError> {
        let mut row = self.peer(peer).await?;
        let (direct, through) = crate::addresses::split(&row.addresses);
        row.addresses = direct;
        match middle {
            Some(middle) => {
                let middle = self.peer(middle).await?;
                if middle.key == row.key {
                    let message =
                        format!("'{}' cannot be reached through itself; nothing was changed", row.name);
                    return Err(
                        ApiError::new(ErrorCode::Usage, message).with_hint("name the machine in the middle")
                    );
                }
                self.ask_whether_allowed(&middle).await?;
                row.addresses.push(crate::addresses::through(&PeerKey::from_bytes(middle.key)));
            }
            None if through.is_empty() => {
                let message = format!("'{}' is not reached through another machine", row.name);
                return Err(ApiError::new(ErrorCode::NotFound, message));
            }
            None => {}
        }
        self.store.peers().put(&row).await.map_err(db)?;
        let key = PeerKey::from_bytes(row.key);
        if middle.is_none() {
            self.network.leave_roundabouts(&key);
        }
        let eager = self.all().iter().any(|relationship| relationship.row().hub == Some(row.key));
        self.network.keep(key, row.addresses, eager);
        self.tell(Event::Peers);
        Ok(())
    }

    /// Makes sure that a machine in the middle does this, if it can be asked now. One that is away is asked later.
    async fn ask_whether_allowed(self: &Arc<Self>, middle: &PeerRow) -> Result<(), ApiError> {
        if self.network.direct(&PeerKey::from_bytes(middle.key)).is_none() {
            return Ok(());
        }
        self.neighbours_of(middle).await.map(drop)
    }

    /// Asks a machine in the middle whom it would connect us with.
    async fn neighbours_of(self: &Arc<Self>, middle: &PeerRow) -> Result<Vec<Neighbour>, ApiError> {
        let connection = self.reach(middle, REACH).await?;
        let broke = |error: String| {
            let message = format!("'{}' did not answer: {error}; nothing was changed", middle.name);
            ApiError::new(ErrorCode::Unreachable, message)
        };
        let client = node_client(self, &connection).await.map_err(broke)?;
        let answer = client.custom(NEIGHBOURS.to_owned(), Vec::new()).await.map_err(|error| match error {
            CallError::Remote(error) => {
                let message = format!("{}; nothing was changed", error.message);
                ApiError::new(ErrorCode::Refused, message).with_hint(error.hint)
            }
            CallError::Lost(error) => broke(error.to_string()),
        })?;
        serde_json::from_slice(&answer).map_err(|error| broke(error.to_string()))
    }

    /// Pairs with the node that offers `code` somewhere behind another: `HUB`, or `HUB/NODE` by name or fingerprint.
    pub(crate) async fn pair_through(self: &Arc<Self>, code: &Code, way: &str) -> Result<Paired, ApiError> {
        let (middle, wanted) = match way.split_once('/') {
            Some((middle, wanted)) => (middle, Some(wanted)),
            None => (way, None),
        };
        let middle = self.peer(middle).await?;
        let neighbours = self.neighbours_of(&middle).await?;
        let is_wanted = |neighbour: &&Neighbour| {
            let key = PeerKey::from_bytes(neighbour.key);
            wanted.is_none_or(|wanted| neighbour.name == wanted || key.fingerprint() == wanted)
        };
        let candidates: Vec<&Neighbour> = neighbours.iter().filter(is_wanted).take(MOST_TRIED).collect();
        if let (Some(wanted), true) = (wanted, candidates.is_empty()) {
            let names: Vec<_> = neighbours.iter().map(|neighbour| neighbour.name.as_str()).collect();
            let message = format!("'{}' knows no machine '{wanted}'; nothing was paired", middle.name);
            let hint = format!(
                "it knows: {}",
                if names.is_empty() { "no other".to_owned() } else { names.join(", ") }
            );
            return Err(ApiError::new(ErrorCode::NotFound, message).with_hint(hint));
        }
        let mut failure = None;
        for neighbour in candidates.into_iter().filter(|neighbour| neighbour.online || wanted.is_some()) {
            match self.take_offer_through(code, &middle, neighbour).await {
                Ok(paired) => return self.pin_offered(paired, &format!("via:{way}")).await,
                Err(PairError::NoOffer { .. } | PairError::Dial(_)) if wanted.is_none() => {}
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        Err(match failure {
            Some(error) => pairing_failed(&error),
            None => {
                let message =
                    format!("no machine behind '{}' offers this code; nothing was paired", middle.name);
                let hint = "is the other machine paired with it and connected, and the code still valid?";
                ApiError::new(ErrorCode::PairingFailed, message).with_hint(hint)
            }
        })
    }

    async fn take_offer_through(
        &self,
        code: &Code,
        middle: &PeerRow,
        neighbour: &Neighbour,
    ) -> Result<evenfold_ssh::Paired, PairError> {
        let key = PeerKey::from_bytes(middle.key);
        let unreachable = |why: String| PairError::Dial(DialError::Unreachable { why });
        let connection = self.network.direct(&key);
        let connection =
            connection.ok_or_else(|| unreachable(format!("{} is not connected", middle.name)))?;
        let way = open_way(&connection, &self.name, &PeerKey::from_bytes(neighbour.key)).await;
        let stream = way.map_err(|error| unreachable(in_words(&error)))?;
        let address = format!("via:{}/{}", middle.name, neighbour.name);
        let identity = Arc::clone(&self.network.identity);
        let (mine, limits) = (self.introduction(Vec::new()), self.network.limits.clone());
        accept_code_through((stream, key, &address), code, identity, mine, limits).await
    }

    /// Writes addresses for people: nodes in the middle by their names here.
    pub(crate) async fn shown_addresses(&self, addresses: &[String]) -> Result<Vec<String>, ApiError> {
        let peers = self.store.peers().list().await.map_err(db)?;
        let shown = |address: &String| {
            let Some(middle) = crate::addresses::middle_of(address) else { return address.clone() };
            let known = peers.iter().find(|peer| PeerKey::from_bytes(peer.key).fingerprint() == middle);
            known.map_or_else(|| address.clone(), |peer| format!("via:{}", peer.name))
        };
        Ok(addresses.iter().map(shown).collect())
    }
}

impl Network {
    /// Returns the live connection to the peer with this fingerprint, unless it runs through another node itself: ways
    /// have one node in the middle, so that no circle comes about.
    pub(crate) fn middle(&self, fingerprint: &str) -> Option<Arc<Connection>> {
        let key = self.live_keys().into_iter().find(|key| key.fingerprint() == fingerprint)?;
        self.direct(&key)
    }
}
