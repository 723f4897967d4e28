//! Other ways into a relationship: from one side, by a code, from a file.

use crate::common::tree::{assert_same, tree, write};
use crate::common::{TestNode, finish};
use crate::rig::{Pair, REL, paired, until_same};

#[test]
fn relationship_is_made_from_one_side_into_an_empty_folder_only() {
    let (desk, nas) = paired();
    let (a, b, full) = (desk.folder("a"), nas.folder("b"), nas.folder("full"));
    write(&a, "one", "1");
    write(&full, "private", "of nas");
    let add = |name: &str, target: &std::path::Path| {
        let target = format!("nas:{}", target.display());
        finish(desk.command().args(["rel", "add", name]).arg(&a).arg(target))
    };
    let refused = add("refused", &full);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert_eq!(tree(&full).len(), 1);
    assert!(!a.join("private").exists());
    add(REL, &b).ok();
    until_same(&a, &b);
    write(&b, "two", "2");
    until_same(&a, &b);
}

#[test]
fn code_that_names_no_share_joins_the_only_one_there_is() {
    let (hub, spoke) = (TestNode::start("desk"), TestNode::start("nas"));
    let (shared, folder) = (hub.folder("a"), spoke.folder("b"));
    write(&shared, "one", "1");
    crate::rig::share(&hub, REL, &shared, "two-way", &[]);
    let code = hub.json(["pair", "offer", "--no-wait"])["code"].as_str().unwrap().to_owned();
    finish(spoke.command().args(["join", &code, hub.address()]).arg(&folder).args(["--yes", "--wait"])).ok();
    assert_same(&shared, &folder);
}

#[test]
fn code_pairs_where_nothing_is_shared_and_says_so() {
    let (hub, spoke) = (TestNode::start("desk"), TestNode::start("nas"));
    let folder = spoke.folder("b");
    let code = hub.json(["pair", "offer", "--no-wait"])["code"].as_str().unwrap().to_owned();
    let joined =
        finish(spoke.command().args(["join", &code, hub.address()]).arg(&folder).arg("--yes")).exits(1);
    assert!(joined.stderr.contains("desk shares nothing to join"), "{joined:#?}");
    assert_eq!(spoke.json(["peer", "list"])["peers"].as_array().unwrap().len(), 1);
    assert!(std::fs::read_dir(&folder).unwrap().next().is_none());
}

#[test]
fn exported_relationship_is_applied_again() {
    let pair = Pair::by_hand(|a| write(a, "one", "1"));
    let exported = pair.spoke.run(["rel", "export", REL]).ok().stdout;
    let file = pair.spoke.home().with_file_name("code.toml");
    std::fs::write(&file, &exported).unwrap();
    pair.spoke.run(["rel", "remove", REL]).ok();
    pair.spoke.run(["rel", "apply", file.to_str().unwrap(), "--yes"]).ok();
    write(&pair.a, "two", "2");
    pair.sync();
    assert_same(&pair.a, &pair.b);
    assert_eq!(pair.spoke.run(["rel", "export", REL]).ok().stdout, exported);
}

#[test]
fn nested_and_repeated_shares_are_refused() {
    let node = TestNode::start("desk");
    let folder = node.folder("a");
    std::fs::create_dir(folder.join("inner")).unwrap();
    crate::rig::share(&node, REL, &folder, "two-way", &[]);
    let share = |path: &std::path::Path, name: &str| {
        finish(node.command().arg("share").arg(path).args(["--name", name]))
    };
    assert_ne!(share(&folder.join("inner"), "inner").code, 0);
    assert_ne!(share(folder.parent().unwrap(), "outer").code, 0);
    assert_ne!(share(&node.folder("other"), REL).code, 0);
    assert_eq!(node.json(["rel", "list"])["relationships"].as_array().unwrap().len(), 1);
}
