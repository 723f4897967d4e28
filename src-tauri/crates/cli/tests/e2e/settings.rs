//! T34: settings of nodes and relationships.

use std::path::Path;

use serde_json::Value;

use crate::common::tree::{assert_same, write};
use crate::common::{TestNode, evenfold, eventually, finish};
use crate::rig::{Pair, REL, join, noise, paired, share, until_same};

fn entry(shown: &Value, key: &str) -> (String, String) {
    let all = shown["settings"].as_array().unwrap();
    let entry = all.iter().find(|entry| entry["key"] == key).unwrap();
    (entry["value"].as_str().unwrap().to_owned(), entry["origin"].as_str().unwrap().to_owned())
}

#[test]
fn t34_environment_wins_over_the_file_and_the_file_over_the_default() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), "name = \"from-file\"\nlisten = [\"127.0.0.1:0\"]\n")
        .unwrap();
    let show = |name: Option<&str>| {
        let mut command = evenfold(home.path());
        if let Some(name) = name {
            command.env("EVENFOLD_NAME", name);
        }
        finish(command.args(["config", "show", "--origin", "--json"])).ok().json()
    };
    assert_eq!(entry(&show(None), "name"), ("from-file".into(), "config.toml".into()));
    assert_eq!(entry(&show(Some("from-env")), "name"), ("from-env".into(), "environment".into()));
    assert_eq!(entry(&show(None), "log").1, "default");
}

#[test]
fn t34_flag_wins_over_the_environment_and_the_file() {
    // The harness gives the name as a flag.
    let mut node = TestNode::start("flag");
    assert!(node.stop().success());
    std::fs::write(node.home().join("config.toml"), "name = \"file\"\n").unwrap();
    node.restart();
    assert_eq!(node.json(["node", "show"])["name"], "flag");
    assert_eq!(entry(&node.json(["config", "show", "--origin"]), "name"), ("flag".into(), "flag".into()));
}

#[test]
fn t34_mistyped_key_is_named_and_nothing_is_made() {
    let node = TestNode::start("desk");
    let folder = node.folder("a");
    let path = folder.to_str().unwrap();
    for (setting, named) in
        [("exlude=x", "exlude"), ("guard.percent=lots", "guard.percent"), ("flow=up", "flow")]
    {
        let refused = node.run(["share", path, "--name", "r", "--set", setting]).exits(2);
        assert!(refused.stderr.contains(named), "{named} is not named: {refused:#?}");
    }
    assert_eq!(node.json(["rel", "list"])["relationships"], Value::Array(Vec::new()));
    assert!(std::fs::read_dir(&folder).unwrap().next().is_none());
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), "\nnmae = \"x\"\n").unwrap();
    let refused = finish(evenfold(home.path()).args(["config", "show"]));
    assert!(
        refused.code == 2 && refused.stderr.contains("nmae") && refused.stderr.contains('2'),
        "{refused:#?}"
    );
}

#[test]
fn t34_twelve_relationships_between_two_nodes_in_both_directions() {
    let (desk, nas) = paired();
    let mut folders = Vec::new();
    for nth in 0..12 {
        let (hub, spoke) = if nth % 2 == 0 { (&desk, &nas) } else { (&nas, &desk) };
        let name = format!("r{nth}");
        let a = hub.folder(&name);
        write(&a, "same name", format!("content of {name}"));
        share(hub, &name, &a, "two-way", &[]);
        folders.push((a, join(spoke, hub, &name)));
    }
    for (nth, (a, b)) in folders.iter().enumerate() {
        assert_same(a, b);
        write(b, "from the spoke", format!("{nth}"));
        write(a, "same name", format!("edited {nth}"));
    }
    for (nth, (a, b)) in folders.iter().enumerate() {
        until_same(a, b);
        assert_eq!(std::fs::read(b.join("same name")).unwrap(), format!("edited {nth}").as_bytes());
        assert_eq!(std::fs::read(a.join("from the spoke")).unwrap(), format!("{nth}").as_bytes());
    }
    for node in [&desk, &nas] {
        eventually("all are in sync", || {
            let status = node.json(["status"]);
            let all = status["relationships"].as_array().unwrap();
            all.len() == 12 && all.iter().all(|one| one["state"] == "in-sync")
        });
    }
}

#[test]
fn t34_relationship_that_begins_paused_copies_nothing_before_it_is_resumed() {
    let (desk, nas) = paired();
    let share = |name: &str| {
        let folder = desk.folder(name);
        write(&folder, "from the desk", name);
        desk.run(["share", folder.to_str().unwrap(), "--name", name, "--paused"]).ok();
        folder
    };
    let until_resumed = |node: &TestNode, name: &str, here: &Path, there: &Path| {
        let status = node.json(["status", name]);
        assert_eq!(status["relationships"][0]["state"], "paused", "{status}");
        assert!(!there.join("from the desk").exists() && !here.join("from the nas").exists());
        node.run(["rel", "resume", name]).ok();
        until_same(here, there);
        assert!(there.join("from the desk").exists() && here.join("from the nas").exists());
    };
    // Where it is shared: nobody can join before.
    let (a, b) = (share("one"), nas.folder("one"));
    let join = ["join", "desk:one", b.to_str().unwrap(), "--yes"];
    nas.run(join).exits(1).says("the relationship is paused on the hub");
    assert!(!a.join(".evenfold/staging").exists() && std::fs::read_dir(&b).unwrap().next().is_none());
    desk.run(["rel", "resume", "one"]).ok();
    nas.run(join).ok();
    until_same(&a, &b);
    // Where it is joined.
    let (a, b) = (share("two"), nas.folder("two"));
    desk.run(["rel", "resume", "two"]).ok();
    write(&b, "from the nas", "2");
    let joined = nas.run(["join", "desk:two", b.to_str().unwrap(), "--yes", "--paused"]).ok();
    assert!(joined.stderr.contains("nothing travels before `evenfold rel resume two`"), "{joined:#?}");
    until_resumed(&nas, "two", &a, &b);
    // From one side.
    let (a, b) = (desk.folder("three"), nas.folder("three"));
    write(&a, "from the desk", "3");
    let there = format!("nas:{}", b.display());
    let made = desk.run(["rel", "add", "three", a.to_str().unwrap(), &there, "--paused"]).ok();
    assert!(made.stderr.contains("nothing travels before `evenfold rel resume three`"), "{made:#?}");
    write(&b, "from the nas", "3");
    until_resumed(&desk, "three", &a, &b);
}

