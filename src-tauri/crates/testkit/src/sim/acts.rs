//! What users do to their folders.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenfold_core::path::RESERVED;
use evenfold_core::{Name, RelPath};
use evenfold_fs::disk::Kind;

use super::ledger::Ledger;
use super::rng::Rng;
use super::survey::{Found, live, present};
use crate::disk::{Armed, Body, Event, Ino, Op, Slot, State};

/// Kinds of acts. A history allows some of them, so that rare combinations come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Create,
    Edit,
    EditSameSize,
    EditUnseen,
    Save,
    WriteSlowly,
    Append,
    Delete,
    Rename,
    RenameOver,
    MakeDir,
    RemoveDir,
    FileToDir,
    DirToFile,
    Mode,
    Touch,
    Link,
    Copy,
    DeleteMany,
    Empty,
}

/// All kinds with their weights.
pub(crate) const ACTS: [(u64, Act); 20] = [
    (12, Act::Create),
    (10, Act::Edit),
    (8, Act::EditSameSize),
    (3, Act::EditUnseen),
    (8, Act::Save),
    (3, Act::WriteSlowly),
    (4, Act::Append),
    (8, Act::Delete),
    (10, Act::Rename),
    (3, Act::RenameOver),
    (4, Act::MakeDir),
    (4, Act::RemoveDir),
    (3, Act::FileToDir),
    (3, Act::DirToFile),
    (5, Act::Mode),
    (4, Act::Touch),
    (3, Act::Link),
    (3, Act::Copy),
    (2, Act::DeleteMany),
    (1, Act::Empty),
];

const NAMES: [&[u8]; 12] = [
    b"a",
    b"b",
    b"c",
    b"d",
    b"e.txt",
    b"f.tar.gz",
    b".hidden",
    b"A",
    "\u{e9}".as_bytes(),
    "e\u{301}".as_bytes(),
    b"\xff\xfe",
    b"new\nline",
];

/// A user at a machine.
pub(crate) struct Hand<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) node: usize,
    pub(crate) rng: Rng,
    /// Odd names are rarer than plain ones, or do not come up at all.
    pub(crate) odd: bool,
}

