//! Reads a file and computes its digest, making sure that it did not change meanwhile.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use evenfold_core::{Digest, RelPath};

use crate::disk::{Disk, Kind, Place, ReadFile, Stat};
use crate::index::StatKey;
use crate::scan::Counters;

/// Files from this size (in bytes) on are hashed one after the other, each by all threads at once: smaller ones
/// are cheaper to spread over the threads whole, and the memory for large buffers is needed only once.
pub const LARGE: u64 = 16 * 1024 * 1024;

/// Bytes read at a time from a large file; two such buffers exist, one being filled, one being hashed. Files
/// are read and not mapped, because a mapped file that is truncated meanwhile kills the process.
const LARGE_BUFFER: usize = 4 * 1024 * 1024;

/// Bytes read at a time from other files; one such buffer per thread.
const SMALL_BUFFER: usize = 256 * 1024;

/// How often a file is read that changes while it is read.
const TRIES: usize = 3;

/// Why a file has no digest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    #[error("it changed while it was read, {TRIES} times")]
    Changing,
    #[error("it vanished after its folder was listed")]
    Vanished,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("stopped")]
    Stopped,
}

/// A content and the stat that it was read under.
pub(crate) struct Hashed {
    pub(crate) digest: Digest,
    pub(crate) stat: Stat,
    pub(crate) key: StatKey,
}

/// Buffers that are reused from file to file.
#[derive(Default)]
pub(crate) struct Buffers {
    one: Vec<u8>,
    two: Vec<u8>,
}

/// How to hash.
#[derive(Clone, Copy)]
pub(crate) struct Hashing<'a> {
    /// Whether one large file is hashed by several threads of the present pool.
    pub(crate) parallel: bool,
    /// Set from elsewhere to give up.
    pub(crate) stop: &'a AtomicBool,
    /// Counts what is done.
    pub(crate) counters: &'a Counters,
}

impl Hashing<'_> {
    /// Reads the file at `path`, which looked like `listed` a moment ago.
    pub(crate) fn hash<D: Disk>(
        self,
        disk: &D,
        path: &RelPath,
        listed: &Stat,
        buffers: &mut Buffers,
    ) -> Result<Hashed, HashError> {
        let mut before = *listed;
        for _ in 0..TRIES {
            let now = disk.now();
            let mut file = match disk.open(&Place::User(path.clone())) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(HashError::Vanished),
                other => other?,
            };
            let large = before.size >= LARGE;
            let (digest, length) = if large && self.parallel {
                self.read_large(file.as_mut(), buffers)?
            } else {
                self.read_small(file.as_mut(), before.size, buffers)?
            };
            self.counters.read_file(length);
            let after = file.stat()?;
            if after == before && length == after.size && after.kind == Kind::File {
                return Ok(Hashed { digest, stat: after, key: StatKey::settled(&after, now) });
            }
            before = after;
        }
        Err(HashError::Changing)
    }

    fn read_small(
        self,
        file: &mut dyn ReadFile,
        expected: u64,
        buffers: &mut Buffers,
    ) -> Result<(Digest, u64), HashError> {
        buffers.one.resize(SMALL_BUFFER, 0);
        let mut hasher = blake3::Hasher::new();
        let mut length = 0;
        loop {
            let read = fill(file, &mut buffers.one, expected.saturating_sub(length))?;
            hasher.update(buffers.one.get(..read).unwrap_or_default());
            length += read as u64;
            // The stat afterwards shows whether there is more than expected.
            if read == 0 || length >= expected {
                return Ok((Digest(*hasher.finalize().as_bytes()), length));
            }
            self.go_on()?;
        }
    }

    fn read_large(self, file: &mut dyn ReadFile, buffers: &mut Buffers) -> Result<(Digest, u64), HashError> {
        buffers.one.resize(LARGE_BUFFER, 0);
        buffers.two.resize(LARGE_BUFFER, 0);
        let (mut full, mut empty) = (&mut buffers.one, &mut buffers.two);
        let mut hasher = blake3::Hasher::new();
        let mut length = 0;
        let mut read = fill(file, full, u64::MAX)?;
        while read > 0 {
            self.go_on()?;
            length += read as u64;
            let ready = full.get(..read).unwrap_or_default();
            let hash = || {
                hasher.update_rayon(ready);
            };
            let (next, ()) = rayon::join(|| fill(file, empty, u64::MAX), hash);
            read = next?;
            std::mem::swap(&mut full, &mut empty);
        }
        Ok((Digest(*hasher.finalize().as_bytes()), length))
    }

    fn go_on(self) -> Result<(), HashError> {
        if self.stop.load(Ordering::Relaxed) { Err(HashError::Stopped) } else { Ok(()) }
    }
}

/// Reads until the buffer is full, `expected` bytes have come, or the file ends.
fn fill(file: &mut dyn ReadFile, buffer: &mut [u8], expected: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() && (filled as u64) < expected {
        match file.read(buffer.get_mut(filled..).unwrap_or_default())? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
