//! Where the control socket of a home lies.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::home::{Home, private_dir};

/// Longest path of a Unix socket on Linux, in bytes, without the final zero.
const LONGEST: usize = 107;

const NAME: &str = "control.sock";

/// Returns the places where the socket of `home` may be, best first. It lies in the home, unless that path is too long
/// for a socket; then in a private directory named by a digest of the home, below the user's runtime directory or
/// `/tmp`. A daemon and a command may have different runtime directories, so a command looks into all of them.
pub(super) fn candidates(home: &Home, runtime: Option<PathBuf>) -> Vec<PathBuf> {
    let inside = home.dir().join(NAME);
    if fits(&inside) {
        return vec![inside];
    }
    let digest = evenfold_core::Digest::of(home.dir().as_os_str().as_bytes());
    let short: String = digest.0.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let dir = format!("evenfold-{}-{short}", rustix::process::geteuid().as_raw());
    runtime
        .filter(|runtime| runtime.is_absolute())
        .into_iter()
        .chain([PathBuf::from("/tmp")])
        .map(|base| base.join(&dir).join(NAME))
        .filter(|path| fits(path))
        .collect()
}

/// Returns the user's runtime directory, if the session has one.
pub(super) fn runtime_dir() -> Option<PathBuf> {
    std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

fn fits(path: &Path) -> bool {
    path.as_os_str().as_bytes().len() <= LONGEST
}

/// Makes the directory of a socket outside the home, ours alone.
///
/// # Errors
/// When somebody else was there first, or the system refuses.
pub(super) fn prepare(home: &Home, socket: &Path) -> io::Result<()> {
    match socket.parent() {
        Some(dir) if dir != home.dir() => {
            private_dir(dir)?;
            if trustworthy(home, socket) { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
        }
        _ => Ok(()),
    }
}

/// Tells whether only we (or root) can have made the socket: its directory is in the home, or a real directory of
/// ours that nobody else can enter.
pub(super) fn trustworthy(home: &Home, socket: &Path) -> bool {
    let Some(dir) = socket.parent() else { return false };
    if dir == home.dir() {
        return true;
    }
    let us = rustix::process::geteuid().as_raw();
    std::fs::symlink_metadata(dir)
        .is_ok_and(|found| found.is_dir() && (found.uid() == us || us == 0) && found.mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn socket_lies_in_the_home_while_its_path_fits() {
        let home = Home::at("/home/u/.local/share/evenfold".into()).unwrap();
        assert_eq!(candidates(&home, None), [home.dir().join("control.sock")]);
        let longest = format!("/{}", "x".repeat(LONGEST - NAME.len() - 2));
        assert_eq!(candidates(&Home::at(longest.into()).unwrap(), None).len(), 1);
    }

    #[test]
    fn long_home_has_a_short_socket_that_two_homes_do_not_share() {
        let of = |letter: &str| {
            let home = Home::at(format!("/{}", letter.repeat(200)).into()).unwrap();
            candidates(&home, Some("/run/user/7".into()))
        };
        let (a, b) = (of("a"), of("b"));
        assert!(a.iter().all(|path| fits(path) && !b.contains(path)), "{a:?} {b:?}");
        assert!(a.first().unwrap().starts_with("/run/user/7"));
        assert!(a.get(1).unwrap().starts_with("/tmp"));
    }

    #[test]
    fn directory_that_others_can_enter_or_that_is_a_link_is_not_trusted() {
        let temporary = tempfile::tempdir().unwrap();
        let home = Home::at("/far/away".into()).unwrap();
        let dir = temporary.path().join("dir");
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(!trustworthy(&home, &dir.join(NAME)));
        prepare(&home, &dir.join(NAME)).unwrap();
        assert!(trustworthy(&home, &dir.join(NAME)));
        let link = temporary.path().join("link");
        std::os::unix::fs::symlink(&dir, &link).unwrap();
        assert!(!trustworthy(&home, &link.join(NAME)));
        assert!(prepare(&home, &link.join(NAME)).is_err());
    }
}
