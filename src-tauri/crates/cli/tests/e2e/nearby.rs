//! Nodes find each other on the local network.

use crate::common::tree::write;
use crate::common::{TestNode, eventually};
use crate::lan::Lan;
use crate::rig::{REL, join, share, until_same};

#[test]
fn code_alone_pairs_nodes_on_the_local_network() {
    let lan = Lan::new(&[1, 2, 3]);
    let desk = TestNode::start_in(&lan.machine(1), "desk", "10.77.0.1:22722");
    let nas = TestNode::start_in(&lan.machine(2), "nas", "10.77.0.2:22722");
    let other = TestNode::start_in(&lan.machine(3), "other", "10.77.0.3:22722");
    // Another node offers something else.
    other.json(["pair", "offer", "--no-wait"]);
    let code = desk.json(["pair", "offer", "--no-wait"])["code"].as_str().unwrap().to_owned();
    nas.run(["pair", "accept", &code, "--yes"]).ok();
    let nearby = nas.json(["peer", "nearby"]);
    let nearby = nearby["nearby"].as_array().unwrap();
    let desk_there = nearby.iter().find(|node| node["name"] == "desk").unwrap();
    assert_eq!(desk_there["peer"], "desk", "{desk_there}");
    assert_eq!(desk_there["addresses"][0], "10.77.0.1:22722");
    assert!(nearby.iter().all(|node| node["name"] != "nas"), "a node does not find itself");
    // Used once, it is of no use any more.
    other.run(["pair", "accept", &code, "--yes"]).exits(1).says("none of the nodes there offers it");
}

#[test]
fn peers_find_each_other_again_when_all_addresses_have_changed() {
    let lan = Lan::new(&[1, 2]);
    let mut desk = TestNode::start_in(&lan.machine(1), "desk", "10.77.0.1:22722");
    let mut nas = TestNode::start_in(&lan.machine(2), "nas", "10.77.0.2:22722");
    nas.pair_with(&desk);
    let here = desk.folder("here");
    write(&here, "f", "content");
    share(&desk, REL, &here, "two-way", &[]);
    let there = join(&nas, &desk, REL);
    desk.stop();
    nas.stop();
    lan.address(1, 11);
    lan.address(2, 12);
    desk.move_to("10.77.0.11:22722");
    nas.move_to("10.77.0.12:22722");
    write(&here, "f", "newer");
    desk.restart();
    nas.restart();
    until_same(&here, &there);
    eventually("the new address is noted", || {
        let peers = nas.json(["peer", "list"]);
        peers["peers"][0]["addresses"][0] == "10.77.0.11:22722"
    });
}

#[test]
fn peer_known_by_name_is_found_at_whatever_address_the_name_has() {
    let lan = Lan::new(&[1, 2]);
    // Two addresses, the first of which nobody has.
    lan.hosts(2, "10.77.0.99 desk.test\n10.77.0.1 desk.test\n");
    // Without mDNS, so that it is the name that helps.
    let deaf = [("EVENFOLD_NEARBY", "off")];
    let mut desk = TestNode::start_in_as(&lan.machine(1), "desk", "10.77.0.1:22722", &deaf);
    let mut nas = TestNode::start_in_as(&lan.machine(2), "nas", "10.77.0.2:22722", &deaf);
    let code = desk.json(["pair", "offer", "--no-wait"])["code"].as_str().unwrap().to_owned();
    // The usual port need not be typed.
    nas.run(["pair", "accept", &code, "desk.test", "--yes"]).ok();
    let here = desk.folder("here");
    write(&here, "f", "content");
    share(&desk, REL, &here, "two-way", &[]);
    let there = join(&nas, &desk, REL);
    // Both change their addresses while they are off, several times.
    for address in [11, 21, 31, 41, 51, 61, 71, 81, 91] {
        desk.stop();
        nas.stop();
        lan.address(1, address);
        lan.address(2, address + 1);
        desk.move_to(&format!("10.77.0.{address}:22722"));
        nas.move_to(&format!("10.77.0.{}:22722", address + 1));
        lan.hosts(2, &format!("10.77.0.99 desk.test\n10.77.0.{address} desk.test\n"));
        desk.restart();
        nas.restart();
        write(&here, "f", format!("content at {address}"));
        until_same(&here, &there);
    }
    let addresses = nas.json(["peer", "list"])["peers"][0]["addresses"].take();
    let addresses = addresses.as_array().unwrap();
    assert!(addresses.contains(&"desk.test:22722".into()), "{addresses:?}");
    assert!(addresses.len() <= 8, "{addresses:?}");
}
