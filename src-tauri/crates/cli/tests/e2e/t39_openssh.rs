//! T39: only OpenSSH's server (SFTP) on the other side.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::tree::{Item, Tree, raw, set_age, tree, write};
use crate::common::{Output, TestNode, eventually, finish};
use crate::openssh::{SshHost, add};
use crate::rig::{REL, keeps_version, noise, partial_bytes, show_if_failed, status};

/// A node, a host and a folder on each.
struct Scene {
    node: TestNode,
    host: SshHost,
    here: PathBuf,
    there: PathBuf,
}

impl Scene {
    /// A relationship of a kind over what `fill` puts into both folders.
    #[track_caller]
    fn new(kind: &str, settings: &[&str], fill: impl FnOnce(&Path, &Path)) -> Scene {
        let host = SshHost::start();
        host.trust();
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

    /// Makes sure that both folders hold the same; SFTP carries times in whole seconds.
    #[track_caller]
    fn same(&self) {
        let (here, there) = (in_seconds(&self.here), in_seconds(&self.there));
        let differs: Vec<_> =
            here.keys().chain(there.keys()).filter(|p| here.get(*p) != there.get(*p)).collect();
        assert!(differs.is_empty(), "{differs:?}\n{here:?}\n{there:?}");
    }

    fn until(&self, what: &str, done: impl Fn(&Tree, &Tree) -> bool) {
        eventually(what, || {
            let read = std::panic::catch_unwind(|| (in_seconds(&self.here), in_seconds(&self.there)));
            read.is_ok_and(|(here, there)| done(&here, &there))
        });
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        show_if_failed([(&self.node, &*self.here), (&self.node, &*self.there)]);
    }
}

fn in_seconds(root: &Path) -> Tree {
    let cut = |item| match item {
        Item::File { mode, mtime, content } => {
            Item::File { mode, mtime: mtime.div_euclid(1_000_000_000), content }
        }
        other => other,
    };
    tree(root).into_iter().map(|(path, item)| (path, cut(item))).collect()
}

fn read(root: &Path, path: &str) -> Vec<u8> {
    std::fs::read(root.join(path)).unwrap_or_default()
}

#[test]
fn t39_mirror_to_a_host_keeps_it_identical_and_keeps_what_it_replaced() {
    let scene = Scene::new("mirror", &["trigger=manual"], |here, _| {
        write(here, "one", "content");
        write(here, "dir/large", noise(1, 3_000_000));
        write(here, "dir/sub/empty", "");
        write(here, raw(b"not \xff text/\xfe"), "raw");
        std::os::unix::fs::symlink("../nowhere", here.join("dir/link")).unwrap();
        std::fs::set_permissions(here.join("one"), PermissionsExt::from_mode(0o540)).unwrap();
    });
    let before = tree(&scene.here);
    scene.sync(0);
    scene.same();
    assert_eq!(tree(&scene.here), before, "the source was written");
    // A second run has nothing to do.
    let again = scene.sync(0).json();
    assert_eq!((&again["files"], &again["bytes"]), (&0.into(), &0.into()), "{again}");

    write(&scene.here, "one", "another content");
    std::fs::remove_file(scene.here.join("dir/large")).unwrap();
    std::fs::rename(scene.here.join("dir/sub"), scene.here.join("moved")).unwrap();
    scene.sync(0);
    scene.same();
    assert!(keeps_version(&scene.there, b"content"));
    assert!(keeps_version(&scene.there, &noise(1, 3_000_000)));

    // What the host changed by itself is told and not overwritten.
    write(&scene.there, "one", "changed on the host");
    let synced = scene.node.run(["sync", REL, "--wait"]);
    assert!([3, 4].contains(&synced.code), "{synced:#?}");
    assert_eq!(read(&scene.there, "one"), b"changed on the host");
}

#[test]
fn t39_mirror_from_a_host_follows_it() {
    let host = SshHost::start();
    host.trust();
    let node = host.node();
    let (here, there) = (node.folder("here"), host.folder("there"));
    write(&there, "d/f", "from the host");
    let target = PathBuf::from(format!("ssh://nas{}", there.display()));
    add(&node, "mirror", &target, &here.display().to_string(), &["--set", "trigger=manual"]).ok();
    node.run(["sync", REL, "--wait"]).ok();
    assert_eq!(read(&here, "d/f"), b"from the host");
    write(&here, "mine", "only here");
    node.run(["sync", REL, "--wait"]).exits(3);
    assert!(!there.join("mine").exists());
}

#[test]
fn t39_two_way_carries_edits_both_ways_and_survives_a_restart() {
    let mut scene = Scene::new("two-way", &[], |here, there| {
        write(here, "mine", "from here");
        write(there, "theirs", "from the host");
        write(here, "both", "the same");
        write(there, "both", "the same");
        write(here, "d/a", "a");
    });
    scene.sync(0);
    scene.same();
    assert_eq!(read(&scene.here, "theirs"), b"from the host");

    // The host is looked at again and again, our folder is watched.
    write(&scene.there, "d/a", "edited on the host");
    write(&scene.here, "mine", "edited here");
    scene.until("both edits arrive", |here, there| {
        here == there && read(&scene.here, "d/a") == b"edited on the host"
    });
    assert_eq!(read(&scene.there, "mine"), b"edited here");

    let before = tree(&scene.here);
    scene.node.stop();
    std::fs::remove_file(scene.there.join("theirs")).unwrap();
    scene.node.restart();
    scene.sync(0);
    assert!(!scene.here.join("theirs").exists(), "a deletion on the host travels");
    let mut after = tree(&scene.here);
    after.insert("theirs".into(), before[Path::new("theirs")].clone());
    assert_eq!(after, before, "whole seconds never replace our finer times");
    assert!(keeps_version(&scene.here, b"from the host"));
}

#[test]
fn t39_edit_of_equal_size_in_the_same_second_on_the_host_is_seen() {
    let scene = Scene::new("two-way", &["trigger=manual"], |here, _| write(here, "f", "aaaa"));
    scene.sync(0);
    for content in ["bbbb", "cccc", "dddd"] {
        write(&scene.there, "f", content);
        scene.sync(0);
        assert_eq!(read(&scene.here, "f"), content.as_bytes());
    }
}

#[test]
fn t39_conflict_with_a_host_keeps_both() {
    let scene = Scene::new("two-way", &["trigger=manual"], |here, _| write(here, "f", "base"));
    scene.sync(0);
    write(&scene.here, "f", "from here");
    write(&scene.there, "f", "from the host");
    scene.sync(4);
    scene.same();
    let contents: Vec<Vec<u8>> = std::fs::read_dir(&scene.here)
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path()).ok())
        .collect();
    assert!(contents.contains(&b"from here".to_vec()) && contents.contains(&b"from the host".to_vec()));
}