impl Hand<'_> {
    /// Does one thing, and takes down what that meant.
    pub(crate) fn act(&mut self, act: Act) {
        let root = self.state.tree.root;
        let before = live(&self.state.tree, root);
        let done = self.attempt(act, &before);
        if done.is_some() {
            self.took_place(&before);
            let node = self.node;
            self.ledger.note(|| format!("user on machine {node}: {act:?} {}", done.unwrap_or_default()));
        }
    }

    /// Takes down what an act meant.
    pub(crate) fn took_place(&mut self, before: &BTreeMap<RelPath, Found>) {
        let root = self.state.tree.root;
        let after = live(&self.state.tree, root);
        let present = present(&self.state.tree, root);
        self.ledger.user_acted(self.node, before, &after, &present);
    }

    /// A process goes on writing that was interrupted.
    pub(crate) fn go_on(&mut self, ino: Ino) {
        let root = self.state.tree.root;
        let before = live(&self.state.tree, root);
        let Some(content) = self.state.tree.file(ino) else { return };
        let (old, offset) = (content.digest(), content.bytes().len());
        let bytes = format!(" and on {}", self.ledger.contents).into_bytes().into();
        self.ledger.contents += 1;
        self.state.user([Op::Write { ino, offset, bytes }]);
        // The file may have become a version meanwhile, which this process knows nothing of.
        let new = self.state.tree.file(ino).map(|content| content.digest());
        let present = present(&self.state.tree, root);
        if let Some(new) = new {
            self.ledger.replaced(self.node, old, new, &present);
            if !live(&self.state.tree, root).values().any(|entry| entry.ino == ino) {
                self.ledger.ended.insert(new);
            }
        }
        self.took_place(&before);
        let node = self.node;
        self.ledger.note(|| format!("user on machine {node}: goes on writing"));
    }

    fn attempt(&mut self, act: Act, live: &BTreeMap<RelPath, Found>) -> Option<String> {
        let is = |kind: Kind| live.iter().filter(move |(_, entry)| entry.kind == kind).collect::<Vec<_>>();
        let files = is(Kind::File);
        let dirs = is(Kind::Dir);
        let file = self.rng.pick(&files).copied();
        let dir = self.rng.pick(&dirs).copied();
        match act {
            Act::Create => self.create(live),
            Act::Edit => {
                let (path, entry) = file?;
                let bytes = self.content(None);
                self.state.user([Op::Resize { ino: entry.ino, size: 0 }, write(entry.ino, 0, bytes)]);
                Some(format!("{path:?}"))
            }
            Act::EditSameSize | Act::EditUnseen => {
                let (path, entry) = file?;
                let size = self.state.tree.file(entry.ino)?.bytes().len();
                if size < 9 {
                    return None;
                }
                let bytes = self.content(Some(size));
                if act == Act::EditUnseen {
                    // Within a tick of the clock after the last change nothing at all would tell it.
                    self.state.pass(25_000_000 + 3 * self.state.habits.stored);
                }
                self.state.user([write(entry.ino, 0, bytes)]);
                if act == Act::EditUnseen {
                    self.state.user([Op::Attr { ino: entry.ino, mode: None, mtime: Some(entry.mtime) }]);
                }
                Some(format!("{path:?}"))
            }
            Act::Save => {
                let (path, entry) = file?;
                let name = path.file_name()?;
                let bytes = self.content(None);
                let temporary: Arc<[u8]> = b".saving~".as_slice().into();
                if self.state.tree.child(entry.dir, &temporary).is_some() {
                    return None;
                }
                let ino = self.file((entry.dir, temporary.clone()), &bytes);
                let at = (entry.dir, Arc::from(name.as_bytes()));
                self.state.user([
                    Op::Attr { ino, mode: Some(entry.mode), mtime: None },
                    Op::Unlink { at: at.clone() },
                    Op::Rename { from: (entry.dir, temporary), to: at },
                ]);
                Some(format!("{path:?}"))
            }
            Act::WriteSlowly => {
                let (path, entry) = file?;
                let bytes = self.content(None);
                self.state.user([Op::Resize { ino: entry.ino, size: 0 }, write(entry.ino, 0, bytes)]);
                let after = self.rng.below(60);
                self.state.armed.push(Armed { after, changes_only: false, event: Event::Append(entry.ino) });
                Some(format!("{path:?}"))
            }
            Act::Append => {
                let (path, entry) = file?;
                let offset = self.state.tree.file(entry.ino)?.bytes().len();
                let bytes = self.content(Some(12));
                self.state.user([write(entry.ino, offset, bytes)]);
                Some(format!("{path:?}"))
            }
            Act::Delete => {
                let leaves: Vec<_> = live.iter().filter(|(_, entry)| entry.kind != Kind::Dir).collect();
                let (path, entry) = self.rng.pick(&leaves).copied()?;
                self.remove(path, entry)?;
                Some(format!("{path:?}"))
            }
            Act::Rename => {
                let all: Vec<_> = live.iter().collect();
                let (path, entry) = self.rng.pick(&all).copied()?;
                let (to_path, to) = self.place(live, path)?;
                if self.state.tree.child(to.0, &to.1).is_some() {
                    return None;
                }
                let from = (entry.dir, Arc::from(path.file_name()?.as_bytes()));
                self.state.user([Op::Rename { from, to }]);
                Some(format!("{path:?} to {to_path:?}"))
            }
            Act::RenameOver => {
                let (path, entry) = file?;
                let (other, over) = self.rng.pick(&files).copied()?;
                if other == path {
                    return None;
                }
                let from = (entry.dir, Arc::from(path.file_name()?.as_bytes()));
                let to: (Ino, Arc<[u8]>) = (over.dir, Arc::from(other.file_name()?.as_bytes()));
                self.state.user([Op::Unlink { at: to.clone() }, Op::Rename { from, to }]);
                Some(format!("{path:?} over {other:?}"))
            }
            Act::MakeDir => {
                let (path, at) = self.place(live, &RelPath::root())?;
                if self.state.tree.child(at.0, &at.1).is_some() {
                    return None;
                }
                let (_, op) = self.state.make(at, Body::Dir(Vec::new()), 0o755);
                self.state.user([op]);
                Some(format!("{path:?}"))
            }
            Act::RemoveDir => {
                let (path, entry) = dir?;
                self.remove(path, entry)?;
                Some(format!("{path:?}"))
            }
            Act::FileToDir => {
                let (path, entry) = file?;
                let at = (entry.dir, Arc::from(path.file_name()?.as_bytes()));
                self.state.user([Op::Unlink { at: at.clone() }]);
                let (dir, op) = self.state.make(at, Body::Dir(Vec::new()), 0o755);
                self.state.user([op]);
                if self.rng.percent(70) {
                    let bytes = self.content(None);
                    self.file((dir, b"a".as_slice().into()), &bytes);
                }
                Some(format!("{path:?}"))
            }
            Act::DirToFile => {
                let (path, entry) = dir?;
                self.remove(path, entry)?;
                let bytes = self.content(None);
                self.file((entry.dir, path.file_name()?.as_bytes().into()), &bytes);
                Some(format!("{path:?}"))
            }
            Act::Mode => {
                let all: Vec<_> = live.iter().filter(|(_, entry)| entry.kind != Kind::Symlink).collect();
                let (path, entry) = self.rng.pick(&all).copied()?;
                let choices: &[(u64, u32)] = match entry.kind {
                    Kind::Dir => &[(4, 0o755), (3, 0o700), (2, 0o775), (2, 0o555), (1, 0o500), (1, 0o311)],
                    _ => &[(4, 0o644), (3, 0o600), (2, 0o755), (2, 0o444), (1, 0o000)],
                };
                let mode = self.rng.weighted(choices, 0o755);
                self.state.user([Op::Attr { ino: entry.ino, mode: Some(mode), mtime: None }]);
                Some(format!("{path:?} {mode:o}"))
            }
            Act::Touch => {
                let (path, entry) = file?;
                let now = self.state.now();
                let at = self.rng.weighted(
                    &[
                        (4, now),
                        (2, now - 3_600_000_000_000),
                        (1, now + 3_600_000_000_000),
                        (1, 0),
                        (1, 1_234_567_890_123_456_789),
                    ],
                    now,
                );
                let mtime = Some(self.state.store_time(crate::disk::mtime(at)));
                self.state.user([Op::Attr { ino: entry.ino, mode: None, mtime }]);
                Some(format!("{path:?}"))
            }
            Act::Link => {
                let (path, at) = self.place(live, &RelPath::root())?;
                if self.state.tree.child(at.0, &at.1).is_some() {
                    return None;
                }
                self.ledger.contents += 1;
                let target = format!("target-{}", self.ledger.contents);
                let (_, op) = self.state.make(at, Body::Link(target.as_bytes().into()), 0o777);
                self.state.user([op]);
                Some(format!("{path:?} -> {target}"))
            }
            Act::Copy => {
                let (path, entry) = file?;
                let (to_path, to) = self.place(live, &RelPath::root())?;
                if self.state.tree.child(to.0, &to.1).is_some() {
                    return None;
                }
                let bytes: Arc<[u8]> = self.state.tree.file(entry.ino)?.bytes().into();
                let ino = self.file(to, &bytes);
                if self.rng.percent(60) {
                    self.state.user([Op::Attr { ino, mode: Some(entry.mode), mtime: Some(entry.mtime) }]);
                }
                self.ledger.revived.extend(entry.digest);
                Some(format!("{path:?} to {to_path:?}"))
            }
            Act::DeleteMany => {
                let share = 30 + self.rng.below(71);
                for (path, entry) in files {
                    if self.rng.percent(share) {
                        self.remove(path, entry)?;
                    }
                }
                Some(format!("{share} %"))
            }
            Act::Empty => {
                let root = self.state.tree.root?;
                let top = live.iter().filter(|(_, entry)| entry.dir == root);
                for (path, entry) in top {
                    self.remove(path, entry)?;
                }
                Some(String::new())
            }
        }
    }

    fn create(&mut self, live: &BTreeMap<RelPath, Found>) -> Option<String> {
        let (path, at) = self.place(live, &RelPath::root())?;
        if self.state.tree.child(at.0, &at.1).is_some() {
            return None;
        }
        let bytes = self.content(None);
        self.file(at, &bytes);
        Some(format!("{path:?}"))
    }

    /// Makes a file with a content.
    fn file(&mut self, at: (Ino, Arc<[u8]>), bytes: &Arc<[u8]>) -> Ino {
        let (ino, op) = self.state.make(at, Body::File(Arc::default()), 0o644);
        self.state.user([op, write(ino, 0, bytes.clone())]);
        ino
    }

    /// Removes an entry with everything below.
    fn remove(&mut self, path: &RelPath, entry: &Found) -> Option<()> {
        let below: Vec<(Arc<[u8]>, Ino)> = self.state.tree.entries(entry.ino).to_vec();
        for (name, ino) in below {
            let path = path.join(&Name::new(&name).ok()?);
            self.remove(&path, &Found { dir: entry.ino, ino, ..entry.clone() })?;
        }
        self.state.user([Op::Unlink { at: (entry.dir, path.file_name()?.as_bytes().into()) }]);
        Some(())
    }

    /// Picks a name in one of the folders, not below `not_below`.
    fn place(&mut self, live: &BTreeMap<RelPath, Found>, not_below: &RelPath) -> Option<(RelPath, Slot)> {
        let mut dirs = vec![(RelPath::root(), self.state.tree.root?)];
        let below = |path: &RelPath| !not_below.is_root() && path.starts_with(not_below);
        let shallow = |path: &RelPath| path.components().count() < 3;
        let subdirs =
            live.iter().filter(|(path, entry)| entry.kind == Kind::Dir && !below(path) && shallow(path));
        dirs.extend(subdirs.map(|(path, entry)| (path.clone(), entry.ino)));
        let (parent, dir) = self.rng.pick(&dirs)?.clone();
        let plain = if self.odd && self.rng.percent(30) { NAMES.len() } else { 5 };
        let mut name = NAMES.get(self.rng.below(plain as u64) as usize)?.to_vec();
        if self.odd && self.rng.percent(4) {
            name = vec![b'n'; 255];
        }
        if self.odd && self.rng.percent(2) && !parent.is_root() {
            name = RESERVED.to_vec();
        }
        Some((parent.join(&Name::new(&name).ok()?), (dir, name.into())))
    }

    /// A content that has never been written before. Of `size` bytes, if that is given.
    fn content(&mut self, size: Option<usize>) -> Arc<[u8]> {
        self.ledger.contents += 1;
        let size = size.unwrap_or_else(|| match self.rng.below(100) {
            0 => 0,
            1 => 140_000 + self.rng.below(200_000) as usize,
            2..=5 => 5_000,
            _ => 9 + self.rng.below(20) as usize,
        });
        let mut bytes = format!("{:08}.", self.ledger.contents).into_bytes();
        bytes.resize(size, b'.');
        bytes.into()
    }
}

fn write(ino: Ino, offset: usize, bytes: Arc<[u8]>) -> Op {
    Op::Write { ino, offset, bytes }
}
