//! T1 to T4: items go from a source through a hub to a destination, whole, and hooks run only for what was meant.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::common::tree::{assert_same, write};
use crate::common::{TestNode, eventually};
use crate::couriers::{Relay, WAY, With, command, holds, ledger, lines, stays, writes_into};
use crate::lan::Row;
use crate::rig::{bytes, noise};

/// The scenario's own times.
const TIMES: [&str; 2] = ["settle=2s", "retention=10s"];

/// An item goes from A over R to B: in time, moved away by A's hook, dropped at R when its time has come.
#[track_caller]
fn relayed(start: impl FnOnce(With<'_>) -> Relay) -> Relay {
    let outside = tempfile::tempdir().unwrap();
    let done = outside.path().join("done");
    std::fs::create_dir(&done).unwrap();
    let arrived = outside.path().join("arrived");
    let relay = start(With {
        all: &TIMES,
        source: vec![command(
            "hook.after_delivery",
            ["mv", "--", "{path}", &format!("{}/{{name}}", done.display())],
        )],
        destination: vec![writes_into("hook.after_arrival", &arrived)],
        ..With::default()
    });
    let content = noise(1, 5 << 20);
    write(&relay.a, "01.dat", &content);
    let written = Instant::now();
    eventually("it arrives", || holds(&relay.b, "01.dat", &content));
    let delivered = Instant::now();
    assert!(written.elapsed() < Duration::from_secs(15), "it took {:?}", written.elapsed());
    eventually("its source's hook has moved it away", || holds(&done, "01.dat", &content));
    let mut held = delivered.elapsed();
    eventually("the hub's copy is dropped", || {
        let there = relay.r.join("01.dat").exists();
        held = delivered.elapsed();
        !there
    });
    let allowed = Duration::from_secs(7)..Duration::from_secs(13);
    assert!(allowed.contains(&held), "the hub kept it for {held:?} after delivery");
    eventually("the destination's hook has run", || lines(&arrived).len() == 1);
    // Nothing is sent again, nothing is deleted elsewhere, nobody dialled past the hub.
    stays("it stays at the destination", Duration::from_secs(2), || holds(&relay.b, "01.dat", &content));
    assert_eq!(lines(&arrived).len(), 1);
    assert!(!relay.a.join("01.dat").exists() && !relay.r.join("01.dat").exists());
    for (node, other) in [(&relay.source, &relay.destination), (&relay.destination, &relay.source)] {
        let peers = node.json(["peer", "list"]).to_string();
        assert!(!peers.contains(other.name()), "{peers}");
    }
    // All nodes tell the same of it.
    for node in [&relay.source, &relay.hub, &relay.destination] {
        let rows = ledger(node, WAY);
        assert_eq!(rows.len(), 1, "{} {rows:?}", node.name());
        assert_eq!(
            (&rows[0]["state"], &rows[0]["origin"]),
            (&"released".into(), &"origin".into()),
            "{rows:?}"
        );
    }
    relay
}

#[test]
fn t01_item_is_relayed_moved_by_its_hook_and_released_at_the_hub() {
    relayed(Relay::start);
}

#[test]
fn t01_item_is_relayed_between_machines_that_have_no_way_to_each_other() {
    let Some(row) = Row::new() else { return };
    let hub = TestNode::start_in(&row.machine("m"), "middle", "0.0.0.0:22722");
    let source = TestNode::start_in(&row.machine("a"), "origin", "10.78.1.1:22722");
    let destination = TestNode::start_in(&row.machine("b"), "end", "10.78.2.1:22722");
    for (node, address) in [(&source, "10.78.1.2:22722"), (&destination, "10.78.2.2:22722")] {
        let code = hub.json(["pair", "offer", "--no-wait"])["code"].as_str().unwrap().to_owned();
        node.run(["pair", "accept", &code, address, "--yes"]).ok();
    }
    assert!(row.reaches("a", "10.78.1.2") && row.reaches("b", "10.78.2.2"));
    let relay = relayed(|with| Relay::over([source, hub, destination], with));
    assert!(!row.reaches("a", "10.78.2.1") && !row.reaches("b", "10.78.1.1"), "there is a way past the hub");
    drop(relay);
}

#[test]
fn t02_folder_appears_whole_with_its_empty_folders() {
    let relay = Relay::start(With::default());
    let outside = relay.a.with_extension("outside");
    for nth in 0..200 {
        write(&outside, format!("job/one/{}/f{nth}", nth % 3), noise(nth, 2000));
    }
    std::fs::create_dir(outside.join("job/void")).unwrap();
    std::fs::rename(outside.join("job"), relay.a.join("job")).unwrap();
    eventually("the folder is there", || {
        let there = relay.b.join("job").exists();
        if there {
            assert_same(&relay.a, &relay.b);
        }
        there
    });
    assert!(relay.b.join("job/void").is_dir());
}

#[test]
fn t03_change_within_a_unit_travels_again() {
    let relay = Relay::start(With::default());
    write(&relay.a, "job/one", "1");
    write(&relay.a, "job/two", "2");
    eventually("the folder is there", || relay.b.join("job/one").exists());
    std::fs::rename(relay.a.join("job/one"), relay.a.join("job/x")).unwrap();
    eventually("the new name is there", || relay.b.join("job/x").exists());
    eventually("the old name is gone", || !relay.b.join("job/one").exists());
    assert_same(&relay.a, &relay.b);
}

#[test]
fn t04_item_that_is_still_written_is_not_offered_before_it_holds_still_and_travels_once() {
    let relay = Relay::start(With { all: &["settle=2s", "retention=60s"], ..With::default() });
    let content = noise(8, 8 << 20);
    let known = || ledger(&relay.hub, WAY).iter().any(|row| row["path"] == "big");
    let before = bytes(&relay.source, &relay.hub);
    let mut file = std::fs::File::create(relay.a.join("big")).unwrap();
    let mut latest = Instant::now();
    // Eight seconds at 1 MiB/s.
    for piece in content.chunks(256 << 10) {
        file.write_all(piece).unwrap();
        latest = Instant::now();
        std::thread::sleep(Duration::from_millis(250));
        assert!(!known(), "it was offered while it was being written");
    }
    drop(file);
    eventually("it is offered", || {
        let offered = known();
        let quiet = latest.elapsed();
        assert!(!offered || quiet >= Duration::from_millis(1900), "it was offered after {quiet:?} of quiet");
        offered
    });
    eventually("the whole arrives", || holds(&relay.b, "big", &content));
    let travelled = bytes(&relay.source, &relay.hub) - before;
    assert!(travelled < 9 << 20, "{travelled} bytes travelled for one transfer of 8 MiB");
    assert_eq!(ledger(&relay.hub, WAY).len(), 1, "there was another version");
}

#[test]
fn t04_final_version_of_what_paused_while_written_arrives_and_no_hook_runs_for_the_first() {
    let outside = tempfile::tempdir().unwrap();
    let (sent, arrived) = (outside.path().join("sent"), outside.path().join("arrived"));
    let relay = Relay::start(With {
        all: &["settle=2s"],
        source: vec![writes_into("hook.after_delivery", &sent)],
        destination: vec![writes_into("hook.after_arrival", &arrived)],
        ..With::default()
    });
    let content = noise(7, 6 << 20);
    let mut file = std::fs::File::create(relay.a.join("big")).unwrap();
    let (first, second) = content.split_at(3 << 20);
    for half in [first, second] {
        for piece in half.chunks(256 << 10) {
            file.write_all(piece).unwrap();
            assert!(lines(&sent).is_empty() && lines(&arrived).is_empty());
            std::thread::sleep(Duration::from_millis(200));
        }
        if half == first {
            // Long enough that the first half may be taken for the whole.
            std::thread::sleep(Duration::from_secs(3));
        }
    }
    drop(file);
    eventually("the whole arrives", || holds(&relay.b, "big", &content));
    eventually("hooks run", || !lines(&sent).is_empty() && !lines(&arrived).is_empty());
    assert_eq!((lines(&sent).len(), lines(&arrived).len()), (1, 1));
}

#[test]
fn t12_damaged_copy_at_the_hub_never_arrives_and_is_fetched_again() {
    let outside = tempfile::tempdir().unwrap();
    let sent = outside.path().join("sent");
    let mut relay =
        Relay::start(With { source: vec![writes_into("hook.after_delivery", &sent)], ..With::default() });
    relay.destination.stop();
    let content = noise(3, 3 << 20);
    write(&relay.a, "x", &content);
    eventually("the hub has it", || {
        ledger(&relay.hub, WAY).iter().any(|row| row["path"] == "x" && row["at_hub"] == true)
    });
    crate::rig::alter_keeping_time(&relay.r.join("x"));
    eventually("the hub has a good copy again", || holds(&relay.r, "x", &content));
    assert!(lines(&sent).is_empty());
    let history = relay.hub.json(["history", WAY, "--kind", "quarantine"]);
    assert!(!history["history"].as_array().unwrap().is_empty(), "{history}");
    relay.destination.restart();
    eventually("it arrives", || {
        let found = std::fs::read(relay.b.join("x"));
        assert!(found.as_ref().map_or(true, |found| *found == content), "a damaged copy is visible");
        found.is_ok()
    });
    eventually("the hook runs once", || lines(&sent).len() == 1);
}

#[test]
fn t36_states_go_forwards_and_are_seen_on_every_node() {
    let relay = Relay::start(With::default());
    const ORDER: [&str; 10] = [
        "",
        "settling",
        "ready",
        "reserved",
        "transferring",
        "verifying",
        "delivered",
        "acknowledged",
        "finalised",
        "released",
    ];
    write(&relay.a, "x", noise(9, 8 << 20));
    let mut last = [0; 3];
    eventually("everybody says that it is released", || {
        for (nth, node) in [&relay.source, &relay.hub, &relay.destination].into_iter().enumerate() {
            let state = crate::couriers::state_of(node, WAY, "x");
            let at = ORDER.iter().position(|known| *known == state);
            let at = at.unwrap_or_else(|| panic!("{state} at {}", node.name()));
            assert!(at >= last[nth], "{state} after {} at {}", ORDER[last[nth]], node.name());
            last[nth] = at;
        }
        last == [9; 3]
    });
    for node in [&relay.source, &relay.hub, &relay.destination] {
        let status = crate::rig::status(node);
        assert_eq!(status["state"], "in-sync", "{status}");
        assert_eq!(status["deliveries"]["released"], 1, "{status}");
    }
}
