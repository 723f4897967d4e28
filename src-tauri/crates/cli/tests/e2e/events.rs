//! T22: changes are noticed however they are made.

use std::path::Path;

use crate::common::eventually;
use crate::common::tree::write;
use crate::rig::{Pair, REL};

fn start(a: &Path) {
    write(a, "notes.txt", "start");
}

#[test]
fn t22_save_by_rename_and_in_place_are_noticed() {
    let pair = Pair::two_way(start);
    for nth in 0..5 {
        write(&pair.b, ".notes.txt.swp", format!("by rename {nth}"));
        std::fs::rename(pair.b.join(".notes.txt.swp"), pair.b.join("notes.txt")).unwrap();
        eventually("a save by rename arrives", || {
            std::fs::read(pair.a.join("notes.txt")).is_ok_and(|c| c == format!("by rename {nth}").as_bytes())
        });
        write(&pair.a, "notes.txt", format!("in place {nth}"));
        eventually("a save in place arrives", || {
            std::fs::read(pair.b.join("notes.txt")).is_ok_and(|c| c == format!("in place {nth}").as_bytes())
        });
    }
    pair.until_same();
    // The editor's temporary file went as it came.
    assert!(!pair.a.join(".notes.txt.swp").exists());
}

#[test]
fn t22_file_in_a_new_deep_folder_is_noticed_at_once() {
    let pair = Pair::two_way(start);
    for nth in 0..10 {
        let path = format!("a{nth}/b/c/file");
        write(&pair.b, &path, format!("deep {nth}"));
        eventually("the deep file arrives", || pair.a.join(&path).exists());
    }
    // New entries of folders that were new a moment ago are seen, too.
    write(&pair.a, "a0/b/c/d/e/second", "deeper");
    eventually("the deeper file arrives", || pair.b.join("a0/b/c/d/e/second").exists());
    pair.until_same();
}

#[test]
fn t22_burst_of_files_arrives_whole() {
    let pair = Pair::two_way(start);
    for nth in 0..600 {
        write(&pair.b, format!("burst/{}/{nth}", nth % 7), format!("burst {nth}"));
    }
    for nth in 0..300 {
        std::fs::rename(
            pair.b.join(format!("burst/{}/{nth}", nth % 7)),
            pair.b.join(format!("burst/{}/renamed {nth}", nth % 5)),
        )
        .unwrap();
    }
    pair.until_same();
    pair.until_state(&pair.spoke, "in-sync");
}

#[test]
fn t22_directory_rename_and_type_changes_are_noticed() {
    let pair = Pair::two_way(|a| {
        start(a);
        write(a, "d/e/f", "f");
        write(a, "file", "was a file");
    });
    std::fs::rename(pair.b.join("d"), pair.b.join("renamed")).unwrap();
    eventually("the renamed folder arrives", || {
        pair.a.join("renamed/e/f").exists() && !pair.a.join("d").exists()
    });
    std::fs::remove_file(pair.a.join("file")).unwrap();
    write(&pair.a, "file/now", "a folder");
    eventually("a file that became a folder arrives", || pair.b.join("file/now").exists());
    std::fs::remove_file(pair.b.join("notes.txt")).unwrap();
    std::os::unix::fs::symlink("renamed/e/f", pair.b.join("notes.txt")).unwrap();
    eventually("a file that became a link arrives", || {
        std::fs::read_link(pair.a.join("notes.txt")).is_ok_and(|target| target == Path::new("renamed/e/f"))
    });
    pair.until_same();
}

#[test]
fn t22_hidden_files_travel_by_choice() {
    let pair = Pair::with("two-way", &["hidden=false"], |a| {
        start(a);
        write(a, ".secret", "stays");
        write(a, ".config/x", "stays");
    });
    assert!(!pair.b.join(".secret").exists() && !pair.b.join(".config").exists());
    write(&pair.b, ".other", "stays as well");
    write(&pair.b, "seen", "travels");
    eventually("what is not hidden travels", || pair.a.join("seen").exists());
    assert!(!pair.a.join(".other").exists());
    pair.hub.run(["rel", "edit", REL, "--set", "hidden=true"]).ok();
    eventually("hidden files travel now", || {
        pair.b.join(".secret").exists() && pair.a.join(".other").exists()
    });
    pair.until_same();
    // And back: what takes no part any more stays where it is.
    pair.hub.run(["rel", "edit", REL, "--set", "hidden=false"]).ok();
    eventually("the spoke has the setting", || {
        let shown = pair.spoke.json(["rel", "show", REL]);
        shown["settings"].as_array().unwrap().iter().any(|s| s[0] == "hidden" && s[1] == "false")
    });
    std::fs::remove_file(pair.b.join(".secret")).unwrap();
    write(&pair.b, "marker", "1");
    eventually("a later change has travelled", || pair.a.join("marker").exists());
    assert!(pair.a.join(".secret").exists());
}

#[test]
fn t22_change_that_no_event_told_is_found_by_the_next_rescan() {
    let pair = Pair::with("two-way", &["rescan=1h"], start);
    pair.until_state(&pair.spoke, "in-sync");
    // What is written into a file that stays open ends no change, so the watcher is not told of it.
    let mut open = std::fs::File::options().append(true).open(pair.b.join("notes.txt")).unwrap();
    std::io::Write::write_all(&mut open, b", and more").unwrap();
    let arrived =
        || std::fs::read(pair.a.join("notes.txt")).is_ok_and(|content| content == b"start, and more");
    crate::couriers::stays("nothing tells of it", std::time::Duration::from_secs(3), || !arrived());
    pair.hub.run(["rel", "edit", REL, "--set", "rescan=1s"]).ok();
    eventually("the rescan finds it", arrived);
    drop(open);
    pair.until_same();
}

#[test]
fn t22_file_that_its_program_keeps_open_is_synced_when_it_is_quiet() {
    use std::io::Write;
    let pair = Pair::two_way(start);
    let mut log = std::fs::File::create(pair.b.join("log")).unwrap();
    for nth in 0..2 {
        writeln!(log, "line {nth}").unwrap();
        let so_far = std::fs::read(pair.b.join("log")).unwrap();
        eventually("the open file arrives", || {
            std::fs::read(pair.a.join("log")).is_ok_and(|content| content == so_far)
        });
    }
}
