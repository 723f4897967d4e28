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
fn t24_silent_hub_is_unknown_since_and_exits_6() {
    let pair = Pair::two_way(|a| write(a, "one", "1"));
    signal(pair.hub.process(), "STOP");
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
