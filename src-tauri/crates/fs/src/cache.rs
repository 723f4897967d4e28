//! The digest cache as the database keeps it: which content a file had under which stat.
//!
//! At open the rows become an index that the first scan is compared with, so one mechanism serves the first
//! scan after a start and every later one, and a folder renamed while nobody ran is recognised, too. That index
//! is released once the differences have been handed out after the first full scan.

use std::cmp::Ordering;
use std::sync::Arc;

use evenfold_core::{Child, Digest, Dir, Entry, File, Mode, Mtime, Name, ProblemKind, RelPath};

use crate::index::{DirKeys, Index, Keys, StatKey};

/// What one file held under one stat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRow {
    /// Where.
    pub path: RelPath,
    /// Inode number.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// Last modification of the content.
    pub mtime: Mtime,
    /// Last change of content or metadata.
    pub ctime: Mtime,
    /// BLAKE3 of the content.
    pub digest: Digest,
}

/// The most rows in one [`CacheDelta`]: enough to make a transaction worth its sync, few enough to bound the
/// memory after the first scan of a large root.
pub const MAX_DELTA: usize = 20_000;

/// What the database has to change to keep up. Files whose times are too recent to be trusted have no row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheDelta {
    /// Rows that are new or different, in the order of their paths' bytes.
    pub upserts: Vec<CacheRow>,
    /// Paths that have no row any more, in the order of their bytes.
    pub removes: Vec<RelPath>,
    /// Whether there is more to fetch by another call.
    pub more: bool,
}

impl CacheDelta {
    /// Tells whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removes.is_empty()
    }

    fn len(&self) -> usize {
        self.upserts.len() + self.removes.len()
    }
}

/// Builds an index from rows. Directories are as they must be for the rows to exist; permission bits are
/// unknown, so no directory of it equals a real one.
pub(crate) fn index_of(mut rows: Vec<CacheRow>) -> Index {
    rows.sort_unstable_by(|a, b| tree_order(&a.path, &b.path));
    let mut open = vec![OpenDir::default()];
    let mut at = RelPath::root();
    for row in rows {
        let Some((parent, name)) = row.path.split_last() else { continue };
        while !parent.starts_with(&at) {
            at = at.parent().unwrap_or_default();
            close(&mut open);
        }
        let depth = at.components().count();
        for component in parent.components().skip(depth) {
            let Ok(component) = Name::new(component) else { continue };
            at = at.join(&component);
            open.push(OpenDir { name: Some(component), ..OpenDir::default() });
        }
        let file = File { digest: row.digest, size: row.size, mtime: row.mtime, mode: Mode::new(0) };
        if let Some(dir) = open.last_mut() {
            dir.push(name, Entry::File(file), Keys::Leaf(StatKey::from_parts(row.ino, row.ctime)));
        }
    }
    while open.len() > 1 {
        close(&mut open);
    }
    let root = open.pop().unwrap_or_default();
    Index::new(
        Arc::new(Dir::new(Mode::new(0), root.children)),
        StatKey::UNSURE,
        Arc::new(DirKeys::new(root.keys)),
    )
}

/// A directory that is being filled.
#[derive(Default)]
struct OpenDir {
    name: Option<Name>,
    children: Vec<Child>,
    keys: Vec<Keys>,
}

impl OpenDir {
    /// Adds a child; of two with one name (which no sound database has) the first stays.
    fn push(&mut self, name: Name, entry: Entry, keys: Keys) {
        if self.children.last().is_none_or(|last| last.name != name) {
            self.children.push(Child { name, entry });
            self.keys.push(keys);
        }
    }
}

fn close(open: &mut Vec<OpenDir>) {
    let Some(OpenDir { name: Some(name), children, keys }) = open.pop() else { return };
    let entry = Entry::Dir(Arc::new(Dir::new(Mode::new(0), children)));
    if let Some(parent) = open.last_mut() {
        parent.push(name, entry, Keys::Dir(StatKey::UNSURE, Arc::new(DirKeys::new(keys))));
    }
}

/// Orders paths as a walk meets them: `a/b` before `a-b`, because no name holds a NUL.
fn tree_order(a: &RelPath, b: &RelPath) -> Ordering {
    let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    a.as_bytes().iter().map(rank).cmp(b.as_bytes().iter().map(rank))
}

/// Hands out, piece by piece, what changed in the cache from one index to another.
#[derive(Debug)]
pub(crate) struct Ledger {
    saved: Index,
    /// What is being handed out, and the last path that was.
    target: Option<(Index, RelPath)>,
}

impl Ledger {
    /// Begins with what the database holds.
    pub(crate) fn new(saved: Index) -> Self {
        Ledger { saved, target: None }
    }

