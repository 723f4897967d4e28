//! From rows in the order of a walk to a tree, and back.

use std::sync::Arc;

use evenfold_core::{Child, Dir, Entry, Mode, Name};

use crate::error::{StoreError, bad_row};
use crate::record::Record;

/// Mode of a directory that has no row of its own although something below it has one.
const IMPLIED: u32 = 0o755;

/// A directory whose children are still arriving.
struct Open {
    /// Length of the directory's own key.
    key_len: usize,
    mode: Mode,
    children: Vec<Child>,
    /// What stands at the same place in the tree to share with.
    twin: Option<Arc<Dir>>,
}

/// Rebuilds a tree from rows that arrive in the order of their keys, in one pass.
///
/// It is total: a directory without a row of its own is implied, and what claims to lie below a file is dropped.
/// Both lead at worst to a comparison, or to a conflict, never to a deletion.
pub(super) struct Builder {
    /// The open directories from the root down; never empty.
    stack: Vec<Open>,
    /// Key of the innermost open directory.
    key: Vec<u8>,
}

impl Builder {
    /// Begins with an empty root; subdirectories equal to those of `twin` are taken from it.
    pub(super) fn new(twin: Option<Arc<Dir>>) -> Self {
        let root = Open { key_len: 0, mode: Mode::new(IMPLIED), children: Vec::new(), twin };
        Builder { stack: vec![root], key: Vec::new() }
    }

    /// Adds the next row.
    pub(super) fn push(&mut self, key: &[u8], record: Record) -> Result<(), StoreError> {
        if key.is_empty() {
            return match (record, self.stack.first_mut()) {
                (Record::Dir { mode, .. }, Some(root)) => {
                    root.mode = mode;
                    Ok(())
                }
                _ => Err(bad_row(super::TABLE, "the root is not a directory")),
            };
        }
        let (parent, name) = match key.iter().rposition(|b| *b == 0) {
            Some(at) => key.split_at(at),
            None => (&[][..], key),
        };
        let name = name.strip_prefix(&[0]).unwrap_or(name);
        self.enter(parent)?;
        match record {
            Record::Dir { mode, .. } => self.open(name, mode)?,
            Record::File(file) => self.add(name, Entry::File(file))?,
            Record::Symlink(link) => self.add(name, Entry::Symlink(link))?,
        }
        Ok(())
    }

    /// Closes all directories and returns the root.
    pub(super) fn finish(mut self) -> Result<Arc<Dir>, StoreError> {
        while self.stack.len() > 1 {
            self.close()?;
        }
        match self.stack.pop() {
            Some(root) => Ok(sealed(root)),
            None => Err(bad_row(super::TABLE, "no root")),
        }
    }

    /// Closes and opens directories until the innermost one is that with the key `parent`.
    fn enter(&mut self, parent: &[u8]) -> Result<(), StoreError> {
        while !is_at_or_below(parent, &self.key) {
            self.close()?;
        }
        let missing = parent.get(self.key.len()..).unwrap_or_default();
        for name in missing.split(|b| *b == 0).filter(|name| !name.is_empty()) {
            self.open(name, Mode::new(IMPLIED))?;
        }
        Ok(())
    }

    fn open(&mut self, name: &[u8], mode: Mode) -> Result<(), StoreError> {
        check(name)?;
        let twin = self.stack.last().and_then(|open| open.twin.as_ref());
        let twin = twin.and_then(|twin| twin.child(name)?.as_dir().cloned());
        if !self.key.is_empty() {
            self.key.push(0);
        }
        self.key.extend_from_slice(name);
        self.stack.push(Open { key_len: self.key.len(), mode, children: Vec::new(), twin });
        Ok(())
    }

    fn close(&mut self) -> Result<(), StoreError> {
        let Some(done) = self.stack.pop() else { return Err(bad_row(super::TABLE, "no open directory")) };
        let key_len = self.stack.last().map_or(0, |outer| outer.key_len);
        let tail = self.key.split_off(key_len.min(self.key.len()));
        let name = tail.strip_prefix(&[0]).unwrap_or(&tail);
        self.add(name, Entry::Dir(sealed(done)))
    }

    fn add(&mut self, name: &[u8], entry: Entry) -> Result<(), StoreError> {
        let name = check(name)?;
        // `Dir::new` keeps the first of two children with one name: a file before what claims to lie below it.
        if let Some(open) = self.stack.last_mut() {
            open.children.push(Child { name, entry });
        }
        Ok(())
    }
}

fn check(name: &[u8]) -> Result<Name, StoreError> {
    Name::new(name)
        .map_err(|error| bad_row(super::TABLE, format!("name {:?}: {error}", String::from_utf8_lossy(name))))
}

fn is_at_or_below(key: &[u8], dir: &[u8]) -> bool {
    dir.is_empty() || (key.starts_with(dir) && matches!(key.get(dir.len()), None | Some(0)))
}

fn sealed(open: Open) -> Arc<Dir> {
    let dir = Dir::new(open.mode, open.children);
    match open.twin {
        Some(twin) if twin.digest() == dir.digest() => twin,
        _ => Arc::new(dir),
    }
}

/// Walks over an entry and everything below it, in the order of the keys, without its unknown entries.
pub(super) struct Walk<'t> {
    /// What is still to come; the next one is last. As long as the widest path, not as the tree.
    pending: Vec<(Vec<u8>, &'t [Child])>,
    first: Option<(Vec<u8>, &'t Entry)>,
}

impl<'t> Walk<'t> {
    /// Begins at `entry`, whose key is `key`.
    pub(super) fn new(key: Vec<u8>, entry: &'t Entry) -> Self {
        Walk { pending: Vec::new(), first: Some((key, entry)) }
    }

    fn visit(&mut self, key: Vec<u8>, entry: &'t Entry) -> Option<(Vec<u8>, Record)> {
        let record = match entry {
            Entry::File(file) => Record::File(*file),
            Entry::Symlink(link) => Record::Symlink(link.clone()),
            // The digest of a directory changes with everything below it and is computed again on loading.
            Entry::Dir(dir) => {
                self.pending.push((key.clone(), dir.children()));
                Record::Dir { mode: dir.mode(), digest: None }
            }
            Entry::Unknown(_) => return None,
        };
        Some((key, record))
    }
}

impl Iterator for Walk<'_> {
    type Item = (Vec<u8>, Record);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((key, entry)) = self.first.take() {
            return self.visit(key, entry);
        }
        loop {
            let (dir, children) = self.pending.last_mut()?;
            let Some((child, rest)) = children.split_first() else {
                self.pending.pop();
                continue;
            };
            *children = rest;
            let mut key = Vec::with_capacity(dir.len() + 1 + child.name.as_bytes().len());
            if !dir.is_empty() {
                key.extend_from_slice(dir);
                key.push(0);
            }
            key.extend_from_slice(child.name.as_bytes());
            if let Some(found) = self.visit(key, &child.entry) {
                return Some(found);
            }
        }
    }
}
