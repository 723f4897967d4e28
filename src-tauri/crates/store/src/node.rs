//! Table `node`: one row, made with the database. `id` names this installation; `generation` is random and names
//! this database: a database that was lost and made anew has another one.
//!
//! Table `counters`: numbers that only rise. Whoever noted generation and a counter elsewhere (in the marker of a
//! root, say) and finds another generation or a lower counter knows that the database was replaced or restored from
//! a backup, and that what it says about the past is void. The counter `commits` rises with every ancestor commit.

use uuid::Uuid;

use crate::Micros;
use crate::error::{Context, StoreError, bad_row};
use crate::row::Cells;
use crate::store::{Store, bump, commit};

const TABLE: &str = "node";

/// Identity of this installation and of its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Identity of the installation.
    pub id: Uuid,
    /// Name for people; `None` until one was given.
    pub name: Option<String>,
    /// When the database was made.
    pub created: Micros,
    /// Identity of the database.
    pub generation: u128,
}

/// Handle of the tables `node` and `counters`.
#[derive(Debug)]
pub struct Node<'s> {
    pub(crate) store: &'s Store,
}

impl Node<'_> {
    /// Reads the row.
    pub async fn get(&self) -> Result<NodeRow, StoreError> {
        let row = sqlx::query("SELECT id, name, created, generation FROM node")
            .fetch_one(&self.store.reader)
            .await
            .on(TABLE, "reading the node")?;
        let cells = Cells::of(TABLE, &row);
        Ok(NodeRow {
            id: cells.uuid(0)?,
            name: cells.get(1)?,
            created: cells.get(2)?,
            generation: cells.u128(3)?.ok_or_else(|| bad_row(TABLE, "no generation"))?,
        })
    }

    /// Gives the node a name.
    pub async fn rename(&self, name: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE node SET name = ?")
            .bind(name)
            .execute(&self.store.writer)
            .await
            .on(TABLE, "renaming the node")?;
        Ok(())
    }

    /// Adds one to a counter, durably, and returns its new value; a new counter begins at 1.
    pub async fn bump(&self, counter: &str) -> Result<u64, StoreError> {
        let mut tx = self.store.write("counters").await?;
        let value = bump(&mut tx, counter).await?;
        commit(tx, "counters").await?;
        Ok(value)
    }

    /// Returns the value of a counter; 0 for one that was never counted.
    pub async fn counter(&self, counter: &str) -> Result<u64, StoreError> {
        let value: Option<i64> = sqlx::query_scalar("SELECT value FROM counters WHERE name = ?")
            .bind(counter)
            .fetch_optional(&self.store.reader)
            .await
            .on("counters", "reading a counter")?;
        Ok(value.unwrap_or(0).cast_unsigned())
    }
}
