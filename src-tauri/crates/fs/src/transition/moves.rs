//! Renames of unchanged subtrees.

use std::io;

use evenfold_core::Entry;
use evenfold_core::apply::{Move, Refusal};

use super::check::{came_out, look};
use super::unlock;
use super::{Fate, Now, Transition};
use crate::crash;
use crate::disk::{Disk, Place};
use crate::index::{Keys, Patch, StatKey};
use crate::own;

impl<D: Disk> Transition<'_, D> {
    /// Carries out a move: one rename that fails if something stands at the new place.
    pub(super) fn move_one(&mut self, step: &Move) -> Fate {
        self.in_scope(&step.from, &step.entry)?;
        self.in_scope(&step.to, &step.entry)?;
        // A directory cannot go below itself, and the root goes nowhere.
        if step.from.is_root() || step.to.is_root() || step.to.starts_with(&step.from) {
            return Err(Refusal::MovedOn);
        }
        let (entry, keys) = self.site.look_up(&step.from).ok_or(Refusal::MovedOn)?;
        if entry != step.entry || self.site.look_up(&step.to).is_some() {
            return Err(Refusal::MovedOn);
        }
        let seen = look(self.site, &step.from, &entry, &keys, Some(&step.to))?;
        let (from, to) = (Place::User(step.from.clone()), Place::User(step.to.clone()));
        if let Err(error) = unlock::rename(self.site.ground(), &from, &to) {
            return Err(match error.kind() {
                io::ErrorKind::AlreadyExists => self.taken(&step.to),
                _ => own::refusal_at_path(&error),
            });
        }
        crash::point("moved");
        self.touch_parent(&step.from);
        self.touch_parent(&step.to);
        // Known: all of it stands at the new place. If it is not what was seen, somebody wrote into it in that
        // moment, and it goes back; if its old name is taken again it stays where it is. Either way it is live.
        let unchanged = came_out(self.site, &to, &step.from, &entry, &keys, &seen);
        if !unchanged.as_ref().is_ok_and(|unchanged| *unchanged) {
            if let Err(error) = unlock::rename(self.site.ground(), &to, &from) {
                tracing::warn!(%error, path = %step.to, "a move that was overtaken stays at its new place");
            }
            return Err(unchanged.map_or_else(|error| own::refusal(&error), |_| Refusal::MovedOn));
        }
        let key = self.site.disk.stat(&to).map_or(StatKey::UNSURE, |stat| StatKey::of(&stat));
        let keys = match keys {
            // A content that was read because its key was not sure stays unsure.
            Keys::Leaf(old) if !old.is_sure() => Keys::Leaf(old),
            // Within the tick of the rename its change time would not tell another link under the same name.
            Keys::Leaf(_) if matches!(entry, Entry::Symlink(_)) => Keys::Leaf(StatKey::UNSURE),
            Keys::Leaf(_) | Keys::Shallow(_) => Keys::Leaf(key),
            Keys::Dir(_, below) => Keys::Dir(key, below),
        };
        self.patches.push(Patch { path: step.from.clone(), now: None });
        self.patches.push(Patch { path: step.to.clone(), now: Some((entry.clone(), keys)) });
        Ok((Now::Is(Some(entry)), Vec::new()))
    }
}
