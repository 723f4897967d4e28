//! What the hub's book becomes of what its members say, checked against the hub's own folder.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::digest::Digest;
use crate::entry::Dir;
use crate::path::RelPath;

use super::ledger::{Key, Ledger, Party, Row};
use super::offer::{Offered, is_promised};
use super::state::{Event, Skip, State};
use super::unit::version;

/// Something that happened to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Which delivery; with [`Party::ANY`] as its destination: to all destinations.
    pub key: Key,
    /// What happened.
    pub event: Event,
    /// Where the destination has put it, if it just did.
    pub landed_at: Option<RelPath>,
    /// Whether the item is gone from its origin.
    pub gone: bool,
}

impl Told {
    /// Says that something happened.
    pub fn new(key: Key, event: Event) -> Told {
        Told { key, event, landed_at: None, gone: false }
    }
}

/// Tells whether a word makes it necessary to look at the hub's folder.
pub fn concerns_folder(told: &[Told]) -> bool {
    told.iter().any(|told| told.event == Event::Stored)
}

/// Returns the places at the hub `me` where nothing came of what others wanted to send, by what is `told`: folders may have
/// been made for it.
pub fn not_arrived(ledger: &Ledger, told: &[Told], me: Party) -> Vec<RelPath> {
    let failed = told.iter().filter(|told| {
        matches!(told.event, Event::Stumbled { .. } | Event::GivesUp(_) | Event::Waits(_) | Event::Skips(_))
    });
    let keys = failed.flat_map(|told| meant(ledger, &told.key));
    let rows = keys.filter_map(|key| ledger.get(&key)).filter(|row| row.key.origin != me && !row.stored);
    let mut places: Vec<RelPath> = rows.map(|row| row.place.clone()).collect();
    places.sort();
    places.dedup();
    places
}

/// Returns the rows as they shall be after `told`. Events that cannot follow are passed over: somebody else was quicker.
/// `tree` is the hub's folder, needed where something is said to stand there; `me` is the hub.
pub fn word(ledger: &Ledger, told: &[Told], me: Party, tree: Option<&Arc<Dir>>, now: i64) -> Vec<Row> {
    let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
    for told in told {
        for key in meant(ledger, &told.key) {
            let Some(mut row) = rows.get(&key).or_else(|| ledger.get(&key)).cloned() else { continue };
            let before = row.clone();
            if told.gone {
                row.gone = Some(now);
            } else {
                apply(&mut row, told, me, tree, now);
            }
            if row != before {
                rows.insert(key, row);
            }
        }
    }
    rows.into_values().collect()
}

/// Returns the rows that are meant: with [`Party::ANY`] all of a version that are under way.
fn meant(ledger: &Ledger, key: &Key) -> Vec<Key> {
    if key.destination != Party::ANY || ledger.get(key).is_some() {
        return vec![key.clone()];
    }
    let rows = ledger.of_version(key.origin, &key.path, key.version);
    rows.filter(|row| row.counts() && row.state.is_open()).map(|row| row.key.clone()).collect()
}

fn apply(row: &mut Row, told: &Told, me: Party, tree: Option<&Arc<Dir>>, now: i64) {
    if told.event == Event::Stored {
        let stands = tree.and_then(|tree| tree.get(&row.place)).and_then(version);
        if stands != Some(row.key.version) {
            let reason = "what arrived at the hub is not what was announced".to_owned();
            _ = row.apply(&Event::Stumbled { reason, at: now }, now);
            return;
        }
        if !row.state.is_open() {
            return;
        }
        _ = row.apply(&Event::Stored, now);
        if row.key.destination == me {
            row.landed_at = Some(row.place.clone());
            _ = row.apply(&Event::Landed, now);
        }
        return;
    }
    if row.apply(&told.event, now).is_ok() && told.landed_at.is_some() {
        row.landed_at.clone_from(&told.landed_at);
    }
}

