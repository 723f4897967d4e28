//! Settings have their effect in relationships that keep folders identical, live, or are refused.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::tree::write;
use crate::common::{TestNode, eventually};
use crate::couriers::{command, holds, lines, writes_into};
use crate::rig::{Pair, REL, alter_keeping_time, noise, status};

#[track_caller]
fn set(node: &TestNode, setting: &str) {
    node.run(["rel", "edit", REL, "--set", setting]).ok();
}

fn reasons(node: &TestNode, path: &str) -> Vec<String> {
    let why: serde_json::Value =
        serde_json::from_str(&node.run(["why", REL, path, "--json"]).stdout).unwrap();
    let endpoints = why["endpoints"].as_array().unwrap();
    endpoints.iter().map(|one| one["reason"].as_str().unwrap().to_owned()).collect()
}

/// The paths for which a hook ran, in order.
fn names(log: &Path) -> Vec<String> {
    let words = lines(log);
    words.iter().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[test]
fn t04_two_way_waits_until_a_file_holds_still() {
    let pair = Pair::two_way(|a| write(a, "old", "1"));
    set(&pair.hub, "settle=4s");
    let mut file = std::fs::File::create(pair.a.join("growing")).unwrap();
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    for nth in 0..60 {
        file.write_all(&noise(nth, 1000)).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        longest = longest.max(last.elapsed());
        last = Instant::now();
        // Should this machine have stood still for so long, it did hold still.
        assert!(longest > Duration::from_secs(3) || !pair.b.join("growing").exists(), "sent while it grew");
    }
    drop(file);
    eventually("it is said what it waits for", || {
        reasons(&pair.spoke, "growing").contains(&"settling".into())
    });
    assert_eq!(status(&pair.spoke)["problems"], 0);
    // A command waits for it.
    pair.sync();
    assert_eq!(std::fs::metadata(pair.b.join("growing")).unwrap().len(), 60_000);
    // A deletion holds still as well, and without the setting nothing does.
    set(&pair.hub, "settle=default");
    std::fs::remove_file(pair.b.join("old")).unwrap();
    eventually("the deletion arrives", || !pair.a.join("old").exists());
}

#[test]
fn file_beyond_the_size_limits_stays_where_it_is_and_is_never_taken_for_deleted() {
    let pair = Pair::with("two-way", &["size.max=1kB", "size.min=1B"], |a| {
        write(a, "small", "1");
        write(a, "empty", "");
        write(a, "large", noise(1, 2000));
    });
    pair.until_state(&pair.spoke, "in-sync");
    assert!(
        holds(&pair.b, "small", b"1") && !pair.b.join("large").exists() && !pair.b.join("empty").exists()
    );
    assert!(reasons(&pair.spoke, "large").iter().all(|reason| reason == "size-limit"));
    let check = pair.spoke.run(["check", REL, "--json"]).ok().json();
    assert_eq!(check["counts"]["excluded"], 2, "{check}");
    // One that grows beyond the limit is there still, and so is what the other side has.
    write(&pair.a, "small", noise(2, 3000));
    write(&pair.a, "other", "x");
    eventually("the other arrives", || holds(&pair.b, "other", b"x"));
    pair.sync();
    assert!(holds(&pair.b, "small", b"1"));
    set(&pair.hub, "size.max=off");
    eventually("the large ones arrive", || {
        holds(&pair.b, "large", &noise(1, 2000)) && holds(&pair.b, "small", &noise(2, 3000))
    });
    assert!(!pair.b.join("empty").exists());
}

#[test]
fn t16_hooks_follow_what_arrives_and_what_was_delivered_on_both_ends() {
    let logs = tempfile::tempdir().unwrap();
    let log = |name: &str| logs.path().join(name);
    let pair = Pair::two_way(|a| write(a, "before", "1"));
    set(&pair.spoke, &writes_into("hook.after_arrival", &log("spoke arrival")));
    set(&pair.spoke, &writes_into("hook.after_delivery", &log("spoke delivery")));
    set(&pair.hub, &writes_into("hook.after_arrival", &log("hub arrival")));
    write(&pair.a, "from the hub", "2");
    write(&pair.b, "d/from the spoke", "3");
    eventually("the hooks ran", || {
        names(&log("spoke arrival")) == ["from the hub"]
            && names(&log("spoke delivery")) == ["d/from the spoke"]
            && names(&log("hub arrival")) == ["d/from the spoke"]
    });
    // What was there before, and deletions, are no occasions.
    std::fs::remove_file(pair.a.join("before")).unwrap();
    write(&pair.a, "from the hub", "22");
    eventually("the edit is an occasion of its own", || names(&log("spoke arrival")).len() == 2);
    pair.sync();
    let ids: std::collections::BTreeSet<String> = lines(&log("spoke arrival")).into_iter().collect();
    assert_eq!((names(&log("spoke arrival")), ids.len()), (vec!["from the hub".to_owned(); 2], 2));
}

#[test]
fn t16_failing_hook_is_tried_again_under_the_same_id_and_told() {
    let logs = tempfile::tempdir().unwrap();
    let (log, fixed) = (logs.path().join("log"), logs.path().join("fixed"));
    let script = format!(
        "printf '%s %s\\n' \"$EVENFOLD_NAME\" \"$EVENFOLD_ID\" >> '{}'; test -e '{}' || {{ echo not yet >&2; exit 7; }}",
        log.display(),
        fixed.display()
    );
    let mut pair = Pair::two_way(|a| write(a, "f", "1"));
    set(&pair.spoke, &command("hook.after_arrival", ["sh", "-c", &script]));
    write(&pair.a, "g", "2");
    eventually("it was tried twice", || lines(&log).len() >= 2);
    let error = status(&pair.spoke)["error"].clone();
    assert_eq!(error["code"], "hook", "{error}");
    assert!(error["message"].as_str().unwrap().contains("not yet"), "{error}");
    // Nothing else waits for it, and a command does not say that all is well.
    write(&pair.a, "h", "3");
    eventually("others arrive", || holds(&pair.b, "h", b"3"));
    pair.spoke.run(["sync", REL, "--wait"]).exits(1);
    // What was asked for is asked for still after a crash.
    pair.spoke.kill9();
    std::fs::write(&fixed, "").unwrap();
    pair.spoke.restart();
    eventually("the failure is over", || status(&pair.spoke)["error"].is_null());
    let of_g: std::collections::BTreeSet<String> =
        lines(&log).into_iter().filter(|line| line.starts_with("g ")).collect();
    assert_eq!(of_g.len(), 1, "one occasion has one id: {of_g:?}");
    pair.sync();
}

#[test]
fn hooks_are_told_of_conflicts_and_errors_once() {
    let logs = tempfile::tempdir().unwrap();
    let log = |name: &str| logs.path().join(name);
    let mut pair = Pair::by_hand(|a| write(a, "f", "base"));
    for (node, name) in [(&pair.hub, "hub conflict"), (&pair.spoke, "spoke conflict")] {
        set(node, &writes_into("hook.on_conflict", &log(name)));
    }
    set(&pair.spoke, &writes_into("hook.on_error", &log("spoke error")));
    write(&pair.a, "f", "at the hub");
    write(&pair.b, "f", "at the spoke");
    pair.synced(4);
    for name in ["hub conflict", "spoke conflict"] {
        eventually(name, || names(&log(name)) == ["f"]);
    }
    pair.synced(4);
    pair.spoke.stop();
    pair.spoke.restart();
    pair.synced(4);
    assert_eq!((names(&log("spoke conflict")).len(), lines(&log("spoke error")).len()), (1, 0));
    let aside = pair.b.with_extension("aside");
    std::fs::rename(&pair.b, &aside).unwrap();
    pair.synced(5);
    eventually("the halt is told", || lines(&log("spoke error")).len() == 1);
    pair.synced(5);
    std::fs::rename(&aside, &pair.b).unwrap();
    pair.synced(4);
    assert_eq!(lines(&log("spoke error")).len(), 1);
}

#[test]
fn t23_verify_full_finds_what_only_a_deep_check_would() {
    let pair = Pair::with("compare", &[], |a| write(a, "f", "content"));
    std::fs::copy(pair.a.join("f"), pair.b.join("f")).unwrap();
    let time = std::fs::metadata(pair.a.join("f")).unwrap().modified().unwrap();
    let file = std::fs::File::options().write(true).open(pair.b.join("f")).unwrap();
    file.set_times(std::fs::FileTimes::new().set_modified(time)).unwrap();
    drop(file);
    pair.spoke.run(["check", REL]).ok();
    alter_keeping_time(&pair.b.join("f"));
    let fast = pair.spoke.run(["check", REL, "--json"]).json();
    assert_eq!((&fast["counts"]["corrupt"], &fast["suspects"]), (&0.into(), &1.into()), "{fast}");
    set(&pair.hub, "verify=full");
    let full = pair.spoke.run(["check", REL, "--json"]).exits(3).json();
    assert_eq!(full["counts"]["corrupt"], 1, "{full}");
}

#[test]
fn t34_setting_without_effect_is_taken_and_says_so() {
    let pair = Pair::two_way(|a| write(a, "f", "1"));
    for setting in ["retention=2d", "parallel=9", "resend=changed", "reserve=9%"] {
        let taken = pair.hub.run(["rel", "edit", REL, "--set", setting]).exits(0);
        taken.says("has no effect in this relationship");
    }
    for setting in ["deliver=once", "executor=[\"true\"]"] {
        pair.hub.run(["rel", "edit", REL, "--set", setting]).exits(2).says("cannot be changed any more");
    }
    let node = TestNode::start("pi");
    let folder = node.folder("x");
    let share = |kind: &str, setting: &str| {
        let mut command = node.command();
        command.arg("share").arg(&folder).args(["--name", "x", "--kind", kind, "--set", setting]);
        crate::common::finish(&mut command)
    };
    share("relay", "flow=both").exits(2).says("needs flow=one-way");
    assert_eq!(node.json(["rel", "list"])["relationships"].as_array().unwrap().len(), 0);
    share("compare", "conflict=newest").exits(0).says("nothing travels in it");
    node.run(["rel", "remove", "x"]).exits(0);
    share("send-once", "guard.count=7").exits(0).says("deletes nothing");
}
