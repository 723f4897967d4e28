//! The open database and its handles, one per table.

use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};

use crate::ancestor::Ancestor;
use crate::digest_cache::DigestCache;
use crate::epochs::Epochs;
use crate::error::{Context, StoreError};
use crate::history::History;
use crate::hook_runs::HookRuns;
use crate::intents::Intents;
use crate::ledger::LedgerTable;
use crate::members::Members;
use crate::node::Node;
use crate::peers::Peers;
use crate::plans::Plans;
use crate::relationships::Relationships;
use crate::scans::Scans;
use crate::settings::Settings;
use crate::tracking::Tracking;
use crate::versions::Versions;

/// The state of a node. Cheap to clone; all clones share the connections.
#[derive(Debug, Clone)]
pub struct Store {
    /// One connection, so that transactions of this process queue up here instead of failing as busy.
    pub(crate) writer: SqlitePool,
    /// Read-only connections; each sees the state as of the beginning of its statement.
    pub(crate) reader: SqlitePool,
}

impl Store {
    /// Name, identity and counters of this node.
    pub fn node(&self) -> Node<'_> {
        Node { store: self }
    }

    /// The machines this node has paired with.
    pub fn peers(&self) -> Peers<'_> {
        Peers { store: self }
    }

    /// The relationships this node takes part in.
    pub fn relationships(&self) -> Relationships<'_> {
        Relationships { store: self }
    }

    /// The spokes of the relationships whose hub this node is.
    pub fn members(&self) -> Members<'_> {
        Members { store: self }
    }

    /// The last tree on which both endpoints of a pair agreed.
    pub fn ancestor(&self) -> Ancestor<'_> {
        Ancestor { store: self }
    }

    /// What is about to be done to a disk.
    pub fn intents(&self) -> Intents<'_> {
        Intents { store: self }
    }

    /// Which epochs of the roots are known.
    pub fn epochs(&self) -> Epochs<'_> {
        Epochs { store: self }
    }

    /// Plans that were shown to somebody.
    pub fn plans(&self) -> Plans<'_> {
        Plans { store: self }
    }

    /// What happened.
    pub fn history(&self) -> History<'_> {
        History { store: self }
    }

    /// Earlier contents that can be restored.
    pub fn versions(&self) -> Versions<'_> {
        Versions { store: self }
    }

    /// Digests of files that need not be read again.
    pub fn digest_cache(&self) -> DigestCache<'_> {
        DigestCache { store: self, side: evenfold_core::Side::Ours }
    }

    /// Table `digest_cache`: digests of the folder on the other side, where that is a host without Evenfold.
    pub fn far_digest_cache(&self) -> DigestCache<'_> {
        DigestCache { store: self, side: evenfold_core::Side::Theirs }
    }

    /// What is owed and was delivered.
    pub fn ledger(&self) -> LedgerTable<'_> {
        LedgerTable { store: self }
    }

    /// Commands that are to run after something happened.
    pub fn hook_runs(&self) -> HookRuns<'_> {
        HookRuns { store: self }
    }

    /// Small values by name.
    pub fn settings(&self) -> Settings<'_> {
        Settings { store: self }
    }

    /// When this node looked at its folders.
    pub fn scans(&self) -> Scans<'_> {
        Scans { store: self }
    }

    /// Paths that somebody chose by hand.
    pub fn tracking(&self) -> Tracking<'_> {
        Tracking { store: self }
    }

    /// Finishes running statements and closes the file. Dropping all clones does so, too, but nobody can wait for it.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    /// Starts a transaction that writes. It takes the write lock at once, so that it cannot fail half-way because
    /// another process wrote meanwhile; dropped without commit it is undone.
    pub(crate) async fn write(
        &self,
        table: &'static str,
    ) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.on(table, "beginning a transaction")
    }
}

/// Commits a transaction with the context of its table.
pub(crate) async fn commit(tx: Transaction<'static, Sqlite>, table: &'static str) -> Result<(), StoreError> {
    tx.commit().await.on(table, "committing a transaction")
}

/// Adds one to a counter and returns its new value.
pub(crate) async fn bump(conn: &mut SqliteConnection, name: &str) -> Result<u64, StoreError> {
    let value: i64 = sqlx::query_scalar(
        "INSERT INTO counters (name, value) VALUES (?, 1)
         ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
    )
    .bind(name)
    .fetch_one(conn)
    .await
    .on("counters", "counting")?;
    Ok(value.cast_unsigned())
}
