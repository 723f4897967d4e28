//! Writing past the page cache (`O_DIRECT`).
//!
//! Copying a gigabyte into the page cache takes about a second of processor time, and writing it back later
//! holds up whoever waits for it to be durable. Written past the cache, it costs next to nothing beside the
//! disk's own time. The disk wants whole, aligned blocks; beginnings and ends that are none go through the
//! cache, and so does everything where the file system does not know this way.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{self, OFlags};
use rustix::io::Errno;

/// What offsets, lengths and memory must be multiples of, in bytes: the largest sector in use.
const ALIGN: usize = 4096;

/// Bytes written at once: enough to keep a fast disk busy (0.6 s for a gigabyte where 1 MiB took 0.8).
const BLOCK: usize = 4 * 1024 * 1024;

/// What waits to be written past the cache.
pub(super) struct Direct {
    memory: Vec<u8>,
    /// Where in the memory the first aligned byte is.
    start: usize,
    filled: usize,
    /// Offset in the file of what is filled; a multiple of [`ALIGN`] unless nothing is.
    offset: u64,
    /// Whether the file system has taken this way so far.
    works: bool,
}

impl Direct {
    /// Prepares for writing past the cache; `None` if the file system says at once that it cannot.
    pub(super) fn new(fd: &OwnedFd) -> Option<Self> {
        set_direct(fd, true).and_then(|()| set_direct(fd, false)).ok()?;
        let memory = vec![0; BLOCK + ALIGN];
        let start = memory.as_ptr().align_offset(ALIGN);
        (start <= ALIGN).then_some(Direct { memory, start, filled: 0, offset: 0, works: true })
    }

    /// Takes bytes that belong at the offset `at`, directly behind those before or after a flush.
    pub(super) fn write(&mut self, fd: &OwnedFd, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
        let within = (at % ALIGN as u64) as usize;
        if self.filled == 0 && within > 0 {
            let (head, rest) = bytes.split_at(bytes.len().min(ALIGN - within));
            write_at(fd, at, head)?;
            at += head.len() as u64;
            bytes = rest;
        }
        while !bytes.is_empty() {
            if self.filled == 0 {
                self.offset = at;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            let begin = self.start + self.filled;
            if let Some(room) = self.memory.get_mut(begin..begin + now.len()) {
                room.copy_from_slice(now);
            }
            self.filled += now.len();
            at += now.len() as u64;
            bytes = rest;
            if self.filled == BLOCK {
                self.flush(fd)?;
            }
        }
        Ok(())
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self, fd: &OwnedFd) -> io::Result<()> {
        let aligned = self.filled / ALIGN * ALIGN;
        let filled = self.memory.get(self.start..self.start + self.filled).unwrap_or_default();
        let (whole, tail) = filled.split_at(aligned);
        // Forgotten also if it fails: whoever writes gives the file up then.
        self.filled = 0;
        if self.works && !whole.is_empty() {
            set_direct(fd, true)?;
            let written = write_at(fd, self.offset, whole);
            set_direct(fd, false)?;
            match written {
                // Larger sectors than expected, or a file system that only seemed to know this way.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => self.works = false,
                other => {
                    other?;
                    return write_at(fd, self.offset + aligned as u64, tail);
                }
            }
        }
        write_at(fd, self.offset, filled)
    }
}

fn set_direct(fd: &OwnedFd, direct: bool) -> Result<(), Errno> {
    let flags = fs::fcntl_getfl(fd)?;
    fs::fcntl_setfl(fd, if direct { flags | OFlags::DIRECT } else { flags - OFlags::DIRECT })
}

fn write_at(fd: &OwnedFd, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(fd, bytes, at))?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        at += written as u64;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn any_offsets_and_lengths_come_out_right() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let at = folder.path().join("f");
        for steps in [
            &[1usize, 4095, 4096, 10_000_000, 7][..],
            &[BLOCK, BLOCK],
            &[BLOCK - 1, 1, 5],
            &[100, 200, 300],
            &[3 * BLOCK + 4097],
        ] {
            let file = std::fs::File::create(&at).unwrap();
            let fd = OwnedFd::from(file);
            let mut direct = Direct::new(&fd).unwrap();
            let mut expected = Vec::new();
            for (n, len) in steps.iter().enumerate() {
                let bytes: Vec<u8> = (0..*len).map(|i| (i * 31 + n) as u8).collect();
                direct.write(&fd, expected.len() as u64, &bytes).unwrap();
                expected.extend(bytes);
                if n == 2 {
                    direct.flush(&fd).unwrap();
                }
            }
            direct.flush(&fd).unwrap();
            let mut found = Vec::new();
            std::fs::File::open(&at).unwrap().read_to_end(&mut found).unwrap();
            assert!(found == expected, "{steps:?}");
        }
    }
}
