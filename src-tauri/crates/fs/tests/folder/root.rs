//! Recognising the root.

use std::os::unix::fs::PermissionsExt;

use evenfold_fs::marker::{self, Identity};
use evenfold_fs::replica::OpenError;
use evenfold_fs::scan::ScanError;

use super::*;

const RELATIONSHIP: u128 = 0x1234_5678_9abc_def0_1234_5678_9abc_def0;

fn marker_path(folder: &Folder) -> PathBuf {
    folder.at(".evenfold/marker-12345678-9abc-def0-1234-56789abcdef0")
}

fn open(folder: &Folder, marker: Marker) -> Result<Replica<RealDisk>, OpenError> {
    Replica::open(folder.disk(), Options { marker, ..options() })
}

#[track_caller]
fn assert_replaced<T>(result: Result<T, ScanError>) {
    assert!(matches!(result.map(|_| ()), Err(ScanError::RootReplaced { .. })));
}

#[test]
fn joining_writes_a_marker_that_is_expected_afterwards() {
    let folder = Folder::new();
    drop(folder.replica());
    let text = std::fs::read_to_string(marker_path(&folder)).unwrap();
    assert!(text.contains("12345678-9abc-def0-1234-56789abcdef0"), "{text}");
    let mode = |path: &str| std::fs::metadata(folder.at(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(".evenfold"), 0o700);
    for replica in [None, Some(42)] {
        let opened = open(&folder, Marker::Expect { replica }).unwrap();
        assert_eq!(opened.identity(), Identity::Marker { replica: 42 });
    }
    assert!(open(&folder, Marker::Expect { replica: Some(43) }).is_err());
    let again = open(&folder, Marker::Create { replica: 99 }).unwrap();
    assert_eq!(again.identity(), Identity::Marker { replica: 42 });
    assert_eq!(full(&again).tree.children().len(), 0);
}

#[test]
fn folder_without_marker_is_not_the_one_that_was_joined() {
    let folder = Folder::new();
    let error = open(&folder, Marker::Expect { replica: None }).err().unwrap();
    assert!(matches!(error, OpenError::Root(ScanError::RootReplaced { .. })), "{error}");
    assert_eq!(std::fs::read_dir(&folder.root).unwrap().count(), 0);
}

#[test]
fn lost_or_damaged_marker_stops_the_scan_and_keeps_the_snapshot() {
    let folder = Folder::new();
    folder.write("a", "1");
    let replica = folder.replica();
    let tree = full(&replica).tree;
    std::fs::remove_file(folder.at("a")).unwrap();
    std::fs::write(marker_path(&folder), "nonsense").unwrap();
    assert_replaced(replica.scan(&Extent::Full));
    std::fs::remove_file(marker_path(&folder)).unwrap();
    assert_replaced(replica.scan(&Extent::Full));
    assert_replaced(replica.scan(&paths(&["a"])));
    assert_eq!(replica.snapshot().unwrap().tree, tree);
}

#[test]
fn moved_away_root_is_missing_and_another_in_its_place_is_another() {
    let folder = Folder::new();
    folder.write("a", "1");
    let replica = folder.replica();
    full(&replica);
    std::fs::rename(&folder.root, folder.outside("elsewhere")).unwrap();
    assert_eq!(replica.scan(&Extent::Full).err(), Some(ScanError::RootMissing));
    std::fs::create_dir(&folder.root).unwrap();
    assert_replaced(replica.scan(&Extent::Full));
    std::fs::remove_dir(&folder.root).unwrap();
    std::fs::rename(folder.outside("elsewhere"), &folder.root).unwrap();
    assert_eq!(full(&replica).tree.totals().files, 1);
}

#[test]
fn copy_of_the_folder_is_told_from_the_original() {
    let folder = Folder::new();
    drop(folder.replica());
    let copy = Folder::new();
    drop(
        Replica::open(copy.disk(), Options { marker: Marker::Create { replica: 77 }, ..options() }).unwrap(),
    );
    std::fs::copy(marker_path(&copy), marker_path(&folder)).unwrap();
    assert!(open(&folder, Marker::Expect { replica: Some(42) }).is_err());
}

#[test]
fn root_known_by_its_file_system_is_not_written_to() {
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::new();
    folder.write("a", "1");
    let meta = std::fs::metadata(&folder.root).unwrap();
    let marker = Marker::FileSystem { dev: meta.dev(), ino: meta.ino() };
    let replica = open(&folder, marker).unwrap();
    assert_eq!(full(&replica).epoch, 0);
    assert_eq!(std::fs::read_dir(&folder.root).unwrap().count(), 1);
    let other = Marker::FileSystem { dev: meta.dev(), ino: meta.ino() + 1 };
    assert!(open(&folder, other).is_err());
}

#[test]
fn epoch_is_kept_in_the_root_and_a_lost_one_reads_as_zero() {
    let folder = Folder::new();
    let replica = folder.replica();
    assert_eq!(full(&replica).epoch, 0);
    for epoch in [1, 2, u64::MAX] {
        marker::bump_epoch(&**replica.disk(), RELATIONSHIP, epoch).unwrap();
        assert_eq!(full(&replica).epoch, epoch);
    }
    drop(replica);
    drop(folder.replica());
    assert_eq!(marker::epoch(&folder.disk(), RELATIONSHIP).unwrap(), u64::MAX);
    std::fs::remove_file(folder.at(".evenfold/epoch-12345678-9abc-def0-1234-56789abcdef0")).unwrap();
    assert_eq!(marker::epoch(&folder.disk(), RELATIONSHIP).unwrap(), 0);
}

#[test]
fn root_restored_while_nobody_looked_begins_a_new_generation_once() {
    use evenfold_fs::replica::RootCounters;
    let folder = Folder::new();
    let replica = folder.replica();
    full(&replica);
    assert_eq!(replica.root_counters(), RootCounters::default());
    replica.count_change().unwrap();
    replica.count_change().unwrap();
    assert_eq!((full(&replica).epoch, replica.root_counters().changes), (0, 2), "users are no batches");
    drop(replica);
    let reopened = |epoch, changes| {
        let counters = RootCounters { epoch, changes };
        Replica::open(folder.disk(), Options { counters, ..options() }).unwrap()
    };
    // A database that knows less is none of the folder's business.
    assert_eq!(full(&reopened(0, 1)).epoch, 0);
    let replica = reopened(0, 3);
    assert_eq!(full(&replica).epoch, 1 << 32, "fewer changes than were counted");
    assert_eq!(replica.root_counters(), RootCounters { epoch: 1 << 32, changes: 3 });
    assert_eq!(full(&replica).epoch, 1 << 32);
    drop(replica);
    assert_eq!(full(&reopened(1 << 32, 3)).epoch, 1 << 32, "said once");
    assert_eq!(full(&reopened((1 << 32) + 5, 3)).epoch, 2 << 32, "fewer batches than were counted");
}

#[test]
fn crash_before_the_marker_had_its_name_does_not_hinder_joining() {
    let folder = Folder::new();
    std::fs::create_dir(folder.at(".evenfold")).unwrap();
    let half = "marker-12345678-9abc-def0-1234-56789abcdef0.0000000000000000000000000000002a";
    std::fs::write(folder.at(".evenfold").join(half), "half").unwrap();
    full(&folder.replica());
    assert!(marker_path(&folder).exists());
}

#[test]
fn two_who_join_at_once_agree_on_one_marker() {
    for _ in 0..30 {
        let folder = Folder::new();
        let identities = std::thread::scope(|scope| {
            let folder = &folder;
            let join = move |replica| open(folder, Marker::Create { replica }).unwrap().identity();
            let threads = [1, 2, 3, 4].map(|replica| scope.spawn(move || join(replica)));
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(identities.iter().all(|identity| *identity == identities[0]), "{identities:?}");
        assert_eq!(std::fs::read_dir(folder.at(".evenfold")).unwrap().count(), 2);
    }
}

#[test]
fn batch_is_refused_where_nothing_may_be_written_and_where_the_root_was_rolled_back() {
    use evenfold_core::apply::Batch;
    use evenfold_fs::replica::BatchError;
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::new();
    let replica = folder.replica();
    marker::bump_epoch(&**replica.disk(), RELATIONSHIP, 9).unwrap();
    full(&replica);
    marker::bump_epoch(&**replica.disk(), RELATIONSHIP, 3).unwrap();
    let apply = |replica: &Replica<RealDisk>| replica.apply(&Batch::default(), &mut std::iter::empty(), &());
    assert!(matches!(apply(&replica), Err(BatchError::Stale { expected: 9, found: 3 })));
    // A new generation: no number of batches brings it up to what others remember.
    assert_eq!(full(&replica).epoch, 1 << 32);
    assert_eq!(apply(&replica).unwrap().report.epoch, 1 << 32);
    assert_eq!(
        folder.replica().scan(&evenfold_core::snapshot::Extent::Full).unwrap().epoch,
        1 << 32,
        "durable"
    );
    let meta = std::fs::metadata(&folder.root).unwrap();
    let replica = open(&folder, Marker::FileSystem { dev: meta.dev(), ino: meta.ino() }).unwrap();
    full(&replica);
    assert!(matches!(apply(&replica), Err(BatchError::ReadOnly)));
}
