//! Gives every file its digest and puts the new tree together.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, PoisonError};

use evenfold_core::{Child, Digest, Dir, Entry, File, ProblemKind, RelPath};

use super::draft::{Draft, Drafted, Leaf, Prev, Read, Slot, SubDir};
use super::{Gone, Scan, for_each};
use crate::disk::{Disk, Stat};
use crate::hash::{Buffers, HashError, LARGE};
use crate::index::{DirKeys, Keys, StatKey};

/// What a person is told of a file under suspicion.
pub(super) const ROT: &str = "its content changed although its size and times did not";

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Files that vanished from their paths, by inode: where a folder went that was renamed.
pub(super) type Elsewhere = HashMap<u64, (File, StatKey)>;

impl<D: Disk> Scan<'_, D> {
    /// Settles everything that the walk left open.
    pub(super) fn settle_all(&self, drafted: Drafted) -> Prev {
        let mut draft = match drafted {
            Drafted::Same(settled) | Drafted::Done(settled) => return settled,
            Drafted::Open(draft) => draft,
        };
        let elsewhere = self.find_elsewhere(&draft);
        let mut large = Vec::new();
        self.collect_large(&mut draft, &RelPath::root(), &mut large);
        let mut buffers = Buffers::default();
        for (path, slot) in large {
            self.settle_file(slot, &path, &elsewhere, &mut buffers);
        }
        drop(buffers);
        self.settle(*draft, &RelPath::root(), &elsewhere)
    }

    /// Tells whether a file is so large that all threads work on it together, one file at a time.
    pub(super) fn waits_for_all_threads(&self, stat: &Stat) -> bool {
        self.hashing.parallel && stat.size >= LARGE
    }

    fn collect_large<'d>(
        &self,
        draft: &'d mut Draft,
        path: &RelPath,
        found: &mut Vec<(RelPath, &'d mut Slot)>,
    ) {
        for slot in &mut draft.slots {
            match slot {
                Slot::Read(read) if self.waits_for_all_threads(&read.stat) => {
                    found.push((path.join(&read.name), slot))
                }
                Slot::Dir(sub) => {
                    if let Drafted::Open(draft) = &mut sub.drafted {
                        self.collect_large(draft, &path.join(&sub.name), found);
                    }
                }
                Slot::Read(_) | Slot::Prev(_) | Slot::Leaf(_) => {}
            }
        }
    }

    /// Looks up the files to be read among those that vanished. Only those that are wanted are remembered.
    fn find_elsewhere(&self, draft: &Draft) -> Elsewhere {
        let gone = std::mem::take(&mut self.gathered.lock().unwrap_or_else(PoisonError::into_inner).gone);
        let mut found = Elsewhere::new();
        if self.deep || gone.is_empty() {
            return found;
        }
        let mut wanted = HashSet::new();
        collect_inodes(draft, &mut wanted);
        for gone in gone {
            match gone {
                Gone::File(file, key) => offer(file, key, &wanted, &mut found),
                Gone::Dir(dir, keys) => offer_dir(&dir, &keys, &wanted, &mut found),
            }
        }
        found
    }

    pub(super) fn settle(&self, mut draft: Draft, path: &RelPath, elsewhere: &Elsewhere) -> Prev {
        let is_open = |slot: &&mut Slot| match slot {
            Slot::Read(_) => true,
            Slot::Dir(sub) => matches!(sub.drafted, Drafted::Open(_)),
            Slot::Prev(_) | Slot::Leaf(_) => false,
        };
        let mut open: Vec<&mut Slot> = draft.slots.iter_mut().filter(is_open).collect();
        for_each(self.hashing.parallel, &mut open, |slot| match slot {
            Slot::Dir(sub) => self.settle_dir(sub, &path.join(&sub.name), elsewhere),
            Slot::Read(read) => {
                let path = path.join(&read.name);
                BUFFERS.with_borrow_mut(|buffers| self.settle_file(slot, &path, elsewhere, buffers));
            }
            Slot::Prev(_) | Slot::Leaf(_) => {}
        });
        assemble(draft)
    }

    fn settle_dir(&self, sub: &mut SubDir, path: &RelPath, elsewhere: &Elsewhere) {
        let nothing = Drafted::Done(Prev { dir: Arc::new(Dir::empty()), keys: Arc::default() });
        sub.drafted = match std::mem::replace(&mut sub.drafted, nothing) {
            Drafted::Open(draft) => Drafted::Done(self.settle(*draft, path, elsewhere)),
            settled => settled,
        };
    }

    /// Replaces a file that waits to be read by what it is.
    fn settle_file(&self, slot: &mut Slot, path: &RelPath, elsewhere: &Elsewhere, buffers: &mut Buffers) {
        let Slot::Read(read) = slot else { return };
        let moved = elsewhere.get(&read.stat.ino).filter(|(file, key)| key.holds_file(file, &read.stat));
        let (entry, key) = match moved {
            Some((file, key)) => (file_of(file.digest, &read.stat), *key),
            None => self.read(read, path, buffers),
        };
        *slot = Slot::Leaf(Box::new(Leaf { name: read.name.clone(), entry, key }));
    }

    fn read(&self, read: &Read, path: &RelPath, buffers: &mut Buffers) -> (Entry, StatKey) {
        let unknown = |kind: ProblemKind, detail: String| {
            self.report(path.clone(), kind, detail);
            (Entry::Unknown(kind), StatKey::UNSURE)
        };
        let hashed = match self.hashing.hash(self.disk, path, &read.stat, buffers) {
            Ok(hashed) => hashed,
            Err(HashError::Io(error)) if error.kind() == io::ErrorKind::CrossesDevices => {
                return unknown(ProblemKind::OtherFileSystem, "another file system is mounted here".into());
            }
            Err(error @ HashError::Io(_)) => return unknown(ProblemKind::Unreadable, error.to_string()),
            Err(error) => return unknown(ProblemKind::Changing, error.to_string()),
        };
        match read.expected {
            Some(digest) if digest != hashed.digest && hashed.stat == read.stat => {
                self.report(path.clone(), ProblemKind::SuspectedRot, ROT.into());
                let Entry::File(file) = file_of(digest, &read.stat) else {
                    return (Entry::Unknown(ProblemKind::SuspectedRot), StatKey::UNSURE);
                };
                self.gather(|gathered| gathered.rot.push((path.clone(), file)));
                (Entry::Unknown(ProblemKind::SuspectedRot), StatKey::of(&read.stat))
            }
            _ => (file_of(hashed.digest, &hashed.stat), hashed.key),
        }
    }
}

