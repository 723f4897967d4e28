//! What can go wrong with the database once it is open.

/// Why an operation on the store failed. Nothing of the operation was stored: each is one transaction.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such row, or no such relationship to attach a row to.
    #[error("no such {what} ({table})")]
    NotFound {
        /// Table that was asked.
        table: &'static str,
        /// What was looked for.
        what: String,
    },
    /// Another row has this name, key or id already.
    #[error("{what} exists already ({table})")]
    Taken {
        /// Table that holds the other row.
        table: &'static str,
        /// Which name, key or id.
        what: String,
    },
    /// A stored row makes no sense, although the database as a whole is intact.
    #[error("a row of table {table} cannot be understood: {detail}")]
    Row {
        /// Table of the row.
        table: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The database file is damaged; see [`crate::Store::set_aside`].
    #[error("the database is damaged ({doing}, table {table}): {detail}")]
    Damaged {
        /// Table that was used.
        table: &'static str,
        /// What was being done.
        doing: &'static str,
        /// SQLite's own words.
        detail: String,
    },
    /// The disk that holds the database is full.
    #[error("no space left for the database ({doing}, table {table})")]
    Full {
        /// Table that was used.
        table: &'static str,
        /// What was being done.
        doing: &'static str,
    },
    /// Another process kept the database locked longer than the busy timeout.
    #[error("another process keeps the database locked ({doing}, table {table})")]
    Busy {
        /// Table that was used.
        table: &'static str,
        /// What was being done.
        doing: &'static str,
    },
    /// Everything else: input/output errors, violated constraints.
    #[error("{doing} failed (table {table}): {source}")]
    Other {
        /// Table that was used.
        table: &'static str,
        /// What was being done.
        doing: &'static str,
        /// The driver's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// SQLite's primary result codes that are told apart here.
pub(crate) mod code {
    pub(crate) const BUSY: i32 = 5;
    pub(crate) const LOCKED: i32 = 6;
    pub(crate) const CORRUPT: i32 = 11;
    pub(crate) const FULL: i32 = 13;
    pub(crate) const CONSTRAINT: i32 = 19;
    pub(crate) const NOT_A_DATABASE: i32 = 26;
}

/// Returns SQLite's primary result code, if the error comes from SQLite.
pub(crate) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// Adds to a driver's error what was being done, and where.
pub(crate) trait Context<T> {
    /// Names the table and the operation.
    fn on(self, table: &'static str, doing: &'static str) -> Result<T, StoreError>;

    /// The same for a statement that fails if another row has this name, key or id.
    fn unless_taken(self, table: &'static str, what: &str, doing: &'static str) -> Result<T, StoreError>;
}

impl<T> Context<T> for Result<T, sqlx::Error> {
    fn on(self, table: &'static str, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| match primary_code(&error) {
            Some(code::BUSY | code::LOCKED) => StoreError::Busy { table, doing },
            Some(code::FULL) => StoreError::Full { table, doing },
            Some(code::CORRUPT | code::NOT_A_DATABASE) => {
                StoreError::Damaged { table, doing, detail: error.to_string() }
            }
            // Rows carry few references, nearly all of them to the relationship that they belong to.
            Some(code::CONSTRAINT) if is_missing_parent(&error) => StoreError::NotFound {
                table,
                what: "relationship or machine that the row belongs to".to_owned(),
            },
            _ => StoreError::Other { table, doing, source: Box::new(error) },
        })
    }

    fn unless_taken(self, table: &'static str, what: &str, doing: &'static str) -> Result<T, StoreError> {
        match self {
            Err(error) if error.as_database_error().is_some_and(|e| e.is_unique_violation()) => {
                Err(StoreError::Taken { table, what: format!("'{what}'") })
            }
            other => other.on(table, doing),
        }
    }
}

fn is_missing_parent(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|e| e.is_foreign_key_violation())
}

/// Returns [`StoreError::NotFound`] if a statement that should have met a row met none.
pub(crate) fn found(table: &'static str, what: &str, rows: u64) -> Result<(), StoreError> {
    if rows > 0 { Ok(()) } else { Err(StoreError::NotFound { table, what: what.to_owned() }) }
}

/// Makes the error for a row that cannot be understood.
pub(crate) fn bad_row(table: &'static str, detail: impl Into<String>) -> StoreError {
    StoreError::Row { table, detail: detail.into() }
}