#[test]
fn t39_compare_finds_what_differs_and_writes_nothing() {
    let scene = Scene::new("compare", &["trigger=manual"], |here, there| {
        for root in [here, there] {
            write(root, "same", "same");
            set_age(&root.join("same"), 0);
        }
        write(here, "missing", "x");
        write(there, "orphaned", "y");
        write(here, "differs", "one");
        write(there, "differs", "other");
    });
    let check = scene.node.run(["check", REL, "--json"]).exits(3).json();
    let counts = &check["counts"];
    assert_eq!((&counts["in_sync"], &check["verified"]), (&1.into(), &true.into()), "{check}");
    let items = check["items"].as_array().unwrap();
    let mut listed: Vec<(&str, &str)> = items
        .iter()
        .map(|item| (item["path"].as_str().unwrap(), item["finding"].as_str().unwrap()))
        .collect();
    listed.sort_unstable();
    // Measured against the folder that was named first.
    assert_eq!(listed, [("differs", "stale"), ("missing", "missing"), ("orphaned", "orphaned")]);
    assert!(!scene.there.join(".evenfold").exists() && !scene.here.join(".evenfold").exists());
    // A host that is gone leaves the answer unknown.
    let mut scene = scene;
    scene.host.stop();
    let check = scene.node.run(["check", REL, "--json"]).exits(6).json();
    assert_eq!(check["verified"], false, "{check}");
}

#[test]
fn t39_missing_folder_on_the_host_holds_and_deletes_nothing() {
    let scene = Scene::new("two-way", &["trigger=manual"], |here, _| write(here, "f", "content"));
    scene.sync(0);
    let aside = scene.there.with_extension("aside");
    std::fs::rename(&scene.there, &aside).unwrap();
    scene.sync(5);
    assert_eq!(status(&scene.node)["state"], "held");
    // An empty folder in its place is another one.
    std::fs::create_dir(&scene.there).unwrap();
    scene.sync(5);
    assert_eq!(read(&scene.here, "f"), b"content");
    std::fs::remove_dir(&scene.there).unwrap();
    std::fs::rename(&aside, &scene.there).unwrap();
    scene.sync(0);
    scene.same();
}

