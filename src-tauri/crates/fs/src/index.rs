//! The current tree of a root and, parallel to it, the stat keys that tell whether a file is still the same.
//!
//! The tree is what goes over the wire and into the reconcile; the keys (inode number and change time) mean
//! nothing on another machine, so they live beside the tree: one 16-byte [`StatKey`] per entry in the order of
//! [`Dir::children`]. Both are immutable and shared by [`Arc`]; a directory in which nothing changed is carried
//! from scan to scan without touching memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenfold_core::{Child, Dir, Entry, File, Mode, Mtime, Name, RelPath};

use crate::disk::{Kind, Stat};

/// How close to the present a time stamp is not yet trusted, in nanoseconds: kernels stamp files with the
/// time of their last timer tick (10 ms at most), so two edits within one tick look alike.
const TICK: i64 = 20_000_000;

/// The same for file systems that store whole or even seconds only, in nanoseconds.
const COARSE_TICK: i64 = 2_000_000_000;

/// Change times further in the future than this (in nanoseconds) come from a clock that was wrong and are
/// trusted again, because otherwise such files would be hashed at each scan for ever.
const SKEW: i64 = 3_600_000_000_000;

/// Inode number and change time of an entry as they were when its content was read. Size and modification
/// time are in the entry itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatKey {
    ino: u64,
    ctime: i64,
}

impl StatKey {
    /// The key that matches nothing: the content must be read again before anything is said about it.
    pub const UNSURE: StatKey = StatKey { ino: 0, ctime: i64::MIN };

    /// Returns a key that matches nothing but remembers the inode of `stat`.
    pub(crate) fn unsure_of(stat: &Stat) -> Self {
        StatKey { ino: stat.ino, ..Self::UNSURE }
    }

    /// Returns the key of `stat`, without asking whether its times are old enough to be trusted.
    pub fn of(stat: &Stat) -> Self {
        StatKey { ino: stat.ino, ctime: nanos(stat.ctime) }
    }

    /// Returns the key of `stat`, or an unsure one if a later edit could leave all of it unchanged.
    /// `now` must have been asked (from `Disk::now`) **before** the content was read.
    pub fn settled(stat: &Stat, now: Mtime) -> Self {
        let (now, ctime, mtime) = (nanos(now), nanos(stat.ctime), nanos(stat.mtime));
        let coarse = ctime.rem_euclid(1_000_000_000) == 0 && mtime.rem_euclid(1_000_000_000) == 0;
        let tick = if coarse { COARSE_TICK } else { TICK };
        let recent = now.saturating_sub(tick);
        let fresh_ctime = (recent..now.saturating_add(SKEW)).contains(&ctime);
        let fresh_mtime = (recent..now.saturating_add(tick)).contains(&mtime);
        if fresh_ctime || fresh_mtime { Self::unsure_of(stat) } else { Self::of(stat) }
    }

    /// Returns the key of a file that Evenfold itself has just written or renamed. It is unsure where the file is
    /// about as old as its last change of any kind: then a user's next edit, of the same size and within the same
    /// tick of the clock, could leave all of `stat` unchanged. A change time in the future is not trusted either: a disk
    /// that has none makes one up to say that the file is too young to be known by its times. `now` is of about this
    /// moment.
    pub(crate) fn written(stat: &Stat, now: Mtime) -> Self {
        let (ctime, mtime) = (nanos(stat.ctime), nanos(stat.mtime));
        let coarse = ctime.rem_euclid(1_000_000_000) == 0 && mtime.rem_euclid(1_000_000_000) == 0;
        let tick = if coarse { COARSE_TICK } else { TICK };
        let future = nanos(now).saturating_add(COARSE_TICK)..nanos(now).saturating_add(SKEW);
        if ctime.saturating_sub(mtime).saturating_abs() <= tick || future.contains(&ctime) {
            Self::unsure_of(stat)
        } else {
            Self::of(stat)
        }
    }

    /// Builds a key from stored parts.
    pub fn from_parts(ino: u64, ctime: Mtime) -> Self {
        StatKey { ino, ctime: nanos(ctime) }
    }

