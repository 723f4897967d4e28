//! Writing trees, and differences of trees, as flat tokens, a bounded stretch at a time.

use std::sync::Arc;

use evenfold_core::{Child, Dir, Entry};

use crate::convert::mode_bits;
use crate::error::WireError;
use crate::message::{Blob, Message};
use crate::tree::{Catalog, token};

/// New directories of at least this many items are looked up in the base before they are written out: a
/// renamed directory then costs one token. Smaller ones are not worth the catalogue.
const LOOK_UP: u64 = 32;

/// Writes the tokens of one entry. Holds a stack as deep as the tree and nothing else.
pub(crate) struct TreeWriter<'c> {
    top: Option<Entry>,
    stack: Vec<Cursor>,
    catalog: Option<&'c mut Catalog>,
    tokens: usize,
}

struct Cursor {
    dir: Arc<Dir>,
    at: usize,
    base: Option<Arc<Dir>>,
    base_at: usize,
}

impl Cursor {
    fn new(dir: &Arc<Dir>, base: Option<&Arc<Dir>>) -> Self {
        Cursor { dir: Arc::clone(dir), at: 0, base: base.map(Arc::clone), base_at: 0 }
    }
}

/// What comes next within a directory.
enum Step {
    Gone(usize),
    Same,
    Changed(usize, usize),
    New(usize),
    Leave,
}

impl<'c> TreeWriter<'c> {
    /// Writes all of `entry`.
    pub(crate) fn full(entry: &Entry) -> Self {
        TreeWriter { top: Some(entry.clone()), stack: Vec::new(), catalog: None, tokens: 0 }
    }

    /// Writes how `dir` differs from `base`. Directories that `catalog` finds are only named.
    pub(crate) fn delta(base: &Arc<Dir>, dir: &Arc<Dir>, catalog: Option<&'c mut Catalog>) -> Self {
        TreeWriter { top: None, stack: vec![Cursor::new(dir, Some(base))], catalog, tokens: 0 }
    }

    /// Returns how many changed entries were written so far.
    pub(crate) fn tokens(&self) -> usize {
        self.tokens
    }

    /// Appends tokens to `out` until it is at least `limit` long; `true` when everything was written.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> Result<bool, WireError> {
        if let Some(entry) = self.top.take() {
            self.fresh(b"", &entry, out)?;
        } else if self.tokens == 0 {
            self.tokens = 1;
            if let Some(Cursor { dir, .. }) = self.stack.first() {
                Message::Enter { name: Blob(b""), mode: mode_bits(dir.mode()) }.encode(out)?;
            }
        }
        while let Some(cursor) = self.stack.last_mut() {
            if out.len() >= limit {
                return Ok(false);
            }
            let step = cursor.step();
            self.write(step, out)?;
        }
        Ok(true)
    }

    fn write(&mut self, step: Step, out: &mut Vec<u8>) -> Result<(), WireError> {
        let Some(cursor) = self.stack.last() else { return Ok(()) };
        let dir = Arc::clone(&cursor.dir);
        let base = cursor.base.clone();
        let base_child = |at: usize| base.as_ref().and_then(|base| base.children().get(at));
        match step {
            Step::Same => {}
            Step::Leave => {
                Message::Leave.encode(out)?;
                self.stack.pop();
            }
            Step::Gone(at) => {
                if let Some(child) = base_child(at) {
                    self.tokens += 1;
                    Message::Gone { name: Blob(child.name.as_bytes()) }.encode(out)?;
                }
            }
            Step::New(at) => {
                if let Some(child) = dir.children().get(at) {
                    self.fresh(child.name.as_bytes(), &child.entry, out)?;
                }
            }
            Step::Changed(at, old) => match (dir.children().get(at), base_child(old)) {
                (
                    Some(Child { name, entry: Entry::Dir(new) }),
                    Some(Child { entry: Entry::Dir(old), .. }),
                ) => {
                    if new.mode() != old.mode() {
                        self.tokens += 1;
                    }
                    Message::Enter { name: Blob(name.as_bytes()), mode: mode_bits(new.mode()) }
                        .encode(out)?;
                    self.stack.push(Cursor::new(new, Some(old)));
                }
                (Some(child), _) => self.fresh(child.name.as_bytes(), &child.entry, out)?,
                (None, _) => {}
            },
        }
        Ok(())
    }

    fn fresh(&mut self, name: &[u8], entry: &Entry, out: &mut Vec<u8>) -> Result<(), WireError> {
        self.tokens += 1;
        if let Entry::Dir(dir) = entry {
            let known = dir.totals().items() >= LOOK_UP
                && self.catalog.as_mut().is_some_and(|catalog| catalog.get(&dir.digest()).is_some());
            if !known {
                self.stack.push(Cursor::new(dir, None));
                return Message::Dir { name: Blob(name), mode: mode_bits(dir.mode()) }.encode(out);
            }
        }
        token(name, entry).encode(out)
    }
}

impl Cursor {
    fn step(&mut self) -> Step {
        let new = self.dir.children().get(self.at);
        let old = self.base.as_ref().and_then(|base| base.children().get(self.base_at));
        let order = match (new, old) {
            (None, None) => return Step::Leave,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(new), Some(old)) => new.name.cmp(&old.name),
        };
        let (at, base_at) = (self.at, self.base_at);
        match order {
            std::cmp::Ordering::Less => {
                self.at += 1;
                Step::New(at)
            }
            std::cmp::Ordering::Greater => {
                self.base_at += 1;
                Step::Gone(base_at)
            }
            std::cmp::Ordering::Equal => {
                self.at += 1;
                self.base_at += 1;
                if new.map(|child| &child.entry) == old.map(|child| &child.entry) {
                    Step::Same
                } else {
                    Step::Changed(at, base_at)
                }
            }
        }
    }
}
