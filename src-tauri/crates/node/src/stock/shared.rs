//! What a folder on a host and its open files share: the session, and how what the host tells is understood.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use evenfold_core::path::RESERVED;
use evenfold_core::{Dir, Entry, Mode, Mtime, RelPath};
use evenfold_fs::disk::{Kind, Place, Stat};
use evenfold_ssh::stock::sftp::{Attributes, Sftp};
use tokio::runtime::Handle;

use super::inodes::{Inodes, Told};
use crate::limits::Limits;
use crate::local::lock;

/// How close to the present a time stamp is not trusted where the host's clock is known: it counts whole seconds,
/// and is known to the second.
const RECENT: i64 = 3;

/// The same where the host's clock is not known, because nothing may be written there: clocks that are further apart
/// are wrong.
const RECENT_BY_GUESS: i64 = 60;

/// Times further in the future come from a clock that was wrong.
const FUTURE: i64 = 3_500;

/// What open files need of their disk.
pub(super) struct Shared {
    pub(super) sftp: Arc<Sftp>,
    pub(super) runtime: Handle,
    pub(super) root: Vec<u8>,
    pub(super) inodes: Mutex<Inodes>,
    /// Trees in which files may be found that have the same size and second: ours, and what was agreed on.
    pub(super) hints: Mutex<Vec<Arc<Dir>>>,
    /// How fast contents travel.
    pub(super) limits: Arc<Limits>,
    clock: Mutex<Clock>,
    pub(super) file_system: AtomicU64,
}

/// What is known of the host's clock.
#[derive(Debug, Clone, Copy)]
struct Clock {
    /// What is added to ours to get the host's, in seconds.
    shift: i64,
    /// How close to the present a time stamp is not trusted.
    recent: i64,
}

impl Shared {
    pub(super) fn new(sftp: Arc<Sftp>, runtime: Handle, root: Vec<u8>, limits: Arc<Limits>) -> Self {
        Shared {
            sftp,
            runtime,
            root,
            inodes: Mutex::new(Inodes::new(rand::random())),
            hints: Mutex::default(),
            limits,
            clock: Mutex::new(Clock { shift: 0, recent: RECENT_BY_GUESS }),
            file_system: AtomicU64::new(0),
        }
    }

    /// Notes how many seconds the host's clock is ahead of ours.
    pub(super) fn set_clock(&self, shift: i64) {
        *lock(&self.clock) = Clock { shift, recent: RECENT };
    }

    /// Writes a place as the host's path.
    pub(super) fn path_of(&self, place: &Place) -> Vec<u8> {
        let (folder, path): (&[u8], _) = match place {
            Place::User(path) => (b"", path),
            Place::Own(path) => (RESERVED, path),
        };
        let mut full = self.root.clone();
        for part in [folder, path.as_bytes()] {
            if !part.is_empty() {
                full.push(b'/');
                full.extend_from_slice(part);
            }
        }
        if full.is_empty() { b"/".to_vec() } else { full }
    }

    /// Says what the host told of an entry, as a scan sees it.
    pub(super) fn describe(&self, place: &Place, found: &Attributes) -> io::Result<Stat> {
        let kind = kind_of(found)?;
        let secs = i64::from(found.times.map_or(0, |(_, modified)| modified));
        let told = Told { kind, size: found.size.unwrap_or(0), secs };
        let known = lock(&self.inodes).describe(place, told, || self.nanos(place, told));
        let mtime = Mtime { secs, nanos: known.nanos };
        // There is no change time. One is made up that says no more than whether the content may have been changed just
        // now: then a time in the future, which is never trusted, else one long ago. So it is another when the
        // entry is no longer new, and the content is read once more.
        let age = self.present().secs.saturating_sub(secs);
        let recent = lock(&self.clock).recent;
        let is_recent = (-FUTURE..=recent).contains(&age);
        let shift = if is_recent { recent + 30 } else { -86_400 };
        Ok(Stat {
            kind,
            dev: self.file_system.load(Ordering::Relaxed),
            ino: known.ino,
            size: told.size,
            mtime,
            ctime: Mtime { secs: secs.saturating_add(shift), nanos: 0 },
            mode: Mode::new(found.permissions.unwrap_or(0)),
        })
    }

    /// Looks for a file of the same size and second at the same path, whose time is then taken for this one's.
    fn nanos(&self, place: &Place, told: Told) -> u32 {
        let Place::User(path) = place else { return 0 };
        let same = |tree: &Arc<Dir>| match tree.get(path) {
            Some(Entry::File(file)) if file.size == told.size && file.mtime.secs == told.secs => {
                Some(file.mtime.nanos)
            }
            _ => None,
        };
        lock(&self.hints).iter().find_map(same).unwrap_or(0)
    }

    /// Notes that we gave a file this length and time; see [`Inodes::wrote`].
    pub(super) fn wrote(&self, place: &Place, size: u64, mtime: Mtime) {
        lock(&self.inodes).wrote(place, size, mtime);
    }

    /// Returns the host's present time, as far as it is known.
    pub(super) fn present(&self) -> Mtime {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let secs = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Mtime { secs: secs.saturating_add(lock(&self.clock).shift), nanos: now.subsec_nanos() }
    }

    /// Returns free and total bytes.
    pub(super) fn ask_space(&self) -> io::Result<(u64, u64)> {
        if !self.sftp.offered().statvfs {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let root = self.path_of(&Place::User(RelPath::root()));
        let found = self.runtime.block_on(self.sftp.file_system(&root))?;
        Ok((found.free, found.total))
    }

    /// Tells whether nothing more fits on the host's file system, if it can be told.
    pub(super) fn is_full(&self) -> bool {
        self.ask_space().is_ok_and(|(free, _)| free == 0)
    }
}

/// Says what kind of thing the host tells of.
pub(super) fn kind_of(found: &Attributes) -> io::Result<Kind> {
    let permissions = found.permissions.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "the host does not say what kind of file it is")
    })?;
    Ok(match permissions & 0o170_000 {
        0o100_000 => Kind::File,
        0o040_000 => Kind::Dir,
        0o120_000 => Kind::Symlink,
        _ => Kind::Special,
    })
}
