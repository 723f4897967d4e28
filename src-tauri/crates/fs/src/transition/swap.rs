//! Replacing on a file system that cannot exchange two names in one step (network and FUSE file systems).
//!
//! There the old content is renamed to versions first and the new one to the live name then, so for a moment the
//! name is empty. A crash in that moment must not look like a user's deletion, so it is noted in `.evenfold/` before,
//! and [`put_back`] reads the notes when the root is opened, before anything is scanned.

use std::io;

use evenfold_core::{Digest, Mode, Name, RelPath};

use super::Shelf;
use super::shelf::Shelved;
use super::unlock;
use crate::disk::{Disk, Place};
use crate::own::{self, Ground};
use crate::stage::read_block;

/// Moves what stands at the user's `path` to versions, noting where it went.
pub(crate) fn take_away<D: Disk>(
    ground: Ground<'_, D>,
    shelf: &mut Shelf<'_, D>,
    path: &RelPath,
) -> io::Result<Shelved> {
    let live = Place::User(path.clone());
    shelf.put(path, &mut |to| {
        note(ground, path, to)?;
        unlock::rename(ground, &live, to)
    })
}

/// Drops the note about a path, when something stands there again.
pub(crate) fn settled<D: Disk>(ground: Ground<'_, D>, path: &RelPath) {
    if let Err(error) = own::remove_tree(ground.disk, &note_place(ground.relationship, path)) {
        tracing::warn!(%error, path = %path, "a note about a replacement could not be removed");
    }
}

fn note_place(relationship: u128, path: &RelPath) -> RelPath {
    own::swaps(relationship).join_path(&own::own_path(&Digest::of(path.as_bytes()).to_hex()))
}

/// Notes durably that what stands at `path` goes to `to`.
fn note<D: Disk>(ground: Ground<'_, D>, path: &RelPath, to: &Place) -> io::Result<()> {
    let Place::Own(to) = to else { return Err(io::ErrorKind::InvalidInput.into()) };
    own::make_dirs(ground.disk, &own::swaps(ground.relationship), Mode::new(own::PRIVATE_DIR))?;
    let place = note_place(ground.relationship, path);
    own::remove_tree(ground.disk, &place)?;
    let mut file = ground.disk.create(&Place::Own(place))?;
    // No path holds a NUL byte.
    let text = [path.as_bytes(), b"\0", to.as_bytes(), b"\0"].concat();
    file.write_all(&text)?;
    file.finish(text.len() as u64, Mode::new(0o600), ground.disk.now())?;
    file.sync()
}

/// Puts contents back whose name a crash left empty. Returns how many.
pub(crate) fn put_back<D: Disk>(disk: &D, relationship: u128) -> io::Result<u64> {
    let folder = own::swaps(relationship);
    let listed = match disk.list(&Place::Own(folder.clone())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        listed => listed?,
    };
    let ground = Ground { disk, relationship };
    let mut done = 0;
    for listed in listed {
        let (Ok(name), Ok(stat)) = (Name::new(&listed.name), &listed.stat) else { continue };
        let mut file = disk.open(&Place::Own(folder.join(&name)))?;
        let text = read_block(&mut *file, stat.size)?;
        // A note that was not written completely is of a step that had not begun.
        let mut parts = text.split_inclusive(|byte| *byte == 0).map(|part| part.strip_suffix(b"\0"));
        let (Some(Some(path)), Some(Some(kept))) = (parts.next(), parts.next()) else { continue };
        let (Ok(path), Ok(kept)) = (RelPath::new(path), RelPath::new(kept)) else { continue };
        // Fails if something stands at the name (it was filled, or never emptied) or nothing is kept (the step
        // had not begun): then all is as it should be.
        match unlock::rename(ground, &Place::Own(kept), &Place::User(path)) {
            Ok(()) => done += 1,
            Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
