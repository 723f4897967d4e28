//! Folders as tests see them: written, and compared byte by byte.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What stands at a path.
#[derive(Clone, PartialEq, Eq)]
pub enum Item {
    /// A file.
    File {
        /// Permission bits.
        mode: u32,
        /// Modification time in nanoseconds since 1970.
        mtime: i128,
        /// Content.
        content: Vec<u8>,
    },
    /// A folder; its times are nobody's concern.
    Folder {
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Link {
        /// Where it points.
        target: PathBuf,
    },
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Item::File { mode, mtime, content } => {
                let start = String::from_utf8_lossy(&content[..content.len().min(40)]).into_owned();
                write!(f, "file of {} bytes, mode {mode:o}, mtime {mtime}, {start:?}", content.len())
            }
            Item::Folder { mode } => write!(f, "folder, mode {mode:o}"),
            Item::Link { target } => write!(f, "link to {target:?}"),
        }
    }
}

/// Everything below a folder, but what Evenfold keeps there.
pub type Tree = BTreeMap<PathBuf, Item>;

/// Writes a file, making the folders above it.
#[track_caller]
pub fn write(root: &Path, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Gives a file the same time for the same age in seconds, whenever it is asked for: two folders of which each was
/// written for itself are not equal otherwise.
#[track_caller]
pub fn set_age(path: &Path, seconds: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(1_760_000_000 - seconds);
    file.set_times(std::fs::FileTimes::new().set_modified(moment)).unwrap();
}

/// Returns a name that is not UTF-8.
pub fn raw(name: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(name))
}

/// Reads everything below a folder.
#[track_caller]
pub fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut below = vec![PathBuf::new()];
    while let Some(dir) = below.pop() {
        for entry in std::fs::read_dir(root.join(&dir)).unwrap() {
            let path = dir.join(entry.unwrap().file_name());
            if path == Path::new(".evenfold") {
                continue;
            }
            let full = root.join(&path);
            let found = std::fs::symlink_metadata(&full).unwrap();
            let mode = found.mode() & 0o7777;
            let item = if found.is_dir() {
                below.push(path.clone());
                Item::Folder { mode }
            } else if found.is_symlink() {
                Item::Link { target: std::fs::read_link(&full).unwrap() }
            } else {
                let mtime = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
                Item::File { mode, mtime, content: std::fs::read(&full).unwrap() }
            };
            tree.insert(path, item);
        }
    }
    tree
}

/// Makes sure that two folders hold the same, and says path by path what differs.
#[track_caller]
pub fn assert_same(a: &Path, b: &Path) {
    let (left, right) = (tree(a), tree(b));
    let paths: std::collections::BTreeSet<&PathBuf> = left.keys().chain(right.keys()).collect();
    let differing: Vec<String> = paths
        .into_iter()
        .filter(|path| left.get(*path) != right.get(*path))
        .map(|path| format!("{path:?}: {:?} is not {:?}", left.get(path), right.get(path)))
        .collect();
    assert!(differing.is_empty(), "{} differs from {}:\n{}", a.display(), b.display(), differing.join("\n"));
}

/// Tells whether two folders hold the same. A folder that changes while it is read counts as different.
pub fn same(a: &Path, b: &Path) -> bool {
    let read = |root: &Path| {
        let root = root.to_path_buf();
        std::panic::catch_unwind(move || tree(&root)).ok()
    };
    matches!((read(a), read(b)), (Some(left), Some(right)) if left == right)
}
