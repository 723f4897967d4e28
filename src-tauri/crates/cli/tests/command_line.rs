//! The command line as a process: exit codes, where things are printed, the daemon's life.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{TestNode, evenfold, eventually, finish, signal};

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn help_and_version_go_to_standard_output() {
    let home = home();
    let help = finish(evenfold(home.path()).arg("--help")).ok();
    assert!(help.stdout.contains("evenfold share") && help.stderr.is_empty(), "{help:#?}");
    let version = finish(evenfold(home.path()).arg("--version")).ok();
    assert_eq!(version.stdout.lines().count(), 1, "{version:#?}");
}

#[test]
fn misuse_exits_2_and_prints_nothing_to_standard_output() {
    let home = home();
    for words in [&[][..], &["dance"], &["sync"], &["run", "photos"]] {
        let output = finish(evenfold(home.path()).args(words)).exits(2);
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{output:#?}");
    }
    assert!(std::fs::read_dir(home.path()).unwrap().next().is_none(), "misuse left something in the home");
}

#[test]
fn wrong_setting_is_told_before_anything_is_written() {
    let home = home();
    let mut command = evenfold(home.path());
    command.args(["share", "/", "--name", "p", "--set", "exlude=*.tmp"]);
    finish(&mut command)
        .exits(2)
        .says("there is no setting \"exlude\"; nothing was changed")
        .says("hint: Did you mean exclude?");
    let mut command = evenfold(home.path());
    command.args(["--json", "share", "/", "--name", "p", "--kind", "mirrow"]);
    let output = finish(&mut command).exits(2);
    let error: serde_json::Value = serde_json::from_str(&output.stderr).unwrap();
    assert_eq!(error["error"]["code"], "setting", "{output:#?}");
    assert_eq!(error["error"]["exit"], 2);
    assert!(std::fs::read_dir(home.path()).unwrap().next().is_none());
}

#[test]
fn completions_and_manual_are_generated() {
    let home = home();
    for shell in ["bash", "zsh", "fish"] {
        let script = finish(evenfold(home.path()).args(["completions", shell])).ok().stdout;
        assert!(script.contains("evenfold") && script.contains("conflicts"), "{shell}");
    }
    let page = finish(evenfold(home.path()).arg("man")).ok().stdout;
    assert!(page.contains(".TH evenfold"), "{page}");
    let dir = home.path().join("man1");
    finish(evenfold(home.path()).args(["man", "--dir"]).arg(&dir)).ok();
    for page in ["evenfold.1", "evenfold-rel-add.1", "evenfold-sync.1"] {
        assert!(dir.join(page).is_file(), "{page} is missing");
    }
}

#[test]
fn reader_that_goes_away_does_no_harm() {
    let home = home();
    for words in [&["man"][..], &["completions", "bash"], &["--help"]] {
        let mut child =
            evenfold(home.path()).args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success() && said.is_empty(), "{words:?}: {status}, {said}");
    }
}

#[test]
fn configuration_is_shown_with_its_origins_and_a_wrong_line_is_named() {
    let home = home();
    std::fs::write(home.path().join("config.toml"), "log = \"debug\"\n").unwrap();
    let mut command = evenfold(home.path());
    let shown =
        finish(command.env("EVENFOLD_NAME", "desk").args(["config", "show", "--origin", "--json"])).ok();
    let settings = shown.json()["settings"].clone();
    let origin = |key: &str| {
        let all = settings.as_array().unwrap();
        all.iter().find(|entry| entry["key"] == key).unwrap()["origin"].as_str().unwrap().to_owned()
    };
    assert_eq!((origin("name").as_str(), origin("log").as_str()), ("environment", "config.toml"));
    assert_eq!(origin("listen"), "default");
    std::fs::write(home.path().join("config.toml"), "# mine\nlgo = \"debug\"\n").unwrap();
    let place = format!(
        "{}, line 2: there is no setting \"lgo\"; did you mean log?",
        home.path().join("config.toml").display()
    );
    finish(evenfold(home.path()).args(["config", "show"])).exits(2).says(&place);
    finish(evenfold(home.path()).args(["daemon", "--listen", "127.0.0.1:0"])).exits(2).says(&place);
}

#[test]
fn commands_that_need_a_daemon_say_so() {
    let home = home();
    for words in [&["pair", "offer", "--no-wait"][..], &["status", "--watch"], &["check", "p", "--watch"]] {
        finish(evenfold(home.path()).args(words)).exits(1).says("Start it with `evenfold daemon`.");
    }
}

#[test]
fn daemon_is_ready_when_it_answers_and_ends_in_order_when_asked() {
    let mut node = TestNode::start("desk");
    let shown = node.json(["node", "show"]);
    assert_eq!(shown["name"], "desk");
    assert!(shown["fingerprint"].as_str().unwrap().starts_with("SHA256:"), "{shown}");
    assert!(shown["addresses"][0].as_str().unwrap().starts_with("127.0.0.1:"), "{shown}");
    assert!(node.home().join("log/evenfold.log").is_file());
    assert!(node.stop().success());
    assert!(!node.home().join("control.sock").exists());
    node.restart();
    assert_eq!(node.json(["node", "show"])["fingerprint"], shown["fingerprint"]);
}

