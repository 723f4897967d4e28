//! Publishes staged contents and takes away what is replaced or deleted, so that whatever happens between any
//! two steps every user's byte is live or in versions.
//!
//! Three rules carry that:
//!
//! 1. **Nothing of a user's is ever overwritten or removed, only renamed**: out of its name by an exchange or
//!    a rename that fails if the target exists, and straight to its place in `versions/`. A staged content is
//!    put at that very place just before it is exchanged with the live name. So a crash in between leaves one
//!    version too many (the new content), never one too few, and `staging/` never holds a user's byte: it can
//!    be emptied without looking.
//! 2. **Look, act, look again.** Before: the disk must hold what the index says, and the index what the change
//!    expects. After: what came out must be what was seen. If it is not, somebody wrote in between, and it is
//!    put back; if its name has been taken again by then, both are kept.
//! 3. **Creations before deletions**, and a deletion waits if a creation of the same content failed, so that
//!    the two halves of a move never leave the content nowhere.

mod check;
mod moves;
mod publish;
mod remove;
mod shelf;
pub(crate) mod swap;
mod together;
pub(crate) mod unlock;

use std::collections::{BTreeSet, HashSet};

use evenfold_core::apply::{Batch, Outcome, Refusal};
use evenfold_core::plan::Change;
use evenfold_core::{Digest, Entry, RelPath};

use crate::apply::{Kept, KeptWhy, Site};
use crate::disk::{Disk, Place};
use crate::index::{Keys, Patch};
use crate::stage::{Ready, needs_content};
pub(crate) use shelf::Shelf;

/// What a transition did.
pub(crate) struct Transitioned {
    /// One for each move, then one for each change.
    pub(crate) outcomes: Vec<Outcome>,
    /// What became a version.
    pub(crate) kept: Vec<Kept>,
    /// Directories whose entries have to be made durable.
    pub(crate) touched: BTreeSet<Place>,
    /// Whether there is also something to make durable that is in no directory: times and permissions.
    pub(crate) whole_disk: bool,
}

/// What stands at a path after a change that was carried out.
enum Now {
    Is(Option<Entry>),
    /// What the index says when all is done.
    AsIndexed,
}

type Shorts = Vec<(RelPath, Refusal)>;
type Fate = Result<(Now, Shorts), Refusal>;

/// The carrying out of one batch.
pub(crate) struct Transition<'a, D> {
    site: &'a Site<'a, D>,
    batch: &'a Batch,
    shelf: Shelf<'a, D>,
    patches: Vec<Patch>,
    touched: BTreeSet<Place>,
    whole_disk: bool,
    kept: Vec<Kept>,
    /// Contents that should have been created and were not.
    missing: HashSet<Digest>,
}

impl<'a, D: Disk> Transition<'a, D> {
    pub(crate) fn new(site: &'a Site<'a, D>, batch: &'a Batch) -> Self {
        Transition {
            site,
            batch,
            shelf: Shelf::new(site.disk, batch.id),
            patches: Vec::new(),
            touched: BTreeSet::new(),
            whole_disk: false,
            kept: Vec::new(),
            missing: HashSet::new(),
        }
    }

    /// Carries out the batch with what was built for each of its changes.
    pub(crate) fn run(mut self, ready: Vec<Ready>) -> Transitioned {
        let moved: Vec<Fate> = self.batch.moves.iter().map(|step| self.move_one(step)).collect();
        // Changes may lie below a new place, and are checked against the index.
        self.patch_index();

        let mut fates: Vec<Option<Fate>> = self.batch.changes.iter().map(|_| None).collect();
        let changes = self.batch.changes.iter().zip(ready).zip(&mut fates);
        for ((change, ready), fate) in changes {
            if change.new.is_some() && !closes_directory(change) {
                let result = self.put(change, ready);
                self.note_missing(change, &result);
                *fate = Some(result);
            }
        }
        for (change, fate) in self.batch.changes.iter().zip(&mut fates) {
            if change.new.is_none() {
                *fate = Some(self.delete(change));
            }
        }
        // A directory loses its write permission only when everything in it is done. It may have been created
        // by this batch, so the index must know of it.
        self.patch_index();
        for (change, fate) in self.batch.changes.iter().zip(&mut fates) {
            if closes_directory(change) {
                *fate = Some(self.put(change, Ready::Nothing));
            }
        }
        self.patch_index();

        unlock::forget(self.site.ground());
        let index = self.site.index().clone();
        let outcome = |path: &RelPath, fate: Fate| match fate {
            Ok((Now::Is(now), short)) => Outcome::Applied { now, short },
            Ok((Now::AsIndexed, short)) => {
                Outcome::Applied { now: index.look_up(path).map(|(entry, _)| entry), short }
            }
            Err(refusal) => Outcome::Refused(refusal),
        };
        let moves = self.batch.moves.iter().zip(moved).map(|(step, fate)| outcome(&step.to, fate));
        let changes = self.batch.changes.iter().zip(fates);
        // Every change is either a deletion, a closing or neither, so each has a fate.
        let changes =
            changes.map(|(change, fate)| outcome(&change.path, fate.unwrap_or(Err(Refusal::MovedOn))));
        let outcomes = moves.chain(changes).collect();
        let mut touched = self.touched;
        touched.append(&mut self.shelf.touched);
        Transitioned { outcomes, kept: self.kept, touched, whole_disk: self.whole_disk }
    }

