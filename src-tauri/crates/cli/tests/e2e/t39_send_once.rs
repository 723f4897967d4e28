//! T39: items sent once to a host on which only OpenSSH's server runs.

use std::path::{Path, PathBuf};

use crate::common::tree::{raw, write};
use crate::common::{TestNode, eventually};
use crate::couriers::{WAY, holds, ledger, stays, until_state, writes_into};
use crate::openssh::SshHost;
use crate::rig::{keeps_version, noise, partial_bytes, show_if_failed, status};

/// A node, a host, and the folders from which and to which items go.
struct Sending {
    node: TestNode,
    host: SshHost,
    a: PathBuf,
    b: PathBuf,
}

impl Sending {
    #[track_caller]
    fn start(settings: &[&str]) -> Sending {
        let host = SshHost::start();
        host.trust();
        let node = host.node();
        let (a, b) = (node.folder("outbox"), host.folder("inbox"));
        let mut command = node.command();
        command.args(["rel", "add", WAY, "--kind", "send-once", "--no-input", "--set", "settle=1s"]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        crate::common::finish(command.arg(&a).arg(format!("ssh://nas{}", b.display()))).ok();
        Sending { node, host, a, b }
    }

    #[track_caller]
    fn run(&self) {
        self.node.run(["run", WAY, "--once"]).ok();
    }

    #[track_caller]
    fn until_delivered(&self, path: &str) {
        until_state(&self.node, WAY, path, &["finalised", "released"]);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        show_if_failed([(&self.node, &*self.a), (&self.node, &*self.b)]);
        if std::thread::panicking() {
            eprintln!(
                "{}",
                self.node.try_run(["ledger", "list", WAY, "--all", "--json"]).unwrap_or_default()
            );
        }
    }
}

fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != ".evenfold")
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn t39_item_is_sent_to_a_host_once_whatever_becomes_of_it_there() {
    let logs = tempfile::tempdir().unwrap();
    let sent = logs.path().join("sent");
    let mut sending = Sending::start(&[&writes_into("hook.after_delivery", &sent)]);
    write(&sending.a, "x", "1");
    write(&sending.a, "sub/y", noise(3, 3_000_000));
    write(&sending.a, raw(b"not \xff text"), "raw");
    sending.until_delivered("x");
    sending.until_delivered("sub/y");
    assert!(holds(&sending.b, "x", b"1") && holds(&sending.b, "sub/y", &noise(3, 3_000_000)));
    let row = ledger(&sending.node, WAY).into_iter().find(|row| row["path"] == "x").unwrap();
    assert_eq!((&row["destination"], &row["placed_at"]), (&"nas".into(), &"x".into()), "{row}");
    let ran = || std::fs::read(&sent).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
    eventually("the hook ran for each", || ran() == 3);
    assert!(!sending.a.join(".evenfold").exists(), "the source is only read");
    assert_eq!(partial_bytes(&sending.b), 0);

    std::fs::remove_file(sending.b.join("x")).unwrap();
    for _ in 0..2 {
        sending.run();
    }
    sending.node.stop();
    sending.node.restart();
    sending.run();
    // An edit is not sent either.
    write(&sending.a, "sub/y", "edited");
    sending.run();
    assert!(!sending.b.join("x").exists() && holds(&sending.b, "sub/y", &noise(3, 3_000_000)));
    sending.node.run(["ledger", "forget", WAY, "x"]).ok();
    eventually("it is sent again", || holds(&sending.b, "x", b"1"));
    sending.until_delivered("x");
    let why = sending.node.run(["why", WAY, "x", "--json"]).ok().json();
    assert_eq!(
        (&why["endpoints"][0]["node"], &why["endpoints"][0]["in_sync"]),
        (&"nas".into(), &true.into())
    );
    assert_eq!(status(&sending.node)["endpoints"][1]["role"], "host");
}

#[test]
fn t39_changed_item_replaces_its_earlier_version_on_a_host_and_nothing_else() {
    let sending = Sending::start(&["resend=changed", "unit=entry"]);
    write(&sending.b, "report.pdf", "somebody's own");
    write(&sending.a, "report.pdf", "sent");
    write(&sending.a, "job/one", "1");
    write(&sending.a, "job/two", "2");
    sending.until_delivered("report.pdf");
    sending.until_delivered("job");
    assert!(holds(&sending.b, "report.pdf", b"somebody's own"));
    assert!(holds(&sending.b, "report (2).pdf", b"sent"));
    write(&sending.a, "report.pdf", "sent anew");
    std::fs::rename(sending.a.join("job/one"), sending.a.join("job/three")).unwrap();
    eventually("the new versions arrive", || {
        holds(&sending.b, "report (2).pdf", b"sent anew") && sending.b.join("job/three").exists()
    });
    eventually("the old name goes", || !sending.b.join("job/one").exists());
    assert_eq!(names(&sending.b), ["job", "report (2).pdf", "report.pdf"]);
    assert!(keeps_version(&sending.b, b"sent"), "what was replaced is kept");
    assert!(holds(&sending.b, "report.pdf", b"somebody's own"));
}

#[test]
fn t39_cut_line_leaves_nothing_partial_on_a_host_and_goes_on() {
    let sending = Sending::start(&[]);
    write(&sending.a, "small", "x");
    sending.until_delivered("small");
    let large = noise(7, 200_000_000);
    write(&sending.a, "large", &large);
    eventually("a part has arrived", || partial_bytes(&sending.b) > 8_000_000);
    sending.host.cut();
    assert!(!sending.b.join("large").exists(), "nothing partial under the final name");
    write(&sending.a, "after", "y");
    sending.until_delivered("large");
    sending.until_delivered("after");
    assert!(holds(&sending.b, "large", &large) && holds(&sending.b, "after", b"y"));
    assert_eq!(partial_bytes(&sending.b), 0);
}

#[test]
fn t39_host_that_is_gone_is_unknown_and_items_wait() {
    let mut sending = Sending::start(&[]);
    write(&sending.a, "x", "1");
    sending.until_delivered("x");
    sending.host.stop();
    write(&sending.a, "y", "2");
    eventually("it is told", || status(&sending.node)["state"] == "unknown");
    assert_eq!(status(&sending.node)["error"]["code"], "offline");
    sending.node.run(["run", WAY, "--once"]).exits(6);
    sending.host.serve();
    sending.until_delivered("y");
    assert!(holds(&sending.b, "y", b"2"));
    stays("x is not sent again", std::time::Duration::from_secs(1), || names(&sending.b) == ["x", "y"]);
}

#[test]
fn t39_source_that_looks_empty_sends_and_forgets_nothing() {
    let sending = Sending::start(&[]);
    write(&sending.a, "x", "1");
    sending.until_delivered("x");
    let aside = sending.a.with_extension("aside");
    std::fs::rename(&sending.a, &aside).unwrap();
    std::fs::create_dir(&sending.a).unwrap();
    sending.node.run(["run", WAY, "--once"]).exits(5);
    assert_eq!(status(&sending.node)["state"], "held");
    std::fs::remove_dir(&sending.a).unwrap();
    std::fs::rename(&aside, &sending.a).unwrap();
    std::fs::remove_file(sending.b.join("x")).unwrap();
    sending.run();
    assert!(!sending.b.join("x").exists());
}
