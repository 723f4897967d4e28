//! Reading columns of a row, with the table named in each error.

use evenfold_core::Digest;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use uuid::Uuid;

use crate::error::{StoreError, bad_row};

/// A row together with the table that errors shall name.
pub(crate) struct Cells<'r> {
    pub(crate) table: &'static str,
    pub(crate) row: &'r SqliteRow,
}

impl<'r> Cells<'r> {
    pub(crate) fn of(table: &'static str, row: &'r SqliteRow) -> Self {
        Cells { table, row }
    }

    pub(crate) fn get<T: Decode<'r, Sqlite> + Type<Sqlite>>(&self, at: usize) -> Result<T, StoreError> {
        self.row.try_get(at).map_err(|error| bad_row(self.table, error.to_string()))
    }

    /// Numbers are stored bit for bit, because SQLite's integers are signed.
    pub(crate) fn u64(&self, at: usize) -> Result<u64, StoreError> {
        Ok(self.get::<i64>(at)?.cast_unsigned())
    }

    pub(crate) fn bytes<const N: usize>(&self, at: usize) -> Result<[u8; N], StoreError> {
        let bytes: &[u8] = self.get(at)?;
        bytes.try_into().map_err(|_| bad_row(self.table, format!("{} bytes instead of {N}", bytes.len())))
    }

    pub(crate) fn optional_bytes<const N: usize>(&self, at: usize) -> Result<Option<[u8; N]>, StoreError> {
        match self.get::<Option<&[u8]>>(at)? {
            Some(_) => self.bytes(at).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn uuid(&self, at: usize) -> Result<Uuid, StoreError> {
        self.bytes(at).map(Uuid::from_bytes)
    }

    pub(crate) fn digest(&self, at: usize) -> Result<Digest, StoreError> {
        self.bytes(at).map(Digest)
    }

    pub(crate) fn u128(&self, at: usize) -> Result<Option<u128>, StoreError> {
        Ok(self.optional_bytes(at)?.map(u128::from_be_bytes))
    }
}
