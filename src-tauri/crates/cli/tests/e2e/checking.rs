//! T23, T25, T26: how up to date two folders are, without moving anything.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::common::TestNode;
use crate::common::tree::{set_age, tree, write};
use crate::rig::{Pair, REL, alter_keeping_time, noise};

/// A relationship that only compares, with equal contents and times on both sides.
fn compared(files: usize) -> Pair {
    let pair = Pair::with("two-way", &["trigger=manual", "exclude=*.tmp"], |a| {
        for nth in 0..files {
            write(a, format!("d{}/f{nth}", nth % 4), format!("content {nth}"));
        }
        write(a, "big", noise(23, 200_000));
    });
    for node in [&pair.hub, &pair.spoke] {
        node.run(["check", REL]).ok();
    }
    pair
}

fn finding<'a>(check: &'a Value, path: &str) -> Option<&'a str> {
    check["items"].as_array().unwrap().iter().find(|item| item["path"] == path)?["finding"].as_str()
}

#[test]
fn t23_check_counts_every_kind_of_difference_and_moves_nothing() {
    let pair = compared(20);
    write(&pair.a, "missing", "only at the hub");
    write(&pair.b, "extra", "only at the spoke");
    write(&pair.a, "d0/f0", "newer at the hub");
    write(&pair.a, "left out.tmp", "excluded");
    let (before_a, before_b) = (tree(&pair.a), tree(&pair.b));
    let check = pair.spoke.run(["check", REL, "--json"]).exits(3).json();
    assert_eq!(check["verified"], true, "{check}");
    assert_eq!(finding(&check, "missing"), Some("missing"), "{check}");
    assert_eq!(finding(&check, "extra"), Some("orphaned"), "{check}");
    assert_eq!(finding(&check, "d0/f0"), Some("stale"), "{check}");
    let counts = &check["counts"];
    assert_eq!(
        (&counts["missing"], &counts["orphaned"], &counts["stale"], &counts["in_sync"]),
        (&json!(1), &json!(1), &json!(1), &json!(20)),
        "{check}"
    );
    assert_eq!((&counts["corrupt"], &counts["error"], &counts["unknown"]), (&json!(0), &json!(0), &json!(0)));
    assert_eq!(check["bytes"]["missing"], 15, "{check}");
    assert_eq!((tree(&pair.a), tree(&pair.b)), (before_a, before_b));
    // The list can be narrowed; the numbers stay complete.
    let only = pair.spoke.run(["check", REL, "--only", "missing", "--json"]).exits(3).json();
    assert_eq!(only["items"].as_array().unwrap().len(), 1, "{only}");
    assert_eq!(only["counts"], check["counts"]);
    // The hub tells the same of its member.
    let hub = pair.hub.run(["check", REL, "--json"]).exits(3).json();
    assert_eq!(hub["counts"]["missing"], 1, "{hub}");
}

#[test]
fn t23_special_file_is_an_error_and_excluded_ones_are_counted() {
    let pair = compared(4);
    let made = std::process::Command::new("mkfifo").arg(pair.b.join("pipe")).status().unwrap();
    assert!(made.success());
    write(&pair.b, "one.tmp", "x");
    write(&pair.b, "d0/two.tmp", "x");
    let check = pair.spoke.run(["check", REL, "--json"]).exits(3).json();
    assert_eq!((finding(&check, "pipe"), &check["counts"]["error"]), (Some("error"), &json!(1)), "{check}");
    assert_eq!(check["counts"]["excluded"], 2, "{check}");
}

#[test]
fn t23_deep_check_finds_what_was_altered_with_equal_size_and_time() {
    let pair = compared(6);
    set_age(&pair.a.join("big"), 5000);
    pair.sync();
    // The first deep look flags nothing.
    let clean = pair.spoke.run(["check", REL, "--deep", "--json"]).ok().json();
    assert_eq!((&clean["counts"]["corrupt"], &clean["counts"]["in_sync"]), (&json!(0), &json!(7)), "{clean}");
    alter_keeping_time(&pair.b.join("big"));
    let deep = pair.spoke.run(["check", REL, "--deep", "--json"]).exits(3).json();
    assert_eq!(finding(&deep, "big"), Some("corrupt"), "{deep}");
    assert_eq!((&deep["counts"]["corrupt"], &deep["counts"]["in_sync"]), (&json!(1), &json!(6)), "{deep}");
    assert_eq!(std::fs::read(pair.a.join("big")).unwrap(), noise(23, 200_000));
}

#[test]
fn t25_moved_file_is_reported_as_moved() {
    let pair = compared(4);
    std::fs::create_dir(pair.b.join("sub")).unwrap();
    std::fs::rename(pair.b.join("big"), pair.b.join("sub/big")).unwrap();
    let check = pair.spoke.run(["check", REL, "--json"]).exits(3).json();
    assert_eq!((finding(&check, "big"), &check["counts"]["moved"]), (Some("moved"), &json!(1)), "{check}");
    assert_eq!(
        (&check["counts"]["missing"], &check["counts"]["orphaned"]),
        (&json!(0), &json!(0)),
        "{check}"
    );
}

