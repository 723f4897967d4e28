//! Table `tracking`: which paths somebody chose by hand (kind manual): marks on paths, each for everything below it up
//! to the next mark.

use evenfold_core::RelPath;
use uuid::Uuid;

use crate::Micros;
use crate::error::{Context, StoreError};
use crate::key;
use crate::row::Cells;
use crate::store::{Store, commit};

const TABLE: &str = "tracking";

/// Handle of the table.
#[derive(Debug)]
pub struct Tracking<'s> {
    pub(crate) store: &'s Store,
}

impl Tracking<'_> {
    /// Returns the marks of a relationship by path: `true` for tracked.
    pub async fn list(&self, relationship: Uuid) -> Result<Vec<(RelPath, bool)>, StoreError> {
        let rows = sqlx::query("SELECT path, tracked FROM tracking WHERE relationship = ? ORDER BY path")
            .bind(&relationship.as_bytes()[..])
            .fetch_all(&self.store.reader)
            .await
            .on(TABLE, "listing tracked paths")?;
        rows.iter()
            .map(|row| {
                let cells = Cells::of(TABLE, row);
                let (path, tracked): (Vec<u8>, i64) = (cells.get(0)?, cells.get(1)?);
                Ok((key::path(TABLE, &path)?, tracked != 0))
            })
            .collect()
    }

    /// Replaces all marks of a relationship, in one transaction.
    pub async fn replace(
        &self,
        relationship: Uuid,
        marks: &[(RelPath, bool)],
        when: Micros,
    ) -> Result<(), StoreError> {
        let mut tx = self.store.write(TABLE).await?;
        sqlx::query("DELETE FROM tracking WHERE relationship = ?")
            .bind(&relationship.as_bytes()[..])
            .execute(&mut *tx)
            .await
            .on(TABLE, "clearing tracked paths")?;
        for (path, tracked) in marks {
            sqlx::query("INSERT INTO tracking (relationship, path, tracked, changed) VALUES (?, ?, ?, ?)")
                .bind(&relationship.as_bytes()[..])
                .bind(key::of(path))
                .bind(i64::from(*tracked))
                .bind(when)
                .execute(&mut *tx)
                .await
                .on(TABLE, "writing a tracked path")?;
        }
        commit(tx, TABLE).await
    }
}
