//! The disk of a host without Evenfold: the port `Disk` over SFTP, so that scanning, staging, publishing and keeping
//! versions are the very same code as for a folder of this machine.
//!
//! What SFTP cannot do is made up for, or weaker, as follows:
//!
//! - **Links.** Version 3 has only paths, so a directory is resolved by the host (`realpath`) and must be itself before
//!   anything is done in it. Whoever may write into the folder on the host could exchange a directory for a link
//!   in the moment between ([`TRUSTED`]); on this machine descriptors exclude that.
//! - **Inodes and fine times**: see [`super::inodes`]. An edit that changes neither size nor time is seen by deep
//!   scans only, because there is no change time. What was changed in the last seconds is read again.
//! - **Exchanging** two names is put together of a hard link and a renaming that replaces ([`SftpDisk::exchange`]).
//! - **Durability**: every file is synced when it is finished, directories when they are opened for reading and
//!   synced, which OpenSSH on Linux allows. A host that cannot gives what it gives by itself.
//!
//! All calls block, on threads that belong to no runtime.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use evenfold_core::path::RESERVED;
use evenfold_core::{Dir, Mode, Mtime, RelPath};
use evenfold_fs::disk::{Disk, ErrorKind, Kind, Listed, Place, ReadFile, Stat, WriteFile};
use evenfold_ssh::stock::sftp::{Attributes, Opening, Sftp, SftpError, status};
use tokio::runtime::Handle;

use super::files::{Reading, Writing};
use super::inodes::Told;
use super::shared::{Shared, kind_of};
use crate::limits::Limits;
use crate::local::lock;

/// How long a directory that was resolved is taken to be itself still.
const TRUSTED: Duration = Duration::from_secs(2);

/// Directories that are remembered as resolved; when there are more, all are resolved again.
const MOST_TRUSTED: usize = 4096;

/// Requests on which a host works at once: enough to bridge the way to it, few enough for one process there.
const AT_ONCE: usize = 8;

/// Begins the names of what [`SftpDisk::exchange`] leaves when it is interrupted: never the only copy of anything.
const SWAP: &str = "swap-";

/// A folder on a host, over one SFTP session.
pub(super) struct SftpDisk {
    shared: Arc<Shared>,
    resolved: Mutex<HashMap<Vec<u8>, Instant>>,
    /// What was changed and is not durable yet.
    unsynced: Mutex<BTreeSet<Place>>,
    syncs_dirs: AtomicBool,
}

