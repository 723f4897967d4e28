//! `why` gives one reason for each endpoint, with evidence and the next step.

use crate::common::tree::write;
use crate::common::{TestNode, eventually};
use crate::rig::{Pair, REL};

/// Returns the reasons for a path, by endpoint.
#[track_caller]
fn reasons(node: &TestNode, path: &str, exit: i32) -> Vec<String> {
    let why = node.run(["why", REL, path, "--json"]).exits(exit).json();
    let endpoints = why["endpoints"].as_array().unwrap();
    assert!(!endpoints.is_empty(), "{why}");
    for endpoint in endpoints.iter().filter(|endpoint| endpoint["in_sync"] == false) {
        for said in ["evidence", "next"] {
            assert!(
                endpoint[said].as_str().is_some_and(|text| !text.is_empty()),
                "{said} is not said: {why}"
            );
        }
    }
    endpoints.iter().map(|endpoint| endpoint["reason"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn why_says_in_sync_absent_excluded_and_waiting() {
    let pair = Pair::with("two-way", &["trigger=manual", "exclude=*.tmp"], |a| {
        write(a, "equal", "1");
        write(a, "x.tmp", "left out");
    });
    assert!(reasons(&pair.spoke, "equal", 0).iter().all(|reason| reason == "in-sync"));
    assert!(reasons(&pair.hub, "equal", 0).iter().all(|reason| reason == "in-sync"));
    assert!(reasons(&pair.spoke, "no such file", 0).iter().all(|reason| reason == "absent"));
    write(&pair.b, "y.tmp", "left out");
    let why = pair.spoke.run(["why", REL, "y.tmp", "--json"]).json();
    assert!(why["endpoints"].as_array().unwrap().iter().any(|e| e["reason"] == "excluded"), "{why}");
    write(&pair.b, "equal", "changed");
    assert!(reasons(&pair.spoke, "equal", 3).contains(&"manual".to_owned()));
}

#[test]
fn why_says_that_a_deletion_is_held() {
    let pair = Pair::by_hand(|a| {
        for nth in 0..10 {
            write(a, format!("f{nth}"), format!("content {nth}"));
        }
    });
    for nth in 0..6 {
        std::fs::remove_file(pair.b.join(format!("f{nth}"))).unwrap();
    }
    pair.synced(5);
    assert!(reasons(&pair.spoke, "f0", 3).contains(&"held".to_owned()));
}

#[test]
fn why_says_conflict_special_file_and_compare_only() {
    let pair = Pair::with("two-way", &["trigger=manual", "conflict=refuse"], |a| write(a, "notes", "start"));
    write(&pair.a, "notes", "hub's");
    write(&pair.b, "notes", "spoke's");
    pair.synced(4);
    assert!(reasons(&pair.spoke, "notes", 3).contains(&"conflict".to_owned()));
    assert!(std::process::Command::new("mkfifo").arg(pair.b.join("pipe")).status().unwrap().success());
    assert!(reasons(&pair.spoke, "pipe", 3).contains(&"special-file".to_owned()));
    let pair = Pair::with("compare", &["trigger=manual"], |a| write(a, "only here", "1"));
    assert!(reasons(&pair.spoke, "only here", 3).contains(&"compare-only".to_owned()));
}

#[test]
fn why_says_nothing_untrue_of_a_share_without_members() {
    let hub = TestNode::start("desk");
    let folder = hub.folder("a");
    write(&folder, "one", "1");
    crate::rig::share(&hub, REL, &folder, "two-way", &[]);
    eventually("the share answers", || {
        let why = hub.run(["why", REL, "one", "--json"]);
        why.stdout.contains("no-members") && why.code != 0
    });
}
