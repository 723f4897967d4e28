//! A mirror never writes its source, and reports what the destination changed by itself.

use crate::common::eventually;
use crate::common::tree::{assert_same, tree, write};
use crate::rig::{Pair, REL, status};

fn mirror(settings: &[&str]) -> Pair {
    Pair::with("mirror", settings, |a| {
        for nth in 0..8 {
            write(a, format!("f{nth}"), format!("content {nth}"));
        }
    })
}

#[test]
fn mirror_reports_what_the_destination_changed_and_never_writes_the_source() {
    let pair = mirror(&["trigger=manual"]);
    assert_same(&pair.a, &pair.b);
    let before = tree(&pair.a);
    write(&pair.b, "f1", "changed at the destination");
    write(&pair.b, "extra", "only at the destination");
    std::fs::remove_file(pair.b.join("f2")).unwrap();
    let synced = pair.spoke.run(["sync", REL, "--wait", "--json"]);
    assert!([3, 4].contains(&synced.code), "{synced:#?}");
    assert_eq!(tree(&pair.a), before, "the source was written");
    assert_eq!(std::fs::read(pair.b.join("f1")).unwrap(), b"changed at the destination");
    assert!(pair.b.join("extra").exists());
    let check = pair.spoke.run(["check", REL, "--json"]).json();
    let found = |path: &str| {
        let items = check["items"].as_array().unwrap();
        items
            .iter()
            .find(|item| item["path"] == path)
            .map(|item| item["finding"].as_str().unwrap().to_owned())
    };
    assert_eq!(found("extra").as_deref(), Some("orphaned"), "{check}");
    assert!(matches!(found("f1").as_deref(), Some("stale" | "conflict")), "{check}");
    let reason = |path: &str| {
        let why = pair.spoke.run(["why", REL, path, "--json"]).json();
        let all = why["endpoints"].as_array().unwrap().clone();
        all.into_iter().map(|e| e["reason"].as_str().unwrap().to_owned()).find(|r| r != "in-sync").unwrap()
    };
    assert_eq!(reason("f1"), "destination-changed");
    assert_eq!(reason("extra"), "destination-extra");
    // The source goes on as if nothing were.
    write(&pair.a, "f3", "newer");
    pair.spoke.run(["sync", REL, "--wait"]);
    assert_eq!(std::fs::read(pair.b.join("f3")).unwrap(), b"newer");
}

#[test]
fn mirror_follows_its_source() {
    let pair = mirror(&[]);
    write(&pair.a, "f1", "newer");
    write(&pair.a, "d/new", "new");
    std::fs::remove_file(pair.a.join("f2")).unwrap();
    std::fs::rename(pair.a.join("f3"), pair.a.join("d/moved")).unwrap();
    pair.until_same();
    eventually("both say in sync", || {
        status(&pair.spoke)["state"] == "in-sync" && status(&pair.hub)["state"] == "in-sync"
    });
    pair.spoke.run(["check", REL]).ok();
    pair.hub.run(["check", REL]).ok();
}

#[test]
fn mirror_lets_the_source_win_where_that_is_set() {
    let pair = mirror(&["trigger=manual", "conflict=prefer:desk"]);
    let before = tree(&pair.a);
    write(&pair.b, "f1", "changed at the destination");
    pair.spoke.run(["sync", REL, "--wait"]);
    assert_eq!(tree(&pair.a), before, "the source was written");
    assert_eq!(std::fs::read(pair.b.join("f1")).unwrap(), b"content 1");
    assert!(crate::rig::keeps_version(&pair.b, b"changed at the destination"));
}
