//! Waiting for a folder that is missing to come back.
//!
//! Nothing can be watched through the descriptor of a folder that is not there, so its nearest ancestor that exists is
//! watched by its path, through the notify crate and not recursively. That is a hint like any other: a file system
//! that is mounted over an empty folder raises no event, so whoever waits looks by itself from time to time, too.

use std::path::{Path, PathBuf};

use notify::{EventKind, RecursiveMode, Watcher as _};

use crate::watch::WatchError;

/// A wait for a folder; dropping it ends the wait.
#[must_use = "dropping it ends the wait"]
pub struct Appearance {
    _watcher: notify::RecommendedWatcher,
}

/// Calls `changed` whenever something is created or renamed in the nearest ancestor of `folder` that exists, on a thread
/// of its own. Who is called looks whether the folder is back, and waits anew if it is not: the next ancestor
/// may have come to exist.
///
/// # Errors
/// Where no ancestor can be watched.
pub fn on_change_above(folder: &Path, changed: impl Fn() + Send + 'static) -> Result<Appearance, WatchError> {
    let failed = |error: notify::Error| WatchError(error.to_string());
    let report = move |event: notify::Result<notify::Event>| {
        // An error means that something was missed, so looking is right, too.
        if event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            return;
        }
        changed();
    };
    let mut watcher = notify::recommended_watcher(report).map_err(failed)?;
    watcher.watch(&nearest(folder), RecursiveMode::NonRecursive).map_err(failed)?;
    Ok(Appearance { _watcher: watcher })
}

/// Returns the nearest ancestor of `folder` that is a folder.
fn nearest(folder: &Path) -> PathBuf {
    let mut above = folder.ancestors().skip(1);
    above.find(|path| path.is_dir()).unwrap_or(Path::new("/")).to_path_buf()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn folder_that_comes_back_is_told_step_by_step() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        assert_eq!(nearest(&folder), dir.path());
        for step in ["a", "a/b"] {
            let (sender, receiver) = mpsc::channel();
            let waiting = on_change_above(&folder, move || _ = sender.send(())).unwrap();
            assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err(), "nothing has happened yet");
            std::fs::create_dir(dir.path().join(step)).unwrap();
            receiver.recv_timeout(Duration::from_secs(60)).unwrap();
            drop(waiting);
        }
    }
}
