//! Table `scans`: when this node looked at its folder of a relationship as a whole, and what came out. The newest
//! [`KEPT_SCANS`] of each relationship are kept.

use uuid::Uuid;

use crate::Micros;
use crate::error::{Context, StoreError};
use crate::row::Cells;
use crate::store::{Store, commit};

const TABLE: &str = "scans";

/// Rows that are kept of each relationship: a week at one rescan every ten minutes.
pub const KEPT_SCANS: u32 = 1000;

/// One look at a whole folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRow {
    /// When it began.
    pub started: Micros,
    /// When it ended, with or without success.
    pub ended: Micros,
    /// Whether all contents were read.
    pub deep: bool,
    /// Whether it came to its end.
    pub success: bool,
    /// Files and links found.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of content that were read for it.
    pub read: u64,
    /// Paths that could not be looked at.
    pub errors: u64,
    /// Why it failed.
    pub detail: Option<String>,
}

/// Handle of the table.
#[derive(Debug)]
pub struct Scans<'s> {
    pub(crate) store: &'s Store,
}

impl Scans<'_> {
    /// Adds a row, and drops those that are too many.
    pub async fn add(&self, relationship: Uuid, row: &ScanRow) -> Result<(), StoreError> {
        let mut tx = self.store.write(TABLE).await?;
        sqlx::query(
            "INSERT INTO scans (relationship, started, ended, deep, success, files, bytes, read, errors, detail)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&relationship.as_bytes()[..])
        .bind(row.started)
        .bind(row.ended)
        .bind(i64::from(row.deep))
        .bind(i64::from(row.success))
        .bind(row.files.cast_signed())
        .bind(row.bytes.cast_signed())
        .bind(row.read.cast_signed())
        .bind(row.errors.cast_signed())
        .bind(&row.detail)
        .execute(&mut *tx)
        .await
        .on(TABLE, "adding a scan")?;
        sqlx::query(
            "DELETE FROM scans WHERE relationship = ?1 AND id <=
             (SELECT id FROM scans WHERE relationship = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )
        .bind(&relationship.as_bytes()[..])
        .bind(KEPT_SCANS)
        .execute(&mut *tx)
        .await
        .on(TABLE, "dropping old scans")?;
        commit(tx, TABLE).await
    }

    /// Returns the newest rows of a relationship, newest first.
    pub async fn newest(&self, relationship: Uuid, limit: u32) -> Result<Vec<ScanRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT started, ended, deep, success, files, bytes, read, errors, detail FROM scans
             WHERE relationship = ? ORDER BY id DESC LIMIT ?",
        )
        .bind(&relationship.as_bytes()[..])
        .bind(limit)
        .fetch_all(&self.store.reader)
        .await
        .on(TABLE, "listing scans")?;
        rows.iter()
            .map(|row| {
                let cells = Cells::of(TABLE, row);
                Ok(ScanRow {
                    started: cells.get(0)?,
                    ended: cells.get(1)?,
                    deep: cells.get::<i64>(2)? != 0,
                    success: cells.get::<i64>(3)? != 0,
                    files: cells.u64(4)?,
                    bytes: cells.u64(5)?,
                    read: cells.u64(6)?,
                    errors: cells.u64(7)?,
                    detail: cells.get(8)?,
                })
            })
            .collect()
    }
}
