//! A mass deletion waits until a person approves exactly it.

use crate::common::eventually;
use crate::common::tree::{assert_same, tree, write};
use crate::rig::{Pair, REL, status};

fn twenty() -> Pair {
    Pair::by_hand(|a| {
        for nth in 0..20 {
            write(a, format!("f{nth:02}"), format!("content {nth}"));
        }
    })
}

#[test]
fn guard_holds_a_mass_deletion_and_apply_carries_it_out() {
    let pair = twenty();
    let before = tree(&pair.a);
    for nth in 0..10 {
        std::fs::remove_file(pair.b.join(format!("f{nth:02}"))).unwrap();
    }
    write(&pair.b, "new", "waits as well");
    let held = pair.synced(5);
    assert_eq!(
        (&held["outcome"], &held["status"]["halt"]["code"]),
        (&"held".into(), &"too-many-deletions".into())
    );
    assert_eq!(tree(&pair.a), before);
    // It stays held, says so, and says how to go on.
    let told = pair.spoke.run(["sync", REL, "--wait"]).exits(5);
    let plan = status(&pair.spoke)["halt"]["plan"].as_str().unwrap().to_owned();
    assert!(told.stdout.contains(&plan) || told.stderr.contains(&plan), "{told:#?}");
    let history = pair.spoke.json(["history", REL, "--kind", "halt"]);
    assert!(!history["history"].as_array().unwrap().is_empty(), "{history}");
    pair.spoke.run(["apply", &plan]).ok();
    assert_same(&pair.a, &pair.b);
    assert_eq!(tree(&pair.a).len(), 11);
    eventually("nothing is held any more", || status(&pair.spoke)["halt"].is_null());
    // What was approved can still be undone.
    pair.hub.run(["restore", REL, "f00"]).ok();
    assert!(pair.a.join("f00").exists());
}

#[test]
fn guard_lets_a_held_deletion_be_taken_back() {
    let pair = Pair::two_way(|a| {
        for nth in 0..20 {
            write(a, format!("f{nth:02}"), format!("content {nth}"));
        }
    });
    let before = tree(&pair.a);
    let aside = pair.b.with_extension("aside");
    std::fs::create_dir(&aside).unwrap();
    let names: Vec<_> = (0..15).map(|nth| format!("f{nth:02}")).collect();
    // At once, so that no cycle sees a part of it: a whole folder moves out of sight, and comes back without them.
    for name in &names {
        std::fs::rename(pair.b.join(name), aside.join(name)).unwrap();
    }
    eventually("it is held", || !status(&pair.spoke)["halt"].is_null() || !pair.a.join("f14").exists());
    for name in &names {
        std::fs::rename(aside.join(name), pair.b.join(name)).unwrap();
    }
    pair.until_same();
    assert_eq!(tree(&pair.a).len(), before.len());
    eventually("nothing is held any more", || status(&pair.spoke)["halt"].is_null());
}

#[test]
fn guard_can_be_switched_off_and_a_single_deletion_is_never_held() {
    let pair = twenty();
    std::fs::remove_file(pair.b.join("f00")).unwrap();
    pair.sync();
    pair.hub.run(["rel", "edit", REL, "--set", "guard.percent=off", "--set", "guard.count=off"]).ok();
    eventually("the spoke has the settings", || {
        let shown = pair.spoke.json(["rel", "show", REL]);
        shown["settings"].as_array().unwrap().iter().any(|s| s[0] == "guard.percent" && s[1] == "off")
    });
    for nth in 1..19 {
        std::fs::remove_file(pair.b.join(format!("f{nth:02}"))).unwrap();
    }
    pair.sync();
    assert_eq!(tree(&pair.a).len(), 1);
}

#[test]
fn guard_does_not_take_renames_for_deletions() {
    let pair = twenty();
    std::fs::create_dir(pair.b.join("into")).unwrap();
    for nth in 0..20 {
        std::fs::rename(pair.b.join(format!("f{nth:02}")), pair.b.join(format!("into/g{nth:02}"))).unwrap();
    }
    let bytes = pair.sync()["bytes"].clone();
    assert_same(&pair.a, &pair.b);
    assert_eq!(bytes, 0, "contents were sent although they only moved");
}
