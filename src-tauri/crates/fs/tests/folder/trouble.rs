//! Disks that fail, files that change under the reader, contents that rot.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use evenfold_core::{Mode, Mtime, ProblemKind};
use evenfold_fs::disk::{ErrorKind, Listed, Place, ReadFile, Stat, WriteFile};

use super::*;

/// What is wrong with a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    CannotList,
    CannotStat,
    CannotOpen,
    VanishesBeforeOpening,
    /// Another device, as below a mount point.
    Mounted,
    /// The last byte reads differently although nothing was written.
    Rots,
    /// Somebody appends to it whenever it is read.
    GrowsWhenRead,
}

/// A real disk with faults by path.
struct Faulty {
    real: RealDisk,
    root: PathBuf,
    faults: Arc<Mutex<HashMap<RelPath, Fault>>>,
    appended: Arc<AtomicU64>,
}

impl Faulty {
    fn has(&self, place: &Place, fault: Fault) -> bool {
        matches!(place, Place::User(path) if self.faults.lock().unwrap().get(path) == Some(&fault))
    }
}

struct Rotten(Box<dyn ReadFile>);

impl ReadFile for Rotten {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        if let Some(last) = read.checked_sub(1) {
            buffer[last] ^= 1;
        }
        Ok(read)
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.0.seek(offset)
    }

    fn stat(&self) -> io::Result<Stat> {
        self.0.stat()
    }
}

impl Disk for Faulty {
    fn stat(&self, place: &Place) -> io::Result<Stat> {
        if self.has(place, Fault::CannotStat) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.real.stat(place)
    }

    fn list(&self, place: &Place) -> io::Result<Vec<Listed>> {
        if self.has(place, Fault::CannotList) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut listed = self.real.list(place)?;
        let Place::User(dir) = place else { return Ok(listed) };
        for entry in &mut listed {
            let below = dir.join(&evenfold_core::Name::new(&entry.name).unwrap());
            match (self.faults.lock().unwrap().get(&below), &mut entry.stat) {
                (Some(Fault::Mounted), Ok(stat)) => stat.dev += 1,
                (Some(Fault::CannotStat), stat) => {
                    *stat = Err(ErrorKind { kind: io::ErrorKind::Other, text: "input/output error".into() });
                }
                _ => {}
            }
        }
        Ok(listed)
    }

    fn open(&self, place: &Place) -> io::Result<Box<dyn ReadFile>> {
        if self.has(place, Fault::CannotOpen) {
            return Err(io::Error::from_raw_os_error(5));
        }
        if self.has(place, Fault::VanishesBeforeOpening) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = self.real.open(place)?;
        if self.has(place, Fault::GrowsWhenRead) {
            let Place::User(path) = place else { unreachable!() };
            let path = self.root.join(OsStr::from_bytes(path.as_bytes()));
            let old = std::fs::read(&path).unwrap();
            std::fs::write(path, [&old[..], b"+"].concat()).unwrap();
            self.appended.fetch_add(1, Ordering::Relaxed);
        }
        Ok(if self.has(place, Fault::Rots) { Box::new(Rotten(file)) } else { file })
    }

    fn read_link(&self, place: &Place) -> io::Result<Vec<u8>> {
        self.real.read_link(place)
    }
    fn create(&self, place: &Place) -> io::Result<Box<dyn WriteFile>> {
        self.real.create(place)
    }
    fn reopen(&self, place: &Place) -> io::Result<Box<dyn WriteFile>> {
        self.real.reopen(place)
    }
    fn make_dir(&self, place: &Place, mode: Mode) -> io::Result<()> {
        self.real.make_dir(place, mode)
    }
    fn make_link(&self, place: &Place, target: &[u8]) -> io::Result<()> {
        self.real.make_link(place, target)
    }
    fn set_mode(&self, place: &Place, mode: Mode) -> io::Result<()> {
        self.real.set_mode(place, mode)
    }
    fn set_mtime(&self, place: &Place, mtime: Mtime) -> io::Result<()> {
        self.real.set_mtime(place, mtime)
    }
    fn rename_new(&self, from: &Place, to: &Place) -> io::Result<()> {
        self.real.rename_new(from, to)
    }
    fn exchange(&self, a: &Place, b: &Place) -> io::Result<()> {
        self.real.exchange(a, b)
    }
    fn remove_file(&self, place: &Place) -> io::Result<()> {
        self.real.remove_file(place)
    }
    fn remove_dir(&self, place: &Place) -> io::Result<()> {
        self.real.remove_dir(place)
    }
    fn sync_dirs(&self, dirs: &[Place]) -> io::Result<()> {
        self.real.sync_dirs(dirs)
    }
    fn sync_all(&self) -> io::Result<()> {
        self.real.sync_all()
    }
    fn space(&self) -> io::Result<(u64, u64)> {
        self.real.space()
    }
    fn now(&self) -> Mtime {
        self.real.now()
    }
    fn root_by_path(&self) -> io::Result<Stat> {
        self.real.root_by_path()
    }
}

type Faults = Arc<Mutex<HashMap<RelPath, Fault>>>;

/// A folder with `d/x` and `d/e/y`, a replica that has scanned it, and its faults, none yet.
fn faulty() -> (Folder, Replica<Faulty>, Faults, Arc<AtomicU64>) {
    let folder = Folder::new();
    folder.write("d/x", "x content");
    folder.write("d/e/y", "y content");
    age();
    let faults = Faults::default();
    let appended = Arc::new(AtomicU64::new(0));
    let disk = Faulty {
        real: folder.disk(),
        root: folder.root.clone(),
        faults: Arc::clone(&faults),
        appended: Arc::clone(&appended),
    };
    let replica = folder.replica_on(disk);
    full(&replica);
    (folder, replica, faults, appended)
}

