//! Brings a version back. What it replaces becomes itself a version, so a restore can be undone.

use std::io;

use evenfold_core::{Mode, Name, RelPath};

use crate::apply::{Kept, KeptWhy};
use crate::disk::{Disk, Kind, Place, Stat};
use crate::own::{self, Ground};
use crate::stage::{read_block, write_sparse};
use crate::transition::{Shelf, swap, unlock};
use crate::versions;

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// Files and links brought back.
    pub files: u64,
    /// Bytes of files brought back.
    pub bytes: u64,
    /// What was replaced, and where it is kept.
    pub kept: Vec<Kept>,
}

/// Why a version was not brought back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is no version with this id of this path.
    #[error("there is no version '{id}' of '{path}'")]
    NoSuchVersion {
        /// The id asked for.
        id: String,
        /// The path asked for.
        path: RelPath,
    },
    /// The root itself cannot be the place of a file.
    #[error("a version of a file cannot be restored to the folder's own path")]
    NotToRoot,
    /// Copying failed; nothing was changed.
    #[error("the version could not be copied, and nothing was changed: {0}")]
    Copy(#[source] io::Error),
    /// Publishing failed after some files, which stay restored.
    #[error("'{path}' could not be restored; {done} entries before it were: {source}")]
    Publish {
        /// Where.
        path: RelPath,
        /// How many entries were published before.
        done: usize,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What was restored could not be made durable.
    #[error("what was restored could not be made durable: {0}")]
    NotDurable(#[source] io::Error),
}

/// Copies the version `id` of `path` to `to`, whatever stands there now; that becomes a version. A directory is
/// laid over a directory that stands there: files in both are replaced, others stay. Missing directories above
/// `to` are made. Blocks; must not run beside a scan or batch of the same root.
///
/// # Errors
/// See [`RestoreError`].
pub fn restore<D: Disk>(
    disk: &D,
    relationship: u128,
    id: &str,
    path: &RelPath,
    to: &RelPath,
) -> Result<Restored, RestoreError> {
    own::deep(|| bring_back(disk, relationship, id, path, to))
}

fn bring_back<D: Disk>(
    disk: &D,
    relationship: u128,
    id: &str,
    path: &RelPath,
    to: &RelPath,
) -> Result<Restored, RestoreError> {
    let missing = || RestoreError::NoSuchVersion { id: id.to_owned(), path: path.clone() };
    versions::time_of(id).ok_or_else(missing)?;
    let from = versions::place(id, path);
    let stat = match disk.stat(&Place::Own(from.clone())) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(missing());
        }
        stat => stat.map_err(RestoreError::Copy)?,
    };
    if to.is_root() && stat.kind != Kind::Dir {
        return Err(RestoreError::NotToRoot);
    }
    let batch: u128 = rand::random();
    let folder = own::batch_staging(relationship, batch);
    let mut job = Job {
        disk,
        folder: folder.clone(),
        steps: Vec::new(),
        modes: Vec::new(),
        late: Vec::new(),
        restored: Restored::default(),
    };
    let result = job.copy_all(&from, &stat, to).map_err(RestoreError::Copy).and_then(|()| {
        disk.sync_all().map_err(RestoreError::Copy)?;
        let mut shelf = Shelf::new(disk, batch);
        let ground = Ground { disk, relationship };
        let steps = std::mem::take(&mut job.steps);
        for (done, (staged, to)) in steps.into_iter().enumerate() {
            let publish = publish(ground, &mut shelf, &staged, &to);
            let failed = |source| RestoreError::Publish { path: to.clone(), done, source };
            job.restored.kept.extend(publish.map_err(failed)?);
        }
        for (dir, mode) in std::mem::take(&mut job.late) {
            let failed = |source| RestoreError::Publish { path: dir.clone(), done: job.steps.len(), source };
            disk.set_mode(&Place::User(dir.clone()), mode).map_err(failed)?;
        }
        unlock::forget(ground);
        disk.sync_all().map_err(RestoreError::NotDurable)
    });
    if let Err(error) = own::remove_tree(disk, &folder) {
        tracing::warn!(%error, "staging could not be emptied");
    }
    result.map(|()| job.restored)
}

