//! What a hub of deliveries does with its own copies: count, put aside, drop for good.

use std::io;

use evenfold_core::RelPath;

use super::{Replica, lock};
use crate::disk::{Disk, Kind, Place};
use crate::marker;
use crate::own;
use crate::transition::Shelf;

impl<D: Disk> Replica<D> {
    /// Moves what stands at a path, whatever it is, among the versions, durably, and returns the version's name;
    /// `None` where nothing stands. The next scan sees it. Blocks.
    ///
    /// # Errors
    /// Those of the system; the path then holds what it held.
    pub fn set_aside(&self, path: &RelPath) -> io::Result<Option<String>> {
        let _turn = lock(&self.turn);
        marker::check(&*self.disk, self.relationship, self.identity).map_err(io::Error::other)?;
        lock(&self.state).unseen.insert(path.clone());
        let from = Place::User(path.clone());
        let mut shelf = Shelf::new(&*self.disk, rand_of(path));
        match shelf.put(path, &mut |to| self.disk.rename_new(&from, to)) {
            Ok(shelved) => {
                let mut touched: Vec<Place> = shelf.touched.into_iter().collect();
                touched.push(Place::User(path.parent().unwrap_or_default()));
                self.disk.sync_dirs(&touched)?;
                Ok(Some(shelved.id))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes one set of versions for good. Returns the bytes freed. Blocks.
    ///
    /// # Errors
    /// Those of removing.
    pub fn drop_version(&self, id: &str) -> io::Result<u64> {
        // A name that is none would be another folder's.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        own::deep(|| own::remove_tree(&*self.disk, &own::own_path(&format!("versions/{id}"))))
    }

    /// Returns the bytes of contents that have arrived here and are not published yet. Blocks.
    ///
    /// # Errors
    /// Those of listing.
    pub fn arriving(&self) -> io::Result<u64> {
        let staged = self.bytes_below(&own::staging(self.relationship))?;
        Ok(staged.saturating_add(self.bytes_below(&own::partials(self.relationship))?))
    }

    fn bytes_below(&self, folder: &RelPath) -> io::Result<u64> {
        let mut bytes = 0u64;
        let mut pending = vec![folder.clone()];
        while let Some(folder) = pending.pop() {
            let listed = match self.disk.list(&Place::Own(folder.clone())) {
                // What is being published disappears meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                listed => listed?,
            };
            for listed in listed {
                let (Ok(name), Ok(stat)) = (evenfold_core::Name::new(&listed.name), listed.stat) else {
                    continue;
                };
                match stat.kind {
                    Kind::Dir => pending.push(folder.join(&name)),
                    Kind::File => bytes = bytes.saturating_add(stat.size),
                    _ => {}
                }
            }
        }
        Ok(bytes)
    }
}

/// Tells the sets of versions of different paths apart.
fn rand_of(path: &RelPath) -> u128 {
    let digest = evenfold_core::Digest::of(path.as_bytes());
    digest.0.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes))
}
