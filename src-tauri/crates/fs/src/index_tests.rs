use evenfold_core::Digest;

use super::*;

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

fn file(content: &str) -> Entry {
    Entry::File(File {
        digest: Digest::of(content.as_bytes()),
        size: content.len() as u64,
        mtime: Mtime::default(),
        mode: Mode::new(0o644),
    })
}

fn key(ino: u64) -> StatKey {
    StatKey::from_parts(ino, Mtime { secs: 1, nanos: 2 })
}

#[test]
fn file_written_in_the_tick_of_its_own_time_is_read_again() {
    let mut stat = Stat {
        kind: Kind::File,
        dev: 1,
        ino: 5,
        size: 3,
        mtime: Mtime { secs: 100, nanos: 7_000_001 },
        ctime: Mtime { secs: 100, nanos: 9_000_001 },
        mode: Mode::new(0o644),
    };
    let now = Mtime { secs: 111, nanos: 0 };
    assert!(
        !StatKey::written(&stat, now).is_sure(),
        "an edit of the same size in this tick would look the same"
    );
    stat.ctime.nanos += 100_000_000;
    assert!(StatKey::written(&stat, now).is_sure());
    // A file system of whole seconds: its tick is longer.
    (stat.mtime.nanos, stat.ctime) = (0, Mtime { secs: 101, nanos: 0 });
    assert!(!StatKey::written(&stat, now).is_sure());
    stat.ctime.secs = 110;
    assert!(StatKey::written(&stat, now).is_sure());
    // A disk without change times says of a young file that it was changed in the future.
    stat.ctime.secs = 150;
    assert!(!StatKey::written(&stat, now).is_sure());
    assert!(StatKey::written(&stat, Mtime { secs: 150, nanos: 0 }).is_sure());
}

fn leaf(at: &str, content: &str, ino: u64) -> Patch {
    Patch { path: path(at), now: Some((file(content), Keys::Leaf(key(ino)))) }
}

fn folder(at: &str, ino: u64) -> Patch {
    let dir = Entry::dir(Mode::new(0o755), Vec::new());
    Patch { path: path(at), now: Some((dir, Keys::Dir(key(ino), Arc::default()))) }
}

fn sample() -> Index {
    let mut index = Index::empty();
    let refused = index.patch(vec![
        leaf("b", "1", 1),
        folder("d", 2),
        leaf("d/x", "2", 3),
        folder("d/e", 4),
        leaf("d/e/y", "3", 5),
    ]);
    assert_eq!(refused, []);
    index
}

#[test]
fn patched_paths_are_found_with_their_keys() {
    let index = sample();
    for (at, ino) in [("b", 1), ("d", 2), ("d/x", 3), ("d/e", 4), ("d/e/y", 5)] {
        assert_eq!(index.key(&path(at)), Some(key(ino)), "{at}");
    }
    assert_eq!(index.tree().get(&path("d/e/y")), Some(&file("3")));
    assert!(index.key(&path("d/none")).is_none());
}

#[test]
fn keys_stay_with_their_entries_when_siblings_come_and_go() {
    let mut index = sample();
    let refused = index.patch(vec![
        leaf("a", "0", 9),
        Patch { path: path("b"), now: None },
        leaf("d/a", "7", 8),
        leaf("z", "9", 7),
    ]);
    assert_eq!(refused, []);
    for (at, ino) in [("a", 9), ("d", 2), ("d/a", 8), ("d/x", 3), ("d/e/y", 5), ("z", 7)] {
        assert_eq!(index.key(&path(at)), Some(key(ino)), "{at}");
    }
    assert!(index.tree().get(&path("b")).is_none());
}

#[test]
fn shallow_patch_changes_the_folder_and_keeps_its_children() {
    let mut index = sample();
    let dir = Entry::dir(Mode::new(0o700), Vec::new());
    let shallow = Patch { path: path("d"), now: Some((dir, Keys::Shallow(key(20)))) };
    assert_eq!(index.patch(vec![leaf("d/new", "n", 21), shallow]), []);
    let tree = index.tree();
    assert_eq!(tree.dir_at(&path("d")).unwrap().mode(), Mode::new(0o700));
    assert_eq!(index.key(&path("d")), Some(key(20)));
    for at in ["d/x", "d/new", "d/e/y"] {
        assert!(tree.get(&path(at)).is_some(), "{at}");
    }
}

#[test]
fn patch_below_a_missing_parent_is_refused_by_name() {
    let mut index = sample();
    let before = index.tree();
    assert_eq!(index.patch(vec![leaf("none/x", "1", 1), leaf("b/x", "1", 1)]), [path("none/x"), path("b/x")]);
    assert_eq!(index.tree(), before);
}

#[test]
fn replaced_folder_can_be_patched_further() {
    let mut index = sample();
    assert_eq!(
        index.patch(vec![Patch { path: path("d"), now: None }, folder("d", 30), leaf("d/q", "q", 31)]),
        []
    );
    assert!(index.tree().get(&path("d/x")).is_none());
    assert_eq!(index.key(&path("d/q")), Some(key(31)));
}

#[test]
fn untouched_subtrees_are_shared() {
    let mut index = sample();
    let before = index.tree().dir_at(&path("d/e")).unwrap();
    assert_eq!(index.patch(vec![leaf("b", "2", 1)]), []);
    assert!(Arc::ptr_eq(&before, &index.tree().dir_at(&path("d/e")).unwrap()));
}

#[test]
fn times_within_the_clocks_resolution_are_not_trusted() {
    let at = |secs, nanos| Mtime { secs, nanos };
    let stat = |mtime, ctime| Stat {
        kind: Kind::File,
        dev: 1,
        ino: 7,
        size: 1,
        mtime,
        ctime,
        mode: Mode::new(0o644),
    };
    let now = at(1000, 500_000_000);
    for (mtime, ctime, sure) in [
        (at(900, 1), at(900, 1), true),
        (at(1000, 499_000_000), at(1000, 499_000_000), false),
        (at(900, 1), at(1000, 499_000_000), false),
        (at(1000, 470_000_001), at(1000, 470_000_001), true),
        (at(5000, 1), at(900, 1), true), // a user set the time of modification to the future
        (at(900, 1), at(1001, 1), false), // a file server whose clock is ahead
        (at(900, 1), at(99_999, 1), true), // a clock that was wrong for a while
        (at(999, 0), at(999, 0), false), // a file system that stores whole seconds
        (at(990, 0), at(990, 0), true),
    ] {
        assert_eq!(StatKey::settled(&stat(mtime, ctime), now).is_sure(), sure, "{mtime:?} {ctime:?}");
    }
}

#[test]
fn parts_of_a_key_survive_storage() {
    for time in [
        Mtime { secs: -5, nanos: 3 },
        Mtime { secs: 0, nanos: 0 },
        Mtime { secs: 1_700_000_000, nanos: 999_999_999 },
    ] {
        let key = StatKey::from_parts(4, time);
        assert_eq!(key.parts(), Some((4, time)));
    }
    assert_eq!(StatKey::UNSURE.parts(), None);
}

#[test]
fn one_entry_costs_sixteen_bytes_of_keys() {
    assert_eq!(size_of::<StatKey>(), 16);
}
