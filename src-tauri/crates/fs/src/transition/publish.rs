//! Creations, replacements, and changes of permission bits and times.

use std::io;

use evenfold_core::apply::Refusal;
use evenfold_core::plan::Change;
use evenfold_core::{Dir, Entry, File, RelPath};

use super::check::{Seen, came_out, look};
use super::shelf::Shelved;
use super::{Fate, Now, Transition};
use super::{swap, unlock};
use crate::apply::KeptWhy;
use crate::crash;
use crate::disk::{Disk, Kind, Place, Stat};
use crate::index::{Keys, Patch, StatKey};
use crate::own;
use crate::stage::{Built, Ready, same_entry};

impl<D: Disk> Transition<'_, D> {
    /// Carries out a change after which something stands at its path.
    pub(super) fn put(&mut self, change: &Change, ready: Ready) -> Fate {
        let Some(new) = &change.new else { return Err(Refusal::MovedOn) };
        self.in_scope(&change.path, new)?;
        match (&change.old, new, ready) {
            (Some(Entry::Dir(old)), Entry::Dir(new), _) => self.set_dir_mode(&change.path, old, new),
            // The root itself can have other permission bits, but never be another thing.
            _ if change.path.is_root() => Err(Refusal::MovedOn),
            (_, _, Ready::Refused(refusal)) => Err(refusal),
            (None, _, Ready::Content(built)) => self.create(&change.path, *built),
            (Some(old), _, Ready::Content(built)) => self.replace(&change.path, old, *built),
            (Some(Entry::File(old)), Entry::File(new), Ready::Nothing) => {
                self.set_times(&change.path, old, new)
            }
            // Equal links: there is nothing to do but to say so.
            (Some(old), _, Ready::Nothing) => {
                self.expected(&change.path, old)?;
                Ok((Now::Is(Some(old.clone())), Vec::new()))
            }
            // Whatever is new was built; this is no change at all.
            (None, _, Ready::Nothing) => Err(Refusal::MovedOn),
        }
    }

    /// Known: the index has nothing at the path. The rename fails if something stands there by now, so nothing
    /// can be overwritten, and the name is empty or complete at any time.
    fn create(&mut self, path: &RelPath, built: Built) -> Fate {
        if self.site.look_up(path).is_some() {
            return Err(Refusal::MovedOn);
        }
        let live = Place::User(path.clone());
        self.note_late_mode(path, &built)?;
        if let Err(error) = unlock::rename(self.site.ground(), &built.place, &live) {
            return Err(match error.kind() {
                io::ErrorKind::AlreadyExists => self.taken(path),
                _ => own::refusal_at_path(&error),
            });
        }
        crash::point("created");
        Ok(self.published(path, built))
    }

    /// Tells by whom a name is taken that the index does not have: by something new, or by a sibling whose name
    /// this file system takes for the same.
    pub(super) fn taken(&self, path: &RelPath) -> Refusal {
        let Some((parent, name)) = path.split_last() else { return Refusal::MovedOn };
        match same_entry(self.site.disk, &Place::User(path.clone()), &Place::User(parent)) {
            Some(listed) if listed != name => Refusal::NameClash(listed.to_string()),
            _ => Refusal::MovedOn,
        }
    }

    /// Known: the index holds `old` at the path, and so does the disk a moment ago. The staged content goes to
    /// the version's place first, then both change places in one step: the name is never empty, and the old
    /// content is in versions in the same moment in which it stops being live.
    fn replace(&mut self, path: &RelPath, old: &Entry, built: Built) -> Fate {
        let (entry, keys) = self.expected(path, old)?;
        let seen = look(self.site, path, &entry, &keys, None)?;
        if seen.untracked {
            return Err(Refusal::HoldsUntracked);
        }
        let live = Place::User(path.clone());
        let ours = self.site.disk.stat(&built.place).map_err(|error| own::refusal(&error))?;
        self.note_late_mode(path, &built)?;
        let disk = self.site.disk;
        let shelved = self.shelf.put(path, &mut |to| disk.rename_new(&built.place, to));
        let shelved = shelved.map_err(|error| own::refusal(&error))?;
        crash::point("replacement-shelved");
        if let Err(error) = unlock::exchange(self.site.ground(), &shelved.place, &live) {
            // Ours was never live, so it is no version. If it stays, it is one too many, which harms nobody.
            if let Err(error) = disk.rename_new(&shelved.place, &built.place) {
                tracing::warn!(%error, path = %path, "an unpublished content stays in versions");
            }
            if error.kind() == io::ErrorKind::Unsupported {
                return self.replace_in_two_steps(path, &entry, &keys, &seen, built);
            }
            return Err(own::refusal_at_path(&error));
        }
        crash::point("exchanged");
        // From here on the path and the version's place have changed, whatever comes.
        self.touch_parent(path);
        match came_out(self.site, &shelved.place, path, &entry, &keys, &seen) {
            Ok(true) => {
                self.keep(path, shelved.id, KeptWhy::Replaced);
                Ok(self.published(path, built))
            }
            Ok(false) => {
                self.put_back(path, shelved, &ours);
                Err(Refusal::MovedOn)
            }
            Err(error) => {
                self.put_back(path, shelved, &ours);
                Err(own::refusal(&error))
            }
        }
    }

    /// Known: as in [`Self::replace`], but this file system cannot exchange. The old content goes to versions, then
    /// the new one to the name, which is empty in between; a note tells a restart to put the old one back.
    fn replace_in_two_steps(
        &mut self,
        path: &RelPath,
        entry: &Entry,
        keys: &Keys,
        seen: &Seen,
        built: Built,
    ) -> Fate {
        let ground = self.site.ground();
        let live = Place::User(path.clone());
        let shelved = swap::take_away(ground, &mut self.shelf, path);
        let shelved = shelved.map_err(|error| own::refusal_at_path(&error))?;
        self.touch_parent(path);
        let unchanged = came_out(self.site, &shelved.place, path, entry, keys, seen);
        let published = match unchanged {
            Ok(true) => {
                unlock::rename(ground, &built.place, &live).map_err(|error| own::refusal_at_path(&error))
            }
            // Somebody wrote between the look and the rename.
            Ok(false) => Err(Refusal::MovedOn),
            Err(error) => Err(own::refusal(&error)),
        };
        let fate = match published {
            Ok(()) => {
                self.keep(path, shelved.id, KeptWhy::Replaced);
                Ok(self.published(path, built))
            }
            Err(refusal) => {
                // Back to its name, unless that has been taken by something newer; then both are kept.
                if unlock::rename(ground, &shelved.place, &live).is_err() {
                    self.keep(path, shelved.id, KeptWhy::Displaced);
                }
                Err(refusal)
            }
        };
        // If nothing stands at the name because nothing could be put there, the note stays for the next start.
        if self.site.disk.stat(&live).is_ok() {
            swap::settled(ground, path);
        }
        fate
    }

    /// Known: something came out of the live name that was not seen before, so a user wrote it in between. It
    /// is put back by a second exchange, unless the live name has been taken by something newer still: then
    /// that stays, and what came out stays in versions. Whichever step fails, both are kept.
    ///
    /// Ours stays in versions when it comes out again: somebody may have opened it while it was live.
    fn put_back(&mut self, path: &RelPath, shelved: Shelved, ours: &Stat) {
        let disk = self.site.disk;
        let live = Place::User(path.clone());
        // Where the disk does not say what stands there, what came out is rather put back than left in versions.
        let is_other = |place: &Place| {
            disk.stat(place).is_ok_and(|stat| {
                (stat.ino, stat.kind, stat.size, stat.mtime) != (ours.ino, ours.kind, ours.size, ours.mtime)
            })
        };
        let restored =
            !is_other(&live) && unlock::exchange(self.site.ground(), &shelved.place, &live).is_ok();
        if restored && !is_other(&shelved.place) {
            return;
        }
        if restored && let Err(error) = unlock::exchange(self.site.ground(), &shelved.place, &live) {
            // Something newer was put at the live name after the look: it came out, and could not go back.
            tracing::warn!(%error, path = %path, "the newest content was moved to versions");
        }
        self.keep(path, shelved.id, KeptWhy::Displaced);
    }

    /// Takes down that a staged entry stands at its path.
    fn published(&mut self, path: &RelPath, built: Built) -> (Now, Vec<(RelPath, Refusal)>) {
        let live = Place::User(path.clone());
        if let Some(mode) = built.late_mode {
            if let Err(error) = self.site.disk.set_mode(&live, mode) {
                // The next scan sees the other permission bits.
                tracing::warn!(%error, path = %path, "permission bits could not be set");
            }
            self.touched.insert(live.clone());
        }
        self.touch_parent(path);
        // The rename changed its change time. If it is not ours any more, its key must match nothing.
        let key = match (self.site.disk.stat(&live), &built.entry) {
            (Ok(stat), Entry::File(_)) if is_built(&stat, &built.entry, built.keys.own()) => {
                StatKey::written(&stat, self.site.disk.now())
            }
            // The key of a link knows no time but that of its last change, so within the tick of the rename it would
            // not tell another link that a user made under the same name.
            (Ok(_), Entry::Symlink(_)) => StatKey::UNSURE,
            (Ok(stat), entry) if is_built(&stat, entry, built.keys.own()) => StatKey::of(&stat),
            _ => StatKey::UNSURE,
        };
        let keys = match built.keys {
            Keys::Dir(_, below) => Keys::Dir(key, below),
            Keys::Leaf(_) | Keys::Shallow(_) => Keys::Leaf(key),
        };
        self.patches.push(Patch { path: path.clone(), now: Some((built.entry.clone(), keys)) });
        (Now::Is(Some(built.entry)), built.short)
    }

    /// A directory without write permission is published with it and loses it afterwards. A crash in between
    /// must not leave permission bits that look like a user's act, so it is noted first.
    fn note_late_mode(&self, path: &RelPath, built: &Built) -> Result<(), Refusal> {
        match built.late_mode {
            Some(mode) => unlock::note(self.site.ground(), path, mode).map_err(|error| own::refusal(&error)),
            None => Ok(()),
        }
    }

    /// Known: only permission bits differ; children are other changes.
    fn set_dir_mode(&mut self, path: &RelPath, old: &Dir, new: &std::sync::Arc<Dir>) -> Fate {
        let Some((Entry::Dir(_), keys)) = self.site.look_up(path) else { return Err(Refusal::MovedOn) };
        let live = Place::User(path.clone());
        let stat = self.site.disk.stat(&live).map_err(|error| own::refusal_at_path(&error))?;
        let same_inode = keys.own().parts().is_none_or(|(ino, _)| ino == stat.ino);
        if stat.kind != Kind::Dir || stat.mode != old.mode() || !same_inode {
            return Err(Refusal::MovedOn);
        }
        if new.mode() != old.mode() {
            self.site.disk.set_mode(&live, new.mode()).map_err(|error| own::refusal_at_path(&error))?;
            self.touched.insert(live.clone());
            let key = self.site.disk.stat(&live).map_or(StatKey::UNSURE, |stat| StatKey::of(&stat));
            let now = Some((Entry::Dir(new.clone()), Keys::Shallow(key)));
            self.patches.push(Patch { path: path.clone(), now });
        }
        Ok((Now::AsIndexed, Vec::new()))
    }

    /// Known: the content is the wanted one. Permission bits and time are set in place, because a copy would
    /// cost a version of equal content.
    fn set_times(&mut self, path: &RelPath, old: &File, new: &File) -> Fate {
        let (entry, keys) = self.expected(path, &Entry::File(*old))?;
        let seen = look(self.site, path, &entry, &keys, None)?;
        let live = Place::User(path.clone());
        let failed = |error: io::Error| own::refusal_at_path(&error);
        if new.mode != old.mode {
            self.site.disk.set_mode(&live, new.mode).map_err(failed)?;
            self.whole_disk = true;
        }
        crash::point("mode-set");
        if new.mtime != old.mtime {
            self.site.disk.set_mtime(&live, new.mtime).map_err(failed)?;
            self.whole_disk = true;
        }
        let stat = self.site.disk.stat(&live).map_err(failed)?;
        let now = File { mode: stat.mode, mtime: stat.mtime, ..*new };
        // A user's write between the look and the setting of the time would have no trace left in the time, so
        // the content is read again at the next scan. A mere change of permission bits hides nothing.
        let untouched = Stat { mode: old.mode, ..stat };
        let key = if new.mtime == old.mtime && seen.is(&untouched) {
            StatKey::written(&stat, self.site.disk.now())
        } else {
            StatKey::UNSURE
        };
        self.patches.push(Patch { path: path.clone(), now: Some((Entry::File(now), Keys::Leaf(key))) });
        Ok((Now::Is(Some(Entry::File(now))), Vec::new()))
    }
}

/// Tells whether a live entry is still the one that was built.
fn is_built(stat: &Stat, entry: &Entry, key: StatKey) -> bool {
    let same_inode = key.parts().is_some_and(|(ino, _)| ino == stat.ino);
    same_inode
        && match entry {
            Entry::File(file) => {
                stat.kind == Kind::File && stat.size == file.size && stat.mtime == file.mtime
            }
            Entry::Dir(_) => stat.kind == Kind::Dir,
            Entry::Symlink(_) => stat.kind == Kind::Symlink,
            Entry::Unknown(_) => false,
        }
}
