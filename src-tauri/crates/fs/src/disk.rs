//! The disk as the rest of this crate sees it: one interface, a real implementation and, for tests, fake ones.
//!
//! A [`Disk`] is one root. Paths are [`Place`]s, so no call can name anything outside the root, and the real
//! implementation resolves them beneath the root's directory descriptor, so no symbolic link that somebody
//! flips meanwhile leads outside. All calls block.

use std::io;

use evenfold_core::{Mode, Mtime, RelPath};

/// A path below a root: the user's, or one in Evenfold's own folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The user's path.
    User(RelPath),
    /// A path below `.evenfold/`.
    Own(RelPath),
}

/// What kind of thing stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A device, socket or named pipe.
    Special,
}

/// What `lstat` says. Two equal values mean the same, unmodified file, except within the clock's resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stat {
    /// What stands there.
    pub kind: Kind,
    /// Device of the file system, to notice mount points.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// Last modification of the content.
    pub mtime: Mtime,
    /// Last change of content or metadata; cannot be set by users.
    pub ctime: Mtime,
    /// Permission bits.
    pub mode: Mode,
}

/// One line of a directory listing. The name may be any bytes that the file system allows.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Name within the directory.
    pub name: Box<[u8]>,
    /// What `lstat` says of it, or why it could not be asked.
    pub stat: Result<Stat, ErrorKind>,
}

/// An error of the operating system, as text and class, cheap to keep for many files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorKind {
    /// Class of the error.
    pub kind: io::ErrorKind,
    /// The system's own words.
    pub text: String,
}

/// An open file for reading.
pub trait ReadFile: Send {
    /// Reads into `buffer` at the current position; 0 means the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Moves the position to `offset` bytes from the start.
    fn seek(&mut self, offset: u64) -> io::Result<()>;
    /// What `fstat` says now.
    fn stat(&self) -> io::Result<Stat>;
}

/// A new file in Evenfold's own folder, open for writing.
pub trait WriteFile: Send {
    /// Writes all of `bytes` at the current position.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Moves the position to `offset` bytes from the start; a gap reads as zeros and takes no space.
    fn seek(&mut self, offset: u64) -> io::Result<()>;
    /// Sets length, permission bits and modification time, and returns what `fstat` then says.
    fn finish(&mut self, size: u64, mode: Mode, mtime: Mtime) -> io::Result<Stat>;
    /// Makes the content durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Asks the system to begin writing back, without waiting.
    fn start_writeback(&mut self) {}
    /// Says that a long content follows which nobody will read soon, so that it may be written past the
    /// system's cache. What has not reached the disk when the file is dropped unfinished may be missing at its
    /// end.
    fn bypass_cache(&mut self) {}
}

/// See [`Disk::calls_at_once`].
pub const LOCAL_CALLS_AT_ONCE: usize = 2;

/// One root folder. Implementations are shared between threads.
pub trait Disk: Send + Sync + 'static {
    /// Says what stands at `place`, not following a link. `NotFound` means absent with proof only if the
    /// parent directory exists.
    fn stat(&self, place: &Place) -> io::Result<Stat>;
    /// Lists a directory completely, or fails. Evenfold's own folder is left out at the top.
    fn list(&self, place: &Place) -> io::Result<Vec<Listed>>;
    /// Reads the target of a symbolic link.
    fn read_link(&self, place: &Place) -> io::Result<Vec<u8>>;
    /// Opens a regular file for reading, never following a link, never blocking on a pipe.
    fn open(&self, place: &Place) -> io::Result<Box<dyn ReadFile>>;
    /// Creates a new file (fails if something stands there) below Evenfold's own folder. Mode 0600 until finished.
    fn create(&self, place: &Place) -> io::Result<Box<dyn WriteFile>>;
    /// Opens an existing file of Evenfold's own folder to go on writing.
    fn reopen(&self, place: &Place) -> io::Result<Box<dyn WriteFile>>;
    /// Creates a directory; fails if something stands there.
    fn make_dir(&self, place: &Place, mode: Mode) -> io::Result<()>;
    /// Creates a symbolic link; fails if something stands there.
    fn make_link(&self, place: &Place, target: &[u8]) -> io::Result<()>;
    /// Sets permission bits of a file or directory (never of what a link points to).
    fn set_mode(&self, place: &Place, mode: Mode) -> io::Result<()>;
    /// Sets the modification time of a file.
    fn set_mtime(&self, place: &Place, mtime: Mtime) -> io::Result<()>;
    /// Renames; fails with `AlreadyExists` if something stands at `to`.
    fn rename_new(&self, from: &Place, to: &Place) -> io::Result<()>;
    /// Exchanges two existing entries in one step, so that neither name is ever without an entry.
    fn exchange(&self, a: &Place, b: &Place) -> io::Result<()>;
    /// Removes a file or link.
    fn remove_file(&self, place: &Place) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, place: &Place) -> io::Result<()>;
    /// Makes the given directories' entries durable.
    fn sync_dirs(&self, dirs: &[Place]) -> io::Result<()>;
    /// Makes everything on the root's file system durable, data and directories.
    fn sync_all(&self) -> io::Result<()>;
    /// Returns free and total bytes of the root's file system.
    fn space(&self) -> io::Result<(u64, u64)>;
    /// Returns how many calls are worth making at once. On a disk of this machine two cores share the work of the
    /// kernel well; where calls mostly wait for an answer over a network it is more.
    fn calls_at_once(&self) -> usize {
        LOCAL_CALLS_AT_ONCE
    }
    /// Returns the present time, as the file system's time stamps use it.
    fn now(&self) -> Mtime;
    /// Says what stands now where the root was opened, found by its path: another inode than that of the root
    /// means that the root was moved away, replaced, unmounted or covered by a mount.
    fn root_by_path(&self) -> io::Result<Stat> {
        self.stat(&Place::User(RelPath::root()))
    }
}
