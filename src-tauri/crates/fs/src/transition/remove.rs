//! Deletions: into versions, by one rename where that is possible.

use std::io;

use evenfold_core::apply::Refusal;
use evenfold_core::plan::Change;
use evenfold_core::{Dir, Entry, RelPath};

use super::check::{came_out, look};
use super::unlock;
use super::{Fate, Now, Shorts, Transition};
use crate::apply::KeptWhy;
use crate::crash;
use crate::disk::{Disk, Place};
use crate::index::{Keys, Patch};
use crate::own;

impl<D: Disk> Transition<'_, D> {
    /// Carries out a change after which nothing stands at its path.
    pub(super) fn delete(&mut self, change: &Change) -> Fate {
        let path = &change.path;
        let Some(old) = &change.old else { return Err(Refusal::MovedOn) };
        self.in_scope(path, old)?;
        if path.is_root() {
            return Err(Refusal::MovedOn);
        }
        if self.takes_missing(old) {
            return Err(Refusal::WaitsForMove);
        }
        let (entry, keys) = self.expected(path, old)?;
        // Looks through the whole subtree: if anything in it has moved on, nothing of it is deleted.
        let seen = look(self.site, path, &entry, &keys, None)?;
        if !seen.untracked {
            self.remove(path, &entry, &keys, &seen)?;
            self.patches.push(Patch { path: path.clone(), now: None });
            return Ok((Now::Is(None), Vec::new()));
        }
        let mut short = Vec::new();
        if let Entry::Dir(dir) = &entry {
            self.remove_tracked(path, dir, &keys, &mut short);
        }
        Ok((Now::AsIndexed, short))
    }

    /// Removes what is tracked in a directory that holds other things, too, and keeps the directory.
    fn remove_tracked(&mut self, path: &RelPath, dir: &Dir, keys: &Keys, short: &mut Shorts) {
        short.push((path.clone(), Refusal::HoldsUntracked));
        let Keys::Dir(_, below) = keys else { return };
        for (at, child) in dir.children().iter().enumerate() {
            if let Entry::Unknown(_) = child.entry {
                continue;
            }
            let path = path.join(&child.name);
            let keys = below.of_child(at, &child.entry);
            let removed = look(self.site, &path, &child.entry, &keys, None).and_then(|seen| {
                if seen.untracked {
                    Ok(false)
                } else {
                    self.remove(&path, &child.entry, &keys, &seen).map(|()| true)
                }
            });
            match (removed, &child.entry) {
                (Ok(true), _) => self.patches.push(Patch { path, now: None }),
                (Ok(false), Entry::Dir(dir)) => self.remove_tracked(&path, dir, &keys, short),
                (Ok(false), _) => short.push((path, Refusal::HoldsUntracked)),
                (Err(refusal), _) => short.push((path, refusal)),
            }
        }
    }

    /// Known: the disk holds what was seen, a moment ago. It goes to versions by one rename, so it is live or a
    /// version at any time. If something else came out, it goes back unless its name has been taken again.
    fn remove(
        &mut self,
        path: &RelPath,
        entry: &Entry,
        keys: &Keys,
        seen: &super::check::Seen,
    ) -> Result<(), Refusal> {
        let site = self.site;
        let live = Place::User(path.clone());
        let shelved = self.shelf.put(path, &mut |to| unlock::rename(site.ground(), &live, to));
        let shelved = shelved.map_err(|error| own::refusal_at_path(&error))?;
        crash::point("deletion-shelved");
        self.touch_parent(path);
        let unchanged = came_out(site, &shelved.place, path, entry, keys, seen);
        if matches!(unchanged, Ok(true)) {
            self.keep(path, shelved.id, KeptWhy::Deleted);
            return Ok(());
        }
        match unlock::rename(site.ground(), &shelved.place, &live) {
            Ok(()) => {}
            Err(error) => {
                if error.kind() != io::ErrorKind::AlreadyExists {
                    tracing::warn!(%error, path = %path, "what changed at its deletion stays in versions");
                }
                self.keep(path, shelved.id, KeptWhy::Displaced);
            }
        }
        Err(unchanged.map_or_else(|error| own::refusal(&error), |_| Refusal::MovedOn))
    }
}
