//! What runs only on kernels and file systems that lack a call.

use evenfold_core::RelPath;

use super::*;

fn place(text: &str) -> Place {
    Place::User(RelPath::new(text.as_bytes()).unwrap())
}

fn folder() -> (tempfile::TempDir, RealDisk) {
    let above = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(above.path().join("root/a/b")).unwrap();
    std::fs::write(above.path().join("root/a/b/f"), "inside").unwrap();
    std::fs::write(above.path().join("secret"), "outside").unwrap();
    std::os::unix::fs::symlink(above.path(), above.path().join("root/a/up")).unwrap();
    std::os::unix::fs::symlink("b", above.path().join("root/a/beside")).unwrap();
    let disk = RealDisk::open(&above.path().join("root")).unwrap();
    (above, disk)
}

#[test]
fn without_openat2_paths_are_walked_and_links_refused() {
    let (above, disk) = folder();
    disk.resolves.store(false, Ordering::Relaxed);
    assert_eq!(disk.stat(&place("a/b/f")).unwrap().size, 6);
    assert_eq!(disk.stat(&place("")).unwrap().kind, Kind::Dir);
    assert_eq!(disk.list(&place("a")).unwrap().len(), 3);
    assert!(disk.open(&place("a/b/f")).is_ok());
    assert_eq!(disk.stat(&place("a/up")).unwrap().kind, Kind::Symlink);
    assert_eq!(disk.read_link(&place("a/beside")).unwrap(), b"b");
    for through in ["a/up/secret", "a/beside/f", "a/up/root"] {
        assert!(disk.stat(&place(through)).is_err(), "{through}");
        assert!(disk.open(&place(through)).is_err(), "{through}");
        assert!(disk.make_dir(&place(through), Mode::new(0o755)).is_err(), "{through}");
        assert!(disk.rename_new(&place("a/b/f"), &place(through)).is_err(), "{through}");
    }
    assert!(disk.open(&place("a/up")).is_err());
    assert!(disk.list(&place("a/up")).is_err());
    disk.make_dir(&Place::Own(RelPath::root()), Mode::new(0o700)).unwrap();
    let own = |text: &str| Place::Own(RelPath::new(text.as_bytes()).unwrap());
    disk.create(&own("x")).unwrap().write_all(b"1").unwrap();
    assert!(disk.create(&own("x")).is_err());
    disk.rename_new(&own("x"), &place("a/b/x")).unwrap();
    assert_eq!(std::fs::read(above.path().join("root/a/b/x")).unwrap(), b"1");
}

#[test]
fn both_ways_of_resolving_say_the_same() {
    let (_above, disk) = folder();
    let ask = |disk: &RealDisk| {
        ["a", "a/b", "a/b/f", "a/b/none", "a/none/f", "a/b/f/g", "a/up", "a/up/secret", "a/beside/f"].map(
            |text| {
                let told = |result: io::Result<()>| result.map_err(|error| error.raw_os_error());
                (
                    told(disk.stat(&place(text)).map(|_| ())),
                    disk.open(&place(text)).is_ok(),
                    disk.list(&place(text)).is_ok(),
                )
            },
        )
    };
    let by_kernel = ask(&disk);
    disk.resolves.store(false, Ordering::Relaxed);
    let by_hand = ask(&disk);
    for (kernel, hand) in by_kernel.iter().zip(&by_hand) {
        assert_eq!((kernel.0.is_ok(), kernel.1, kernel.2), (hand.0.is_ok(), hand.1, hand.2));
    }
}

#[test]
fn renaming_in_steps_never_replaces_either() {
    let (above, disk) = folder();
    let at = |text: &str| above.path().join("root").join(text);
    let rename = |old: &str, new: &str| {
        let (old_dir, old) = disk.parent(&place(old)).unwrap();
        let (new_dir, new) = disk.parent(&place(new)).unwrap();
        rename_new_in_steps(&old_dir, &old, &new_dir, &new)
    };
    std::fs::write(at("file"), "1").unwrap();
    std::fs::write(at("taken"), "2").unwrap();
    std::fs::create_dir(at("empty")).unwrap();
    for (from, to) in
        [("file", "taken"), ("file", "empty"), ("a/b", "taken"), ("a/b", "empty"), ("a/up", "taken")]
    {
        assert_eq!(rename(from, to), Err(Errno::EXIST), "{from} to {to}");
    }
    assert_eq!(rename("none", "new"), Err(Errno::NOENT));
    rename("file", "a/file").unwrap();
    rename("a/b", "moved").unwrap();
    rename("a/up", "link").unwrap();
    assert_eq!(std::fs::read(at("a/file")).unwrap(), b"1");
    assert_eq!(std::fs::read(at("moved/f")).unwrap(), b"inside");
    assert!(std::fs::symlink_metadata(at("link")).unwrap().is_symlink());
    assert!(!at("file").exists() && !at("a/b").exists());
    assert_eq!(std::fs::read(at("taken")).unwrap(), b"2");
}