    /// Returns inode number and change time, or `None` for an unsure key.
    pub fn parts(self) -> Option<(u64, Mtime)> {
        let time = Mtime {
            secs: self.ctime.div_euclid(1_000_000_000),
            nanos: self.ctime.rem_euclid(1_000_000_000) as u32,
        };
        self.is_sure().then_some((self.ino, time))
    }

    /// Tells whether the key can match at all.
    pub fn is_sure(self) -> bool {
        self.ctime != i64::MIN
    }

    /// Tells whether the key was taken of this inode, changed since or not. Inode numbers are used again after
    /// a deletion, so this proves nothing about the content.
    pub(crate) fn same_inode(self, stat: &Stat) -> bool {
        self.ino == stat.ino
    }

    /// Tells whether the key is known to have been taken of another inode.
    pub(crate) fn other_inode(self, stat: &Stat) -> bool {
        self.ino != 0 && self.ino != stat.ino
    }

    /// Tells whether `stat` is of the same inode, unchanged since the key was taken. Never for an unsure key.
    pub fn holds(self, stat: &Stat) -> bool {
        self.is_sure() && self == Self::of(stat)
    }

    /// Tells whether `stat` is of the very file whose content `file` describes, so that the content need not
    /// be read again. Permission bits are not compared.
    pub fn holds_file(self, file: &File, stat: &Stat) -> bool {
        stat.kind == Kind::File && stat.size == file.size && stat.mtime == file.mtime && self.holds(stat)
    }
}

/// Nanoseconds since 1970, saturating in the years 1677 and 2262.
fn nanos(time: Mtime) -> i64 {
    // `i64::MIN` itself is the mark of an unsure key.
    time.secs.saturating_mul(1_000_000_000).saturating_add(i64::from(time.nanos)).max(i64::MIN + 1)
}

/// The stat keys of one entry, and of everything below it if it is a directory.
#[derive(Debug, Clone)]
pub enum Keys {
    /// A file, link or unknown entry.
    Leaf(StatKey),
    /// A directory: its own key and those of its children.
    Dir(StatKey, Arc<DirKeys>),
    /// Only in a [`Patch`]: a directory of which only permission bits and key are new, while its children stay
    /// as the index (with the patches before this one) has them.
    Shallow(StatKey),
}

impl Keys {
    /// Returns the entry's own key.
    pub fn own(&self) -> StatKey {
        match self {
            Keys::Leaf(key) | Keys::Dir(key, _) | Keys::Shallow(key) => *key,
        }
    }
}

/// The stat keys of a directory's children.
#[derive(Debug, Default)]
pub struct DirKeys {
    /// One for each child, in the order of [`Dir::children`].
    own: Box<[StatKey]>,
    /// For each child that is a directory: its position and the keys of its children, in rising order.
    dirs: Box<[(u32, Arc<DirKeys>)]>,
}

impl DirKeys {
    /// Builds the keys of a directory from those of its children, in the order of [`Dir::children`].
    pub fn new(children: Vec<Keys>) -> Self {
        let mut own = Vec::with_capacity(children.len());
        let mut dirs = Vec::new();
        for keys in children {
            own.push(keys.own());
            if let Keys::Dir(_, below) = keys {
                dirs.push(((own.len() - 1) as u32, below));
            }
        }
        DirKeys { own: own.into(), dirs: dirs.into() }
    }

    /// Returns the own key of the child at `position`; unsure if there is none.
    pub fn own(&self, position: usize) -> StatKey {
        self.own.get(position).copied().unwrap_or(StatKey::UNSURE)
    }

    /// Returns the keys below the child at `position`, if it is a directory.
    pub fn below(&self, position: usize) -> Option<&Arc<DirKeys>> {
        let at = self.dirs.binary_search_by(|(p, _)| (*p as usize).cmp(&position)).ok()?;
        self.dirs.get(at).map(|(_, keys)| keys)
    }

    /// Returns the keys of the child at `position`, which is `entry`.
    pub fn of_child(&self, position: usize, entry: &Entry) -> Keys {
        match entry {
            Entry::Dir(dir) => Keys::Dir(
                self.own(position),
                self.below(position).map_or_else(|| Self::unsure(dir), Arc::clone),
            ),
            _ => Keys::Leaf(self.own(position)),
        }
    }

