//! The home of a node: the directory that holds everything it keeps, and the lock that makes it one engine's own.

mod lock;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

pub use lock::{Holder, HomeLock, LockError};

/// Variable that says where the home is.
pub const HOME_VARIABLE: &str = "EVENFOLD_HOME";

/// Why there is no home to work in.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Neither flag nor variable was given, and the platform names no directory for this user.
    #[error("this user has no home directory, so there is no place for what Evenfold keeps")]
    NoPlace,
    /// The path is relative, and the working directory is gone.
    #[error("{0:?} cannot be made absolute: {1}")]
    NotAbsolute(PathBuf, #[source] io::Error),
    /// The directory could not be made, or not be kept to its owner.
    #[error("the home {0:?} cannot be prepared: {1}")]
    Unusable(PathBuf, #[source] io::Error),
    /// The directory belongs to somebody else.
    #[error("the home {0:?} belongs to another user")]
    NotOurs(PathBuf),
}

impl HomeError {
    /// Returns what to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoPlace => "Give one with --home DIR or in EVENFOLD_HOME.",
            Self::NotAbsolute(..) => "Give an absolute path.",
            Self::Unusable(..) | Self::NotOurs(_) => {
                "Give a directory of your own with --home DIR or in EVENFOLD_HOME."
            }
        }
    }
}

/// The home directory of a node. It need not exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// Finds the home: the flag, else the variable (empty counts as absent), else the platform's directory.
    /// Nothing is created.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn locate(flag: Option<PathBuf>, variable: Option<OsString>) -> Result<Home, HomeError> {
        let given = flag.or_else(|| variable.filter(|value| !value.is_empty()).map(PathBuf::from));
        let dir = match given {
            Some(dir) => dir,
            None => directories::ProjectDirs::from("", "", "evenfold")
                .ok_or(HomeError::NoPlace)?
                .data_dir()
                .to_path_buf(),
        };
        Home::at(dir)
    }

    /// Uses a directory as home.
    ///
    /// # Errors
    /// When the path is relative and the working directory is gone.
    pub fn at(dir: PathBuf) -> Result<Home, HomeError> {
        match std::path::absolute(&dir) {
            Ok(dir) => Ok(Home { dir }),
            Err(error) => Err(HomeError::NotAbsolute(dir, error)),
        }
    }

    /// Creates the directory if it is missing, and keeps it to its owner (mode 0700).
    ///
    /// # Errors
    /// When it cannot be created or belongs to somebody else.
    pub fn create(&self) -> Result<(), HomeError> {
        private_dir(&self.dir).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied if self.dir.is_dir() => HomeError::NotOurs(self.dir.clone()),
            _ => HomeError::Unusable(self.dir.clone(), error),
        })
    }

    /// Returns the directory, an absolute path.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path of the settings of the node.
    pub fn config_file(&self) -> PathBuf {
        self.dir.join("config.toml")
    }

    /// Returns the directory of the log files.
    pub fn log_dir(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Returns the newest log file.
    pub fn log_file(&self) -> PathBuf {
        self.log_dir().join("evenfold.log")
    }
}

/// Makes sure that `dir` is a directory of ours that nobody else can enter; creates it with its parents.
///
/// # Errors
/// `PermissionDenied` when it belongs to somebody else; otherwise what the system says.
#[cfg(unix)]
pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let found = std::fs::metadata(dir)?;
    let us = rustix::process::geteuid().as_raw();
    if found.uid() != us && us != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the directory belongs to another user"));
    }
    if found.mode() & 0o077 != 0 {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Makes sure that `dir` is a directory. On this platform a user's own data directory is private by inheritance.
#[cfg(not(unix))]
pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_wins_over_variable_wins_over_platform() {
        let flag = || Some(PathBuf::from("/flag"));
        let variable = || Some(OsString::from("/variable"));
        assert_eq!(Home::locate(flag(), variable()).unwrap().dir(), Path::new("/flag"));
        assert_eq!(Home::locate(None, variable()).unwrap().dir(), Path::new("/variable"));
        let platform = Home::locate(None, Some(OsString::new())).unwrap();
        assert!(platform.dir().ends_with("evenfold"), "{platform:?}");
    }

    #[test]
    fn relative_home_becomes_absolute() {
        let home = Home::locate(Some("some/home".into()), None).unwrap();
        assert_eq!(home.dir(), std::env::current_dir().unwrap().join("some/home"));
    }

    #[cfg(unix)]
    #[test]
    fn home_is_kept_to_its_owner_even_if_it_was_open() {
        use std::os::unix::fs::PermissionsExt as _;
        let temporary = tempfile::tempdir().unwrap();
        let mode = |dir: &Path| std::fs::metadata(dir).unwrap().permissions().mode() & 0o7777;
        let fresh = Home::at(temporary.path().join("a/b")).unwrap();
        fresh.create().unwrap();
        assert_eq!(mode(fresh.dir()), 0o700);
        let open = temporary.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
        Home::at(open.clone()).unwrap().create().unwrap();
        assert_eq!(mode(&open), 0o700);
    }
}
