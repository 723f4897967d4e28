//! What a scan finds, and what it costs.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use evenfold_core::ProblemKind;
use evenfold_core::path::MAX_PATH;
use rustix::fs::{FileType, Mode, OFlags};

use super::*;

#[test]
fn every_kind_of_entry_is_found_as_it_is() {
    let folder = Folder::new();
    folder.write("a/b/c.txt", "content");
    std::fs::create_dir(folder.at("empty")).unwrap();
    std::fs::set_permissions(folder.at("a/b/c.txt"), PermissionsExt::from_mode(0o4640)).unwrap();
    symlink("../outside", folder.at("a/link")).unwrap();
    let tree = full(&folder.replica()).tree;
    let Some(Entry::File(file)) = tree.get(&path("a/b/c.txt")) else { panic!() };
    let meta = std::fs::metadata(folder.at("a/b/c.txt")).unwrap();
    assert_eq!(file.digest, Digest::of(b"content"));
    assert_eq!((file.size, file.mode.bits()), (7, 0o640));
    assert_eq!((file.mtime.secs, i64::from(file.mtime.nanos)), (meta.mtime(), meta.mtime_nsec()));
    assert!(
        matches!(tree.get(&path("a/link")), Some(Entry::Symlink(link)) if &*link.target == b"../outside")
    );
    assert_eq!(tree.dir_at(&path("empty")).unwrap().children().len(), 0);
    assert_eq!(tree.totals().files, 2);
    assert_eq!(tree.totals().unknown, 0);
}

#[test]
fn unchanged_tree_is_the_same_memory_and_reads_nothing() {
    let folder = Folder::new();
    for at in 0..50 {
        folder.write(format!("d{}/e/f{at}", at % 5), format!("{at}"));
    }
    age();
    let replica = folder.replica();
    let first = full(&replica);
    assert_eq!(replica.counts().files, 50);
    let second = full(&replica);
    assert_eq!(replica.counts().files, 50);
    assert!(Arc::ptr_eq(&first.tree, &second.tree));
}

#[test]
fn edit_of_equal_size_within_one_tick_is_found() {
    let folder = Folder::new();
    let replica = folder.replica();
    for round in 0..100 {
        let (one, two) = (format!("one {round:03}"), format!("two {round:03}"));
        folder.write("x", &one);
        let time = std::fs::metadata(folder.at("x")).unwrap().modified().unwrap();
        assert_eq!(digest_at(&full(&replica).tree, "x"), Digest::of(one.as_bytes()));
        folder.write("x", &two);
        set_mtime(&folder.at("x"), time);
        assert_eq!(digest_at(&full(&replica).tree, "x"), Digest::of(two.as_bytes()));
    }
}

#[test]
fn edit_whose_size_and_time_were_put_back_is_found() {
    let folder = Folder::new();
    folder.write("x", "before");
    let time = std::fs::metadata(folder.at("x")).unwrap().modified().unwrap();
    age();
    let replica = folder.replica();
    full(&replica);
    folder.write("x", "after!");
    set_mtime(&folder.at("x"), time);
    assert_eq!(digest_at(&full(&replica).tree, "x"), Digest::of(b"after!"));
}

#[test]
fn renamed_folder_is_recognised_without_reading() {
    let folder = Folder::new();
    for at in 0..40 {
        folder.write(format!("old/{}/f{at}", at % 4), format!("{at}"));
    }
    folder.write("other", "x");
    age();
    let replica = folder.replica();
    full(&replica);
    let before = replica.counts().files;
    std::fs::create_dir(folder.at("deeper")).unwrap();
    std::fs::rename(folder.at("old"), folder.at("deeper/new")).unwrap();
    for extent in [paths(&["old", "deeper"]), Extent::Full] {
        let tree = replica.scan(&extent).unwrap().tree;
        assert_eq!(digest_at(&tree, "deeper/new/1/f1"), Digest::of(b"1"));
        assert!(tree.get(&path("old")).is_none());
        assert_eq!(replica.counts().files, before);
    }
}

#[test]
fn swapped_folders_are_recognised_without_reading() {
    let folder = Folder::new();
    for at in 0..10 {
        folder.write(format!("a/f{at}"), format!("a{at}"));
        folder.write(format!("b/f{at}"), format!("b{at}"));
    }
    age();
    let replica = folder.replica();
    full(&replica);
    let before = replica.counts().files;
    std::fs::rename(folder.at("a"), folder.at("c")).unwrap();
    std::fs::rename(folder.at("b"), folder.at("a")).unwrap();
    std::fs::rename(folder.at("c"), folder.at("b")).unwrap();
    let tree = replica.scan(&paths(&["a", "b", "c"])).unwrap().tree;
    assert_eq!(digest_at(&tree, "a/f3"), Digest::of(b"b3"));
    assert_eq!(digest_at(&tree, "b/f3"), Digest::of(b"a3"));
    assert_eq!(replica.counts().files, before);
}

