//! Table `hook_runs`: commands that are to run because something happened, each under an id that names the occasion, so
//! that it is asked for once and run at least once: it is done only when it ended well and that was written here.

use evenfold_core::RelPath;
use sqlx::Arguments;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::Micros;
use crate::bulk::Bulk;
use crate::error::{Context, StoreError};
use crate::key;
use crate::row::Cells;
use crate::store::{Store, commit};

const TABLE: &str = "hook_runs";

const ADD: Bulk = Bulk {
    table: TABLE,
    doing: "asking for hooks",
    head: "INSERT OR IGNORE INTO hook_runs (relationship, id, path, argv, created) VALUES ",
    tuple: "(?,?,?,?,?)",
    tail: "",
};

/// A command that is to run, or has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRun {
    /// Names the occasion; never used for another one.
    pub id: String,
    /// The item, below the root.
    pub path: RelPath,
    /// The command and its arguments before anything is put in, as JSON.
    pub argv: String,
    /// When it was asked for.
    pub created: Micros,
    /// Attempts that failed.
    pub attempts: u32,
    /// Not before this time.
    pub next_at: Micros,
    /// Why the last attempt failed; empty if none has.
    pub error: String,
    /// When it ended well.
    pub done: Option<Micros>,
}

/// Handle of the table.
#[derive(Debug)]
pub struct HookRuns<'s> {
    pub(crate) store: &'s Store,
}

impl HookRuns<'_> {
    /// Asks for commands; one whose id is known already is left as it is. Durable when it returns.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ask(
        &self,
        relationship: Uuid,
        runs: &[(String, RelPath, String)],
        now: Micros,
    ) -> Result<(), StoreError> {
        let mut tx = self.store.write(TABLE).await?;
        ADD.run(&mut tx, runs, |arguments, (id, path, argv)| {
            arguments.add(&relationship.as_bytes()[..])?;
            arguments.add(id)?;
            arguments.add(key::of(path))?;
            arguments.add(argv)?;
            arguments.add(now)
        })
        .await?;
        commit(tx, TABLE).await
    }

    /// Returns commands that are not done, those due first, at most `limit`.
    ///
    /// # Errors
    /// Where the database fails or a row makes no sense.
    pub async fn pending(&self, relationship: Uuid, limit: u32) -> Result<Vec<HookRun>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, path, argv, created, attempts, next_at, error, done FROM hook_runs
             WHERE relationship = ? AND done IS NULL ORDER BY next_at, created, id LIMIT ?",
        )
        .bind(&relationship.as_bytes()[..])
        .bind(limit)
        .fetch_all(&self.store.reader)
        .await
        .on(TABLE, "listing hooks")?;
        rows.iter().map(read).collect()
    }

    /// Writes down that a command ended well.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn done(&self, relationship: Uuid, id: &str, now: Micros) -> Result<(), StoreError> {
        sqlx::query("UPDATE hook_runs SET done = ?, error = '' WHERE relationship = ? AND id = ?")
            .bind(now)
            .bind(&relationship.as_bytes()[..])
            .bind(id)
            .execute(&self.store.writer)
            .await
            .on(TABLE, "closing a hook")?;
        Ok(())
    }

    /// Writes down that a command failed, and when it is tried again.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn failed(
        &self,
        relationship: Uuid,
        id: &str,
        error: &str,
        next_at: Micros,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE hook_runs SET attempts = attempts + 1, next_at = ?, error = ? WHERE relationship = ? AND id = ?",
        )
        .bind(next_at)
        .bind(error)
        .bind(&relationship.as_bytes()[..])
        .bind(id)
        .execute(&self.store.writer)
        .await
        .on(TABLE, "noting a failed hook")?;
        Ok(())
    }

    /// Drops commands that were done before this time.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn drop_done(&self, relationship: Uuid, before: Micros) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM hook_runs WHERE relationship = ? AND done < ?")
            .bind(&relationship.as_bytes()[..])
            .bind(before)
            .execute(&self.store.writer)
            .await
            .on(TABLE, "dropping old hooks")?;
        Ok(())
    }
}

fn read(row: &SqliteRow) -> Result<HookRun, StoreError> {
    let cells = Cells::of(TABLE, row);
    Ok(HookRun {
        id: cells.get(0)?,
        path: key::path(TABLE, cells.get(1)?)?,
        argv: cells.get(2)?,
        created: cells.get(3)?,
        attempts: cells.get(4)?,
        next_at: cells.get(5)?,
        error: cells.get(6)?,
        done: cells.get(7)?,
    })
}
