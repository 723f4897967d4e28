//! Limits and schedules hold.

use std::time::{Duration, Instant};

use crate::common::eventually;
use crate::common::tree::write;
use crate::rig::{Pair, REL, noise, status};

/// Writes a content at the spoke and returns the seconds until it stands at the hub, and how fast it went in the middle.
fn push_through(pair: &Pair, name: &str, bytes: usize) -> (f64, f64) {
    write(&pair.b, name, noise(bytes as u64, bytes));
    let before = pair.bytes();
    let began = Instant::now();
    let spoke = std::thread::scope(|scope| {
        let sync = scope.spawn(|| pair.sync());
        eventually("it is under way", || pair.bytes() - before > 400_000);
        let (from, bytes) = (Instant::now(), pair.bytes());
        std::thread::sleep(Duration::from_millis(1500));
        let rate = (pair.bytes() - bytes) as f64 / from.elapsed().as_secs_f64();
        sync.join().unwrap();
        rate
    });
    (began.elapsed().as_secs_f64(), spoke)
}

#[test]
fn limit_of_what_is_sent_holds_within_a_tenth_and_is_edited_live() {
    let pair = Pair::by_hand(|_| ());
    pair.spoke.run(["rel", "edit", REL, "--set", "limit.up=1MB/s"]).ok();
    let (seconds, rate) = push_through(&pair, "one", 4_000_000);
    assert!(seconds > 4.0 / 1.1, "{seconds} s for 4 MB at 1 MB/s");
    assert!((0.7e6..1.1e6).contains(&rate), "{rate} bytes per second");
    // An edit holds for the streams that stand.
    pair.spoke.run(["rel", "edit", REL, "--set", "limit.up=2MB/s, 00:00-24:00 500kB/s"]).ok();
    let (seconds, rate) = push_through(&pair, "two", 2_000_000);
    assert!(seconds > 2.0 / 0.55, "{seconds} s for 2 MB at 500 kB/s by the timetable");
    assert!(rate < 0.55e6, "{rate} bytes per second");
    pair.spoke.run(["rel", "edit", REL, "--set", "limit.up=off"]).ok();
    let began = Instant::now();
    write(&pair.b, "three", noise(3, 20_000_000));
    pair.sync();
    assert!(began.elapsed() < Duration::from_secs(30), "a limit holds that was taken away");
}

#[test]
fn hub_and_spoke_say_how_far_a_transfer_is_and_how_fast() {
    let pair = Pair::by_hand(|_| ());
    pair.spoke.run(["rel", "edit", REL, "--set", "limit.up=4MB/s"]).ok();
    // Far more than may be on the way and is counted already.
    write(&pair.b, "film", noise(9, 24_000_000));
    std::thread::scope(|scope| {
        let sync = scope.spawn(|| pair.sync());
        for node in [&pair.spoke, &pair.hub] {
            eventually("it says how far it is", || {
                let told = status(node);
                let progress = &told["progress"];
                told["state"] == "syncing"
                    && progress["bytes_total"] == 24_000_000
                    && progress["bytes_done"].as_u64() < Some(24_000_000)
                    && progress["bytes_per_second"].as_u64().is_some_and(|rate| rate > 100_000)
                    && progress["eta_seconds"].as_u64().is_some_and(|eta| eta > 0)
            });
        }
        sync.join().unwrap();
    });
    for node in [&pair.spoke, &pair.hub] {
        eventually("nothing is under way any more", || status(node)["progress"].is_null());
    }
}

#[test]
fn limit_of_what_is_received_holds_at_the_hub() {
    let pair = Pair::with("two-way", &["trigger=manual", "limit.down=1MB/s"], |_| ());
    write(&pair.b, "one", noise(4, 4_000_000));
    let began = Instant::now();
    pair.sync();
    let seconds = began.elapsed().as_secs_f64();
    assert!(seconds > 4.0 / 1.1, "{seconds} s for 4 MB at 1 MB/s");
    // The other way is not limited.
    write(&pair.a, "two", noise(5, 4_000_000));
    pair.spoke.run(["rel", "edit", REL, "--set", "limit.down=off"]).ok();
    let began = Instant::now();
    pair.sync();
    assert!(began.elapsed().as_secs_f64() < 3.0, "what is sent is limited, too");
}

#[test]
fn schedule_brings_changes_without_a_watcher_and_nothing_before() {
    let pair = Pair::with("two-way", &["trigger=2s"], |a| write(a, "one", "1"));
    write(&pair.b, "two", "2");
    write(&pair.a, "three", "3");
    pair.until_same();
    pair.hub.run(["rel", "edit", REL, "--set", "trigger=1h"]).ok();
    eventually("the spoke has the schedule", || {
        pair.spoke.run(["rel", "show", REL]).ok().stdout.contains("1h")
    });
    // What the edit itself set off comes first.
    pair.sync();
    write(&pair.b, "four", "4");
    std::thread::sleep(Duration::from_secs(2));
    assert!(!pair.a.join("four").exists(), "it travelled before its time");
    pair.sync();
    pair.until_same();
}
