//! The places in `versions/` to which one batch moves what it replaces and deletes.

use std::collections::{BTreeSet, HashSet};
use std::io;

use evenfold_core::{Mode, Mtime, RelPath};

use crate::disk::{Disk, Kind, Place};
use crate::own;
use crate::versions::version_id;

/// How often another set is tried for a path that is taken in all sets so far: one path is touched at most
/// twice by a batch (replaced, and displaced in that moment), and sets of other batches are never shared on
/// purpose.
const TRIES: i64 = 8;

/// Something that lies in versions now.
#[derive(Debug, Clone)]
pub(crate) struct Shelved {
    /// Where.
    pub(crate) place: Place,
    /// The set's name.
    pub(crate) id: String,
}

/// The sets of versions of one batch: one, unless a path is needed twice.
pub(crate) struct Shelf<'a, D> {
    disk: &'a D,
    batch: u128,
    begun: Mtime,
    made: HashSet<RelPath>,
    /// Directories whose entries have to be made durable.
    pub(crate) touched: BTreeSet<Place>,
}

impl<'a, D: Disk> Shelf<'a, D> {
    pub(crate) fn new(disk: &'a D, batch: u128) -> Self {
        Shelf { disk, batch, begun: disk.now(), made: HashSet::new(), touched: BTreeSet::new() }
    }

    /// Renames what stands at `from` to the version's place of the user's `path`, in one step.
    pub(crate) fn put(
        &mut self,
        path: &RelPath,
        rename: &mut dyn FnMut(&Place) -> io::Result<()>,
    ) -> io::Result<Shelved> {
        let mut taken = io::Error::from(io::ErrorKind::AlreadyExists);
        for nth in 0..TRIES {
            let id = version_id(later(self.begun, nth), self.batch);
            let set = own::own_path(&format!("versions/{id}"));
            let place = set.join_path(path);
            let parent = self.make_parents(&set, path)?;
            self.touched.insert(Place::Own(parent));
            let place = Place::Own(place);
            match rename(&place) {
                Ok(()) => return Ok(Shelved { place, id }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
                Err(error) => return Err(error),
            }
        }
        Err(taken)
    }

    /// Makes the directories above a version's place, with the permission bits of the user's, so that a
    /// restored folder has them.
    fn make_parents(&mut self, set: &RelPath, path: &RelPath) -> io::Result<RelPath> {
        let Some(parent) = path.parent() else { return Ok(set.clone()) };
        let own = set.join_path(&parent);
        if self.made.contains(&own) {
            return Ok(own);
        }
        if !parent.is_root() {
            let above = self.make_parents(set, &parent)?;
            self.touched.insert(Place::Own(above));
        } else if let Some(versions) = set.parent() {
            self.touched.insert(Place::Own(versions));
            self.touched.insert(Place::Own(RelPath::root()));
        }
        let mode = match self.disk.stat(&Place::User(parent.clone())) {
            Ok(stat) if stat.kind == Kind::Dir && !parent.is_root() => stat.mode.bits() | 0o700,
            _ => own::PRIVATE_DIR,
        };
        own::make_dirs(self.disk, &own, Mode::new(mode))?;
        self.made.insert(own.clone());
        Ok(own)
    }
}

/// The time `nth` milliseconds after `time`.
fn later(time: Mtime, nth: i64) -> Mtime {
    let millis = i64::from(time.nanos / 1_000_000) + nth;
    Mtime { secs: time.secs + millis.div_euclid(1000), nanos: (millis.rem_euclid(1000) as u32) * 1_000_000 }
}
