//! T33: who has no pinned key gets nothing.

use crate::common::tree::{tree, write};
use crate::common::{TestNode, eventually};
use crate::rig::{Pair, REL, paired, status};

fn peers(node: &TestNode) -> usize {
    node.json(["peer", "list"])["peers"].as_array().unwrap().len()
}

fn offer(node: &TestNode) -> String {
    node.json(["pair", "offer", "--no-wait"])["code"].as_str().unwrap().to_owned()
}

#[test]
fn t33_wrong_code_pairs_nobody() {
    let (hub, stranger) = (TestNode::start("desk"), TestNode::start("stranger"));
    let code = offer(&hub);
    let wrong = if code.starts_with('1') { code.replacen('1', "2", 1) } else { format!("1{}", &code[1..]) };
    let refused = stranger.run(["pair", "accept", &wrong, hub.address(), "--yes", "--json"]).exits(1);
    assert!(!refused.stderr.is_empty(), "{refused:#?}");
    assert_eq!((peers(&hub), peers(&stranger)), (0, 0));
}

#[test]
fn t33_code_works_once_only() {
    let (hub, first, second) = (TestNode::start("desk"), TestNode::start("first"), TestNode::start("second"));
    let code = offer(&hub);
    first.run(["pair", "accept", &code, hub.address(), "--yes"]).ok();
    second.run(["pair", "accept", &code, hub.address(), "--yes"]).exits(1);
    assert_eq!((peers(&hub), peers(&first), peers(&second)), (1, 1, 0));
}

#[test]
fn t33_pairing_without_an_offer_is_refused() {
    let (hub, stranger) = (TestNode::start("desk"), TestNode::start("stranger"));
    stranger.run(["pair", "accept", "4-lantern-otter", hub.address(), "--yes"]).exits(1);
    assert_eq!((peers(&hub), peers(&stranger)), (0, 0));
}

#[test]
fn fingerprints_pair_when_both_sides_compared_them_and_only_then() {
    let (hub, spoke) = (TestNode::start("desk"), TestNode::start("laptop"));
    let fingerprint =
        |node: &TestNode| node.json(["node", "show"])["fingerprint"].as_str().unwrap().to_owned();
    let (of_hub, of_spoke) = (fingerprint(&hub), fingerprint(&spoke));
    // The right address with another machine's key, an address of one's own, no fingerprint at all.
    let refused = spoke.run(["peer", "add", &of_spoke, hub.address()]).exits(1);
    assert!(
        refused.stderr.contains(&of_hub) && refused.stderr.contains("nothing was paired"),
        "{refused:#?}"
    );
    let oneself = spoke.run(["peer", "add", &of_spoke, spoke.address()]).exits(1);
    assert!(oneself.stderr.contains("this node itself"), "{oneself:#?}");
    spoke.run(["peer", "add", "SHA256:short", hub.address()]).exits(2);
    assert_eq!((peers(&hub), peers(&spoke)), (0, 0));

    let added = spoke.run(["peer", "add", &of_hub, hub.address(), "--name", "desk"]).ok();
    assert!(added.stdout.contains(&format!("evenfold peer add {of_spoke}")), "{added:#?}");
    // One side is not enough.
    spoke.run(["peer", "ping", "desk"]).exits(1);
    hub.run(["peer", "add", &of_spoke, spoke.address(), "--name", "laptop"]).ok();
    spoke.run(["peer", "ping", "desk"]).ok();
    hub.run(["peer", "ping", "laptop"]).ok();
    // A name that is taken is never given to another machine, nor silently changed.
    let third = TestNode::start("attic");
    let taken = spoke.run(["peer", "add", &fingerprint(&third), third.address(), "--name", "desk"]).exits(1);
    assert!(taken.stderr.contains("is called 'desk' here; nothing was paired"), "{taken:#?}");
    assert_eq!(peers(&spoke), 1);
}

