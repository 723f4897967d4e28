//! T27–T32: track, push and pull by hand.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::tree::{assert_same, tree, write};
use crate::common::{Output, TestNode, eventually, finish};
use crate::rig::{Pair, REL, bytes, keeps_version, noise, share, try_join};

fn manual(fill: impl FnOnce(&Path)) -> Pair {
    Pair::with("manual", &[], fill)
}

fn push(node: &TestNode, words: &[&str]) -> Output {
    node.run(["push", REL, "--json"].iter().chain(words))
}

fn pull(node: &TestNode) -> Output {
    node.run(["pull", REL, "--json"])
}

/// A further machine that joins the hub of a pair.
fn clone(pair: &Pair, name: &str) -> (TestNode, PathBuf) {
    let node = TestNode::start(name);
    node.pair_with(&pair.hub);
    let folder = node.folder("clone");
    try_join(&node, &pair.hub, REL, &folder).ok();
    (node, folder)
}

fn left<'a>(done: &'a Value, path: &str) -> Option<&'a str> {
    done["left"].as_array().unwrap().iter().find(|left| left["path"] == path)?["reason"].as_str()
}

#[test]
fn t27_tracked_files_are_pushed_once_and_again_only_by_force() {
    let pair = manual(|_| ());
    write(&pair.b, "Data/one", "1");
    write(&pair.b, "Data/deep/two", noise(27, 300_000));
    write(&pair.b, "other", "nobody chose it");
    let nothing = push(&pair.spoke, &[]).ok().json();
    assert_eq!(nothing["outcome"], "unchanged", "{nothing}");
    assert!(tree(&pair.a).is_empty(), "something was sent that nobody chose");

    let tracked = pair.spoke.json(["track", REL, "Data"]);
    assert_eq!(
        (&tracked["changed"][0]["path"], tracked["already"].as_array().unwrap().len()),
        (&"Data".into(), 0)
    );
    pair.spoke.run(["track", REL, "Data"]).ok().says("already");
    let first = push(&pair.spoke, &[]).ok().json();
    assert_eq!(first["outcome"], "pushed", "{first}");
    assert_same(&pair.a.join("Data"), &pair.b.join("Data"));
    assert!(!pair.a.join("other").exists());

    let before = std::fs::metadata(pair.a.join("Data/deep/two")).unwrap().ino();
    let second = push(&pair.spoke, &[]).ok().json();
    assert_eq!((&second["outcome"], &second["bytes"]), (&"unchanged".into(), &0.into()), "{second}");
    let said = pair.spoke.run(["push", REL]).ok();
    assert!(said.stdout.contains("Nothing has changed"), "{said:#?}");

    let counted = pair.bytes();
    let forced = push(&pair.spoke, &["--force"]).ok().json();
    assert_eq!((&forced["outcome"], &forced["bytes"]), (&"pushed".into(), &300_001.into()), "{forced}");
    assert!(bytes(&pair.spoke, &pair.hub) - counted > 300_000, "nothing was sent again");
    assert_ne!(std::fs::metadata(pair.a.join("Data/deep/two")).unwrap().ino(), before);
    assert_same(&pair.a.join("Data"), &pair.b.join("Data"));
    // A new file in a tracked folder is tracked with it.
    write(&pair.b, "Data/three", "3");
    push(&pair.spoke, &[]).ok();
    assert_eq!(std::fs::read(pair.a.join("Data/three")).unwrap(), b"3");
}

#[test]
fn t27_untracked_paths_take_no_part_and_stay_where_they_are() {
    let pair = manual(|a| write(a, "shared", "of the hub"));
    write(&pair.b, "Data/keep", "1");
    write(&pair.b, "Data/tmp/x", "2");
    pair.spoke.run(["track", REL, "Data"]).ok();
    push(&pair.spoke, &[]).ok();
    pair.spoke.run(["untrack", REL, "Data/tmp", "shared"]).ok();
    write(&pair.b, "Data/tmp/x", "22");
    write(&pair.b, "shared", "edited here");
    let done = push(&pair.spoke, &[]).ok().json();
    assert_eq!(done["outcome"], "unchanged", "{done}");
    assert_eq!(std::fs::read(pair.a.join("Data/tmp/x")).unwrap(), b"2");
    write(&pair.a, "shared", "edited at the hub");
    pull(&pair.spoke).ok();
    assert_eq!(std::fs::read(pair.b.join("shared")).unwrap(), b"edited here");
    let listed = pair.spoke.json(["track", REL]);
    assert_eq!(listed["untracked"].as_array().unwrap().len(), 2, "{listed}");
    push(&pair.spoke, &["Data/tmp/x"]).exits(1);
}

