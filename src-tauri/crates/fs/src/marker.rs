//! The identity of a root: a marker in `.evenfold/` that names the relationship, and an epoch.
//!
//! A root that lost its marker, or never had it, is another folder than the one that was joined (an unmounted
//! disk leaves an empty one, for example), so nothing may be concluded from what it does not hold. The epoch
//! counts batches; a root that was restored from a backup has an older one than the database remembers.
//!
//! A root into which nothing may be written is known by its file system's own identity instead.

use std::io;

use evenfold_core::{Mode, RelPath};

use crate::disk::{Disk, Place, Stat};
use crate::scan::ScanError;

/// The first line of a marker.
const HEADER: &str = "evenfold marker 1";

/// More than any marker holds, in bytes: what is longer is none.
const MAX_MARKER: usize = 1024;

const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIR: u32 = 0o700;

/// How a root is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// The root is being joined: a marker is written unless there is one of this relationship already.
    Create {
        /// Random identity of this root, by which it is told from a copy of it.
        replica: u128,
    },
    /// The marker must be there.
    Expect {
        /// The identity that it must have, if it is known.
        replica: Option<u128>,
    },
    /// Nothing is written; the root is known by device and inode.
    FileSystem {
        /// Device of the file system.
        dev: u64,
        /// Inode of the root.
        ino: u64,
    },
}

/// What a root that was opened is recognised by from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Its marker.
    Marker {
        /// Random identity of this root.
        replica: u128,
    },
    /// Device and inode.
    FileSystem {
        /// Device of the file system.
        dev: u64,
        /// Inode of the root.
        ino: u64,
    },
}

/// Checks that the root is the one that was joined.
///
/// # Errors
/// `RootMissing`, `RootReplaced` or `RootUnreadable`.
pub fn check<D: Disk>(disk: &D, relationship: u128, identity: Identity) -> Result<(), ScanError> {
    let here = check_path(disk)?;
    match identity {
        Identity::FileSystem { dev, ino } if (here.dev, here.ino) == (dev, ino) => Ok(()),
        Identity::FileSystem { .. } => {
            Err(replaced("it has another identity on the file system than the folder that was joined"))
        }
        Identity::Marker { replica } => match read(disk, relationship)? {
            Some(found) if found == replica => Ok(()),
            Some(_) => Err(replaced("its marker is that of another copy of this folder")),
            None => Err(replaced("its marker is gone")),
        },
    }
}

/// Checks that the root's path still leads to the root, and says what stands there.
fn check_path<D: Disk>(disk: &D) -> Result<Stat, ScanError> {
    let unreadable = |error: io::Error| ScanError::RootUnreadable(error.to_string());
    let named = match disk.root_by_path() {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(ScanError::RootMissing);
        }
        other => other.map_err(unreadable)?,
    };
    let opened = disk.stat(&Place::User(RelPath::root())).map_err(unreadable)?;
    if (named.dev, named.ino) == (opened.dev, opened.ino) {
        Ok(opened)
    } else {
        Err(replaced("another folder stands at its path, or a disk was mounted or unmounted there"))
    }
}

fn replaced(detail: &str) -> ScanError {
    ScanError::RootReplaced { detail: detail.to_owned() }
}

/// Finds out or establishes by what the root is recognised.
///
/// # Errors
/// As [`check`]; `RootUnreadable` also if the marker cannot be written.
pub(crate) fn open<D: Disk>(disk: &D, relationship: u128, marker: Marker) -> Result<Identity, ScanError> {
    let identity = match marker {
        Marker::FileSystem { dev, ino } => Identity::FileSystem { dev, ino },
        Marker::Create { replica } => {
            check_path(disk)?;
            let mut found = read(disk, relationship)?;
            if found.is_none() {
                create(disk, relationship, replica).map_err(|error| {
                    ScanError::RootUnreadable(format!("the marker could not be written: {error}"))
                })?;
                found = read(disk, relationship)?;
            }
            Identity::Marker { replica: found.ok_or_else(|| replaced("its marker is gone"))? }
        }
        Marker::Expect { replica: Some(replica) } => Identity::Marker { replica },
        Marker::Expect { replica: None } => {
            check_path(disk)?;
            let found = read(disk, relationship)?;
            Identity::Marker { replica: found.ok_or_else(|| replaced("its marker is gone"))? }
        }
    };
    check(disk, relationship, identity)?;
    Ok(identity)
}

/// Returns how many batches have been applied to the root; 0 if nothing says so, which makes the caller
/// distrust what it remembers.
///
/// # Errors
/// Those of reading.
pub fn epoch<D: Disk>(disk: &D, relationship: u128) -> io::Result<u64> {
    read_number(disk, &epoch_place(relationship))
}

/// Returns how often it was counted that users changed the root; 0 if nothing says so.
///
/// # Errors
/// Those of reading.
pub fn changes<D: Disk>(disk: &D, relationship: u128) -> io::Result<u64> {
    read_number(disk, &changes_place(relationship))
}