#[test]
fn t34_nodes_meet_over_ipv6() {
    let (hub, spoke) =
        (TestNode::start_with("desk", "[::1]:0", &[]), TestNode::start_with("nas", "[::1]:0", &[]));
    assert!(hub.address().starts_with("[::1]:"), "{}", hub.address());
    spoke.pair_with(&hub);
    let a = hub.folder("a");
    write(&a, "one", "1");
    share(&hub, REL, &a, "two-way", &[]);
    let b = join(&spoke, &hub, REL);
    assert_same(&a, &b);
    write(&b, "two", "2");
    until_same(&a, &b);
}

#[test]
fn t34_edit_takes_effect_without_resending_anything() {
    let pair = Pair::two_way(|a| write(a, "large", noise(34, 3_000_000)));
    let before = pair.bytes();
    pair.hub.run(["rel", "edit", REL, "--set", "exclude=*.tmp", "--set", "guard.percent=50"]).ok();
    eventually("the spoke has the settings", || {
        let shown = pair.spoke.json(["rel", "show", REL]);
        shown["settings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|s| s[0] == "exclude" && s[1].to_string().contains("*.tmp"))
    });
    write(&pair.b, "x.tmp", "stays");
    write(&pair.b, "x.txt", "travels");
    eventually("what is not excluded travels", || pair.a.join("x.txt").exists());
    pair.sync();
    assert!(!pair.a.join("x.tmp").exists());
    let travelled = pair.bytes() - before;
    assert!(travelled < 500_000, "{travelled} bytes travelled");
}

#[test]
fn t34_own_settings_of_an_endpoint_outlive_edits_at_the_hub() {
    let mut pair = Pair::with("two-way", &["versions.keep=60d"], |a| write(a, "one", "1"));
    // Its own value happens to be the preset's, which is no reason to forget it.
    pair.spoke.run(["rel", "edit", REL, "--set", "versions.keep=30d"]).ok();
    let setting = |node: &TestNode, key: &str| {
        let shown = node.json(["rel", "show", REL]);
        let all = shown["settings"].as_array().unwrap().clone();
        all.iter().find(|s| s[0] == key).map(|s| s[1].as_str().unwrap().to_owned())
    };
    for exclude in ["*.tmp", "*.bak"] {
        pair.hub.run(["rel", "edit", REL, "--set", &format!("exclude={exclude}")]).ok();
        eventually("the spoke has the hub's setting", || {
            setting(&pair.spoke, "exclude").as_deref() == Some(exclude)
        });
        assert_eq!(setting(&pair.spoke, "versions.keep").as_deref(), Some("30d"));
    }
    // What was changed while it was away it learns when it is back.
    assert!(pair.spoke.stop().success());
    pair.hub.run(["rel", "edit", REL, "--set", "exclude="]).ok();
    pair.spoke.restart();
    eventually("the spoke has the hub's setting", || {
        setting(&pair.spoke, "exclude").is_none_or(|excluded| excluded.is_empty())
    });
    assert_eq!(setting(&pair.spoke, "versions.keep").as_deref(), Some("30d"));
    // A key of the whole relationship is changed at the hub only.
    pair.spoke.run(["rel", "edit", REL, "--set", "conflict=newest"]).exits(2);
}

#[test]
fn t34_paused_relationship_moves_nothing_until_resumed() {
    let pair = Pair::two_way(|a| write(a, "one", "1"));
    pair.spoke.run(["rel", "pause", REL]).ok();
    pair.until_state(&pair.spoke, "paused");
    for node in [&pair.hub, &pair.spoke] {
        let endpoints = crate::rig::status(node)["endpoints"].take();
        let paths: Vec<_> = endpoints.as_array().unwrap().iter().filter_map(|e| e["path"].as_str()).collect();
        let folders = [pair.a.to_str().unwrap(), pair.b.to_str().unwrap()];
        assert!(folders.iter().all(|folder| paths.contains(folder)), "{endpoints}");
    }
    write(&pair.a, "two", "2");
    write(&pair.b, "three", "3");
    let why = pair.spoke.run(["why", REL, "three", "--json"]).exits(3).json();
    assert!(why["endpoints"].as_array().unwrap().iter().any(|e| e["reason"] == "paused"), "{why}");
    let refused = pair.spoke.run(["sync", REL, "--wait"]).exits(5);
    assert!(refused.stderr.contains("paused") && refused.stderr.contains("rel resume"), "{refused:?}");
    assert!(!pair.a.join("three").exists() && !pair.b.join("two").exists());
    pair.spoke.run(["rel", "resume", REL]).ok();
    pair.until_same();
    assert!(pair.a.join("three").exists());
}

#[test]
fn t34_missing_folder_is_never_made_silently() {
    let node = TestNode::start("desk");
    let missing = node.home().with_file_name("not there");
    let refused = node.run(["share", missing.to_str().unwrap(), "--name", "r"]);
    assert!(refused.code == 1 || refused.code == 2, "{refused:#?}");
    assert!(!missing.exists());
}
