//! T5, T36 and T37 for deliveries: whoever is killed in the middle of an item, or whichever line is cut, it goes on where it
//! was, arrives once, and nothing partial is ever seen under its name; the numbers that are shown only grow.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{LIMIT, TestNode, eventually};
use crate::couriers::{Relay, WAY, With, enter, holds, ledger, lines, stays, until_state, writes_into};
use crate::lan::Row;
use crate::rig::{noise, partial_bytes, share, show_if_failed, status};

/// The scenario's item has 500 MiB at 20 MB/s; the same proportions take a tenth of the time.
const LEN: usize = 50 << 20;
const RATE: &str = "limit.up=20MB/s";

/// What may travel twice, chatter included.
const TWICE: u64 = LEN as u64 / 10;

/// Puts an item into a folder at once, by rename, and returns its content.
fn put(folder: &Path, name: &str, seed: u64) -> Vec<u8> {
    let content = noise(seed, LEN);
    let aside = folder.with_extension("writing");
    std::fs::write(&aside, &content).unwrap();
    std::fs::rename(&aside, folder.join(name)).unwrap();
    content
}

/// Waits until two fifths of the item have arrived in a folder, and looks that it is not seen there before.
#[track_caller]
fn until_two_fifths(to: &Path, name: &str) -> u64 {
    let began = Instant::now();
    loop {
        let part = partial_bytes(to);
        assert!(!to.join(name).exists(), "{name} is there already: the rate does not hold");
        if part >= LEN as u64 * 2 / 5 {
            return part;
        }
        assert!(began.elapsed() < LIMIT, "only {part} bytes of {name} arrive");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What is shown of a relationship while something goes on: numbers that may only grow, words that are known.
#[derive(Default)]
struct Shown {
    files: u64,
    bytes: u64,
    total: u64,
    seen: usize,
}

const STATES: [&str; 8] =
    ["scanning", "syncing", "differs", "in-sync", "waiting", "unknown", "held", "paused"];
const DELIVERY_STATES: [&str; 13] = [
    "settling",
    "ready",
    "reserved",
    "transferring",
    "verifying",
    "delivered",
    "acknowledged",
    "finalised",
    "released",
    "waiting",
    "retrying",
    "quarantined",
    "skipped",
];

impl Shown {
    /// Looks once more; a node that does not answer because it was killed shows nothing.
    #[track_caller]
    fn look(&mut self, node: &TestNode) {
        let status = status(node);
        let state = status["state"].as_str().unwrap();
        assert!(STATES.contains(&state), "{status}");
        for (state, count) in status["deliveries"].as_object().unwrap() {
            assert!(DELIVERY_STATES.contains(&&**state) && count.as_u64().unwrap() > 0, "{status}");
        }
        let progress = &status["progress"];
        if progress.is_null() {
            return;
        }
        let number = |key: &str| progress[key].as_u64().unwrap();
        let (files, bytes, total) = (number("files_done"), number("bytes_done"), number("bytes_total"));
        assert!(number("files_total") == 1 && total == LEN as u64, "{status}");
        assert!(files <= 1 && bytes <= total, "{status}");
        assert!(
            files >= self.files && bytes >= self.bytes,
            "numbers fell from {} files, {} bytes: {status}",
            self.files,
            self.bytes
        );
        (self.files, self.bytes, self.total) = (files, bytes, total);
        self.seen += 1;
    }
}

/// Bytes of the present connection between two nodes, as the first counts them; `None` while there is none.
fn travelled(node: &TestNode, peer: &TestNode) -> Option<u64> {
    let ping = node.run(["peer", "ping", peer.name(), "--json"]);
    let ping: Value = serde_json::from_str(&ping.stdout).ok()?;
    Some(ping["bytes_sent"].as_u64()? + ping["bytes_received"].as_u64()?)
}

/// Where the item is when somebody dies.
#[derive(Clone, Copy, PartialEq)]
enum Hop {
    /// On its way to the hub.
    First,
    /// On its way to the destination.
    Second,
}

#[derive(Clone, Copy, PartialEq)]
enum Victim {
    Source,
    Hub,
    Destination,
}

/// Kills a node when two fifths of an item are over a hop, and sees it arrive all the same.
fn killed(hop: Hop, victim: Victim) {
    let outside = tempfile::tempdir().unwrap();
    let (sent, arrived) = (outside.path().join("sent"), outside.path().join("arrived"));
    let mut relay = Relay::start(With {
        all: &[RATE, "retention=60s"],
        source: vec![RATE.to_owned(), writes_into("hook.after_delivery", &sent)],
        destination: vec![writes_into("hook.after_arrival", &arrived)],
        ..With::default()
    });
    let content = put(&relay.a, "x", 5);
    let receiving = if hop == Hop::First { relay.r.clone() } else { relay.b.clone() };
    if hop == Hop::Second {
        until_whole(&relay.r, "x", &content, || ());
    }
    until_two_fifths(&receiving, "x");
    let node = match victim {
        Victim::Source => &mut relay.source,
        Victim::Hub => &mut relay.hub,
        Victim::Destination => &mut relay.destination,
    };
    node.kill9();
    let part = partial_bytes(&receiving);
    assert!(!receiving.join("x").exists(), "it was over before the kill");
    node.restart();
    let member = if hop == Hop::First { &relay.source } else { &relay.destination };
    // Whoever died had no part in the hop: the line goes on carrying it.
    let concerned = victim == Victim::Hub || (victim == Victim::Source) == (hop == Hop::First);
    let (mut shown, mut rest) = (Shown::default(), 0);
    until_whole(&receiving, "x", &content, || {
        shown.look(member);
        rest = travelled(member, &relay.hub).unwrap_or(rest);
    });
    rest = travelled(member, &relay.hub).unwrap_or(rest);
    assert!(shown.seen > 0, "no progress was shown");
    let left = LEN as u64 - part;
    assert!(
        !concerned || rest <= left + TWICE,
        "{rest} bytes travelled although only {left} were left to be sent"
    );
    until_whole(&relay.b, "x", &content, || ());
    for (node, log) in [(&relay.source, &sent), (&relay.destination, &arrived)] {
        until_state(node, WAY, "x", &["finalised"]);
        eventually("its hook has run", || !lines(log).is_empty());
    }
    stays("hooks run once", Duration::from_secs(2), || lines(&sent).len() == 1 && lines(&arrived).len() == 1);
    assert_eq!((partial_bytes(&relay.r), partial_bytes(&relay.b)), (0, 0), "something was left over");
    for node in [&relay.source, &relay.hub, &relay.destination] {
        assert_eq!(ledger(node, WAY).len(), 1);
    }
}

/// Waits until an item stands in a folder, whole from the first moment on.
#[track_caller]
fn until_whole(folder: &Path, name: &str, content: &[u8], mut meanwhile: impl FnMut()) {
    let began = Instant::now();
    while !folder.join(name).exists() {
        assert!(began.elapsed() < LIMIT, "{name} does not arrive in {}", folder.display());
        meanwhile();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(holds(folder, name, content), "{name} is not what was sent");
}

#[test]
fn t05_source_of_a_relay_killed_on_the_first_hop_resumes() {
    killed(Hop::First, Victim::Source);
}

#[test]
fn t05_hub_of_a_relay_killed_on_the_first_hop_resumes() {
    killed(Hop::First, Victim::Hub);
}

#[test]
fn t05_hub_of_a_relay_killed_on_the_second_hop_resumes() {
    killed(Hop::Second, Victim::Hub);
}

#[test]
fn t05_destination_of_a_relay_killed_on_the_second_hop_resumes() {
    killed(Hop::Second, Victim::Destination);
}

#[test]
fn t05_source_of_a_relay_killed_on_the_second_hop_is_not_missed() {
    killed(Hop::Second, Victim::Source);
}

/// A source that shares and a destination that joined.
struct Sending {
    source: TestNode,
    destination: TestNode,
    a: PathBuf,
    b: PathBuf,
}

impl Drop for Sending {
    fn drop(&mut self) {
        show_if_failed([(&self.source, &*self.a), (&self.destination, &*self.b)]);
    }
}

#[track_caller]
fn sent_once_although_killed(victim_is_source: bool) {
    let outside = tempfile::tempdir().unwrap();
    let arrived = outside.path().join("arrived");
    let [source, destination] = ["origin", "end"].map(TestNode::start);
    destination.pair_with(&source);
    let a = source.folder("a");
    share(&source, WAY, &a, "send-once", &["settle=1s", RATE]);
    let hook = [writes_into("hook.after_arrival", &arrived)];
    let b = enter(&destination, &source, WAY, "destination", &hook);
    let mut sending = Sending { source, destination, a, b };
    let content = put(&sending.a, "x", 6);
    until_two_fifths(&sending.b, "x");
    let victim = if victim_is_source { &mut sending.source } else { &mut sending.destination };
    victim.kill9();
    let part = partial_bytes(&sending.b);
    assert!(!sending.b.join("x").exists(), "it was over before the kill");
    victim.restart();
    let (mut shown, mut rest) = (Shown::default(), 0);
    until_whole(&sending.b, "x", &content, || {
        shown.look(&sending.destination);
        rest = travelled(&sending.destination, &sending.source).unwrap_or(rest);
    });
    rest = travelled(&sending.destination, &sending.source).unwrap_or(rest);
    let left = LEN as u64 - part;
    assert!(rest <= left + TWICE, "{rest} bytes travelled although only {left} were left to be sent");
    assert!(shown.seen > 0, "no progress was shown");
    until_state(&sending.source, WAY, "x", &["finalised"]);
    eventually("its hook has run", || !lines(&arrived).is_empty());
    stays("the hook runs once", Duration::from_secs(2), || lines(&arrived).len() == 1);
    assert_eq!(partial_bytes(&sending.b), 0, "something was left over");
    assert_eq!(ledger(&sending.source, WAY).len(), 1);
}

#[test]
fn t05_source_of_send_once_killed_in_the_middle_resumes() {
    sent_once_although_killed(true);
}

#[test]
fn t05_destination_of_send_once_killed_in_the_middle_resumes() {
    sent_once_although_killed(false);
}

/// How long the line is cut; the scenario says 60 s, which changes nothing but the time the test takes.
const CUT: Duration = Duration::from_secs(12);

/// Cuts the line of one hop in mid-file for a while.
#[track_caller]
fn cut(hop: Hop) {
    let Some(row) = Row::new() else { return };
    let hub = TestNode::start_in(&row.machine("m"), "middle", "0.0.0.0:22722");
    let source = TestNode::start_in(&row.machine("a"), "origin", "10.78.1.1:22722");
    let destination = TestNode::start_in(&row.machine("b"), "end", "10.78.2.1:22722");
    for (node, address) in [(&source, "10.78.1.2:22722"), (&destination, "10.78.2.2:22722")] {
        let code = hub.json(["pair", "offer", "--no-wait"])["code"].as_str().unwrap().to_owned();
        node.run(["pair", "accept", &code, address, "--yes"]).ok();
    }
    let with = With { all: &[RATE, "retention=60s"], source: vec![RATE.to_owned()], ..With::default() };
    let relay = Relay::over([source, hub, destination], with);
    let content = put(&relay.a, "x", 7);
    let (receiving, which) = if hop == Hop::First { (relay.r.clone(), "a") } else { (relay.b.clone(), "b") };
    until_two_fifths(&receiving, "x");
    row.line(which, false);
    std::thread::sleep(CUT);
    let part = partial_bytes(&receiving);
    assert!(part >= LEN as u64 * 2 / 5, "what had arrived was given up: {part} bytes are left");
    assert!(!receiving.join("x").exists(), "it was over before the cut");
    row.line(which, true);
    let member = if hop == Hop::First { &relay.source } else { &relay.destination };
    let before = travelled(member, &relay.hub);
    until_whole(&receiving, "x", &content, || ());
    let after = travelled(member, &relay.hub).unwrap_or(0);
    // The connection may have outlived the cut, or be a new one.
    let rest = before.filter(|before| *before <= after).map_or(after, |before| after - before);
    let left = LEN as u64 - part;
    assert!(rest <= left + TWICE, "{rest} bytes travelled although only {left} were left to be sent");
    until_whole(&relay.b, "x", &content, || ());
    until_state(&relay.source, WAY, "x", &["finalised"]);
}

#[test]
fn t37_line_to_the_hub_cut_in_mid_file_resumes() {
    cut(Hop::First);
}

#[test]
fn t37_line_from_the_hub_cut_in_mid_file_resumes() {
    cut(Hop::Second);
}
