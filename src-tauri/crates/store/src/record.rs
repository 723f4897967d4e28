//! An entry without what is below it, as the columns `kind, digest, size, mtime_s, mtime_ns, mode, target` that
//! several tables share.

use evenfold_core::{Digest, Entry, File, Mode, Mtime, Symlink};
use sqlx::Arguments;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;

use crate::error::{StoreError, bad_row};
use crate::row::Cells;

const NOTHING: i64 = 0;
const FILE: i64 = 1;
const DIR: i64 = 2;
const SYMLINK: i64 = 3;

/// An entry without what is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A regular file.
    File(File),
    /// A directory.
    Dir {
        /// Permission bits.
        mode: Mode,
        /// Digest over the whole subtree, where it was recorded.
        digest: Option<Digest>,
    },
    /// A symbolic link.
    Symlink(Symlink),
}

impl Record {
    /// Makes the record of an entry, of a directory with the digest over its subtree; `None` for an unknown entry,
    /// because nothing can be recorded about it.
    pub fn of(entry: &Entry) -> Option<Record> {
        match entry {
            Entry::File(file) => Some(Record::File(*file)),
            Entry::Dir(dir) => Some(Record::Dir { mode: dir.mode(), digest: Some(dir.digest()) }),
            Entry::Symlink(link) => Some(Record::Symlink(link.clone())),
            Entry::Unknown(_) => None,
        }
    }

    /// Tells whether `entry` is what was recorded, with everything below.
    pub fn matches(&self, entry: &Entry) -> bool {
        Record::of(entry).as_ref() == Some(self)
    }

    /// Returns the length of the content; 0 for what is not a file.
    pub fn size(&self) -> u64 {
        match self {
            Record::File(file) => file.size,
            _ => 0,
        }
    }
}

/// Adds the seven columns of a record, or of nothing.
pub(crate) fn bind(arguments: &mut SqliteArguments, record: Option<&Record>) -> Result<(), BoxDynError> {
    let (kind, digest, file, mode, target) = match record {
        None => (NOTHING, None, None, None, None),
        Some(Record::File(file)) => (FILE, Some(file.digest), Some(file), Some(file.mode), None),
        Some(Record::Dir { mode, digest }) => (DIR, *digest, None, Some(*mode), None),
        Some(Record::Symlink(link)) => (SYMLINK, None, None, None, Some(link.target.to_vec())),
    };
    arguments.add(kind)?;
    arguments.add(digest.map(|digest| digest.0.to_vec()))?;
    arguments.add(file.map(|file| file.size.cast_signed()))?;
    arguments.add(file.map(|file| file.mtime.secs))?;
    arguments.add(file.map(|file| file.mtime.nanos))?;
    arguments.add(mode.map(Mode::bits))?;
    arguments.add(target)
}

/// Reads the seven columns from column `at` on.
pub(crate) fn read(cells: &Cells<'_>, at: usize) -> Result<Option<Record>, StoreError> {
    match cells.get::<i64>(at)? {
        NOTHING => Ok(None),
        FILE => Ok(Some(Record::File(File {
            digest: cells.digest(at + 1)?,
            size: cells.u64(at + 2)?,
            mtime: Mtime { secs: cells.get(at + 3)?, nanos: cells.get(at + 4)? },
            mode: Mode::new(cells.get(at + 5)?),
        }))),
        DIR => Ok(Some(Record::Dir {
            mode: Mode::new(cells.get(at + 5)?),
            digest: cells.optional_bytes(at + 1)?.map(Digest),
        })),
        SYMLINK => Ok(Some(Record::Symlink(Symlink { target: cells.get::<&[u8]>(at + 6)?.into() }))),
        other => Err(bad_row(cells.table, format!("kind {other}"))),
    }
}

/// The seven columns as four, for reading very many rows: what a row costs on its way from SQLite is decided by the
/// number of its values, not by their size.
macro_rules! packed_columns {
    () => {
        // In SQL, unlike in Rust, `<<` binds no stronger than `|`.
        "(coalesce(mode, 0) << 34) | (coalesce(mtime_ns, 0) << 2) | kind, coalesce(digest, target), size, mtime_s"
    };
}
pub(crate) use packed_columns;

/// Reads the columns of [`packed_columns`] from column `at` on.
pub(crate) fn read_packed(cells: &Cells<'_>, at: usize) -> Result<Option<Record>, StoreError> {
    let packed: i64 = cells.get(at)?;
    // 9 bits of permissions, 32 of nanoseconds, 2 of the kind.
    let mode = Mode::new(((packed >> 34) & 0o777) as u32);
    match packed & 3 {
        NOTHING => Ok(None),
        FILE => Ok(Some(Record::File(File {
            digest: cells.digest(at + 1)?,
            size: cells.u64(at + 2)?,
            mtime: Mtime { secs: cells.get(at + 3)?, nanos: ((packed >> 2) & 0xffff_ffff) as u32 },
            mode,
        }))),
        DIR => Ok(Some(Record::Dir { mode, digest: cells.optional_bytes(at + 1)?.map(Digest) })),
        _ => Ok(Some(Record::Symlink(Symlink { target: cells.get::<&[u8]>(at + 1)?.into() }))),
    }
}
