//! A folder that was restored from a backup while nobody looked leads to a comparison, never to deletions.

use std::path::Path;

use crate::common::tree::write;
use crate::common::{eventually, finish};
use crate::couriers::holds;
use crate::rig::{Pair, each_file};

/// Copies a folder with everything in it, Evenfold's own included, as a backup does.
#[track_caller]
fn copy(from: &Path, to: &Path) {
    finish(std::process::Command::new("cp").arg("-a").arg(from).arg(to)).ok();
}

/// Tells whether it was counted in a folder that its users changed it.
fn is_counted(root: &Path) -> bool {
    let mut counted = false;
    each_file(&root.join(".evenfold"), &mut |path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        counted |= name.starts_with("changes-")
            && std::fs::read(path).is_ok_and(|count| count == 1u64.to_le_bytes());
    });
    counted
}

/// Puts a backup in the place of a folder.
#[track_caller]
fn restore(backup: &Path, folder: &Path) {
    std::fs::rename(folder, folder.with_extension("lost")).unwrap();
    copy(backup, folder);
}

#[test]
fn hub_that_was_only_pulled_from_is_known_to_be_restored() {
    let mut pair = Pair::two_way(|a| {
        write(a, "kept", "1");
        write(a, "edited", "old");
    });
    let backup = pair.a.with_extension("backup");
    copy(&pair.a, &backup);
    write(&pair.a, "newer", "2");
    write(&pair.a, "edited", "new");
    eventually("the change is counted", || is_counted(&pair.a));
    // Both folders are looked at once more, after what was counting has done.
    pair.sync();
    pair.hub.stop();
    restore(&backup, &pair.a);
    pair.hub.restart();
    // What the backup lacks is brought back instead of being deleted where it is still.
    eventually("it comes back", || holds(&pair.a, "newer", b"2"));
    pair.until_same();
    assert!(holds(&pair.b, "newer", b"2") && holds(&pair.b, "kept", b"1"));
    // Both contents of what had been edited since are there.
    let contents: Vec<Vec<u8>> = std::fs::read_dir(&pair.b)
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path()).ok())
        .collect();
    assert!(contents.contains(&b"new".to_vec()) && contents.contains(&b"old".to_vec()));
}

#[test]
fn hub_restored_while_stopped_is_noticed_by_a_spoke_that_was_away() {
    let mut pair = Pair::two_way(|a| write(a, "kept", "1"));
    write(&pair.b, "sent", "1");
    pair.until_same();
    let backup = pair.a.with_extension("backup");
    copy(&pair.a, &backup);
    write(&pair.b, "sent later", "2");
    pair.until_same();
    pair.spoke.stop();
    pair.hub.stop();
    restore(&backup, &pair.a);
    pair.hub.restart();
    // The hub goes on being used before the spoke is back.
    write(&pair.a, "after", "3");
    pair.spoke.restart();
    eventually("it comes back", || holds(&pair.a, "sent later", b"2"));
    pair.until_same();
    assert!(holds(&pair.b, "sent later", b"2") && holds(&pair.b, "after", b"3"));
}

#[test]
fn spoke_that_only_sent_is_known_to_be_restored() {
    let mut pair = Pair::two_way(|a| write(a, "kept", "1"));
    let backup = pair.b.with_extension("backup");
    copy(&pair.b, &backup);
    write(&pair.b, "sent", "2");
    eventually("the change is counted", || is_counted(&pair.b));
    pair.sync();
    pair.spoke.stop();
    restore(&backup, &pair.b);
    pair.spoke.restart();
    eventually("it comes back", || holds(&pair.b, "sent", b"2"));
    pair.until_same();
    assert!(holds(&pair.a, "sent", b"2"));
}
