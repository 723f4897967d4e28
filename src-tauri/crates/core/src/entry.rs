//! Entries (file, directory, symbolic link) and the trees that they form.
//!
//! A directory carries a digest over its whole subtree, so two trees are compared by descending only where
//! they differ. Subtrees are shared by [`Arc`]: three trees of a relationship that agree cost the memory of one.

use std::collections::HashSet;
use std::sync::Arc;

use crate::digest::Digest;
use crate::path::{Name, RelPath};

/// A point in time as file systems store it: seconds since 1970 (may be negative) and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mtime {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub secs: i64,
    /// Nanoseconds within the second, below 1,000,000,000.
    pub nanos: u32,
}

/// Permission bits (`0o777`). Set-user-id, set-group-id and sticky bits are not carried, because a peer must
/// not be able to create privileged programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mode(u16);

impl Mode {
    /// Keeps the permission bits of `bits` and drops all others.
    pub fn new(bits: u32) -> Self {
        Mode((bits & 0o777) as u16)
    }

    /// Returns the permission bits.
    pub fn bits(self) -> u32 {
        u32::from(self.0)
    }
}

/// A regular file: what it holds and what is known of it without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct File {
    /// BLAKE3 of the content.
    pub digest: Digest,
    /// Length of the content in bytes.
    pub size: u64,
    /// Time of the last modification.
    pub mtime: Mtime,
    /// Permission bits.
    pub mode: Mode,
}

impl File {
    /// Tells whether both hold the same bytes, whatever their times and permissions.
    pub fn same_content(&self, other: &File) -> bool {
        self.digest == other.digest && self.size == other.size
    }
}

/// A symbolic link; its target is carried as bytes and never followed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Symlink {
    /// What the link says, byte for byte.
    pub target: Box<[u8]>,
}

/// Why it is not known what a path holds, or why it cannot take part. It is neither present nor absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProblemKind {
    /// Permission or input/output error on reading it.
    Unreadable,
    /// A device, socket or named pipe.
    Special,
    /// It changed each time it was read; it will be read again.
    Changing,
    /// Its name falls together with a sibling's on one of the machines (case, Unicode form).
    NameClash,
    /// Its path is longer than can be carried.
    TooLong,
    /// Another file system is mounted there.
    OtherFileSystem,
    /// Its content changed while size and times did not: suspected rot.
    SuspectedRot,
    /// A file that is smaller or larger than the relationship takes. It is there, and no more is known of it.
    SizeLimit,
}

impl ProblemKind {
    /// All kinds, in the order of their codes.
    pub const ALL: [ProblemKind; 8] = [
        ProblemKind::Unreadable,
        ProblemKind::Special,
        ProblemKind::Changing,
        ProblemKind::NameClash,
        ProblemKind::TooLong,
        ProblemKind::OtherFileSystem,
        ProblemKind::SuspectedRot,
        ProblemKind::SizeLimit,
    ];

    /// Returns the stable code used on the wire and in databases.
    pub fn code(self) -> u8 {
        match self {
            ProblemKind::Unreadable => 0,
            ProblemKind::Special => 1,
            ProblemKind::Changing => 2,
            ProblemKind::NameClash => 3,
            ProblemKind::TooLong => 4,
            ProblemKind::OtherFileSystem => 5,
            ProblemKind::SuspectedRot => 6,
            ProblemKind::SizeLimit => 7,
        }
    }

    /// Tells whether it is left out on purpose or by its nature: to be shown, but nothing that could be mended, and no
    /// reason to say that the two sides differ.
    pub fn takes_no_part(self) -> bool {
        matches!(self, ProblemKind::Special | ProblemKind::SizeLimit)
    }

    /// Returns the kind with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// What stands at a path. Absence is `Option::None` around it and means absence **with proof**; what could
/// not be looked at is [`Entry::Unknown`], which no step may overwrite, delete or take for a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File(File),
    /// A directory with everything below it.
    Dir(Arc<Dir>),
    /// A symbolic link.
    Symlink(Symlink),
    /// Something that cannot take part, and why.
    Unknown(ProblemKind),
}

/// A named entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The name, unique within its directory.
    pub name: Name,
    /// What stands there.
    pub entry: Entry,
}

/// Sums over a subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Regular files and symbolic links.
    pub files: u64,
    /// Directories, not counting the subtree's own top.
    pub dirs: u64,
    /// Bytes of regular files.
    pub bytes: u64,
    /// Entries that are [`Entry::Unknown`].
    pub unknown: u64,
    /// Files and links named as conflict copies (see [`crate::conflict`]).
    pub conflict_copies: u64,
}

impl Totals {
    fn add(&mut self, other: Totals) {
        self.files += other.files;
        self.dirs += other.dirs;
        self.bytes += other.bytes;
        self.unknown += other.unknown;
        self.conflict_copies += other.conflict_copies;
    }

    /// Returns how many items (files, links, directories) the subtree holds below its top.
    pub fn items(&self) -> u64 {
        self.files + self.dirs
    }
}