#[test]
fn t27_paths_outside_the_folder_or_missing_are_refused() {
    let pair = manual(|_| ());
    write(&pair.b, "a", "1");
    for outside in ["/etc/passwd", "../x", "a/../../x"] {
        pair.spoke.run(["track", REL, outside]).exits(2);
    }
    pair.spoke.run(["track", REL, "no such file"]).exits(1);
    pair.spoke.run(["track", REL, ".evenfold"]).exits(2);
    push(&pair.spoke, &["a"]).exits(1).says("not tracked");
    pair.hub.run(["push", REL]).exits(2).says("hub");
    assert!(tree(&pair.a).is_empty());
    // From within a folder below, names are relative to it.
    write(&pair.b, "sub/a", "2");
    finish(pair.spoke.command().args(["track", REL, "a"]).current_dir(pair.b.join("sub"))).ok();
    push(&pair.spoke, &[]).ok();
    assert!(pair.a.join("sub/a").exists() && !pair.a.join("a").exists());
}

#[test]
fn t28_second_push_of_two_clones_is_refused_and_the_hub_unchanged() {
    let pair = manual(|a| {
        write(a, "file", "from the start");
        write(a, "other", "from the start");
    });
    let (second, folder) = clone(&pair, "second");
    write(&pair.b, "file", "of the first");
    write(&folder, "file", "of the second one");
    write(&folder, "other", "of the second one");
    push(&pair.spoke, &[]).ok();
    let before = tree(&pair.a);
    let refused = push(&second, &[]).exits(4).json();
    assert_eq!(
        (&refused["outcome"], left(&refused, "file")),
        (&"refused".into(), Some("conflict")),
        "{refused}"
    );
    assert_eq!(tree(&pair.a), before);
    assert_eq!(std::fs::read(folder.join("file")).unwrap(), b"of the second one");
    // A change at the hub that this clone has not seen is in the way although it edited another file.
    write(&pair.b, "other", "of the first again");
    std::fs::write(folder.join("file"), "from the start").unwrap();
    push(&pair.spoke, &[]).ok();
    let before = tree(&pair.a);
    push(&second, &[]).exits(4);
    assert_eq!(tree(&pair.a), before);
    // What is forced wins, and what it replaces is a version at the hub.
    write(&folder, "file", "forced");
    let forced = push(&second, &["--force"]).ok().json();
    assert_eq!(forced["outcome"], "pushed", "{forced}");
    assert_eq!(std::fs::read(pair.a.join("file")).unwrap(), b"forced");
    assert!(keeps_version(&pair.a, b"of the first") && keeps_version(&pair.a, b"of the first again"));
}

#[test]
fn t28_push_goes_through_after_a_pull() {
    let pair = manual(|a| {
        write(a, "one", "1");
        write(a, "two", "2");
    });
    let (second, folder) = clone(&pair, "second");
    write(&pair.b, "one", "1 of the first");
    push(&pair.spoke, &[]).ok();
    write(&folder, "two", "2 of the second");
    let refused = push(&second, &[]).exits(3).json();
    assert_eq!(left(&refused, "one"), Some("changed-there"), "{refused}");
    pull(&second).ok();
    push(&second, &[]).ok();
    assert_same(&pair.a, &folder);
    pull(&pair.spoke).ok();
    assert_same(&pair.a, &pair.b);
}

#[cfg(debug_assertions)]
#[test]
fn t28_hub_killed_between_data_and_publication_keeps_its_old_state() {
    let mut pair = manual(|a| {
        write(a, "edited", "old");
        write(a, "removed", "old, too");
        for nth in 0..20 {
            write(a, format!("many/{nth}"), format!("{nth}"));
        }
    });
    let before = tree(&pair.a);
    write(&pair.b, "edited", "new");
    std::fs::remove_file(pair.b.join("removed")).unwrap();
    write(&pair.b, "many/new", noise(28, 1_500_000));
    for nth in 0..20 {
        write(&pair.b, format!("many/{nth}"), format!("{nth} is new"));
    }
    pair.spoke.run(["track", REL, "many"]).ok();
    for label in ["staged", "staged-durable"] {
        pair.hub.stop();
        pair.hub.spawn_with("EVENFOLD_CRASH_AT", label);
        eventually("the hub is reached", || {
            crate::rig::status(&pair.spoke)["endpoints"][1]["online"] == true
        });
        let failed = push(&pair.spoke, &[]);
        assert!(failed.code == 6 || failed.code == 1, "{failed:#?}");
        pair.hub.until_ended(label);
        assert_eq!(tree(&pair.a), before, "killed at {label}");
        pair.hub.restart();
        assert_eq!(tree(&pair.a), before, "started again after {label}");
    }
    eventually("the hub is reached", || crate::rig::status(&pair.spoke)["endpoints"][1]["online"] == true);
    push(&pair.spoke, &[]).ok();
    assert_same(&pair.a, &pair.b);
}

