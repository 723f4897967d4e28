//! One engine per home: a lock that ends with its holder, however that ends.
//!
//! Only the advisory lock of the open file counts (`flock`); the kernel drops it when the process is gone, also after
//! `kill -9`. What stands in the file names the holder for people, and never decides anything. The file is opened
//! close-on-exec, so a command that the holder started does not keep the lock.
//!
//! There are two locks. `lock` belongs to whoever runs an engine. `daemon.lock` is taken first by a daemon, for its
//! whole life, so that short commands see a daemon that is still starting and talk to it instead of racing it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Home;
use crate::api::{ApiError, ErrorCode};
use crate::text::format_time;

/// Most bytes that are read from a lock file: it holds one short line.
const LONGEST_NOTE: u64 = 4096;

/// How long to wait between attempts to take a lock.
const PAUSE: Duration = Duration::from_millis(5);

/// Who holds a lock, as far as the lock file tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Since when, RFC 3339.
    pub since: String,
    /// Its command, such as `daemon`.
    pub what: String,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another engine runs on this home.
    #[error("another evenfold already runs on the home {}{}", home.display(), described(holder.as_ref()))]
    Held {
        /// The home.
        home: PathBuf,
        /// Who it is; unknown in the moment after it has taken the lock.
        holder: Option<Holder>,
    },
    /// The lock file cannot be used.
    #[error("the lock file {} cannot be used: {error}", path.display())]
    Unusable {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

fn described(holder: Option<&Holder>) -> String {
    holder
        .map(|holder| format!(" (evenfold {}, process {}, since {})", holder.what, holder.pid, holder.since))
        .unwrap_or_default()
}

impl From<LockError> for ApiError {
    fn from(error: LockError) -> Self {
        let (code, hint) = match &error {
            LockError::Held { .. } => (
                ErrorCode::AlreadyRunning,
                "Wait until it has ended, or give this one a home of its own with --home DIR.",
            ),
            LockError::Unusable { .. } => (ErrorCode::Io, "Make the home writable for this user."),
        };
        ApiError::new(code, error.to_string()).with_hint(hint)
    }
}

/// The right to run an engine on a home. It ends when this is dropped, or with the process.
#[derive(Debug)]
pub struct HomeLock {
    // Held for their locks only.
    _daemon: Option<File>,
    _engine: File,
}

impl Home {
    /// Takes the home for an engine at once, or not at all. `what` is the command, for the others' messages.
    ///
    /// # Errors
    /// When another process holds it, or the lock file cannot be used.
    pub fn lock(&self, what: &str) -> Result<HomeLock, LockError> {
        self.lock_within(what, Duration::ZERO)
    }

    /// Takes the home for an engine, blocking for at most `patience` while another holds it.
    ///
    /// # Errors
    /// When another process still holds it then, or the lock file cannot be used.
    pub fn lock_within(&self, what: &str, patience: Duration) -> Result<HomeLock, LockError> {
        let engine = self.take(&self.engine_lock(), what, patience)?;
        Ok(HomeLock { _daemon: None, _engine: engine })
    }

    /// Takes the home for a daemon. Blocks for at most `patience` while a short command holds it; at once, others
    /// see that a daemon is coming.
    ///
    /// # Errors
    /// When another process holds it, or the lock file cannot be used.
    pub fn lock_for_daemon(&self, patience: Duration) -> Result<HomeLock, LockError> {
        self.lock_to_host("daemon", patience)
    }

    /// The same for a process that is called something else for the others' messages.
    ///
    /// # Errors
    /// When another process holds it, or the lock file cannot be used.
    pub fn lock_to_host(&self, what: &str, patience: Duration) -> Result<HomeLock, LockError> {
        let began = Instant::now();
        // Whoever asks whether there is a daemon holds this one for a moment.
        let daemon = self.take(&self.daemon_lock(), what, patience / 4)?;
        let engine = self.take(&self.engine_lock(), what, patience.saturating_sub(began.elapsed()))?;
        Ok(HomeLock { _daemon: Some(daemon), _engine: engine })
    }

    /// Tells whether a daemon runs on this home or is starting.
    pub fn has_daemon(&self) -> bool {
        let Ok(file) = File::open(self.daemon_lock()) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    fn engine_lock(&self) -> PathBuf {
        self.dir().join("lock")
    }

    fn daemon_lock(&self) -> PathBuf {
        self.dir().join("daemon.lock")
    }

    fn take(&self, path: &Path, what: &str, patience: Duration) -> Result<File, LockError> {
        let unusable = |error| LockError::Unusable { path: path.to_path_buf(), error };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(unusable)?;
        let until = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let holder = read_note(&mut file);
                    return Err(LockError::Held { home: self.dir().to_path_buf(), holder });
                }
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
        }
        write_note(&mut file, what).map_err(unusable)?;
        Ok(file)
    }
}