#[test]
fn t39_connection_cut_in_the_middle_of_a_file_goes_on_where_it_was() {
    let scene = Scene::new("mirror", &[], |here, _| write(here, "small", "x"));
    scene.sync(0);
    write(&scene.here, "large", noise(7, 200_000_000));
    eventually("a part has arrived", || partial_bytes(&scene.there) > 8_000_000);
    scene.host.cut();
    assert!(!scene.there.join("large").exists(), "nothing partial under the final name");
    scene.until("all has arrived", |here, there| here == there);
    assert_eq!(partial_bytes(&scene.there), 0);
    assert!(scene.host.logins() >= 3);
}

#[test]
fn t39_unknown_host_key_is_never_accepted_by_itself() {
    let host = SshHost::start();
    let node = host.node();
    let (here, there) = (node.folder("here"), host.folder("there"));
    write(&here, "f", "content");
    let target = format!("ssh://nas{}", there.display());
    let fingerprint = host.fingerprint();
    let refused = add(&node, "mirror", &here, &target, &[]).exits(1);
    let refused = refused.says(&fingerprint).says("--accept-key").says("nothing was changed");
    assert!(!refused.stderr.contains("panicked"));
    let other = ["--accept-key", "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"];
    add(&node, "mirror", &here, &target, &other).exits(1).says(&fingerprint);
    assert_eq!(host.logins(), 0);
    assert_eq!(node.json(["rel", "list"])["relationships"].as_array().unwrap().len(), 0);

    add(&node, "mirror", &here, &target, &["--accept-key", &fingerprint]).ok();
    node.run(["sync", REL, "--wait"]).ok();
    assert_eq!(read(&there, "f"), b"content");
    assert!(std::fs::read_to_string(node.home().join("known_hosts")).unwrap().contains("ssh-ed25519"));
    assert!(!host.dot_ssh().join("known_hosts").exists(), "the user's own file is only read");
}

#[test]
fn t39_changed_host_key_is_refused_and_named() {
    let mut scene = Scene::new("mirror", &["trigger=manual"], |here, _| write(here, "f", "content"));
    scene.sync(0);
    let logins = scene.host.logins();
    scene.host.change_host_key();
    write(&scene.here, "f", "newer");
    scene.sync(6);
    let known_hosts = scene.host.dot_ssh().join("known_hosts").display().to_string();
    eventually("the changed key is told", || {
        let message = status(&scene.node)["error"]["message"].as_str().unwrap_or_default().to_owned();
        message.contains("another key") && message.contains(&known_hosts)
    });
    // Not even a named fingerprint makes up for a changed key.
    let (there, fingerprint) = (format!("ssh://nas{}", scene.there.display()), scene.host.fingerprint());
    let mut again = scene.node.command();
    again.args(["rel", "add", "again", "--kind", "compare", "--no-input"]).arg(&scene.here).arg(there);
    finish(again.args(["--accept-key", &fingerprint])).exits(1).says("another key");
    assert_eq!(scene.host.logins(), logins, "nobody logged in");
    assert_eq!(read(&scene.there, "f"), b"content");
}