#[test]
fn t28_push_of_which_one_part_cannot_be_done_changes_nothing() {
    let pair = manual(|a| {
        write(a, "one", "1");
        write(a, "locked/two", "2");
        for nth in 0..8 {
            write(a, format!("many/{nth}"), "x");
        }
    });
    write(&pair.b, "one", "1 is new");
    std::fs::remove_dir_all(pair.b.join("locked")).unwrap();
    // Something at the hub that takes no part stands in the removed folder.
    pair.hub.run(["rel", "edit", REL, "--set", "exclude=*.tmp"]).ok();
    write(&pair.a, "locked/own.tmp", "of the hub");
    let before = tree(&pair.a);
    let done = push(&pair.spoke, &[]).exits(3).json();
    assert_eq!(left(&done, "locked"), Some("holds-untracked"), "{done}");
    assert_eq!(tree(&pair.a), before);
    // The rest can go by itself.
    push(&pair.spoke, &["one"]).ok();
    assert_eq!(std::fs::read(pair.a.join("one")).unwrap(), b"1 is new");
}

#[test]
fn t29_pull_onto_local_edits_loses_no_byte_and_names_them() {
    let pair = manual(|a| {
        write(a, "both", "from the start");
        write(a, "theirs", "from the start");
        write(a, "gone there", "from the start");
    });
    write(&pair.b, "both", "edited here");
    write(&pair.b, "new", "mine, and nobody chose it");
    write(&pair.b, "gone there", "edited here, too");
    write(&pair.a, "both", "edited there");
    write(&pair.a, "theirs", "edited there");
    write(&pair.a, "new", "theirs");
    std::fs::remove_file(pair.a.join("gone there")).unwrap();
    let done = pull(&pair.spoke).exits(4).json();
    assert_eq!((left(&done, "both"), left(&done, "new")), (Some("conflict"), Some("conflict")), "{done}");
    let read = |name: &str| std::fs::read_to_string(pair.b.join(name)).unwrap();
    assert_eq!((read("both"), read("new")), ("edited here".into(), "mine, and nobody chose it".into()));
    assert_eq!((read("theirs"), read("gone there")), ("edited there".into(), "edited here, too".into()));
    assert_eq!(std::fs::read_to_string(pair.a.join("both")).unwrap(), "edited there");
    // Both versions are offered, and a decision is carried out.
    let conflicts = pair.spoke.json(["conflicts", REL]);
    let of = |path: &str| {
        let all = conflicts["conflicts"].as_array().unwrap();
        all.iter().find(|one| one["path"] == path).unwrap()["id"].as_str().unwrap().to_owned()
    };
    pair.spoke.run(["resolve", &of("both"), "--keep", "desk"]).ok();
    assert_eq!(read("both"), "edited there");
    assert!(keeps_version(&pair.b, b"edited here"));
    pair.spoke.run(["resolve", &of("new"), "--keep", "nas"]).ok();
    assert_eq!(std::fs::read_to_string(pair.a.join("new")).unwrap(), "mine, and nobody chose it");
    assert!(keeps_version(&pair.a, b"theirs"));
}

