//! What SFTP does not tell: a number for each file by which it is recognised when we rename it, and the part of its
//! time below a second that we gave it.
//!
//! SFTP says size, permissions, and times in whole seconds; no inode, no change time. So a number is made up for each
//! file when it is first seen, and goes with it when **we** rename it. A file that somebody else renamed, or whose size
//! or time is another, is a new one, and its content is read. The numbers live as long as the digest cache.

use std::collections::BTreeMap;

use evenfold_core::{Mtime, RelPath};
use evenfold_fs::disk::{Kind, Place};

/// What the host says of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) secs: i64,
}

/// What is known beyond that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) ino: u64,
    pub(super) nanos: u32,
}

#[derive(Debug)]
struct Node {
    told: Told,
    known: Known,
    children: BTreeMap<Box<[u8]>, Node>,
}

/// The numbers of one root: about 120 bytes for each entry.
#[derive(Debug)]
pub(super) struct Inodes {
    user: Node,
    own: Node,
    next: u64,
}

impl Inodes {
    /// Begins to number at `first`, which must be random: numbers in the digest cache come from earlier times.
    pub(super) fn new(first: u64) -> Self {
        // Never 0, which means that no number is known.
        let first = (first >> 1).max(1);
        Inodes { user: empty(first), own: empty(first + 1), next: first + 2 }
    }

    /// Takes up what was known of a file before.
    pub(super) fn remember(&mut self, path: &RelPath, told: Told, known: Known) {
        let node = self.make(&Place::User(path.clone()));
        (node.told, node.known) = (told, known);
    }

    /// Returns what is known of what stands at `place`. It is given a number if it is not what stood there before;
    /// then `nanos` is asked for the part of its time below a second.
    pub(super) fn describe(&mut self, place: &Place, told: Told, nanos: impl FnOnce() -> u32) -> Known {
        let next = self.next;
        let node = self.make(place);
        let is_dir = told.kind == Kind::Dir;
        let same = if is_dir { node.told.kind == Kind::Dir } else { node.told == told };
        let is_new = !same || node.known.ino == 0;
        if is_new {
            node.known = Known { ino: next, nanos: if is_dir { 0 } else { nanos() } };
            if !is_dir {
                node.children.clear();
            }
        }
        node.told = told;
        let known = node.known;
        self.next += u64::from(is_new);
        known
    }

    /// Notes that we gave a file this length and time.
    pub(super) fn wrote(&mut self, place: &Place, size: u64, mtime: Mtime) {
        let next = self.next;
        let node = self.make(place);
        node.told = Told { kind: Kind::File, size, secs: mtime.secs };
        node.known.nanos = mtime.nanos;
        if node.known.ino == 0 {
            node.known.ino = next;
            self.next += 1;
        }
    }

    /// Notes that we renamed something, with everything below it.
    pub(super) fn renamed(&mut self, from: &Place, to: &Place) {
        if let Some(moved) = self.take(from) {
            *self.make(to) = moved;
        }
    }

    /// Notes that two entries changed places.
    pub(super) fn exchanged(&mut self, a: &Place, b: &Place) {
        let (first, second) = (self.take(a), self.take(b));
        for (moved, to) in [(first, b), (second, a)] {
            if let Some(moved) = moved {
                *self.make(to) = moved;
            }
        }
    }

    /// Notes that nothing stands at `place` any more.
    pub(super) fn removed(&mut self, place: &Place) {
        self.take(place);
    }

    /// Forgets what a listing of `place` does not name. The names are in order.
    pub(super) fn listed(&mut self, place: &Place, names: &[&[u8]]) {
        if let Some(node) = self.find(place) {
            node.children.retain(|name, _| names.binary_search(&&name[..]).is_ok());
        }
    }

    /// Forgets the versions, which are not looked at again.
    pub(super) fn forget_versions(&mut self) {
        self.own.children.remove(&b"versions"[..]);
    }

    fn root(&mut self, place: &Place) -> &mut Node {
        match place {
            Place::User(_) => &mut self.user,
            Place::Own(_) => &mut self.own,
        }
    }

