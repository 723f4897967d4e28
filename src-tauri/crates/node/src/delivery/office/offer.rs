//! Answering an offer: what is owed to whom, what travels and what waits for room.

use std::sync::Arc;

use evenfold_core::delivery::{Admission, Event, Key, Ledger, Party, Row, Skip, State, Wait, admit, version};
use evenfold_core::{ConflictRule, Dir, RelPath};
use evenfold_engine::delivery::{Answer, other_names};

use super::super::messages::Offered;
use crate::relationship::Relationship;
use crate::settings::{Executor, Reserve, Settings};

/// Tells whether space was promised for it at the hub.
pub(in crate::delivery) fn is_promised(row: &Row) -> bool {
    !row.stored && matches!(row.state, State::Reserved | State::Transferring | State::Verifying)
}

/// Tells whether items go where nobody keeps a book: to a command, or to a host that has only SSH. Whoever sends them is
/// then in the place of the destination.
pub(super) fn is_sent_on(relationship: &Relationship, settings: &Settings) -> bool {
    matches!(settings.executor, Executor::Command(_))
        || crate::stock::target_of(&relationship.row()).is_some()
}

/// Returns the bytes that must stay free.
pub(super) fn reserve_bytes(reserve: Reserve, total: u64) -> u64 {
    match reserve {
        Reserve::Bytes(bytes) => bytes,
        Reserve::Percent(percent) => {
            total / 100 * u64::from(percent) + total % 100 * u64::from(percent) / 100
        }
    }
}

/// What may still be taken in, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) free: u64,
    pub(super) total: u64,
    pub(super) reserve: u64,
    pub(super) promised: u64,
}

impl Room {
    pub(super) fn unlimited() -> Room {
        Room { free: u64::MAX, total: u64::MAX, reserve: 0, promised: 0 }
    }
}

/// An offer while it is answered.
pub(super) struct Offer<'a> {
    pub(super) me: Party,
    pub(super) origin: Party,
    pub(super) ledger: &'a Ledger,
    pub(super) settings: &'a Settings,
    pub(super) now: i64,
    pub(super) rows: Vec<Row>,
}

impl Offer<'_> {
    /// Returns the rows of those who lack the unit: as they are, or new ones.
    pub(super) fn owed(&self, unit: &Offered, destinations: &[Party], place: &RelPath) -> Vec<Row> {
        let mut rows = Vec::new();
        for destination in destinations {
            let key = Key {
                origin: self.origin,
                path: unit.path.clone(),
                version: unit.version,
                destination: *destination,
            };
            let fresh = || Row::new(key.clone(), place.clone(), unit.size, unit.files, self.now);
            match self.ledger.get(&key) {
                None => rows.push(fresh()),
                Some(row) if row.gone.is_some() => {
                    // What it stood for was another item of the same name and content.
                    rows.push(Row { round: row.round.saturating_add(1), ..fresh() });
                }
                Some(row) if row.state.is_delivered() || row.state == State::Skipped(Skip::Marked) => {}
                Some(row) => {
                    let mut row = row.clone();
                    _ = row.apply(&Event::Settled, self.now);
                    row.place = place.clone();
                    rows.push(row);
                }
            }
        }
        rows
    }

    /// A unit that stands at the hub already, or that a command carries.
    pub(super) fn without_transfer(&mut self, unit: &Offered, destinations: &[Party], here: bool) -> Answer {
        let rows = self.owed(unit, destinations, &unit.path);
        if rows.is_empty() {
            return Answer::Done;
        }
        for mut row in rows {
            if here {
                row.stored = true;
            } else {
                _ = row.apply(&Event::Admitted, self.now);
                _ = row.apply(&Event::Began, self.now);
            }
            self.rows.push(row);
        }
        if here { Answer::Held } else { Answer::Send { place: unit.path.clone() } }
    }

    /// A unit that is to be sent to the hub.
    pub(super) fn through_hub(
        &mut self,
        unit: &Offered,
        destinations: &[Party],
        tree: Option<&Arc<Dir>>,
        room: &mut Room,
    ) -> Answer {
        if destinations.is_empty() {
            return Answer::Wait(Wait::NoDestination);
        }
        let Some(tree) = tree else { return Answer::Wait(Wait::NoSpace) };
        let Some(place) = self.place(unit, tree) else { return Answer::Wait(Wait::NameTaken) };
        let rows = self.owed(unit, destinations, &place);
        if rows.is_empty() {
            return Answer::Done;
        }
        let same = |row: &&Row| row.key.version == unit.version && row.place == place;
        let mut known = self.ledger.of_path(self.origin, &unit.path).filter(same);
        let stands = tree.get(&place).and_then(version) == Some(unit.version);
        let promised = known.any(is_promised);
        if stands {
            for mut row in rows {
                _ = row.apply(&Event::Stored, self.now);
                if row.key.destination == self.me {
                    row.landed_at = Some(place.clone());
                    _ = row.apply(&Event::Landed, self.now);
                }
                self.rows.push(row);
            }
            return Answer::Held;
        }
        // What was promised before keeps its promise.
        let admission = if promised {
            Admission::Admitted
        } else {
            admit(unit.size, room.free, room.total, room.reserve, room.promised)
        };
        match admission {
            Admission::Admitted => {
                if !promised {
                    room.promised = room.promised.saturating_add(unit.size);
                }
                for mut row in rows {
                    row.stored = false;
                    _ = row.apply(&Event::Admitted, self.now);
                    self.rows.push(row);
                }
                Answer::Send { place }
            }
            Admission::Refused(wait) => {
                for mut row in rows {
                    let known = self
                        .ledger
                        .get(&row.key)
                        .is_some_and(|before| before.state == State::Waiting(wait.clone()));
                    _ = row.apply(&Event::Waits(wait.clone()), self.now);
                    if !known {
                        self.rows.push(row);
                    }
                }
                Answer::Wait(wait)
            }
        }
    }

    /// Returns where the hub keeps a unit: under its name, unless that belongs to another origin's or to somebody here.
    pub(super) fn place(&self, unit: &Offered, tree: &Arc<Dir>) -> Option<RelPath> {
        let mine = self.ledger.of_path(self.origin, &unit.path).find(|row| row.gone.is_none());
        if let Some(row) = mine {
            return Some(row.place.clone());
        }
        let theirs = |path: &RelPath| {
            let others = self.ledger.rows().chain(&self.rows).filter(|row| row.key.origin != self.origin);
            let mut others = others.filter(|row| row.state != State::Skipped(Skip::Forgotten));
            others.any(|row| row.place == *path)
        };
        let free = |path: &RelPath| {
            !theirs(path) && tree.get(path).is_none_or(|entry| version(entry) == Some(unit.version))
        };
        if free(&unit.path) {
            return Some(unit.path.clone());
        }
        match self.settings.conflict_rule(crate::settings::Part {
            ours: "",
            theirs: "",
            source: evenfold_core::Side::Theirs,
            may_write: true,
        }) {
            ConflictRule::Refuse => None,
            ConflictRule::Newest | ConflictRule::Prefer(_) if !theirs(&unit.path) => Some(unit.path.clone()),
            _ => other_names(&unit.path).find(|path| free(path)),
        }
    }
}
