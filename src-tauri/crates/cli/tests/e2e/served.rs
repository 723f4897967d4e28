//! A host with SSH that has Evenfold as well: T39's other half.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::tree::{assert_same, set_age, tree, write};
use crate::common::{Output, TestNode, eventually, finish};
use crate::openssh::{SshHost, add};
use crate::rig::{REL, keeps_version, noise, show_if_failed, status, until_same};

/// A node, a host with Evenfold, and a folder on each.
struct Scene {
    node: TestNode,
    host: SshHost,
    here: PathBuf,
    there: PathBuf,
}

impl Scene {
    #[track_caller]
    fn new(kind: &str, settings: &[&str], fill: impl FnOnce(&Path, &Path)) -> Scene {
        let host = SshHost::start();
        host.trust();
        host.install();
        let node = host.node();
        let (here, there) = (node.folder("here"), host.folder("there"));
        fill(&here, &there);
        let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        add(&node, kind, &here, &format!("ssh://nas{}", there.display()), &settings).ok();
        Scene { node, host, here, there }
    }

    #[track_caller]
    fn sync(&self, code: i32) -> Output {
        self.node.run(["sync", REL, "--wait", "--json"]).exits(code)
    }

    fn way(&self) -> serde_json::Value {
        way(&self.node)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        show_if_failed([(&self.node, &*self.here), (&self.node, &*self.there)]);
    }
}

fn way(node: &TestNode) -> serde_json::Value {
    status(node)["endpoints"][1]["way"].take()
}

fn read(root: &Path, path: &str) -> Vec<u8> {
    std::fs::read(root.join(path)).unwrap_or_default()
}

/// Bytes that a process has written so far, to whatever.
fn written(process: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
    line.parse().unwrap()
}

#[test]
fn t39_host_with_evenfold_is_served_by_it_and_tells_changes_at_once() {
    let mut scene = Scene::new("two-way", &[], |here, there| {
        write(here, "mine", "from here");
        write(there, "theirs", "from the host");
        write(here, "d/large", noise(3, 48_000_000));
    });
    scene.sync(0);
    assert_same(&scene.here, &scene.there);
    assert_eq!(scene.way()["kind"], "evenfold", "{}", scene.way());
    let shown = scene.node.run(["rel", "show", REL]).ok().stdout;
    assert!(shown.contains("over SSH (Evenfold "), "{shown}");
    assert_eq!(scene.host.programs().len(), 1);

    // Over SFTP the folder would be looked at every 15 s.
    let mut slowest = Duration::ZERO;
    for round in 0..3 {
        let content = format!("edited on the host, {round}");
        write(&scene.there, "theirs", &content);
        let began = Instant::now();
        eventually("the edit arrives", || read(&scene.here, "theirs") == content.as_bytes());
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(10), "an edit took {slowest:?}");

    // One byte more in a large file costs little, in both directions.
    let mut large = noise(3, 48_000_000);
    large.insert(1_000_000, b'!');
    let before = written(scene.node.process());
    write(&scene.here, "d/large", &large);
    until_same(&scene.here, &scene.there);
    let sent = written(scene.node.process()) - before;
    assert!(sent < 6_000_000, "{sent} bytes were written for one");
    assert!(keeps_version(&scene.there, &noise(3, 48_000_000)), "what was replaced there is kept there");
    assert!(keeps_version(&scene.here, b"from the host"), "what was replaced here is kept here");

    // What changed while nobody was there is found, and nothing is read twice that need not be.
    scene.node.stop();
    eventually("the program has ended", || scene.host.programs().is_empty());
    std::fs::remove_file(scene.there.join("mine")).unwrap();
    write(&scene.there, "new", "made meanwhile");
    scene.node.restart();
    scene.sync(0);
    assert_same(&scene.here, &scene.there);
    assert!(!scene.here.join("mine").exists());
    assert_eq!(scene.way()["kind"], "evenfold");
}

