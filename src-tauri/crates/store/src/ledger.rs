//! Table `ledger`: which version of which item was delivered to whom, and how far the others are. The rows of a
//! relationship's hub are the book; its members hold copies, brought up to date by `seq`, which rises by one with every
//! row that is written. A row that this machine changed and could not tell the hub yet is marked as untold.

use evenfold_core::Digest;
use evenfold_core::delivery::{Key, Party, Row, State};
use sqlx::Arguments;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::bulk::Bulk;
use crate::error::{Context, StoreError, bad_row};
use crate::key;
use crate::row::Cells;
use crate::store::{Store, commit};

const TABLE: &str = "ledger";

const PUT: Bulk = Bulk {
    table: TABLE,
    doing: "writing deliveries",
    head: "INSERT OR REPLACE INTO ledger (relationship, origin, path, version, destination, place, landed_at, size,
           files, state, reason, retry_at, stored, attempts, round, since, changed, delivered, finalised, released,
           gone, untold, seq) VALUES ",
    tuple: "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    tail: "",
};

pub use evenfold_core::delivery::Numbered as LedgerRow;

/// Handle of the table.
#[derive(Debug)]
pub struct LedgerTable<'s> {
    pub(crate) store: &'s Store,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT origin, path, version, destination, place, landed_at, size, files, state, reason, retry_at, ",
            "stored, attempts, round, since, changed, delivered, finalised, released, gone, untold, seq ",
            "FROM ledger WHERE relationship = ? ",
            $rest
        )
    };
}

impl LedgerTable<'_> {
    /// Returns all rows of a relationship, by key.
    ///
    /// # Errors
    /// Where the database fails or a row makes no sense.
    pub async fn load(&self, relationship: Uuid) -> Result<Vec<LedgerRow>, StoreError> {
        let rows = sqlx::query(select!("ORDER BY origin, path, version, destination"))
            .bind(&relationship.as_bytes()[..])
            .fetch_all(&self.store.reader)
            .await
            .on(TABLE, "loading deliveries")?;
        rows.iter().map(read).collect()
    }

    /// Writes rows as the hub, which numbers them, and returns them with their numbers; durable when it returns.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn write(&self, relationship: Uuid, rows: Vec<Row>) -> Result<Vec<LedgerRow>, StoreError> {
        let mut tx = self.store.write(TABLE).await?;
        let last: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM ledger WHERE relationship = ?")
            .bind(&relationship.as_bytes()[..])
            .fetch_one(&mut *tx)
            .await
            .on(TABLE, "numbering deliveries")?;
        let next = last.unwrap_or(0).cast_unsigned() + 1;
        let numbered: Vec<LedgerRow> =
            (next..).zip(rows).map(|(seq, row)| LedgerRow { row, seq, untold: false }).collect();
        put(&mut tx, relationship, &numbered).await?;
        commit(tx, TABLE).await?;
        Ok(numbered)
    }

    /// Writes rows as a member: copies of the hub's with its numbers, or what the hub is still to be told; durable when
    /// it returns.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn copy(&self, relationship: Uuid, rows: &[LedgerRow]) -> Result<(), StoreError> {
        let mut tx = self.store.write(TABLE).await?;
        put(&mut tx, relationship, rows).await?;
        commit(tx, TABLE).await
    }

    /// Returns the rows with a number above `after`, in their order, at most `limit`.
    ///
    /// # Errors
    /// Where the database fails or a row makes no sense.
    pub async fn since(
        &self,
        relationship: Uuid,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        let rows = sqlx::query(select!("AND seq > ? ORDER BY seq LIMIT ?"))
            .bind(&relationship.as_bytes()[..])
            .bind(after.cast_signed())
            .bind(limit)
            .fetch_all(&self.store.reader)
            .await
            .on(TABLE, "reading new deliveries")?;
        rows.iter().map(read).collect()
    }

    /// Returns the highest number; 0 if there is no row.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn last(&self, relationship: Uuid) -> Result<u64, StoreError> {
        let last: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM ledger WHERE relationship = ?")
            .bind(&relationship.as_bytes()[..])
            .fetch_one(&self.store.reader)
            .await
            .on(TABLE, "reading the newest delivery")?;
        Ok(last.unwrap_or(0).cast_unsigned())
    }

    /// Drops the rows of items that were gone from their origin before this time. Returns how many.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn drop_gone(&self, relationship: Uuid, before: i64) -> Result<u64, StoreError> {
        // The newest number stays, or numbers would be given twice.
        let dropped = sqlx::query(
            "DELETE FROM ledger WHERE relationship = ?1 AND gone < ?2
             AND seq < (SELECT max(seq) FROM ledger WHERE relationship = ?1)",
        )
        .bind(&relationship.as_bytes()[..])
        .bind(before)
        .execute(&self.store.writer)
        .await
        .on(TABLE, "dropping old deliveries")?;
        Ok(dropped.rows_affected())
    }
}

async fn put(
    tx: &mut sqlx::SqliteConnection,
    relationship: Uuid,
    rows: &[LedgerRow],
) -> Result<(), StoreError> {
    PUT.run(tx, rows, |arguments, LedgerRow { row, seq, untold }| {
        arguments.add(&relationship.as_bytes()[..])?;
        arguments.add(&row.key.origin.0[..])?;
        arguments.add(key::of(&row.key.path))?;
        arguments.add(&row.key.version.0[..])?;
        arguments.add(&row.key.destination.0[..])?;
        arguments.add(key::of(&row.place))?;
        arguments.add(row.landed_at.as_ref().map(key::of))?;
        arguments.add(row.size.cast_signed())?;
        arguments.add(row.files.cast_signed())?;
        arguments.add(row.state.word())?;
        arguments.add(row.state.reason())?;
        arguments.add(match row.state {
            State::Retrying { at, .. } => Some(at),
            _ => None,
        })?;
        arguments.add(row.stored)?;
        arguments.add(row.attempts)?;
        arguments.add(row.round)?;
        arguments.add(row.since)?;
        arguments.add(row.changed)?;
        arguments.add(row.delivered)?;
        arguments.add(row.finalised)?;
        arguments.add(row.released)?;
        arguments.add(row.gone)?;
        arguments.add(*untold)?;
        arguments.add(seq.cast_signed())
    })
    .await
}

fn read(row: &SqliteRow) -> Result<LedgerRow, StoreError> {
    let cells = Cells::of(TABLE, row);
    let (word, reason): (&str, &str) = (cells.get(8)?, cells.get(9)?);
    let state = State::parse(word, reason, cells.get(10)?)
        .ok_or_else(|| bad_row(TABLE, format!("state '{word}' ({reason})")))?;
    let landed_at: Option<&[u8]> = cells.get(5)?;
    Ok(LedgerRow {
        row: Row {
            key: Key {
                origin: Party(cells.bytes(0)?),
                path: key::path(TABLE, cells.get(1)?)?,
                version: Digest(cells.bytes(2)?),
                destination: Party(cells.bytes(3)?),
            },
            place: key::path(TABLE, cells.get(4)?)?,
            landed_at: landed_at.map(|bytes| key::path(TABLE, bytes)).transpose()?,
            size: cells.u64(6)?,
            files: cells.u64(7)?,
            state,
            stored: cells.get(11)?,
            attempts: cells.get(12)?,
            round: cells.get(13)?,
            since: cells.get(14)?,
            changed: cells.get(15)?,
            delivered: cells.get(16)?,
            finalised: cells.get(17)?,
            released: cells.get(18)?,
            gone: cells.get(19)?,
        },
        untold: cells.get(20)?,
        seq: cells.u64(21)?,
    })
}