    /// Returns keys for `dir` of which none matches anything.
    pub fn unsure(dir: &Dir) -> Arc<Self> {
        let below = dir.children().iter().map(|child| match &child.entry {
            Entry::Dir(dir) => Keys::Dir(StatKey::UNSURE, Self::unsure(dir)),
            _ => Keys::Leaf(StatKey::UNSURE),
        });
        Arc::new(DirKeys::new(below.collect()))
    }

    /// Tells whether both say the same of all children. Subtrees are compared by identity, not in depth.
    pub(crate) fn same(&self, other: &DirKeys) -> bool {
        self.own == other.own
            && self.dirs.len() == other.dirs.len()
            && self.dirs.iter().zip(&other.dirs).all(|(a, b)| a.0 == b.0 && Arc::ptr_eq(&a.1, &b.1))
    }
}

/// What a patch makes of one path.
#[derive(Debug, Clone)]
pub struct Patch {
    /// Where; the parent must be a directory of the index or of an earlier patch.
    pub path: RelPath,
    /// What stands there now, with everything below it; `None`: nothing.
    pub now: Option<(Entry, Keys)>,
}

/// The current tree of a root with its stat keys. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Index {
    tree: Arc<Dir>,
    key: StatKey,
    keys: Arc<DirKeys>,
}

impl Index {
    /// Returns the index of an empty root.
    pub fn empty() -> Self {
        Index { tree: Arc::new(Dir::empty()), key: StatKey::UNSURE, keys: Arc::default() }
    }

    /// Puts an index together from a tree and the keys that belong to it.
    pub(crate) fn new(tree: Arc<Dir>, key: StatKey, keys: Arc<DirKeys>) -> Self {
        Index { tree, key, keys }
    }

    /// Returns the tree.
    pub fn tree(&self) -> Arc<Dir> {
        Arc::clone(&self.tree)
    }

    pub(crate) fn parts(&self) -> (&Arc<Dir>, StatKey, &Arc<DirKeys>) {
        (&self.tree, self.key, &self.keys)
    }

    /// Returns the stat key of what stands at `path`; `None` if nothing does.
    pub fn key(&self, path: &RelPath) -> Option<StatKey> {
        self.look_up(path).map(|(_, keys)| keys.own())
    }

    /// Returns the stat keys of what stands at `path` and below; `None` if nothing does.
    pub fn keys(&self, path: &RelPath) -> Option<Keys> {
        self.look_up(path).map(|(_, keys)| keys)
    }

    /// Returns what stands at `path`, and its keys; `None` if nothing does. The root path gives the root.
    pub fn look_up(&self, path: &RelPath) -> Option<(Entry, Keys)> {
        let mut found = (Entry::Dir(Arc::clone(&self.tree)), Keys::Dir(self.key, Arc::clone(&self.keys)));
        for name in path.components() {
            let (Entry::Dir(dir), Keys::Dir(_, keys)) = found else { return None };
            found = child_of(&dir, &keys, name)?;
        }
        Some(found)
    }

    /// Carries out `patches` in order. Digests up to the root are computed once, so many patches in one call
    /// are much cheaper than many calls. Returns the paths that could not be patched, because their parent is
    /// no directory here; they must be scanned.
    #[must_use = "the paths returned are not what the disk holds"]
    pub fn patch(&mut self, patches: Vec<Patch>) -> Vec<RelPath> {
        let mut refused = Vec::new();
        let mut root = OpenDir::new(Arc::clone(&self.tree), self.key, Arc::clone(&self.keys));
        for Patch { path, now } in patches {
            let done = match path.split_last() {
                Some((parent, name)) => root.descend(&parent).is_some_and(|dir| dir.put(name, now)),
                None => root.replace(now),
            };
            if !done {
                refused.push(path);
            }
        }
        (self.tree, self.key, self.keys) = root.close();
        refused
    }
}

fn child_of(dir: &Dir, keys: &DirKeys, name: &[u8]) -> Option<(Entry, Keys)> {
    let at = dir.children().binary_search_by(|child| child.name.as_bytes().cmp(name)).ok()?;
    let entry = &dir.children().get(at)?.entry;
    Some((entry.clone(), keys.of_child(at, entry)))
}

