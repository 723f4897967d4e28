//! One node per home: the application uses the daemon that runs, says when it ends, and takes over only when told.

use crate::desk::Desk;
use crate::node::{Daemon, answers, run};
use crate::process::eventually;

#[test]
fn application_uses_the_daemon_that_runs_and_leaves_it_running() {
    let desk = Desk::new();
    let mut daemon = Daemon::on(&desk.node_home(), "desk");
    let mut app = desk.start(&["--background"]);
    desk.panel().until_says("No folders yet");
    desk.panel().choose("Quit – the service goes on syncing");
    assert!(app.ends("the application ends").success());
    assert!(daemon.process.lives() && answers(&desk.node_home()));
}

#[test]
fn daemon_that_ends_is_said_and_its_node_runs_here_only_when_somebody_wants_it() {
    let desk = Desk::new();
    let mut daemon = Daemon::on(&desk.node_home(), "desk");
    let _app = desk.start(&["--background"]);
    desk.panel().until_says("No folders yet");
    daemon.terminate();
    desk.panel().until_says("Nothing syncs: the Evenfold service has ended");
    assert!(!answers(&desk.node_home()));
    let told =
        |desk: &Desk| desk.notifications.shown().iter().any(|shown| shown.title.starts_with("Nothing syncs"));
    eventually("it is said", || told(&desk).then_some(()));
    desk.panel().choose("Sync from here");
    desk.panel().until_says("No folders yet");
    assert_eq!(run(&desk.node_home(), &["node", "show"])["name"], "desk");
    desk.panel().entry("Quit – syncing stops");
}

#[test]
fn daemon_that_is_restarted_is_used_again_without_a_word() {
    let desk = Desk::new();
    let mut daemon = Daemon::on(&desk.node_home(), "desk");
    let _app = desk.start(&["--background"]);
    desk.panel().until_says("No folders yet");
    daemon.terminate();
    let _daemon = Daemon::on(&desk.node_home(), "desk");
    desk.panel().until_says("No folders yet");
    desk.panel().entry("Quit – the service goes on syncing");
    assert!(desk.notifications.shown().is_empty(), "{:?}", desk.notifications.shown());
}

#[test]
fn second_engine_on_the_applications_home_is_refused() {
    let desk = Desk::new();
    let _app = desk.start(&["--background"]);
    desk.panel().until_says("No folders yet");
    let mut command = std::process::Command::new(crate::node::evenfold());
    command.arg("--home").arg(desk.node_home()).args(["daemon", "--listen", "127.0.0.1:0"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&output.stderr).contains("evenfold desktop"), "{output:?}");
}
