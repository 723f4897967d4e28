//! Tokens back to entries, with every rule checked on the way.

use std::sync::Arc;

use evenfold_core::path::{MAX_PATH, RESERVED};
use evenfold_core::{Child, Dir, Entry, Mode, Name, PathError, RelPath};

use crate::convert;
use crate::error::WireError;
use crate::message::{Blob, Message};
use crate::tree::Catalog;

/// How deep trees may be nested: as many one-letter components as fit into the longest path. Trees of the
/// core are walked by recursion in places, so this also bounds the stack.
pub(crate) const MAX_DEPTH: usize = 2048;
/// The most entries of one tree. A tree is what a peer can make us hold, so there has to be an end to it.
pub(crate) const MAX_ENTRIES: u64 = 32 * 1024 * 1024;

/// Builds one entry from its tokens.
pub(crate) struct Assembler<'c> {
    top_is_root: bool,
    base: Option<Arc<Dir>>,
    catalog: Option<&'c mut Catalog>,
    levels: Vec<Level>,
    path_len: usize,
    entries: u64,
}

struct Level {
    name: Option<Name>,
    mode: Mode,
    base: Option<Arc<Dir>>,
    edits: Vec<(Name, Option<Entry>)>,
    path_len: usize,
}

impl<'c> Assembler<'c> {
    /// Expects an entry that stands at `at`. `base` is what a difference refers to, `catalog` knows the
    /// directories that may be given by digest only.
    pub(crate) fn new(at: &RelPath, base: Option<Arc<Dir>>, catalog: Option<&'c mut Catalog>) -> Self {
        let path_len = at.as_bytes().len();
        Assembler { top_is_root: at.is_root(), base, catalog, levels: Vec::new(), path_len, entries: 0 }
    }

    /// Takes a token in; returns the entry once it is complete.
    pub(crate) fn feed(&mut self, token: &Message<'_>) -> Result<Option<Entry>, WireError> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(WireError::TooMany);
        }
        match *token {
            Message::File { name, file } => self.add(name, Some(convert::file(file)?)),
            Message::Symlink { name, target } => self.add(name, Some(convert::symlink(target)?)),
            Message::Unknown { name, kind } => {
                self.add(name, Some(Entry::Unknown(convert::problem_kind(kind)?)))
            }
            Message::Stub { name, digest } => {
                let known = self.catalog.as_mut().and_then(|catalog| catalog.get(&digest.0));
                let dir = known.ok_or(WireError::UnknownDirectory(digest.0))?;
                self.entries += dir.totals().items();
                self.add(name, Some(Entry::Dir(dir)))
            }
            Message::Gone { name } => match self.levels.last() {
                Some(Level { base: Some(_), .. }) => self.add(name, None),
                _ => Err(WireError::Unexpected("a deletion where nothing is")),
            },
            Message::Dir { name, mode } => self.open(name, mode, false),
            Message::Enter { name, mode } => self.open(name, mode, true),
            Message::Leave => self.close(),
            _ => Err(WireError::Unexpected("something else within a tree")),
        }
    }

    fn open(&mut self, name: Blob<'_>, mode: u16, against: bool) -> Result<Option<Entry>, WireError> {
        if self.levels.len() >= MAX_DEPTH {
            return Err(WireError::TooDeep);
        }
        let (name, path_len) = match self.levels.last() {
            None if name.0.is_empty() => (None, self.path_len),
            None => return Err(WireError::Malformed("a name at the top")),
            Some(level) => {
                let name = self.name(level, name)?;
                let path_len = level.path_len + 1 + name.as_bytes().len();
                (Some(name), path_len)
            }
        };
        let base = if against { Some(self.base_for(name.as_ref())?) } else { None };
        self.levels.push(Level { name, mode: convert::mode(mode)?, base, edits: Vec::new(), path_len });
        Ok(None)
    }

    fn base_for(&self, name: Option<&Name>) -> Result<Arc<Dir>, WireError> {
        let base = match (name, self.levels.last()) {
            (Some(name), Some(level)) => {
                level.base.as_ref().and_then(|base| base.child(name.as_bytes())).and_then(Entry::as_dir)
            }
            _ => self.base.as_ref(),
        };
        base.cloned().ok_or(WireError::Unexpected("a difference from a directory that is none"))
    }

    fn close(&mut self) -> Result<Option<Entry>, WireError> {
        let level = self.levels.pop().ok_or(WireError::Unexpected("the end of a directory"))?;
        let children = match level.base {
            None => keep(level.edits),
            Some(base) => merge(&base, level.edits),
        };
        let entry = Entry::dir(level.mode, children);
        match (level.name, self.levels.last_mut()) {
            (Some(name), Some(parent)) => {
                parent.edits.push((name, Some(entry)));
                Ok(None)
            }
            _ => Ok(Some(entry)),
        }
    }

    fn add(&mut self, name: Blob<'_>, entry: Option<Entry>) -> Result<Option<Entry>, WireError> {
        let Some(level) = self.levels.last() else {
            let complete = name.0.is_empty() && entry.is_some();
            return if complete { Ok(entry) } else { Err(WireError::Malformed("a name at the top")) };
        };
        let name = self.name(level, name)?;
        if let Some(level) = self.levels.last_mut() {
            level.edits.push((name, entry));
        }
        Ok(None)
    }

    /// Validates the name of the next child of `level`.
    fn name(&self, level: &Level, name: Blob<'_>) -> Result<Name, WireError> {
        let name = Name::new(name.0)?;
        if level.path_len + 1 + name.as_bytes().len() > MAX_PATH + 1 {
            return Err(PathError::TooLong.into());
        }
        if self.top_is_root && self.levels.len() == 1 && name.as_bytes() == RESERVED {
            return Err(PathError::Reserved.into());
        }
        match level.edits.last() {
            Some((before, _)) if *before >= name => Err(WireError::OutOfOrder),
            _ => Ok(name),
        }
    }
}

