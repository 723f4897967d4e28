//! The real disk itself.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use evenfold_core::{Mode, Mtime};
use evenfold_fs::disk::{Kind, Place};

use super::*;

fn user(text: &str) -> Place {
    Place::User(path(text))
}

fn own(text: &str) -> Place {
    Place::Own(path(text))
}

fn with_own(folder: &Folder) -> RealDisk {
    let disk = folder.disk();
    disk.make_dir(&own(""), Mode::new(0o700)).unwrap();
    disk
}

fn put(disk: &RealDisk, place: &Place, content: &[u8]) {
    let mut file = disk.create(place).unwrap();
    file.write_all(content).unwrap();
    file.finish(content.len() as u64, Mode::new(0o644), Mtime { secs: 1, nanos: 2 }).unwrap();
}

#[track_caller]
fn assert_kind<T>(result: io::Result<T>, kind: io::ErrorKind) {
    assert_eq!(result.err().map(|error| error.kind()), Some(kind));
}

#[test]
fn finished_file_has_exactly_the_length_times_and_bits_asked_for() {
    let folder = Folder::new();
    let disk = with_own(&folder);
    let mut file = disk.create(&own("f")).unwrap();
    assert_eq!(std::fs::metadata(folder.at(".evenfold/f")).unwrap().mode() & 0o077, 0);
    file.write_all(b"head").unwrap();
    file.seek(1000).unwrap();
    file.write_all(b"tail").unwrap();
    file.start_writeback();
    let mtime = Mtime { secs: 1_500_000_000, nanos: 123_456_789 };
    let stat = file.finish(5000, Mode::new(0o754), mtime).unwrap();
    file.sync().unwrap();
    assert_eq!((stat.kind, stat.size, stat.mode, stat.mtime), (Kind::File, 5000, Mode::new(0o754), mtime));
    let content = std::fs::read(folder.at(".evenfold/f")).unwrap();
    assert_eq!(
        (&content[..4], &content[4..1000], &content[1000..1004]),
        (&b"head"[..], &[0; 996][..], &b"tail"[..])
    );
    let mut again = disk.reopen(&own("f")).unwrap();
    again.write_all(b"H").unwrap();
    assert_eq!(again.finish(3, Mode::new(0o600), mtime).unwrap().size, 3);
    assert_eq!(std::fs::read(folder.at(".evenfold/f")).unwrap(), b"Hea");
}

#[test]
fn files_are_created_only_in_our_own_folder() {
    let folder = Folder::new();
    let disk = with_own(&folder);
    assert_kind(disk.create(&user("x")), io::ErrorKind::InvalidInput);
    put(&disk, &own("x"), b"1");
    assert_kind(disk.create(&own("x")), io::ErrorKind::AlreadyExists);
    assert_kind(disk.create(&own("none/x")), io::ErrorKind::NotFound);
}

#[test]
fn renaming_never_replaces() {
    let folder = Folder::new();
    let disk = with_own(&folder);
    put(&disk, &own("x"), b"new");
    folder.write("there", "old");
    std::fs::create_dir(folder.at("dir")).unwrap();
    symlink("anywhere", folder.at("link")).unwrap();
    for taken in ["there", "dir", "link"] {
        assert_kind(disk.rename_new(&own("x"), &user(taken)), io::ErrorKind::AlreadyExists);
    }
    assert_kind(disk.rename_new(&own("x"), &user("none/y")), io::ErrorKind::NotFound);
    assert_kind(disk.rename_new(&own("none"), &user("y")), io::ErrorKind::NotFound);
    disk.rename_new(&own("x"), &user("y")).unwrap();
    assert_eq!(std::fs::read(folder.at("y")).unwrap(), b"new");
}

