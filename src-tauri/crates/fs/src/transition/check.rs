//! Looks at what stands at a place, before and after it is touched.

use std::io;

use evenfold_core::apply::Refusal;
use evenfold_core::{Digest, Dir, Entry, File, Name, ProblemKind, RelPath};

use crate::apply::Site;
use crate::disk::{Disk, Kind, Listed, Place, Stat};
use crate::index::{DirKeys, Keys, StatKey};
use crate::own;
use crate::supply::open_known;

/// What was seen at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    kind: Kind,
    ino: u64,
    mode: u32,
    /// Size and modification time of a file or link; zero for a directory.
    size: u64,
    mtime: evenfold_core::Mtime,
    /// Of a directory: a digest over names, inodes, sizes, times and permissions of all that is tracked below.
    below: Option<blake3::Hash>,
    /// Of a directory: whether something below is not tracked.
    pub(super) untracked: bool,
}

impl Seen {
    fn new(stat: &Stat) -> Self {
        let leaf = stat.kind != Kind::Dir;
        Seen {
            kind: stat.kind,
            ino: stat.ino,
            mode: stat.mode.bits(),
            size: if leaf { stat.size } else { 0 },
            mtime: if leaf { stat.mtime } else { Default::default() },
            below: None,
            untracked: false,
        }
    }

    /// Tells whether `stat` is of the same thing with the same content, renamed perhaps.
    pub(super) fn is(&self, stat: &Stat) -> bool {
        let other = Seen::new(stat);
        (self.kind, self.ino, self.size, self.mtime, self.mode)
            == (other.kind, other.ino, other.size, other.mtime, other.mode)
    }
}

/// Looks whether the disk still holds what the index says of a user's path, and takes down what it saw.
///
/// # Errors
/// [`Refusal::MovedOn`] if it differs in anything.
pub(super) fn look<D: Disk>(
    site: &Site<'_, D>,
    path: &RelPath,
    entry: &Entry,
    keys: &Keys,
    to: Option<&RelPath>,
) -> Result<Seen, Refusal> {
    let place = Place::User(path.clone());
    let stat = site.disk.stat(&place).map_err(|error| own::refusal_at_path(&error))?;
    let mut seen = Seen::new(&stat);
    match entry {
        Entry::File(file) => {
            if stat.mode != file.mode || !holds_file(site.disk, path, file, keys, &stat)? {
                return Err(Refusal::MovedOn);
            }
        }
        Entry::Symlink(link) => {
            let same = stat.kind == Kind::Symlink
                && (keys.own().holds(&stat)
                    || site.disk.read_link(&place).is_ok_and(|target| *target == *link.target));
            if !same {
                return Err(Refusal::MovedOn);
            }
        }
        Entry::Dir(dir) => {
            if stat.kind != Kind::Dir || stat.mode != dir.mode() {
                return Err(Refusal::MovedOn);
            }
            let mut survey = Survey { site, print: blake3::Hasher::new(), untracked: false, first: true };
            let keys = below(keys, dir);
            survey.directory(&place, path, dir, &keys, to)?;
            seen.below = Some(survey.print.finalize());
            seen.untracked = survey.untracked;
        }
        // Only a person who saw that it may be damaged says what takes its place; it must be what was seen then.
        Entry::Unknown(ProblemKind::SuspectedRot) if keys.own().holds(&stat) => {}
        // Nobody knows what it is, so nothing may be done to it.
        Entry::Unknown(_) => return Err(Refusal::MovedOn),
    }
    Ok(seen)
}

/// Tells whether what stands at `place` now is what was seen at `path` before it was renamed to there.
///
/// # Errors
/// The system's own, if it cannot be looked at.
pub(super) fn came_out<D: Disk>(
    site: &Site<'_, D>,
    place: &Place,
    path: &RelPath,
    entry: &Entry,
    keys: &Keys,
    seen: &Seen,
) -> io::Result<bool> {
    let stat = site.disk.stat(place)?;
    if !seen.is(&stat) {
        return Ok(false);
    }
    let dir = match entry {
        Entry::Dir(dir) => dir,
        // Its times tell nothing of an edit in the same tick of the clock, so what it holds is looked at again.
        Entry::File(file) if !keys.own().is_sure() => return Ok(digest_of(site.disk, place)? == file.digest),
        // Neither do those of a link; what it says is read quickly.
        Entry::Symlink(link) => return Ok(*site.disk.read_link(place)? == *link.target),
        _ => return Ok(true),
    };
    let mut survey = Survey { site, print: blake3::Hasher::new(), untracked: false, first: false };
    let unchanged = survey.directory(place, path, dir, &below(keys, dir), None).is_ok();
    Ok(unchanged && seen.below == Some(survey.print.finalize()) && seen.untracked == survey.untracked)
}

fn below(keys: &Keys, dir: &Dir) -> std::sync::Arc<DirKeys> {
    match keys {
        Keys::Dir(_, below) => below.clone(),
        Keys::Leaf(_) | Keys::Shallow(_) => DirKeys::unsure(dir),
    }
}