#[test]
fn t33_unknown_key_gets_nothing() {
    let (hub, spoke) = paired();
    let folder = hub.folder("a");
    write(&folder, "secret", "not for strangers");
    crate::rig::share(&hub, REL, &folder, "two-way", &[]);
    // The hub forgets the key; the spoke still has the hub's.
    hub.run(["peer", "remove", spoke.name()]).ok();
    let target = spoke.folder("b");
    let refused = crate::rig::try_join(&spoke, &hub, REL, &target);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(std::fs::read_dir(&target).unwrap().next().is_none(), "something was written");
    assert_eq!(spoke.run(["peer", "ping", hub.name()]).code, 1);
}

#[test]
fn t33_removed_peer_is_shut_out_at_once() {
    let pair = Pair::two_way(|a| write(a, "one", "1"));
    pair.hub.run(["peer", "remove", pair.spoke.name()]).ok();
    let before = tree(&pair.b);
    write(&pair.a, "after", "not for you");
    eventually("the spoke says that it does not know any more", || status(&pair.spoke)["state"] == "unknown");
    pair.spoke.run(["sync", REL, "--wait"]).exits(6);
    pair.spoke.run(["peer", "ping", pair.hub.name()]).exits(1);
    assert_eq!(tree(&pair.b), before);
    write(&pair.b, "mine", "does not arrive");
    pair.spoke.run(["sync", REL, "--wait"]).exits(6);
    assert!(!pair.a.join("mine").exists());
    // The connection does not come back after a restart either; a new pairing brings it back.
    let mut pair = pair;
    assert!(pair.hub.stop().success());
    pair.hub.restart();
    pair.spoke.run(["sync", REL, "--wait"]).exits(6);
    assert!(!pair.b.join("after").exists());
}

#[test]
fn t33_link_out_of_the_root_writes_nothing_outside() {
    let pair = Pair::by_hand(|a| {
        write(a, "d/inner", "1");
        write(a, "d/other", "2");
    });
    let outside = pair.spoke.folder("outside");
    write(&outside, "inner", "a stranger's file");
    // The spoke's folder becomes a link that leads out; the hub changes what was below it.
    std::fs::remove_dir_all(pair.b.join("d")).unwrap();
    std::os::unix::fs::symlink(&outside, pair.b.join("d")).unwrap();
    write(&pair.a, "d/inner", "changed at the hub");
    pair.spoke.run(["sync", REL, "--wait"]);
    assert_eq!(std::fs::read(outside.join("inner")).unwrap(), b"a stranger's file");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn t33_path_out_of_the_root_is_refused() {
    let pair = Pair::by_hand(|a| write(a, "one", "1"));
    write(&pair.a, "one", "2");
    pair.sync();
    for path in ["../x", "/etc/passwd", "a/../../x"] {
        let refused = pair.spoke.run(["restore", REL, "one", "--to", path]);
        assert!(refused.code == 1 || refused.code == 2, "{refused:#?}");
        let refused = pair.spoke.run(["why", REL, path]);
        assert!(refused.code == 1 || refused.code == 2, "{refused:#?}");
    }
    assert!(!pair.b.parent().unwrap().join("x").exists());
}

#[test]
fn t33_another_machine_at_a_peers_address_gets_nothing_and_is_named() {
    let mut pair = Pair::two_way(|a| write(a, "one", "1"));
    let address = pair.hub.address().to_owned();
    assert!(pair.hub.stop().success());
    let before = tree(&pair.b);
    let impostor = TestNode::start_with("desk", &address, &[]);
    let folder = impostor.folder("a");
    write(&folder, "one", "of somebody else");
    crate::rig::share(&impostor, REL, &folder, "two-way", &[]);
    eventually("the other key is named", || {
        let status = status(&pair.spoke);
        let message = status["error"]["message"].as_str().unwrap_or_default().to_owned();
        status["state"] == "unknown" && message.contains("key")
    });
    write(&pair.b, "mine", "not for strangers");
    pair.spoke.run(["sync", REL, "--wait"]).exits(6);
    pair.spoke.run(["peer", "ping", "desk"]).exits(1);
    assert!(!folder.join("mine").exists());
    let mut now = tree(&pair.b);
    now.remove(std::path::Path::new("mine"));
    assert_eq!(now, before, "the impostor wrote");
    drop(impostor);
    pair.hub.restart();
    eventually("the true one is known again", || pair.a.join("mine").exists());
}
