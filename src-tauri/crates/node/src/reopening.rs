//! Opening a folder again that was let go.
//!
//! A folder is let go when a look at it fails or its rules change. A hub's folder is looked at by its spokes only,
//! and they wait for its nudges; so without this nobody would notice that it is back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evenfold_fs::appear::on_change_above;
use tokio::sync::Notify;

use crate::back::Back;
use crate::local::LocalEndpoint;

/// How often the folder is looked for although nothing says that it is back: a file system that is mounted says
/// nothing.
const LOOK: Duration = Duration::from_secs(3);

/// What changes above the folder again and again makes nobody look more often than this.
const CALM: Duration = Duration::from_millis(100);

/// The task that opens a folder again, of which there is one at a time.
#[derive(Default)]
pub(crate) struct Reopening {
    running: AtomicBool,
    ended: AtomicBool,
}

impl Reopening {
    /// Begins to try, `at_once` or when something changes above the folder; a second call while it tries does nothing.
    pub(crate) fn begin(&self, local: &Back<LocalEndpoint>, root: &Path, at_once: bool) {
        if !self.ended.load(Ordering::SeqCst) && !self.running.swap(true, Ordering::SeqCst) {
            let wait = if at_once { Duration::ZERO } else { LOOK };
            tokio::spawn(run(local.clone(), root.to_path_buf(), wait));
        }
    }

    /// Gives up for good.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

async fn run(local: Back<LocalEndpoint>, root: PathBuf, mut wait: Duration) {
    loop {
        // Watching begins before the look, so that nothing falls between the two.
        let changed = Arc::new(Notify::new());
        let waking = Arc::clone(&changed);
        let above = root.clone();
        let watching =
            tokio::task::spawn_blocking(move || on_change_above(&above, move || waking.notify_one()));
        // Without it, the folder is still looked for from time to time.
        let watching = watching.await.ok().and_then(Result::ok);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = changed.notified() => tokio::time::sleep(CALM).await,
        }
        drop(watching);
        wait = LOOK;
        let Some(local) = local.upgrade() else { return };
        if !local.reopening.ended.load(Ordering::SeqCst) && !local.is_open() && local.replica().await.is_err()
        {
            continue;
        }
        local.reopening.running.store(false, Ordering::SeqCst);
        // Whoever lets go of it from now on begins anew. Who did so a moment ago could not, and is served by this: a look
        // opens the folder where it is not open, and its failure begins anew.
        if !local.reopening.ended.load(Ordering::SeqCst)
            && let Err(error) = local.look_anew().await
        {
            tracing::debug!(%error, "the folder could not be looked at");
        }
        return;
    }
}