impl Deref for SftpDisk {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl SftpDisk {
    /// Opens the folder at `path`, which must be absolute; links on the way are followed, once. Blocks.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, or those of the connection.
    pub(super) fn open(
        sftp: Arc<Sftp>,
        runtime: Handle,
        path: &[u8],
        may_write: bool,
        limits: Arc<Limits>,
    ) -> io::Result<Self> {
        let opening = async {
            let root = sftp.real_path(path).await?.await?.name()?;
            let found = sftp.lstat(&root).await?.await?.attributes()?;
            Ok::<_, SftpError>((root, found))
        };
        let (root, found) = runtime.block_on(opening)?;
        if kind_of(&found)? != Kind::Dir {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        // The top of the host's file system is written as nothing, so that paths begin with one slash.
        let root = if root == b"/" { Vec::new() } else { root };
        let disk = SftpDisk {
            shared: Arc::new(Shared::new(sftp, runtime, root, limits)),
            resolved: Mutex::default(),
            unsynced: Mutex::default(),
            syncs_dirs: AtomicBool::new(true),
        };
        disk.file_system.store(disk.ask_file_system()?, Ordering::Relaxed);
        if may_write {
            disk.clear_swaps()?;
        }
        Ok(disk)
    }

    /// Finds out what the host's clock says, by a file that is made and removed. Without it, what was changed within
    /// the last minute is read again at each scan.
    pub(super) fn read_clock(&self) -> io::Result<()> {
        let place = own_place(&format!("clock-{:016x}", rand::random::<u64>()))?;
        let path = self.path_of(&place);
        self.resolve_parent(&place)?;
        let before = now_secs();
        let made = self.runtime.block_on(async {
            let file = self.sftp.open(&path, Opening::Create(0o600)).await?.await?.handle()?;
            let stat = self.sftp.fstat(&file).await?;
            let closed = self.sftp.close(file).await?;
            let removed = self.sftp.remove(&path).await?;
            let stat = stat.await?.attributes();
            closed.await?.done()?;
            removed.await?.done()?;
            stat
        })?;
        let (_, modified) = made.times.ok_or(io::ErrorKind::InvalidData)?;
        self.set_clock(i64::from(modified) - before);
        Ok(())
    }

    /// Takes up what the digest cache knows of files.
    pub(super) fn remember(&self, rows: &[evenfold_fs::cache::CacheRow]) {
        let mut inodes = lock(&self.inodes);
        for row in rows {
            let told = Told { kind: Kind::File, size: row.size, secs: row.mtime.secs };
            let known = super::inodes::Known { ino: row.ino, nanos: row.mtime.nanos };
            inodes.remember(&row.path, told, known);
        }
    }

    /// Takes trees in which the fine part of a file's time is looked up when the file is first seen.
    pub(super) fn set_hints(&self, hints: Vec<Arc<Dir>>) {
        *lock(&self.hints) = hints;
    }

    /// Returns what open files need.
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Forgets what is of no use after a batch.
    pub(super) fn after_batch(&self) {
        lock(&self.inodes).forget_versions();
    }

    /// Device and number of the root.
    pub(super) fn identity(&self) -> io::Result<(u64, u64)> {
        let stat = self.stat(&Place::User(RelPath::root()))?;
        Ok((stat.dev, stat.ino))
    }

    /// Removes what an interrupted exchange left.
    fn clear_swaps(&self) -> io::Result<()> {
        let listed = match self.list(&Place::Own(RelPath::root())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            listed => listed?,
        };
        for line in listed {
            let name = String::from_utf8_lossy(&line.name);
            if name.starts_with(SWAP) || name.starts_with("clock-") {
                self.remove_file(&own_place(&name)?)?;
            }
        }
        Ok(())
    }

    /// Makes sure that the directory in which something stands is no link and lies below no link.
    pub(super) fn resolve_parent(&self, place: &Place) -> io::Result<()> {
        let path = self.path_of(place);
        match path.iter().rposition(|byte| *byte == b'/') {
            None | Some(0) => Ok(()),
            Some(at) => self.resolve(path.get(..at).unwrap_or_default()),
        }
    }

    fn resolve(&self, dir: &[u8]) -> io::Result<()> {
        let now = Instant::now();
        if lock(&self.resolved).get(dir).is_some_and(|at| now.duration_since(*at) < TRUSTED) {
            return Ok(());
        }
        let found = self.runtime.block_on(async { self.sftp.real_path(dir).await?.await?.name() })?;
        if found != dir {
            // As the kernel says of a link where a directory was expected.
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "a link stands where a folder stood"));
        }
        let mut resolved = lock(&self.resolved);
        if resolved.len() >= MOST_TRUSTED {
            resolved.clear();
        }
        resolved.insert(dir.to_vec(), now);
        Ok(())
    }

    fn distrust(&self, path: &[u8]) {
        lock(&self.resolved).retain(|dir, _| !dir.starts_with(path));
    }

    fn ask_file_system(&self) -> io::Result<u64> {
        if !self.sftp.offered().statvfs {
            return Ok(0);
        }
        let root = self.path_of(&Place::User(RelPath::root()));
        Ok(self.runtime.block_on(self.sftp.file_system(&root))?.id)
    }

    /// Says what an error of making something means: the protocol does not tell whether something stands there.
    fn on_making(&self, place: &Place, error: SftpError) -> io::Error {
        if matches!(error, SftpError::Status { code: status::FAILURE, .. }) {
            match self.stat(place) {
                Ok(_) => return io::ErrorKind::AlreadyExists.into(),
                Err(_) if self.is_full() => {
                    return io::ErrorKind::StorageFull.into();
                }
                Err(_) => {}
            }
        }
        error.into()
    }

    fn changed_in(&self, place: &Place) {
        if let Some(parent) = parent_of(place) {
            lock(&self.unsynced).insert(parent);
        }
    }

