//! From the watcher's reports to scans of what they name.
//!
//! Reports only set marks in a bounded set; this task looks at the disk at its own pace, as the debouncer
//! says. The watcher is a hint and the scan the truth: lost reports cost time until the next rescan, nothing
//! else.

use std::collections::HashSet;
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

/// Paths that may be marked one by one; beyond this, looking at everything is cheaper than remembering.
const MOST_MARKS: usize = 8192;

/// How soon a file that was being written while it was read is looked at again.
const STILL_CHANGING: Duration = Duration::from_millis(700);

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
    everything: bool,
    reports: u32,
}

/// Starts to watch; `None` where the system cannot, which leaves the periodic rescan.
pub(crate) fn start(local: Back<LocalEndpoint>, replica: &Arc<Replica<RealDisk>>) -> Option<Watching> {
    let marks = Arc::new(Mutex::new(Marks::default()));
    let wake = Arc::new(Notify::new());
    let (marking, waking) = (Arc::clone(&marks), Arc::clone(&wake));
    let watch = replica.watch(move |event| {
        let mut marks = lock(&marking);
        marks.reports = marks.reports.saturating_add(1);
        match event {
            Event::Dirty(path) if marks.paths.len() < MOST_MARKS => _ = marks.paths.insert(path),
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
    loop {
        match (debouncer.due(), again) {
            (Some(due), _) => {
                let wait = due.saturating_sub(begin.elapsed());
                tokio::select! {
                    () = wake.notified() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
            (None, Some(at)) => {
                tokio::select! {
                    () = wake.notified() => {}
                    () = tokio::time::sleep_until(at.into()) => {
                        again = None;
                        debouncer.report(begin.elapsed());
                    }
                }
            }
            (None, None) => wake.notified().await,
        }
        let reports = std::mem::take(&mut lock(&marks).reports);
        for _ in 0..reports.min(64) {
            debouncer.report(begin.elapsed());
        }
        if debouncer.due().is_none_or(|due| due > begin.elapsed()) {
            continue;
        }
        debouncer.clear();
        let marked = std::mem::take(&mut *lock(&marks));
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
