//! What a member and its hub say to each other about deliveries: one request `delivery`, and `delivery-news` from the hub,
//! which says only that there is something new.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evenfold_core::delivery::{Answer, Event, Key, Offered, Party, Row, Skip, State, Told, Wait};
use evenfold_core::{Digest, RelPath};
use evenfold_ssh::PeerKey;
use evenfold_store::LedgerRow;
use evenfold_wire::RemoteError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::AnyBook;
use crate::node::Node;
use crate::remote::REFUSED;

/// Rows in one answer at most.
const PAGE: u32 = 500;

/// Bytes of one message at most: the protocol carries 256 KiB, and text needs a third more than bytes.
const FITS: usize = 120 * 1024;

/// Cuts a list so that each part fits into a message. `cost` says how many bytes of paths an element brings.
pub(super) fn pages<T>(items: Vec<T>, cost: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let (mut pages, mut page, mut bytes) = (Vec::new(), Vec::new(), 0);
    for item in items {
        // Keys, numbers and words beside the paths.
        let size = 400 + cost(&item);
        if bytes + size > FITS && !page.is_empty() {
            pages.push(std::mem::take(&mut page));
            bytes = 0;
        }
        bytes += size;
        page.push(item);
    }
    if !page.is_empty() {
        pages.push(page);
    }
    pages
}

/// Bytes of the paths of a row.
fn row_cost(row: &LedgerRow) -> usize {
    let landed = row.row.landed_at.as_ref().map_or(0, |path| path.as_bytes().len());
    row.row.key.path.as_bytes().len() + row.row.place.as_bytes().len() + landed
}

/// What a member asks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) relationship: Uuid,
    pub(super) ask: Ask,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ask {
    /// Rows after this number.
    Sync { after: u64 },
    /// Takes these units of mine?
    Offer { units: Vec<OfferedWire> },
    /// I am about to fetch these.
    Claim { keys: Vec<KeyWire> },
    /// This happened.
    Tell { told: Vec<ToldWire> },
    /// These units of mine count as delivered.
    Mark { units: Vec<OfferedWire> },
    /// These rows do not count any more.
    Forget { keys: Vec<KeyWire> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reply {
    Sync {
        rows: Vec<RowWire>,
        /// Whether there are more.
        more: bool,
        /// The newest number there is.
        last: u64,
        /// To whom the asking member's items are owed.
        destinations: Vec<Bytes>,
        online: Vec<Bytes>,
        /// What the machines are called that rows speak of.
        names: Vec<(Bytes, String)>,
        /// The hub's clock, in microseconds since 1970.
        now: i64,
    },
    Offer {
        answers: Vec<AnswerWire>,
    },
    Claim {
        good: Vec<bool>,
    },
    Done,
}

/// Bytes as base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Bytes).map_err(serde::de::Error::custom)
    }
}

fn wrong(what: &str) -> RemoteError {
    RemoteError::new("malformed", format!("the request cannot be understood: {what}"), "")
}

impl Bytes {
    pub(super) fn of_party(party: Party) -> Self {
        Bytes(party.0.to_vec())
    }

    pub(super) fn party(&self) -> Result<Party, RemoteError> {
        self.0.as_slice().try_into().map(Party).map_err(|_| wrong("key of a machine"))
    }

    fn digest(&self) -> Result<Digest, RemoteError> {
        self.0.as_slice().try_into().map(Digest).map_err(|_| wrong("digest"))
    }

    fn path(&self) -> Result<RelPath, RemoteError> {
        RelPath::new(&self.0).map_err(|error| wrong(&error.to_string()))
    }
}

