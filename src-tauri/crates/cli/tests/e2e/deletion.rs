//! T20: deletions propagate or not, by choice, and can be undone.

use std::path::Path;

use crate::common::eventually;
use crate::common::tree::{assert_same, write};
use crate::rig::{Pair, REL, keeps_version};

fn fill(a: &Path) {
    for nth in 0..8 {
        write(a, format!("f{nth}"), format!("content {nth}"));
    }
    write(a, "d/inner", "inner");
}

#[test]
fn t20_deletion_propagates_and_is_restored_from_versions() {
    let pair = Pair::two_way(fill);
    std::fs::remove_file(pair.b.join("f3")).unwrap();
    eventually("the deletion is at the hub", || !pair.a.join("f3").exists());
    pair.until_same();
    assert!(keeps_version(&pair.a, b"content 3"));
    // Why it is kept is noted just after the file has gone.
    eventually("the version is listed as deleted", || {
        let versions = pair.hub.json(["versions", REL, "f3"]);
        let versions = versions["versions"].as_array().unwrap();
        versions.len() == 1 && versions[0]["reason"] == "deleted"
    });
    let restored = pair.hub.json(["restore", REL, "f3"]);
    assert_eq!(restored["path"], "f3", "{restored}");
    eventually("the restored file is at the spoke again", || {
        std::fs::read(pair.b.join("f3")).is_ok_and(|content| content == b"content 3")
    });
    pair.until_same();
}

#[test]
fn t20_replaced_content_is_restored_and_the_restore_can_be_undone() {
    let pair = Pair::by_hand(fill);
    write(&pair.a, "f1", "newer");
    pair.sync();
    let restored = pair.spoke.json(["restore", REL, "f1"]);
    assert_eq!(std::fs::read(pair.b.join("f1")).unwrap(), b"content 1");
    let replaced = restored["replaced"].as_str().expect("what stood there is kept").to_owned();
    pair.sync();
    assert_eq!(std::fs::read(pair.a.join("f1")).unwrap(), b"content 1");
    pair.spoke.run(["restore", REL, "f1", "--version", &replaced]).ok();
    pair.sync();
    assert_eq!(std::fs::read(pair.a.join("f1")).unwrap(), b"newer");
    // Elsewhere, beside what stands there.
    pair.spoke.run(["restore", REL, "f1", "--to", "d/again"]).ok();
    assert!(pair.b.join("d/again").exists());
    pair.sync();
    assert_same(&pair.a, &pair.b);
}

#[test]
fn t20_deleted_folder_is_restored_whole() {
    let pair = Pair::by_hand(|a| {
        fill(a);
        write(a, "tree/one/x", "x");
        write(a, "tree/two", "y");
    });
    std::fs::remove_dir_all(pair.b.join("tree")).unwrap();
    // Several at once: that is for a person to say.
    let held = pair.spoke.run(["sync", REL, "--wait", "--json"]);
    if held.code == 5 {
        let plan = held.json()["status"]["halt"]["plan"].as_str().unwrap().to_owned();
        pair.spoke.run(["apply", &plan]).ok();
    }
    assert!(!pair.a.join("tree").exists());
    pair.hub.run(["restore", REL, "tree"]).ok();
    assert_eq!(std::fs::read(pair.a.join("tree/one/x")).unwrap(), b"x");
    pair.sync();
    assert_same(&pair.a, &pair.b);
    assert_eq!(std::fs::read(pair.b.join("tree/two")).unwrap(), b"y");
}

#[test]
fn t20_ignored_deletion_stays_elsewhere_and_does_not_come_back() {
    let pair = Pair::with("two-way", &["delete=ignore", "trigger=manual"], fill);
    std::fs::remove_file(pair.b.join("f3")).unwrap();
    std::fs::remove_file(pair.a.join("f4")).unwrap();
    for _ in 0..3 {
        pair.spoke.run(["sync", REL, "--wait"]);
        assert!(pair.a.join("f3").exists() && !pair.b.join("f3").exists());
        assert!(pair.b.join("f4").exists() && !pair.a.join("f4").exists());
    }
    // Everything else still travels.
    write(&pair.b, "f5", "edited");
    pair.spoke.run(["sync", REL, "--wait"]);
    assert_eq!(std::fs::read(pair.a.join("f5")).unwrap(), b"edited");
    let why = pair.spoke.run(["why", REL, "f3", "--json"]).exits(3).json();
    let reasons: Vec<_> = why["endpoints"].as_array().unwrap().iter().map(|e| e["reason"].clone()).collect();
    assert!(reasons.contains(&"deletion-ignored".into()), "{why}");
}
