//! One process at a time for what is kept of a relationship, and the newest one has it.
//!
//! When a line dies, sshd may keep the program at its end for hours. Whoever drives the pair has long logged in anew,
//! and only one machine drives a relationship: so the earlier process is asked to end, by connecting to a socket beside
//! its lock.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use crate::home::{Home, HomeLock, LockError};

/// How long the earlier process may take to end. It only has to drop what it holds.
const ENDING: Duration = Duration::from_secs(10);

const WHAT: &str = "serve";

/// The right to what is kept.
pub(super) struct Turn {
    /// Where a later process asks us to end; without it, that one waits for our end.
    ask: Option<UnixListener>,
    _lock: HomeLock,
}

fn socket(dir: &Home) -> PathBuf {
    dir.dir().join("turn")
}

impl Turn {
    /// Takes the right, asking an earlier process to end.
    ///
    /// # Errors
    /// Where it does not end in time, or the lock cannot be used.
    pub(super) async fn take(dir: &Home) -> Result<Turn, LockError> {
        let lock = match dir.lock(WHAT) {
            Ok(lock) => lock,
            Err(LockError::Held { .. }) => {
                // Connecting is the question. Where nobody listens, the lock is about to be free.
                _ = UnixStream::connect(socket(dir)).await;
                let waiting = dir.clone();
                let waited = tokio::task::spawn_blocking(move || waiting.lock_within(WHAT, ENDING)).await;
                waited.map_err(|error| LockError::Unusable {
                    path: dir.dir().to_path_buf(),
                    error: io::Error::other(error),
                })??
            }
            Err(error) => return Err(error),
        };
        let path = socket(dir);
        let removed = match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let ask = removed.and_then(|()| UnixListener::bind(&path));
        let ask = ask.inspect_err(|error| tracing::debug!(%error, "nobody can ask this process to end")).ok();
        Ok(Turn { ask, _lock: lock })
    }

    /// Waits until a later process asks.
    pub(super) async fn asked(&self) {
        match &self.ask {
            Some(listener) => match listener.accept().await {
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "nobody can ask this process to end any more");
                    std::future::pending().await
                }
            },
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_later_one_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("kept")).unwrap();
        home.create().unwrap();
        let first = Turn::take(&home).await.unwrap();
        let ending = tokio::spawn(async move { first.asked().await });
        let second = Turn::take(&home).await.unwrap();
        ending.await.unwrap();
        let third = tokio::spawn(async move { Turn::take(&home).await.is_ok() });
        second.asked().await;
        drop(second);
        assert!(third.await.unwrap());
    }
}
