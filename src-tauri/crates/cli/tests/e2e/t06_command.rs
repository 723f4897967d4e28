//! T6, T7, T8, T11: items are handed to a command, whatever their names; its exit code is what counts.

use std::path::Path;
use std::time::Duration;

use crate::common::tree::{raw, write};
use crate::common::{TestNode, evenfold, eventually, signal};
use crate::couriers::{WAY, command, ledger, lines, state_of};
use crate::rig::share;

/// A node whose items are handed to a command; the daemon does not run.
fn by_command(argv: &str, settings: &[&str]) -> (TestNode, std::path::PathBuf) {
    let mut node = TestNode::start("desk");
    let a = node.folder("a");
    let settings: Vec<&str> = [argv, "settle=1s"].into_iter().chain(settings.iter().copied()).collect();
    share(&node, WAY, &a, "send-once", &settings);
    node.stop();
    (node, a)
}

fn copies_to(folder: &Path) -> String {
    command("executor", ["cp", "-r", "--", "{}", &format!("{}/", folder.display())])
}

const NAMES: [&[u8]; 10] = [
    b"two words",
    b" lead",
    b"-rf",
    b"a\nb",
    b"\xff",
    b"it's",
    b"$(touch PWNED).txt",
    "caf\u{e9}".as_bytes(),
    "cafe\u{301}".as_bytes(),
    &[b'n'; 255],
];

#[test]
fn t06_odd_names_reach_the_command_as_one_argument() {
    let outside = tempfile::tempdir().unwrap();
    let (node, a) = by_command(&copies_to(outside.path()), &[]);
    for name in NAMES {
        write(&a, raw(name), name);
    }
    node.run(["run", WAY, "--once"]).ok();
    for name in NAMES {
        assert_eq!(std::fs::read(outside.path().join(raw(name))).unwrap(), name);
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), NAMES.len());
    assert_eq!(ledger(&node, WAY).len(), NAMES.len());
    let listed = node.json(["ledger", "list", WAY]).to_string();
    assert!(listed.contains("\"path_bytes\":\"/w==\""), "{listed}");
}

#[test]
fn t06_odd_names_go_through_a_relay_byte_for_byte() {
    let relay = crate::couriers::Relay::start(crate::couriers::With::default());
    for name in NAMES {
        write(&relay.a, raw(name), name);
    }
    eventually("all arrive", || crate::common::tree::same(&relay.a, &relay.b));
    for node in [&relay.source, &relay.hub, &relay.destination] {
        let rows = ledger(node, WAY);
        assert_eq!(rows.len(), NAMES.len(), "{rows:?}");
        // What is no text is told as bytes; all else as it is.
        assert!(rows.iter().any(|row| row["path_bytes"] == "/w=="), "{rows:?}");
        for name in NAMES.iter().filter_map(|name| std::str::from_utf8(name).ok()) {
            assert!(rows.iter().any(|row| row["path"] == *name), "{name:?} is not in {rows:?}");
        }
        let around = std::fs::read_dir(node.home()).unwrap().chain(std::fs::read_dir(".").unwrap());
        assert!(around.flatten().all(|entry| entry.file_name() != "PWNED"));
    }
}

#[test]
fn t07_second_run_beside_a_running_one_exits_7_and_there_is_one_copy() {
    let outside = tempfile::tempdir().unwrap();
    let log = outside.path().join("log");
    let begun = outside.path().join("begun");
    let script =
        format!("touch '{}'; sleep 8; echo \"$EVENFOLD_NAME\" >> '{}'", begun.display(), log.display());
    let (node, a) = by_command(&command("executor", ["sh", "-c", &script]), &[]);
    write(&a, "x", "1");
    let mut first = evenfold(&node.home()).args(["run", WAY, "--once"]).spawn().unwrap();
    let holder = first.id().to_string();
    eventually("the first has begun", || begun.exists());
    let mut quickest = Duration::MAX;
    for words in [&["run", WAY, "--once"][..], &["daemon", "--listen", "127.0.0.1:0"]] {
        let began = std::time::Instant::now();
        let second = node.run(words).exits(7);
        quickest = quickest.min(began.elapsed());
        assert!(second.stderr.contains(&holder), "the holder {holder} is not named: {second:#?}");
    }
    assert!(quickest <= Duration::from_secs(1), "it took {quickest:?} to refuse");
    assert!(first.wait().unwrap().success());
    assert_eq!(lines(&log), ["x"]);
    node.run(["run", WAY, "--once"]).ok();
    assert_eq!((lines(&log).len(), ledger(&node, WAY).len()), (1, 1));
}

