//! A batch that is carried out as a whole or not at all: looks for what would be refused before anything is touched.

use evenfold_core::Entry;
use evenfold_core::apply::{Outcome, Refusal};
use evenfold_core::plan::Change;

use super::Transition;
use super::check::look;
use crate::disk::{Disk, Place};
use crate::stage::Ready;

impl<D: Disk> Transition<'_, D> {
    /// Returns the outcomes of a batch of which a part cannot be carried out: nothing of it is. `None` if nothing is
    /// in the way, as far as the disk tells a moment before; somebody who writes in that moment is never overwritten,
    /// and then the rest stands beside it.
    pub(crate) fn hindrances(&self, ready: &[Ready]) -> Option<Vec<Outcome>> {
        let moves = self.batch.moves.iter().map(|step| {
            let found = self.expected(&step.from, &step.entry);
            found.err().or_else(|| self.stands(&step.to).then_some(Refusal::MovedOn))
        });
        let changes =
            self.batch.changes.iter().zip(ready).map(|(change, ready)| self.hindrance(change, ready));
        let found: Vec<Option<Refusal>> = moves.chain(changes).collect();
        found.iter().any(Option::is_some).then(|| {
            let fate =
                |refusal: Option<Refusal>| Outcome::Refused(refusal.unwrap_or(Refusal::WaitsForOthers));
            found.into_iter().map(fate).collect()
        })
    }

    fn stands(&self, path: &evenfold_core::RelPath) -> bool {
        self.site.look_up(path).is_some() || self.site.disk.stat(&Place::User(path.clone())).is_ok()
    }

    fn hindrance(&self, change: &Change, ready: &Ready) -> Option<Refusal> {
        match ready {
            Ready::Refused(refusal) => return Some(refusal.clone()),
            Ready::Content(built) => {
                if let Some((_, refusal)) = built.short.first() {
                    return Some(refusal.clone());
                }
            }
            Ready::Nothing => {}
        }
        let path = &change.path;
        let entry = change.new.as_ref().or(change.old.as_ref());
        if let Some(refusal) = entry.and_then(|entry| self.in_scope(path, entry).err()) {
            return Some(refusal);
        }
        match (&change.old, &change.new) {
            (None, _) if self.site.look_up(path).is_some() => Some(Refusal::MovedOn),
            (None, _) => self.stands(path).then(|| self.taken(path)),
            // Only its permission bits are meant.
            (Some(Entry::Dir(old)), Some(Entry::Dir(_))) => match self.site.look_up(path) {
                Some((Entry::Dir(dir), _)) if path.is_root() || dir.mode() == old.mode() => None,
                _ => Some(Refusal::MovedOn),
            },
            (Some(old), _) => {
                let looked = self
                    .expected(path, old)
                    .and_then(|(entry, keys)| look(self.site, path, &entry, &keys, None));
                match looked {
                    Ok(seen) if seen.untracked => Some(Refusal::HoldsUntracked),
                    Ok(_) => None,
                    Err(refusal) => Some(refusal),
                }
            }
        }
    }
}
