//! T13 to T17 and T38: a hub that is full, sources that vanish, hooks that fail, clocks that are wrong, many machines.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::common::tree::write;
use crate::common::{TestNode, eventually};
use crate::couriers::{
    Relay, WAY, With, command, enter, enter_with, holds, ledger, lines, stays, until_state, writes_into,
};
use crate::rig::{noise, partial_bytes, share, status};

const MIB: usize = 1 << 20;

/// A small file system of its own, unmounted when dropped.
struct Small {
    at: PathBuf,
    // Removed after it is unmounted.
    _dir: tempfile::TempDir,
}

impl Small {
    /// `None` where this user may not mount; the scenario then says nothing.
    fn mount(mebibytes: usize) -> Option<Small> {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("small");
        std::fs::create_dir(&at).unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Small { at, _dir: dir });
        }
        eprintln!("skipped: a file system can be mounted by root only");
        None
    }

    fn free(&self) -> u64 {
        let said = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(&self.at).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        said.split_whitespace().map(|number| number.parse::<u64>().unwrap()).product()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Daemons that are still ending may hold it for a moment.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

fn on(small: &Small) -> With<'static> {
    With {
        all: &["reserve=5%", "retention=3s", "parallel=4"],
        root: Some(small.at.clone()),
        ..With::default()
    }
}

#[test]
fn t13_full_hub_keeps_its_reserve_and_the_third_item_follows_by_itself() {
    let Some(small) = Small::mount(100) else { return };
    let relay = Relay::start(on(&small));
    let outside = relay.a.with_extension("outside");
    for (nth, name) in [(1, "one"), (2, "two"), (3, "three")] {
        write(&outside, name, noise(nth, 40 * MIB));
    }
    for name in ["one", "two", "three"] {
        std::fs::rename(outside.join(name), relay.a.join(name)).unwrap();
    }
    let mut waited = false;
    eventually("all three arrive", || {
        assert!(small.free() >= 5 * MIB as u64, "the reserve was touched: {} free", small.free());
        let rows = ledger(&relay.hub, WAY);
        let waiting = rows.iter().filter(|row| row["reason"] == "no space").count();
        assert!(waiting <= 1, "only two were to be admitted, and two at least: {rows:?}");
        // The two that are admitted are on their way, or there, while the third waits.
        waited |= rows.len() == 3 && waiting == 1;
        ["one", "two", "three"].iter().all(|name| relay.b.join(name).exists())
    });
    assert!(waited, "nobody had to wait");
}

#[test]
fn t14_item_that_is_too_big_says_so_and_small_ones_pass() {
    let Some(small) = Small::mount(100) else { return };
    let relay = Relay::start(on(&small));
    let big = std::fs::File::create(relay.a.join("a big one")).unwrap();
    big.set_len(200 * MIB as u64).unwrap();
    for nth in 0..10 {
        write(&relay.a, format!("small {nth}"), noise(nth, 1024));
    }
    let written = std::time::Instant::now();
    eventually("the small ones arrive", || (0..10).all(|nth| relay.b.join(format!("small {nth}")).exists()));
    assert!(written.elapsed() < Duration::from_secs(15), "they took {:?}", written.elapsed());
    eventually("the big one says why it cannot", || {
        ledger(&relay.source, WAY).iter().any(|row| {
            row["path"] == "a big one"
                && row["state"] == "waiting"
                && row["reason"] == "too large for the disk"
        })
    });
    let why = relay.source.run(["why", WAY, "a big one"]);
    assert!(why.stdout.contains("too large"), "{why:#?}");
}