#[test]
fn exchanging_swaps_files_folders_and_links() {
    let folder = Folder::new();
    let disk = with_own(&folder);
    put(&disk, &own("new"), b"new");
    folder.write("dir/below", "1");
    disk.exchange(&own("new"), &user("dir")).unwrap();
    assert_eq!(std::fs::read(folder.at("dir")).unwrap(), b"new");
    assert_eq!(disk.stat(&own("new")).unwrap().kind, Kind::Dir);
    assert_kind(disk.exchange(&own("none"), &user("dir")), io::ErrorKind::NotFound);
    assert_kind(disk.exchange(&own("new"), &user("none")), io::ErrorKind::NotFound);
}

#[test]
fn links_are_read_and_made_and_never_followed() {
    let folder = Folder::new();
    let disk = with_own(&folder);
    std::fs::write(folder.outside("secret"), "secret").unwrap();
    let long = vec![b'x'; 4000];
    disk.make_link(&user("long"), &long).unwrap();
    disk.make_link(&user("odd"), b"\xff \n").unwrap();
    assert_eq!(disk.read_link(&user("long")).unwrap(), long);
    assert_eq!(disk.read_link(&user("odd")).unwrap(), b"\xff \n");
    symlink(folder.outside("secret"), folder.at("out")).unwrap();
    symlink(folder.above.path(), folder.at("up")).unwrap();
    let secret = std::fs::metadata(folder.outside("secret")).unwrap();
    assert_eq!(disk.stat(&user("out")).unwrap().kind, Kind::Symlink);
    assert!(disk.open(&user("out")).is_err());
    assert!(disk.open(&user("up/secret")).is_err());
    assert!(disk.stat(&user("up/secret")).is_err());
    assert!(disk.list(&user("up")).is_err());
    assert!(disk.set_mode(&user("out"), Mode::new(0o777)).is_err());
    assert!(disk.make_dir(&user("up/new"), Mode::new(0o755)).is_err());
    disk.set_mtime(&user("out"), Mtime { secs: 5, nanos: 6 }).unwrap();
    assert_eq!(disk.stat(&user("out")).unwrap().mtime, Mtime { secs: 5, nanos: 6 });
    let after = std::fs::metadata(folder.outside("secret")).unwrap();
    assert_eq!((after.mode(), after.mtime()), (secret.mode(), secret.mtime()));
}

