//! What is started at login: this program, unless it would be wrong to.

use std::path::{Path, PathBuf};

/// Why this program should not be started at login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// It lies where cargo builds: the next build or clean-up takes it away.
    #[error("this is a development build ({}); install Evenfold to start it at login", .0.display())]
    Development(PathBuf),
    /// A sandbox starts its applications by its own portal.
    #[error("inside Flatpak, the start at login is set in the system's own settings")]
    Sandboxed,
    /// Entries are text.
    #[error("the place of this program ({}) is not valid text, which a login entry cannot name", .0.display())]
    NotText(PathBuf),
    /// The system does not say.
    #[error("the system does not say where this program lies: {0}")]
    Unknown(String),
}

/// Returns the program to start at login.
///
/// # Errors
/// Why it should not be.
pub(crate) fn find() -> Result<PathBuf, Unfit> {
    if Path::new("/.flatpak-info").exists() {
        return Err(Unfit::Sandboxed);
    }
    // The program inside an AppImage is gone when it ends; the image is what can be started.
    let image = std::env::var_os("APPIMAGE").map(PathBuf::from).filter(|path| path.is_absolute());
    let program = match image {
        Some(image) => image,
        None => without_mark(std::env::current_exe().map_err(|error| Unfit::Unknown(error.to_string()))?),
    };
    fit(&program)?;
    Ok(program)
}

/// A program that was replaced while it runs, by an update, is shown with a mark behind its name.
fn without_mark(program: PathBuf) -> PathBuf {
    match program.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(text) => PathBuf::from(text),
        None => program,
    }
}

/// Tells whether a program may be named in a login entry.
pub(crate) fn fit(program: &Path) -> Result<(), Unfit> {
    if program.to_str().is_none() {
        return Err(Unfit::NotText(program.to_path_buf()));
    }
    // Cargo keeps its books beside what it builds.
    let built = program
        .ancestors()
        .skip(1)
        .any(|dir| dir.join(".rustc_info.json").is_file() || dir.join(".fingerprint").is_dir());
    if built { Err(Unfit::Development(program.to_path_buf())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_built_is_not_started_at_login() {
        assert!(matches!(fit(&std::env::current_exe().unwrap()), Err(Unfit::Development(_))));
        assert!(matches!(find(), Err(Unfit::Development(_))));
        assert_eq!(fit(Path::new("/usr/bin/evenfold-desktop")), Ok(()));
    }

    #[test]
    fn replaced_program_is_found_under_its_name() {
        assert_eq!(without_mark("/usr/bin/x (deleted)".into()), PathBuf::from("/usr/bin/x"));
        assert_eq!(without_mark("/usr/bin/x".into()), PathBuf::from("/usr/bin/x"));
    }
}