fn write_note(file: &mut File, what: &str) -> io::Result<()> {
    let holder =
        Holder { pid: std::process::id(), since: format_time(Timestamp::now()), what: what.to_owned() };
    let mut note = serde_json::to_vec(&holder)?;
    note.push(b'\n');
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&note)
}

fn read_note(file: &mut File) -> Option<Holder> {
    let mut note = Vec::new();
    file.rewind().ok()?;
    file.take(LONGEST_NOTE).read_to_end(&mut note).ok()?;
    serde_json::from_slice(&note).ok()
}

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn fresh() -> (tempfile::TempDir, Home) {
        let temporary = tempfile::tempdir().unwrap();
        let home = Home::at(temporary.path().join("home")).unwrap();
        home.create().unwrap();
        (temporary, home)
    }

    #[test]
    fn second_engine_is_refused_and_the_holder_named() {
        let (_temporary, home) = fresh();
        let _lock = home.lock("run").unwrap();
        let error = ApiError::from(home.lock("daemon").unwrap_err());
        assert_eq!(error.code, ErrorCode::AlreadyRunning);
        let expected = format!("evenfold run, process {}", std::process::id());
        assert!(error.message.contains(&expected), "{}", error.message);
    }

    #[test]
    fn lock_ends_when_it_is_dropped() {
        let (_temporary, home) = fresh();
        drop(home.lock("run").unwrap());
        home.lock("run").unwrap();
    }

    #[test]
    fn lock_file_that_names_a_living_process_does_not_hold() {
        let (_temporary, home) = fresh();
        let note =
            format!(r#"{{"pid":{},"since":"2026-11-21T14:02:07Z","what":"daemon"}}"#, std::process::id());
        std::fs::write(home.dir().join("lock"), &note).unwrap();
        std::fs::write(home.dir().join("daemon.lock"), &note).unwrap();
        assert!(!home.has_daemon());
        home.lock_for_daemon(Duration::ZERO).unwrap();
    }

    #[test]
    fn daemon_is_seen_as_long_as_it_lives() {
        let (_temporary, home) = fresh();
        assert!(!home.has_daemon());
        let lock = home.lock_for_daemon(Duration::from_millis(10)).unwrap();
        assert!(home.has_daemon());
        assert!(home.lock_for_daemon(Duration::ZERO).is_err());
        drop(lock);
        assert!(!home.has_daemon());
    }

    #[test]
    fn daemon_waits_for_a_short_command() {
        let (_temporary, home) = fresh();
        let short = home.lock("status").unwrap();
        let other = home.clone();
        let daemon = std::thread::spawn(move || other.lock_for_daemon(Duration::from_secs(60)).is_ok());
        while !home.has_daemon() {
            std::thread::sleep(PAUSE);
        }
        drop(short);
        assert!(daemon.join().unwrap());
    }

    /// Not a test: the process that the next test kills.
    #[test]
    fn holder_process() {
        let Some(dir) = std::env::var_os("EVENFOLD_TEST_HOLD") else { return };
        let _lock = Home::at(dir.into()).unwrap().lock("run").unwrap();
        // A command that the holder started must not keep the lock. Between fork and exec it still does, so it has to run
        // before anybody is told.
        let mut command = Command::new("sleep");
        let mut running = command.arg("60").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        println!("held");
        running.wait().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn lock_ends_with_a_killed_holder_whose_command_still_runs() {
        let (_temporary, home) = fresh();
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "home::lock::tests::holder_process", "--nocapture"])
            .env("EVENFOLD_TEST_HOLD", home.dir())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = io::BufReader::new(holder.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("held")));
        let LockError::Held { holder: Some(named), .. } = home.lock("run").unwrap_err() else {
            panic!("the holder is not named")
        };
        assert_eq!(named.pid, holder.id());
        holder.kill().unwrap();
        holder.wait().unwrap();
        home.lock("run").unwrap();
    }
}