    fn stat_raw(&self, place: &Place) -> io::Result<Attributes> {
        self.resolve_parent(place)?;
        let path = self.path_of(place);
        Ok(self.runtime.block_on(async { self.sftp.lstat(&path).await?.await?.attributes() })?)
    }

    fn sync_one(&self, place: &Place) -> io::Result<()> {
        let offered = self.sftp.offered().fsync && self.syncs_dirs.load(Ordering::Relaxed);
        if !offered {
            return Ok(());
        }
        self.resolve_parent(place)?;
        let path = self.path_of(place);
        let done = self.runtime.block_on(async {
            let file = self.sftp.open(&path, Opening::Read).await?.await?.handle()?;
            let synced = self.sftp.sync(&file).await?;
            let closed = self.sftp.close(file).await?;
            drop(closed.await?);
            synced.await?.done()
        });
        match done {
            // Unreadable for its owner.
            Err(SftpError::Status { code: status::PERMISSION_DENIED, .. }) => Ok(()),
            Err(SftpError::Status { code: status::FAILURE | status::UNSUPPORTED, text }) => {
                self.syncs_dirs.store(false, Ordering::Relaxed);
                tracing::info!(text, "the host does not make folders durable on demand");
                Ok(())
            }
            other => Ok(other?),
        }
    }
}

impl Disk for SftpDisk {
    fn stat(&self, place: &Place) -> io::Result<Stat> {
        let found = self.stat_raw(place)?;
        self.describe(place, &found)
    }

    fn list(&self, place: &Place) -> io::Result<Vec<Listed>> {
        let path = self.path_of(place);
        self.resolve(&path)?;
        let top = matches!(place, Place::User(path) if path.is_root());
        let mut found = self.runtime.block_on(async {
            let listed = self.sftp.list(&path).await?;
            if self.sftp.offered().statvfs && !top {
                let id = self.sftp.file_system(&path).await?.id;
                if id != self.file_system.load(Ordering::Relaxed) {
                    return Ok(None);
                }
            }
            Ok::<_, SftpError>(Some(listed))
        })?;
        let Some(found) = &mut found else { return Err(io::ErrorKind::CrossesDevices.into()) };
        if top {
            found.retain(|(name, _)| name != RESERVED);
        }
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let names: Vec<&[u8]> = found.iter().map(|(name, _)| &name[..]).collect();
        lock(&self.inodes).listed(place, &names);
        let stat = |name: &[u8], attributes: &Attributes| {
            let name = evenfold_core::Name::new(name).map_err(|error| io::Error::other(error.to_string()))?;
            let place = match place {
                Place::User(path) => Place::User(path.join(&name)),
                Place::Own(path) => Place::Own(path.join(&name)),
            };
            self.describe(&place, attributes)
        };
        let line = |(name, attributes): &(Vec<u8>, Attributes)| Listed {
            name: name.as_slice().into(),
            stat: stat(name, attributes)
                .map_err(|error| ErrorKind { kind: error.kind(), text: error.to_string() }),
        };
        Ok(found.iter().map(line).collect())
    }

    fn read_link(&self, place: &Place) -> io::Result<Vec<u8>> {
        self.resolve_parent(place)?;
        let path = self.path_of(place);
        Ok(self.runtime.block_on(async { self.sftp.read_link(&path).await?.await?.name() })?)
    }

    fn open(&self, place: &Place) -> io::Result<Box<dyn ReadFile>> {
        // Opening a pipe would keep the host waiting for ever, and opening a link would follow it.
        regular(self.stat_raw(place)?)?;
        Ok(Box::new(Reading::open(self, place)?))
    }

    fn create(&self, place: &Place) -> io::Result<Box<dyn WriteFile>> {
        own_only(place)?;
        self.resolve_parent(place)?;
        let path = self.path_of(place);
        let opened = self
            .runtime
            .block_on(async { self.sftp.open(&path, Opening::Create(0o600)).await?.await?.handle() });
        let file = opened.map_err(|error| self.on_making(place, error))?;
        self.changed_in(place);
        lock(&self.inodes).removed(place);
        Ok(Box::new(Writing::new(self, place, file)))
    }