/// Records, durably, how often it was counted that users changed the root.
///
/// # Errors
/// Those of writing; the old number or the new one stands then.
pub fn set_changes<D: Disk>(disk: &D, relationship: u128, new: u64) -> io::Result<()> {
    write_number(disk, &changes_place(relationship), new)
}

fn read_number<D: Disk>(disk: &D, place: &Place) -> io::Result<u64> {
    let Some(bytes) = read_own(disk, place, 9)? else { return Ok(0) };
    Ok(bytes.try_into().map_or(0, u64::from_le_bytes))
}

/// Returns the first epoch of the generation after that of `epoch`: what a root goes on with that was restored from
/// a backup. The upper half of an epoch numbers the generation, the lower half the batches.
pub(crate) fn next_generation(epoch: u64) -> u64 {
    ((epoch >> 32) + 1) << 32
}

/// Records, durably, that the root is at epoch `new`.
///
/// # Errors
/// Those of writing; the old epoch or the new one stands then.
pub fn bump_epoch<D: Disk>(disk: &D, relationship: u128, new: u64) -> io::Result<()> {
    write_number(disk, &epoch_place(relationship), new)
}

fn write_number<D: Disk>(disk: &D, place: &Place, new: u64) -> io::Result<()> {
    let mut file = match disk.reopen(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match disk.create(place) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => disk.reopen(place)?,
            other => other?,
        },
        other => other?,
    };
    // Eight bytes at the start of a file lie within one sector, which disks write whole or not at all.
    file.write_all(&new.to_le_bytes())?;
    file.sync()
}

fn create<D: Disk>(disk: &D, relationship: u128, replica: u128) -> io::Result<()> {
    let own = Place::Own(RelPath::root());
    match disk.make_dir(&own, Mode::new(PRIVATE_DIR)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    if read_own(disk, &epoch_place(relationship), 9)?.is_none() {
        bump_epoch(disk, relationship, 0)?;
    }
    // Built beside its final name, so that a crash leaves no half marker that means "replaced".
    let new = own_place(&format!("marker-{}.{replica:032x}", hyphenated(relationship)));
    remove_leftover(disk, &new)?;
    let text = format!(
        "{HEADER}\nThis folder is kept in sync by Evenfold. Without this file it is not recognised.\n\
         relationship {}\nreplica {}\n",
        hyphenated(relationship),
        hyphenated(replica)
    );
    let mut file = disk.create(&new)?;
    file.write_all(text.as_bytes())?;
    file.finish(text.len() as u64, Mode::new(PRIVATE_FILE), disk.now())?;
    file.sync()?;
    drop(file);
    match disk.rename_new(&new, &marker_place(relationship)) {
        // Somebody else who joins the same folder was faster: that marker counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => remove_leftover(disk, &new)?,
        other => other?,
    }
    disk.sync_dirs(&[own, Place::User(RelPath::root())])
}

fn remove_leftover<D: Disk>(disk: &D, place: &Place) -> io::Result<()> {
    match disk.remove_file(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Returns the replica that the marker names, or `None` if there is no marker.
fn read<D: Disk>(disk: &D, relationship: u128) -> Result<Option<u128>, ScanError> {
    let bytes = read_own(disk, &marker_place(relationship), MAX_MARKER)
        .map_err(|error| ScanError::RootUnreadable(format!("its marker cannot be read: {error}")))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let field = |name: &str| text.lines().find_map(|line| parse_hyphenated(line.strip_prefix(name)?.trim()));
    match (text.starts_with(HEADER), field("relationship "), field("replica ")) {
        (true, Some(named), Some(replica)) if named == relationship => Ok(Some(replica)),
        _ => Err(replaced("its marker is damaged")),
    }
}

/// Reads a file of at most `limit` bytes; `None` if there is none.
fn read_own<D: Disk>(disk: &D, place: &Place, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut file = match disk.open(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut bytes = vec![0; limit];
    let mut filled = 0;
    while filled < limit {
        match file.read(bytes.get_mut(filled..).unwrap_or_default())? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(Some(bytes))
}

fn marker_place(relationship: u128) -> Place {
    own_place(&format!("marker-{}", hyphenated(relationship)))
}

fn epoch_place(relationship: u128) -> Place {
    own_place(&format!("epoch-{}", hyphenated(relationship)))
}

fn changes_place(relationship: u128) -> Place {
    own_place(&format!("changes-{}", hyphenated(relationship)))
}

fn own_place(name: &str) -> Place {
    Place::Own(crate::own::own_path(name))
}

/// Writes a UUID as people know it.
fn hyphenated(id: u128) -> String {
    let hex = format!("{id:032x}");
    let part = |range| hex.get(range).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}

fn parse_hyphenated(text: &str) -> Option<u128> {
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    (hex.len() == 32).then(|| u128::from_str_radix(&hex, 16).ok()).flatten()
}
