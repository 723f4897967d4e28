//! Watching with inotify.
//!
//! Plain inotify is used rather than the notify crate, because that one also asks for every `open` and every
//! `write`: reading a tree to scan it would flood the queue, whose overflow asks for another scan, and programs
//! that only read would keep waking us up. Watches are added through the descriptor of the very directory, so
//! no flipped link makes us watch elsewhere.
//!
//! A file that is being written is reported when it is closed, not when it is created, because until then there
//! is nothing to be synced.

use std::collections::{BTreeSet, HashMap};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use evenfold_core::path::{MAX_PATH, RESERVED};
use evenfold_core::{Name, RelPath};
use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::linux::{RealDisk, proc_path};
use crate::disk::Place;
use crate::watch::{DirWatch, Event, WatchError};

/// Bytes of events fetched at once: at most 4,096 of them, which are made one set of paths before anybody is
/// told. What comes meanwhile waits in the kernel's queue, which holds 16,384 events by default and then says
/// that it overflowed; so memory is bounded even if the sink is slow.
const EVENT_BUFFER: usize = 64 * 1024;

/// The most directories called dirty one by one after a batch; more are told as one [`Event::Overflow`].
const MAX_ADOPTED: usize = 4096;

type Sink = Box<dyn Fn(Event) + Send + Sync>;

/// The watches of one root.
pub(crate) struct Watcher {
    disk: Arc<RealDisk>,
    inotify: OwnedFd,
    wake: OwnedFd,
    sink: Sink,
    /// Which directory a watch descriptor stands for: 60 to 100 bytes per directory.
    names: Mutex<HashMap<i32, RelPath>>,
    /// Whether the sink knows that watches are missing.
    failed: AtomicBool,
    stopping: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Watcher {
    /// Starts a thread that calls `sink` for each event, within a fraction of a millisecond of the change.
    /// Directories are watched from when [`DirWatch::enter`] is called for them.
    pub(crate) fn start(disk: Arc<RealDisk>, sink: Sink) -> Result<Arc<Self>, WatchError> {
        let fail = |errno: Errno| WatchError(explain(errno));
        let watcher = Arc::new(Watcher {
            disk,
            inotify: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(fail)?,
            wake: rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(fail)?,
            sink,
            names: Mutex::default(),
            failed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            thread: Mutex::default(),
        });
        let runner = Arc::clone(&watcher);
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || runner.run())
            .map_err(|error| WatchError(error.to_string()))?;
        *watcher.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(watcher)
    }

    /// Ends the thread and waits for it, unless called from it.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // Cannot fail: the counter is far from full.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the watching thread panicked");
        }
    }

    fn names(&self) -> MutexGuard<'_, HashMap<i32, RelPath>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut buffer = vec![MaybeUninit::uninit(); EVENT_BUFFER];
        while !self.stopping.load(Ordering::Acquire) {
            let mut wait =
                [PollFd::new(&self.inotify, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
            let fetched = match rustix::event::poll(&mut wait, None) {
                Ok(_) => self.fetch(&mut buffer),
                Err(errno) => Err(errno),
            };
            match fetched {
                Ok(()) | Err(Errno::INTR | Errno::AGAIN) => {}
                Err(errno) => {
                    (self.sink)(Event::Failed(explain(errno)));
                    return;
                }
            }
        }
    }

    /// Reads what is in the queue, up to one buffer, and tells the sink.
    fn fetch(&self, buffer: &mut [MaybeUninit<u8>]) -> Result<(), Errno> {
        let mut reader = Reader::new(&self.inotify, buffer);
        let mut dirty = BTreeSet::new();
        let mut overflow = false;
        loop {
            let event = reader.next()?;
            let kind = event.events();
            if kind.contains(ReadFlags::QUEUE_OVERFLOW) {
                overflow = true;
            } else if kind.contains(ReadFlags::IGNORED) {
                self.names().remove(&event.wd());
            } else if let Some(path) = self.path_of(event.wd(), event.file_name().map(|name| name.to_bytes()))
                && !self.is_being_written(kind, &path)
            {
                dirty.insert(path);
            }
            if reader.is_buffer_empty() {
                break;
            }
        }
        if overflow {
            (self.sink)(Event::Overflow);
        } else {
            dirty.into_iter().for_each(|path| (self.sink)(Event::Dirty(path)));
        }
        Ok(())
    }

    fn path_of(&self, wd: i32, name: Option<&[u8]>) -> Option<RelPath> {
        let dir = self.names().get(&wd)?.clone();
        let Some(name) = name else { return Some(dir) };
        if dir.is_root() && name == RESERVED {
            return None;
        }
        match Name::new(name) {
            Ok(name) if dir.as_bytes().len() + name.as_bytes().len() < MAX_PATH => Some(dir.join(&name)),
            _ => Some(dir),
        }
    }

    /// Tells whether a file was just created by somebody who will close it after writing. A hard link and what
    /// is no regular file will not be closed.
    fn is_being_written(&self, kind: ReadFlags, path: &RelPath) -> bool {
        kind.contains(ReadFlags::CREATE)
            && !kind.contains(ReadFlags::ISDIR)
            && self.disk.handle(&Place::User(path.clone())).and_then(rustix::fs::fstat).is_ok_and(|stat| {
                rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_nlink == 1
            })
    }

    fn add(&self, path: &RelPath) -> Result<(), Errno> {
        let dir = self.disk.handle(&Place::User(path.clone()))?;
        let mut flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::ATTRIB
            | WatchFlags::ONLYDIR;
        if path.is_root() {
            flags |= WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        }
        // Locked before the watch exists, so that its first event finds its name. A directory that is watched
        // already gives its old descriptor, whose name is set right if it was moved.
        let mut names = self.names();
        let wd = inotify::add_watch(&self.inotify, proc_path(&dir), flags)?;
        names.insert(wd, path.clone());
        Ok(())
    }
}