/// What becomes of a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// For each key, whether the hub's copy is what the origin sent and is to be fetched.
    pub good: Vec<bool>,
    /// What is fetched from now on.
    pub begun: Vec<Told>,
    /// Rows whose copy is not what it should be.
    pub damaged: Vec<Row>,
}

/// Compares what a destination is about to fetch with what stands in the hub's folder.
pub fn claim(ledger: &Ledger, keys: &[Key], tree: &Arc<Dir>) -> Claim {
    let mut claim = Claim::default();
    for key in keys {
        match ledger.get(key) {
            Some(row) if row.stored && stands(row, tree) => {
                claim.good.push(row.state.is_open());
                claim.begun.push(Told::new(row.key.clone(), Event::Began));
            }
            Some(row) => {
                claim.good.push(false);
                if row.stored && row.state.is_open() {
                    claim.damaged.push(row.clone());
                }
            }
            None => claim.good.push(false),
        }
    }
    claim
}

/// Tells whether the hub's folder holds what a row is about.
pub fn stands(row: &Row, tree: &Arc<Dir>) -> bool {
    tree.get(&row.place).and_then(version) == Some(row.key.version)
}

/// Tells whether a copy that is not what a row says is none to be mended: our own users changed it, or a newer version of
/// the same item took its place or is about to.
pub fn is_overtaken(ledger: &Ledger, row: &Row, me: Party, tree: &Arc<Dir>) -> bool {
    let key = &row.key;
    let stands: Option<Digest> = tree.get(&row.place).and_then(version);
    key.origin == me
        || ledger.of_path(key.origin, &key.path).any(|other| {
            other.key.version != key.version && (is_promised(other) || Some(other.key.version) == stands)
        })
}

/// Returns the rows of a version whose copy at the hub was damaged, which is fetched again.
pub fn damaged(ledger: &Ledger, key: &Key, why: &str, now: i64) -> Vec<Row> {
    let stored = ledger.of_version(key.origin, &key.path, key.version).filter(|row| row.stored);
    stored
        .map(|row| {
            let mut row = row.clone();
            if row.apply(&Event::Damaged(why.to_owned()), now).is_err() {
                row.stored = false;
            }
            row
        })
        .collect()
}

/// Returns the rows of copies that were found at the hub, whole, although nobody said so.
pub fn found(ledger: &Ledger, keys: &[Key]) -> Vec<Row> {
    let rows = keys.iter().filter_map(|key| ledger.get(key));
    rows.map(|row| Row { stored: true, ..row.clone() }).collect()
}

/// Returns the rows after a person counted units as delivered to everybody.
pub fn mark(ledger: &Ledger, origin: Party, units: &[Offered], now: i64) -> Vec<Row> {
    let mut rows = Vec::new();
    for unit in units {
        for row in ledger.of_version(origin, &unit.path, unit.version).filter(|row| row.state.is_open()) {
            let mut row = row.clone();
            if row.apply(&Event::Skips(Skip::Marked), now).is_ok() {
                rows.push(row);
            }
        }
        let known = ledger.of_version(origin, &unit.path, unit.version).any(|row| {
            row.counts() && row.key.destination == Party::ANY && row.state == State::Skipped(Skip::Marked)
        });
        if !known {
            let (path, version) = (unit.path.clone(), unit.version);
            let key = Key { origin, path, version, destination: Party::ANY };
            let mut row = Row::new(key, unit.path.clone(), unit.size, unit.files, now);
            row.state = State::Skipped(Skip::Marked);
            rows.push(row);
        }
    }
    rows
}

/// Returns the rows that count no more, so that what they stand for is sent again.
pub fn forget(ledger: &Ledger, keys: &[Key], now: i64) -> Vec<Row> {
    let mut rows = Vec::new();
    for key in keys {
        let Some(mut row) = ledger.get(key).cloned() else { continue };
        if row.apply(&Event::Skips(Skip::Forgotten), now).is_ok() {
            rows.push(row);
        }
    }
    rows
}
