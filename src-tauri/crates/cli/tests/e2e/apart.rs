//! A relationship ends without touching folders, and the two sides can be joined anew.

use crate::common::tree::{assert_same, tree, write};
use crate::rig::{Pair, REL, try_join, until_same};

#[test]
fn removed_relationship_leaves_both_folders_and_can_be_joined_again() {
    let pair = Pair::two_way(|a| {
        write(a, "one", "1");
        write(a, "d/two", "2");
    });
    let before = tree(&pair.b);
    pair.spoke.run(["rel", "remove", REL]).ok();
    assert_eq!((tree(&pair.a), tree(&pair.b)), (before.clone(), before));
    write(&pair.a, "one", "changed while apart");
    write(&pair.b, "three", "3");
    let joined = try_join(&pair.spoke, &pair.hub, REL, &pair.b);
    assert!([0, 4].contains(&joined.code), "{joined:#?}");
    until_same(&pair.a, &pair.b);
    assert!(pair.a.join("three").exists());
}

#[test]
fn both_daemons_restarted_after_a_kill_find_what_changed_meanwhile() {
    let mut pair = Pair::two_way(|a| {
        for nth in 0..8 {
            write(a, format!("f{nth}"), format!("content {nth}"));
        }
    });
    pair.hub.kill9();
    pair.spoke.kill9();
    write(&pair.a, "f1", "changed at the hub");
    write(&pair.b, "f2", "changed at the spoke");
    std::fs::remove_file(pair.b.join("f3")).unwrap();
    pair.spoke.restart();
    pair.hub.restart();
    until_same(&pair.a, &pair.b);
    assert!(!pair.a.join("f3").exists());
    assert_eq!(std::fs::read(pair.a.join("f2")).unwrap(), b"changed at the spoke");
    pair.until_state(&pair.spoke, "in-sync");
    assert_same(&pair.a, &pair.b);
}
