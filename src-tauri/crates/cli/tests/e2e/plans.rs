//! Previews write nothing, and what is applied is exactly the plan that was shown.

use crate::common::finish;
use crate::common::tree::{assert_same, tree, write};
use crate::rig::{Pair, REL, paired, share};

#[test]
fn preview_of_a_join_writes_nothing() {
    let (hub, spoke) = paired();
    let (a, b) = (hub.folder("a"), spoke.folder("b"));
    write(&a, "from the hub", "12345");
    write(&b, "from the spoke", "123");
    share(&hub, REL, &a, "two-way", &[]);
    let (before_a, before_b) = (tree(&a), tree(&b));
    let target = format!("desk:{REL}");
    let preview =
        finish(spoke.command().args(["join", &target]).arg(&b).args(["--dry-run", "--json"])).ok().json();
    assert_eq!((&preview["here"]["new"], &preview["here"]["bytes"]), (&1.into(), &5.into()), "{preview}");
    assert_eq!((&preview["there"]["new"], &preview["there"]["bytes"]), (&1.into(), &3.into()), "{preview}");
    assert_eq!((&preview["here"]["deleted"], &preview["there"]["deleted"]), (&0.into(), &0.into()));
    // Without an answer nothing begins either.
    finish(spoke.command().args(["join", &target]).arg(&b).arg("--no-input")).exits(2);
    assert_eq!((tree(&a), tree(&b)), (before_a, before_b));
    assert!(!b.join(".evenfold").exists(), "the preview left something of ours");
    assert_eq!(spoke.json(["rel", "list"])["relationships"].as_array().unwrap().len(), 0);
    assert_eq!(hub.json(["rel", "show", REL])["members"].as_array().unwrap().len(), 0);
}

#[test]
fn dry_run_writes_nothing_and_its_plan_is_applied() {
    let pair = Pair::by_hand(|a| {
        write(a, "old", "old");
        write(a, "gone", "gone");
    });
    write(&pair.a, "old", "changed at the hub");
    write(&pair.b, "new", "new at the spoke");
    std::fs::remove_file(pair.a.join("gone")).unwrap();
    let (before_a, before_b) = (tree(&pair.a), tree(&pair.b));
    let planned = pair.spoke.run(["sync", REL, "--dry-run", "--json"]).exits(3).json();
    assert_eq!((tree(&pair.a), tree(&pair.b)), (before_a, before_b));
    let plan = &planned["plan"];
    assert_eq!((&plan["here"]["replaced"], &plan["here"]["deleted"]), (&1.into(), &1.into()), "{plan}");
    assert_eq!(plan["there"]["new"], 1, "{plan}");
    assert_eq!(plan["changes"].as_array().unwrap().len(), 3, "{plan}");
    pair.spoke.run(["apply", plan["id"].as_str().unwrap()]).ok();
    assert_same(&pair.a, &pair.b);
    assert!(!pair.b.join("gone").exists() && pair.a.join("new").exists());
}

#[test]
fn plan_that_is_outdated_is_refused_and_nothing_changes() {
    let pair = Pair::by_hand(|a| write(a, "old", "old"));
    write(&pair.b, "new", "new at the spoke");
    let planned = pair.spoke.run(["sync", REL, "--dry-run", "--json"]).exits(3).json();
    let plan = planned["plan"]["id"].as_str().unwrap();
    write(&pair.b, "newer", "came after the plan");
    let before = tree(&pair.a);
    let refused = pair.spoke.run(["apply", plan, "--json"]).exits(1);
    assert!(
        refused.stderr.contains("plan-outdated") || refused.stdout.contains("plan-outdated"),
        "{refused:#?}"
    );
    assert_eq!(tree(&pair.a), before);
    pair.spoke.run(["apply", "0123456789abcdef"]).exits(1);
    assert_eq!(tree(&pair.a), before);
}

#[test]
fn plan_of_equal_sides_is_empty_and_exits_0() {
    let pair = Pair::by_hand(|a| write(a, "old", "old"));
    let planned = pair.spoke.run(["sync", REL, "--dry-run", "--json"]).ok().json();
    assert_eq!(planned["plan"]["changes"].as_array().unwrap().len(), 0, "{planned}");
}

#[test]
fn join_with_files_on_both_sides_unites_them_and_keeps_both_of_what_differs() {
    let (hub, spoke) = paired();
    let (a, b) = (hub.folder("a"), spoke.folder("b"));
    for (root, own) in [(&a, "hub"), (&b, "spoke")] {
        write(root, format!("only {own}"), own);
        write(root, "same", "equal on both");
        write(root, "differs", format!("as the {own} has it"));
    }
    share(&hub, REL, &a, "two-way", &[]);
    let joined = crate::rig::try_join(&spoke, &hub, REL, &b);
    assert_eq!(joined.code, 4, "{joined:#?}");
    crate::rig::until_same(&a, &b);
    let contents: Vec<_> =
        tree(&a).into_keys().map(|path| std::fs::read_to_string(a.join(path)).unwrap()).collect();
    for content in ["hub", "spoke", "equal on both", "as the hub has it", "as the spoke has it"] {
        assert!(contents.iter().any(|found| found == content), "{content:?} is lost: {contents:?}");
    }
    assert_eq!(contents.len(), 5);
}
