//! What of the latest operations survives a power cut.
//!
//! Two models. **Ordered**, like ext4: names change in the order of the operations, and making anything durable
//! makes all changes of names before it durable; contents follow on their own. **Loose**: only what was asked
//! for is durable, and of the rest any part survives, as long as nothing survives without its ground (two
//! operations on one name, or two writes into one file, keep their order).

use std::collections::HashSet;

use super::tree::{Ino, Op, Slot, Tree};
use crate::sim::Rng;

/// An operation since the last time when everything was durable.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    op: Op,
    /// What an `Unlink` takes away: a directory goes only after everything in it.
    gone: Option<Ino>,
    now: i64,
    durable: bool,
}

/// The operations since the last time when everything was durable, and how it was then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal {
    base: Tree,
    log: Vec<Logged>,
    ordered: bool,
    kept: bool,
}

impl Op {
    fn slots(&self) -> Vec<&Slot> {
        match self {
            Op::Make { at, .. } | Op::Unlink { at } => vec![at],
            Op::Rename { from, to } => vec![from, to],
            Op::Exchange { a, b } => vec![a, b],
            Op::Write { .. } | Op::Resize { .. } | Op::Attr { .. } => Vec::new(),
        }
    }

    /// The file whose content or attributes it changes.
    fn subject(&self) -> Option<Ino> {
        match self {
            Op::Write { ino, .. } | Op::Resize { ino, .. } | Op::Attr { ino, .. } => Some(*ino),
            _ => None,
        }
    }

    fn is_content(&self) -> bool {
        matches!(self, Op::Write { .. } | Op::Resize { .. })
    }
}

impl Journal {
    /// A journal that is `kept` only where there may be a power cut, because it costs time.
    pub(crate) fn new(kept: bool, ordered: bool) -> Self {
        Journal { kept, ordered, ..Journal::default() }
    }

    /// Notes an operation that was just carried out.
    pub(crate) fn note(&mut self, op: &Op, gone: Option<Ino>, now: i64) {
        if self.kept {
            self.log.push(Logged { op: op.clone(), gone, now, durable: false });
        }
    }

    /// Makes everything durable.
    pub(crate) fn all(&mut self, tree: &Tree) {
        if self.kept {
            self.log.clear();
            self.base = tree.clone();
        }
    }

    /// Makes the last `count` operations durable, with all that they stand on.
    pub(crate) fn latest(&mut self, count: usize) {
        let from = self.log.len().saturating_sub(count);
        for logged in &mut self.log[from..] {
            logged.durable = true;
        }
        self.found();
    }

    /// Makes the content and attributes of a file durable.
    pub(crate) fn file(&mut self, ino: Ino) {
        for logged in &mut self.log {
            logged.durable |= logged.op.subject() == Some(ino) || (self.ordered && !logged.op.is_content());
        }
        self.found();
    }

    /// Makes the names in a directory, and its own attributes, durable.
    pub(crate) fn dir(&mut self, ino: Ino) {
        for logged in &mut self.log {
            logged.durable |= logged.op.subject() == Some(ino)
                || logged.op.slots().iter().any(|slot| slot.0 == ino)
                || (self.ordered && !logged.op.is_content());
        }
        self.found();
    }

    /// Makes durable what durable operations stand on: earlier ones on the same names, and the making of the
    /// directories that hold them, and what was done in directories that are gone.
    fn found(&mut self) {
        let mut slots: HashSet<Slot> = HashSet::new();
        let mut dirs: HashSet<Ino> = HashSet::new();
        let mut gone: HashSet<Ino> = HashSet::new();
        for logged in self.log.iter_mut().rev() {
            let own = logged.op.slots();
            let makes = matches!(&logged.op, Op::Make { ino, .. } if dirs.contains(ino));
            if makes || own.iter().any(|slot| slots.contains(*slot) || gone.contains(&slot.0)) {
                logged.durable = true;
            }
            if logged.durable {
                gone.extend(logged.gone);
                for slot in logged.op.slots() {
                    slots.insert(slot.clone());
                    dirs.insert(slot.0);
                }
            }
        }
    }

    /// Returns what is left after a power cut.
    pub(crate) fn cut(&mut self, rng: &mut Rng) -> Tree {
        let mut tree = std::mem::take(&mut self.base);
        let log = std::mem::take(&mut self.log);
        let names = log.iter().filter(|logged| !logged.op.is_content()).count();
        let mut prefix = rng.below(names as u64 + 1);
        let chance = 1 + rng.below(9);
        let mut slots: HashSet<Slot> = HashSet::new();
        let mut inodes: HashSet<Ino> = HashSet::new();
        let mut unsettled: HashSet<Ino> = HashSet::new();
        for Logged { op, gone, now, durable } in log {
            let in_order = self.ordered && !op.is_content();
            let grounded = !op.slots().iter().any(|slot| slots.contains(*slot) || inodes.contains(&slot.0))
                && !op.subject().is_some_and(|ino| inodes.contains(&ino))
                && !gone.is_some_and(|ino| unsettled.contains(&ino));
            let lucky = if in_order { prefix > 0 } else { rng.below(10) < chance };
            if in_order {
                prefix = prefix.saturating_sub(1);
            }
            if durable || (grounded && lucky) {
                tree.apply(&op, now);
                continue;
            }
            unsettled.extend(op.slots().into_iter().map(|slot| slot.0));
            slots.extend(op.slots().into_iter().cloned());
            inodes.extend(op.subject());
            if let Op::Make { ino, .. } = op {
                inodes.insert(ino);
            }
        }
        self.base = tree.clone();
        tree
    }
}
