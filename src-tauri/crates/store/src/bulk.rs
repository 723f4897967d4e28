//! Many rows per statement.
//!
//! A statement travels to the connection's own thread and back; one per row is 30 times slower than one per 500 rows,
//! and rows sorted by key are 5 times faster than unsorted ones.

use std::sync::Arc;

use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection};

use crate::error::{Context, StoreError};

/// Sizes of statements: few, because each size is one prepared statement in the cache.
const SIZES: [usize; 4] = [500, 60, 8, 1];

/// A statement over many rows: `head`, then one tuple of placeholders per row, then `tail`.
pub(crate) struct Bulk {
    pub(crate) table: &'static str,
    pub(crate) doing: &'static str,
    pub(crate) head: &'static str,
    /// Placeholders of one row, such as `(?,?,?)`.
    pub(crate) tuple: &'static str,
    pub(crate) tail: &'static str,
}

impl Bulk {
    /// Runs the statement for all rows; `bind` adds the values of one row.
    pub(crate) async fn run<T>(
        &self,
        conn: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(&mut SqliteArguments, &T) -> Result<(), BoxDynError>,
    ) -> Result<(), StoreError> {
        self.run_with(conn, None, rows, bind).await
    }

    /// The same where `head` holds one placeholder of its own, which gets the value `first`.
    pub(crate) async fn run_with<T>(
        &self,
        conn: &mut SqliteConnection,
        first: Option<&[u8]>,
        rows: &[T],
        bind: impl Fn(&mut SqliteArguments, &T) -> Result<(), BoxDynError>,
    ) -> Result<(), StoreError> {
        let mut rest = rows;
        for size in SIZES {
            if rest.len() < size {
                continue;
            }
            let sql: Arc<str> = self.sql(size).into();
            while let Some((chunk, behind)) = rest.split_at_checked(size) {
                rest = behind;
                let mut arguments = SqliteArguments::default();
                if let Some(first) = first {
                    arguments.add(first).map_err(|source| self.bad_value(source))?;
                }
                for row in chunk {
                    bind(&mut arguments, row).map_err(|source| self.bad_value(source))?;
                }
                // Only text of this crate's own is put together here; values are bound.
                sqlx::query_with(AssertSqlSafe(Arc::clone(&sql)), arguments)
                    .execute(&mut *conn)
                    .await
                    .on(self.table, self.doing)?;
            }
        }
        Ok(())
    }

    fn sql(&self, rows: usize) -> String {
        let mut sql =
            String::with_capacity(self.head.len() + self.tail.len() + rows * (self.tuple.len() + 1));
        sql.push_str(self.head);
        for row in 0..rows {
            if row > 0 {
                sql.push(',');
            }
            sql.push_str(self.tuple);
        }
        sql.push_str(self.tail);
        sql
    }

    fn bad_value(&self, source: BoxDynError) -> StoreError {
        StoreError::Other { table: self.table, doing: self.doing, source }
    }
}