/// Tells whether a file is the one that the index describes. Where the index is not sure, because the file was
/// written just before it was scanned, its content is read.
fn holds_file<D: Disk>(
    disk: &D,
    path: &RelPath,
    file: &File,
    keys: &Keys,
    stat: &Stat,
) -> Result<bool, Refusal> {
    if keys.own().is_sure() {
        return Ok(keys.own().holds_file(file, stat));
    }
    if stat.kind != Kind::File || stat.size != file.size || stat.mtime != file.mtime {
        return Ok(false);
    }
    let Ok((mut open, opened)) = open_known(disk, path, file, keys) else { return Ok(false) };
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    let failed = |error: io::Error| own::refusal_at_path(&error);
    loop {
        let read = open.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
    let unchanged = open.stat().map_err(failed)? == opened && opened == *stat;
    Ok(unchanged && *hasher.finalize().as_bytes() == file.digest.0)
}

/// Reads a file and returns its digest.
fn digest_of<D: Disk>(disk: &D, place: &Place) -> io::Result<Digest> {
    let mut open = disk.open(place)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = open.read(&mut buffer)?;
        if read == 0 {
            return Ok(Digest(*hasher.finalize().as_bytes()));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
}

/// Goes through a directory tree and compares it with the index.
struct Survey<'a, D> {
    site: &'a Site<'a, D>,
    print: blake3::Hasher,
    untracked: bool,
    /// Whether this is the first look, at the user's path, in which unsure files are read.
    first: bool,
}

impl<D: Disk> Survey<'_, D> {
    /// `place` is where it stands, `path` where the index has it, `to` where it shall be moved to.
    fn directory(
        &mut self,
        place: &Place,
        path: &RelPath,
        dir: &Dir,
        keys: &DirKeys,
        to: Option<&RelPath>,
    ) -> Result<(), Refusal> {
        let mut listed = self.site.disk.list(place).map_err(|error| own::refusal_at_path(&error))?;
        listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let mut listed = listed.into_iter().peekable();
        for (at, child) in dir.children().iter().enumerate() {
            while let Some(extra) = listed.next_if(|listed| *listed.name < *child.name.as_bytes()) {
                self.extra(&extra, path, to)?;
            }
            let found = listed.next_if(|listed| *listed.name == *child.name.as_bytes());
            if let Entry::Unknown(_) = child.entry {
                // It was not tracked before and is not now, whatever has become of it.
                self.untracked |= found.is_some();
                continue;
            }
            let Some(Ok(stat)) = found.map(|listed| listed.stat) else { return Err(Refusal::MovedOn) };
            let below = path.join(&child.name);
            self.child(place, &below, &child.entry, &keys.of_child(at, &child.entry), &stat)?;
            self.take_down(&child.name, &stat);
            if let (Entry::Dir(dir), Some(keys)) = (&child.entry, keys.below(at)) {
                let to = to.map(|to| to.join(&child.name));
                self.directory(&join(place, &child.name), &below, dir, keys, to.as_ref())?;
            }
        }
        listed.try_for_each(|extra| self.extra(&extra, path, to))
    }

    fn child(
        &self,
        place: &Place,
        path: &RelPath,
        entry: &Entry,
        keys: &Keys,
        stat: &Stat,
    ) -> Result<(), Refusal> {
        let same = match entry {
            Entry::File(file) => {
                let held = if self.first {
                    holds_file(self.site.disk, path, file, keys, stat)?
                } else {
                    // What was read at the first look is recognised by its times in the print.
                    !keys.own().is_sure() || keys.own().holds_file(file, stat)
                };
                stat.mode == file.mode && held
            }
            Entry::Symlink(link) => {
                let target = || {
                    let name = path.file_name()?;
                    self.site.disk.read_link(&join(place, &name)).ok()
                };
                stat.kind == Kind::Symlink
                    && (keys.own().holds(stat) || target().is_some_and(|target| *target == *link.target))
            }
            Entry::Dir(dir) => {
                let ino = |key: StatKey| key.parts().is_none_or(|(ino, _)| ino == stat.ino);
                stat.kind == Kind::Dir && stat.mode == dir.mode() && ino(keys.own())
            }
            Entry::Unknown(_) => false,
        };
        if same { Ok(()) } else { Err(Refusal::MovedOn) }
    }

    /// Something that the index does not have: new since the scan, or not tracked at all.
    fn extra(&mut self, listed: &Listed, path: &RelPath, to: Option<&RelPath>) -> Result<(), Refusal> {
        self.untracked = true;
        let Ok(name) = Name::new(&listed.name) else { return Ok(()) };
        let is_dir = listed.stat.as_ref().is_ok_and(|stat| stat.kind == Kind::Dir);
        if (self.site.takes_part)(&path.join(&name), is_dir) {
            return Err(Refusal::MovedOn);
        }
        match to {
            // A rename would bring it into the relationship, which nobody asked for.
            Some(to) if (self.site.takes_part)(&to.join(&name), is_dir) => Err(Refusal::HoldsUntracked),
            _ => Ok(()),
        }
    }

    fn take_down(&mut self, name: &Name, stat: &Stat) {
        let leaf = stat.kind != Kind::Dir;
        let mut line = Vec::with_capacity(320);
        line.push(name.as_bytes().len() as u8);
        line.extend_from_slice(name.as_bytes());
        line.push(stat.kind as u8);
        line.extend_from_slice(&stat.ino.to_le_bytes());
        line.extend_from_slice(&stat.mode.bits().to_le_bytes());
        if leaf {
            line.extend_from_slice(&stat.size.to_le_bytes());
            for time in [stat.mtime, stat.ctime] {
                line.extend_from_slice(&time.secs.to_le_bytes());
                line.extend_from_slice(&time.nanos.to_le_bytes());
            }
        }
        self.print.update(&line);
    }
}

fn join(place: &Place, name: &Name) -> Place {
    match place {
        Place::User(path) => Place::User(path.join(name)),
        Place::Own(path) => Place::Own(path.join(name)),
    }
}
