//! The simulator: histories of users, crashes and broken links against every promise of the design.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use evenfold_testkit::disk::Flaw;
use evenfold_testkit::sim::{replay, run, run_many};

/// Histories of the ordinary test run; `sim --histories 1000000` runs more.
const HISTORIES: u64 = 10_000;

#[test]
fn histories_that_went_wrong_once_go_right() {
    for line in include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        let seed = line.split_whitespace().next().unwrap().parse().unwrap();
        if let Err(failure) = run(seed, None) {
            panic!("{line}\n{failure}");
        }
    }
}

#[test]
fn ten_thousand_histories_keep_every_promise() {
    let failures = run_many(0, HISTORIES, None, 3, &|_| {});
    let shown: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", shown.join("\n"));
}

#[test]
fn same_seed_gives_the_same_history() {
    for seed in 0..40 {
        let (first, second) = (replay(seed), replay(seed));
        assert_eq!(first.1, second.1, "seed {seed}");
    }
}

fn is_found(flaw: Flaw, within: u64) {
    let found = run_many(0, within, Some(flaw), 1, &|_| {});
    assert!(!found.is_empty(), "{within} histories did not show {flaw:?}");
}

#[test]
fn exchange_that_loses_a_content_is_found() {
    is_found(Flaw::ExchangeLoses, 100);
}

#[test]
fn rename_that_replaces_is_found() {
    is_found(Flaw::RenameReplaces, 3_000);
}

#[test]
fn disk_that_syncs_nothing_is_found() {
    is_found(Flaw::SyncForgets, 500);
}

#[test]
fn database_that_records_before_the_effect_is_found() {
    is_found(Flaw::RecordedBefore, 1_000);
}
