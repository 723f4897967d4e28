//! T24: what is not known is said to be unknown, never in sync.

use crate::common::tree::write;
use crate::common::{eventually, signal};
use crate::rig::{Pair, REL, status};

#[track_caller]
fn says_unknown(pair: &Pair) {
    eventually("the spoke says unknown", || status(&pair.spoke)["state"] == "unknown");
    let status = status(&pair.spoke);
    assert!(status["unknown_since"].is_string() && status["drift"].is_null(), "{status}");
    assert!(status["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{status}");
    let check = pair.spoke.run(["check", REL, "--json"]).exits(6).json();
    assert_eq!(check["verified"], false, "{check}");
    assert_eq!(check["counts"]["in_sync"], 0, "{check}");
    assert!(check["counts"]["unknown"].as_u64().unwrap() > 0, "{check}");
    assert!(
        check["unknown_since"].is_string() && check["unverified_reason"]["message"].is_string(),
        "{check}"
    );
    let sync = pair.spoke.run(["sync", REL, "--wait", "--json"]).exits(6).json();
    assert_eq!(sync["outcome"], "unknown", "{sync}");
    let why = pair.spoke.run(["why", REL, "one", "--json"]).exits(6).json();
    let reasons: Vec<_> = why["endpoints"].as_array().unwrap().iter().map(|e| e["reason"].clone()).collect();
    assert!(reasons.contains(&"unknown".into()), "{why}");
    pair.spoke.run(["run", REL, "--once"]).exits(6);
}

#[test]
fn t24_killed_hub_is_unknown_since_and_exits_6() {
    let mut pair = Pair::two_way(|a| write(a, "one", "1"));
    pair.hub.kill9();
    says_unknown(&pair);
    pair.hub.restart();
    write(&pair.b, "two", "2");
    pair.until_same();
    pair.until_state(&pair.spoke, "in-sync");
    pair.spoke.run(["check", REL]).ok();
}

#[test]
fn t24_changes_that_wait_here_are_counted_while_the_hub_is_away_or_all_is_paused() {
    let mut pair = Pair::two_way(|a| {
        write(a, "one", "1");
        write(a, "d/two", "22");
    });
    pair.until_state(&pair.spoke, "in-sync");
    assert!(status(&pair.spoke)["waiting"].is_null());
    let waits = |pair: &Pair, files: u64, bytes: u64| {
        eventually("all that waits is counted", || {
            let waiting = &status(&pair.spoke)["waiting"];
            (waiting["files"].as_u64(), waiting["bytes"].as_u64()) == (Some(files), Some(bytes))
        });
    };
    pair.hub.kill9();
    eventually("the hub is away", || status(&pair.spoke)["state"] == "unknown");
    waits(&pair, 0, 0);
    write(&pair.b, "three", "333");
    waits(&pair, 1, 3);
    write(&pair.b, "one", "1111");
    std::fs::remove_file(pair.b.join("d/two")).unwrap();
    waits(&pair, 3, 9);
    let said = pair.spoke.run(["status", REL]);
    assert!(said.stdout.contains("3 changes wait here, 9 B"), "{said:#?}");
    // Started anew, it has only what it wrote down.
    pair.spoke.kill9();
    pair.spoke.restart();
    waits(&pair, 3, 9);
    pair.hub.restart();
    pair.until_same();
    pair.until_state(&pair.spoke, "in-sync");
    assert!(status(&pair.spoke)["waiting"].is_null());
    assert!(!pair.a.join("d/two").exists());

    pair.spoke.run(["rel", "pause", REL]).ok();
    write(&pair.b, "four", "4444");
    waits(&pair, 1, 4);
    assert!(!pair.a.join("four").exists());
    pair.spoke.run(["rel", "resume", REL]).ok();
    pair.until_same();
    pair.until_state(&pair.spoke, "in-sync");
    assert!(status(&pair.spoke)["waiting"].is_null());
}

#[test]
fn t24_silent_hub_is_unknown_since_and_exits_6() {
    let pair = Pair::two_way(|a| write(a, "one", "1"));
    signal(pair.hub.process(), "STOP");
    let silent = std::time::Instant::now();
    // A command that asks it ends as soon as it counts as gone.
    pair.spoke.run(["check", REL]).exits(6);
    // Three keep-alives of 5 s, and as much again for a busy machine.
    assert!(silent.elapsed() < std::time::Duration::from_secs(30), "{:?}", silent.elapsed());
    says_unknown(&pair);
    signal(pair.hub.process(), "CONT");
    write(&pair.b, "two", "2");
    pair.until_same();
    pair.until_state(&pair.spoke, "in-sync");
}

#[test]
fn t24_hub_says_unknown_of_a_killed_spoke() {
    let mut pair = Pair::two_way(|a| write(a, "one", "1"));
    pair.until_state(&pair.hub, "in-sync");
    pair.spoke.kill9();
    pair.until_state(&pair.hub, "unknown");
    let status = status(&pair.hub);
    assert!(status["unknown_since"].is_string() && status["drift"].is_null(), "{status}");
    let check = pair.hub.run(["check", REL, "--json"]).exits(6).json();
    assert_eq!((&check["verified"], &check["counts"]["in_sync"]), (&false.into(), &0.into()), "{check}");
    pair.hub.run(["sync", REL, "--wait"]).exits(6);
    pair.spoke.restart();
    pair.until_state(&pair.hub, "in-sync");
    pair.hub.run(["sync", REL, "--wait"]).ok();
}

#[test]
fn t24_share_that_nobody_joined_is_not_in_sync() {
    let hub = crate::common::TestNode::start("desk");
    let folder = hub.folder("a");
    crate::rig::share(&hub, REL, &folder, "two-way", &[]);
    assert_eq!(status(&hub)["state"], "waiting");
    let check = hub.run(["check", REL, "--json"]).exits(6).json();
    assert_eq!(check["verified"], false, "{check}");
}

#[test]
fn t24_how_long_a_machine_may_be_silent_is_a_setting() {
    let hub = crate::common::TestNode::start("desk");
    let spoke = crate::common::TestNode::start_as("nas", "127.0.0.1:0", &[], &[("EVENFOLD_SILENCE", "5s")]);
    spoke.pair_with(&hub);
    let a = hub.folder("a");
    write(&a, "one", "1");
    crate::rig::share(&hub, REL, &a, "two-way", &[]);
    crate::rig::join(&spoke, &hub, REL);
    signal(hub.process(), "STOP");
    let silent = std::time::Instant::now();
    eventually("the spoke says unknown", || status(&spoke)["state"] == "unknown");
    assert!(silent.elapsed() < std::time::Duration::from_secs(14), "{:?}", silent.elapsed());
    signal(hub.process(), "CONT");
    eventually("it is in sync again", || status(&spoke)["state"] == "in-sync");
    let shown = spoke.json(["config", "show", "--origin"]);
    assert!(shown.to_string().contains("silence"), "{shown}");
}

#[test]
#[cfg(debug_assertions)]
fn t17_clock_that_is_wrong_is_told_by_status_doctor_and_peers() {
    let mut pair = Pair::two_way(|a| write(a, "one", "1"));
    assert!(status(&pair.spoke)["error"].is_null());
    pair.hub.stop();
    pair.hub.restart_with("EVENFOLD_TEST_CLOCK", &(3 * 24 * 3600).to_string());
    write(&pair.a, "two", "2");
    pair.until_same();
    for (node, offset) in [(&pair.spoke, 259_200), (&pair.hub, -259_200)] {
        eventually("the offset is measured", || {
            let peers = node.json(["peer", "list"]);
            let ahead = peers["peers"][0]["clock_offset_seconds"].as_i64();
            ahead.is_some_and(|ahead| (ahead - offset).abs() <= 2)
        });
        assert_eq!(status(node)["error"]["code"], "clock", "{}", status(node));
        assert_eq!(node.json(["peer", "list"])["peers"][0]["version"], env!("CARGO_PKG_VERSION"));
        let doctor = node.run(["doctor", "--json"]).json().to_string();
        assert!(doctor.contains("clock of") && doctor.contains("3 d"), "{doctor}");
    }
    // It is a warning: everything goes on.
    assert_eq!(status(&pair.spoke)["state"], "in-sync");
    pair.sync();
}
