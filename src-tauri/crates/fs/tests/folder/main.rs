//! Scanning, watching and changing real folders.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the helpers of tests are tests, too, but the lint knows only functions with the attribute"
)]

mod disk;
mod paths;
mod root;
mod scan;
mod trouble;
mod watch;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::select::Select;
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::{Digest, Dir, Entry, RelPath};
use evenfold_fs::apply::Rules;
use evenfold_fs::cache::CacheRow;
use evenfold_fs::disk::Disk;
use evenfold_fs::marker::Marker;
use evenfold_fs::platform::RealDisk;
use evenfold_fs::replica::{Options, Replica};

/// A temporary root folder.
struct Folder {
    above: tempfile::TempDir,
    root: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let above = tempfile::tempdir().unwrap();
        let root = above.path().join("root");
        std::fs::create_dir(&root).unwrap();
        Folder { above, root }
    }

    fn at(&self, path: impl AsRef<[u8]>) -> PathBuf {
        self.root.join(OsStr::from_bytes(path.as_ref()))
    }

    fn outside(&self, name: &str) -> PathBuf {
        self.above.path().join(name)
    }

    fn write(&self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn disk(&self) -> RealDisk {
        RealDisk::open(&self.root).unwrap()
    }

    fn replica(&self) -> Replica<RealDisk> {
        self.replica_on(self.disk())
    }

    fn replica_on<D: Disk>(&self, disk: D) -> Replica<D> {
        Replica::open(disk, options()).unwrap()
    }
}

fn options() -> Options {
    Options {
        relationship: 0x1234_5678_9abc_def0_1234_5678_9abc_def0,
        marker: Marker::Create { replica: 42 },
        select: Select::default(),
        cache: Vec::new(),
        rules: Rules::default(),
        parallel: true,
        counters: Default::default(),
    }
}

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

fn paths(list: &[&str]) -> Extent {
    Extent::Paths(list.iter().map(|text| path(text)).collect())
}

fn full<D: Disk>(replica: &Replica<D>) -> Snapshot {
    replica.scan(&Extent::Full).unwrap()
}

#[track_caller]
fn digest_at(tree: &Arc<Dir>, at: &str) -> Digest {
    match tree.get(&path(at)) {
        Some(Entry::File(file)) => file.digest,
        other => panic!("'{at}' is no file but {other:?}"),
    }
}

/// Waits until time stamps made so far are old enough to be trusted.
fn age() {
    std::thread::sleep(Duration::from_millis(40));
}

fn set_mtime(path: &Path, time: std::time::SystemTime) {
    std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn cache_rows<D: Disk>(replica: &Replica<D>) -> Vec<CacheRow> {
    let mut rows = Vec::new();
    loop {
        let delta = replica.take_cache_delta();
        rows.extend(delta.upserts);
        if !delta.more {
            return rows;
        }
    }
}