    fn reopen(&self, place: &Place) -> io::Result<Box<dyn WriteFile>> {
        own_only(place)?;
        regular(self.stat_raw(place)?)?;
        let path = self.path_of(place);
        let file =
            self.runtime.block_on(async { self.sftp.open(&path, Opening::Edit).await?.await?.handle() })?;
        Ok(Box::new(Writing::new(self, place, file)))
    }

    fn make_dir(&self, place: &Place, mode: Mode) -> io::Result<()> {
        self.resolve_parent(place)?;
        let path = self.path_of(place);
        let made = self.runtime.block_on(async {
            self.sftp.make_dir(&path, mode.bits()).await?.await?.done()?;
            self.sftp.lstat(&path).await?.await?.attributes()
        });
        let made = made.map_err(|error| self.on_making(place, error))?;
        lock(&self.inodes).removed(place);
        self.changed_in(place);
        // The host's umask may have taken bits away.
        if Mode::new(made.permissions.unwrap_or(0)) == mode { Ok(()) } else { self.set_mode(place, mode) }
    }

    fn make_link(&self, place: &Place, target: &[u8]) -> io::Result<()> {
        self.resolve_parent(place)?;
        let path = self.path_of(place);
        let made = self.runtime.block_on(async { self.sftp.make_link(target, &path).await?.await?.done() });
        made.map_err(|error| self.on_making(place, error))?;
        lock(&self.inodes).removed(place);
        self.changed_in(place);
        Ok(())
    }

