//! Finding renames among the changes for one side.
//!
//! A user's rename reaches the plan as a deletion and a creation of equal subtrees. Carried out as a rename it
//! costs neither content nor copying, whatever its size.

use std::collections::{HashMap, HashSet};

use crate::apply::Move;
use crate::digest::Digest;
use crate::entry::{Child, Dir, Entry};
use crate::path::RelPath;
use crate::plan::Change;

/// Smaller files are not worth a rename of their own: copying them on the receiver's disk is as cheap.
const WORTH_MOVING: u64 = 64 * 1024;

/// The most entries of deleted subtrees that are considered, so that the search stays cheap.
const MOST_CANDIDATES: usize = 500_000;

/// The changes for one side with its renames taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Directories that must exist before the moves into them.
    pub shells: Vec<Change>,
    /// Renames.
    pub moves: Vec<Move>,
    /// What remains.
    pub rest: Vec<Change>,
}

/// Takes the renames out of `changes`. Where a subtree was deleted and an equal one created, the largest equal
/// subtrees are paired; each deleted one is used once.
pub fn extract(changes: &[Change]) -> Extracted {
    let (deletions, others): (Vec<_>, Vec<_>) =
        changes.iter().cloned().partition(|change| change.new.is_none());
    if deletions.is_empty() || others.iter().all(|change| change.old.is_some()) {
        return Extracted { rest: changes.to_vec(), ..Extracted::default() };
    }
    let mut search = Search {
        sources: HashMap::new(),
        taken: HashSet::new(),
        above_taken: HashSet::new(),
        out: Extracted::default(),
        seen: 0,
    };
    for change in &deletions {
        if let Some(old) = &change.old {
            search.offer(&change.path, old);
        }
    }
    for change in others {
        match (&change.old, &change.new) {
            (None, Some(new)) => {
                if let Some(left) = search.place(&change.path, new) {
                    search.out.rest.push(Change { path: change.path, old: None, new: Some(left) });
                }
            }
            _ => search.out.rest.push(change),
        }
    }
    for change in deletions {
        let left = change.old.as_ref().and_then(|old| search.without_taken(&change.path, old));
        if let Some(old) = left {
            search.out.rest.push(Change { path: change.path, old: Some(old), new: None });
        }
    }
    search.out
}

struct Search {
    sources: HashMap<Digest, Vec<RelPath>>,
    /// Deleted paths that a move uses.
    taken: HashSet<RelPath>,
    /// All directories above them.
    above_taken: HashSet<RelPath>,
    out: Extracted,
    seen: usize,
}

impl Search {
    fn offer(&mut self, path: &RelPath, entry: &Entry) {
        let Some(key) = key(entry).filter(|_| self.seen < MOST_CANDIDATES) else { return };
        self.seen += 1;
        self.sources.entry(key).or_default().push(path.clone());
        if let Entry::Dir(dir) = entry {
            for child in dir.children() {
                self.offer(&path.join(&child.name), &child.entry);
            }
        }
    }

    /// Places `entry` at `path` by moves as far as possible and returns what remains to be created there.
    fn place(&mut self, path: &RelPath, entry: &Entry) -> Option<Entry> {
        if let Some(from) = self.take(entry) {
            self.out.moves.push(Move { from, to: path.clone(), entry: entry.clone() });
            return None;
        }
        let Entry::Dir(dir) = entry else { return Some(entry.clone()) };
        if !self.has_source_below(dir) {
            return Some(entry.clone());
        }
        // Something below comes by a move, so the directory itself must stand first, empty.
        let shell = Entry::dir(dir.mode(), Vec::new());
        self.out.shells.push(Change { path: path.clone(), old: None, new: Some(shell) });
        for child in dir.children() {
            let below = path.join(&child.name);
            if let Some(left) = self.place(&below, &child.entry) {
                self.out.rest.push(Change { path: below, old: None, new: Some(left) });
            }
        }
        None
    }

    fn has_source_below(&self, dir: &Dir) -> bool {
        dir.children().iter().any(|child| {
            key(&child.entry).is_some_and(|key| self.sources.get(&key).is_some_and(|paths| !paths.is_empty()))
                || child.entry.as_dir().is_some_and(|dir| self.has_source_below(dir))
        })
    }

    fn take(&mut self, entry: &Entry) -> Option<RelPath> {
        let candidates = self.sources.get_mut(&key(entry)?)?;
        while let Some(from) = candidates.pop() {
            // Neither around a part that already moves, nor inside a subtree that already moves, nor twice.
            if self.above_taken.contains(&from)
                || ancestors(from.clone()).any(|path| self.taken.contains(&path))
            {
                continue;
            }
            self.above_taken.extend(from.parent().into_iter().flat_map(ancestors));
            self.taken.insert(from.clone());
            return Some(from);
        }
        None
    }

