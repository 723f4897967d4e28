//! How a replica and its watcher work together.

use std::sync::Arc;

use evenfold_core::apply::{Batch, Outcome};
use evenfold_core::{Dir, Entry, RelPath};

use super::{Replica, lock};
use crate::disk::Disk;
use crate::platform::{RealDisk, Watcher};
use crate::watch::{DirWatch, Event, Watch, WatchError};

impl Replica<RealDisk> {
    /// Begins to watch: `sink` is called from another thread for each event, within about a millisecond, and
    /// must not block for long. Directories are watched from the next scan that lists them, so call this before
    /// the first scan, or scan everything afterwards. A second call replaces the first watcher.
    ///
    /// # Errors
    /// If the system gives no watcher.
    pub fn watch(&self, sink: impl Fn(Event) + Send + Sync + 'static) -> Result<Watch, WatchError> {
        let watcher = Watcher::start(Arc::clone(&self.disk), Box::new(sink))?;
        let ours: Arc<dyn DirWatch> = Arc::clone(&watcher) as Arc<dyn DirWatch>;
        *lock(&self.watch) = Some(Arc::clone(&ours));
        let slot = Arc::clone(&self.watch);
        Ok(Watch::new(move || {
            let mut slot = lock(&slot);
            if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, &ours)) {
                *slot = None;
            }
            drop(slot);
            watcher.stop();
        }))
    }
}

impl<D: Disk> Replica<D> {
    /// Keeps the watches in step with directories that a batch moved, created or deleted.
    pub(super) fn tell_watch(&self, batch: &Batch, outcomes: &[Outcome]) {
        let Some(watch) = lock(&self.watch).clone() else { return };
        let (mut moved, mut left, mut made) = (Vec::new(), Vec::new(), Vec::new());
        let mut outcomes = outcomes.iter();
        for (step, outcome) in batch.moves.iter().zip(&mut outcomes) {
            if let (Outcome::Applied { .. }, Entry::Dir(_)) = (outcome, &step.entry) {
                moved.push((step.from.clone(), step.to.clone()));
            }
        }
        for (change, outcome) in batch.changes.iter().zip(outcomes) {
            let was_dir = matches!(change.old, Some(Entry::Dir(_)));
            match outcome {
                Outcome::Applied { now: Some(Entry::Dir(dir)), .. } if !was_dir => {
                    collect_dirs(dir, &change.path, &mut made);
                }
                Outcome::Applied { now, .. } if was_dir && !matches!(now, Some(Entry::Dir(_))) => {
                    left.push(change.path.clone());
                }
                _ => {}
            }
        }
        watch.moved(&moved);
        watch.leave(&left);
        watch.adopt(&made);
    }
}

fn collect_dirs(dir: &Dir, path: &RelPath, found: &mut Vec<RelPath>) {
    found.push(path.clone());
    for child in dir.children() {
        if let Entry::Dir(below) = &child.entry {
            collect_dirs(below, &path.join(&child.name), found);
        }
    }
}
