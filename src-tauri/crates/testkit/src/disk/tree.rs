//! Inodes and directories, and the operations that change them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use evenfold_core::Digest;
use evenfold_fs::disk::Kind;

/// What names an inode within a machine, for ever: unlike its number, which is used again.
pub(crate) type Ino = u64;

/// A name in a directory.
pub(crate) type Slot = (Ino, Arc<[u8]>);

/// A file, directory or link.
#[derive(Debug, Clone)]
pub(crate) struct Inode {
    /// What `stat` calls its number.
    pub(crate) number: u64,
    pub(crate) mode: u32,
    /// Nanoseconds since 1970.
    pub(crate) mtime: i64,
    /// Nanoseconds since 1970.
    pub(crate) ctime: i64,
    pub(crate) body: Body,
}

/// What an inode holds.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    File(Arc<Content>),
    /// In the order in which the names were made, as file systems list them in no useful order either.
    Dir(Vec<(Arc<[u8]>, Ino)>),
    Link(Arc<[u8]>),
}

/// What a file holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    bytes: Vec<u8>,
    digest: OnceLock<Digest>,
}

impl Content {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| Digest::of(&self.bytes))
    }
}

impl Inode {
    pub(crate) fn kind(&self) -> Kind {
        match self.body {
            Body::File(_) => Kind::File,
            Body::Dir(_) => Kind::Dir,
            Body::Link(_) => Kind::Symlink,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        match &self.body {
            Body::File(content) => content.bytes.len() as u64,
            Body::Dir(_) => 4096,
            Body::Link(target) => target.len() as u64,
        }
    }
}

/// One change of the file system.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// Makes an inode under a name that is free.
    Make { at: Slot, ino: Ino, node: Inode },
    /// Takes a name away.
    Unlink { at: Slot },
    /// Renames to a name that is free.
    Rename { from: Slot, to: Slot },
    /// Exchanges two names.
    Exchange { a: Slot, b: Slot },
    /// Writes into a file.
    Write { ino: Ino, offset: usize, bytes: Arc<[u8]> },
    /// Cuts a file or makes it longer.
    Resize { ino: Ino, size: usize },
    /// Sets permission bits or times.
    Attr { ino: Ino, mode: Option<u32>, mtime: Option<i64> },
}

/// All inodes of a machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub(crate) nodes: BTreeMap<Ino, Inode>,
    /// What stands at the path of the root.
    pub(crate) root: Option<Ino>,
}

impl Tree {
    pub(crate) fn get(&self, ino: Ino) -> Option<&Inode> {
        self.nodes.get(&ino)
    }

    pub(crate) fn entries(&self, dir: Ino) -> &[(Arc<[u8]>, Ino)] {
        match self.get(dir).map(|node| &node.body) {
            Some(Body::Dir(entries)) => entries,
            _ => &[],
        }
    }

    pub(crate) fn child(&self, dir: Ino, name: &[u8]) -> Option<Ino> {
        self.entries(dir).iter().find(|(found, _)| **found == *name).map(|(_, ino)| *ino)
    }

    pub(crate) fn file(&self, ino: Ino) -> Option<&Arc<Content>> {
        match self.get(ino).map(|node| &node.body) {
            Some(Body::File(content)) => Some(content),
            _ => None,
        }
    }

    /// Carries out one operation at the time `now`. What does not fit is left undone: after a power cut an
    /// operation may have lost its ground.
    pub(crate) fn apply(&mut self, op: &Op, now: i64) {
        match op {
            Op::Make { at, ino, node } => {
                if self.link(at, *ino, now) {
                    self.nodes.insert(*ino, node.clone());
                }
            }
            Op::Unlink { at } => {
                // A directory goes only when it is empty.
                let full = self.child(at.0, &at.1).is_some_and(|ino| !self.entries(ino).is_empty());
                if !full && let Some(ino) = self.unlink(at, now) {
                    self.changed(ino, now);
                }
            }
            Op::Rename { from, to } => {
                if self.child(to.0, &to.1).is_none()
                    && self.get(to.0).is_some()
                    && let Some(ino) = self.unlink(from, now)
                {
                    self.link(to, ino, now);
                    self.changed(ino, now);
                }
            }
            Op::Exchange { a, b } => {
                if let (Some(x), Some(y)) = (self.child(a.0, &a.1), self.child(b.0, &b.1)) {
                    self.unlink(a, now);
                    self.unlink(b, now);
                    self.link(a, y, now);
                    self.link(b, x, now);
                    self.changed(x, now);
                    self.changed(y, now);
                }
            }
            Op::Write { ino, offset, bytes } => self.modify(*ino, now, |content| {
                if content.len() < offset + bytes.len() {
                    content.resize(offset + bytes.len(), 0);
                }
                content[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }),
            Op::Resize { ino, size } => self.modify(*ino, now, |content| content.resize(*size, 0)),
            Op::Attr { ino, mode, mtime } => {
                if let Some(node) = self.nodes.get_mut(ino) {
                    node.mode = mode.unwrap_or(node.mode);
                    node.mtime = mtime.unwrap_or(node.mtime);
                    node.ctime = now;
                }
            }
        }
    }

    fn modify(&mut self, ino: Ino, now: i64, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(node) = self.nodes.get_mut(&ino)
            && let Body::File(content) = &mut node.body
        {
            let content = Arc::make_mut(content);
            content.digest = OnceLock::new();
            change(&mut content.bytes);
            (node.mtime, node.ctime) = (now, now);
        }
    }

    fn changed(&mut self, ino: Ino, now: i64) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.ctime = now;
        }
    }

    fn link(&mut self, at: &Slot, ino: Ino, now: i64) -> bool {
        if let Some(node) = self.nodes.get_mut(&at.0)
            && let Body::Dir(entries) = &mut node.body
            && !entries.iter().any(|(name, _)| *name == at.1)
        {
            entries.push((at.1.clone(), ino));
            (node.mtime, node.ctime) = (now, now);
            return true;
        }
        false
    }

    fn unlink(&mut self, at: &Slot, now: i64) -> Option<Ino> {
        let node = self.nodes.get_mut(&at.0)?;
        let Body::Dir(entries) = &mut node.body else { return None };
        let position = entries.iter().position(|(name, _)| *name == at.1)?;
        (node.mtime, node.ctime) = (now, now);
        Some(entries.remove(position).1)
    }
}
