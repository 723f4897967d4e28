//! T9, T10 and T35: each item is sent once; the ledger remembers, whatever becomes of the folders.

use std::path::{Path, PathBuf};

use crate::common::tree::{same, write};
use crate::common::{TestNode, eventually};
use crate::couriers::{WAY, enter, holds, ledger, state_of, until_state};
use crate::rig::{share, show_if_failed, status};

/// A source that shares, and a destination.
struct Sending {
    source: TestNode,
    destination: TestNode,
    a: PathBuf,
    b: PathBuf,
}

impl Sending {
    #[track_caller]
    fn start(settings: &[&str]) -> Sending {
        let [source, destination] = ["origin", "end"].map(TestNode::start);
        destination.pair_with(&source);
        let a = source.folder("a");
        let settings: Vec<&str> = ["settle=1s"].into_iter().chain(settings.iter().copied()).collect();
        share(&source, WAY, &a, "send-once", &settings);
        let b = enter(&destination, &source, WAY, "destination", &[]);
        Sending { source, destination, a, b }
    }

    #[track_caller]
    fn run(&self) {
        self.source.run(["run", WAY, "--once"]).ok();
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        show_if_failed([(&self.source, &*self.a), (&self.destination, &*self.b)]);
    }
}

#[test]
fn t09_what_the_destination_deletes_is_not_sent_again_until_it_is_forgotten() {
    let mut sending = Sending::start(&[]);
    write(&sending.a, "x", "1");
    write(&sending.a, "sub/y", "2");
    until_state(&sending.source, WAY, "x", &["finalised"]);
    assert!(holds(&sending.b, "x", b"1") && holds(&sending.b, "sub/y", b"2"));
    std::fs::remove_file(sending.b.join("x")).unwrap();
    for _ in 0..3 {
        sending.run();
    }
    sending.source.stop();
    sending.source.restart();
    sending.destination.stop();
    sending.destination.restart();
    sending.run();
    // An edit is not sent either, where nothing is resent.
    write(&sending.a, "sub/y", "22");
    sending.run();
    assert!(!sending.b.join("x").exists() && holds(&sending.b, "sub/y", b"2"));
    sending.source.run(["ledger", "forget", WAY, "x"]).ok();
    eventually("it is sent again", || holds(&sending.b, "x", b"1"));
    until_state(&sending.source, WAY, "x", &["finalised"]);
    assert_eq!(ledger(&sending.source, WAY).iter().filter(|row| row["path"] == "x").count(), 1);
}

#[test]
fn t09_edit_is_sent_once_where_changes_are_resent() {
    let sending = Sending::start(&["resend=changed"]);
    write(&sending.a, "x", "1");
    until_state(&sending.source, WAY, "x", &["finalised"]);
    std::fs::remove_file(sending.b.join("x")).unwrap();
    sending.run();
    assert!(!sending.b.join("x").exists());
    write(&sending.a, "x", "2");
    eventually("the edit arrives", || holds(&sending.b, "x", b"2"));
    sending.run();
    std::fs::remove_file(sending.b.join("x")).unwrap();
    sending.run();
    assert!(!sending.b.join("x").exists());
}

#[test]
fn t10_source_that_is_gone_changes_nothing_and_is_called_unavailable() {
    let sending = Sending::start(&[]);
    for name in ["x", "y"] {
        write(&sending.a, name, name);
        until_state(&sending.source, WAY, name, &["finalised"]);
    }
    let before = ledger(&sending.source, WAY);
    let aside = sending.a.with_extension("aside");
    std::fs::rename(&sending.a, &aside).unwrap();
    std::fs::create_dir(&sending.a).unwrap();
    let run = sending.source.run(["run", WAY, "--once", "--json"]);
    assert_eq!(run.code, 5, "{run:#?}");
    let halt = status(&sending.source)["halt"].clone();
    assert!(halt["message"].as_str().unwrap().contains("source unavailable"), "{halt}");
    assert_eq!(ledger(&sending.source, WAY), before);
    assert!(std::fs::read_dir(&sending.a).unwrap().next().is_none(), "something was written into it");
    std::fs::remove_dir(&sending.a).unwrap();
    std::fs::rename(&aside, &sending.a).unwrap();
    sending.run();
    assert_eq!(ledger(&sending.source, WAY), before);
    assert!(same(&sending.a, &sending.b));
    write(&sending.a, "z", "z");
    eventually("it goes on", || holds(&sending.b, "z", b"z"));
}

#[test]
fn t10_emptied_source_purges_nothing() {
    let sending = Sending::start(&[]);
    write(&sending.a, "x", "1");
    until_state(&sending.source, WAY, "x", &["finalised"]);
    std::fs::remove_file(sending.a.join("x")).unwrap();
    sending.run();
    assert_eq!(state_of(&sending.source, WAY, "x"), "finalised");
    assert!(holds(&sending.b, "x", b"1"));
}

