//! Puts that do not touch each other, so that they can be stored all at once: first every replaced range is
//! deleted, then all rows are inserted in the order of their keys.

use std::collections::BTreeMap;

use evenfold_core::{Entry, Mode};
use sqlx::{Arguments, SqliteConnection};
use uuid::Uuid;

use super::tree::Walk;
use super::{Put, TABLE};
use crate::bulk::Bulk;
use crate::error::StoreError;
use crate::key;
use crate::record::{self, Record};

/// Rows that are put together before they go to the database: bounds the memory of a large commit to about 1 MB.
const BUFFER: usize = 4_000;

/// The relationship is bound once for all rows of a statement, which saves a tenth of the time.
const INSERT: Bulk = Bulk {
    table: TABLE,
    doing: "recording the ancestor",
    head: "INSERT OR REPLACE INTO ancestor (relationship, path, kind, digest, size, mtime_s, mtime_ns, mode, target)
           SELECT (SELECT ?), * FROM (VALUES ",
    tuple: "(?,?,?,?,?,?,?,?)",
    tail: ")",
};

/// Each tuple is a relationship, the first key of a range and the first key behind it.
const DELETE: Bulk = Bulk {
    table: TABLE,
    doing: "clearing parts of the ancestor",
    head: "DELETE FROM ancestor WHERE (relationship, path) IN
           (WITH range (relationship, low, high) AS (VALUES ",
    tuple: "(?,?,?)",
    tail: ") SELECT a.relationship, a.path FROM range CROSS JOIN ancestor a
           ON a.relationship = range.relationship AND a.path >= range.low AND a.path < range.high)",
};

/// What one put does.
enum Act<'p> {
    /// Deletes the path and everything below, and stores this instead.
    Replace(Option<&'p Entry>),
    /// Makes the path a directory with these permission bits, and leaves what is below.
    Keep(Mode),
}

/// Puts in the order of their keys, none of which lies in what another one replaces.
#[derive(Default)]
pub(super) struct Wave<'p> {
    acts: BTreeMap<Vec<u8>, Act<'p>>,
}

impl<'p> Wave<'p> {
    /// Adds a put, or returns `false` if it has to wait until this wave is stored.
    pub(super) fn add(&mut self, put: &'p Put) -> bool {
        let key = key::of(&put.path);
        let act = match &put.entry {
            Some(Entry::Dir(dir)) if put.shallow => Act::Keep(dir.mode()),
            // Nothing is recorded of what is not known: that leads to a comparison, never to a deletion.
            Some(Entry::Unknown(_)) => Act::Replace(None),
            entry => Act::Replace(entry.as_ref()),
        };
        if self.acts.contains_key(&key) || self.is_below_a_replaced_one(&key) {
            return false;
        }
        if matches!(act, Act::Replace(_)) && self.has_some_below(&key) {
            return false;
        }
        self.acts.insert(key, act);
        true
    }

    /// Stores all puts and empties the wave.
    pub(super) async fn store(
        &mut self,
        conn: &mut SqliteConnection,
        relationship: Uuid,
    ) -> Result<(), StoreError> {
        let acts = std::mem::take(&mut self.acts);
        let replaced: Vec<&Vec<u8>> =
            acts.iter().filter(|(_, act)| matches!(act, Act::Replace(_))).map(|(key, _)| key).collect();
        DELETE
            .run(conn, &replaced, |arguments, key| {
                arguments.add(&relationship.as_bytes()[..])?;
                arguments.add(&key[..])?;
                arguments.add(key::end_or_last(key))
            })
            .await?;
        let mut buffer = Vec::with_capacity(BUFFER);
        for (key, act) in &acts {
            match act {
                Act::Replace(None) => {}
                Act::Keep(mode) => buffer.push((key.clone(), Record::Dir { mode: *mode, digest: None })),
                Act::Replace(Some(entry)) => {
                    for row in Walk::new(key.clone(), entry) {
                        if buffer.len() >= BUFFER {
                            insert(conn, relationship, &buffer).await?;
                            buffer.clear();
                        }
                        buffer.push(row);
                    }
                }
            }
            if buffer.len() >= BUFFER {
                insert(conn, relationship, &buffer).await?;
                buffer.clear();
            }
        }
        insert(conn, relationship, &buffer).await
    }

    fn is_below_a_replaced_one(&self, key: &[u8]) -> bool {
        let borders = key.iter().enumerate().filter(|(_, b)| **b == 0).map(|(at, _)| at);
        let mut above = std::iter::once(0).filter(|_| !key.is_empty()).chain(borders);
        above.any(|at| matches!(key.get(..at).and_then(|outer| self.acts.get(outer)), Some(Act::Replace(_))))
    }

    fn has_some_below(&self, key: &[u8]) -> bool {
        self.acts.range(key.to_vec()..key::end_or_last(key)).next().is_some()
    }
}

async fn insert(
    conn: &mut SqliteConnection,
    relationship: Uuid,
    rows: &[(Vec<u8>, Record)],
) -> Result<(), StoreError> {
    INSERT
        .run_with(conn, Some(relationship.as_bytes()), rows, |arguments, (path, entry)| {
            arguments.add(&path[..])?;
            record::bind(arguments, Some(entry))
        })
        .await
}
