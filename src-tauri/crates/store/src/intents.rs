//! Table `intents`: what is about to be done to a disk, written durably before it is done. After a crash, a path that
//! holds what an intent says was changed by us and not by the user, so it is never read as a user's act. Of a
//! directory that is created whole only its digest is kept. The ancestor commit that follows clears the table.

use evenfold_core::{Entry, RelPath, Side};
use sqlx::sqlite::SqliteRow;
use sqlx::{Arguments, SqliteConnection};
use uuid::Uuid;

use crate::bulk::Bulk;
use crate::error::{Context, StoreError, bad_row};
use crate::row::Cells;
use crate::store::{Store, commit};
use crate::{epochs, key, record};

const TABLE: &str = "intents";

const INSERT: Bulk = Bulk {
    table: TABLE,
    doing: "recording intents",
    head: "INSERT OR REPLACE INTO intents (relationship, side, path, epoch, kind, digest, size, mtime_s, mtime_ns,
           mode, target) VALUES ",
    tuple: "(?,?,?,?,?,?,?,?,?,?,?)",
    tail: "",
};

/// What is about to be done to one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// On which side.
    pub side: Side,
    /// Where.
    pub path: RelPath,
    /// What shall stand there (a directory with the digest of its subtree); `None`: nothing.
    pub new: Option<record::Record>,
    /// The epoch our root was to have afterwards, if it was known.
    pub epoch: Option<u64>,
}

/// Handle of the table.
#[derive(Debug)]
pub struct Intents<'s> {
    pub(crate) store: &'s Store,
}

impl Intents<'_> {
    /// Records what is about to be done on one side and, if given, the epoch our root will have then; durable when
    /// it returns. Earlier intents for other paths stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such relationship; [`StoreError::Row`] for an unknown entry, which
    /// nobody can intend.
    pub async fn record(
        &self,
        relationship: Uuid,
        side: Side,
        intents: &[(RelPath, Option<Entry>)],
        epoch_ours_next: Option<u64>,
    ) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(intents.len());
        for (path, new) in intents {
            let new = match new {
                Some(entry) => Some(
                    record::Record::of(entry)
                        .ok_or_else(|| bad_row(TABLE, format!("an unknown entry is intended at '{path}'")))?,
                ),
                None => None,
            };
            rows.push((key::of(path), new));
        }
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        let mut tx = self.store.write(TABLE).await?;
        INSERT
            .run(&mut tx, &rows, |arguments, (path, new)| {
                arguments.add(&relationship.as_bytes()[..])?;
                arguments.add(side_code(side))?;
                arguments.add(&path[..])?;
                arguments.add(epoch_ours_next.map(u64::cast_signed))?;
                record::bind(arguments, new.as_ref())
            })
            .await?;
        epochs::merge(&mut tx, relationship, None, epoch_ours_next, None).await?;
        commit(tx, TABLE).await
    }

    /// Returns all intents of a relationship, by side and in the order of a walk.
    pub async fn load(&self, relationship: Uuid) -> Result<Vec<Intent>, StoreError> {
        let rows = sqlx::query(
            "SELECT side, path, epoch, kind, digest, size, mtime_s, mtime_ns, mode, target FROM intents
             WHERE relationship = ? ORDER BY side, path",
        )
        .bind(&relationship.as_bytes()[..])
        .fetch_all(&self.store.reader)
        .await
        .on(TABLE, "loading intents")?;
        rows.iter().map(read).collect()
    }

    /// Forgets all intents of a relationship: after it was found out what became of them.
    pub async fn clear(&self, relationship: Uuid) -> Result<(), StoreError> {
        let mut tx = self.store.write(TABLE).await?;
        clear(&mut tx, relationship).await?;
        commit(tx, TABLE).await
    }
}

/// Forgets all intents of a relationship, as a part of a larger transaction.
pub(crate) async fn clear(conn: &mut SqliteConnection, relationship: Uuid) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM intents WHERE relationship = ?")
        .bind(&relationship.as_bytes()[..])
        .execute(conn)
        .await
        .on(TABLE, "clearing intents")?;
    Ok(())
}

fn side_code(side: Side) -> i64 {
    match side {
        Side::Ours => 0,
        Side::Theirs => 1,
    }
}

fn read(row: &SqliteRow) -> Result<Intent, StoreError> {
    let cells = Cells::of(TABLE, row);
    Ok(Intent {
        side: if cells.get::<i64>(0)? == 0 { Side::Ours } else { Side::Theirs },
        path: key::path(TABLE, cells.get(1)?)?,
        epoch: cells.get::<Option<i64>>(2)?.map(i64::cast_unsigned),
        new: record::read(&cells, 3)?,
    })
}