/// A directory that is being patched: the old one, and what is new by name.
struct OpenDir {
    mode: Mode,
    key: StatKey,
    dir: Arc<Dir>,
    keys: Arc<DirKeys>,
    changed: BTreeMap<Name, Node>,
}

enum Node {
    Gone,
    Is(Entry, Keys),
    Open(Box<OpenDir>),
}

impl OpenDir {
    fn new(dir: Arc<Dir>, key: StatKey, keys: Arc<DirKeys>) -> Self {
        OpenDir { mode: dir.mode(), key, dir, keys, changed: BTreeMap::new() }
    }

    fn descend(&mut self, path: &RelPath) -> Option<&mut OpenDir> {
        let mut at = self;
        for name in path.components() {
            at = at.open_child(name)?;
        }
        Some(at)
    }

    fn open_child(&mut self, name: &[u8]) -> Option<&mut OpenDir> {
        if !self.changed.contains_key(name) {
            let (entry, keys) = child_of(&self.dir, &self.keys, name)?;
            self.changed.insert(Name::new(name).ok()?, Node::Is(entry, keys));
        }
        let node = self.changed.get_mut(name)?;
        if let Node::Is(Entry::Dir(dir), keys) = node {
            let below = match keys {
                Keys::Dir(_, below) => Arc::clone(below),
                Keys::Leaf(_) | Keys::Shallow(_) => DirKeys::unsure(dir),
            };
            *node = Node::Open(Box::new(OpenDir::new(Arc::clone(dir), keys.own(), below)));
        }
        match node {
            Node::Open(open) => Some(open),
            Node::Gone | Node::Is(..) => None,
        }
    }

    fn put(&mut self, name: Name, now: Option<(Entry, Keys)>) -> bool {
        let node = match now {
            None => Node::Gone,
            Some((Entry::Dir(dir), Keys::Shallow(key))) => {
                let Some(open) = self.open_child(name.as_bytes()) else { return false };
                (open.mode, open.key) = (dir.mode(), key);
                return true;
            }
            Some((entry, keys)) => Node::Is(entry, keys),
        };
        self.changed.insert(name, node);
        true
    }

    /// Patches the root itself.
    fn replace(&mut self, now: Option<(Entry, Keys)>) -> bool {
        match now {
            Some((Entry::Dir(dir), Keys::Shallow(key))) => (self.mode, self.key) = (dir.mode(), key),
            Some((Entry::Dir(dir), Keys::Dir(key, keys))) => *self = OpenDir::new(dir, key, keys),
            _ => return false,
        }
        true
    }

    fn close(self) -> (Arc<Dir>, StatKey, Arc<DirKeys>) {
        if self.changed.is_empty() && self.mode == self.dir.mode() {
            return (self.dir, self.key, self.keys);
        }
        let mut children = Vec::with_capacity(self.dir.children().len() + self.changed.len());
        let mut keys = Vec::with_capacity(children.capacity());
        let mut changed = self.changed.into_iter().peekable();
        for (at, child) in self.dir.children().iter().enumerate() {
            while let Some((name, node)) = changed.next_if(|(name, _)| *name < child.name) {
                close_node(name, node, &mut children, &mut keys);
            }
            match changed.next_if(|(name, _)| *name == child.name) {
                Some((name, node)) => close_node(name, node, &mut children, &mut keys),
                None => {
                    children.push(child.clone());
                    keys.push(self.keys.of_child(at, &child.entry));
                }
            }
        }
        for (name, node) in changed {
            close_node(name, node, &mut children, &mut keys);
        }
        (Arc::new(Dir::new(self.mode, children)), self.key, Arc::new(DirKeys::new(keys)))
    }
}

fn close_node(name: Name, node: Node, children: &mut Vec<Child>, keys: &mut Vec<Keys>) {
    let (entry, own) = match node {
        Node::Gone => return,
        Node::Is(Entry::Dir(dir), Keys::Leaf(key) | Keys::Shallow(key)) => {
            let below = DirKeys::unsure(&dir);
            (Entry::Dir(dir), Keys::Dir(key, below))
        }
        Node::Is(entry, own) => (entry, own),
        Node::Open(open) => {
            let (dir, key, below) = open.close();
            (Entry::Dir(dir), Keys::Dir(key, below))
        }
    };
    children.push(Child { name, entry });
    keys.push(own);
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