    fn find(&mut self, place: &Place) -> Option<&mut Node> {
        let mut node = self.root(place);
        for name in path_of(place).components() {
            node = node.children.get_mut(name)?;
        }
        Some(node)
    }

    /// Finds the node of a place, made if necessary.
    fn make(&mut self, place: &Place) -> &mut Node {
        let mut node = self.root(place);
        for name in path_of(place).components() {
            node = node.children.entry(name.into()).or_insert_with(|| empty(0));
        }
        node
    }

    fn take(&mut self, place: &Place) -> Option<Node> {
        let (parent, name) = path_of(place).split_last()?;
        let parent = match place {
            Place::User(_) => Place::User(parent),
            Place::Own(_) => Place::Own(parent),
        };
        self.find(&parent)?.children.remove(name.as_bytes())
    }
}

fn empty(ino: u64) -> Node {
    let told = Told { kind: Kind::Dir, size: 0, secs: 0 };
    Node { told, known: Known { ino, nanos: 0 }, children: BTreeMap::new() }
}

fn path_of(place: &Place) -> &RelPath {
    match place {
        Place::User(path) | Place::Own(path) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(path: &str) -> Place {
        Place::User(RelPath::new(path.as_bytes()).unwrap())
    }

    fn own(path: &str) -> Place {
        Place::Own(RelPath::new(path.as_bytes()).unwrap())
    }

    const FILE: Told = Told { kind: Kind::File, size: 5, secs: 100 };
    const DIR: Told = Told { kind: Kind::Dir, size: 0, secs: 100 };

    #[test]
    fn number_goes_with_what_we_rename_and_with_nothing_else() {
        let mut inodes = Inodes::new(1000);
        inodes.wrote(&own("staging/0/f"), 5, Mtime { secs: 100, nanos: 42 });
        let staged = inodes.describe(&own("staging/0/f"), FILE, || 7);
        assert_eq!(staged.nanos, 42);
        inodes.renamed(&own("staging/0"), &user("dir"));
        assert_eq!(inodes.describe(&user("dir/f"), FILE, || 7), staged);
        let elsewhere = inodes.describe(&user("dir/g"), FILE, || 7);
        assert_eq!((elsewhere.nanos, elsewhere.ino == staged.ino), (7, false));
        assert_ne!(inodes.describe(&user("dir/f"), Told { secs: 101, ..FILE }, || 0).ino, staged.ino);
        assert_ne!(inodes.describe(&own("staging/0/f"), FILE, || 0).ino, staged.ino);
    }

    #[test]
    fn directory_keeps_its_number_when_its_time_changes() {
        let mut inodes = Inodes::new(0);
        let before = inodes.describe(&user("d"), DIR, || 0);
        assert_eq!(inodes.describe(&user("d"), Told { secs: 200, ..DIR }, || 0), before);
        assert_ne!(inodes.describe(&user("d"), FILE, || 0).ino, before.ino);
    }

    #[test]
    fn what_was_remembered_is_recognised() {
        let mut inodes = Inodes::new(0);
        let known = Known { ino: 77, nanos: 3 };
        inodes.remember(&RelPath::new(b"a").unwrap(), FILE, known);
        assert_eq!(inodes.describe(&user("a"), FILE, || 0), known);
        inodes.listed(&user(""), &[b"b"]);
        assert_ne!(inodes.describe(&user("a"), FILE, || 0), known);
    }

    #[test]
    fn exchanged_entries_change_places() {
        let mut inodes = Inodes::new(0);
        let a = inodes.describe(&own("versions/v/a"), FILE, || 1);
        let b = inodes.describe(&user("a"), FILE, || 2);
        inodes.exchanged(&own("versions/v/a"), &user("a"));
        assert_eq!(inodes.describe(&user("a"), FILE, || 0), a);
        assert_eq!(inodes.describe(&own("versions/v/a"), FILE, || 0), b);
        inodes.forget_versions();
        assert_ne!(inodes.describe(&own("versions/v/a"), FILE, || 0), b);
    }
}
