use super::*;
use crate::apply::testing::*;

#[test]
fn names_of_sets_say_when_and_are_read_back() {
    for at in [
        Mtime { secs: 1_795_269_727, nanos: 123_000_000 },
        Mtime { secs: 0, nanos: 0 },
        Mtime { secs: 951_782_399, nanos: 999_000_000 },
    ] {
        let id = version_id(at, 0x0bad_cafe << 96);
        assert_eq!(time_of(&id), Some(at), "{id}");
        assert!(id.ends_with("Z-0badcafe"));
    }
    assert_eq!(
        version_id(Mtime { secs: 1_795_269_727, nanos: 123_456_789 }, 0),
        "20261121T140207123Z-00000000"
    );
    for other in [
        "",
        "x",
        "20261121T140207123Z",
        "20261121T140207123Z-xyz",
        "../../etc",
        "20261121T140207Z-00000000",
        "é0261121T140207123Z-0000000",
    ] {
        assert_eq!(time_of(other), None, "{other}");
    }
}

#[test]
fn versions_of_a_path_are_listed_newest_first() {
    let mut rig = Rig::new();
    for n in 0..3 {
        rig.write_old("d/a", format!("content {n}").as_bytes());
        rig.scan();
        let new = rig.file(b"next");
        rig.apply(vec![rig.change("d/a", Some(new))]);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    rig.write_old("d/a", b"content 3");
    rig.scan();
    // The whole folder goes: the file in it has a version, too.
    rig.apply(vec![rig.change("d", None)]);
    let found = versions(&rig.disk, &path("d/a")).unwrap();
    let contents: Vec<_> =
        found.iter().map(|v| rig.read(&format!(".evenfold/versions/{}/d/a", v.id))).collect();
    assert_eq!(contents, [b"content 3", b"content 2", b"content 1", b"content 0"]);
    assert!(found.is_sorted_by(|a, b| a.at > b.at));
    assert_eq!(found[0].size, 9);
    let folder = versions(&rig.disk, &path("d")).unwrap();
    assert_eq!((folder.len(), folder[0].kind, folder[0].size), (4, Kind::Dir, 9));
    assert_eq!(versions(&rig.disk, &path("d/a/below")).unwrap(), []);
    assert_eq!(versions(&rig.disk, &path("never")).unwrap(), []);
}

#[test]
fn root_without_versions_has_none_and_stays_as_it_is() {
    let rig = Rig::new();
    assert_eq!(versions(&rig.disk, &path("a")).unwrap(), []);
    assert_eq!(
        drop_versions(&rig.disk, &Keep { age: Duration::ZERO, bytes: Some(0) }).unwrap(),
        Dropped::default()
    );
    assert!(!rig.exists(".evenfold/versions"));
}

fn set<D: Disk>(rig: &Rig<D>, age_days: i64, bytes: usize) -> String {
    let now = rig.disk.now();
    let id = version_id(Mtime { secs: now.secs - age_days * 86_400, nanos: 0 }, 0);
    rig.write(&format!(".evenfold/versions/{id}/d/f"), &vec![1; bytes]);
    id
}

#[test]
fn old_sets_are_dropped_and_nothing_else() {
    let rig = Rig::new();
    let (old, young) = (set(&rig, 40, 100), set(&rig, 20, 10));
    rig.write(".evenfold/versions/notes/x", b"not a set");
    rig.write("user", b"file");
    let unwritable = std::os::unix::fs::PermissionsExt::from_mode(0o500);
    std::fs::set_permissions(rig.at(&format!(".evenfold/versions/{old}/d")), unwritable).unwrap();
    let keep = Keep { age: Duration::from_secs(30 * 86_400), bytes: None };
    assert_eq!(drop_versions(&rig.disk, &keep).unwrap(), Dropped { sets: 1, bytes: 100 });
    assert!(!rig.exists(&format!(".evenfold/versions/{old}")));
    assert!(rig.exists(&format!(".evenfold/versions/{young}/d/f")));
    assert!(rig.exists(".evenfold/versions/notes/x") && rig.exists("user"));
}

#[test]
fn oldest_sets_go_first_when_all_are_too_large() {
    let rig = Rig::new();
    let ids: Vec<_> = [9, 8, 7, 6].into_iter().map(|age| set(&rig, age, 100)).collect();
    let keep = Keep { age: Duration::from_secs(30 * 86_400), bytes: Some(250) };
    assert_eq!(drop_versions(&rig.disk, &keep).unwrap(), Dropped { sets: 2, bytes: 200 });
    let left: Vec<_> = ids.iter().map(|id| rig.exists(&format!(".evenfold/versions/{id}"))).collect();
    assert_eq!(left, [false, false, true, true]);
}
