//! Opening the database: create, check, migrate.
//!
//! The file is looked at read-only first. Only when it is known to be intact and not newer than this program is it
//! opened for writing, so a refusal leaves it exactly as it was.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use evenfold_core::Mtime;
use evenfold_core::conflict::stamp;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};
use uuid::Uuid;

use crate::error::{code, primary_code};
use crate::store::Store;

/// Name of the file in the state directory.
const FILE: &str = "state.db";

/// How long a statement waits for another process: longer than any transaction here takes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Readers at once: the loops read at start-up only, the UI reads one page at a time.
const READERS: u32 = 3;

/// Rows in flight between a connection's thread and the reader: enough to keep both busy, about 1 MB.
const ROWS_IN_FLIGHT: usize = 1024;

/// The write-ahead log is cut back to this after a large transaction.
const LOG_LIMIT: &str = "16777216";

/// SQLite's smallest page. What is shorter it takes for an empty database, and would begin anew over it.
const SHORTEST: u64 = 512;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Why the database could not be opened. The file was not changed, unless a variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer version of the program wrote the database.
    #[error("the database has schema {found}, this program knows schemas up to {known}")]
    Newer {
        /// Schema of the file.
        found: i64,
        /// Newest schema of this program.
        known: i64,
    },
    /// The file is damaged or not one of ours. [`Store::set_aside`] moves it away so that a new one can be made.
    #[error("the database is damaged: {detail}")]
    Damaged {
        /// What was found.
        detail: String,
    },
    /// Another process kept the file locked for several seconds.
    #[error("another process keeps the database locked")]
    Locked,
    /// The directory or the file could not be created, read or written. An older schema may have been migrated
    /// in part: each step is one transaction, and the next attempt continues behind the last complete one.
    #[error("{path}: {detail}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's or SQLite's own words.
        detail: String,
    },
}

impl Store {
    /// Opens `state.db` in `dir`, creates directory and file (for this user only) if they are missing, and migrates
    /// an older schema. Waits up to 5 s for a lock that another process holds.
    ///
    /// The whole file is read once to check it (1,000,000 files take about a second).
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(dir: &Path) -> Result<Store, OpenError> {
        let file = dir.join(FILE);
        let new = prepare_file(dir, &file).map_err(|error| OpenError::io(&file, &error))?;
        if !new {
            inspect(&file).await?;
        }
        let writing = options(&file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", LOG_LIMIT);
        // Without lifetimes nothing wakes up to look after idle connections.
        let pool = || {
            SqlitePoolOptions::new()
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                .acquire_timeout(Duration::from_secs(60))
        };
        let writer: SqlitePool = pool()
            .max_connections(1)
            .connect_with(writing)
            .await
            .map_err(|error| OpenError::from_driver(&file, &error))?;
        MIGRATIONS.run(&writer).await.map_err(|error| OpenError::from_migration(&file, error))?;
        create_node(&writer).await.map_err(|error| OpenError::from_driver(&file, &error))?;
        let reader = pool().max_connections(READERS).connect_lazy_with(options(&file).read_only(true));
        Ok(Store { writer, reader })
    }

    /// Moves a damaged database, with its log, to `state.db.damaged-STAMP` and returns that path. The next
    /// [`Store::open`] makes a new one with another generation, and every relationship is compared again. Blocks.
    ///
    /// # Errors
    /// What the operating system says; the database then stands where it stood, or parts of it beside it.
    pub fn set_aside(dir: &Path) -> io::Result<PathBuf> {
        let stamp = stamp(Mtime { secs: now() / 1_000_000, nanos: 0 });
        let mut aside = dir.join(format!("{FILE}.damaged-{stamp}"));
        let mut again = 1;
        while fs::symlink_metadata(&aside).is_ok() {
            again += 1;
            aside = dir.join(format!("{FILE}.damaged-{stamp}-{again}"));
        }
        // The log goes first: beside a new database it must never be found, without its database it is only useless.
        for suffix in ["-wal", "-shm", ""] {
            match fs::rename(with_suffix(&dir.join(FILE), suffix), with_suffix(&aside, suffix)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => {}
                other => other?,
            }
        }
        sync_dir(dir)?;
        Ok(aside)
    }
}

impl OpenError {
    fn io(path: &Path, error: &dyn std::error::Error) -> Self {
        OpenError::Io { path: path.to_owned(), detail: error.to_string() }
    }

    fn from_driver(path: &Path, error: &sqlx::Error) -> Self {
        match primary_code(error) {
            Some(code::BUSY | code::LOCKED) => OpenError::Locked,
            Some(code::CORRUPT | code::NOT_A_DATABASE) => OpenError::Damaged { detail: error.to_string() },
            _ => OpenError::io(path, error),
        }
    }