    /// Returns the next piece on the way to `current`.
    pub(crate) fn take(&mut self, current: &Index, limit: usize) -> CacheDelta {
        let (target, cursor) = self.target.take().unwrap_or_else(|| (current.clone(), RelPath::root()));
        let mut walk = Walk { delta: CacheDelta::default(), limit: limit.max(1), last: None };
        let cursor_parts: Vec<&[u8]> = cursor.components().collect();
        let (old, _, old_keys) = self.saved.parts();
        let (new, _, new_keys) = target.parts();
        let done = walk.dirs(Some((old, old_keys)), Some((new, new_keys)), &RelPath::root(), &cursor_parts);
        let Walk { mut delta, last, .. } = walk;
        delta.upserts.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        delta.removes.sort_unstable();
        if done {
            self.saved = target;
        } else {
            delta.more = true;
            self.target = Some((target, last.unwrap_or(cursor)));
        }
        delta
    }
}

type Side<'a> = Option<(&'a Arc<Dir>, &'a Arc<DirKeys>)>;

struct Walk {
    delta: CacheDelta,
    limit: usize,
    last: Option<RelPath>,
}

impl Walk {
    /// Compares two directories, skipping what comes before and at `cursor`. Returns false when full.
    fn dirs(&mut self, old: Side<'_>, new: Side<'_>, path: &RelPath, cursor: &[&[u8]]) -> bool {
        if let (Some(a), Some(b)) = (old, new)
            && Arc::ptr_eq(a.0, b.0)
            && Arc::ptr_eq(a.1, b.1)
        {
            return true;
        }
        let (mut a, mut b) = (0, 0);
        while let Some((name, order)) = next(old, new, a, b) {
            let at_old = if order.is_le() { old.and_then(|side| at(side, a)) } else { None };
            let at_new = if order.is_ge() { new.and_then(|side| at(side, b)) } else { None };
            a += usize::from(order.is_le());
            b += usize::from(order.is_ge());
            let (leaf_done, below): (bool, &[&[u8]]) = match cursor.split_first() {
                Some((first, _)) if name.as_bytes() < *first => continue,
                Some((first, rest)) if name.as_bytes() == *first => (true, rest),
                _ => (false, &[]),
            };
            let path = path.join(name);
            if !leaf_done && !self.leaf(at_old.as_ref(), at_new.as_ref(), &path) {
                return false;
            }
            let (old_dir, new_dir) = (at_old.as_ref().and_then(as_side), at_new.as_ref().and_then(as_side));
            if (old_dir.is_some() || new_dir.is_some()) && !self.dirs(old_dir, new_dir, &path, below) {
                return false;
            }
        }
        true
    }

    /// Compares what the rows of one path are. Returns false when full.
    fn leaf(&mut self, old: Option<&At<'_>>, new: Option<&At<'_>>, path: &RelPath) -> bool {
        if matches!(new, Some((Entry::Unknown(ProblemKind::SuspectedRot), _))) {
            // The row still says what the file should hold.
            return true;
        }
        let (before, after) = (old.and_then(|at| row(at, path)), new.and_then(|at| row(at, path)));
        let may_have_row = before.is_some() || matches!(old, Some((Entry::Unknown(_), _)));
        match after {
            Some(row) if before.as_ref() != Some(&row) => self.delta.upserts.push(row),
            None if may_have_row => self.delta.removes.push(path.clone()),
            _ => return true,
        }
        self.last = Some(path.clone());
        self.delta.len() < self.limit
    }
}

type At<'a> = (&'a Entry, Keys);

fn at<'a>((dir, keys): (&'a Arc<Dir>, &'a Arc<DirKeys>), position: usize) -> Option<At<'a>> {
    let entry = &dir.children().get(position)?.entry;
    Some((entry, keys.of_child(position, entry)))
}

fn as_side<'a>(at: &'a At<'_>) -> Side<'a> {
    match at {
        (Entry::Dir(dir), Keys::Dir(_, keys)) => Some((dir, keys)),
        _ => None,
    }
}

/// Returns the next name of both listings, and how the old one's compares to the new one's.
fn next<'a>(old: Side<'a>, new: Side<'a>, a: usize, b: usize) -> Option<(&'a Name, Ordering)> {
    let old = old.and_then(|(dir, _)| dir.children().get(a));
    let new = new.and_then(|(dir, _)| dir.children().get(b));
    match (old, new) {
        (Some(old), Some(new)) => {
            let order = old.name.cmp(&new.name);
            Some((if order.is_le() { &old.name } else { &new.name }, order))
        }
        (Some(old), None) => Some((&old.name, Ordering::Less)),
        (None, Some(new)) => Some((&new.name, Ordering::Greater)),
        (None, None) => None,
    }
}

fn row((entry, keys): &At<'_>, path: &RelPath) -> Option<CacheRow> {
    let Entry::File(file) = entry else { return None };
    let (ino, ctime) = keys.own().parts()?;
    Some(CacheRow { path: path.clone(), ino, size: file.size, mtime: file.mtime, ctime, digest: file.digest })
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