#[test]
fn t39_program_on_a_host_mirrors_and_compares() {
    let scene = Scene::new("mirror", &["trigger=manual"], |here, _| {
        write(here, "one", "content");
        write(here, "dir/sub/empty", "");
        std::fs::set_permissions(here.join("one"), PermissionsExt::from_mode(0o540)).unwrap();
    });
    let before = tree(&scene.here);
    scene.sync(0);
    assert_eq!((tree(&scene.there), tree(&scene.here)), (before.clone(), before));
    let again = scene.sync(0).json();
    assert_eq!((&again["files"], &again["bytes"]), (&0.into(), &0.into()), "{again}");
    // Other rules hold from the next look on.
    scene.node.run(["rel", "edit", REL, "--set", "exclude=*.tmp"]).ok();
    write(&scene.here, "not.tmp", "x");
    write(&scene.here, "yes", "y");
    write(&scene.there, "theirs.tmp", "stays");
    scene.sync(0);
    assert!(scene.there.join("yes").exists() && !scene.there.join("not.tmp").exists());
    assert_eq!(read(&scene.there, "theirs.tmp"), b"stays");
    assert_eq!(scene.way()["kind"], "evenfold");

    let scene = Scene::new("compare", &["trigger=manual"], |here, there| {
        for root in [here, there] {
            write(root, "same", "same");
            set_age(&root.join("same"), 0);
        }
        write(here, "missing", "x");
        write(there, "orphaned", "y");
    });
    let check = scene.node.run(["check", REL, "--json"]).exits(3).json();
    assert_eq!((&check["counts"]["in_sync"], &check["verified"]), (&1.into(), &true.into()), "{check}");
    assert!(!scene.there.join(".evenfold").exists() && !scene.here.join(".evenfold").exists());
    assert_eq!(scene.way()["kind"], "evenfold");
}

#[test]
fn t39_missing_or_other_folder_on_a_host_with_evenfold_holds() {
    let scene = Scene::new("two-way", &["trigger=manual"], |here, _| write(here, "f", "content"));
    scene.sync(0);
    let aside = scene.there.with_extension("aside");
    std::fs::rename(&scene.there, &aside).unwrap();
    scene.sync(5);
    std::fs::create_dir(&scene.there).unwrap();
    scene.sync(5);
    assert_eq!(read(&scene.here, "f"), b"content");
    std::fs::remove_dir(&scene.there).unwrap();
    std::fs::rename(&aside, &scene.there).unwrap();
    scene.sync(0);
    assert_same(&scene.here, &scene.there);
}

#[test]
fn t39_host_falls_back_to_sftp_and_says_why() {
    let scene = Scene::new("two-way", &["trigger=manual"], |here, _| write(here, "f", "one"));
    scene.sync(0);
    // The program goes away: the same folder goes on over SFTP, under the same marker.
    scene.host.authorise(&scene.host.key());
    scene.host.cut();
    write(&scene.here, "f", "two");
    let sync = |scene: &Scene| {
        eventually("it syncs", || scene.node.run(["sync", REL, "--wait"]).code == 0);
    };
    sync(&scene);
    assert_eq!(read(&scene.there, "f"), b"two");
    let way = scene.way();
    assert_eq!(way["kind"], "sftp", "{way}");
    assert!(way["note"].as_str().unwrap().contains("'evenfold' was not found there"), "{way}");
    let status = scene.node.run(["status"]).ok().stdout;
    assert!(status.contains("over SFTP ('evenfold' was not found there)"), "{status}");

    // A program of another version is not used, and named.
    let program = scene.host.home().join("old evenfold");
    std::fs::write(&program, "#!/bin/sh\necho Welcome\necho 'EVENFOLD-SERVE 99 9.9.9'\nsleep 60\n").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let setting = |value: &str| {
        let setting = format!("host.program={value}");
        scene.node.run(["rel", "edit", REL, "--set", &setting]).ok();
    };
    setting(&program.display().to_string());
    write(&scene.here, "f", "three");
    eventually("the version is named", || {
        scene.node.run(["sync", REL, "--wait"]);
        scene.way()["note"].as_str().unwrap_or_default().contains("Evenfold 9.9.9 there speaks version 99")
    });
    sync(&scene);
    assert_eq!(read(&scene.there, "f"), b"three");

    // Named by its path, the real one is found although it is not on the path of logins.
    setting(env!("CARGO_BIN_EXE_evenfold"));
    eventually("Evenfold serves", || scene.way()["kind"] == "evenfold");
    write(&scene.there, "f", "four");
    sync(&scene);
    assert_eq!(read(&scene.here, "f"), b"four");
    assert!(keeps_version(&scene.there, b"two") || keeps_version(&scene.there, b"one"));
    setting("off");
    eventually("SFTP is used", || scene.way()["kind"] == "sftp");
    assert!(scene.way()["note"].as_str().unwrap().contains("host.program is off"));
}

