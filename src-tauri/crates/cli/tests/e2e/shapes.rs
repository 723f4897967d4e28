//! The documents that scripts read, and the node's self-check.

use serde_json::Value;

use crate::common::tree::write;
use crate::rig::{Pair, REL};

#[track_caller]
fn has(document: &Value, keys: &[&str]) {
    let object = document.as_object().unwrap_or_else(|| panic!("no object: {document}"));
    for key in keys {
        assert!(object.contains_key(*key), "{key:?} is missing: {document}");
    }
}

#[test]
fn json_of_status_check_node_and_offer_is_what_is_promised() {
    let pair = Pair::by_hand(|a| write(a, "one", "1"));
    for node in [&pair.hub, &pair.spoke] {
        let shown = node.json(["node", "show"]);
        has(&shown, &["name", "fingerprint", "addresses", "home", "version"]);
        assert!(shown["fingerprint"].as_str().unwrap().starts_with("SHA256:"), "{shown}");
        assert_eq!(shown["addresses"][0], node.address());
        let status = node.json(["status"]);
        has(&status, &["node", "relationships"]);
        let one = &status["relationships"][0];
        let keys = [
            "id",
            "name",
            "kind",
            "state",
            "halt",
            "verified_at",
            "endpoints",
            "drift",
            "progress",
            "conflicts",
            "problems",
        ];
        has(one, &keys);
        assert_eq!(
            (&one["name"], &one["kind"], &one["halt"]),
            (&REL.into(), &"two-way".into(), &Value::Null)
        );
        assert_eq!(one["endpoints"].as_array().unwrap().len(), 2, "{one}");
        has(&one["endpoints"][0], &["node", "path", "online", "last_seen"]);
        let check = node.json(["check", REL]);
        has(&check, &["verified", "counts", "bytes", "items"]);
        let findings = [
            "in_sync", "missing", "stale", "orphaned", "moved", "corrupt", "conflict", "error", "excluded",
            "unknown",
        ];
        has(&check["counts"], &findings);
        assert_eq!((&check["verified"], &check["counts"]["in_sync"]), (&true.into(), &1.into()), "{check}");
    }
    let drift = &crate::rig::status(&pair.spoke)["drift"];
    has(drift, &["files", "bytes", "oldest_seconds"]);
    let offer = pair.hub.json(["pair", "offer", "--no-wait"]);
    has(&offer, &["code", "addresses", "expires_at"]);
}

#[test]
fn doctor_finds_nothing_wrong_with_healthy_nodes() {
    let pair = Pair::two_way(|a| write(a, "one", "1"));
    for node in [&pair.hub, &pair.spoke] {
        let doctor = node.json(["doctor"]);
        let findings = doctor["findings"].as_array().unwrap();
        assert!(findings.len() >= 4, "{doctor}");
        for finding in findings {
            has(finding, &["level", "check", "message", "hint"]);
            assert_ne!(finding["level"], "error", "{doctor}");
        }
    }
}

#[test]
fn doctor_names_a_missing_folder_and_exits_1() {
    let pair = Pair::two_way(|a| write(a, "one", "1"));
    std::fs::rename(&pair.b, pair.b.with_extension("aside")).unwrap();
    let doctor = pair.spoke.run(["doctor", "--json"]).exits(1).json();
    let bad: Vec<_> =
        doctor["findings"].as_array().unwrap().iter().filter(|f| f["level"] == "error").collect();
    assert!(bad.iter().any(|f| f["hint"].as_str().is_some_and(|hint| !hint.is_empty())), "{doctor}");
}

#[test]
fn errors_are_documents_too_where_json_is_wanted() {
    let pair = Pair::by_hand(|a| write(a, "one", "1"));
    let failed = pair.spoke.run(["status", "no such relationship", "--json"]).exits(1);
    let text = if failed.stdout.trim().is_empty() { &failed.stderr } else { &failed.stdout };
    let document: Value =
        serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error}: {failed:#?}"));
    assert!(document.to_string().contains("not-found"), "{document}");
}