    fn from_migration(path: &Path, error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                OpenError::from_driver(path, &error)
            }
            other => OpenError::Damaged { detail: other.to_string() },
        }
    }
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROWS_IN_FLIGHT)
        .disable_statement_logging()
}

/// Makes directory and file where they are missing; tells whether the file is a new, empty one.
fn prepare_file(dir: &Path, file: &Path) -> io::Result<bool> {
    create_private_dir(dir)?;
    let opened = private_file(file)?;
    if opened.metadata()?.len() > 0 {
        return Ok(false);
    }
    // SQLite would throw such a log away. It can only be there if somebody emptied the database.
    Ok(log_length(file) == 0)
}

/// Looks at an existing file without changing it.
async fn inspect(file: &Path) -> Result<(), OpenError> {
    let length = fs::metadata(file).map_err(|error| OpenError::io(file, &error))?.len();
    if length == 0 {
        return Err(OpenError::Damaged { detail: "the file is empty but has a log".to_owned() });
    }
    if length < SHORTEST {
        return Err(OpenError::Damaged { detail: format!("the file is cut off after {length} bytes") });
    }
    let whole = is_whole(file, length).map_err(|error| OpenError::io(file, &error))?;
    if !whole {
        return Err(OpenError::Damaged {
            detail: format!("the file is cut off within a page after {length} bytes"),
        });
    }
    let mut connection = options(file)
        .read_only(true)
        .connect()
        .await
        .map_err(|error| OpenError::from_driver(file, &error))?;
    let found = examine(&mut connection).await.map_err(|error| OpenError::from_driver(file, &error));
    let closed = connection.close().await;
    match found? {
        Finding::Fine => closed.map_err(|error| OpenError::from_driver(file, &error)),
        Finding::Newer { found, known } => Err(OpenError::Newer { found, known }),
        Finding::Damaged(detail) => Err(OpenError::Damaged { detail }),
    }
}

/// Tells whether the file consists of whole pages. With a log beside it, it need not: a power cut may have left half
/// a page that the log still holds.
fn is_whole(file: &Path, length: u64) -> io::Result<bool> {
    let mut header = [0; 18];
    fs::File::open(file)?.read_exact(&mut header)?;
    let [.., high, low] = header;
    // The size does not fit its two bytes in one case: 1 stands for 65,536.
    let page = match u16::from_be_bytes([high, low]) {
        1 => 65_536,
        size => u64::from(size),
    };
    // No power of two is no page size either; SQLite says so itself.
    Ok(!page.is_power_of_two() || length.is_multiple_of(page) || log_length(file) > 0)
}

fn log_length(file: &Path) -> u64 {
    fs::symlink_metadata(with_suffix(file, "-wal")).map_or(0, |log| log.len())
}

enum Finding {
    Fine,
    Newer { found: i64, known: i64 },
    Damaged(String),
}

async fn examine(connection: &mut SqliteConnection) -> Result<Finding, sqlx::Error> {
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *connection).await?;
    let ours: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await?;
    if ours == 0 {
        // An empty database is what a crash right after its creation leaves.
        return Ok(match tables {
            0 => Finding::Fine,
            _ => Finding::Damaged("it is a database of another program".to_owned()),
        });
    }
    let found: Option<i64> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut *connection).await?;
    let found = found.unwrap_or(0);
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known {
        return Ok(Finding::Newer { found, known });
    }
    let check: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?;
    Ok(if check == "ok" { Finding::Fine } else { Finding::Damaged(check) })
}

/// Gives a new database its identity: see [`crate::NodeRow`].
async fn create_node(writer: &SqlitePool) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO node (one, id, created, generation) VALUES (1, ?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(Uuid::new_v4().as_bytes().to_vec())
        .bind(now())
        .bind(Uuid::new_v4().as_bytes().to_vec())
        .execute(writer)
        .await?;
    Ok(())
}

/// Microseconds since 1970; a clock before that counts as 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(unix)]
fn create_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// SQLite gives log and index the permission bits of the database, so it is enough to make this file right.
#[cfg(unix)]
fn private_file(file: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let opened =
        fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(file)?;
    if opened.metadata()?.permissions().mode() & 0o077 != 0 {
        opened.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(opened)
}

#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

/// Elsewhere the user's own application data directory is private already.
#[cfg(not(unix))]
fn create_private_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

#[cfg(not(unix))]
fn private_file(file: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(file)
}

#[cfg(not(unix))]
fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}
