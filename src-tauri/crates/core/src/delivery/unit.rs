//! What travels as a whole, and by what its versions are told apart.

use std::sync::Arc;

use crate::digest::Digest;
use crate::entry::{Dir, Entry, ProblemKind};
use crate::path::RelPath;

/// What travels as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnitKind {
    /// Each file, link and empty directory by itself.
    File,
    /// Each entry at the top of the root, a directory with everything below it.
    Entry,
}

/// Something that is delivered as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Where it stands.
    pub path: RelPath,
    /// Which version of it.
    pub version: Digest,
    /// What stands there, with everything below.
    pub entry: Entry,
}

impl Unit {
    /// Returns the bytes of its files.
    pub fn size(&self) -> u64 {
        self.entry.totals().bytes
    }

    /// Returns how many files, links and directories it consists of, at least 1.
    pub fn files(&self) -> u64 {
        self.entry.totals().items().max(1)
    }
}

/// Returns the units of a tree in the order of their paths, and those that cannot be offered now, because something
/// in them could not be read.
pub fn units(tree: &Arc<Dir>, kind: UnitKind) -> (Vec<Unit>, Vec<(RelPath, ProblemKind)>) {
    let (mut units, mut blocked) = (Vec::new(), Vec::new());
    collect(tree, &RelPath::root(), kind, &mut units, &mut blocked);
    (units, blocked)
}

fn collect(
    dir: &Arc<Dir>,
    path: &RelPath,
    kind: UnitKind,
    units: &mut Vec<Unit>,
    blocked: &mut Vec<(RelPath, ProblemKind)>,
) {
    for child in dir.children() {
        let path = path.join(&child.name);
        match &child.entry {
            Entry::Dir(inner) if kind == UnitKind::File && !inner.children().is_empty() => {
                collect(inner, &path, kind, units, blocked);
            }
            entry => match (version(entry), first_unknown(entry)) {
                (Some(version), _) => units.push(Unit { path, version, entry: entry.clone() }),
                (None, problem) => blocked.push((path, problem.unwrap_or(ProblemKind::Unreadable))),
            },
        }
    }
}

fn first_unknown(entry: &Entry) -> Option<ProblemKind> {
    match entry {
        Entry::Unknown(kind) => Some(*kind),
        Entry::Dir(dir) if dir.has_unknown() => {
            dir.children().iter().find_map(|child| first_unknown(&child.entry))
        }
        _ => None,
    }
}

/// Returns the unit that stands at `path`; `None` where nothing stands or a part of it is unknown.
pub fn unit_at(tree: &Arc<Dir>, path: &RelPath) -> Option<Unit> {
    let entry = tree.get(path)?.clone();
    Some(Unit { path: path.clone(), version: version(&entry)?, entry })
}

/// Returns the version of an entry: the digest of a file's content, of a link's target, or of a directory's names,
/// contents and permissions. Times do not count, so a touched file is no new version, and a file system that rounds
/// times cannot make one. `None` if any part is unknown.
pub fn version(entry: &Entry) -> Option<Digest> {
    match entry {
        Entry::File(file) => Some(file.digest),
        Entry::Symlink(link) => {
            let mut hasher = blake3::Hasher::new();
            hasher.update(b"evenfold link 1");
            hasher.update(&link.target);
            Some(Digest(*hasher.finalize().as_bytes()))
        }
        Entry::Dir(dir) => {
            let mut hasher = blake3::Hasher::new();
            hasher.update(b"evenfold unit 1");
            hasher.update(&dir.mode().bits().to_le_bytes());
            for child in dir.children() {
                let name = child.name.as_bytes();
                hasher.update(&[name.len() as u8]);
                hasher.update(name);
                let (kind, mode) = match &child.entry {
                    Entry::File(file) => (b'f', file.mode.bits()),
                    Entry::Dir(_) => (b'd', 0),
                    Entry::Symlink(_) => (b'l', 0),
                    Entry::Unknown(_) => return None,
                };
                hasher.update(&[kind]);
                hasher.update(&mode.to_le_bytes());
                hasher.update(&version(&child.entry)?.0);
            }
            Some(Digest(*hasher.finalize().as_bytes()))
        }
        Entry::Unknown(_) => None,
    }
}
