//! After what commands are to run, and how the occasions are named.

use crate::digest::Digest;
use crate::path::RelPath;

use super::ledger::{Key, Ledger, Party, Row};
use super::state::{State, Wait};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// Something arrived here, for good.
    Arrival,
    /// Something of ours was delivered to everybody, for good.
    Delivery,
    /// Something for us waits, because its name is taken here.
    Conflict,
    /// Something of ours, or for us, failed.
    Failure,
}

/// Something after which commands run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occasion {
    /// What happened.
    pub happened: Happened,
    /// Its name: the same whenever it is found again, another one when the item is sent anew.
    pub id: String,
    /// Where the item stands on this machine.
    pub path: RelPath,
}

/// Returns what a row that was just written is an occasion for on the machine `me`. The ledger holds the row already.
pub fn occasions(ledger: &Ledger, row: &Row, me: Party) -> Vec<Occasion> {
    let mut found = Vec::new();
    let key = &row.key;
    if row.state.is_final() && key.destination == me && key.origin != me {
        found.push(Occasion {
            happened: Happened::Arrival,
            id: format!("arrival-{}", id_of(key, row.round)),
            path: row.landed_at.clone().unwrap_or_else(|| row.place.clone()),
        });
    }
    if row.state.is_final() && key.origin == me {
        let rows: Vec<&Row> =
            ledger.of_version(me, &key.path, key.version).filter(|row| row.counts()).collect();
        if rows.iter().all(|row| row.state.is_final()) {
            let round = rows.iter().map(|row| row.round).max().unwrap_or(0);
            let everybody = Key { destination: Party::ANY, ..key.clone() };
            found.push(Occasion {
                happened: Happened::Delivery,
                id: format!("delivery-{}", id_of(&everybody, round)),
                path: key.path.clone(),
            });
        }
    }
    if matches!(row.state, State::Waiting(Wait::NameTaken)) && key.destination == me {
        found.push(Occasion {
            happened: Happened::Conflict,
            id: format!("conflict-{}", id_of(key, row.round)),
            path: row.place.clone(),
        });
    }
    let failed = matches!(row.state, State::Failed(_) | State::Quarantined(_) | State::Retrying { .. });
    if failed && (key.origin == me || key.destination == me) {
        found.push(Occasion {
            happened: Happened::Failure,
            id: format!("error-{}", id_of(key, row.round)),
            path: key.path.clone(),
        });
    }
    found
}

/// Names a delivery; another name when it is sent anew.
pub fn id_of(key: &Key, round: u32) -> String {
    digest_of(key, round).short(16)
}

/// Returns the digest of all that tells a delivery from others.
pub fn digest_of(key: &Key, round: u32) -> Digest {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend_from_slice(&key.origin.0);
    bytes.extend_from_slice(&key.version.0);
    bytes.extend_from_slice(&key.destination.0);
    bytes.extend_from_slice(&round.to_le_bytes());
    bytes.extend_from_slice(key.path.as_bytes());
    Digest::of(&bytes)
}
