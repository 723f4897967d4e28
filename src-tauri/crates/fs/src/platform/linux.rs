//! The disk on Linux: every path is resolved by the kernel beneath the root's directory descriptor.
//!
//! `openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV` opens the
//! directory in which something happens; the call itself then names one component relative to it. So whoever
//! swaps a directory for a link meanwhile makes the call fail, and never makes it reach outside. Mount points
//! are not crossed: such calls fail with `CrossesDevices`. Where `openat2` is missing (before Linux 5.6, or
//! forbidden by a sandbox) each component is opened in turn without following links.
//!
//! No descriptor is kept but the root's: a kept one would go on naming a directory that was moved out of the
//! root. At most four are open at a time per calling thread.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use evenfold_core::path::RESERVED;
use evenfold_core::{Mode, Mtime};
use rustix::fs::{self, AtFlags, OFlags, RawDir, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use super::linux_file::{Reading, Writing, bits, regular, stat_of, times};
use crate::disk::{Disk, ErrorKind, Kind, Listed, Place, ReadFile, Stat, WriteFile};

/// How often a resolution is tried again when the kernel saw a rename meanwhile and could not tell whether the
/// path stayed beneath the root. Somebody who renames without pause gets an error, not an endless loop.
const RESOLVE_TRIES: usize = 64;

/// Bytes of directory entries fetched by one system call: about 1,000 names.
const LISTING_BUFFER: usize = 32 * 1024;

thread_local! {
    static LISTING: RefCell<Vec<MaybeUninit<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A root folder on a real Linux file system.
#[derive(Debug)]
pub struct RealDisk {
    root: OwnedFd,
    path: PathBuf,
    /// Cleared when the kernel turns out to have no `openat2`.
    resolves: AtomicBool,
}

impl RealDisk {
    /// Opens the folder at `path`, which must exist and be readable. A link at `path` itself is followed.
    ///
    /// # Errors
    /// Those of opening a directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let root = fs::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, fs::Mode::empty())?;
        Ok(RealDisk { root, path, resolves: AtomicBool::new(true) })
    }

    /// Returns the path by which the root was opened, made absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens what stands at `place` without reading it, not following a link.
    pub(super) fn handle(&self, place: &Place) -> Result<OwnedFd, Errno> {
        self.beneath(&bytes_of(place), OFlags::PATH | OFlags::NOFOLLOW, fs::Mode::empty())
    }

    fn beneath(&self, path: &[u8], flags: OFlags, mode: fs::Mode) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC;
        if self.resolves.load(Ordering::Relaxed) {
            let resolve = ResolveFlags::BENEATH
                | ResolveFlags::NO_SYMLINKS
                | ResolveFlags::NO_MAGICLINKS
                | ResolveFlags::NO_XDEV;
            let mut result = Err(Errno::AGAIN);
            for _ in 0..RESOLVE_TRIES {
                result = fs::openat2(&self.root, path, flags, mode, resolve);
                if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
                    break;
                }
            }
            match result {
                Err(Errno::NOSYS) => self.resolves.store(false, Ordering::Relaxed),
                // A sandbox that forbids `openat2` says so for the root itself, too.
                Err(Errno::PERM)
                    if fs::openat2(&self.root, ".", OFlags::PATH, fs::Mode::empty(), resolve).is_err() =>
                {
                    self.resolves.store(false, Ordering::Relaxed);
                }
                other => return other,
            }
        }
        self.walk(path, flags, mode)
    }

    /// Does what `openat2` would do, one component after the other.
    fn walk(&self, path: &[u8], flags: OFlags, mode: fs::Mode) -> Result<OwnedFd, Errno> {
        let device = fs::fstat(&self.root)?.st_dev;
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut components = path.split(|b| *b == b'/').peekable();
        let mut at = fs::openat(&self.root, ".", step, fs::Mode::empty())?;
        while let Some(name) = components.next() {
            let last = components.peek().is_none();
            let (flags, mode) =
                if last { (flags | OFlags::NOFOLLOW, mode) } else { (step, fs::Mode::empty()) };
            let next = fs::openat(&at, name, flags, mode)?;
            if fs::fstat(&next)?.st_dev != device && (!last || flags.contains(OFlags::DIRECTORY)) {
                return Err(Errno::XDEV);
            }
            at = next;
        }
        Ok(at)
    }

    /// Opens the directory that holds `place` and returns it with the last component.
    fn parent(&self, place: &Place) -> Result<(OwnedFd, Vec<u8>), Errno> {
        let path = bytes_of(place);
        let (parent, name) = match path.iter().rposition(|b| *b == b'/') {
            Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
            None if &path[..] == b"." => return Err(Errno::BUSY),
            None => (&b"."[..], &path[..]),
        };
        let fd = self.beneath(parent, OFlags::PATH | OFlags::DIRECTORY, fs::Mode::empty())?;
        Ok((fd, name.to_vec()))
    }
}

