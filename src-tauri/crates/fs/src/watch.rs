//! Watching a root: events are hints that something may have changed, never the truth.
//!
//! Each directory is watched by itself, and the scan adds the watch *before* it lists the directory, so no
//! change falls between the two. A watch follows its directory when it is moved; the scan that finds the
//! directory at its new place gives the watch its new name.

use evenfold_core::RelPath;

/// What a watcher says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something changed at this path: scan it ([`evenfold_core::snapshot::Extent::Paths`]).
    Dirty(RelPath),
    /// A file was written to and not closed yet. It is dirty when it is closed, which may be never: whoever wants to see
    /// the files of programs that keep them open scans it when nothing was written for a while.
    Written(RelPath),
    /// More changed than could be remembered: scan everything.
    Overflow,
    /// Watching does not work (any more) for a part of the root or all of it, and why, with a hint what to do.
    /// Scans stay right; only the moment at which a change is noticed is lost.
    Failed(String),
}

/// Watching could not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot watch the folder: {0}")]
pub struct WatchError(pub String);

/// What the scan and the apply step tell a watcher about directories.
pub(crate) trait DirWatch: Send + Sync {
    /// A directory is about to be listed: from now on each change in it gives an event.
    fn enter(&self, path: &RelPath);
    /// These directories, with all below them, do not exist any more (or do not take part any more).
    fn leave(&self, paths: &[RelPath]);
    /// Directories were renamed by ourselves, together with their watches.
    fn moved(&self, moves: &[(RelPath, RelPath)]);
    /// Directories were created by ourselves: begins to watch them, and calls them dirty, because something may
    /// have changed in them before.
    fn adopt(&self, paths: &[RelPath]);
}

/// A running watcher; dropping it ends the watching and waits for a running callback.
#[must_use = "dropping it ends the watching"]
pub struct Watch {
    stop: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Watch {
    pub(crate) fn new(stop: impl FnOnce() + Send + Sync + 'static) -> Self {
        Watch { stop: Some(Box::new(stop)) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
    }
}
