//! This node's own key, and the file that keeps it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg};

use crate::PeerKey;

/// An OpenSSH file with an Ed25519 key has about 400 bytes; what is far larger is something else.
const LARGEST_KEY_FILE: u64 = 16 * 1024;

/// The Ed25519 key of this node: it authenticates as client and proves the host as server with it.
///
/// Kept unencrypted in an OpenSSH private key file, as host keys are: a service starts without a person.
pub struct Identity {
    private: Arc<PrivateKey>,
    key: PeerKey,
}

/// Why the identity could be neither loaded nor created. Nothing existing was changed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file or its folder cannot be read, created or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What failed, as a verb: "read", "create" …
        doing: &'static str,
        /// The path it failed on.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The group or others may read or write the key: it may be known to someone else already.
    #[error("{} is accessible to others (mode {mode:03o}, wanted 600)", path.display())]
    TooOpen {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is no unencrypted Ed25519 private key in OpenSSH's format.
    #[error("{} is not an unencrypted OpenSSH private key of type ed25519", path.display())]
    NotAKey {
        /// The key file.
        path: PathBuf,
    },
}

impl Identity {
    /// Loads the key from `path`, or creates one there if nothing exists.
    ///
    /// A new file has mode 0600, missing folders above it 0700; it appears under its name whole and
    /// durable, and never replaces a file that another process put there meanwhile (that one is loaded
    /// then). Blocks on the disk.
    pub fn load_or_create(path: &Path) -> Result<Self, IdentityError> {
        match Self::load(path) {
            Err(IdentityError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        match create(path) {
            Err(IdentityError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        // Read back also after creating: what counts is what the next start will find.
        Self::load(path)
    }

    /// Makes an identity that is kept nowhere: for tests and measurements.
    pub fn ephemeral() -> Result<Self, IdentityError> {
        let private = generate(Path::new("(memory)"))?;
        Self::new(private).ok_or_else(|| IdentityError::NotAKey { path: "(memory)".into() })
    }

    /// Returns the public key under which peers know this node.
    pub fn key(&self) -> PeerKey {
        self.key
    }

    /// Hands the private key to russh as a host key.
    pub(crate) fn host_key(&self) -> PrivateKey {
        (*self.private).clone()
    }

    /// Hands the private key to russh for logging in.
    pub(crate) fn login_key(&self) -> PrivateKeyWithHashAlg {
        PrivateKeyWithHashAlg::new(self.private.clone(), None)
    }

    fn load(path: &Path) -> Result<Self, IdentityError> {
        let read_error = |source| IdentityError::Io { doing: "read", path: path.into(), source };
        let file = File::open(path).map_err(read_error)?;
        // Checked on the open file: a name could be exchanged between a check and the opening.
        refuse_if_open_to_others(&file, path)?;
        let mut text = String::new();
        match file.take(LARGEST_KEY_FILE).read_to_string(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(IdentityError::NotAKey { path: path.into() });
            }
            Err(error) => return Err(read_error(error)),
        }
        PrivateKey::from_openssh(&text)
            .ok()
            .filter(|private| !private.is_encrypted())
            .and_then(Self::new)
            .ok_or_else(|| IdentityError::NotAKey { path: path.into() })
    }

    fn new(private: PrivateKey) -> Option<Self> {
        let key = PeerKey::from_russh(private.public_key())?;
        Some(Self { private: Arc::new(private), key })
    }
}

impl std::fmt::Debug for Identity {
    /// Shows the public half only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.key)
    }
}

fn generate(path: &Path) -> Result<PrivateKey, IdentityError> {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).map_err(|error| {
        IdentityError::Io { doing: "generate a key for", path: path.into(), source: io::Error::other(error) }
    })
}

/// Writes a new key beside `path` and then links it to its name, which fails if the name is taken.
///
/// Opening `path` itself with `O_EXCL` would be as exclusive, but a crash before the write would leave
/// an empty file there, with which the node could never start again.
fn create(path: &Path) -> Result<(), IdentityError> {
    let fail = |doing, path: &Path| {
        let path = path.to_path_buf();
        move |source| IdentityError::Io { doing, path, source }
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    create_private_folder(folder).map_err(fail("create", folder))?;

    let encoded = generate(path)?
        .to_openssh(LineEnding::LF)
        .map_err(|error| fail("encode a key for", path)(io::Error::other(error)))?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", rand::random::<u64>()));
    let draft = folder.join(name);

    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft).map_err(fail("create", &draft))?;
    let written = file.write_all(encoded.as_bytes()).and_then(|()| file.sync_all());
    let linked = written.map_err(fail("write", &draft)).and_then(|()| {
        fs::hard_link(&draft, path).map_err(fail("create", path))?;
        sync_folder(folder).map_err(fail("sync", folder))
    });
    let removed = fs::remove_file(&draft).map_err(fail("remove", &draft));
    linked.and(removed)
}

fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes the new name durable.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere folders cannot be opened as files, and the file system orders names by itself.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn refuse_if_open_to_others(file: &File, path: &Path) -> Result<(), IdentityError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata =
        file.metadata().map_err(|source| IdentityError::Io { doing: "read", path: path.into(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::TooOpen { path: path.into(), mode });
    }
    Ok(())
}

/// Elsewhere the user's profile folder, in which the key lies, is closed to other users by the system.
#[cfg(not(unix))]
fn refuse_if_open_to_others(_: &File, _: &Path) -> Result<(), IdentityError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_load_finds_the_key_that_the_first_created() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/identity");
        let first = Identity::load_or_create(&path).unwrap();
        let second = Identity::load_or_create(&path).unwrap();
        assert_eq!(first.key(), second.key());
        let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "no draft is left behind: {names:?}");
    }

    #[test]
    fn many_creators_at_once_agree_on_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity");
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || Identity::load_or_create(&path).unwrap().key())
            })
            .collect();
        let keys: std::collections::HashSet<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(keys.len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn new_file_and_folder_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home/identity");
        Identity::load_or_create(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[cfg(unix)]
    #[test]
    fn file_open_to_others_is_refused_and_kept() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity");
        Identity::load_or_create(&path).unwrap();
        let before = fs::read(&path).unwrap();
        for open in [0o640, 0o604, 0o660, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
            match Identity::load_or_create(&path) {
                Err(IdentityError::TooOpen { mode, .. }) => assert_eq!(mode, open),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn file_that_is_no_key_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity");
        Identity::load_or_create(&path).unwrap();
        for content in [&b""[..], b"hello", b"\xff\xfe", b"-----BEGIN OPENSSH PRIVATE KEY-----\n"] {
            fs::write(&path, content).unwrap();
            assert!(matches!(Identity::load_or_create(&path), Err(IdentityError::NotAKey { .. })));
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn debug_shows_no_private_key() {
        let identity = Identity::ephemeral().unwrap();
        assert_eq!(format!("{identity:?}"), format!("Identity({})", identity.key()));
    }
}