#[test]
fn t30_touch_and_chmod_send_no_content() {
    let pair = manual(|a| {
        write(a, "touched", noise(1, 500_000));
        write(a, "mode", noise(2, 500_000));
    });
    let touched = std::fs::File::options().write(true).open(pair.b.join("touched")).unwrap();
    touched.set_times(std::fs::FileTimes::new().set_modified(std::time::SystemTime::now())).unwrap();
    std::fs::set_permissions(pair.b.join("mode"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let before = pair.bytes();
    let done = push(&pair.spoke, &[]).ok().json();
    assert_eq!(done["bytes"], 0, "{done}");
    assert!(pair.bytes() - before < 100_000, "content was sent");
    assert_same(&pair.a, &pair.b);
}

#[test]
fn t31_equal_base_names_in_sub_folders_both_survive() {
    let pair = manual(|_| ());
    write(&pair.b, "a/x", "of a");
    write(&pair.b, "b/x", "of b");
    write(&pair.b, "b/x2", "of b, too");
    pair.spoke.run(["track", REL, "a/x", "b/x"]).ok();
    push(&pair.spoke, &[]).ok();
    assert_eq!(std::fs::read(pair.a.join("a/x")).unwrap(), b"of a");
    assert_eq!(std::fs::read(pair.a.join("b/x")).unwrap(), b"of b");
    assert!(!pair.a.join("b/x2").exists());
    let (_second, folder) = clone(&pair, "second");
    assert_same(&pair.a, &folder);
}

#[test]
fn t32_removal_and_push_removes_at_the_hub_and_the_rest_is_pushed() {
    let pair = manual(|_| ());
    for name in ["one", "two", "three", "d/four", "d/five"] {
        write(&pair.b, name, name);
    }
    pair.spoke.run(["track", REL, "."]).ok();
    push(&pair.spoke, &[]).ok();
    std::fs::remove_file(pair.b.join("one")).unwrap();
    write(&pair.b, "two", "two is new");
    write(&pair.b, "six", "new");
    let done = push(&pair.spoke, &[]).ok().json();
    assert_eq!(done["outcome"], "pushed", "{done}");
    assert!(!pair.a.join("one").exists());
    assert_same(&pair.a, &pair.b);
    assert!(keeps_version(&pair.a, b"one"));
    // Most of it at once waits for a person, who approves exactly that.
    for name in ["two", "three", "six", "d/four"] {
        std::fs::remove_file(pair.b.join(name)).unwrap();
    }
    let held = push(&pair.spoke, &[]).exits(5).json();
    assert!(pair.a.join("two").exists());
    pair.spoke.run(["apply", held["plan"]["id"].as_str().unwrap()]).ok();
    assert_same(&pair.a, &pair.b);
}

#[test]
fn t27_nothing_travels_by_itself_and_drift_is_known() {
    let pair = manual(|a| write(a, "shared", "of the hub"));
    assert_same(&pair.a, &pair.b);
    write(&pair.a, "shared", "edited at the hub");
    write(&pair.a, "new", "new at the hub");
    eventually("the drift is known", || {
        let status = crate::rig::status(&pair.spoke);
        status["state"] == "differs" && status["drift"]["files"] == 2
    });
    assert_eq!(std::fs::read(pair.b.join("shared")).unwrap(), b"of the hub");
    write(&pair.b, "own", "nobody chose it");
    let check = pair.spoke.run(["check", REL, "--json"]).exits(3).json();
    assert_eq!(
        (&check["counts"]["stale"], &check["counts"]["missing"], &check["counts"]["orphaned"]),
        (&1.into(), &1.into(), &0.into()),
        "{check}"
    );
    let why = |path: &str| {
        pair.spoke.run(["why", REL, path, "--json"]).exits(3).json()["endpoints"][0]["reason"].clone()
    };
    assert_eq!(
        (why("shared"), why("new"), why("own")),
        ("to-pull".into(), "to-pull".into(), "untracked".into())
    );
    let planned = pair.spoke.run(["pull", REL, "--dry-run", "--json"]).exits(3).json();
    assert_eq!(planned["plan"]["changes"].as_array().unwrap().len(), 2, "{planned}");
    assert_eq!(std::fs::read(pair.b.join("shared")).unwrap(), b"of the hub");
    pair.spoke.run(["apply", planned["plan"]["id"].as_str().unwrap()]).ok();
    assert_eq!(std::fs::read(pair.b.join("new")).unwrap(), b"new at the hub");
    pair.spoke.run(["track", REL, "own"]).ok();
    assert_eq!(why("own"), "to-push");
}

#[test]
fn t27_chosen_paths_survive_a_restart() {
    let mut pair = manual(|_| ());
    write(&pair.b, "Data/one", "1");
    pair.spoke.run(["track", REL, "Data"]).ok();
    pair.spoke.kill9();
    pair.spoke.restart();
    push(&pair.spoke, &[]).ok();
    assert_eq!(std::fs::read(pair.a.join("Data/one")).unwrap(), b"1");
    pair.spoke.kill9();
    pair.spoke.restart();
    let again = push(&pair.spoke, &[]).ok().json();
    assert_eq!(again["outcome"], "unchanged", "{again}");
    // Other kinds have nothing to choose.
    let other = pair.hub.folder("other");
    share(&pair.hub, "other", &other, "two-way", &[]);
    pair.hub.run(["track", "other", "x"]).exits(2);
}
