//! Directories without write permission: their owner may still change them, after opening them for a moment.
//!
//! A crash in that moment would leave permission bits that look like a user's act and would travel. So what
//! they were is noted in `.evenfold/` first, and [`put_back`] reads the notes when the root is opened.

use std::io;

use evenfold_core::{Digest, Mode, Name, RelPath};

use crate::disk::{Disk, Kind, Place};
use crate::own::{self, Ground};

/// What a directory's owner needs to change its entries.
const WRITE: u32 = 0o300;

/// The longest note: a mode and a path.
const NOTE: usize = 8 + evenfold_core::path::MAX_PATH;

/// Renames like [`Disk::rename_new`], opening directories that lack write permission.
pub(crate) fn rename<D: Disk>(ground: Ground<'_, D>, from: &Place, to: &Place) -> io::Result<()> {
    match ground.disk.rename_new(from, to) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // A directory itself must be writable, too, because its `..` changes.
            let dirs = [parent(from), parent(to), Some(from.clone())];
            with_open(ground, dirs, &[(from, to)], error, &|| ground.disk.rename_new(from, to))
        }
        result => result,
    }
}

/// Exchanges like [`Disk::exchange`], opening directories that lack write permission.
pub(crate) fn exchange<D: Disk>(ground: Ground<'_, D>, a: &Place, b: &Place) -> io::Result<()> {
    match ground.disk.exchange(a, b) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let dirs = [parent(b), Some(a.clone()), Some(b.clone())];
            with_open(ground, dirs, &[(a, b), (b, a)], error, &|| ground.disk.exchange(a, b))
        }
        result => result,
    }
}

/// Does `act` again while `dirs` are open; `error` is how it ended before. What `moved` from one place to
/// another is closed there.
fn with_open<D: Disk, const N: usize>(
    ground: Ground<'_, D>,
    dirs: [Option<Place>; N],
    moved: &[(&Place, &Place)],
    error: io::Error,
    act: &dyn Fn() -> io::Result<()>,
) -> io::Result<()> {
    let mut opened = Vec::with_capacity(N);
    for dir in dirs.into_iter().flatten() {
        let Ok(stat) = ground.disk.stat(&dir) else { continue };
        if stat.kind == Kind::Dir && stat.mode.bits() & WRITE != WRITE {
            // Noted where it stands now and where it may stand when the crash comes.
            let to = moved.iter().find(|(from, _)| **from == dir).map(|(_, to)| *to);
            for place in [Some(&dir), to].into_iter().flatten() {
                if let Place::User(path) = place {
                    note(ground, path, stat.mode)?;
                }
            }
            match ground.disk.set_mode(&dir, Mode::new(stat.mode.bits() | 0o700)) {
                Ok(()) => opened.push((dir, stat.mode)),
                // Somebody else's directory: then the first error stands.
                Err(_) => break,
            }
        }
    }
    let result = if opened.is_empty() { Err(error) } else { act() };
    for (dir, mode) in opened.into_iter().rev() {
        let went = moved.iter().find(|(from, _)| **from == dir && result.is_ok()).map(|(_, to)| *to);
        if let Err(error) = ground.disk.set_mode(went.unwrap_or(&dir), mode) {
            tracing::warn!(%error, "permission bits of a folder could not be put back");
        }
    }
    result
}

/// Notes durably what the permission bits of a user's directory were, or shall be.
pub(crate) fn note<D: Disk>(ground: Ground<'_, D>, path: &RelPath, mode: Mode) -> io::Result<()> {
    let folder = own::unlocked(ground.relationship);
    own::make_dirs(ground.disk, &folder, Mode::new(own::PRIVATE_DIR))?;
    let name = own::own_path(&Digest::of(path.as_bytes()).to_hex());
    let mut file = match ground.disk.create(&Place::Own(folder.join_path(&name))) {
        // Noted before, in the same batch: the first note says what it was in the beginning.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        file => file?,
    };
    let text = [format!("{:o} ", mode.bits()).as_bytes(), path.as_bytes()].concat();
    file.write_all(&text)?;
    file.finish(text.len() as u64, Mode::new(0o600), ground.disk.now())?;
    file.sync()
}

/// Drops all notes, when everything has been put back.
pub(crate) fn forget<D: Disk>(ground: Ground<'_, D>) {
    if let Err(error) = own::remove_tree(ground.disk, &own::unlocked(ground.relationship)) {
        tracing::warn!(%error, "notes about permission bits could not be removed");
    }
}

/// Puts permission bits back that a crash left open. Returns how many.
pub(crate) fn put_back<D: Disk>(disk: &D, relationship: u128) -> io::Result<u64> {
    let folder = own::unlocked(relationship);
    let listed = match disk.list(&Place::Own(folder.clone())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        listed => listed?,
    };
    let mut done = 0;
    for listed in listed {
        let Ok(name) = Name::new(&listed.name) else { continue };
        let Some((path, mode)) = read(disk, &Place::Own(folder.join(&name)))? else { continue };
        let place = Place::User(path);
        // Only a directory that is open as this module opens it; if it is not, somebody changed it since.
        let open = Mode::new(mode.bits() | 0o700);
        if disk.stat(&place).is_ok_and(|stat| stat.kind == Kind::Dir && stat.mode == open) {
            disk.set_mode(&place, mode)?;
            done += 1;
        }
    }
    Ok(done)
}

/// Reads a note; `None` if it was not written completely: then nothing had been opened yet.
fn read<D: Disk>(disk: &D, place: &Place) -> io::Result<Option<(RelPath, Mode)>> {
    let mut file = disk.open(place)?;
    let mut note = vec![0; NOTE];
    let mut filled = 0;
    while let Some(room) = note.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read(room)? {
            0 => break,
            n => filled += n,
        }
    }
    note.truncate(filled);
    let mut parts = note.splitn(2, |byte| *byte == b' ');
    let mode = parts.next().and_then(|text| std::str::from_utf8(text).ok());
    let mode = mode.and_then(|text| u32::from_str_radix(text, 8).ok());
    let path = parts.next().and_then(|bytes| RelPath::new(bytes).ok());
    Ok(path.zip(mode).map(|(path, mode)| (path, Mode::new(mode))))
}

fn parent(place: &Place) -> Option<Place> {
    match place {
        Place::User(path) => path.parent().map(Place::User),
        // Evenfold's own directories are never without write permission.
        Place::Own(_) => None,
    }
}