    /// Tells the index what was done since the last time.
    fn patch_index(&mut self) {
        let patches = std::mem::take(&mut self.patches);
        if patches.is_empty() {
            return;
        }
        let refused = self.site.index().patch(patches);
        if !refused.is_empty() {
            // The index then lacks what the disk has, which is safe: the next scan finds it.
            tracing::warn!(paths = refused.len(), "the index could not take up all changes");
        }
    }

    /// Returns what stands at a path, if it is what the change expects.
    fn expected(&self, path: &RelPath, old: &Entry) -> Result<(Entry, Keys), Refusal> {
        let found = self.site.look_up(path).ok_or(Refusal::MovedOn)?;
        if same_but_unknown(&found.0, old) { Ok(found) } else { Err(Refusal::MovedOn) }
    }

    fn in_scope(&self, path: &RelPath, entry: &Entry) -> Result<(), Refusal> {
        if path.is_root() || (self.site.takes_part)(path, matches!(entry, Entry::Dir(_))) {
            Ok(())
        } else {
            Err(crate::stage::out_of_scope())
        }
    }

    fn touch_parent(&mut self, path: &RelPath) {
        if let Some(parent) = path.parent() {
            self.touched.insert(Place::User(parent));
        }
    }

    fn keep(&mut self, path: &RelPath, version: String, why: KeptWhy) {
        self.kept.push(Kept { path: path.clone(), version, why });
    }

    /// Remembers contents that did not come to stand where they should.
    fn note_missing(&mut self, change: &Change, fate: &Fate) {
        let Some(new) = change.new.as_ref().filter(|_| needs_content(self.batch, change)) else { return };
        let mut missing = |digest| {
            self.missing.insert(digest);
        };
        match fate {
            Err(_) => for_each_content(new, &mut missing),
            Ok((_, short)) => {
                for (path, _) in short {
                    let tail = path.as_bytes().get(change.path.as_bytes().len() + 1..);
                    let tail = tail.and_then(|tail| RelPath::new(tail).ok());
                    let part = tail.and_then(|tail| new.as_dir()?.get(&tail));
                    if let Some(part) = part {
                        for_each_content(part, &mut missing);
                    }
                }
            }
        }
    }

    /// Tells whether a deletion would take a content away whose new place did not come about.
    fn takes_missing(&self, old: &Entry) -> bool {
        let mut takes = false;
        if !self.missing.is_empty() {
            for_each_content(old, &mut |digest| takes |= self.missing.contains(&digest));
        }
        takes
    }
}

/// Tells whether a change takes the owner's permission to change a directory's entries away.
fn closes_directory(change: &Change) -> bool {
    match (&change.old, &change.new) {
        (Some(Entry::Dir(_)), Some(Entry::Dir(new))) => new.mode().bits() & 0o300 != 0o300,
        _ => false,
    }
}

/// Calls `take` for the content of every file that is not empty; empty ones are nobody's loss.
fn for_each_content(entry: &Entry, take: &mut dyn FnMut(Digest)) {
    match entry {
        Entry::File(file) if file.size > 0 => take(file.digest),
        Entry::Dir(dir) => dir.children().iter().for_each(|child| for_each_content(&child.entry, take)),
        _ => {}
    }
}

/// Tells whether two entries are equal in all that is known. A plan leaves unknown parts out; they are looked
/// for again, and left alone, when the change is carried out.
fn same_but_unknown(a: &Entry, b: &Entry) -> bool {
    a == b || ((a.has_unknown() || b.has_unknown()) && a.without_unknown() == b.without_unknown())
}

#[cfg(test)]
#[path = "transition_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "transition/race_tests.rs"]
mod race_tests;

#[cfg(test)]
#[path = "transition/together_tests.rs"]
mod together_tests;
