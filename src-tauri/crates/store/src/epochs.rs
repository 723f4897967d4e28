//! Table `epochs`: how many batches the roots of a pair have seen. `ours_intended` is written before a batch touches
//! our root, `ours_committed` after it was recorded, `theirs_seen` is the highest epoch the other side has shown.
//! A root that shows less than it showed before was restored from a backup, and the ancestor is void for it.

use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::error::{Context, StoreError};
use crate::row::Cells;
use crate::store::Store;

const TABLE: &str = "epochs";

/// Epochs of one relationship; all 0 before the first batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EpochsRow {
    /// Epoch of our root as of the last commit.
    pub ours_committed: u64,
    /// Epoch our root will have when the batch that was last begun is done.
    pub ours_intended: u64,
    /// Epoch of their root as last seen.
    pub theirs_seen: u64,
}

/// Handle of the table.
#[derive(Debug)]
pub struct Epochs<'s> {
    pub(crate) store: &'s Store,
}

impl Epochs<'_> {
    /// Reads the epochs of a relationship.
    pub async fn get(&self, relationship: Uuid) -> Result<EpochsRow, StoreError> {
        let row = sqlx::query(
            "SELECT ours_committed, ours_intended, theirs_seen FROM epochs WHERE relationship = ?",
        )
        .bind(&relationship.as_bytes()[..])
        .fetch_optional(&self.store.reader)
        .await
        .on(TABLE, "reading epochs")?;
        let Some(row) = row else { return Ok(EpochsRow::default()) };
        let cells = Cells::of(TABLE, &row);
        Ok(EpochsRow {
            ours_committed: cells.u64(0)?,
            ours_intended: cells.u64(1)?,
            theirs_seen: cells.u64(2)?,
        })
    }

    /// Writes the epochs of a relationship, whatever they were: for a root that was accepted anew by a person.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such relationship.
    pub async fn set(&self, relationship: Uuid, epochs: EpochsRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT OR REPLACE INTO epochs (relationship, ours_committed, ours_intended, theirs_seen)
             VALUES (?, ?, ?, ?)",
        )
        .bind(&relationship.as_bytes()[..])
        .bind(epochs.ours_committed.cast_signed())
        .bind(epochs.ours_intended.cast_signed())
        .bind(epochs.theirs_seen.cast_signed())
        .execute(&self.store.writer)
        .await
        .on(TABLE, "writing epochs")?;
        Ok(())
    }
}

/// Sets the epochs that are given and leaves the others, as a part of a larger transaction.
pub(crate) async fn merge(
    conn: &mut SqliteConnection,
    relationship: Uuid,
    committed: Option<u64>,
    intended: Option<u64>,
    seen: Option<u64>,
) -> Result<(), StoreError> {
    if committed.is_none() && intended.is_none() && seen.is_none() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO epochs (relationship, ours_committed, ours_intended, theirs_seen)
         VALUES (?1, coalesce(?2, 0), coalesce(?3, 0), coalesce(?4, 0))
         ON CONFLICT (relationship) DO UPDATE SET ours_committed = coalesce(?2, ours_committed),
         ours_intended = coalesce(?3, ours_intended), theirs_seen = coalesce(?4, theirs_seen)",
    )
    .bind(&relationship.as_bytes()[..])
    .bind(committed.map(u64::cast_signed))
    .bind(intended.map(u64::cast_signed))
    .bind(seen.map(u64::cast_signed))
    .execute(conn)
    .await
    .on(TABLE, "writing epochs")?;
    Ok(())
}