#[test]
fn t26_files_of_a_removed_folder_are_missing_one_by_one() {
    let pair = Pair::with("compare", &["trigger=manual"], |_| ());
    for root in [&pair.a, &pair.b] {
        for nth in 0..50 {
            write(root, format!("d/e{}/f{nth}", nth % 3), format!("{nth}"));
            set_age(&root.join(format!("d/e{}/f{nth}", nth % 3)), 3600);
        }
        write(root, "stays", "x");
        set_age(&root.join("stays"), 3600);
    }
    std::fs::remove_dir_all(pair.b.join("d")).unwrap();
    let check = pair.spoke.run(["check", REL, "--json"]).exits(3).json();
    assert_eq!(check["counts"]["missing"], 50, "{check}");
    assert!(pair.a.join("d/e0/f0").exists() && !pair.b.join("d").exists());
}

#[test]
fn t23_compare_only_writes_nothing_into_either_folder() {
    let mut pair = Pair::with("compare", &[], |a| {
        write(a, "one", "1");
        write(a, "two", "2");
    });
    write(&pair.b, "three", "3");
    let check = pair.spoke.run(["check", REL, "--json"]).exits(3).json();
    assert_eq!(
        (&check["counts"]["missing"], &check["counts"]["orphaned"]),
        (&json!(2), &json!(1)),
        "{check}"
    );
    pair.spoke.run(["sync", REL, "--wait"]).exits(3);
    assert!(!pair.b.join("one").exists() && !pair.a.join("three").exists());
    pair.hub.kill9();
    pair.spoke.kill9();
    pair.hub.restart();
    pair.spoke.restart();
    let again = pair.spoke.run(["check", REL, "--deep", "--json"]).exits(3).json();
    assert_eq!(again["counts"], check["counts"], "{again}");
    for root in [&pair.a, &pair.b] {
        assert!(!root.join(".evenfold").exists(), "something was written into {}", root.display());
    }
}

#[test]
fn t23_each_kind_of_difference_is_counted_exactly_and_the_altered_one_by_a_deep_check_only() {
    let pair = Pair::between(
        TestNode::start("desk"),
        TestNode::start_without_privileges("nas"),
        "compare",
        &["trigger=manual", "exclude=*.tmp"],
        |_| (),
    );
    for root in [&pair.a, &pair.b] {
        for name in ["same", "altered", "older", "unreadable"] {
            write(root, name, noise(23, 5000));
            set_age(&root.join(name), 3600);
        }
    }
    pair.spoke.run(["check", REL, "--deep"]).ok();
    write(&pair.a, "missing", "1");
    write(&pair.b, "extra", "2");
    write(&pair.b, "excluded.tmp", "3");
    write(&pair.b, "older", noise(24, 4000));
    set_age(&pair.b.join("older"), 7200);
    alter_keeping_time(&pair.b.join("altered"));
    std::fs::set_permissions(pair.b.join("unreadable"), PermissionsExt::from_mode(0o0)).unwrap();
    let counts = |check: &Value| {
        let of = |key: &str| check["counts"][key].as_u64().unwrap();
        ["in_sync", "missing", "orphaned", "stale", "error", "excluded", "corrupt", "moved", "unknown"]
            .map(of)
    };
    let fast = pair.spoke.run(["check", REL, "--json"]).exits(3).json();
    assert_eq!(counts(&fast), [2, 1, 1, 1, 1, 1, 0, 0, 0], "{fast}");
    let deep = pair.spoke.run(["check", REL, "--deep", "--json"]).exits(3).json();
    assert_eq!(counts(&deep), [1, 1, 1, 1, 1, 1, 1, 0, 0], "{deep}");
    for (path, expected) in [
        ("missing", "missing"),
        ("extra", "orphaned"),
        ("older", "stale"),
        ("altered", "corrupt"),
        ("unreadable", "error"),
    ] {
        assert_eq!(finding(&deep, path), Some(expected), "{deep}");
    }
    std::fs::set_permissions(pair.b.join("unreadable"), PermissionsExt::from_mode(0o644)).unwrap();
}

#[test]
fn t26_files_of_an_unreadable_folder_are_errors_and_not_missing() {
    let pair = Pair::between(
        TestNode::start("desk"),
        TestNode::start_without_privileges("nas"),
        "compare",
        &["trigger=manual"],
        |_| (),
    );
    for root in [&pair.a, &pair.b] {
        for nth in 0..50 {
            write(root, format!("d/f{nth}"), format!("{nth}"));
            set_age(&root.join(format!("d/f{nth}")), 3600);
        }
        write(root, "stays", "x");
        set_age(&root.join("stays"), 3600);
    }
    pair.spoke.run(["check", REL]).ok();
    std::fs::set_permissions(pair.b.join("d"), PermissionsExt::from_mode(0o0)).unwrap();
    let check = pair.spoke.run(["check", REL, "--json"]);
    std::fs::set_permissions(pair.b.join("d"), PermissionsExt::from_mode(0o755)).unwrap();
    assert!([3, 6].contains(&check.code), "{check:#?}");
    let check = check.json();
    let counts = &check["counts"];
    assert_eq!(counts["missing"], 0, "{check}");
    assert!(counts["error"].as_u64().unwrap() + counts["unknown"].as_u64().unwrap() > 0, "{check}");
    assert_eq!((finding(&check, "d"), &counts["in_sync"]), (Some("error"), &json!(1)), "{check}");
    pair.spoke.run(["check", REL]).ok();
}
