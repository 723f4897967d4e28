//! T7 and T8: one engine per home, and locks that never outlive their holder.

use std::time::{Duration, Instant};

use crate::common::tree::{assert_same, write};
use crate::common::{LIMIT, finish};
use crate::rig::{Pair, REL, status};

#[test]
fn t07_second_daemon_exits_7_at_once_and_names_the_holder() {
    let node = crate::common::TestNode::start("desk");
    let began = Instant::now();
    let mut quickest = LIMIT;
    // The process has to be started as well, which a busy machine does late: the quickest of a few counts.
    for _ in 0..5 {
        let began = Instant::now();
        let second = node.run(["daemon", "--listen", "127.0.0.1:0"]).exits(7);
        quickest = quickest.min(began.elapsed());
        assert!(second.stderr.contains(&node.process().to_string()), "the holder is not named: {second:#?}");
    }
    assert!(quickest <= Duration::from_secs(1) * slowness(&node), "{quickest:?} of {:?}", began.elapsed());
    node.run(["node", "show"]).ok();
}

/// How much slower than usual processes start here, at least 1: a command that only asks takes some 20 ms.
fn slowness(node: &crate::common::TestNode) -> u32 {
    let began = Instant::now();
    node.run(["node", "show"]).ok();
    u32::try_from(began.elapsed().as_millis() / 100).unwrap().max(1)
}

#[test]
fn t07_single_run_works_beside_a_daemon_and_copies_once() {
    let pair = Pair::by_hand(|a| write(a, "old", "1"));
    write(&pair.a, "new", "2");
    let run = pair.spoke.run(["run", REL, "--once", "--json"]).ok().json();
    assert_eq!((&run["outcome"], &run["files"]), (&"equal".into(), &1.into()), "{run}");
    assert_same(&pair.a, &pair.b);
    let again = pair.spoke.run(["run", REL, "--once", "--json"]).ok().json();
    assert_eq!((&again["files"], &again["bytes"]), (&0.into(), &0.into()), "{again}");
    assert_eq!(status(&pair.spoke)["state"], "in-sync");
}

#[test]
fn t08_single_run_works_at_once_after_the_daemon_was_killed() {
    let mut pair = Pair::two_way(|a| write(a, "old", "1"));
    pair.spoke.kill9();
    write(&pair.a, "new", "2");
    pair.spoke.run(["run", REL, "--once"]).ok();
    assert_same(&pair.a, &pair.b);
    // And another one after it; then the daemon again.
    write(&pair.b, "newer", "3");
    pair.spoke.run(["run", REL, "--once"]).ok();
    assert_same(&pair.a, &pair.b);
    pair.spoke.restart();
    write(&pair.a, "newest", "4");
    pair.until_same();
}

#[test]
fn t08_lock_file_that_names_an_unrelated_process_does_not_block() {
    let mut pair = Pair::two_way(|a| write(a, "old", "1"));
    pair.spoke.kill9();
    std::fs::write(pair.spoke.home().join("daemon.lock"), format!("{}\n", std::process::id())).unwrap();
    write(&pair.a, "new", "2");
    finish(pair.spoke.command().args(["run", REL, "--once"])).ok();
    assert_same(&pair.a, &pair.b);
    pair.spoke.restart();
}
