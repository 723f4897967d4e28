//! Open files of the Linux disk.

use std::io;
use std::os::fd::OwnedFd;

use evenfold_core::{Mode, Mtime};
use rustix::fs::{self, SeekFrom, Timespec, Timestamps};
use rustix::io::Errno;

use super::linux_direct::Direct;
use crate::disk::{Kind, ReadFile, Stat, WriteFile};

/// Translates what the system says of a file.
#[allow(clippy::unnecessary_cast, reason = "the types differ between processors")]
pub(super) fn stat_of(raw: &fs::Stat) -> Stat {
    let kind = match fs::FileType::from_raw_mode(raw.st_mode) {
        fs::FileType::RegularFile => Kind::File,
        fs::FileType::Directory => Kind::Dir,
        fs::FileType::Symlink => Kind::Symlink,
        _ => Kind::Special,
    };
    Stat {
        kind,
        dev: raw.st_dev as u64,
        ino: raw.st_ino as u64,
        size: raw.st_size as u64,
        mtime: Mtime { secs: raw.st_mtime as i64, nanos: raw.st_mtime_nsec as u32 },
        ctime: Mtime { secs: raw.st_ctime as i64, nanos: raw.st_ctime_nsec as u32 },
        mode: Mode::new(raw.st_mode),
    }
}

/// A modification time to be set, leaving the time of access alone.
pub(super) fn times(mtime: Mtime) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT as _ },
        last_modification: Timespec { tv_sec: mtime.secs, tv_nsec: mtime.nanos.into() },
    }
}

/// Permission bits as the system takes them.
pub(super) fn bits(mode: Mode) -> fs::Mode {
    fs::Mode::from_raw_mode(mode.bits())
}

/// A file open for reading.
pub(super) struct Reading(pub(super) OwnedFd);

impl ReadFile for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut *buffer))?)
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        fs::seek(&self.0, SeekFrom::Start(offset))?;
        Ok(())
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(stat_of(&fs::fstat(&self.0)?))
    }
}

/// A file of Evenfold's own folder, open for writing.
pub(super) struct Writing {
    fd: OwnedFd,
    at: u64,
    length: u64,
    direct: Option<Direct>,
}

impl Writing {
    /// Wraps `fd`, whose position is 0 and whose length is `length`.
    pub(super) fn new(fd: OwnedFd, length: u64) -> Self {
        Writing { fd, at: 0, length, direct: None }
    }
}

impl WriteFile for Writing {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(direct) = &mut self.direct {
            direct.write(&self.fd, self.at, bytes)?;
            self.at += bytes.len() as u64;
            self.length = self.length.max(self.at);
            return Ok(());
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = rustix::io::retry_on_intr(|| rustix::io::write(&self.fd, rest))?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(written..).unwrap_or_default();
            self.at += written as u64;
            self.length = self.length.max(self.at);
        }
        Ok(())
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        if let Some(direct) = &mut self.direct {
            direct.flush(&self.fd)?;
        }
        self.at = fs::seek(&self.fd, SeekFrom::Start(offset))?;
        Ok(())
    }

    fn finish(&mut self, size: u64, mode: Mode, mtime: Mtime) -> io::Result<Stat> {
        if let Some(direct) = &mut self.direct {
            direct.flush(&self.fd)?;
        }
        if self.length != size {
            fs::ftruncate(&self.fd, size)?;
            self.length = size;
        }
        fs::fchmod(&self.fd, bits(mode))?;
        fs::futimens(&self.fd, &times(mtime))?;
        Ok(stat_of(&fs::fstat(&self.fd)?))
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(rustix::io::retry_on_intr(|| fs::fsync(&self.fd))?)
    }

    fn start_writeback(&mut self) {
        if self.direct.is_none() {
            start_writeback(&self.fd);
        }
    }

    fn bypass_cache(&mut self) {
        self.direct = Direct::new(&self.fd);
    }
}

/// Asks the system to begin writing back all of the file. It is a hint: an error shows at the next sync.
#[allow(unsafe_code, reason = "the safe system call crate does not offer sync_file_range")]
fn start_writeback(fd: &OwnedFd) {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open as long as `fd` lives, and the call touches no memory of ours.
    let _ = unsafe { libc::sync_file_range(fd.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Refuses what is not a regular file.
pub(super) fn regular(stat: &Stat) -> Result<(), Errno> {
    if stat.kind == Kind::File { Ok(()) } else { Err(Errno::INVAL) }
}
