//! A batch of changes for one side, and what became of it.

use crate::digest::Digest;
use crate::entry::Entry;
use crate::path::RelPath;
use crate::plan::Change;
use crate::transfer::{Item, SupplyFailure};

/// A rename of an unchanged subtree: its deletion at `from` and its creation at `to` in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Where it stands.
    pub from: RelPath,
    /// Where it shall stand; nothing stands there yet, and the parent exists.
    pub to: RelPath,
    /// What stands at `from` and must stand there unchanged for the move to happen.
    pub entry: Entry,
}

/// A content that the receiver already holds under another name and copies from its own disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalCopy {
    /// BLAKE3 of the content.
    pub digest: Digest,
    /// Where the receiver's snapshot holds it. If it is not there any more, the content counts as missing.
    pub path: RelPath,
}

/// An older or similar file at the receiver from which chunks of an item may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// Index of the item.
    pub item: u32,
    /// Where the receiver's snapshot holds the similar file.
    pub path: RelPath,
}

/// Changes that one side carries out together: contents are staged and verified, then moves, creations and
/// replacements, then deletions happen, then everything is made durable, then the report is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Unique name of the batch; versions of what it replaces are filed under it.
    pub id: u128,
    /// Renames, carried out first.
    pub moves: Vec<Move>,
    /// Creations, replacements and deletions. No path lies below another's path, except below a change that
    /// creates or keeps a directory, and then it comes later; a change that forbids a directory's owner to work
    /// in it comes after everything below.
    pub changes: Vec<Change>,
    /// Contents that the supplier sends.
    pub items: Vec<Item>,
    /// Contents that the receiver copies from its own disk.
    pub copies: Vec<LocalCopy>,
    /// Files of the receiver that resemble items.
    pub bases: Vec<Basis>,
    /// All or nothing: where one change cannot be carried out, none is, and nothing is published before all
    /// content is there.
    pub together: bool,
    /// Contents are put in place anew, also where the receiver holds equal ones.
    pub again: bool,
}

impl Batch {
    /// Returns what a receiver can look at before it knows what the supplier has: the items that resemble files of its
    /// own, and these files.
    pub fn resemblances(&self) -> Batch {
        let (mut items, mut bases) = (Vec::<Item>::new(), Vec::new());
        let mut placed = None;
        for Basis { item, path } in &self.bases {
            let Some(wanted) = self.items.get(*item as usize) else { continue };
            if placed != Some(*item) {
                items.push(wanted.clone());
                placed = Some(*item);
            }
            let item = u32::try_from(items.len() - 1).unwrap_or(u32::MAX);
            bases.push(Basis { item, path: path.clone() });
        }
        Batch { id: self.id, items, bases, ..Batch::default() }
    }
}

/// Why a change, or a part of it, was not carried out. Nothing was lost and nothing partial is visible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The path does not hold any more what the plan expected; the next cycle will see what it holds.
    #[error("it changed since it was scanned")]
    MovedOn,
    /// The content did not arrive.
    #[error("its content did not arrive: {0}")]
    NotSupplied(SupplyFailure),
    /// What arrived has another digest than announced.
    #[error("what arrived is not what was announced")]
    Damaged,
    /// The file system is full, or its reserve would be touched.
    #[error("no space left")]
    NoSpace,
    /// The name falls together with the name of a sibling on this file system.
    #[error("its name falls together with '{0}' on this machine")]
    NameClash(String),
    /// The name cannot exist on this file system.
    #[error("the name is not possible on this machine")]
    NameNotPossible,
    /// The directory holds files that are excluded from the relationship, so it cannot be deleted.
    #[error("the folder holds files that are not part of the relationship")]
    HoldsUntracked,
    /// The other half of a move did not succeed, so this half waits.
    #[error("it waits until its new place is complete")]
    WaitsForMove,
    /// Another change of a batch that is carried out as a whole, or not at all, was refused.
    #[error("it waits for the others that were sent with it")]
    WaitsForOthers,
    /// The operating system refused.
    #[error("{0}")]
    Io(String),
}

/// What became of one move or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out.
    Applied {
        /// What stands at the path now, as far as it was accomplished. After a move: what stands at `to`.
        now: Option<Entry>,
        /// Parts of a subtree that were left out, with full paths.
        short: Vec<(RelPath, Refusal)>,
    },
    /// Nothing of it was carried out.
    Refused(Refusal),
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One outcome for each move, then one for each change, in the order of the batch.
    pub outcomes: Vec<Outcome>,
    /// The epoch of the root after the batch (see [`crate::snapshot`]).
    pub epoch: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resemblances_are_the_items_that_have_bases_numbered_anew() {
        let path = |name: &str| RelPath::new(name.as_bytes()).unwrap();
        let item = |name: &str| Item { digest: Digest::of(name.as_bytes()), size: 9, path: path(name) };
        let basis = |item: u32, name: &str| Basis { item, path: path(name) };
        let batch = Batch {
            id: 7,
            items: ["a", "b", "c"].map(item).to_vec(),
            bases: vec![basis(1, "x"), basis(1, "y"), basis(2, "z"), basis(9, "no such item")],
            together: true,
            ..Batch::default()
        };
        let expected = Batch {
            id: 7,
            items: ["b", "c"].map(item).to_vec(),
            bases: vec![basis(0, "x"), basis(0, "y"), basis(1, "z")],
            ..Batch::default()
        };
        assert_eq!(batch.resemblances(), expected);
    }
}
