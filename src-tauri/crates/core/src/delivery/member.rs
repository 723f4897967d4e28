//! A member's copy of the hub's book: what the hub said, and what this member did and the hub was not told yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ledger::{Key, Ledger, Row};
use super::state::Event;
use super::word::Told;

/// The copy. Every row that the hub writes has a number, which rises.
#[derive(Debug, Clone, Default)]
pub struct MemberBook {
    /// The rows.
    pub ledger: Arc<Ledger>,
    /// Deliveries that we have and the hub does not know of, with the number under which their rows are saved.
    untold: BTreeMap<Key, u64>,
    /// The hub's number up to which rows are here.
    pub after: u64,
}

/// A row of a copy as it is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The row.
    pub row: Row,
    /// The hub's number of it.
    pub seq: u64,
    /// Whether the hub does not know of it yet.
    pub untold: bool,
}

impl MemberBook {
    /// Makes the copy of what was saved.
    pub fn of(rows: Vec<Numbered>) -> MemberBook {
        let after = rows.iter().map(|row| row.seq).max().unwrap_or(0);
        let untold = rows.iter().filter(|row| row.untold).map(|row| (row.row.key.clone(), row.seq)).collect();
        let mut ledger = Ledger::default();
        ledger.put(rows.into_iter().map(|row| row.row));
        MemberBook { ledger: Arc::new(ledger), untold, after }
    }

    /// Returns what is to be saved of rows that came from the hub, ordered by their numbers, and up to which number all
    /// is here then. What the hub was not told yet is newer than what it says, so it and what follows are asked for
    /// again when the hub knows.
    pub fn heard(&self, mut rows: Vec<(Row, u64)>) -> (Vec<Numbered>, u64) {
        if let Some(first) = rows.iter().position(|(row, _)| self.untold.contains_key(&row.key)) {
            rows.truncate(first);
        }
        let after = rows.last().map_or(self.after, |(_, seq)| self.after.max(*seq));
        (rows.into_iter().map(|(row, seq)| Numbered { row, seq, untold: false }).collect(), after)
    }

    /// Returns what is to be saved of what happened here, before the hub is told: what stands in our folder must not be
    /// forgotten. All else is found out anew.
    pub fn done(&self, told: &[Told], now: i64) -> Vec<Numbered> {
        let mut rows = Vec::new();
        for told in told.iter().filter(|told| told.event == Event::Landed) {
            let Some(mut row) = self.ledger.get(&told.key).cloned() else { continue };
            if row.apply(&told.event, now).is_ok() {
                row.landed_at = told.landed_at.clone().or(row.landed_at);
                rows.push(Numbered { row, seq: self.after, untold: true });
            }
        }
        rows
    }

    /// Takes over what was saved.
    pub fn put(&mut self, rows: &[Numbered]) {
        Arc::make_mut(&mut self.ledger).put(rows.iter().map(|row| row.row.clone()));
        self.untold.extend(rows.iter().filter(|row| row.untold).map(|row| (row.row.key.clone(), row.seq)));
    }

    /// Returns what the hub is to be told, with the rows to be saved when it knows.
    pub fn untold(&self) -> Vec<(Told, Numbered)> {
        let one = |(key, seq): (&Key, &u64)| {
            let row = self.ledger.get(key)?.clone();
            let told = Told { landed_at: row.landed_at.clone(), ..Told::new(key.clone(), Event::Landed) };
            Some((told, Numbered { row, seq: *seq, untold: false }))
        };
        self.untold.iter().filter_map(one).collect()
    }

    /// The hub knows of a delivery now.
    pub fn is_told(&mut self, key: &Key) {
        self.untold.remove(key);
    }
}