fn path_bytes(path: &RelPath) -> Bytes {
    Bytes(path.as_bytes().to_vec())
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OfferedWire {
    pub(super) path: Bytes,
    pub(super) version: Bytes,
    pub(super) size: u64,
    pub(super) files: u64,
}

impl OfferedWire {
    pub(super) fn of(unit: &Offered) -> OfferedWire {
        OfferedWire {
            path: path_bytes(&unit.path),
            version: Bytes(unit.version.0.to_vec()),
            size: unit.size,
            files: unit.files,
        }
    }

    fn read(&self) -> Result<Offered, RemoteError> {
        let path = self.path.path()?;
        if path.is_root() {
            return Err(wrong("a unit without a name"));
        }
        Ok(Offered { path, version: self.version.digest()?, size: self.size, files: self.files })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeyWire {
    origin: Bytes,
    path: Bytes,
    version: Bytes,
    destination: Bytes,
}

impl KeyWire {
    pub(super) fn of(key: &Key) -> Self {
        KeyWire {
            origin: Bytes::of_party(key.origin),
            path: path_bytes(&key.path),
            version: Bytes(key.version.0.to_vec()),
            destination: Bytes::of_party(key.destination),
        }
    }

    pub(super) fn read(&self) -> Result<Key, RemoteError> {
        Ok(Key {
            origin: self.origin.party()?,
            path: self.path.path()?,
            version: self.version.digest()?,
            destination: self.destination.party()?,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AnswerWire {
    Done,
    Held,
    Send { place: Bytes },
    Wait { reason: String },
}

impl AnswerWire {
    pub(super) fn of(answer: &Answer) -> Self {
        match answer {
            Answer::Done => AnswerWire::Done,
            Answer::Held => AnswerWire::Held,
            Answer::Send { place } => AnswerWire::Send { place: path_bytes(place) },
            Answer::Wait(wait) => AnswerWire::Wait { reason: wait.reason().to_owned() },
        }
    }

    pub(super) fn read(&self) -> Result<Answer, RemoteError> {
        Ok(match self {
            AnswerWire::Done => Answer::Done,
            AnswerWire::Held => Answer::Held,
            AnswerWire::Send { place } => Answer::Send { place: place.path()? },
            AnswerWire::Wait { reason } => match State::parse("waiting", reason, None) {
                Some(State::Waiting(wait)) => Answer::Wait(wait),
                _ => Answer::Wait(Wait::NoSpace),
            },
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ToldWire {
    key: KeyWire,
    event: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    at: i64,
    #[serde(default)]
    landed_at: Option<Bytes>,
    #[serde(default)]
    gone: bool,
}

impl ToldWire {
    pub(super) fn of(told: &Told) -> Self {
        let (reason, at) = match &told.event {
            Event::Waits(wait) => (wait.reason(), 0),
            Event::Stumbled { reason, at } => (reason.as_str(), *at),
            Event::Damaged(reason) | Event::GivesUp(reason) => (reason.as_str(), 0),
            Event::Skips(skip) => (skip.reason(), 0),
            _ => ("", 0),
        };
        ToldWire {
            key: KeyWire::of(&told.key),
            event: told.event.word().to_owned(),
            reason: reason.to_owned(),
            at,
            landed_at: told.landed_at.as_ref().map(path_bytes),
            gone: told.gone,
        }
    }

    fn read(&self) -> Result<Told, RemoteError> {
        let reason = self.reason.clone();
        let event = match self.event.as_str() {
            "ready" => Event::Settled,
            "reserved" => Event::Admitted,
            "transferring" => Event::Began,
            "stored" => Event::Stored,
            "verifying" => Event::Arrived,
            "delivered" => Event::Landed,
            "acknowledged" => Event::Heard,
            "finalised" => Event::Confirmed,
            "released" => Event::Dropped,
            "retrying" => Event::Stumbled { reason, at: self.at },
            "failed" => Event::GivesUp(reason),
            "waiting" => match State::parse("waiting", &reason, None) {
                Some(State::Waiting(wait)) => Event::Waits(wait),
                _ => return Err(wrong("what a delivery waits for")),
            },
            "skipped" => match State::parse("skipped", &reason, None) {
                Some(State::Skipped(skip)) => Event::Skips(skip),
                _ => return Err(wrong("why a delivery is skipped")),
            },
            _ => return Err(wrong("what happened to a delivery")),
        };
        let landed_at = self.landed_at.as_ref().map(Bytes::path).transpose()?;
        Ok(Told { key: self.key.read()?, event, landed_at, gone: self.gone })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RowWire {
    key: KeyWire,
    place: Bytes,
    landed_at: Option<Bytes>,
    size: u64,
    files: u64,
    state: String,
    reason: String,
    retry_at: Option<i64>,
    stored: bool,
    attempts: u32,
    round: u32,
    since: i64,
    changed: i64,
    delivered: Option<i64>,
    finalised: Option<i64>,
    released: Option<i64>,
    gone: Option<i64>,
    seq: u64,
}

impl RowWire {
    fn of(stored: &LedgerRow) -> Self {
        let row = &stored.row;
        RowWire {
            key: KeyWire::of(&row.key),
            place: path_bytes(&row.place),
            landed_at: row.landed_at.as_ref().map(path_bytes),
            size: row.size,
            files: row.files,
            state: row.state.word().to_owned(),
            reason: row.state.reason().to_owned(),
            retry_at: match row.state {
                State::Retrying { at, .. } => Some(at),
                _ => None,
            },
            stored: row.stored,
            attempts: row.attempts,
            round: row.round,
            since: row.since,
            changed: row.changed,
            delivered: row.delivered,
            finalised: row.finalised,
            released: row.released,
            gone: row.gone,
            seq: stored.seq,
        }
    }

    pub(super) fn read(&self) -> Result<LedgerRow, RemoteError> {
        let state = State::parse(&self.state, &self.reason, self.retry_at);
        let row = Row {
            key: self.key.read()?,
            place: self.place.path()?,
            landed_at: self.landed_at.as_ref().map(Bytes::path).transpose()?,
            size: self.size,
            files: self.files,
            state: state.ok_or_else(|| wrong("state of a delivery"))?,
            stored: self.stored,
            attempts: self.attempts,
            round: self.round,
            since: self.since,
            changed: self.changed,
            delivered: self.delivered,
            finalised: self.finalised,
            released: self.released,
            gone: self.gone,
        };
        Ok(LedgerRow { row, seq: self.seq, untold: false })
    }
}

/// Answers a member.
pub(crate) async fn answer(node: &Arc<Node>, peer: &PeerKey, payload: &[u8]) -> Result<Vec<u8>, RemoteError> {
    let request: Request = serde_json::from_slice(payload).map_err(|error| wrong(&error.to_string()))?;
    let refused = || {
        RemoteError::new(
            REFUSED,
            "this machine does not deliver to or for you",
            "join the relationship first",
        )
    };
    let relationship = node.by_id(request.relationship).ok_or_else(refused)?;
    let member = node.store.members().get(request.relationship, peer.as_bytes()).await;
    let Ok(Some(member)) = member else { return Err(refused()) };
    let delivery = relationship.delivery().ok_or_else(refused)?;
    let AnyBook::Office(office) = &delivery.book else { return Err(refused()) };
    let failed = |error: String| RemoteError::new("store", error, "");
    let from = super::party(peer);
    let reply = match request.ask {
        Ask::Sync { after } => {
            let rows = node.store.ledger().since(request.relationship, after, PAGE).await;
            let rows = rows.map_err(|error| failed(error.to_string()))?;
            let last = node.store.ledger().last(request.relationship).await;
            let full = rows.len() >= PAGE as usize;
            let mut pages = pages(rows, row_cost).into_iter();
            let rows = pages.next().unwrap_or_default();
            Reply::Sync {
                more: full || pages.next().is_some(),
                rows: rows.iter().map(RowWire::of).collect(),
                last: last.map_err(|error| failed(error.to_string()))?,
                destinations: office.destinations(from).await.into_iter().map(Bytes::of_party).collect(),
                online: office.online().into_iter().map(Bytes::of_party).collect(),
                names: office.names().await,
                now: crate::record::now_micros(),
            }
        }
        Ask::Offer { .. } if !crate::access::may_write(&member, &relationship.settings()) => {
            let hint = "ask the owner of the hub for write permission";
            return Err(RemoteError::new(REFUSED, "this machine may only read from the hub", hint));
        }
        Ask::Offer { units } => {
            let units = units.iter().map(OfferedWire::read).collect::<Result<Vec<_>, _>>()?;
            let answers = office.take_offer(from, &units).await.map_err(|error| failed(error.to_string()))?;
            Reply::Offer { answers: answers.iter().map(AnswerWire::of).collect() }
        }
        Ask::Claim { keys } => {
            let keys = keys.iter().map(KeyWire::read).collect::<Result<Vec<_>, _>>()?;
            if keys.iter().any(|key| key.destination != from) {
                return Err(refused());
            }
            Reply::Claim { good: office.take_claim(&keys).await.map_err(|error| failed(error.to_string()))? }
        }
        Ask::Tell { told } => {
            let told = told.iter().map(ToldWire::read).collect::<Result<Vec<_>, _>>()?;
            let told: Vec<Told> = told.into_iter().filter(|told| may_tell(from, told)).collect();
            office.take_word(told).await.map_err(|error| failed(error.to_string()))?;
            Reply::Done
        }
        Ask::Mark { units } => {
            let units = units.iter().map(OfferedWire::read).collect::<Result<Vec<_>, _>>()?;
            office.mark(from, &units).await.map_err(|error| failed(error.to_string()))?;
            Reply::Done
        }
        Ask::Forget { keys } => {
            let keys = keys.iter().map(KeyWire::read).collect::<Result<Vec<_>, _>>()?;
            if keys.iter().any(|key| key.origin != from && key.destination != from) {
                return Err(refused());
            }
            office.forget(&keys).await.map_err(|error| failed(error.to_string()))?;
            Reply::Done
        }
    };
    serde_json::to_vec(&reply).map_err(|error| wrong(&error.to_string()))
}

/// Tells whether a member may say that. An origin speaks about its items, a destination about what it received.
fn may_tell(from: Party, told: &Told) -> bool {
    let origin = told.key.origin == from
        && !matches!(told.event, Event::Landed | Event::Arrived | Event::Skips(Skip::Forgotten));
    let destination = told.key.destination == from
        && !told.gone
        && matches!(
            told.event,
            Event::Landed
                | Event::Arrived
                | Event::Began
                | Event::Settled
                | Event::Stumbled { .. }
                | Event::Waits(_)
                | Event::GivesUp(_)
                | Event::Skips(Skip::Marked)
        );
    // An origin that carries by a command is its own destination.
    origin || destination
}

/// The hub has something new.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct News {
    pub(super) relationship: Uuid,
}

/// Takes note that the hub has something new.
pub(crate) fn news(node: &Arc<Node>, peer: &PeerKey, payload: &[u8]) -> Result<Vec<u8>, RemoteError> {
    let news: News = serde_json::from_slice(payload).map_err(|error| wrong(&error.to_string()))?;
    let relationship = node.by_id(news.relationship).filter(|r| r.row().hub == Some(*peer.as_bytes()));
    let delivery = relationship.and_then(|relationship| relationship.delivery());
    if let Some(AnyBook::Copy(copy)) = delivery.map(|delivery| delivery.book.clone()) {
        copy.wake();
    }
    Ok(b"{}".to_vec())
}