fn file_of(digest: Digest, stat: &Stat) -> Entry {
    Entry::File(File { digest, size: stat.size, mtime: stat.mtime, mode: stat.mode })
}

fn collect_inodes(draft: &Draft, found: &mut HashSet<u64>) {
    for slot in &draft.slots {
        match slot {
            Slot::Read(read) => {
                found.insert(read.stat.ino);
            }
            Slot::Dir(sub) => {
                if let Drafted::Open(draft) = &sub.drafted {
                    collect_inodes(draft, found);
                }
            }
            Slot::Prev(_) | Slot::Leaf(_) => {}
        }
    }
}

fn offer(file: File, key: StatKey, wanted: &HashSet<u64>, found: &mut Elsewhere) {
    if let Some((ino, _)) = key.parts()
        && wanted.contains(&ino)
    {
        found.insert(ino, (file, key));
    }
}

fn offer_dir(dir: &Dir, keys: &DirKeys, wanted: &HashSet<u64>, found: &mut Elsewhere) {
    for (at, child) in dir.children().iter().enumerate() {
        match &child.entry {
            Entry::File(file) => offer(*file, keys.own(at), wanted, found),
            Entry::Dir(dir) => {
                if let Some(keys) = keys.below(at) {
                    offer_dir(dir, keys, wanted, found);
                }
            }
            Entry::Symlink(_) | Entry::Unknown(_) => {}
        }
    }
}

/// Puts a settled directory together. Where it turns out equal to the previous one, that one's memory is used.
fn assemble(draft: Draft) -> Prev {
    let Draft { mode, prev, slots } = draft;
    let mut children = Vec::with_capacity(slots.len());
    let mut keys = Vec::with_capacity(slots.len());
    for slot in slots {
        match slot {
            Slot::Leaf(leaf) => {
                let Leaf { name, entry, key } = *leaf;
                children.push(Child { name, entry });
                keys.push(Keys::Leaf(key));
            }
            Slot::Dir(sub) => {
                let SubDir { name, key, drafted } = *sub;
                if let Drafted::Same(below) | Drafted::Done(below) = drafted {
                    children.push(Child { name, entry: Entry::Dir(below.dir) });
                    keys.push(Keys::Dir(key, below.keys));
                }
            }
            Slot::Prev(at) => {
                let at = at as usize;
                if let Some((prev, child)) =
                    prev.as_ref().and_then(|prev| Some((prev, prev.dir.children().get(at)?)))
                {
                    keys.push(prev.keys.of_child(at, &child.entry));
                    children.push(child.clone());
                }
            }
            // Settled before; unknown rather than absent if it ever were not.
            Slot::Read(read) => {
                children.push(Child { name: read.name, entry: Entry::Unknown(ProblemKind::Changing) });
                keys.push(Keys::Leaf(StatKey::UNSURE));
            }
        }
    }
    let (dir, keys) = (Dir::new(mode, children), DirKeys::new(keys));
    match prev {
        Some(prev) if *prev.dir == dir => {
            let keys = if prev.keys.same(&keys) { prev.keys } else { Arc::new(keys) };
            Prev { dir: prev.dir, keys }
        }
        _ => Prev { dir: Arc::new(dir), keys: Arc::new(keys) },
    }
}