/// A directory: its permission bits, its children in the order of their bytes, and a digest over all of it.
///
/// Equality is equality of digests: the digest covers permission bits, names, kinds, contents, sizes, times
/// and permissions of everything below.
#[derive(Debug, Clone)]
pub struct Dir {
    mode: Mode,
    children: Box<[Child]>,
    digest: Digest,
    totals: Totals,
}

impl PartialEq for Dir {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Dir {}

/// Takes the subtree apart level by level: the compiler's own recursion would overflow a small stack where a
/// tree is as deep as the longest path allows.
impl Drop for Dir {
    fn drop(&mut self) {
        if self.totals.dirs == 0 {
            return;
        }
        let mut pending = std::mem::take(&mut self.children).into_vec();
        while let Some(child) = pending.pop() {
            if let Entry::Dir(dir) = child.entry
                && let Some(mut dir) = Arc::into_inner(dir)
            {
                pending.append(&mut std::mem::take(&mut dir.children).into_vec());
            }
        }
    }
}

impl Dir {
    /// Builds a directory. Children are sorted; of two with one name the later one is dropped, so that what
    /// a hostile peer sends cannot break the order that lookups rely on.
    pub fn new(mode: Mode, mut children: Vec<Child>) -> Self {
        if !children.is_sorted_by(|a, b| a.name < b.name) {
            children.sort_by(|a, b| a.name.cmp(&b.name));
            children.dedup_by(|later, earlier| later.name == earlier.name);
        }
        let digest = digest_of(mode, &children);
        let mut totals = Totals::default();
        for child in &children {
            totals.add(totals_of(child));
        }
        Dir { mode, children: children.into(), digest, totals }
    }

    /// Returns an empty directory with permission bits `0o755`.
    pub fn empty() -> Self {
        Dir::new(Mode::new(0o755), Vec::new())
    }

    /// Returns the permission bits.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns the children in the order of their names' bytes.
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// Returns the digest over the whole subtree.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns sums over the subtree.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Tells whether something below could not be looked at or cannot take part.
    pub fn has_unknown(&self) -> bool {
        self.totals.unknown > 0
    }

    /// Finds a child by name.
    pub fn child(&self, name: &[u8]) -> Option<&Entry> {
        let at = self.children.binary_search_by(|child| child.name.as_bytes().cmp(name)).ok()?;
        self.children.get(at).map(|child| &child.entry)
    }

    /// Finds what stands at `path` below this directory; `None` for the root path itself and where nothing is.
    pub fn get(&self, path: &RelPath) -> Option<&Entry> {
        let mut components = path.components();
        let mut entry = self.child(components.next()?)?;
        for component in components {
            match entry {
                Entry::Dir(dir) => entry = dir.child(component)?,
                _ => return None,
            }
        }
        Some(entry)
    }

    /// Finds the directory at `path`; the root path gives this directory.
    pub fn dir_at(self: &Arc<Self>, path: &RelPath) -> Option<Arc<Dir>> {
        if path.is_root() {
            return Some(Arc::clone(self));
        }
        match self.get(path)? {
            Entry::Dir(dir) => Some(Arc::clone(dir)),
            _ => None,
        }
    }
}

impl Entry {
    /// Returns a directory entry.
    pub fn dir(mode: Mode, children: Vec<Child>) -> Self {
        Entry::Dir(Arc::new(Dir::new(mode, children)))
    }

    /// Returns the file, if it is one.
    pub fn as_file(&self) -> Option<&File> {
        match self {
            Entry::File(file) => Some(file),
            _ => None,
        }
    }

    /// Returns the directory, if it is one.
    pub fn as_dir(&self) -> Option<&Arc<Dir>> {
        match self {
            Entry::Dir(dir) => Some(dir),
            _ => None,
        }
    }

    /// Calls `visit` with the content of each file: of itself, or of all below it.
    pub fn each_content(&self, visit: &mut dyn FnMut(Digest)) {
        match self {
            Entry::File(file) => visit(file.digest),
            Entry::Dir(dir) => dir.children().iter().for_each(|child| child.entry.each_content(visit)),
            Entry::Symlink(_) | Entry::Unknown(_) => {}
        }
    }

    /// Tells whether it, or something below it, is a file with one of these contents.
    pub fn holds_any(&self, wanted: &HashSet<Digest>) -> bool {
        let mut found = false;
        if !wanted.is_empty() {
            self.each_content(&mut |digest| found |= wanted.contains(&digest));
        }
        found
    }

    /// Tells whether it, or something below it, is [`Entry::Unknown`].
    pub fn has_unknown(&self) -> bool {
        match self {
            Entry::Unknown(_) => true,
            Entry::Dir(dir) => dir.has_unknown(),
            _ => false,
        }
    }