#[test]
fn only_regular_files_are_opened_and_a_pipe_does_not_block() {
    let folder = Folder::new();
    let disk = folder.disk();
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, folder.at("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_kind(disk.open(&user("pipe")), io::ErrorKind::InvalidInput);
    std::fs::create_dir(folder.at("dir")).unwrap();
    assert!(disk.open(&user("dir")).is_err());
    assert_kind(disk.open(&user("none")), io::ErrorKind::NotFound);
}

#[test]
fn permission_bits_are_exact_and_a_folders_special_bits_stay() {
    let folder = Folder::new();
    let disk = folder.disk();
    for bits in [0o777, 0o755, 0o700, 0o555, 0o000] {
        disk.make_dir(&user("d"), Mode::new(bits)).unwrap();
        assert_eq!(disk.stat(&user("d")).unwrap().mode.bits(), bits);
        disk.remove_dir(&user("d")).unwrap();
    }
    std::fs::create_dir(folder.at("shared")).unwrap();
    std::fs::set_permissions(folder.at("shared"), PermissionsExt::from_mode(0o2755)).unwrap();
    disk.set_mode(&user("shared"), Mode::new(0o770)).unwrap();
    assert_eq!(std::fs::metadata(folder.at("shared")).unwrap().mode() & 0o7777, 0o2770);
    folder.write("f", "x");
    disk.set_mode(&user("f"), Mode::new(0o400)).unwrap();
    assert_eq!(disk.stat(&user("f")).unwrap().mode.bits(), 0o400);
}

#[test]
fn listing_leaves_out_our_own_folder_at_the_top_only() {
    let folder = Folder::new();
    let disk = with_own(&folder);
    folder.write("a/.evenfold", "x");
    put(&disk, &own("x"), b"1");
    let names = |place| {
        let mut names: Vec<_> = disk.list(&place).unwrap().into_iter().map(|listed| listed.name).collect();
        names.sort();
        names
    };
    assert_eq!(names(user("")), [Box::from(&b"a"[..])]);
    assert_eq!(names(user("a")), [Box::from(&b".evenfold"[..])]);
    assert_eq!(names(own("")), [Box::from(&b"x"[..])]);
}

#[test]
fn removing_and_syncing_name_what_is_missing() {
    let folder = Folder::new();
    let disk = with_own(&folder);
    folder.write("d/f", "x");
    assert_kind(disk.remove_dir(&user("d")), io::ErrorKind::DirectoryNotEmpty);
    disk.remove_file(&user("d/f")).unwrap();
    disk.sync_dirs(&[user(""), user("d"), own("")]).unwrap();
    disk.remove_dir(&user("d")).unwrap();
    assert_kind(disk.remove_file(&user("d")), io::ErrorKind::NotFound);
    assert_kind(disk.sync_dirs(&[user("d")]), io::ErrorKind::NotFound);
    disk.sync_all().unwrap();
    let (free, total) = disk.space().unwrap();
    assert!(free > 0 && free <= total);
}

/// Somebody swaps `d` between a folder and a link to outside as fast as possible, while we work in `d`.
#[test]
fn folder_that_is_flipped_with_a_link_never_lets_us_out() {
    let folder = Folder::new();
    let disk = with_own(&folder);
    let outside = folder.outside("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("f"), "secret").unwrap();
    std::fs::set_permissions(outside.join("f"), PermissionsExt::from_mode(0o604)).unwrap();
    folder.write("d/f", "inside");
    symlink(&outside, folder.at("flip")).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            while !done.load(Ordering::Relaxed) {
                let (a, b) = (folder.at("d"), folder.at("flip"));
                rustix::fs::renameat_with(rustix::fs::CWD, a, rustix::fs::CWD, b, flags).unwrap();
            }
        });
        let (mut reached, mut refused) = (0, 0);
        let mut note = |worked: bool| if worked { reached += 1 } else { refused += 1 };
        for round in 0..3000 {
            if let Ok(mut file) = disk.open(&user("d/f")) {
                let mut buffer = [0; 16];
                let read = file.read(&mut buffer).unwrap();
                assert_eq!(&buffer[..read], b"inside");
                note(true);
            } else {
                note(false);
            }
            if let Ok(listed) = disk.list(&user("d")) {
                assert!(
                    listed
                        .iter()
                        .all(|entry| entry.stat.as_ref().unwrap().size != 6 || entry.name[..] == *b"f")
                );
            }
            put(&disk, &own("x"), b"ours");
            let name = format!("d/{round}");
            note(disk.rename_new(&own("x"), &user(&name)).is_ok() || disk.remove_file(&own("x")).is_err());
            note(disk.make_dir(&user(&format!("d/dir{round}")), Mode::new(0o755)).is_ok());
            note(disk.make_link(&user(&format!("d/link{round}")), b"x").is_ok());
            note(disk.set_mode(&user("d/f"), Mode::new(0o640)).is_ok());
            note(disk.set_mtime(&user("d/f"), Mtime { secs: 9, nanos: 9 }).is_ok());
            // A failure may be of any kind; what counts is what happened outside.
            let _ = disk.remove_file(&user(&name));
        }
        done.store(true, Ordering::Relaxed);
        assert!(reached > 0 && refused > 0, "the race was not run: {reached} reached, {refused} refused");
    });
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    let meta = std::fs::metadata(outside.join("f")).unwrap();
    assert_eq!(meta.mode() & 0o777, 0o604);
    assert_ne!(meta.mtime(), 9);
    assert_eq!(std::fs::read(outside.join("f")).unwrap(), b"secret");
}