#[test]
fn t15_partial_of_a_vanished_source_is_held_for_its_lease_and_freed() {
    let mut relay = Relay::start(With {
        all: &["lease=5s"],
        // So slow that half of it is surely seen.
        source: vec!["limit.up=10MB/s".to_owned()],
        ..With::default()
    });
    let content = noise(5, 24 * MIB);
    let outside = relay.a.with_extension("outside");
    write(&outside, "x", &content);
    std::fs::rename(outside.join("x"), relay.a.join("x")).unwrap();
    eventually("half of it has arrived", || partial_bytes(&relay.r) > 12 * MIB as u64);
    relay.source.kill9();
    assert!(!relay.r.join("x").exists(), "it was over before the source vanished");
    stays("the part is held", Duration::from_secs(2), || partial_bytes(&relay.r) > 0);
    let endpoints = status(&relay.hub)["endpoints"].clone();
    let source = endpoints.as_array().unwrap().iter().find(|one| one["node"] == "origin").unwrap().clone();
    assert_eq!(source["online"], false, "{endpoints}");
    assert!(source["last_seen"].is_string(), "{endpoints}");
    eventually("the part is freed after the lease", || partial_bytes(&relay.r) == 0);
    until_state(&relay.hub, WAY, "x", &["waiting"]);
    relay.source.restart();
    eventually("it arrives after all", || holds(&relay.b, "x", &content));
}

/// A hook that fails three times for each item, and writes down when it was run under which id.
fn fails_thrice(key: &str, folder: &Path) -> String {
    let script = format!(
        "cd '{}'; echo \"$EVENFOLD_ID $(date +%s%N)\" >> \"tries $1\"; test $(wc -l < \"tries $1\") -gt 3",
        folder.display()
    );
    command(key, ["sh", "-c", &script, "sh", "{name}"])
}

#[test]
fn t16_failing_hook_is_run_again_with_the_same_id_on_both_ends() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let relay = Relay::start(With {
        source: vec![fails_thrice("hook.after_delivery", one.path())],
        destination: vec![fails_thrice("hook.after_arrival", two.path())],
        ..With::default()
    });
    write(&relay.a, "x", "1");
    for dir in [&one, &two] {
        eventually("the hook has succeeded", || lines(&dir.path().join("tries x")).len() == 4);
        let tries = lines(&dir.path().join("tries x"));
        let (ids, times): (Vec<&str>, Vec<i128>) = tries
            .iter()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(id, nanos)| (id, nanos.parse::<i128>().unwrap()))
            .unzip();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        // The pauses grow: about 1, 2 and 4 s, each shortened by half at most.
        for (pair, least) in times.windows(2).zip([500, 1000, 2000]) {
            assert!(pair[1] - pair[0] >= least * 1_000_000, "{times:?}");
        }
    }
    for node in [&relay.source, &relay.hub, &relay.destination] {
        until_state(node, WAY, "x", &["finalised", "released"]);
    }
    stays("it is not run again", Duration::from_secs(3), || {
        lines(&one.path().join("tries x")).len() == 4 && lines(&two.path().join("tries x")).len() == 4
    });
    assert!(holds(&relay.b, "x", b"1"));
}

#[test]
fn t16_hook_that_hangs_is_killed_and_holds_up_nobody_on_both_ends() {
    let outside = tempfile::tempdir().unwrap();
    let (sent, arrived) = (outside.path().join("sent"), outside.path().join("arrived"));
    let hook = |key, log: &Path| {
        let script = format!("test \"$1\" = hangs && sleep 60; echo \"$1\" >> '{}'", log.display());
        command(key, ["sh", "-c", &script, "sh", "{name}"])
    };
    let relay = Relay::start(With {
        source: vec![hook("hook.after_delivery", &sent), "hook.timeout=2s".to_owned()],
        destination: vec![hook("hook.after_arrival", &arrived), "hook.timeout=2s".to_owned()],
        ..With::default()
    });
    for name in ["hangs", "passes", "too"] {
        write(&relay.a, name, name);
    }
    for (node, log) in [(&relay.source, &sent), (&relay.destination, &arrived)] {
        eventually("the others are done", || lines(log).len() == 2);
        eventually("the failure is shown", || {
            ledger(node, WAY).iter().any(|row| {
                row["path"] == "hangs"
                    && row["hook_error"].as_str().is_some_and(|error| error.contains("killed"))
            })
        });
        assert!(!lines(log).contains(&"hangs".to_owned()));
        until_state(node, WAY, "hangs", &["finalised", "released"]);
    }
    assert!(holds(&relay.b, "hangs", b"hangs"));
}

