//! Watching with inotify.
//!
//! Plain inotify is used rather than the notify crate, because that one also asks for every `open`: reading a tree
//! to scan it would flood the queue, whose overflow asks for another scan, and programs that only read would keep
//! waking us up. Watches are added through the descriptor of the very directory, so
//! no flipped link makes us watch elsewhere.
//!
//! A file that is being written is dirty when it is closed, not when it is created, because until then there is
//! mostly nothing to be synced. That it is written to is told, too, for those that are never closed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use evenfold_core::path::{MAX_PATH, RESERVED};
use evenfold_core::{Name, RelPath};
use rustix::fs::inotify::{ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::linux::{RealDisk, proc_path};
use super::linux_inotify::{self, Membership, Report};
use crate::disk::Place;
use crate::watch::{DirWatch, Event, WatchError};

/// The most directories called dirty one by one after a batch; more are told as one [`Event::Overflow`].
const MAX_ADOPTED: usize = 4096;

type Sink = Box<dyn Fn(Event) + Send + Sync>;

/// The watches of one root.
pub(crate) struct Watcher {
    disk: Arc<RealDisk>,
    sink: Sink,
    /// Empty before the start and after the end.
    membership: Mutex<Option<Arc<Membership>>>,
    /// Whether the sink knows that watches are missing.
    failed: AtomicBool,
}

impl Watcher {
    /// Calls `sink` for each event, within a fraction of a millisecond of the change, on a thread that all
    /// roots share: it must not block. Directories are watched from when [`DirWatch::enter`] is called for them.
    pub(crate) fn start(disk: Arc<RealDisk>, sink: Sink) -> Result<Arc<Self>, WatchError> {
        let watcher =
            Arc::new(Watcher { disk, sink, membership: Mutex::default(), failed: AtomicBool::new(false) });
        let weak = Arc::downgrade(&watcher);
        let joined = linux_inotify::join(Arc::new(move |reports| {
            if let Some(watcher) = weak.upgrade() {
                watcher.receive(reports);
            }
        }));
        let membership = joined.map_err(|error| {
            WatchError(Errno::from_io_error(&error).map_or_else(|| error.to_string(), explain))
        })?;
        *watcher.membership.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(membership));
        Ok(watcher)
    }

    /// Ends the watching and waits for a running call of the sink, unless called from it.
    pub(crate) fn stop(&self) {
        let membership = self.membership.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(membership);
    }

    /// Returns the membership while it lasts.
    fn membership(&self) -> Option<Arc<Membership>> {
        self.membership.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn receive(&self, reports: Vec<Report>) {
        let (mut dirty, mut written) = (BTreeSet::new(), BTreeSet::new());
        for report in reports {
            match report {
                Report::Overflow => (self.sink)(Event::Overflow),
                Report::Failed(errno) => (self.sink)(Event::Failed(explain(errno))),
                Report::Event(kind, dir, name) => {
                    let Some(path) = path_of(dir, name.as_deref()) else { continue };
                    if kind.contains(ReadFlags::MODIFY) {
                        written.insert(path);
                    } else if !self.is_being_written(kind, &path) {
                        dirty.insert(path);
                    }
                }
            }
        }
        written
            .into_iter()
            .filter(|path| !dirty.contains(path))
            .for_each(|path| (self.sink)(Event::Written(path)));
        dirty.into_iter().for_each(|path| (self.sink)(Event::Dirty(path)));
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
            | WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::ATTRIB
            | WatchFlags::ONLYDIR;
        if path.is_root() {
            flags |= WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        }
        match self.membership() {
            Some(membership) => membership.add(proc_path(&dir), path, flags),
            None => Ok(()),
        }
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
        if self.membership().is_some_and(|membership| membership.remove(|name| is_below_any(name, &gone))) {
            // There is room for another watch, so a failure would be news again.
            self.failed.store(false, Ordering::Relaxed);
        }
    }

    fn moved(&self, moves: &[(RelPath, RelPath)]) {
        if moves.is_empty() {
            return;
        }
        let Some(membership) = self.membership() else { return };
        membership.rename(|name| {
            for (from, to) in moves {
                if name.starts_with(from)
                    && let Ok(tail) =
                        RelPath::new(name.as_bytes().get(from.as_bytes().len() + 1..).unwrap_or_default())
                {
                    *name = to.join_path(&tail);
                }
            }
        });
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

/// Returns the path of a name in a watched directory; `None` for what is ours.
fn path_of(dir: RelPath, name: Option<&[u8]>) -> Option<RelPath> {
    let Some(name) = name else { return Some(dir) };
    if dir.is_root() && name == RESERVED {
        return None;
    }
    match Name::new(name) {
        Ok(name) if dir.as_bytes().len() + name.as_bytes().len() < MAX_PATH => Some(dir.join(&name)),
        _ => Some(dir),
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
