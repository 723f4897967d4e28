//! Table `versions`: which earlier contents lie in the versions folder of a root, by path and version id (the name
//! of the copy there). It is an index for listing and restoring; the folder is what counts. Rows outlive their
//! relationship, because the copies do.

use evenfold_core::RelPath;
use sqlx::sqlite::SqliteRow;
use sqlx::{Arguments, SqliteConnection};
use uuid::Uuid;

use crate::Micros;
use crate::bulk::Bulk;
use crate::error::{Context, StoreError, bad_row};
use crate::key;
use crate::record::{self, Record};
use crate::row::Cells;
use crate::store::{Store, commit};

const TABLE: &str = "versions";

const INSERT: Bulk = Bulk {
    table: TABLE,
    doing: "recording versions",
    head: "INSERT OR REPLACE INTO versions (relationship, path, version, time, reason, batch, kind, digest, size,
           mtime_s, mtime_ns, mode, target) VALUES ",
    tuple: "(?,?,?,?,?,?,?,?,?,?,?,?,?)",
    tail: "",
};

const DELETE: Bulk = Bulk {
    table: TABLE,
    doing: "dropping versions",
    head: "DELETE FROM versions WHERE (relationship, path, version) IN (VALUES ",
    tuple: "(?,?,?)",
    tail: ")",
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT path, version, time, reason, batch, kind, digest, size, mtime_s, mtime_ns, mode, target ",
            "FROM versions WHERE relationship = ? AND ",
            $rest
        )
    };
}

/// An earlier content that can be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// Where it stood.
    pub path: RelPath,
    /// Its id, unique for the path.
    pub version: String,
    /// When it was replaced or deleted.
    pub time: Micros,
    /// What it was.
    pub entry: Record,
    /// Why it was put aside (a word of the layers above).
    pub reason: String,
    /// The batch that replaced it.
    pub batch: Option<u128>,
}

/// Handle of the table.
#[derive(Debug)]
pub struct Versions<'s> {
    pub(crate) store: &'s Store,
}

impl Versions<'_> {
    /// Returns the versions of exactly this path, newest first.
    pub async fn of_path(&self, relationship: Uuid, path: &RelPath) -> Result<Vec<VersionRow>, StoreError> {
        let rows = sqlx::query(select!("path = ? ORDER BY time DESC, version DESC"))
            .bind(&relationship.as_bytes()[..])
            .bind(key::of(path))
            .fetch_all(&self.store.reader)
            .await
            .on(TABLE, "listing versions of a path")?;
        rows.iter().map(read).collect()
    }

    /// Returns the versions of a path and everything below, in the order of a walk and of version ids; at
    /// most `limit`, beginning behind `after` (the path and version id of the last row of the previous page).
    pub async fn below(
        &self,
        relationship: Uuid,
        path: &RelPath,
        after: Option<(&RelPath, &str)>,
        limit: u32,
    ) -> Result<Vec<VersionRow>, StoreError> {
        let from = key::of(path);
        let end = key::end_or_last(&from);
        let (after_path, after_version) = after.map_or((Vec::new(), ""), |(path, id)| (key::of(path), id));
        let rows = sqlx::query(select!(
            "path >= ? AND path < ? AND (path, version) > (?, ?) ORDER BY path, version LIMIT ?"
        ))
        .bind(&relationship.as_bytes()[..])
        .bind(from)
        .bind(end)
        .bind(after_path)
        .bind(after_version)
        .bind(limit)
        .fetch_all(&self.store.reader)
        .await
        .on(TABLE, "listing versions below a path")?;
        rows.iter().map(read).collect()
    }

    /// Returns one version.
    pub async fn get(
        &self,
        relationship: Uuid,
        path: &RelPath,
        version: &str,
    ) -> Result<Option<VersionRow>, StoreError> {
        let row = sqlx::query(select!("path = ? AND version = ?"))
            .bind(&relationship.as_bytes()[..])
            .bind(key::of(path))
            .bind(version)
            .fetch_optional(&self.store.reader)
            .await
            .on(TABLE, "reading a version")?;
        row.as_ref().map(read).transpose()
    }

    /// Records versions; one with the same path and id is replaced.
    pub async fn add(&self, relationship: Uuid, versions: &[VersionRow]) -> Result<(), StoreError> {
        let mut tx = self.store.write(TABLE).await?;
        insert(&mut tx, relationship, versions).await?;
        commit(tx, TABLE).await
    }

    /// Drops the rows of these paths and version ids; the copies on disk are somebody else's business.
    pub async fn drop(&self, relationship: Uuid, versions: &[(RelPath, String)]) -> Result<(), StoreError> {
        let mut tx = self.store.write(TABLE).await?;
        DELETE
            .run(&mut tx, versions, |arguments, (path, version)| {
                arguments.add(&relationship.as_bytes()[..])?;
                arguments.add(key::of(path))?;
                arguments.add(version)
            })
            .await?;
        commit(tx, TABLE).await
    }

    /// Drops all rows of a relationship.
    pub async fn drop_all(&self, relationship: Uuid) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM versions WHERE relationship = ?")
            .bind(&relationship.as_bytes()[..])
            .execute(&self.store.writer)
            .await
            .on(TABLE, "dropping versions")?;
        Ok(())
    }
}

/// Records versions as a part of a larger transaction.
pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    relationship: Uuid,
    versions: &[VersionRow],
) -> Result<(), StoreError> {
    let mut rows: Vec<(Vec<u8>, &VersionRow)> =
        versions.iter().map(|row| (key::of(&row.path), row)).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    INSERT
        .run(conn, &rows, |arguments, (path, row)| {
            arguments.add(&relationship.as_bytes()[..])?;
            arguments.add(&path[..])?;
            arguments.add(&row.version)?;
            arguments.add(row.time)?;
            arguments.add(&row.reason)?;
            arguments.add(row.batch.map(|batch| batch.to_be_bytes().to_vec()))?;
            record::bind(arguments, Some(&row.entry))
        })
        .await
}

fn read(row: &SqliteRow) -> Result<VersionRow, StoreError> {
    let cells = Cells::of(TABLE, row);
    Ok(VersionRow {
        path: key::path(TABLE, cells.get(0)?)?,
        version: cells.get(1)?,
        time: cells.get(2)?,
        reason: cells.get(3)?,
        batch: cells.u128(4)?,
        entry: record::read(&cells, 5)?.ok_or_else(|| bad_row(TABLE, "a version of nothing"))?,
    })
}