#[test]
fn t39_forced_command_keeps_a_key_to_one_folder() {
    let host = SshHost::start();
    host.trust();
    let node = host.node();
    let (here, there, other) = (node.folder("here"), host.folder("there"), host.folder("other"));
    write(&here, "f", "content");
    write(&other, "private", "of the host");
    host.authorise_with(&format!(
        "restrict,command=\"{} --home {} serve --stdio --root '{}'\"",
        env!("CARGO_BIN_EXE_evenfold"),
        host.kept().display(),
        there.display()
    ));
    let target = |path: &Path| format!("ssh://nas{}", path.display());
    add(&node, "two-way", &here, &target(&other), &[]).exits(1).says("this login may only use");
    add(&node, "two-way", &here, "ssh://nas/", &[]).exits(1).says("nothing was changed");
    // Without Evenfold there is nothing that this key could do.
    add(&node, "two-way", &here, &target(&there), &["--set", "host.program=off"])
        .exits(1)
        .says("offers no SFTP");
    assert!(!other.join(".evenfold").exists());
    add(&node, "two-way", &here, &target(&there), &[]).ok();
    node.run(["sync", REL, "--wait"]).ok();
    assert_same(&here, &there);

    // Where changes are refused, too, nothing is written, and that is said.
    let reading = host.folder("reading");
    write(&reading, "g", "theirs");
    host.authorise_with(&format!(
        "restrict,command=\"{} --home {} serve --stdio --read-only\"",
        env!("CARGO_BIN_EXE_evenfold"),
        host.kept().display()
    ));
    let second = node.folder("second");
    let mut command = node.command();
    command.args(["rel", "add", "reading", "--kind", "two-way", "--no-input"]).arg(&second);
    finish(command.arg(target(&reading))).exits(1).says("may not be written to");
    let mut command = node.command();
    command
        .args(["rel", "add", "reading", "--kind", "mirror", "--no-input"])
        .arg(target(&reading))
        .arg(&second);
    finish(&mut command).ok();
    node.run(["sync", "reading", "--wait"]).ok();
    assert_eq!(read(&second, "g"), b"theirs");
    assert!(!reading.join(".evenfold").exists(), "nothing was written");
}

#[test]
fn t39_program_does_not_touch_the_node_of_its_account_and_makes_way_for_the_next() {
    let host = SshHost::start();
    host.trust();
    let program = Path::new(env!("CARGO_BIN_EXE_evenfold")).parent().unwrap();
    // A daemon runs on the host, on the very home that the program finds, and has a relationship of its own.
    let (nas, node) = (TestNode::start("nas"), host.node());
    let own = nas.folder("own");
    write(&own, "own", "of the daemon");
    crate::rig::share(&nas, "own", &own, "two-way", &[]);
    host.authorise_with(&format!(
        "environment=\"PATH={}:/usr/bin:/bin\",environment=\"EVENFOLD_HOME={}\"",
        program.display(),
        nas.home().display()
    ));
    let before = nas.json(["node", "show"]);
    let (here, there) = (node.folder("here"), host.folder("there"));
    write(&here, "f", "content");
    add(&node, "two-way", &here, &format!("ssh://nas{}", there.display()), &[]).ok();
    node.run(["sync", REL, "--wait"]).ok();
    assert_same(&here, &there);
    assert_eq!(way(&node)["kind"], "evenfold");
    assert_eq!(nas.json(["node", "show"]), before);
    assert_eq!(nas.json(["rel", "list"])["relationships"].as_array().unwrap().len(), 1);
    assert_eq!(nas.json(["peer", "list"])["peers"].as_array().unwrap().len(), 0, "nobody was paired by this");

    // A line that died without a word leaves a program behind, which makes way for the next.
    let mut node = node;
    let left = host.programs();
    assert_eq!(left.len(), 1);
    let session = parent(left[0]);
    crate::common::signal(session, "STOP");
    node.kill9();
    node.restart();
    node.run(["sync", REL, "--wait"]).ok();
    assert_eq!(way(&node)["kind"], "evenfold");
    eventually("the one left behind has ended", || !host.programs().contains(&left[0]));
    crate::common::signal(session, "CONT");
}

fn parent(process: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap()
}