#[test]
fn t35_what_is_marked_is_never_sent() {
    let source = TestNode::start("origin");
    let a = source.folder("a");
    share(&source, WAY, &a, "send-once", &["settle=1s"]);
    write(&a, "old", "1");
    source.run(["ledger", "mark", WAY]).ok();
    let destination = TestNode::start("end");
    destination.pair_with(&source);
    let b = enter(&destination, &source, WAY, "destination", &[]);
    write(&a, "new", "2");
    eventually("the new one arrives", || holds(&b, "new", b"2"));
    source.run(["run", WAY, "--once"]).ok();
    assert!(!b.join("old").exists());
    assert_eq!(state_of(&source, WAY, "old"), "skipped");
    source.run(["ledger", "forget", WAY, "old"]).ok();
    eventually("what is forgotten is sent", || holds(&b, "old", b"1"));
}

#[test]
fn t35_removed_items_leave_the_ledger_and_folders_of_one_node_do_not_mix() {
    let sending = Sending::start(&[]);
    let other = sending.source.folder("other");
    share(&sending.source, "second", &other, "send-once", &["settle=1s"]);
    let b2 = enter(&sending.destination, &sending.source, "second", "destination", &[]);
    for nth in 0..250 {
        write(&sending.a, format!("f{nth}"), format!("{nth}"));
    }
    write(&sending.a, "stays", "1");
    write(&other, "f7", "of the other");
    eventually("all arrive", || same(&sending.a, &sending.b) && holds(&b2, "f7", b"of the other"));
    sending.run();
    for nth in 0..250 {
        std::fs::remove_file(sending.a.join(format!("f{nth}"))).unwrap();
    }
    eventually("their entries are gone", || ledger(&sending.source, WAY).len() == 1);
    assert_eq!(std::fs::read_dir(&sending.b).unwrap().count(), 252, "250 items, one more and .evenfold");
    assert_eq!(ledger(&sending.source, "second").len(), 1);
    // A new item of an old name is a new item.
    write(&sending.a, "f7", "anew");
    eventually("it is sent", || {
        ledger(&sending.source, WAY).iter().any(|row| row["path"] == "f7" && row["state"] == "finalised")
    });
}

#[test]
fn t35_nothing_is_written_into_the_source() {
    let sending = Sending::start(&[]);
    write(&sending.a, "x", "1");
    until_state(&sending.source, WAY, "x", &["finalised"]);
    let names: Vec<_> =
        std::fs::read_dir(&sending.a).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["x"]);
}

#[test]
fn t35_source_that_is_read_only_is_sent() {
    let source = TestNode::start("origin");
    let a = source.folder("a");
    write(&a, "x", "1");
    write(&a, "sub/y", "2");
    let Some(_mounted) = ReadOnly::over(&a) else { return };
    assert!(std::fs::write(a.join("z"), "3").is_err());
    share(&source, WAY, &a, "send-once", &["settle=1s"]);
    let destination = TestNode::start("end");
    destination.pair_with(&source);
    let b = enter(&destination, &source, WAY, "destination", &[]);
    eventually("all of it arrives", || holds(&b, "x", b"1") && holds(&b, "sub/y", b"2"));
    until_state(&source, WAY, "sub/y", &["finalised"]);
    source.run(["run", WAY, "--once"]).ok();
}

/// A folder that is mounted over itself, to be read only; unmounted when dropped.
struct ReadOnly(PathBuf);

impl ReadOnly {
    /// `None` where this user may not mount; the scenario then says nothing.
    fn over(folder: &Path) -> Option<ReadOnly> {
        let mount = |options: &str| {
            let mut command = std::process::Command::new("mount");
            let done = command.args(["-o", options]).arg(folder).arg(folder).output();
            done.is_ok_and(|output| output.status.success())
        };
        if !mount("bind") {
            eprintln!("skipped: a folder can be mounted read-only by root only");
            return None;
        }
        let mounted = ReadOnly(folder.to_owned());
        assert!(mount("remount,bind,ro"));
        Some(mounted)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        // Daemons that are still ending may hold it for a moment.
        _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn t35_database_of_a_newer_program_is_refused_and_left_alone() {
    let mut sending = Sending::start(&[]);
    write(&sending.a, "x", "1");
    until_state(&sending.source, WAY, "x", &["finalised"]);
    sending.source.stop();
    let database = sending.source.home().join("state.db");
    let later = include_str!("newer_database.py");
    let made = std::process::Command::new("python3").args(["-c", later]).arg(&database).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: without Python no newer database can be made");
        return;
    }
    let before = std::fs::read(&database).unwrap();
    for words in [&["status"][..], &["run", WAY, "--once"], &["daemon", "--listen", "127.0.0.1:0"]] {
        sending.source.run(words).exits(1).says("update Evenfold on this machine; nothing was changed");
    }
    assert_eq!(std::fs::read(&database).unwrap(), before);
}

#[test]
fn t09_source_that_joins_pushes_into_the_hub() {
    let [hub, source] = ["middle", "origin"].map(TestNode::start);
    source.pair_with(&hub);
    let r = hub.folder("r");
    share(&hub, WAY, &r, "send-once", &["settle=1s"]);
    let a = enter(&source, &hub, WAY, "source", &[]);
    write(&a, "d/x", "1");
    eventually("it arrives at the hub", || holds(&r, "d/x", b"1"));
    until_state(&source, WAY, "d/x", &["finalised"]);
    std::fs::remove_file(r.join("d/x")).unwrap();
    source.run(["run", WAY, "--once"]).ok();
    assert!(!r.join("d/x").exists());
}
