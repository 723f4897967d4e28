use super::*;
use crate::apply::testing::*;
use crate::versions::versions;

fn newest<D: Disk>(rig: &Rig<D>, name: &str) -> String {
    versions(&rig.disk, &path(name)).unwrap()[0].id.clone()
}

fn restored<D: Disk>(rig: &Rig<D>, id: &str, name: &str, to: &str) -> Restored {
    restore(&rig.disk, RELATIONSHIP, id, &path(name), &path(to)).unwrap()
}

#[test]
fn replaced_file_comes_back_and_the_restore_can_be_undone() {
    let mut rig = Rig::new();
    rig.write_old("d/a", b"old");
    std::fs::set_permissions(rig.at("d/a"), std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    rig.scan();
    let new = rig.file(b"new");
    rig.apply(vec![rig.change("d/a", Some(new))]);
    let id = newest(&rig, "d/a");
    let back = restored(&rig, &id, "d/a", "d/a");
    assert_eq!((back.files, back.bytes, back.kept.len()), (1, 3, 1));
    assert_eq!(rig.read("d/a"), b"old");
    assert_eq!(rig.mode("d/a"), 0o640);
    restored(&rig, &back.kept[0].version, "d/a", "d/a");
    assert_eq!(rig.read("d/a"), b"new");
    // The version itself is still there.
    restored(&rig, &id, "d/a", "d/a");
    assert_eq!(rig.read("d/a"), b"old");
    rig.assert_staging_is_empty();
}

#[test]
fn deleted_folder_comes_back_whole_elsewhere_and_in_place() {
    let rig = Rig::new();
    rig.write_old("top/d/x/1", b"one");
    rig.write_old("top/d/2", b"two");
    std::os::unix::fs::symlink("2", rig.at("top/d/l")).unwrap();
    std::fs::set_permissions(rig.at("top/d/x"), std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
    rig.scan();
    rig.apply(vec![rig.change("top", None)]);
    let id = newest(&rig, "top/d");
    assert_eq!(restored(&rig, &id, "top/d", "new/place").files, 3);
    restored(&rig, &id, "top/d", "top/d");
    for at in ["new/place", "top/d"] {
        assert_eq!(rig.read(&format!("{at}/x/1")), b"one");
        assert_eq!(rig.read(&format!("{at}/2")), b"two");
        assert!(rig.at(&format!("{at}/l")).is_symlink());
        assert_eq!(rig.mode(&format!("{at}/x")), 0o500);
    }
}

#[test]
fn folder_is_laid_over_what_stands_there() {
    let rig = Rig::new();
    rig.write_old("d/a", b"a");
    rig.write_old("d/b", b"b");
    rig.scan();
    rig.apply(vec![rig.change("d", None)]);
    rig.write("d/a", b"newer a");
    rig.write("d/other", b"other");
    let back = restored(&rig, &newest(&rig, "d"), "d", "d");
    assert_eq!(rig.live().len(), 3);
    assert_eq!(rig.read("d/a"), b"a");
    assert_eq!(rig.read("d/other"), b"other");
    assert_eq!(rig.read(&format!(".evenfold/versions/{}/d/a", back.kept[0].version)), b"newer a");
}

#[test]
fn single_file_of_a_deleted_folder_comes_back() {
    let rig = Rig::new();
    rig.write_old("d/x/a", b"a");
    rig.write_old("d/b", b"b");
    rig.scan();
    rig.apply(vec![rig.change("d", None)]);
    restored(&rig, &newest(&rig, "d/x/a"), "d/x/a", "d/x/a");
    assert_eq!(rig.live(), [("d/x/a".into(), b"a".to_vec())]);
}

#[test]
fn what_is_no_version_is_refused() {
    let rig = Rig::new();
    rig.write_old("a", b"a");
    rig.scan();
    rig.apply(vec![rig.change("a", None)]);
    let id = newest(&rig, "a");
    let call = |id: &str, name: &str, to: &str| restore(&rig.disk, RELATIONSHIP, id, &path(name), &path(to));
    assert!(matches!(call(&id, "b", "b"), Err(RestoreError::NoSuchVersion { .. })));
    assert!(matches!(call("../../..", "a", "a"), Err(RestoreError::NoSuchVersion { .. })));
    assert!(matches!(
        call("20200101T000000000Z-00000000", "a", "a"),
        Err(RestoreError::NoSuchVersion { .. })
    ));
    assert!(matches!(call(&id, "a", ""), Err(RestoreError::NotToRoot)));
    assert_eq!(rig.live(), []);
}

#[test]
fn crash_in_a_restore_loses_nothing() {
    let mut calls = 0;
    loop {
        let mut rig = Rig::on(FaultyDisk::wrap);
        rig.write_old("a", b"old");
        rig.scan();
        let new = rig.file(b"new");
        rig.apply(vec![rig.change("a", Some(new))]);
        let id = newest(&rig, "a");
        rig.disk.crash_after(calls);
        let result = restore(&rig.disk, RELATIONSHIP, &id, &path("a"), &path("a"));
        if !rig.disk.control().crashed() {
            assert!(result.is_ok());
            break;
        }
        let again = rig.reopened(|disk| disk);
        crate::recover::recover(&again.disk, RELATIONSHIP).unwrap();
        let live = again.read("a");
        assert!(live == b"old" || live == b"new");
        let kept: Vec<_> = again.versions().into_iter().map(|(_, bytes)| bytes).chain([live]).collect();
        for content in [b"old", b"new"] {
            assert!(kept.iter().any(|bytes| bytes == content), "after {calls} calls");
        }
        again.assert_staging_is_empty();
        calls += 1;
    }
    assert!(calls > 5);
}