#[test]
fn renamed_file_alone_is_read_again() {
    let folder = Folder::new();
    folder.write("a", "1");
    folder.write("b", "2");
    age();
    let replica = folder.replica();
    full(&replica);
    std::fs::rename(folder.at("a"), folder.at("c")).unwrap();
    assert_eq!(digest_at(&full(&replica).tree, "c"), Digest::of(b"1"));
    assert_eq!(replica.counts().files, 3);
}

#[test]
fn devices_sockets_and_pipes_are_reported_and_never_opened() {
    let folder = Folder::new();
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, folder.at("pipe"), FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.at("socket")).unwrap();
    let snapshot = full(&folder.replica());
    for name in ["pipe", "socket"] {
        assert_eq!(snapshot.tree.get(&path(name)), Some(&Entry::Unknown(ProblemKind::Special)));
    }
    assert_eq!(snapshot.problems.len(), 2);
    assert_eq!(snapshot.problems[0].path, path("pipe"));
}

#[test]
fn odd_names_are_kept_byte_for_byte() {
    let folder = Folder::new();
    let long = [b'n'; 255];
    let names: [&[u8]; 8] =
        [b"\xff\xfe", b"new\nline", b" ", b"-rf", b"...", b"a\\b", "e\u{301}".as_bytes(), &long];
    for name in names {
        folder.write(name, name);
    }
    folder.write("sub/.evenfold", "a user's own, below the top");
    let tree = full(&folder.replica()).tree;
    for name in names {
        let Some(Entry::File(file)) = tree.child(name) else { panic!("{name:?}") };
        assert_eq!(file.digest, Digest::of(name));
    }
    assert!(tree.get(&path("sub/.evenfold")).is_some());
    assert_eq!(tree.children().len(), names.len() + 1);
}

#[test]
fn hard_links_are_files_of_their_own() {
    let folder = Folder::new();
    folder.write("a", "shared");
    std::fs::hard_link(folder.at("a"), folder.at("b")).unwrap();
    let replica = folder.replica();
    let tree = full(&replica).tree;
    assert_eq!(digest_at(&tree, "a"), digest_at(&tree, "b"));
    std::fs::write(folder.at("b"), "edited through the other name").unwrap();
    let tree = full(&replica).tree;
    assert_eq!(digest_at(&tree, "a"), Digest::of(b"edited through the other name"));
    assert_eq!(digest_at(&tree, "a"), digest_at(&tree, "b"));
}

#[test]
fn links_to_outside_are_entries_and_not_followed() {
    let folder = Folder::new();
    std::fs::create_dir(folder.outside("secret")).unwrap();
    std::fs::write(folder.outside("secret/file"), "secret").unwrap();
    symlink(folder.outside("secret"), folder.at("dir")).unwrap();
    symlink(folder.outside("secret/file"), folder.at("file")).unwrap();
    symlink("missing", folder.at("dangling")).unwrap();
    let replica = folder.replica();
    let tree = full(&replica).tree;
    assert_eq!(tree.totals().files, 3);
    assert_eq!(replica.counts().files, 0);
    assert!(matches!(tree.child(b"dir"), Some(Entry::Symlink(_))));
    let tree = replica.scan(&paths(&["dir/file"])).unwrap().tree;
    assert!(tree.get(&path("dir/file")).is_none());
}

#[test]
fn large_and_sparse_files_have_the_right_digest() {
    let folder = Folder::new();
    let mut content = vec![0u8; 17 << 20];
    for (at, byte) in content.iter_mut().enumerate() {
        *byte = (at * at / 7) as u8;
    }
    folder.write("d/large", &content);
    folder.write("d/small", "s");
    folder.write("exact", &content[..16 << 20]);
    std::fs::File::create(folder.at("sparse")).unwrap().set_len(40 << 20).unwrap();
    let tree = full(&folder.replica()).tree;
    assert_eq!(digest_at(&tree, "d/large"), Digest::of(&content));
    assert_eq!(digest_at(&tree, "exact"), Digest::of(&content[..16 << 20]));
    assert_eq!(digest_at(&tree, "sparse"), Digest::of(&vec![0; 40 << 20]));
}