fn keep(edits: Vec<(Name, Option<Entry>)>) -> Vec<Child> {
    edits.into_iter().filter_map(|(name, entry)| entry.map(|entry| Child { name, entry })).collect()
}

/// Applies edits, which are in rising order of names, to the children of `base`.
pub(crate) fn merge(base: &Dir, edits: Vec<(Name, Option<Entry>)>) -> Vec<Child> {
    let mut children = Vec::with_capacity(base.children().len() + edits.len());
    let mut old = base.children().iter().peekable();
    for (name, entry) in edits {
        while let Some(child) = old.next_if(|child| child.name < name) {
            children.push(child.clone());
        }
        old.next_if(|child| child.name == name);
        if let Some(entry) = entry {
            children.push(Child { name, entry });
        }
    }
    children.extend(old.cloned());
    children
}

#[cfg(test)]
mod tests {
    use evenfold_core::ProblemKind;

    use super::*;

    fn feed_all(tokens: &[Message<'_>]) -> Result<Option<Entry>, WireError> {
        let mut assembler = Assembler::new(&RelPath::root(), None, None);
        let mut last = None;
        for token in tokens {
            last = assembler.feed(token)?;
        }
        Ok(last)
    }

    fn unknown(name: &[u8]) -> Message<'_> {
        Message::Unknown { name: Blob(name), kind: ProblemKind::Special.code() }
    }

    const TOP: Message<'_> = Message::Dir { name: Blob(b""), mode: 0o755 };

    #[test]
    fn names_that_could_leave_the_root_are_refused() {
        for name in [&b"../x"[..], b"..", b".", b"", b"a/b", b"a\0b", b".evenfold", &[b'x'; 256]] {
            assert!(matches!(feed_all(&[TOP, unknown(name)]), Err(WireError::Path(_))), "{name:?}");
        }
        let inner = Message::Dir { name: Blob(b"a"), mode: 0o755 };
        assert!(feed_all(&[TOP, inner, unknown(b".evenfold"), Message::Leave, Message::Leave]).is_ok());
    }

    #[test]
    fn duplicate_and_disordered_children_are_refused() {
        for names in [[b"a", b"a"], [b"b", b"a"]] {
            let result = feed_all(&[TOP, unknown(names[0]), unknown(names[1])]);
            assert!(matches!(result, Err(WireError::OutOfOrder)));
        }
    }

    #[test]
    fn nesting_ends_where_paths_end() {
        let open = |depth: usize| {
            let mut tokens = vec![TOP];
            tokens.extend((0..depth).map(|_| Message::Dir { name: Blob(b"x"), mode: 0o755 }));
            tokens.extend((0..=depth).map(|_| Message::Leave));
            tokens
        };
        assert!(matches!(feed_all(&open(MAX_DEPTH - 1)), Ok(Some(_))));
        assert!(matches!(feed_all(&open(MAX_DEPTH)), Err(WireError::TooDeep)));
    }

    #[test]
    fn tokens_without_a_place_are_refused() {
        let enter = Message::Enter { name: Blob(b""), mode: 0o755 };
        for tokens in [
            vec![Message::Leave],
            vec![enter],
            vec![TOP, Message::Gone { name: Blob(b"a") }],
            vec![TOP, Message::Done],
            vec![Message::Gone { name: Blob(b"") }],
            vec![Message::Dir { name: Blob(b""), mode: 0o4755 }],
            vec![Message::Dir { name: Blob(b"x"), mode: 0o755 }],
        ] {
            assert!(feed_all(&tokens).is_err(), "{tokens:?}");
        }
    }
}