/// Puts a staged copy at its path: one rename if nothing stands there, else by way of the version's place, so
/// that what stood there is in versions in the same moment.
fn publish<D: Disk>(
    ground: Ground<'_, D>,
    shelf: &mut Shelf<'_, D>,
    staged: &RelPath,
    to: &RelPath,
) -> io::Result<Option<Kept>> {
    let (staged, live) = (Place::Own(staged.clone()), Place::User(to.clone()));
    match unlock::rename(ground, &staged, &live) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        result => return result.map(|()| None),
    }
    let shelved = shelf.put(to, &mut |place| ground.disk.rename_new(&staged, place))?;
    match unlock::exchange(ground, &shelved.place, &live) {
        Ok(()) => Ok(Some(Kept { path: to.clone(), version: shelved.id, why: KeptWhy::Replaced })),
        Err(error) => {
            // The copy was never live: it is no version.
            ground.disk.rename_new(&shelved.place, &staged)?;
            if error.kind() != io::ErrorKind::Unsupported {
                return Err(error);
            }
            let shelved = swap::take_away(ground, shelf, to)?;
            if let Err(error) = unlock::rename(ground, &staged, &live) {
                unlock::rename(ground, &shelved.place, &live)?;
                swap::settled(ground, to);
                return Err(error);
            }
            swap::settled(ground, to);
            Ok(Some(Kept { path: to.clone(), version: shelved.id, why: KeptWhy::Replaced }))
        }
    }
}

struct Job<'a, D> {
    disk: &'a D,
    folder: RelPath,
    /// What was copied, and where it goes.
    steps: Vec<(RelPath, RelPath)>,
    /// Directories, each after those in it, and the permission bits that they get in the end.
    modes: Vec<(RelPath, Mode)>,
    /// Directories that get their permission bits only under their final name.
    late: Vec<(RelPath, Mode)>,
    restored: Restored,
}

impl<D: Disk> Job<'_, D> {
    /// Copies a version into staging, in as few pieces as can be published by one rename each.
    fn copy_all(&mut self, from: &RelPath, stat: &Stat, to: &RelPath) -> io::Result<()> {
        let live = match self.disk.stat(&Place::User(to.clone())) {
            Ok(live) => Some(live),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                None
            }
            Err(error) => return Err(error),
        };
        if stat.kind == Kind::Dir && live.is_some_and(|live| live.kind == Kind::Dir) {
            for (name, stat) in children(self.disk, from)? {
                self.copy_all(&from.join(&name), &stat, &to.join(&name))?;
            }
            return Ok(());
        }
        let staged = self.next_place()?;
        // The first directory above that is missing comes along, with all between.
        let (mut top, mut between) = (to.clone(), Vec::new());
        while live.is_none()
            && let Some((parent, name)) = top.split_last()
            && !parent.is_root()
            && self.disk.stat(&Place::User(parent.clone())).is_err()
        {
            between.push(name);
            top = parent;
        }
        let mut place = staged.clone();
        while let Some(name) = between.pop() {
            self.disk.make_dir(&Place::Own(place.clone()), Mode::new(0o755))?;
            place = place.join(&name);
        }
        self.copy(from, stat, &place)?;
        for (dir, mode) in std::mem::take(&mut self.modes) {
            // The one that is renamed keeps its owner's write permission until it stands at its path.
            if dir == staged {
                self.late.push((top.clone(), mode));
            } else {
                self.disk.set_mode(&Place::Own(dir), mode)?;
            }
        }
        self.steps.push((staged, top));
        Ok(())
    }

    fn next_place(&mut self) -> io::Result<RelPath> {
        own::make_dirs(self.disk, &self.folder, Mode::new(own::PRIVATE_DIR))?;
        Ok(self.folder.join_path(&own::own_path(&self.steps.len().to_string())))
    }

    fn copy(&mut self, from: &RelPath, stat: &Stat, to: &RelPath) -> io::Result<()> {
        let (source, target) = (Place::Own(from.clone()), Place::Own(to.clone()));
        match stat.kind {
            Kind::Dir => {
                self.disk.make_dir(&target, Mode::new(stat.mode.bits() | 0o700))?;
                for (name, stat) in children(self.disk, from)? {
                    self.copy(&from.join(&name), &stat, &to.join(&name))?;
                }
                self.modes.push((to.clone(), stat.mode));
                Ok(())
            }
            Kind::Symlink => {
                let target_of_link = self.disk.read_link(&source)?;
                self.restored.files += 1;
                self.disk.make_link(&target, &target_of_link)
            }
            Kind::File => {
                let mut reader = self.disk.open(&source)?;
                let mut writer = self.disk.create(&target)?;
                let mut at = 0;
                while at < stat.size {
                    let block = read_block(&mut *reader, stat.size - at)?;
                    write_sparse(&mut *writer, at, &block)?;
                    at += block.len() as u64;
                }
                writer.finish(stat.size, stat.mode, stat.mtime)?;
                self.restored.files += 1;
                self.restored.bytes += stat.size;
                Ok(())
            }
            // A device or pipe that came along when its directory was deleted is not made anew.
            Kind::Special => Ok(()),
        }
    }
}

fn children<D: Disk>(disk: &D, path: &RelPath) -> io::Result<Vec<(Name, Stat)>> {
    let mut children = Vec::new();
    for listed in disk.list(&Place::Own(path.clone()))? {
        let stat = listed.stat.map_err(|error| io::Error::new(error.kind, error.text))?;
        if let Ok(name) = Name::new(&listed.name) {
            children.push((name, stat));
        }
    }
    Ok(children)
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
