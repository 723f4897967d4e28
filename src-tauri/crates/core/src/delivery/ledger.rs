//! The ledger: one row for each unit in one version on its way from one origin to one destination.

use std::collections::{BTreeMap, HashSet};

use crate::digest::Digest;
use crate::path::RelPath;

use super::state::{Event, Illegal, Skip, State};

/// A machine by its public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Party(pub [u8; 32]);

impl Party {
    /// Whoever it may be: as a destination, a row for everybody; as an origin, one of anybody.
    pub const ANY: Party = Party([0; 32]);
}

/// Which delivery is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Whose item it is.
    pub origin: Party,
    /// Where it stands there.
    pub path: RelPath,
    /// Which version.
    pub version: Digest,
    /// To whom it is owed.
    pub destination: Party,
}

/// One row. Times are in microseconds since 1970, by the clock of the machine that noted them: the hub's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which delivery.
    pub key: Key,
    /// Where the hub keeps it, and where the destination puts it unless that name is taken there.
    pub place: RelPath,
    /// Where the destination has put it, once it has.
    pub landed_at: Option<RelPath>,
    /// Bytes.
    pub size: u64,
    /// Files, links and directories.
    pub files: u64,
    /// How far it is.
    pub state: State,
    /// Whether the hub holds a whole and verified copy.
    pub stored: bool,
    /// Attempts that failed.
    pub attempts: u32,
    /// How often it was sent anew because a person wanted it.
    pub round: u32,
    /// When it was first offered.
    pub since: i64,
    /// When the state last changed.
    pub changed: i64,
    /// When the destination had it.
    pub delivered: Option<i64>,
    /// When it became final.
    pub finalised: Option<i64>,
    /// When the hub's copy was dropped.
    pub released: Option<i64>,
    /// When it was seen that the origin holds nothing at its path any more. A row of something that is gone is
    /// history: an item that appears there later is a new one.
    pub gone: Option<i64>,
}

impl Row {
    /// Makes the row of something that is offered for the first time.
    pub fn new(key: Key, place: RelPath, size: u64, files: u64, now: i64) -> Row {
        Row {
            key,
            place,
            landed_at: None,
            size,
            files,
            state: State::Ready,
            stored: false,
            attempts: 0,
            round: 0,
            since: now,
            changed: now,
            delivered: None,
            finalised: None,
            released: None,
            gone: None,
        }
    }

    /// Applies an event.
    ///
    /// # Errors
    /// Where it cannot follow; the row stays as it is.
    pub fn apply(&mut self, event: &Event, now: i64) -> Result<(), Illegal> {
        let next = self.state.after(event)?;
        match event {
            Event::Stored => self.stored = true,
            Event::Damaged(_) => {
                self.stored = false;
                self.attempts = self.attempts.saturating_add(1);
            }
            Event::Stumbled { .. } | Event::GivesUp(_) => self.attempts = self.attempts.saturating_add(1),
            Event::Dropped => {
                self.stored = false;
                self.released = Some(now);
            }
            Event::Settled if matches!(self.state, State::Skipped(Skip::Forgotten)) => {
                self.round = self.round.saturating_add(1);
                (self.delivered, self.finalised, self.released, self.landed_at) = (None, None, None, None);
                self.attempts = 0;
                self.gone = None;
            }
            Event::Settled if matches!(self.state, State::Skipped(_)) => {
                // Whatever came of it before, it is delivered anew.
                (self.delivered, self.finalised, self.released) = (None, None, None);
            }
            _ => {}
        }
        // What a newer version has overtaken on the way may land all the same.
        if (next.is_delivered() || *event == Event::Landed) && self.delivered.is_none() {
            self.delivered = Some(now);
        }
        if next.is_final() && self.finalised.is_none() {
            self.finalised = Some(now);
        }
        if next != self.state {
            self.state = next;
            self.changed = now;
        }
        Ok(())
    }

    /// Tells whether the hub `me` may hold a copy of it that nobody said to be whole and nobody is to have any more.
    pub fn is_left_over(&self, me: Party) -> bool {
        let skipped = matches!(self.state, State::Skipped(Skip::Withdrawn | Skip::Superseded));
        self.key.origin != me && !self.stored && skipped && self.released.is_none()
    }

    /// Tells whether the row counts: it is neither history nor forgotten.
    pub fn counts(&self) -> bool {
        self.gone.is_none() && self.state != State::Skipped(Skip::Forgotten)
    }
}

/// All rows of a relationship that are known here.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    rows: BTreeMap<Key, Row>,
}

impl Ledger {
    /// Adds or replaces rows.
    pub fn put(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows.extend(rows.into_iter().map(|row| (row.key.clone(), row)));
    }

    /// Returns one row.
    pub fn get(&self, key: &Key) -> Option<&Row> {
        self.rows.get(key)
    }

    /// Removes a row.
    pub fn remove(&mut self, key: &Key) -> Option<Row> {
        self.rows.remove(key)
    }

    /// Returns all rows by origin, path, version and destination.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// Returns the rows of an origin's path, whatever version and destination.
    pub fn of_path<'a>(&'a self, origin: Party, path: &'a RelPath) -> impl Iterator<Item = &'a Row> + Clone {
        let from = Key { origin, path: path.clone(), version: Digest([0; 32]), destination: Party([0; 32]) };
        self.rows
            .range(from..)
            .map(|(_, row)| row)
            .take_while(move |row| row.key.origin == origin && row.key.path == *path)
    }

    /// Returns the rows of one version of an origin's path.
    pub fn of_version<'a>(
        &'a self,
        origin: Party,
        path: &'a RelPath,
        version: Digest,
    ) -> impl Iterator<Item = &'a Row> {
        self.of_path(origin, path).filter(move |row| row.key.version == version)
    }

    /// Returns the row of what `destination` was given last of an origin's path, whatever version.
    pub fn latest_delivered<'a>(
        &'a self,
        origin: Party,
        path: &'a RelPath,
        destination: Party,
    ) -> Option<&'a Row> {
        let given = |row: &&Row| {
            row.counts()
                && row.key.destination == destination
                && (row.delivered.is_some() || row.state.is_delivered())
        };
        self.of_path(origin, path).filter(given).max_by_key(|row| (row.delivered, row.since))
    }

    /// Returns the rows of one origin.
    pub fn of_origin(&self, origin: Party) -> impl Iterator<Item = &Row> {
        let from =
            Key { origin, path: RelPath::root(), version: Digest([0; 32]), destination: Party([0; 32]) };
        self.rows.range(from..).map(|(_, row)| row).take_while(move |row| row.key.origin == origin)
    }

    /// Returns the places at the hub that belong to what others than `me` send through it: what stands there is no item
    /// of the hub's own, whatever it holds.
    pub fn in_transit(&self, me: Party) -> HashSet<&RelPath> {
        let passing = |row: &&Row| {
            let here =
                row.stored || row.state.is_open() || (row.state.is_delivered() && row.released.is_none());
            // Also what its origin does not hold any more: until its time is over, the copy stands here.
            row.key.origin != me && here
        };
        self.rows.values().filter(passing).map(|row| &row.place).collect()
    }

    /// Returns what others than `me` sent to the hub and nobody is to have any more, by place and version: where exactly
    /// that stands, it is left over and no item of the hub's own.
    pub fn left_over(&self, me: Party) -> HashSet<(&RelPath, Digest)> {
        let left = self.rows.values().filter(|row| row.is_left_over(me));
        left.map(|row| (&row.place, row.key.version)).collect()
    }

    /// Returns how many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