fn set(faults: &Faults, at: &str, fault: Fault) {
    faults.lock().unwrap().insert(path(at), fault);
}

#[track_caller]
fn assert_unknown(snapshot: &Snapshot, at: &str, kind: ProblemKind) {
    assert_eq!(snapshot.tree.get(&path(at)), Some(&Entry::Unknown(kind)));
    let found: Vec<_> =
        snapshot.problems.iter().map(|problem| (problem.path.clone(), problem.kind)).collect();
    assert_eq!(found, [(path(at), kind)]);
}

#[test]
fn folder_that_cannot_be_listed_is_unknown_and_comes_back_whole() {
    let (_folder, replica, faults, _) = faulty();
    let before = replica.snapshot().unwrap().tree;
    for extent in [Extent::Full, paths(&["d/e"])] {
        set(&faults, "d/e", Fault::CannotList);
        assert_unknown(&replica.scan(&extent).unwrap(), "d/e", ProblemKind::Unreadable);
        assert_unknown(&replica.scan(&extent).unwrap(), "d/e", ProblemKind::Unreadable);
        faults.lock().unwrap().clear();
        let healed = replica.scan(&paths(&["d/e"])).unwrap();
        assert_eq!(healed.tree, before);
        assert!(healed.problems.is_empty());
    }
}

#[test]
fn root_that_cannot_be_listed_gives_no_snapshot() {
    let (_folder, replica, faults, _) = faulty();
    set(&faults, "", Fault::CannotList);
    assert!(matches!(replica.scan(&Extent::Full), Err(evenfold_fs::scan::ScanError::RootUnreadable(_))));
    assert_eq!(replica.snapshot().unwrap().tree.totals().files, 2);
}

#[test]
fn entry_that_cannot_be_looked_at_is_unknown() {
    let (folder, replica, faults, _) = faulty();
    for (fault, kind) in [
        (Fault::CannotStat, ProblemKind::Unreadable),
        (Fault::CannotOpen, ProblemKind::Unreadable),
        (Fault::VanishesBeforeOpening, ProblemKind::Changing),
    ] {
        for extent in [Extent::Full, paths(&["d/x"])] {
            folder.write("d/x", "edited");
            set(&faults, "d/x", fault);
            assert_unknown(&replica.scan(&extent).unwrap(), "d/x", kind);
            faults.lock().unwrap().clear();
            let healed = replica.scan(&paths(&["d/x"])).unwrap();
            assert_eq!(digest_at(&healed.tree, "d/x"), Digest::of(b"edited"));
            assert!(healed.problems.is_empty());
        }
    }
}

#[test]
fn mount_point_is_unknown_and_not_entered() {
    let (_folder, replica, faults, _) = faulty();
    set(&faults, "d/e", Fault::Mounted);
    let snapshot = full(&replica);
    assert_unknown(&snapshot, "d/e", ProblemKind::OtherFileSystem);
    assert!(snapshot.tree.get(&path("d/e/y")).is_none());
}

#[test]
fn file_that_changes_whenever_it_is_read_is_not_taken_for_known() {
    let (folder, replica, faults, appended) = faulty();
    set(&faults, "d/x", Fault::GrowsWhenRead);
    folder.write("d/x", "start");
    assert_unknown(&full(&replica), "d/x", ProblemKind::Changing);
    assert_eq!(appended.load(Ordering::Relaxed), 3);
    faults.lock().unwrap().clear();
    assert_eq!(digest_at(&full(&replica).tree, "d/x"), Digest::of(b"start+++"));
}

#[test]
fn content_that_changed_by_itself_is_suspected_and_never_an_edit() {
    let (folder, replica, faults, _) = faulty();
    let good = digest_at(&replica.snapshot().unwrap().tree, "d/x");
    let cached = cache_rows(&replica).len();
    set(&faults, "d/x", Fault::Rots);
    assert!(full(&replica).problems.is_empty(), "a fast scan does not read");
    assert_unknown(&replica.scan(&Extent::Deep).unwrap(), "d/x", ProblemKind::SuspectedRot);
    assert_unknown(&full(&replica), "d/x", ProblemKind::SuspectedRot);
    assert_unknown(&replica.scan(&Extent::Deep).unwrap(), "d/x", ProblemKind::SuspectedRot);
    assert_eq!(replica.before_rot(&path("d/x")).unwrap().digest, good);
    assert!(replica.take_cache_delta().is_empty(), "the cache keeps what it should hold");
    assert_eq!(cached, 2);

    faults.lock().unwrap().clear();
    let healed = replica.scan(&Extent::Deep).unwrap();
    assert_eq!(digest_at(&healed.tree, "d/x"), good);
    assert_eq!(replica.before_rot(&path("d/x")), None);

    set(&faults, "d/x", Fault::Rots);
    replica.scan(&Extent::Deep).unwrap();
    faults.lock().unwrap().clear();
    folder.write("d/x", "the user's edit");
    assert_eq!(digest_at(&full(&replica).tree, "d/x"), Digest::of(b"the user's edit"));
}

#[test]
fn deep_scan_of_a_sound_tree_changes_nothing() {
    let (_folder, replica, _, _) = faulty();
    let before = full(&replica).tree;
    let read = replica.counts().files;
    let deep = replica.scan(&Extent::Deep).unwrap();
    assert!(Arc::ptr_eq(&deep.tree, &before));
    assert!(deep.problems.is_empty());
    assert_eq!(replica.counts().files, read + 2);
}
