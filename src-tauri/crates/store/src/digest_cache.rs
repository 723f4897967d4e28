//! Table `digest_cache`: the digest of each file of a root, with the inode, size and times under which it was read.
//! A file that still has all of them need not be read again. It is only a cache: it may be lost at any time, and a row
//! that does not fit the disk is ignored by whoever uses it. Rows of the other side exist where nobody else keeps them:
//! for a folder on a host without Evenfold.

use evenfold_core::{Digest, Mtime, RelPath, Side};
use futures_util::TryStreamExt;
use sqlx::Arguments;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::bulk::Bulk;
use crate::error::{Context, StoreError};
use crate::key;
use crate::row::Cells;
use crate::store::{Store, commit};

const TABLE: &str = "digest_cache";

const INSERT: Bulk = Bulk {
    table: TABLE,
    doing: "storing digests",
    head: "INSERT OR REPLACE INTO digest_cache (relationship, side, path, ino, size, mtime_s, mtime_ns, ctime_s, ctime_ns,
           digest) VALUES ",
    tuple: "(?,?,?,?,?,?,?,?,?,?)",
    tail: "",
};

/// Removes rows by key; the relationship is part of each row so that one form fits all sizes.
const DELETE: Bulk = Bulk {
    table: TABLE,
    doing: "removing digests",
    head: "DELETE FROM digest_cache WHERE (relationship, side, path) IN (VALUES ",
    tuple: "(?,?,?)",
    tail: ")",
};

/// What was known of a file when its digest was computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRow {
    /// Where.
    pub path: RelPath,
    /// Inode number, or what stands for it.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// Time of the last modification of the content.
    pub mtime: Mtime,
    /// Time of the last change of content or attributes.
    pub ctime: Mtime,
    /// BLAKE3 of the content.
    pub digest: Digest,
}

/// Handle of the table.
#[derive(Debug)]
pub struct DigestCache<'s> {
    pub(crate) store: &'s Store,
    pub(crate) side: Side,
}

impl DigestCache<'_> {
    /// Returns all rows of a relationship in the order of a walk: each directory's content directly behind it, names
    /// by their bytes.
    pub async fn load(&self, relationship: Uuid) -> Result<Vec<CacheRow>, StoreError> {
        let mut rows = sqlx::query(
            "SELECT path, ino, size, mtime_s, mtime_ns, ctime_s, ctime_ns, digest FROM digest_cache
             WHERE relationship = ? AND side = ? ORDER BY path",
        )
        .bind(relationship.as_bytes().to_vec())
        .bind(number(self.side))
        .fetch(&self.store.reader);
        let mut loaded = Vec::new();
        while let Some(row) = rows.try_next().await.on(TABLE, "loading digests")? {
            loaded.push(read(&row)?);
        }
        Ok(loaded)
    }

    /// Removes and then stores rows, in one transaction. A removed path that is also stored is stored.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such relationship.
    pub async fn apply(
        &self,
        relationship: Uuid,
        upserts: &[CacheRow],
        removes: &[RelPath],
    ) -> Result<(), StoreError> {
        if upserts.is_empty() && removes.is_empty() {
            return Ok(());
        }
        let mut removes: Vec<Vec<u8>> = removes.iter().map(key::of).collect();
        removes.sort_unstable();
        let mut upserts: Vec<(Vec<u8>, &CacheRow)> =
            upserts.iter().map(|row| (key::of(&row.path), row)).collect();
        upserts.sort_by(|a, b| a.0.cmp(&b.0));
        let side = number(self.side);
        let mut tx = self.store.write(TABLE).await?;
        DELETE
            .run(&mut tx, &removes, |arguments, path| {
                arguments.add(&relationship.as_bytes()[..])?;
                arguments.add(side)?;
                arguments.add(&path[..])
            })
            .await?;
        INSERT
            .run(&mut tx, &upserts, |arguments, (path, row)| {
                arguments.add(&relationship.as_bytes()[..])?;
                arguments.add(side)?;
                arguments.add(&path[..])?;
                arguments.add(row.ino.cast_signed())?;
                arguments.add(row.size.cast_signed())?;
                arguments.add(row.mtime.secs)?;
                arguments.add(row.mtime.nanos)?;
                arguments.add(row.ctime.secs)?;
                arguments.add(row.ctime.nanos)?;
                arguments.add(&row.digest.0[..])
            })
            .await?;
        commit(tx, TABLE).await
    }

    /// Forgets all rows of a relationship, so that everything is read again.
    pub async fn clear(&self, relationship: Uuid) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM digest_cache WHERE relationship = ? AND side = ?")
            .bind(&relationship.as_bytes()[..])
            .bind(number(self.side))
            .execute(&self.store.writer)
            .await
            .on(TABLE, "clearing digests")?;
        Ok(())
    }
}

fn number(side: Side) -> i64 {
    match side {
        Side::Ours => 0,
        Side::Theirs => 1,
    }
}

fn read(row: &SqliteRow) -> Result<CacheRow, StoreError> {
    let cells = Cells::of(TABLE, row);
    Ok(CacheRow {
        path: key::path(TABLE, cells.get(0)?)?,
        ino: cells.u64(1)?,
        size: cells.u64(2)?,
        mtime: Mtime { secs: cells.get(3)?, nanos: cells.get(4)? },
        ctime: Mtime { secs: cells.get(5)?, nanos: cells.get(6)? },
        digest: cells.digest(7)?,
    })
}
