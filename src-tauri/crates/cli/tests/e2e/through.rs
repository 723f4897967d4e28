//! Two nodes that cannot reach each other are connected through a third, which sees nothing.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::tree::write;
use crate::common::{TestNode, eventually};
use crate::lan::Lan;
use crate::rig::{REL, each_file, join, noise, share, show_if_failed, until_same};

const ALLOWED: (&str, &str) = ("EVENFOLD_FORWARD", "peers");

/// Two nodes behind firewalls, and a hub that both reach.
struct Scene {
    lan: Lan,
    left: TestNode,
    right: TestNode,
    hub: TestNode,
}

impl Scene {
    /// Both ends are paired with the hub, and not with each other.
    #[track_caller]
    fn new(environment: &[(&str, &str)]) -> Scene {
        let lan = Lan::new(&[1, 2, 3]);
        lan.keep_apart(1, true);
        lan.keep_apart(2, true);
        let hub = TestNode::start_in_as(&lan.machine(3), "hub", "10.77.0.3:22722", environment);
        let left = TestNode::start_in(&lan.machine(1), "left", "10.77.0.1:22722");
        let right = TestNode::start_in(&lan.machine(2), "right", "10.77.0.2:22722");
        left.pair_with(&hub);
        right.pair_with(&hub);
        let scene = Scene { lan, left, right, hub };
        for node in [&scene.left, &scene.right] {
            eventually("both are connected with the hub", || peer(&scene.hub, node.name())["online"] == true);
        }
        scene
    }

    fn offer(&self) -> String {
        self.right.json(["pair", "offer", "--no-wait"])["code"].as_str().unwrap().to_owned()
    }

    fn until_way(&self, kind: &str) {
        eventually(&format!("the way is {kind}"), || {
            peer(&self.left, "right")["way"]["kind"] == kind
                && peer(&self.right, "left")["way"]["kind"] == kind
        });
    }
}

fn peer(node: &TestNode, name: &str) -> serde_json::Value {
    let peers = node.json(["peer", "list"])["peers"].take();
    peers.as_array().unwrap().iter().find(|peer| peer["name"] == name).cloned().unwrap_or_default()
}

/// Tells whether the memory of a process holds some bytes.
fn memory_holds(process: u32, wanted: &[u8]) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut memory = std::fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let mut buffer = vec![0; 4 << 20];
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with('r'))) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (mut from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        while from < to {
            let count = usize::try_from(to - from).unwrap().min(buffer.len());
            // Parts that the kernel keeps to itself cannot be read.
            let read =
                memory.seek(SeekFrom::Start(from)).and_then(|_| memory.read_exact(&mut buffer[..count]));
            if read.is_ok() && contains(&buffer[..count], wanted) {
                return true;
            }
            // Pieces overlap, so that nothing is missed where two meet.
            from += if count < buffer.len() { count as u64 } else { (count - wanted.len()) as u64 };
        }
    }
    false
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    let first = wanted[0];
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        if rest.starts_with(wanted) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

fn any_file_holds(folder: &Path, wanted: &[u8]) -> bool {
    let mut found = false;
    each_file(folder, &mut |path| found |= std::fs::read(path).is_ok_and(|bytes| contains(&bytes, wanted)));
    found
}