#[test]
fn t39_encrypted_key_is_opened_by_agent_or_passphrase() {
    let mut host = SshHost::start();
    host.trust();
    let key = host.dot_ssh().join("id_locked");
    host.new_key(&key, "open sesame");
    host.authorise(&key);
    host.configure("  IdentityFile ~/.ssh/id_locked\n");
    std::fs::remove_file(host.key()).unwrap();
    host.start_agent();
    let mut node = host.node();
    let (here, there) = (node.folder("here"), host.folder("there"));
    write(&here, "f", "content");
    let target = format!("ssh://nas{}", there.display());
    add(&node, "mirror", &here, &target, &[]).exits(1).says("is encrypted").says("ssh-add");

    // Piped, because nobody sits at a terminal here.
    let unlock = |passphrase: &str| {
        let mut command = node.command();
        let mut child = command.args(["rel", "unlock"]).stdin(Stdio::piped()).spawn().unwrap();
        use std::io::Write as _;
        child.stdin.take().unwrap().write_all(format!("{passphrase}\n").as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    };
    unlock("wrong");
    add(&node, "mirror", &here, &target, &[]).exits(1).says("is encrypted");
    unlock("open sesame");
    add(&node, "mirror", &here, &target, &[]).ok();
    node.run(["sync", REL, "--wait"]).ok();
    assert_eq!(read(&there, "f"), b"content");

    // A new daemon knows no passphrase, but the agent has the key.
    node.stop();
    host.give_to_agent(&key, "open sesame");
    node.restart();
    write(&here, "f", "newer");
    node.run(["sync", REL, "--wait"]).ok();
    assert_eq!(read(&there, "f"), b"newer");
}

#[test]
fn t39_host_behind_another_is_reached_through_it() {
    let host = SshHost::start();
    host.trust();
    let behind =
        "Host behind\n  HostName 127.0.0.1\n  User root\n  IdentityFile ~/.ssh/id_test\n  ProxyJump nas\n";
    let port = format!("  Port {}\n", host.port());
    host.configure(&format!("Include more\n{behind}{port}"));
    let node = host.node();
    let (here, there) = (node.folder("here"), host.folder("there"));
    write(&here, "f", "content");
    add(&node, "mirror", &here, &format!("ssh://behind{}", there.display()), &[]).ok();
    node.run(["sync", REL, "--wait"]).ok();
    assert_eq!(read(&there, "f"), b"content");
    assert!(host.logins() >= 2, "once at each");
}

#[test]
fn t39_somebody_at_a_terminal_is_asked() {
    let script = Path::new("/usr/bin/script");
    assert!(script.exists(), "bsdutils is part of every Debian");
    let host = SshHost::start();
    let key = host.dot_ssh().join("id_locked");
    host.new_key(&key, "open sesame");
    host.authorise(&key);
    std::fs::remove_file(host.key()).unwrap();
    std::fs::rename(&key, host.key()).unwrap();
    let node = host.node();
    let (here, there) = (node.folder("here"), host.folder("there"));
    let evenfold = env!("CARGO_BIN_EXE_evenfold");
    let line = format!(
        "{evenfold} --home {} rel add {REL} --kind mirror '{}' 'ssh://nas{}'",
        node.home().display(),
        here.display(),
        there.display()
    );
    let mut command = Command::new(script);
    command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut said = String::new();
    let mut answers =
        [("fingerprint of the host's key? [y/N]", "y\n"), ("Passphrase: ", "open sesame\n")].into_iter();
    let mut next = answers.next();
    let mut buffer = [0; 4096];
    loop {
        let count = std::io::Read::read(&mut output, &mut buffer).unwrap();
        if count == 0 {
            break;
        }
        said.push_str(&String::from_utf8_lossy(&buffer[..count]));
        if let Some((question, answer)) = next
            && said.contains(question)
        {
            std::io::Write::write_all(&mut input, answer.as_bytes()).unwrap();
            next = answers.next();
        }
    }
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains(&host.fingerprint()), "{said}");
    assert!(!said.contains("open sesame"), "what is typed is not shown: {said}");
    node.run(["sync", REL, "--wait"]).ok();
}

#[test]
fn t39_what_cannot_work_is_said_before_anything_is_made() {
    let host = SshHost::start();
    host.trust();
    let node = host.node();
    let (here, there) = (node.folder("here"), host.folder("there"));
    write(&there, "file", "x");
    let target = |path: &str| format!("ssh://nas{}{path}", there.display());
    add(&node, "mirror", &here, &target("/none"), &[]).exits(1).says("does not exist");
    add(&node, "mirror", &here, &target("/file"), &[]).exits(1).says("is not a folder");
    add(&node, "relay", &here, &target(""), &[]).exits(2).says("needs Evenfold on both machines");
    add(&node, "mirror", &here, "ssh://nas", &[]).exits(2).says("a path is missing");
    add(&node, "mirror", &here, "ssh://stranger@nas/tmp", &[]).exits(1).says("does not let stranger in");
    add(&node, "mirror", &here, "ssh://127.0.0.1:1/tmp", &[]).exits(1).says("cannot be reached");
    assert!(!there.join(".evenfold").exists() && !here.join(".evenfold").exists());
    assert_eq!(node.json(["rel", "list"])["relationships"].as_array().unwrap().len(), 0);
}
