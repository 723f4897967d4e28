//! Helpers for Evenfold's own folder, `.evenfold/` at the top of a root.
//!
//! ```text
//! staging/<relationship>/<batch>/<n>   content that is being built; never a user's
//! staging/<relationship>/unlocked/<k>  permission bits to put back (see crate::transition::unlock)
//! staging/<relationship>/swaps/<k>     names that are empty for a moment (see crate::transition::swap)
//! partial/<relationship>/<digest>      large contents of which a part has arrived
//! versions/<stamp>-<batch>/<path>      what was replaced or deleted
//! ```

use std::io;

use evenfold_core::apply::Refusal;
use evenfold_core::{Digest, Mode, RelPath};

use crate::disk::{Disk, Kind, Place};

/// EILSEQ on Linux and macOS, with which file systems refuse names that are no valid text; it has no kind.
const NAME_IS_NO_TEXT: [i32; 2] = [84, 92];

/// ELOOP on Linux and macOS; its kind is not stable yet.
const TOO_MANY_LINKS: [i32; 2] = [40, 62];

/// Permission bits of every directory that Evenfold makes for itself.
pub(crate) const PRIVATE_DIR: u32 = 0o700;

/// Address space for a stack on which the deepest tree (2,048 levels, as paths of 4,096 bytes allow) can be walked
/// by functions that call themselves; only what is used costs memory.
const DEEP_STACK: usize = 64 * 1024 * 1024;

/// Runs `work`, which walks trees, on a thread whose stack holds the deepest one, and waits for it.
pub(crate) fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let mut work = Some(work);
    let done = std::thread::scope(|scope| {
        let run = || work.take().map(|work| work());
        let thread = std::thread::Builder::new().name("fs-deep".to_owned()).stack_size(DEEP_STACK);
        match thread.spawn_scoped(scope, run) {
            // Joined by its handle: to drop the handle detaches the thread, and glibc may then look into
            // the stack of one that has just ended, which is gone already if it is as large as this.
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => {
                tracing::warn!(%error, "no thread for walking trees, the caller's must do");
                None
            }
        }
    });
    match (done, work) {
        (Some(result), _) => result,
        (None, Some(work)) => work(),
        // Whatever was taken was run to its end or panicked, and has returned above.
        (None, None) => std::panic::resume_unwind(Box::new("walking a tree failed")),
    }
}

/// A root and the relationship whose corner in `.evenfold/` is meant.
pub(crate) struct Ground<'a, D> {
    pub(crate) disk: &'a D,
    pub(crate) relationship: u128,
}

impl<D> Clone for Ground<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for Ground<'_, D> {}

/// Builds a path below `.evenfold/` from parts that are valid by construction (hexadecimal, fixed words).
pub(crate) fn own_path(text: &str) -> RelPath {
    // Only fixed words and hexadecimal numbers come here, so this never falls back; the fallback names
    // Evenfold's own folder, where nothing is ever created over or removed as a whole.
    RelPath::new(text.as_bytes()).unwrap_or_default()
}

/// Returns the folder in which contents of `relationship` are built.
pub(crate) fn staging(relationship: u128) -> RelPath {
    own_path(&format!("staging/{relationship:032x}"))
}

/// Returns the folder in which contents of one batch are built.
pub(crate) fn batch_staging(relationship: u128, batch: u128) -> RelPath {
    own_path(&format!("staging/{relationship:032x}/{batch:032x}"))
}

/// Returns the folder of notes about permission bits that were opened for a moment.
pub(crate) fn unlocked(relationship: u128) -> RelPath {
    own_path(&format!("staging/{relationship:032x}/unlocked"))
}

/// Returns the folder of notes about replacements in two steps.
pub(crate) fn swaps(relationship: u128) -> RelPath {
    own_path(&format!("staging/{relationship:032x}/swaps"))
}

/// Returns the folder of contents of which a part has arrived.
pub(crate) fn partials(relationship: u128) -> RelPath {
    own_path(&format!("partial/{relationship:032x}"))
}

/// Returns where a content of which a part has arrived is kept.
pub(crate) fn partial(relationship: u128, digest: Digest) -> RelPath {
    own_path(&format!("partial/{relationship:032x}/{digest}"))
}

/// Makes a directory of Evenfold's own, and those above it, unless they exist.
pub(crate) fn make_dirs<D: Disk>(disk: &D, path: &RelPath, mode: Mode) -> io::Result<()> {
    match disk.make_dir(&Place::Own(path.clone()), mode) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some(parent) = path.parent() else { return Err(error) };
            make_dirs(disk, &parent, Mode::new(PRIVATE_DIR))?;
            match disk.make_dir(&Place::Own(path.clone()), mode) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                result => result,
            }
        }
        result => result,
    }
}

/// Removes a tree of Evenfold's own; what is not there is no error. Returns the bytes of files removed.
pub(crate) fn remove_tree<D: Disk>(disk: &D, path: &RelPath) -> io::Result<u64> {
    let place = Place::Own(path.clone());
    let stat = match disk.stat(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        stat => stat?,
    };
    if stat.kind != Kind::Dir {
        disk.remove_file(&place)?;
        return Ok(stat.size);
    }
    if stat.mode.bits() & 0o700 != 0o700 {
        // A version of a directory without write permission: its owner may still remove what is in it.
        disk.set_mode(&place, Mode::new(stat.mode.bits() | 0o700))?;
    }
    let mut bytes = 0;
    for listed in disk.list(&place)? {
        // A name that is no valid component cannot be addressed; the removal of the directory then fails.
        let Ok(name) = evenfold_core::Name::new(&listed.name) else { continue };
        let below = path.join(&name);
        match &listed.stat {
            Ok(stat) if stat.kind != Kind::Dir => {
                disk.remove_file(&Place::Own(below))?;
                bytes += stat.size;
            }
            _ => bytes += remove_tree(disk, &below)?,
        }
    }
    disk.remove_dir(&place)?;
    Ok(bytes)
}

/// Returns how much space a content of `size` bytes takes, in blocks of 4 KiB as file systems allocate.
pub(crate) fn allocated(size: u64) -> u64 {
    size.div_ceil(4096).saturating_mul(4096)
}

/// Tells which refusal an error on creating or writing is.
pub(crate) fn refusal(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Refusal::NoSpace,
        io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => Refusal::NameNotPossible,
        _ if error.raw_os_error().is_some_and(|code| NAME_IS_NO_TEXT.contains(&code)) => {
            Refusal::NameNotPossible
        }
        _ => Refusal::Io(error.to_string()),
    }
}

/// Tells which refusal an error on a user's path is: if the way to it is not what it was, it has moved on.
pub(crate) fn refusal_at_path(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory => Refusal::MovedOn,
        // A link stands where a directory stood.
        _ if error.raw_os_error().is_some_and(|code| TOO_MANY_LINKS.contains(&code)) => Refusal::MovedOn,
        _ => refusal(error),
    }
}