#[test]
fn t17_wrong_clocks_change_nothing_and_are_told() {
    let mut relay = Relay::start(With::default());
    relay.source.kill9();
    relay.source.restart_with("EVENFOLD_TEST_CLOCK", &(3 * 24 * 3600).to_string());
    relay.destination.kill9();
    relay.destination.restart_with("EVENFOLD_TEST_CLOCK", &(-24 * 3600).to_string());
    write(&relay.a, "x", "1");
    eventually("it arrives", || holds(&relay.b, "x", b"1"));
    let delivered = std::time::Instant::now();
    eventually("it is released", || !relay.r.join("x").exists());
    let kept = delivered.elapsed();
    assert!(kept > Duration::from_secs(4) && kept < Duration::from_secs(60), "{kept:?}");
    until_state(&relay.source, WAY, "x", &["released"]);
    std::fs::remove_file(relay.b.join("x")).unwrap();
    stays("it is not sent again", Duration::from_secs(3), || !relay.b.join("x").exists());
    for node in [&relay.source, &relay.destination] {
        let error = status(node)["error"].clone();
        assert_eq!(error["code"], "clock", "{error}");
    }
}

#[test]
fn t38_two_origins_with_one_name_are_never_mixed() {
    let relay = Relay::start(With::default());
    let other = TestNode::start("another");
    other.pair_with(&relay.hub);
    let a2 = enter(&other, &relay.hub, WAY, "source", &[]);
    write(&relay.a, "same.dat", "of the first");
    until_state(&relay.source, WAY, "same.dat", &["finalised", "released"]);
    write(&a2, "same.dat", "of the second");
    eventually("both are there", || {
        holds(&relay.b, "same.dat", b"of the first") && holds(&relay.b, "same (2).dat", b"of the second")
    });
    // A new version finds its own place again.
    until_state(&other, WAY, "same.dat", &["finalised", "released"]);
    write(&a2, "same.dat", "newer of the second");
    eventually("the newer one is there", || holds(&relay.b, "same (2).dat", b"newer of the second"));
    assert!(holds(&relay.b, "same.dat", b"of the first"));
}

#[test]
fn t38_items_go_through_a_chain_of_hubs() {
    let relay = Relay::start(With::default());
    // The destination's folder is the source of the next relay, whose hub and destination are other machines.
    let [hub2, end2] = ["middle2", "end2"].map(TestNode::start);
    relay.destination.pair_with(&hub2);
    end2.pair_with(&hub2);
    let r2 = hub2.folder("r2");
    share(&hub2, "next", &r2, "relay", &["settle=1s", "retention=2s"]);
    enter_with(&relay.destination, &hub2, "next", "source", &[], &relay.b);
    let b2 = enter(&end2, &hub2, "next", "destination", &[]);
    let outside = relay.a.with_extension("outside");
    for nth in 0..20 {
        write(&outside, format!("job/f{nth}"), noise(nth, 5000));
    }
    std::fs::rename(outside.join("job"), relay.a.join("job")).unwrap();
    eventually("it arrives at the end of the chain", || b2.join("job").exists());
    crate::common::tree::assert_same(&relay.a, &b2);
    eventually("the hubs' copies are dropped", || !relay.r.join("job").exists() && !r2.join("job").exists());
    assert!(relay.b.join("job").exists() && b2.join("job").exists());
}

#[test]
fn t38_every_destination_gets_it_and_the_hub_waits_for_all() {
    let outside = tempfile::tempdir().unwrap();
    let sent = outside.path().join("sent");
    let relay = Relay::start(With {
        all: &["retention=1s"],
        source: vec![writes_into("hook.after_delivery", &sent)],
        ..With::default()
    });
    let mut second = TestNode::start("end2");
    second.pair_with(&relay.hub);
    let b2 = enter(&second, &relay.hub, WAY, "destination", &[]);
    second.stop();
    write(&relay.a, "x", "1");
    eventually("the first has it", || holds(&relay.b, "x", b"1"));
    stays("the hub keeps it for the second", Duration::from_secs(4), || relay.r.join("x").exists());
    assert!(lines(&sent).is_empty(), "the hook ran before everybody had it");
    second.restart();
    eventually("the second has it", || holds(&b2, "x", b"1"));
    eventually("the hub drops it", || !relay.r.join("x").exists());
    eventually("the hook runs once", || lines(&sent).len() == 1);
}