#[test]
fn second_daemon_exits_7_within_a_second_and_names_the_holder() {
    let node = TestNode::start("desk");
    let began = Instant::now();
    let second = node.run(["daemon", "--listen", "127.0.0.1:0"]);
    let took = began.elapsed();
    second.exits(7).says(&format!("evenfold daemon, process {}", node.process()));
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn killed_daemon_leaves_nothing_in_the_way() {
    let mut node = TestNode::start("desk");
    node.kill9();
    assert!(node.home().join("control.sock").exists(), "the test shows nothing if the socket is gone");
    // Without the daemon, a command opens the node itself.
    node.run(["status"]).ok();
    node.restart();
    assert_eq!(node.json(["node", "show"])["name"], "desk");
}

#[test]
fn lock_file_that_names_a_living_process_does_not_block() {
    let home = home();
    let note = format!(r#"{{"pid":{},"since":"2026-11-21T14:02:07Z","what":"daemon"}}"#, std::process::id());
    std::fs::write(home.path().join("lock"), &note).unwrap();
    std::fs::write(home.path().join("daemon.lock"), &note).unwrap();
    finish(evenfold(home.path()).args(["status"])).ok();
}

#[test]
fn many_commands_at_once_all_get_their_answer() {
    let home = home();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| finish(evenfold(home.path()).args(["node", "show", "--json"]))))
            .collect();
        let prints: std::collections::BTreeSet<String> =
            runs.into_iter().map(|run| run.join().unwrap().ok().json()["fingerprint"].to_string()).collect();
        assert_eq!(prints.len(), 1, "{prints:?}");
    });
}

#[test]
fn interrupted_command_exits_130() {
    let node = TestNode::start("desk");
    let mut offer =
        node.command().args(["pair", "offer"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut code = [0; 4];
    offer.stdout.as_mut().unwrap().read_exact(&mut code).unwrap();
    signal(offer.id(), "INT");
    assert_eq!(offer.wait().unwrap().code(), Some(130));
}

#[test]
fn log_is_followed_and_shown_without_a_daemon() {
    let mut node = TestNode::start("desk");
    let mut follow =
        node.command().args(["log", "--follow", "-n", "100"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = Vec::new();
    let mut stdout = follow.stdout.take().unwrap();
    let mut until = |wanted: &str| {
        let mut byte = [0];
        while !String::from_utf8_lossy(&said).contains(wanted) {
            stdout.read_exact(&mut byte).unwrap();
            said.extend_from_slice(&byte);
        }
    };
    // It follows now: what comes from here on is not there yet.
    until("the node is ready");
    node.stop();
    until("the node has ended");
    follow.kill().unwrap();
    follow.wait().unwrap();
    assert!(node.run(["log"]).ok().stdout.contains("the node is ready"));
}

#[test]
fn home_is_kept_to_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let node = TestNode::start("desk");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&node.home()), 0o700);
    assert_eq!(mode(&node.home().join("control.sock")), 0o600);
}

#[test]
fn service_is_installed_and_removed_without_a_service_manager() {
    let home = home();
    let config = home.path().join("config");
    let command = || {
        let mut command = evenfold(&home.path().join("node home"));
        command
            .env("XDG_CONFIG_HOME", &config)
            .env("HOME", home.path())
            .env("PATH", "/nonexistent")
            .arg("service");
        command
    };
    let unit = config.join("systemd/user/evenfold.service");
    finish(command().arg("install")).ok().says("systemctl is not on this machine");
    let text = std::fs::read_to_string(&unit).unwrap();
    assert!(text.contains("node home\" daemon"), "{text}");
    assert_eq!(finish(command().args(["status", "--json"])).ok().json()["installed"], true);
    finish(command().arg("uninstall")).ok();
    assert!(!unit.exists());
}

#[test]
fn daemon_that_is_still_starting_is_waited_for() {
    let home = home();
    let mut daemon = evenfold(home.path())
        .args(["daemon", "--listen", "127.0.0.1:0", "--name", "desk"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the daemon takes its lock", || home.path().join("daemon.lock").exists());
    for _ in 0..3 {
        finish(evenfold(home.path()).args(["node", "show", "--json"])).ok();
    }
    eventually("the daemon listens", || {
        let shown = finish(evenfold(home.path()).args(["node", "show", "--json"])).ok().json();
        shown["addresses"].as_array().is_some_and(|addresses| !addresses.is_empty())
    });
    assert!(daemon.try_wait().unwrap().is_none(), "the commands kept the daemon from starting");
    signal(daemon.id(), "TERM");
    assert!(daemon.wait().unwrap().success());
}