/// Changes the mode of what a handle names, which is no link.
fn chmod_handle(fd: &OwnedFd, mode: fs::Mode) -> Result<(), Errno> {
    match fs::chmod(proc_path(fd), mode) {
        // Without /proc it takes a descriptor for reading, which needs the permission to read.
        Err(Errno::NOENT) => {
            fs::fchmod(fs::openat(fd, ".", OFlags::RDONLY | OFlags::CLOEXEC, fs::Mode::empty())?, mode)
        }
        other => other,
    }
}

/// A path that names exactly what `fd` names, for calls that take no descriptor.
pub(super) fn proc_path(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn bytes_of(place: &Place) -> Cow<'_, [u8]> {
    match place {
        Place::User(path) if path.is_root() => Cow::Borrowed(b"."),
        Place::User(path) => Cow::Borrowed(path.as_bytes()),
        Place::Own(path) if path.is_root() => Cow::Borrowed(RESERVED),
        Place::Own(path) => Cow::Owned([RESERVED, b"/", path.as_bytes()].concat()),
    }
}

fn own_only(place: &Place) -> io::Result<()> {
    match place {
        Place::Own(_) => Ok(()),
        Place::User(_) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

impl Disk for RealDisk {
    fn stat(&self, place: &Place) -> io::Result<Stat> {
        Ok(stat_of(&fs::fstat(self.handle(place)?)?))
    }

    fn list(&self, place: &Place) -> io::Result<Vec<Listed>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let dir = self.beneath(&bytes_of(place), flags, fs::Mode::empty())?;
        let top = matches!(place, Place::User(path) if path.is_root());
        LISTING.with_borrow_mut(|buffer| {
            buffer.resize(LISTING_BUFFER, MaybeUninit::uninit());
            list_open(&dir, buffer, top)
        })
    }

    fn read_link(&self, place: &Place) -> io::Result<Vec<u8>> {
        Ok(fs::readlinkat(self.handle(place)?, "", Vec::new())?.into_bytes())
    }

    fn open(&self, place: &Place) -> io::Result<Box<dyn ReadFile>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = Reading(self.beneath(&bytes_of(place), flags, fs::Mode::empty())?);
        regular(&file.stat()?)?;
        Ok(Box::new(file))
    }

    fn create(&self, place: &Place) -> io::Result<Box<dyn WriteFile>> {
        own_only(place)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let fd = self.beneath(&bytes_of(place), flags, fs::Mode::RUSR | fs::Mode::WUSR)?;
        Ok(Box::new(Writing::new(fd, 0)))
    }

    fn reopen(&self, place: &Place) -> io::Result<Box<dyn WriteFile>> {
        own_only(place)?;
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = self.beneath(&bytes_of(place), flags, fs::Mode::empty())?;
        let stat = stat_of(&fs::fstat(&fd)?);
        regular(&stat)?;
        Ok(Box::new(Writing::new(fd, stat.size)))
    }

    fn make_dir(&self, place: &Place, mode: Mode) -> io::Result<()> {
        let (parent, name) = self.parent(place)?;
        fs::mkdirat(&parent, &name[..], bits(mode))?;
        let made = fs::statat(&parent, &name[..], AtFlags::SYMLINK_NOFOLLOW)?;
        // The umask may have taken bits away.
        if Mode::new(made.st_mode) == mode { Ok(()) } else { self.set_mode(place, mode) }
    }

    fn make_link(&self, place: &Place, target: &[u8]) -> io::Result<()> {
        let (parent, name) = self.parent(place)?;
        Ok(fs::symlinkat(target, &parent, &name[..])?)
    }

    fn set_mode(&self, place: &Place, mode: Mode) -> io::Result<()> {
        let handle = self.handle(place)?;
        let raw = fs::fstat(&handle)?;
        match stat_of(&raw).kind {
            Kind::File => chmod_handle(&handle, bits(mode))?,
            // Set-group-id and sticky bits of a directory are this machine's own business and stay.
            Kind::Dir => chmod_handle(&handle, fs::Mode::from_raw_mode(raw.st_mode & 0o7000) | bits(mode))?,
            Kind::Symlink | Kind::Special => return Err(io::ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }

    fn set_mtime(&self, place: &Place, mtime: Mtime) -> io::Result<()> {
        let (parent, name) = self.parent(place)?;
        Ok(fs::utimensat(&parent, &name[..], &times(mtime), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn rename_new(&self, from: &Place, to: &Place) -> io::Result<()> {
        let ((old_dir, old), (new_dir, new)) = (self.parent(from)?, self.parent(to)?);
        match fs::renameat_with(&old_dir, &old[..], &new_dir, &new[..], RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                Ok(rename_new_in_steps(&old_dir, &old, &new_dir, &new)?)
            }
            other => Ok(other?),
        }
    }

    fn exchange(&self, a: &Place, b: &Place) -> io::Result<()> {
        let ((a_dir, a), (b_dir, b)) = (self.parent(a)?, self.parent(b)?);
        match fs::renameat_with(&a_dir, &a[..], &b_dir, &b[..], RenameFlags::EXCHANGE) {
            // The kernel's words for a file system that cannot exchange, and for itself.
            Err(Errno::INVAL | Errno::NOSYS) => Err(io::ErrorKind::Unsupported.into()),
            other => Ok(other?),
        }
    }

    fn remove_file(&self, place: &Place) -> io::Result<()> {
        let (parent, name) = self.parent(place)?;
        Ok(fs::unlinkat(&parent, &name[..], AtFlags::empty())?)
    }

    fn remove_dir(&self, place: &Place) -> io::Result<()> {
        let (parent, name) = self.parent(place)?;
        Ok(fs::unlinkat(&parent, &name[..], AtFlags::REMOVEDIR)?)
    }

    fn sync_dirs(&self, dirs: &[Place]) -> io::Result<()> {
        for place in dirs {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            match self.beneath(&bytes_of(place), flags, fs::Mode::empty()).and_then(fs::fsync) {
                // Unreadable for its owner, or a file system that cannot sync a single directory.
                Err(Errno::ACCESS | Errno::INVAL) => return self.sync_all(),
                other => other?,
            }
        }
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(fs::syncfs(&self.root)?)
    }

    fn space(&self) -> io::Result<(u64, u64)> {
        let all = fs::fstatvfs(&self.root)?;
        Ok((all.f_bavail.saturating_mul(all.f_frsize), all.f_blocks.saturating_mul(all.f_frsize)))
    }

    fn now(&self) -> Mtime {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Mtime { secs: now.tv_sec, nanos: now.tv_nsec as u32 }
    }

    fn root_by_path(&self) -> io::Result<Stat> {
        Ok(stat_of(&fs::stat(&self.path)?))
    }
}

fn list_open(dir: &OwnedFd, buffer: &mut [MaybeUninit<u8>], top: bool) -> io::Result<Vec<Listed>> {
    let mut entries = RawDir::new(dir.as_fd(), buffer);
    let mut found = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        let bytes = name.to_bytes();
        if matches!(bytes, b"." | b"..") || (top && bytes == RESERVED) {
            continue;
        }
        let stat = match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(raw) => Ok(stat_of(&raw)),
            Err(errno) => {
                let error = io::Error::from(errno);
                Err(ErrorKind { kind: error.kind(), text: error.to_string() })
            }
        };
        found.push(Listed { name: bytes.into(), stat });
    }
    Ok(found)
}

/// Renames without replacing on a file system that cannot do so in one call.
fn rename_new_in_steps(old_dir: &OwnedFd, old: &[u8], new_dir: &OwnedFd, new: &[u8]) -> Result<(), Errno> {
    let stat = stat_of(&fs::statat(old_dir, old, AtFlags::SYMLINK_NOFOLLOW)?);
    if stat.kind == Kind::Dir {
        // A directory may replace an empty one, so an empty one is made first: making fails if anything stands
        // there, and replacing fails if anything was put into it meanwhile.
        fs::mkdirat(new_dir, new, fs::Mode::RWXU)?;
        return fs::renameat(old_dir, old, new_dir, new).inspect_err(|_| {
            // Only ever removes the empty directory made above; the rename's error is the one to report.
            let _ = fs::unlinkat(new_dir, new, AtFlags::REMOVEDIR);
        });
    }
    match fs::linkat(old_dir, old, new_dir, new, AtFlags::empty()) {
        Ok(()) => fs::unlinkat(old_dir, old, AtFlags::empty()),
        // No hard links either: nothing is left but to look first.
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
            match fs::statat(new_dir, new, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => fs::renameat(old_dir, old, new_dir, new),
                Ok(_) => Err(Errno::EXIST),
                Err(other) => Err(other),
            }
        }
        Err(other) => Err(other),
    }
}

#[cfg(test)]
#[path = "linux_tests.rs"]
mod tests;