#[test]
fn rules_decide_what_is_looked_at() {
    let folder = Folder::new();
    for at in ["a.rs", "b.txt", "src/c.rs", "doc/d.txt", "target/e.rs", ".git/f.rs"] {
        folder.write(at, at);
    }
    let select = Select {
        include: vec!["*.rs".into()],
        exclude: vec!["target/".into()],
        hidden: false,
        ..Select::default()
    };
    let replica = Replica::open(folder.disk(), Options { select, ..options() }).unwrap();
    let tree = full(&replica).tree;
    let names: Vec<String> = tree.children().iter().map(|child| child.name.to_string()).collect();
    assert_eq!(names, ["a.rs", "src"]);
    std::fs::remove_file(folder.at("src/c.rs")).unwrap();
    assert!(replica.scan(&paths(&["src/c.rs"])).unwrap().tree.get(&path("src")).is_none());
    folder.write("doc/new/g.rs", "g");
    assert_eq!(
        digest_at(&replica.scan(&paths(&["doc/new"])).unwrap().tree, "doc/new/g.rs"),
        Digest::of(b"g")
    );
}

#[test]
fn file_beyond_the_size_limits_is_there_and_not_read() {
    use evenfold_core::select::Sizes;
    let folder = Folder::new();
    for (at, size) in [("empty", 0), ("least", 2), ("most", 4), ("large", 5)] {
        folder.write(at, "x".repeat(size));
    }
    let select = Select { sizes: Sizes { min: Some(2), max: Some(4) }, ..Select::default() };
    let replica = Replica::open(folder.disk(), Options { select, ..options() }).unwrap();
    let snapshot = full(&replica);
    let beyond = Some(&Entry::Unknown(ProblemKind::SizeLimit));
    for (at, expected) in [("empty", true), ("least", false), ("most", false), ("large", true)] {
        assert_eq!(snapshot.tree.get(&path(at)) == beyond, expected, "{at}");
    }
    assert_eq!((snapshot.problems.len(), replica.counts().files), (2, 2));
    assert!(snapshot.problems[1].detail.contains("5 bytes, and 4 are the most"), "{:?}", snapshot.problems);
    folder.write("most", "xxxxx");
    assert_eq!(replica.scan(&paths(&["most"])).unwrap().tree.get(&path("most")), beyond);
    folder.write("most", "xxx");
    assert_eq!(digest_at(&replica.scan(&paths(&["most"])).unwrap().tree, "most"), Digest::of(b"xxx"));
}

#[test]
fn restart_with_the_cache_reads_nothing_even_after_a_rename() {
    let folder = Folder::new();
    for at in 0..30 {
        folder.write(format!("d{}/e-{}/f", at % 3, at), format!("{at}"));
    }
    age();
    let replica = folder.replica();
    let tree = full(&replica).tree;
    let cache = cache_rows(&replica);
    assert_eq!(cache.len(), 30);
    assert!(replica.take_cache_delta().is_empty());
    drop(replica);
    std::fs::rename(folder.at("d1"), folder.at("renamed")).unwrap();
    let replica = Replica::open(folder.disk(), Options { cache, ..options() }).unwrap();
    assert!(replica.snapshot().is_none());
    let again = full(&replica).tree;
    assert_eq!(replica.counts().files, 0);
    assert_eq!(again.child(b"renamed"), tree.child(b"d1"));
    let delta = replica.take_cache_delta();
    assert_eq!((delta.upserts.len(), delta.removes.len()), (10, 10));
}

#[test]
fn very_deep_trees_are_scanned_and_too_long_paths_are_reported() {
    let folder = Folder::new();
    let open = |at: &std::os::fd::OwnedFd, name: &str| {
        rustix::fs::openat(at, name, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap()
    };
    let mut at = rustix::fs::open(&folder.root, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap();
    for _ in 0..MAX_PATH / 2 + 10 {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = open(&at, "d");
    }
    let replica = folder.replica();
    for _ in 0..2 {
        let snapshot = full(&replica);
        assert_eq!(snapshot.tree.totals().dirs, MAX_PATH as u64 / 2 - 1 + 1 - u64::from(MAX_PATH % 2 == 1));
        assert_eq!(snapshot.problems.len(), 1);
        assert_eq!(snapshot.problems[0].kind, ProblemKind::TooLong);
    }
    // The standard library's removal needs more stack for this than a test thread has.
    let status = std::process::Command::new("rm").arg("-rf").arg(&folder.root).status().unwrap();
    assert!(status.success());
}

#[test]
fn scan_that_is_interrupted_ends_soon_and_keeps_the_snapshot() {
    let folder = Folder::new();
    folder.write("a", "1");
    let replica = folder.replica();
    full(&replica);
    // Takes minutes to read.
    std::fs::File::create(folder.at("huge")).unwrap().set_len(1 << 41).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                replica.interrupt();
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let result = replica.scan(&Extent::Full);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(result.err(), Some(evenfold_fs::scan::ScanError::Stopped));
    });
    assert_eq!(replica.snapshot().unwrap().tree.totals().files, 1);
}
