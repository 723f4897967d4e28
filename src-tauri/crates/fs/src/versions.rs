//! What was replaced or deleted, kept below `.evenfold/versions/` for a time.
//!
//! Each batch that replaces or deletes something makes a set, named by time and batch
//! (`20261121T140207123Z-0badcafe`); in it everything has the path that it had below the root. The name of the
//! set is the id of a version. Directories above a version have been made for it; those that were deleted as a
//! whole are complete.

use std::io;
use std::time::Duration;

use evenfold_core::{Mtime, Name, RelPath};

use crate::disk::{Disk, Kind, Place, ReadFile};
use crate::own;

/// An earlier content of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Names the version, together with the path; stable.
    pub id: String,
    /// The path that it had.
    pub path: RelPath,
    /// When it was replaced or deleted, to the millisecond.
    pub at: Mtime,
    /// What it is.
    pub kind: Kind,
    /// Bytes of the file, or of all files of the directory that are in this version.
    pub size: u64,
    /// Last modification of its content.
    pub mtime: Mtime,
}

/// How long versions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Sets older than this are dropped.
    pub age: Duration,
    /// While all sets together hold more bytes of files than this, the oldest is dropped.
    pub bytes: Option<u64>,
}

/// What was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Sets of versions.
    pub sets: u64,
    /// Bytes of files.
    pub bytes: u64,
}

/// Returns the versions of a path, newest first. One of a directory holds what was replaced or deleted in it at
/// that time: all of it, if it was deleted as a whole. Blocks.
///
/// # Errors
/// The first error of listing; a root without versions is no error.
pub fn versions<D: Disk>(disk: &D, path: &RelPath) -> io::Result<Vec<Version>> {
    let mut found = Vec::new();
    for (at, id) in sets(disk)?.into_iter().rev() {
        let place = place(&id, path);
        let stat = match disk.stat(&Place::Own(place.clone())) {
            // The set holds other paths, or has something else than a directory on the way to this one.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                continue;
            }
            stat => stat?,
        };
        let size = if stat.kind == Kind::Dir { own::deep(|| bytes(disk, &place))? } else { stat.size };
        found.push(Version { id, path: path.clone(), at, kind: stat.kind, size, mtime: stat.mtime });
    }
    Ok(found)
}

/// Drops versions that need not be kept any more, oldest first. Touches nothing but sets of versions. Blocks.
///
/// # Errors
/// The first error of listing or removing; what was dropped before stays dropped.
pub fn drop_versions<D: Disk>(disk: &D, keep: &Keep) -> io::Result<Dropped> {
    own::deep(|| drop_sets(disk, keep))
}

fn drop_sets<D: Disk>(disk: &D, keep: &Keep) -> io::Result<Dropped> {
    let now = disk.now();
    let age = i64::try_from(keep.age.as_secs()).unwrap_or(i64::MAX);
    let mut sets = sets(disk)?;
    let mut dropped = Dropped::default();
    let young = sets.partition_point(|(at, _)| at.secs < now.secs.saturating_sub(age));
    let mut drop_set = |id: &str| -> io::Result<()> {
        dropped.bytes += own::remove_tree(disk, &place(id, &RelPath::root()))?;
        dropped.sets += 1;
        Ok(())
    };
    for (_, id) in sets.drain(..young) {
        drop_set(&id)?;
    }
    if let Some(limit) = keep.bytes {
        let sizes = sets.iter().map(|(_, id)| bytes(disk, &place(id, &RelPath::root())));
        let sizes = sizes.collect::<io::Result<Vec<u64>>>()?;
        let mut total: u64 = sizes.iter().sum();
        for ((_, id), size) in sets.iter().zip(sizes) {
            if total <= limit {
                break;
            }
            drop_set(id)?;
            total = total.saturating_sub(size);
        }
    }
    Ok(dropped)
}

/// Opens the file that a version of `path` is, for reading. Blocks.
///
/// # Errors
/// `NotFound` when there is no such version, otherwise what the system says: a directory or link cannot be opened.
pub fn open<D: Disk>(disk: &D, id: &str, path: &RelPath) -> io::Result<Box<dyn ReadFile>> {
    // An id is the name of a directory: only what we name so ourselves may become a part of a path.
    time_of(id).ok_or(io::ErrorKind::NotFound)?;
    disk.open(&Place::Own(place(id, path)))
}

/// Returns where a version lies below Evenfold's own folder.
pub(crate) fn place(id: &str, path: &RelPath) -> RelPath {
    own::own_path(&format!("versions/{id}")).join_path(path)
}

/// Returns the sets of versions, oldest first. What is not named like one is not one.
fn sets<D: Disk>(disk: &D) -> io::Result<Vec<(Mtime, String)>> {
    let listed = match disk.list(&Place::Own(own::own_path("versions"))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let ids = listed.iter().filter_map(|listed| std::str::from_utf8(&listed.name).ok());
    let mut sets: Vec<_> = ids.filter_map(|id| Some((time_of(id)?, id.to_owned()))).collect();
    sets.sort_unstable();
    Ok(sets)
}

/// Adds up the bytes of the files of a tree of Evenfold's own.
fn bytes<D: Disk>(disk: &D, path: &RelPath) -> io::Result<u64> {
    let mut sum = 0;
    for listed in disk.list(&Place::Own(path.clone()))? {
        let (Ok(name), Ok(stat)) = (Name::new(&listed.name), &listed.stat) else { continue };
        sum += match stat.kind {
            Kind::Dir => bytes(disk, &path.join(&name))?,
            _ => stat.size,
        };
    }
    Ok(sum)
}

/// Returns the name of a set of versions.
pub(crate) fn version_id(at: Mtime, batch: u128) -> String {
    let stamp = evenfold_core::conflict::stamp(at);
    let seconds = stamp.trim_end_matches('Z');
    format!("{seconds}{:03}Z-{:08x}", at.nanos / 1_000_000, (batch >> 96) as u32)
}

/// Returns the time in the name of a set, or `None` if it is not named like one.
pub(crate) fn time_of(id: &str) -> Option<Mtime> {
    let (stamp, batch) = id.split_once('-')?;
    let hexadecimal =
        batch.len() == 8 && batch.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
    let (date, time) = stamp.strip_suffix('Z')?.split_once('T')?;
    if !hexadecimal || date.len() != 8 || time.len() != 9 {
        return None;
    }
    let number = |text: &str, from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
    };
    let days = days_from_civil(number(date, 0, 4)?, number(date, 4, 6)?, number(date, 6, 8)?);
    let second = number(time, 0, 2)? * 3600 + number(time, 2, 4)? * 60 + number(time, 4, 6)?;
    let nanos = u32::try_from(number(time, 6, 9)?).ok()? * 1_000_000;
    Some(Mtime { secs: days * 86_400 + second, nanos })
}

/// Days since 1970-01-01: Howard Hinnant, "chrono-compatible low-level date algorithms".
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
#[path = "versions_tests.rs"]
mod tests;
