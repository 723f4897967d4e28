//! Table `settings`: small values by scope and key, as text (usually JSON) that the store does not look into: what
//! the user set in the UI, and findings to be shown until somebody looked at them.

use crate::Micros;
use crate::error::{Context, StoreError};
use crate::row::Cells;
use crate::store::Store;

const TABLE: &str = "settings";

/// A small value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingRow {
    /// Its key, unique within its scope.
    pub key: String,
    /// Its value.
    pub value: String,
    /// When it was last written.
    pub changed: Micros,
}

/// Handle of the table.
#[derive(Debug)]
pub struct Settings<'s> {
    pub(crate) store: &'s Store,
}

impl Settings<'_> {
    /// Returns all values of a scope by key.
    pub async fn list(&self, scope: &str) -> Result<Vec<SettingRow>, StoreError> {
        let rows = sqlx::query("SELECT key, value, changed FROM settings WHERE scope = ? ORDER BY key")
            .bind(scope)
            .fetch_all(&self.store.reader)
            .await
            .on(TABLE, "listing settings")?;
        rows.iter()
            .map(|row| {
                let cells = Cells::of(TABLE, row);
                Ok(SettingRow { key: cells.get(0)?, value: cells.get(1)?, changed: cells.get(2)? })
            })
            .collect()
    }

    /// Returns a value.
    pub async fn get(&self, scope: &str, key: &str) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar("SELECT value FROM settings WHERE scope = ? AND key = ?")
            .bind(scope)
            .bind(key)
            .fetch_optional(&self.store.reader)
            .await
            .on(TABLE, "reading a setting")
    }

    /// Writes a value.
    pub async fn set(&self, scope: &str, key: &str, value: &str, when: Micros) -> Result<(), StoreError> {
        sqlx::query("INSERT OR REPLACE INTO settings (scope, key, value, changed) VALUES (?, ?, ?, ?)")
            .bind(scope)
            .bind(key)
            .bind(value)
            .bind(when)
            .execute(&self.store.writer)
            .await
            .on(TABLE, "writing a setting")?;
        Ok(())
    }

    /// Removes a value; tells whether there was one.
    pub async fn remove(&self, scope: &str, key: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM settings WHERE scope = ? AND key = ?")
            .bind(scope)
            .bind(key)
            .execute(&self.store.writer)
            .await
            .on(TABLE, "removing a setting")?;
        Ok(done.rows_affected() > 0)
    }
}