#[test]
fn t08_run_works_at_once_after_one_was_killed_while_its_command_slept() {
    let outside = tempfile::tempdir().unwrap();
    let (begun, log) = (outside.path().join("begun"), outside.path().join("log"));
    let script = format!(
        "test -e '{0}' || {{ touch '{0}'; sleep 30; }}; echo x >> '{1}'",
        begun.display(),
        log.display()
    );
    let (node, a) = by_command(&command("executor", ["sh", "-c", &script]), &[]);
    write(&a, "x", "1");
    let mut first = node.command().args(["run", WAY, "--once"]).spawn().unwrap();
    eventually("the command sleeps", || begun.exists());
    signal(first.id(), "KILL");
    first.wait().unwrap();
    node.run(["run", WAY, "--once"]).ok();
    assert_eq!(lines(&log), ["x"]);
}

/// A command that fails for `aa` as long as a file stands there.
fn fails_for_aa(outside: &Path) -> String {
    let script = format!(
        "if test \"$1\" = aa && test -e '{0}/bad'; then exit 3; fi; echo \"$1\" >> '{0}/log'",
        outside.display()
    );
    command("executor", ["sh", "-c", &script, "sh", "{name}"])
}

#[test]
fn t11_failing_item_does_not_starve_the_others_and_is_tried_again() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "bad", "");
    let (mut node, a) = by_command(&fails_for_aa(outside.path()), &[]);
    for name in ["aa", "bb", "cc"] {
        write(&a, name, name);
    }
    let run = node.run(["run", WAY, "--once", "--json"]);
    assert_eq!(run.code, 1, "{run:#?}");
    let mut done = lines(&outside.path().join("log"));
    done.sort();
    assert_eq!(done, ["bb", "cc"]);
    let rows = ledger(&node, WAY);
    let aa = rows.iter().find(|row| row["path"] == "aa").unwrap();
    assert_eq!(aa["state"], "retrying", "{aa}");
    assert!(aa["reason"].as_str().unwrap().contains("exit code 3"), "{aa}");
    // A daemon tries it again by itself.
    node.restart();
    std::fs::remove_file(outside.path().join("bad")).unwrap();
    eventually("it is delivered", || state_of(&node, WAY, "aa") == "finalised");
    assert_eq!(lines(&outside.path().join("log")).len(), 3);
}

#[test]
fn t11_with_stop_nothing_is_begun_after_a_failure() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "bad", "");
    let (node, a) = by_command(&fails_for_aa(outside.path()), &["on_error=stop"]);
    for name in ["aa", "bb", "cc"] {
        write(&a, name, name);
    }
    assert_eq!(node.run(["run", WAY, "--once"]).code, 1);
    assert!(lines(&outside.path().join("log")).is_empty());
    std::fs::remove_file(outside.path().join("bad")).unwrap();
    node.run(["run", WAY, "--once"]).ok();
    assert_eq!(lines(&outside.path().join("log")), ["aa", "bb", "cc"]);
}

#[test]
fn t16_command_that_hangs_is_killed_at_its_timeout() {
    let (node, a) = by_command(&command("executor", ["sleep", "600"]), &["hook.timeout=1s"]);
    write(&a, "x", "1");
    let began = std::time::Instant::now();
    assert_eq!(node.run(["run", WAY, "--once"]).code, 1);
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(state_of(&node, WAY, "x"), "retrying");
}