#[test]
fn nodes_without_a_route_sync_through_a_third_that_sees_nothing_and_directly_once_they_can() {
    let mut scene = Scene::new(&[ALLOWED]);
    let code = scene.offer();
    // Pairing itself goes through the hub, too.
    scene.left.run(["pair", "accept", &code, "via:hub", "--yes"]).ok().says("Paired with right");
    scene.until_way("through");
    let here = scene.right.folder("here");
    // Bytes that nothing compresses, so that they would be found as they are.
    let secret = noise(77, 3_000_000);
    write(&here, "secret", &secret);
    write(&here, "d/text", "words");
    share(&scene.right, REL, &here, "two-way", &[]);
    let there = join(&scene.left, &scene.right, REL);
    until_same(&here, &there);
    write(&there, "d/text", "other words");
    until_same(&here, &there);
    show_if_failed([(&scene.right, &*here), (&scene.left, &*there)]);

    // It is told at both ends, for people and programs.
    for (node, other) in [(&scene.left, "right"), (&scene.right, "left")] {
        let shown = peer(node, other);
        assert_eq!(
            (&shown["way"]["kind"], &shown["way"]["note"]),
            (&"through".into(), &"hub".into()),
            "{shown}"
        );
        assert!(shown["addresses"].as_array().unwrap().contains(&"via:hub".into()), "{shown}");
        let status = node.run(["status"]).ok().stdout;
        assert!(status.contains("online, through hub"), "{status}");
        let shown = node.run(["peer", "show", other]).ok().stdout;
        assert!(shown.contains("through hub, which cannot read what passes"), "{shown}");
    }

    // The hub passed it all on, and has none of it.
    let (middle, canary) = (scene.hub.process(), &secret[1_000_000..1_000_032]);
    assert!(scene.hub.log_tail().contains("two machines are connected through this one"));
    assert_eq!(scene.hub.json(["rel", "list"])["relationships"].as_array().unwrap().len(), 0);
    assert!(
        memory_holds(middle, b"two machines are connected through this one"),
        "the search finds what is there"
    );
    assert!(!memory_holds(middle, canary), "the hub's memory holds what passed");
    assert!(!any_file_holds(&scene.hub.home(), canary), "the hub's home holds what passed");
    assert!(any_file_holds(&there, canary), "the search finds what is there");
    let sent = |node: &TestNode| node.json(["peer", "ping", "hub"])["bytes_sent"].as_u64().unwrap();
    assert!(sent(&scene.right) > 3_000_000, "it was the hub that carried the content");

    // The direct way is taken as soon as there is one, and left when there is none.
    scene.lan.keep_apart(1, false);
    scene.lan.keep_apart(2, false);
    scene.until_way("direct");
    write(&here, "direct", "1");
    until_same(&here, &there);
    scene.lan.keep_apart(1, true);
    scene.lan.keep_apart(2, true);
    scene.left.kill9();
    scene.right.kill9();
    scene.right.restart();
    scene.left.restart();
    write(&here, "through again", "2");
    until_same(&here, &there);
    scene.until_way("through");

    // When the hub lets one of them go, the way ends.
    scene.hub.run(["peer", "remove", "left"]).ok();
    eventually("the way has ended", || peer(&scene.left, "right")["online"] == false);
    assert_eq!(peer(&scene.right, "left")["online"], false);
}

#[test]
fn hub_connects_nobody_unless_its_owner_says_so_and_no_stranger_ever() {
    let mut scene = Scene::new(&[]);
    let code = scene.offer();
    let refused = scene.left.run(["pair", "accept", &code, "via:hub", "--yes"]).exits(1);
    refused.says("hub does not connect other machines through itself").says("forward = \"peers\"");
    assert_eq!(scene.left.json(["peer", "list"])["peers"].as_array().unwrap().len(), 1);

    // They pair while they can, and are kept apart again.
    scene.lan.keep_apart(1, false);
    scene.lan.keep_apart(2, false);
    scene.left.pair_with(&scene.right);
    scene.lan.keep_apart(1, true);
    scene.lan.keep_apart(2, true);
    scene.left.run(["peer", "via", "right", "hub"]).exits(1).says("does not connect other machines");
    scene.left.run(["peer", "via", "right", "right"]).exits(2).says("through itself");
    scene.left.run(["peer", "via", "right", "nobody"]).exits(1).says("no paired machine is called 'nobody'");
    scene.left.run(["peer", "via", "right", "--off"]).exits(1).says("is not reached through another machine");

    // The owner allows it, but the hub does not know the other machine any more.
    scene.hub.stop();
    scene.hub.restart_with(ALLOWED.0, ALLOWED.1);
    eventually("left is back", || peer(&scene.hub, "left")["online"] == true);
    scene.hub.run(["peer", "remove", "right"]).ok();
    scene.left.run(["peer", "via", "right", "hub"]).ok();
    // What stood directly is dead and is not known to be; after a restart there is nothing.
    scene.left.kill9();
    scene.right.kill9();
    scene.right.restart();
    scene.left.restart();
    eventually("the hub refuses", || {
        let ping = scene.left.run(["peer", "ping", "right"]);
        ping.code == 1 && ping.stderr.contains("the other machine is not connected to hub")
    });
    assert_eq!(peer(&scene.right, "left")["online"], false);
    let log = scene.hub.log_tail();
    assert!(log.contains("a connection was not passed on"), "{log}");
    // Strangers get nothing either: a node that the hub does not know cannot even ask.
    scene.right.run(["pair", "accept", &code, "via:hub", "--yes"]).exits(1);
}

#[test]
fn hub_passes_on_no_faster_than_its_owner_allows() {
    let scene = Scene::new(&[ALLOWED, ("EVENFOLD_FORWARD_LIMIT", "2MB/s")]);
    let code = scene.offer();
    scene.left.run(["pair", "accept", &code, "via:hub/right", "--yes"]).ok();
    let here = scene.right.folder("here");
    write(&here, "large", noise(5, 10_000_000));
    share(&scene.right, REL, &here, "mirror", &[]);
    let began = Instant::now();
    let there = join(&scene.left, &scene.right, REL);
    until_same(&here, &there);
    let took = began.elapsed();
    assert!(took > Duration::from_millis(4500), "10 MB at 2 MB/s within {took:?}");
}
