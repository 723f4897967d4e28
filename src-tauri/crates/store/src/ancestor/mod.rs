//! Table `ancestor`: the last tree on which both endpoints of a pair agreed, one row per path, keyed in the order of a
//! walk (see `key`), so that the tree is rebuilt from the rows in one pass and a subtree is one range of rows.
//! The root directory has the empty path. Directories are stored without digest: it follows from what is below.
//!
//! An [`AncestorCommit`] is what a cycle has accomplished: rows of the ancestor, of history and of versions, epochs,
//! and the intents that are done with, in one transaction. A crash leaves all of it or nothing.

mod tree;
mod wave;

use std::sync::Arc;

use evenfold_core::{Dir, Entry, RelPath};
use futures_util::TryStreamExt;
use uuid::Uuid;

use crate::error::{Context, StoreError, bad_row, found};
use crate::history::{self, Event};
use crate::row::Cells;
use crate::store::{Store, bump, commit};
use crate::versions::{self, VersionRow};
use crate::{Micros, epochs, intents, record};
use tree::Builder;
use wave::Wave;

const TABLE: &str = "ancestor";

/// What both sides now hold at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Where.
    pub path: RelPath,
    /// What stands there, with everything below; `None`: nothing. Unknown entries in it are left out.
    pub entry: Option<Entry>,
    /// With a directory: only its permission bits are recorded, and everything below stays as it was recorded.
    pub shallow: bool,
}

/// What a cycle has accomplished.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AncestorCommit {
    /// Changes of the ancestor; of two that touch each other, the later one counts.
    pub puts: Vec<Put>,
    /// Whether all intents of the relationship are done with.
    pub clear_intents: bool,
    /// The epoch of our root, if it changed.
    pub ours_epoch: Option<u64>,
    /// The epoch of their root, if it was seen.
    pub theirs_epoch: Option<u64>,
    /// When both sides were compared completely, if they were.
    pub last_verified: Option<Micros>,
    /// What to write into the history.
    pub history: Vec<Event>,
    /// What was put into the versions folder.
    pub versions: Vec<VersionRow>,
}

/// Handle of the table.
#[derive(Debug)]
pub struct Ancestor<'s> {
    pub(crate) store: &'s Store,
}

impl Ancestor<'_> {
    /// Rebuilds the tree; an empty directory if nothing was ever committed.
    ///
    /// # Errors
    /// [`StoreError::Row`] if a row cannot be understood: the ancestor is void then.
    pub async fn load(&self, relationship: Uuid) -> Result<Arc<Dir>, StoreError> {
        self.rebuild(relationship, None).await
    }

    /// Like [`Ancestor::load`], but directories that equal those of `ours` at the same path are the very same ones in
    /// memory, so that two trees which agree cost the memory of one.
    ///
    /// # Errors
    /// As for [`Ancestor::load`].
    pub async fn load_sharing(&self, relationship: Uuid, ours: &Arc<Dir>) -> Result<Arc<Dir>, StoreError> {
        self.rebuild(relationship, Some(Arc::clone(ours))).await
    }

    /// Returns how many rows (files, links, directories) there are.
    pub async fn len(&self, relationship: Uuid) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM ancestor WHERE relationship = ?")
            .bind(&relationship.as_bytes()[..])
            .fetch_one(&self.store.reader)
            .await
            .on(TABLE, "counting the ancestor")?;
        Ok(count.cast_unsigned())
    }

    /// Stores what a cycle has accomplished, in one transaction, and returns the new value of the counter `commits`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such relationship. Nothing is stored in case of an error.
    pub async fn commit(&self, relationship: Uuid, accomplished: &AncestorCommit) -> Result<u64, StoreError> {
        let mut tx = self.store.write(TABLE).await?;
        if let Some(when) = accomplished.last_verified {
            let done = sqlx::query("UPDATE relationships SET last_verified = ? WHERE id = ?")
                .bind(when)
                .bind(&relationship.as_bytes()[..])
                .execute(&mut *tx)
                .await
                .on("relationships", "noting a comparison")?;
            found("relationships", "relationship", done.rows_affected())?;
        }
        let mut wave = Wave::default();
        for put in &accomplished.puts {
            if !wave.add(put) {
                wave.store(&mut tx, relationship).await?;
                // An empty wave takes any put.
                wave.add(put);
            }
        }
        wave.store(&mut tx, relationship).await?;
        if accomplished.clear_intents {
            intents::clear(&mut tx, relationship).await?;
        }
        epochs::merge(&mut tx, relationship, accomplished.ours_epoch, None, accomplished.theirs_epoch)
            .await?;
        versions::insert(&mut tx, relationship, &accomplished.versions).await?;
        history::insert(&mut tx, &accomplished.history).await?;
        let commits = bump(&mut tx, "commits").await?;
        commit(tx, TABLE).await?;
        Ok(commits)
    }

    /// Forgets the ancestor, the intents and the epochs of a relationship, so that both sides are compared as if for
    /// the first time: at worst with conflicts, without deletions.
    pub async fn forget(&self, relationship: Uuid) -> Result<(), StoreError> {
        let mut tx = self.store.write(TABLE).await?;
        for sql in
            ["DELETE FROM ancestor WHERE relationship = ?", "DELETE FROM epochs WHERE relationship = ?"]
        {
            sqlx::query(sql)
                .bind(&relationship.as_bytes()[..])
                .execute(&mut *tx)
                .await
                .on(TABLE, "forgetting the ancestor")?;
        }
        intents::clear(&mut tx, relationship).await?;
        commit(tx, TABLE).await
    }

    async fn rebuild(&self, relationship: Uuid, twin: Option<Arc<Dir>>) -> Result<Arc<Dir>, StoreError> {
        let mut rows = sqlx::query(concat!(
            "SELECT path, ",
            record::packed_columns!(),
            " FROM ancestor WHERE relationship = ? ORDER BY path",
        ))
        .bind(relationship.as_bytes().to_vec())
        .fetch(&self.store.reader);
        let mut builder = Builder::new(twin);
        while let Some(row) = rows.try_next().await.on(TABLE, "loading the ancestor")? {
            let cells = Cells::of(TABLE, &row);
            let entry = record::read_packed(&cells, 1)?.ok_or_else(|| bad_row(TABLE, "a row of nothing"))?;
            builder.push(cells.get(0)?, entry)?;
        }
        builder.finish()
    }
}
