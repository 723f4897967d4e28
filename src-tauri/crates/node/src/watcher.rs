//! From the watcher's reports to scans of what they name.
//!
//! Reports only set marks in a bounded set; this task looks at the disk at its own pace, as the debouncer
//! says. The watcher is a hint and the scan the truth: lost reports cost time until the next rescan, nothing
//! else.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evenfold_core::snapshot::Extent;
use evenfold_core::{ProblemKind, RelPath};
use evenfold_engine::Endpoint;
use evenfold_engine::debounce::Debouncer;
use evenfold_fs::platform::RealDisk;
use evenfold_fs::replica::Replica;
use evenfold_fs::watch::{Event, Watch};
use tokio::sync::Notify;

use crate::back::Back;
use crate::local::{LocalEndpoint, lock};
use crate::reporting::until;

/// Paths that may be marked one by one; beyond this, looking at everything is cheaper than remembering.
const MOST_MARKS: usize = 8192;

/// How soon a file that was being written while it was read is looked at again.
const STILL_CHANGING: Duration = Duration::from_millis(700);

/// A file that a program keeps open is looked at when nothing was written to it for this long.
const KEPT_OPEN: Duration = Duration::from_secs(3);

/// A running watcher; dropping it stops it.
pub(crate) struct Watching {
    _watch: Watch,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Default)]
struct Marks {
    paths: HashSet<RelPath>,
    /// Files that were written to and not closed yet, and when last. More than can be remembered wait for the rescan.
    open: HashMap<RelPath, Instant>,
    everything: bool,
    reports: u32,
}

impl Marks {
    /// Marks the open files that have been quiet for long enough; returns when to do so again.
    fn mark_quiet(&mut self, now: Instant) -> Option<Instant> {
        let quiet = self.open.extract_if(|_, written| *written + KEPT_OPEN <= now);
        let before = self.paths.len();
        self.paths.extend(quiet.map(|(path, _)| path));
        self.reports =
            self.reports.saturating_add(u32::try_from(self.paths.len() - before).unwrap_or(u32::MAX));
        self.open.values().min().map(|first| *first + KEPT_OPEN)
    }
}

/// Starts to watch; `None` where the system cannot, which leaves the periodic rescan.
pub(crate) fn start(local: Back<LocalEndpoint>, replica: &Arc<Replica<RealDisk>>) -> Option<Watching> {
    let marks = Arc::new(Mutex::new(Marks::default()));
    let wake = Arc::new(Notify::new());
    let (marking, waking) = (Arc::clone(&marks), Arc::clone(&wake));
    let watch = replica.watch(move |event| {
        let mut marks = lock(&marking);
        if let Event::Written(path) = event {
            let first = marks.open.is_empty();
            if marks.open.len() < MOST_MARKS {
                marks.open.insert(path, Instant::now());
            }
            drop(marks);
            if first {
                waking.notify_one();
            }
            return;
        }
        marks.reports = marks.reports.saturating_add(1);
        match event {
            Event::Written(_) => {}
            Event::Dirty(path) if marks.paths.len() < MOST_MARKS => {
                marks.open.remove(&path);
                marks.paths.insert(path);
            }
            Event::Dirty(_) | Event::Overflow => marks.everything = true,
            Event::Failed(detail) => {
                tracing::warn!(
                    detail,
                    "the folder cannot be watched completely; rescans find what is missed"
                );
            }
        }
        drop(marks);
        waking.notify_one();
    });
    let watch = match watch {
        Ok(watch) => watch,
        Err(error) => {
            tracing::warn!(%error, "the folder cannot be watched; rescans find changes");
            return None;
        }
    };
    let task = tokio::spawn(run(local, marks, wake));
    Some(Watching { _watch: watch, task })
}

async fn run(local: Back<LocalEndpoint>, marks: Arc<Mutex<Marks>>, wake: Arc<Notify>) {
    let begin = Instant::now();
    let mut debouncer = Debouncer::default();
    let mut again: Option<Instant> = None;
    let mut quiet_at: Option<Instant> = None;
    loop {
        let due = debouncer.due().map(|due| begin + due);
        tokio::select! {
            () = wake.notified() => {}
            () = until(due.into_iter().chain(quiet_at).min().map(Into::into)) => {}
            () = until(again.map(Into::into)), if due.is_none() => {
                again = None;
                debouncer.report(begin.elapsed());
            }
        }
        let reports = {
            let mut marks = lock(&marks);
            quiet_at = marks.mark_quiet(Instant::now());
            std::mem::take(&mut marks.reports)
        };
        for _ in 0..reports.min(64) {
            debouncer.report(begin.elapsed());
        }
        if debouncer.due().is_none_or(|due| due > begin.elapsed()) {
            continue;
        }
        debouncer.clear();
        let marked = {
            let mut marks = lock(&marks);
            let open = std::mem::take(&mut marks.open);
            std::mem::replace(&mut *marks, Marks { open, ..Marks::default() })
        };
        let extent = if marked.everything {
            Extent::Full
        } else if marked.paths.is_empty() {
            continue;
        } else {
            Extent::Paths(marked.paths.into_iter().collect())
        };
        let Some(local) = local.upgrade() else { return };
        match local.scan(extent, &[]).await {
            Ok(snapshot) => {
                let changing =
                    snapshot.problems.iter().filter(|problem| problem.kind == ProblemKind::Changing);
                let mut marks = lock(&marks);
                for problem in changing.take(MOST_MARKS) {
                    marks.paths.insert(problem.path.clone());
                    again = Some(Instant::now() + STILL_CHANGING);
                }
            }
            // The loop of the relationship meets the same error and says so; watching begins anew with the
            // next successful look.
            Err(error) => tracing::debug!(%error, "a watched change could not be looked at"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_kept_open_are_looked_at_when_they_are_quiet() {
        let (quiet, busy) = (RelPath::new(b"log").unwrap(), RelPath::new(b"download").unwrap());
        let now = Instant::now();
        let mut marks = Marks::default();
        marks.open.insert(quiet.clone(), now);
        marks.open.insert(busy, now + Duration::from_secs(2));
        assert_eq!(marks.mark_quiet(now + Duration::from_secs(1)), Some(now + KEPT_OPEN));
        assert!(marks.paths.is_empty());
        let next = marks.mark_quiet(now + KEPT_OPEN);
        assert_eq!(next, Some(now + Duration::from_secs(2) + KEPT_OPEN));
        assert_eq!(marks.paths, HashSet::from([quiet]));
        assert_eq!(marks.reports, 1);
    }
}