impl DirWatch for Watcher {
    fn enter(&self, path: &RelPath) {
        match self.add(path) {
            // It vanished or cannot be entered; the listing says so in a moment.
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::ACCESS) => {}
            Err(errno) => {
                if !self.failed.swap(true, Ordering::Relaxed) {
                    (self.sink)(Event::Failed(explain(errno)));
                }
            }
        }
    }

    fn leave(&self, paths: &[RelPath]) {
        let gone: BTreeSet<&RelPath> = paths.iter().collect();
        if gone.is_empty() {
            return;
        }
        self.names().retain(|wd, name| {
            let left = is_below_any(name, &gone);
            if left {
                // Fails if the directory was deleted, and the kernel removed the watch itself.
                let _ = inotify::remove_watch(&self.inotify, *wd);
                // There is room for another watch, so a failure would be news again.
                self.failed.store(false, Ordering::Relaxed);
            }
            !left
        });
    }

    fn moved(&self, moves: &[(RelPath, RelPath)]) {
        if moves.is_empty() {
            return;
        }
        for name in self.names().values_mut() {
            for (from, to) in moves {
                if name.starts_with(from)
                    && let Ok(tail) =
                        RelPath::new(name.as_bytes().get(from.as_bytes().len() + 1..).unwrap_or_default())
                {
                    *name = to.join_path(&tail);
                }
            }
        }
    }

    fn adopt(&self, paths: &[RelPath]) {
        for path in paths {
            self.enter(path);
        }
        if paths.len() > MAX_ADOPTED {
            (self.sink)(Event::Overflow);
        } else {
            paths.iter().for_each(|path| (self.sink)(Event::Dirty(path.clone())));
        }
    }
}

/// Tells whether `path` or one of the directories that hold it is in `set`.
fn is_below_any(path: &RelPath, set: &BTreeSet<&RelPath>) -> bool {
    let mut at = Some(path.clone());
    while let Some(path) = at {
        if set.contains(&path) {
            return true;
        }
        at = path.parent();
    }
    false
}

fn explain(errno: Errno) -> String {
    match errno {
        Errno::NOSPC => {
            "the limit of watched folders is reached, so some changes are noticed only at the next full scan; \
             raise it with: sysctl fs.inotify.max_user_watches=1048576"
                .into()
        }
        Errno::MFILE => "the limit of watchers or open files is reached; raise it with: sysctl \
             fs.inotify.max_user_instances=1024"
            .into(),
        other => std::io::Error::from(other).to_string(),
    }
}
