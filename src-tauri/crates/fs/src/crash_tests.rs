//! A crash between any two calls that change the disk loses no byte and shows no partial file.

use std::collections::BTreeSet;
use std::path::PathBuf;

use evenfold_core::Entry;
use evenfold_core::apply::{Batch, Move};

use crate::apply::testing::*;
use crate::disk::Disk;
use crate::recover::recover;

type Files = Vec<(PathBuf, Vec<u8>)>;

/// A folder in which everything that a batch can do is to be done.
fn scene<D: Disk>(rig: &mut Rig<D>, large: &[u8]) -> Batch {
    for name in [
        "keep",
        "replaced",
        "deleted",
        "from/inner/x",
        "gone/1",
        "gone/sub/2",
        "to-file/3",
        "to-dir",
        "touched",
    ] {
        rig.write_old(name, name.as_bytes());
    }
    rig.scan();
    let new = [rig.file(b"brand new"), rig.file(b"replacement"), rig.file(b"flat"), rig.file(large)];
    let [created, replacement, flat, big] = new;
    let Some(Entry::File(mut touched)) = rig.entry("touched") else { panic!() };
    touched.mtime.secs += 5;
    let tree =
        dir_with(0o555, &[("a", created.clone()), ("deep", dir(&[("b", big.clone()), ("l", link("a"))]))]);
    let mut batch = rig.batch(vec![
        rig.change("created", Some(created)),
        rig.change("tree", Some(tree)),
        rig.change("replaced", Some(replacement)),
        rig.change("to-file", Some(flat.clone())),
        rig.change("to-dir", Some(dir(&[("f", flat)]))),
        rig.change("touched", Some(Entry::File(touched))),
        rig.change("big", Some(big)),
        rig.change("deleted", None),
        rig.change("gone", None),
    ]);
    batch.moves = vec![Move { from: path("from"), to: path("moved"), entry: rig.entry("from").unwrap() }];
    batch
}

fn contents(files: &Files) -> BTreeSet<Vec<u8>> {
    files.iter().map(|(_, bytes)| bytes.clone()).collect()
}

#[test]
fn crash_between_any_two_calls_loses_nothing() {
    let large = noise(1, 1_200_000);
    let mut rig = Rig::new();
    let batch = scene(&mut rig, &large);
    let before = rig.live();
    rig.apply_batch(&batch);
    let after = rig.live();
    assert_eq!(contents(&rig.versions()).len(), 6, "replaced, deleted, two of gone, and two of another kind");

    crash_everywhere(&large, &before, &after, false);
    crash_everywhere(&large, &before, &after, true);
}

/// Crashes at one call after the other, on a file system that can exchange or not.
fn crash_everywhere(large: &[u8], before: &Files, after: &Files, no_exchange: bool) {
    let mut calls = 0;
    loop {
        let mut rig = Rig::on(FaultyDisk::wrap);
        let batch = scene(&mut rig, large);
        rig.disk.control().no_exchange.store(no_exchange, std::sync::atomic::Ordering::SeqCst);
        rig.disk.crash_after(calls);
        // Whatever it says, the program is dead now.
        let said = rig.apply_pieces(&batch, rig.pieces(&batch)).map(|applied| applied.report);
        if !rig.disk.control().crashed() {
            assert_eq!(&rig.live(), after);
            assert!(calls > 60, "only {calls} calls were tried");
            break;
        }
        let again = rig.reopened(|disk| disk);
        recover(&again.disk, RELATIONSHIP).unwrap();
        let (live, versions) = (again.live(), again.versions());
        let kept = &contents(&live) | &contents(&versions);
        for (name, bytes) in before {
            assert!(kept.contains(bytes), "{name:?} is lost after {calls} calls: {said:?}");
        }
        for file in &live {
            let whole = before.contains(file) || after.contains(file);
            assert!(whole, "{:?} is neither old nor new after {calls} calls", file.0);
        }
        for (name, old) in before {
            // Replacing never leaves a name empty.
            if ["replaced", "keep", "touched"].iter().any(|kept| name.ends_with(kept)) {
                assert!(live.iter().any(|(at, _)| at == name), "{name:?} ({} bytes) has no name", old.len());
            }
        }
        if again.exists("tree") {
            assert!(again.exists("tree/a") && again.exists("tree/deep/b"), "a folder appears whole");
        }
        again.assert_staging_is_empty();
        calls += 1;
    }
}

#[test]
fn after_a_crash_the_same_batch_can_be_planned_again_and_completes() {
    let large = noise(2, 1_200_000);
    for calls in (0..120).step_by(7) {
        let mut rig = Rig::on(FaultyDisk::wrap);
        let batch = scene(&mut rig, &large);
        rig.disk.crash_after(calls);
        rig.apply_pieces(&batch, rig.pieces(&batch)).ok();
        let again = rig.reopened(|disk| disk);
        recover(&again.disk, RELATIONSHIP).unwrap();
        again.scan();
        let changes =
            batch.changes.iter().map(|change| again.change(&change.path.to_string(), change.new.clone()));
        let changes: Vec<_> = changes.filter(|change| change.old != change.new).collect();
        let changes = changes.into_iter().filter(|change| match (&change.old, &change.new) {
            // A new tree that is there already needs no change.
            (Some(Entry::Dir(_)), Some(Entry::Dir(_))) => change.path.to_string() != "to-dir",
            _ => true,
        });
        again.apply(changes.collect());
        assert_eq!(again.read("big"), large);
        assert_eq!(again.read("replaced"), b"replacement");
        assert!(!again.exists("gone") && !again.exists("deleted"));
        assert_eq!(again.mode("tree"), 0o555, "after {calls} calls");
    }
}