    /// Returns what is left to delete at `path` after the moves out of it, or `None` if it moved itself.
    fn without_taken(&self, path: &RelPath, entry: &Entry) -> Option<Entry> {
        if self.taken.contains(path) {
            return None;
        }
        match entry {
            Entry::Dir(dir) if self.above_taken.contains(path) => {
                let children = dir.children().iter().filter_map(|child| {
                    self.without_taken(&path.join(&child.name), &child.entry)
                        .map(|entry| Child { name: child.name.clone(), entry })
                });
                Some(Entry::dir(dir.mode(), children.collect()))
            }
            other => Some(other.clone()),
        }
    }
}

/// Yields the path and everything above it, up to the root.
pub(crate) fn ancestors(path: RelPath) -> impl Iterator<Item = RelPath> {
    std::iter::successors(Some(path), RelPath::parent)
}

/// What two equal subtrees have in common; `None` for what is not worth a move.
fn key(entry: &Entry) -> Option<Digest> {
    match entry {
        Entry::Dir(dir) if dir.totals().files > 0 => Some(dir.digest()),
        Entry::File(file) if file.size >= WORTH_MOVING => {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&file.digest.0);
            hasher.update(&file.mtime.secs.to_le_bytes());
            hasher.update(&file.mtime.nanos.to_le_bytes());
            hasher.update(&file.mode.bits().to_le_bytes());
            Some(Digest(*hasher.finalize().as_bytes()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{File, Mode, Mtime};
    use crate::path::Name;

    fn file(content: &str, size: u64) -> Entry {
        let digest = Digest::of(content.as_bytes());
        Entry::File(File { digest, size, mtime: Mtime::default(), mode: Mode::new(0o644) })
    }

    fn dir(children: Vec<(&str, Entry)>) -> Entry {
        let children = children
            .into_iter()
            .map(|(name, entry)| Child { name: Name::new(name.as_bytes()).unwrap(), entry });
        Entry::dir(Mode::new(0o755), children.collect())
    }

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    fn create(at: &str, entry: Entry) -> Change {
        Change { path: path(at), old: None, new: Some(entry) }
    }

    fn delete(at: &str, entry: Entry) -> Change {
        Change { path: path(at), old: Some(entry), new: None }
    }

    #[test]
    fn renamed_directory_becomes_one_move() {
        let tree = dir(vec![("a", file("1", 10)), ("b", file("2", 20))]);
        let out = extract(&[create("new", tree.clone()), delete("old", tree)]);
        assert_eq!(out.moves.len(), 1);
        assert!(out.rest.is_empty() && out.shells.is_empty());
    }

    #[test]
    fn move_into_a_new_directory_makes_the_directory_first() {
        let big = file("1", 1 << 20);
        let out =
            extract(&[create("new", dir(vec![("x", big.clone()), ("y", file("2", 5))])), delete("x", big)]);
        assert_eq!(out.shells, [create("new", dir(vec![]))]);
        assert_eq!(out.moves.len(), 1);
        assert_eq!(out.rest, [create("new/y", file("2", 5))]);
    }

    #[test]
    fn move_out_of_a_deleted_directory_leaves_the_rest_to_delete() {
        let big = file("1", 1 << 20);
        let out =
            extract(&[create("x", big.clone()), delete("old", dir(vec![("x", big), ("y", file("2", 5))]))]);
        assert_eq!(out.moves[0].from, path("old/x"));
        assert_eq!(out.rest, [delete("old", dir(vec![("y", file("2", 5))]))]);
    }

    #[test]
    fn one_deleted_file_serves_one_move() {
        let big = file("1", 1 << 20);
        let out = extract(&[create("x", big.clone()), create("y", big.clone()), delete("z", big.clone())]);
        assert_eq!(out.moves.len(), 1);
        assert_eq!(out.rest.len(), 1);
    }

    #[test]
    fn subtree_and_its_part_do_not_both_move() {
        let big = file("1", 1 << 20);
        let tree = dir(vec![("x", big.clone())]);
        let out = extract(&[create("a", big), create("b", tree.clone()), delete("old", tree)]);
        assert_eq!(out.moves.len(), 1);
        assert_eq!(out.moves.len() + out.rest.iter().filter(|c| c.new.is_some()).count(), 2);
    }
}