    /// Returns sums over the entry and what is below; a directory counts itself.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        match self {
            Entry::File(file) => {
                totals.files = 1;
                totals.bytes = file.size;
            }
            Entry::Symlink(_) => totals.files = 1,
            Entry::Dir(dir) => {
                totals = dir.totals;
                totals.dirs += 1;
            }
            Entry::Unknown(_) => totals.unknown = 1,
        }
        totals
    }

    /// Returns the same subtree without its unknown entries, or `None` if it is itself unknown.
    pub fn without_unknown(&self) -> Option<Entry> {
        match self {
            Entry::Unknown(_) => None,
            Entry::Dir(dir) if dir.has_unknown() => {
                // A plain loop: its frames are a third of an iterator's, and trees may have 2048 levels.
                let mut known = Vec::with_capacity(dir.children.len());
                for child in &dir.children {
                    if let Some(entry) = child.entry.without_unknown() {
                        known.push(Child { name: child.name.clone(), entry });
                    }
                }
                Some(Entry::dir(dir.mode, known))
            }
            other => Some(other.clone()),
        }
    }

    /// Tells whether both are of one kind and hold the same content, whatever their times and permissions.
    /// Directories never do, because their content is decided child by child.
    pub fn same_content(&self, other: &Entry) -> bool {
        match (self, other) {
            (Entry::File(a), Entry::File(b)) => a.same_content(b),
            (Entry::Symlink(a), Entry::Symlink(b)) => a == b,
            _ => false,
        }
    }
}

fn totals_of(child: &Child) -> Totals {
    let mut totals = child.entry.totals();
    if matches!(child.entry, Entry::File(_) | Entry::Symlink(_))
        && crate::conflict::is_conflict_name(child.name.as_bytes())
    {
        totals.conflict_copies = 1;
    }
    totals
}

/// Hashes a listing. Every field has a fixed width or its length in front, so no two listings share bytes.
fn digest_of(mode: Mode, children: &[Child]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"evenfold directory 1");
    hasher.update(&mode.0.to_le_bytes());
    let mut buffer = Vec::with_capacity(128);
    for child in children {
        let name = child.name.as_bytes();
        buffer.clear();
        buffer.push(name.len() as u8);
        buffer.extend_from_slice(name);
        match &child.entry {
            Entry::File(file) => {
                buffer.push(b'f');
                buffer.extend_from_slice(&file.digest.0);
                buffer.extend_from_slice(&file.size.to_le_bytes());
                buffer.extend_from_slice(&file.mtime.secs.to_le_bytes());
                buffer.extend_from_slice(&file.mtime.nanos.to_le_bytes());
                buffer.extend_from_slice(&file.mode.0.to_le_bytes());
            }
            Entry::Dir(dir) => {
                buffer.push(b'd');
                buffer.extend_from_slice(&dir.digest.0);
            }
            Entry::Symlink(link) => {
                buffer.push(b'l');
                buffer.extend_from_slice(&(link.target.len() as u64).to_le_bytes());
                buffer.extend_from_slice(&link.target);
            }
            Entry::Unknown(kind) => {
                buffer.push(b'?');
                buffer.push(kind.code());
            }
        }
        hasher.update(&buffer);
    }
    Digest(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> Entry {
        Entry::File(File {
            digest: Digest::of(content.as_bytes()),
            size: content.len() as u64,
            mtime: Mtime::default(),
            mode: Mode::new(0o644),
        })
    }

    fn child(name: &str, entry: Entry) -> Child {
        Child { name: Name::new(name.as_bytes()).unwrap(), entry }
    }

    #[test]
    fn order_of_children_does_not_matter() {
        let mode = Mode::new(0o755);
        let one = Dir::new(mode, vec![child("a", file("1")), child("b", file("2"))]);
        let two = Dir::new(mode, vec![child("b", file("2")), child("a", file("1"))]);
        assert_eq!(one, two);
    }

    #[test]
    fn every_field_changes_the_digest() {
        let mode = Mode::new(0o755);
        let base = Dir::new(mode, vec![child("a", file("1"))]);
        let touched = match file("1") {
            Entry::File(mut f) => {
                f.mtime.nanos = 1;
                Entry::File(f)
            }
            other => other,
        };
        for other in [
            Dir::new(Mode::new(0o700), vec![child("a", file("1"))]),
            Dir::new(mode, vec![child("b", file("1"))]),
            Dir::new(mode, vec![child("a", file("2"))]),
            Dir::new(mode, vec![child("a", touched)]),
            Dir::new(mode, vec![child("a", Entry::Unknown(ProblemKind::Unreadable))]),
            Dir::new(mode, vec![child("a", Entry::dir(mode, vec![]))]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn duplicate_names_from_a_peer_cannot_hide_a_child() {
        let dir = Dir::new(Mode::new(0o755), vec![child("a", file("1")), child("a", file("2"))]);
        assert_eq!(dir.children().len(), 1);
        assert_eq!(dir.child(b"a"), Some(&file("1")));
    }

    #[test]
    fn totals_cover_the_subtree() {
        let inner = Entry::dir(
            Mode::new(0o755),
            vec![child("x", file("123")), child("y", Entry::Unknown(ProblemKind::Special))],
        );
        let dir = Arc::new(Dir::new(Mode::new(0o755), vec![child("d", inner), child("e", file("45"))]));
        assert_eq!(dir.totals(), Totals { files: 2, dirs: 1, bytes: 5, unknown: 1, conflict_copies: 0 });
        let known = Entry::Dir(dir).without_unknown().unwrap();
        assert_eq!(known.totals().unknown, 0);
        assert_eq!(known.totals().files, 2);
    }
}