    fn set_mode(&self, place: &Place, mode: Mode) -> io::Result<()> {
        let found = self.stat_raw(place)?;
        let kept = match kind_of(&found)? {
            Kind::File => 0,
            // Set-group-id and sticky bits of a directory are the host's own business and stay.
            Kind::Dir => found.permissions.unwrap_or(0) & 0o7000,
            Kind::Symlink | Kind::Special => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let wanted = Attributes { permissions: Some(kept | mode.bits()), ..Attributes::default() };
        let path = self.path_of(place);
        self.runtime.block_on(async { self.sftp.set(&path, &wanted).await?.await?.done() })?;
        lock(&self.unsynced).insert(place.clone());
        Ok(())
    }

    fn set_mtime(&self, place: &Place, mtime: Mtime) -> io::Result<()> {
        let found = self.stat_raw(place)?;
        regular(found)?;
        let wanted = Attributes { times: Some(times(mtime)), ..Attributes::default() };
        let path = self.path_of(place);
        self.runtime.block_on(async { self.sftp.set(&path, &wanted).await?.await?.done() })?;
        self.wrote(place, found.size.unwrap_or(0), mtime);
        lock(&self.unsynced).insert(place.clone());
        Ok(())
    }

    fn rename_new(&self, from: &Place, to: &Place) -> io::Result<()> {
        let is_file = kind_of(&self.stat_raw(from)?)? == Kind::File;
        self.resolve_parent(to)?;
        // The host renames files without replacing; for all else it looks first, and follows links in doing so.
        if !is_file {
            match self.stat_raw(to) {
                Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let (old, new) = (self.path_of(from), self.path_of(to));
        let renamed = self.runtime.block_on(async { self.sftp.rename(&old, &new).await?.await?.done() });
        renamed.map_err(|error| self.on_making(to, error))?;
        if !is_file {
            self.distrust(&old);
        }
        lock(&self.inodes).renamed(from, to);
        self.changed_in(from);
        self.changed_in(to);
        Ok(())
    }

    /// Exchanges two files, so that the name `b` is never without one: what stands at `b` gets a second name at `a`,
    /// then what stood at `a` replaces it in one step. These two are sent at once and carried out back to back, so
    /// nothing that somebody else renames to `b` can come between them but within microseconds.
    fn exchange(&self, a: &Place, b: &Place) -> io::Result<()> {
        let offered = self.sftp.offered();
        let both_files = offered.hardlink
            && offered.posix_rename
            && kind_of(&self.stat_raw(a)?)? == Kind::File
            && kind_of(&self.stat_raw(b)?)? == Kind::File;
        if !both_files {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let swap = own_place(&format!("{SWAP}{:016x}", rand::random::<u64>()))?;
        let probe = own_place(&format!("{SWAP}{:016x}", rand::random::<u64>()))?;
        self.resolve_parent(&swap)?;
        let [a_path, b_path, swap_path, probe_path] = [a, b, &swap, &probe].map(|place| self.path_of(place));
        let sftp = &self.sftp;
        self.runtime.block_on(async {
            // A file that cannot have a second name must not be replaced, so that is tried first.
            let moved = sftp.rename(&a_path, &swap_path).await?;
            let probed = sftp.hard_link(&b_path, &probe_path).await?;
            let (moved, probed) = (moved.await?.done(), probed.await?.done());
            moved?;
            if let Err(error) = probed {
                sftp.rename(&swap_path, &a_path).await?.await?.done()?;
                let gone = matches!(error, SftpError::Status { code: status::NO_SUCH_FILE, .. });
                return Err(if gone { error.into() } else { io::ErrorKind::Unsupported.into() });
            }
            let linked = sftp.hard_link(&b_path, &a_path).await?;
            let replaced = sftp.replace(&swap_path, &b_path).await?;
            let removed = sftp.remove(&probe_path).await?;
            linked.await?.done()?;
            replaced.await?.done()?;
            removed.await?.done()?;
            Ok::<_, io::Error>(())
        })?;
        lock(&self.inodes).exchanged(a, b);
        self.changed_in(a);
        self.changed_in(b);
        Ok(())
    }

    fn remove_file(&self, place: &Place) -> io::Result<()> {
        self.resolve_parent(place)?;
        let path = self.path_of(place);
        self.runtime.block_on(async { self.sftp.remove(&path).await?.await?.done() })?;
        lock(&self.inodes).removed(place);
        self.changed_in(place);
        Ok(())
    }

    fn remove_dir(&self, place: &Place) -> io::Result<()> {
        self.resolve_parent(place)?;
        let path = self.path_of(place);
        let removed = self.runtime.block_on(async { self.sftp.remove_dir(&path).await?.await?.done() });
        match removed {
            Err(SftpError::Status { code: status::FAILURE, .. }) => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            other => other?,
        }
        self.distrust(&path);
        lock(&self.inodes).removed(place);
        self.changed_in(place);
        Ok(())
    }

    fn sync_dirs(&self, dirs: &[Place]) -> io::Result<()> {
        for place in dirs {
            self.sync_one(place)?;
            lock(&self.unsynced).remove(place);
        }
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        loop {
            let Some(place) = lock(&self.unsynced).pop_first() else { return Ok(()) };
            match self.sync_one(&place) {
                // It was moved or removed since; its new place is among those to be synced.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => {
                    lock(&self.unsynced).insert(place);
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
    }

    fn space(&self) -> io::Result<(u64, u64)> {
        self.ask_space()
    }

    fn calls_at_once(&self) -> usize {
        AT_ONCE
    }

    fn now(&self) -> Mtime {
        self.present()
    }

    fn root_by_path(&self) -> io::Result<Stat> {
        // Asked anew each time: the folder may have been exchanged or unmounted.
        lock(&self.resolved).clear();
        let place = Place::User(RelPath::root());
        self.resolve(&self.path_of(&place))?;
        let file_system = self.ask_file_system()?;
        Ok(Stat { dev: file_system, ..self.stat(&place)? })
    }
}

/// Writes a time as the host takes it: whole seconds from 1970 to 2106, the nearest where it lies outside.
pub(super) fn times(mtime: Mtime) -> (u32, u32) {
    let secs = u32::try_from(mtime.secs.max(0)).unwrap_or(u32::MAX);
    (secs, secs)
}

fn regular(found: Attributes) -> io::Result<()> {
    if kind_of(&found)? == Kind::File { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

fn own_only(place: &Place) -> io::Result<()> {
    match place {
        Place::Own(_) => Ok(()),
        Place::User(_) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn own_place(name: &str) -> io::Result<Place> {
    RelPath::new(name.as_bytes()).map(Place::Own).map_err(|error| io::Error::other(error.to_string()))
}

fn parent_of(place: &Place) -> Option<Place> {
    match place {
        Place::User(path) => path.parent().map(Place::User),
        Place::Own(path) => Some(path.parent().map_or(Place::User(RelPath::root()), Place::Own)),
    }
}

fn now_secs() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
