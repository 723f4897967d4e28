//! Deliveries in the simulator: histories of users, crashes, broken lines and full disks against every promise about
//! send-once and relay.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use evenfold_testkit::sim::delivery::{replay, run, run_many};

/// Histories of the ordinary test run; `sim deliveries --histories 100000` runs more.
const HISTORIES: u64 = 1_000;

#[test]
fn deliveries_that_went_wrong_once_go_right() {
    for line in include_str!("delivery_seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        let seed = line.split_whitespace().next().unwrap().parse().unwrap();
        if let Err(failure) = run(seed) {
            panic!("{line}\n{failure}");
        }
    }
}

#[test]
fn thousand_histories_of_deliveries_keep_every_promise() {
    let failures = run_many(0, HISTORIES, 3, &|_| {});
    let shown: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", shown.join("\n"));
}

#[test]
fn same_seed_gives_the_same_history_of_deliveries() {
    for seed in 0..20 {
        let (first, second) = (replay(seed), replay(seed));
        assert_eq!(first.1, second.1, "seed {seed}");
    }
}
