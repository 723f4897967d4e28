//! Conflicts: listed everywhere, decided anywhere; and the history of it all.

use crate::common::tree::{assert_same, tree, write};
use crate::rig::{Pair, REL, keeps_version};

fn disputed() -> Pair {
    let pair = Pair::by_hand(|a| {
        write(a, "notes.txt", "start");
        write(a, "other", "x");
    });
    write(&pair.a, "notes.txt", "as the hub wrote it");
    write(&pair.b, "notes.txt", "as the spoke wrote it, later");
    pair.synced(4);
    assert_same(&pair.a, &pair.b);
    pair
}

#[test]
fn conflict_is_listed_on_both_sides_and_decided_for_one() {
    let pair = disputed();
    assert_eq!(tree(&pair.a).len(), 3);
    let (here, there) = (pair.spoke.json(["conflicts"]), pair.hub.json(["conflicts", REL]));
    let one = &here["conflicts"][0];
    assert_eq!((&one["path"], &one["relationship"]), (&"notes.txt".into(), &REL.into()), "{here}");
    assert_eq!(one["id"], there["conflicts"][0]["id"], "{there}");
    assert_eq!(one["versions"].as_array().unwrap().len(), 2, "{here}");
    let id = one["id"].as_str().unwrap();
    pair.spoke.run(["resolve", id, "--keep", "desk"]).ok();
    pair.sync();
    assert_same(&pair.a, &pair.b);
    assert_eq!(tree(&pair.a).len(), 2);
    assert_eq!(std::fs::read(pair.b.join("notes.txt")).unwrap(), b"as the hub wrote it");
    let lost = b"as the spoke wrote it, later";
    assert!(keeps_version(&pair.a, lost) || keeps_version(&pair.b, lost), "the other version is lost");
    for node in [&pair.hub, &pair.spoke] {
        assert_eq!(node.json(["conflicts"])["conflicts"].as_array().unwrap().len(), 0);
    }
}

#[test]
fn conflict_is_decided_for_the_other_one_at_the_hub() {
    let pair = disputed();
    let id = pair.hub.json(["conflicts"])["conflicts"][0]["id"].as_str().unwrap().to_owned();
    pair.hub.run(["resolve", &id, "--keep", "nas"]).ok();
    pair.sync();
    assert_same(&pair.a, &pair.b);
    assert_eq!(std::fs::read(pair.b.join("notes.txt")).unwrap(), b"as the spoke wrote it, later");
    assert_eq!(tree(&pair.a).len(), 2);
}

#[test]
fn conflict_is_decided_for_both_and_unknown_ones_are_refused() {
    let pair = disputed();
    let id = pair.spoke.json(["conflicts"])["conflicts"][0]["id"].as_str().unwrap().to_owned();
    pair.spoke.run(["resolve", "no-such-id", "--keep", "both"]).exits(1);
    let refused = pair.spoke.run(["resolve", &id, "--keep", "nobody"]);
    assert!(refused.code == 1 || refused.code == 2, "{refused:#?}");
    pair.spoke.run(["resolve", &id, "--keep", "both"]).ok();
    pair.sync();
    assert_same(&pair.a, &pair.b);
    assert_eq!(tree(&pair.a).len(), 3, "{:?}", tree(&pair.a).keys());
    assert_eq!(pair.hub.json(["conflicts"])["conflicts"].as_array().unwrap().len(), 0);
}

#[test]
fn conflict_rules_newest_and_refuse_do_what_they_say() {
    let pair = Pair::with("two-way", &["trigger=manual", "conflict=newest"], |a| write(a, "notes", "start"));
    write(&pair.b, "notes", "older");
    let earlier = std::time::SystemTime::now() - std::time::Duration::from_secs(100);
    let file = std::fs::File::options().write(true).open(pair.b.join("notes")).unwrap();
    file.set_times(std::fs::FileTimes::new().set_modified(earlier)).unwrap();
    write(&pair.a, "notes", "newer");
    pair.sync();
    assert_same(&pair.a, &pair.b);
    assert_eq!(std::fs::read(pair.b.join("notes")).unwrap(), b"newer");
    assert!(keeps_version(&pair.b, b"older"));
    pair.hub.run(["rel", "edit", REL, "--set", "conflict=refuse"]).ok();
    crate::common::eventually("the spoke has the setting", || {
        let shown = pair.spoke.json(["rel", "show", REL]);
        shown["settings"].as_array().unwrap().iter().any(|s| s[0] == "conflict" && s[1] == "refuse")
    });
    write(&pair.a, "notes", "hub's");
    write(&pair.b, "notes", "spoke's");
    pair.synced(4);
    assert_eq!(std::fs::read(pair.a.join("notes")).unwrap(), b"hub's");
    assert_eq!(std::fs::read(pair.b.join("notes")).unwrap(), b"spoke's");
    let id = pair.spoke.json(["conflicts"])["conflicts"][0]["id"].as_str().unwrap().to_owned();
    pair.spoke.run(["resolve", &id, "--keep", "nas"]).ok();
    pair.sync();
    assert_eq!(std::fs::read(pair.a.join("notes")).unwrap(), b"spoke's");
    assert!(keeps_version(&pair.a, b"hub's"));
}

#[test]
fn history_tells_newest_first_what_happened_where() {
    let pair = Pair::by_hand(|a| {
        write(a, "one", "1");
        write(a, "two", "2");
    });
    write(&pair.b, "one", "changed");
    pair.sync();
    std::fs::remove_file(pair.b.join("two")).unwrap();
    pair.sync();
    for node in [&pair.spoke, &pair.hub] {
        let all = node.json(["history", REL]);
        let rows = all["history"].as_array().unwrap();
        let kinds: Vec<_> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
        let place = |kind: &str| kinds.iter().position(|found| *found == kind);
        assert!(place("delete").is_some() && place("delete") < place("update"), "{all}");
        let ids: Vec<_> = rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
        let deleted = node.json(["history", REL, "--kind", "delete", "--path", "t*"]);
        let row = &deleted["history"][0];
        assert_eq!(
            (&row["path"], &row["node"], &row["on"]),
            (&"two".into(), &"nas".into(), &"desk".into()),
            "{row}"
        );
        assert_eq!(node.json(["history", REL, "--path", "nothing*"])["history"].as_array().unwrap().len(), 0);
    }
}
