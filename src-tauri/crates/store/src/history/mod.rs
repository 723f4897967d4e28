//! Table `history`: what happened, one row per path (or per event without a path), newest last, never changed. It
//! names machines and relationships by value, so it outlives them. `path_text` is the path for people and for search;
//! `path` holds its bytes only where they are no UTF-8 and the text is therefore not the path itself.
//!
//! Table `history_text`: a trigram index over `path_text`, filled after the fact by [`History::index_pending`]; the
//! counter `history_indexed` says up to which row. Rows behind it are searched one by one, so a search is always
//! complete.

mod query;

use evenfold_core::{Digest, RelPath};
use sqlx::{Arguments, SqliteConnection};
use uuid::Uuid;

pub use query::HistoryFilter;

use crate::Micros;
use crate::bulk::Bulk;
use crate::error::{Context, StoreError};
use crate::store::{Store, commit};

const TABLE: &str = "history";
const INDEXED: &str = "history_indexed";

/// Rows that are indexed in one transaction: others who want to write wait for about 50 ms.
const INDEX_STEP: i64 = 2_000;

const INSERT: Bulk = Bulk {
    table: TABLE,
    doing: "writing history",
    head: "INSERT INTO history (time, relationship, batch, node, peer, kind, path_text, path, digest, size, detail)
           VALUES ",
    tuple: "(?,?,?,?,?,?,?,?,?,?,?)",
    tail: "",
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: Micros,
    /// In which relationship; `None`: to the node as a whole.
    pub relationship: Option<Uuid>,
    /// In which batch.
    pub batch: Option<u128>,
    /// Name of the machine whose act it was.
    pub node: String,
    /// Name of the machine it came from or went to.
    pub peer: Option<String>,
    /// What happened (a word of the layers above: `create`, `delete`, `conflict`, `halt`, …).
    pub kind: String,
    /// Where.
    pub path: Option<RelPath>,
    /// Content that stands there now.
    pub digest: Option<Digest>,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// More about it, as JSON.
    pub detail: Option<String>,
}

/// A row of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its number; later rows have higher ones, and no number is used twice.
    pub id: i64,
    /// What happened.
    pub event: Event,
}

/// Handle of the table.
#[derive(Debug)]
pub struct History<'s> {
    pub(crate) store: &'s Store,
}

impl History<'_> {
    /// Appends rows.
    pub async fn add(&self, events: &[Event]) -> Result<(), StoreError> {
        let mut tx = self.store.write(TABLE).await?;
        insert(&mut tx, events).await?;
        commit(tx, TABLE).await
    }

    /// Brings the search index up to date, in steps so that nobody waits for it for long; returns how many rows were
    /// indexed. To be called when there is nothing better to do.
    pub async fn index_pending(&self) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let done = self.index_step().await?;
            if done == 0 {
                return Ok(total);
            }
            total += done;
        }
    }

    /// Deletes rows older than `before`; returns how many.
    pub async fn prune(&self, before: Micros) -> Result<u64, StoreError> {
        // Rows that were never indexed must not be taken out of the index.
        self.index_pending().await?;
        let mut tx = self.store.write(TABLE).await?;
        let indexed = indexed(&mut tx).await?;
        sqlx::query(
            "INSERT INTO history_text (history_text, rowid, path_text)
             SELECT 'delete', id, path_text FROM history WHERE time < ? AND id <= ? AND path_text IS NOT NULL",
        )
        .bind(before)
        .bind(indexed)
        .execute(&mut *tx)
        .await
        .on("history_text", "taking old rows out of the index")?;
        let done = sqlx::query("DELETE FROM history WHERE time < ? AND id <= ?")
            .bind(before)
            .bind(indexed)
            .execute(&mut *tx)
            .await
            .on(TABLE, "deleting old rows")?;
        commit(tx, TABLE).await?;
        Ok(done.rows_affected())
    }

    async fn index_step(&self) -> Result<u64, StoreError> {
        let mut tx = self.store.write(TABLE).await?;
        let indexed = indexed(&mut tx).await?;
        let last: Option<i64> = sqlx::query_scalar(
            "SELECT max(id) FROM (SELECT id FROM history WHERE id > ? ORDER BY id LIMIT ?)",
        )
        .bind(indexed)
        .bind(INDEX_STEP)
        .fetch_one(&mut *tx)
        .await
        .on(TABLE, "looking for rows to be indexed")?;
        let Some(last) = last else { return Ok(0) };
        sqlx::query(
            "INSERT INTO history_text (rowid, path_text)
             SELECT id, path_text FROM history WHERE id > ? AND id <= ? AND path_text IS NOT NULL",
        )
        .bind(indexed)
        .bind(last)
        .execute(&mut *tx)
        .await
        .on("history_text", "indexing paths")?;
        sqlx::query("INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)")
            .bind(INDEXED)
            .bind(last)
            .execute(&mut *tx)
            .await
            .on("counters", "noting what is indexed")?;
        commit(tx, TABLE).await?;
        Ok((last - indexed).unsigned_abs())
    }
}

/// Appends rows as a part of a larger transaction.
pub(crate) async fn insert(conn: &mut SqliteConnection, events: &[Event]) -> Result<(), StoreError> {
    INSERT
        .run(conn, events, |arguments, event| {
            let (text, bytes) = path_columns(event.path.as_ref());
            arguments.add(event.time)?;
            arguments.add(event.relationship.map(|id| id.as_bytes().to_vec()))?;
            arguments.add(event.batch.map(|batch| batch.to_be_bytes().to_vec()))?;
            arguments.add(&event.node)?;
            arguments.add(event.peer.as_deref())?;
            arguments.add(&event.kind)?;
            arguments.add(text)?;
            arguments.add(bytes)?;
            arguments.add(event.digest.map(|digest| digest.0.to_vec()))?;
            arguments.add(event.size.map(u64::cast_signed))?;
            arguments.add(event.detail.as_deref())
        })
        .await
}

/// The path as text, and its bytes where the text does not say everything.
fn path_columns(path: Option<&RelPath>) -> (Option<String>, Option<Vec<u8>>) {
    let Some(path) = path else { return (None, None) };
    match std::str::from_utf8(path.as_bytes()) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (Some(path.to_string()), Some(path.as_bytes().to_vec())),
    }
}

async fn indexed(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    let value: Option<i64> = sqlx::query_scalar("SELECT value FROM counters WHERE name = ?")
        .bind(INDEXED)
        .fetch_optional(conn)
        .await
        .on("counters", "reading what is indexed")?;
    Ok(value.unwrap_or(0))
}
