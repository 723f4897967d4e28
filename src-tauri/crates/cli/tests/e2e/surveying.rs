//! T23, T24: what folders hold, when they were looked at, and how far a fast comparison goes.

use serde_json::{Value, json};

use crate::common::tree::{tree, write};
use crate::rig::{Pair, REL, alter_keeping_time, noise};

fn survey(node: &crate::common::TestNode, words: &[&str], code: i32) -> Value {
    node.run(["check", REL, "--json"].iter().chain(words)).exits(code).json()
}

fn filled() -> Pair {
    Pair::with("two-way", &["trigger=manual"], |a| {
        for nth in 0..4 {
            write(a, format!("photos/p{nth}.JPG"), noise(nth, 1000 + nth as usize));
        }
        write(a, "notes.txt", "the same");
        write(a, "copies/other.txt", "the same");
        write(a, "copies/third", "the same");
    })
}

#[test]
fn t23_statistics_by_endpoint_and_type() {
    let pair = filled();
    write(&pair.b, "more.jpg", noise(9, 500));
    pair.spoke.run(["check", REL]).exits(3);
    let found = survey(&pair.spoke, &["--stats"], 0);
    let of = |node: &str| {
        found["endpoints"].as_array().unwrap().iter().find(|one| one["node"] == node).unwrap().clone()
    };
    assert_eq!((&of("nas")["files"], &of("desk")["files"]), (&json!(8), &json!(7)), "{found}");
    assert_eq!((&of("nas")["errors"], &of("nas")["complete"]), (&json!(0), &json!(true)), "{found}");
    assert!(
        of("nas")["last_scan"]["started"].is_string() && of("desk")["last_scan"]["ended"].is_string(),
        "{found}"
    );
    let types = found["types"].as_array().unwrap();
    let jpg = types.iter().find(|one| one["node"] == "nas" && one["extension"] == "jpg").unwrap();
    assert_eq!((&jpg["files"], &jpg["bytes"]), (&json!(5), &json!(4506)), "{found}");
    let said = pair.spoke.run(["check", REL, "--stats"]).ok().stdout;
    assert!(said.contains("desk") && said.contains(".jpg"), "{said}");
}

#[test]
fn t23_duplicates_and_names_are_found() {
    let pair = filled();
    let found = survey(&pair.spoke, &["--duplicates"], 0);
    assert_eq!(
        (&found["duplicates"][0]["count"], found["duplicates"].as_array().unwrap().len()),
        (&json!(3), 1),
        "{found}"
    );
    let found = survey(&pair.spoke, &["--find", "P*.jpg"], 0);
    assert_eq!(found["found"].as_array().unwrap().len(), 4, "{found}");
    assert_eq!(found["found"][0]["nodes"], json!(["nas", "desk"]), "{found}");
    // A hub knows its own folder.
    let found = survey(&pair.hub, &["--find", "third"], 0);
    assert_eq!(
        (&found["found"][0]["path"], &found["found"][0]["kind"]),
        (&json!("copies/third"), &json!("file"))
    );
}

#[test]
fn t24_scans_are_listed_with_their_rates_and_a_silent_peer_is_unknown() {
    let mut pair = filled();
    pair.spoke.run(["check", REL, "--deep"]).ok();
    let found = survey(&pair.spoke, &["--scans"], 0);
    let scans = found["scans"].as_array().unwrap();
    let of = |node: &str| scans.iter().find(|scan| scan["node"] == node && scan["deep"] == true).unwrap();
    for node in ["nas", "desk"] {
        let scan = of(node);
        assert_eq!(
            (&scan["success"], &scan["files"], &scan["errors"]),
            (&json!(true), &json!(7), &json!(0)),
            "{scan}"
        );
        assert_eq!(scan["read"], scan["bytes"], "a deep scan reads all: {scan}");
        assert!(scan["bytes_per_second"].as_f64().unwrap() > 0.0 && scan["started"].is_string(), "{scan}");
    }
    // A folder that is gone is a scan without success, and the other side is unknown while it is silent.
    std::fs::rename(&pair.b, pair.b.with_extension("away")).unwrap();
    pair.spoke.run(["check", REL]).exits(6);
    std::fs::rename(pair.b.with_extension("away"), &pair.b).unwrap();
    let found = survey(&pair.spoke, &["--scans"], 0);
    let failed = found["scans"].as_array().unwrap().iter().find(|scan| scan["success"] == false);
    assert!(failed.is_some_and(|scan| scan["detail"].is_string()), "{found}");
    pair.hub.kill9();
    let found = survey(&pair.spoke, &["--stats"], 6);
    let desk = &found["endpoints"].as_array().unwrap()[1];
    assert_eq!(
        (&desk["node"], &desk["known"], &found["complete"]),
        (&json!("desk"), &json!(false), &json!(false))
    );
}

#[test]
fn t23_altered_with_equal_size_and_time_is_found_by_a_deep_check_only() {
    let pair = Pair::with("compare", &["trigger=manual"], |_| ());
    for root in [&pair.a, &pair.b] {
        for name in ["altered", "same"] {
            write(root, name, noise(1, 10_000));
            let file = std::fs::File::options().write(true).open(root.join(name)).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
            file.set_times(std::fs::FileTimes::new().set_modified(time)).unwrap();
        }
    }
    // The first deep look flags nothing.
    pair.spoke.run(["check", REL, "--deep"]).ok();
    alter_keeping_time(&pair.b.join("altered"));
    let before = (tree(&pair.a), tree(&pair.b));
    let fast = pair.spoke.run(["check", REL, "--json"]).exits(3).json();
    assert_eq!((&fast["counts"]["corrupt"], &fast["counts"]["in_sync"]), (&json!(0), &json!(2)), "{fast}");
    assert_eq!((&fast["suspects"], fast["items"].as_array().unwrap().len()), (&json!(1), 0), "{fast}");
    let deep = pair.spoke.run(["check", REL, "--deep", "--json"]).exits(3).json();
    assert_eq!((&deep["counts"]["corrupt"], &deep["counts"]["in_sync"]), (&json!(1), &json!(1)), "{deep}");
    assert_eq!(
        (&deep["items"][0]["path"], &deep["items"][0]["finding"]),
        (&json!("altered"), &json!("corrupt"))
    );
    assert_eq!((tree(&pair.a), tree(&pair.b)), before);
}

#[test]
fn t23_patterns_from_a_file_hold_at_both_ends() {
    let patterns = tempfile::tempdir().unwrap();
    let file = patterns.path().join("ignore");
    std::fs::write(&file, "# what nobody wants\n*.tmp\ncache/\n").unwrap();
    let setting = format!("exclude=@{}", file.display());
    let pair = Pair::with("compare", &[&setting], |a| write(a, "one", "1"));
    write(&pair.a, "x.tmp", "1");
    write(&pair.b, "cache/y", "2");
    let check = pair.spoke.run(["check", REL, "--json"]).exits(3).json();
    assert_eq!(
        (&check["counts"]["missing"], &check["counts"]["orphaned"]),
        (&json!(1), &json!(0)),
        "{check}"
    );
}
