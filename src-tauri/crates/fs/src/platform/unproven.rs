//! Stands in for [`RealDisk`] on systems where nothing has been proven: opening a root says `Unsupported`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use evenfold_core::{Mode, Mtime, RelPath};

use crate::disk::{Disk, Listed, Place, ReadFile, Stat, WriteFile};
use crate::watch::{DirWatch, Event, WatchError};

/// A root folder that cannot be opened here: the type has no value.
#[derive(Debug)]
pub enum RealDisk {}

impl RealDisk {
    /// Says that this operating system is not supported yet.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn open(_path: &Path) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns the path of the root.
    pub fn path(&self) -> &Path {
        match *self {}
    }
}

macro_rules! never {
    ($(fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $out:ty;)*) => {
        impl Disk for RealDisk {
            $(fn $name(&self $(, $arg: $type)*) -> $out { $(let _ = $arg;)* match *self {} })*
        }
    };
}

never! {
    fn stat(&self, place: &Place) -> io::Result<Stat>;
    fn list(&self, place: &Place) -> io::Result<Vec<Listed>>;
    fn read_link(&self, place: &Place) -> io::Result<Vec<u8>>;
    fn open(&self, place: &Place) -> io::Result<Box<dyn ReadFile>>;
    fn create(&self, place: &Place) -> io::Result<Box<dyn WriteFile>>;
    fn reopen(&self, place: &Place) -> io::Result<Box<dyn WriteFile>>;
    fn make_dir(&self, place: &Place, mode: Mode) -> io::Result<()>;
    fn make_link(&self, place: &Place, target: &[u8]) -> io::Result<()>;
    fn set_mode(&self, place: &Place, mode: Mode) -> io::Result<()>;
    fn set_mtime(&self, place: &Place, mtime: Mtime) -> io::Result<()>;
    fn rename_new(&self, from: &Place, to: &Place) -> io::Result<()>;
    fn exchange(&self, a: &Place, b: &Place) -> io::Result<()>;
    fn remove_file(&self, place: &Place) -> io::Result<()>;
    fn remove_dir(&self, place: &Place) -> io::Result<()>;
    fn sync_dirs(&self, dirs: &[Place]) -> io::Result<()>;
    fn sync_all(&self) -> io::Result<()>;
    fn space(&self) -> io::Result<(u64, u64)>;
    fn now(&self) -> Mtime;
}

/// A watcher that cannot exist here.
pub(crate) enum Watcher {}

impl Watcher {
    pub(crate) fn start(
        _disk: Arc<RealDisk>,
        _sink: Box<dyn Fn(Event) + Send + Sync>,
    ) -> Result<Arc<Self>, WatchError> {
        Err(WatchError("this operating system is not supported yet".into()))
    }

    pub(crate) fn stop(&self) {
        match *self {}
    }
}

impl DirWatch for Watcher {
    fn enter(&self, _path: &RelPath) {
        match *self {}
    }

    fn leave(&self, _paths: &[RelPath]) {
        match *self {}
    }

    fn moved(&self, _moves: &[(RelPath, RelPath)]) {
        match *self {}
    }

    fn adopt(&self, _paths: &[RelPath]) {
        match *self {}
    }
}
