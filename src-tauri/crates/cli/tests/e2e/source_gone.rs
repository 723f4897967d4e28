//! T10: a folder that is gone, emptied or exchanged deletes nothing anywhere, and comes back by itself.

use std::path::Path;

use crate::common::eventually;
use crate::common::tree::{tree, write};
use crate::rig::{Pair, status};

fn filled() -> Pair {
    Pair::two_way(|a| {
        for nth in 0..12 {
            write(a, format!("d{}/f{nth}", nth % 3), format!("content {nth}"));
        }
    })
}

fn move_aside(folder: &Path) -> std::path::PathBuf {
    let aside = folder.with_extension("aside");
    std::fs::rename(folder, &aside).unwrap();
    aside
}

/// The spoke says why nothing happens; both commands that look tell the same by exit code 5.
#[track_caller]
fn halts(pair: &Pair, code: &str) {
    let synced = pair.synced(5);
    assert_eq!(synced["status"]["halt"]["code"], code, "{synced}");
    let hint = synced["status"]["halt"]["hint"].as_str().unwrap();
    assert!(!hint.is_empty(), "{synced}");
    let status = status(&pair.spoke);
    assert_eq!((&status["state"], &status["halt"]["code"]), (&"held".into(), &code.into()), "{status}");
    assert!(status["drift"].is_null() && status["unknown_since"].is_string(), "nobody can know: {status}");
    tells_the_hub(pair, code);
}

/// Whoever looks at the hub learns why nothing goes on, and where it is decided.
#[track_caller]
fn tells_the_hub(pair: &Pair, code: &str) {
    eventually("the hub knows why", || {
        let told = status(&pair.hub);
        told["state"] == "held" && told["halt"]["code"] == code
    });
}

#[track_caller]
fn goes_on_by_itself(pair: &Pair) {
    write(&pair.a, "after at the hub", "1");
    write(&pair.b, "after at the spoke", "2");
    eventually("it goes on by itself", || {
        pair.a.join("after at the spoke").exists() && pair.b.join("after at the hub").exists()
    });
    pair.until_same();
    pair.until_state(&pair.spoke, "in-sync");
}

#[test]
fn t10_missing_folder_of_the_spoke_deletes_nothing_and_comes_back() {
    let pair = filled();
    let before = tree(&pair.a);
    let aside = move_aside(&pair.b);
    halts(&pair, "root-missing");
    assert_eq!(tree(&pair.a), before);
    assert!(!pair.b.exists(), "the missing folder was made again");
    std::fs::rename(aside, &pair.b).unwrap();
    goes_on_by_itself(&pair);
}

#[test]
fn t10_missing_folder_of_the_hub_deletes_nothing_and_comes_back() {
    let pair = filled();
    let before = tree(&pair.b);
    let aside = move_aside(&pair.a);
    halts(&pair, "root-missing");
    assert_eq!(tree(&pair.b), before);
    assert!(!pair.a.exists(), "the missing folder was made again");
    std::fs::rename(aside, &pair.a).unwrap();
    goes_on_by_itself(&pair);
}

#[test]
fn t10_folder_exchanged_for_an_empty_one_deletes_nothing_and_comes_back() {
    let pair = filled();
    let before = tree(&pair.a);
    let aside = move_aside(&pair.b);
    std::fs::create_dir(&pair.b).unwrap();
    halts(&pair, "root-replaced");
    assert_eq!(tree(&pair.a), before);
    assert!(
        std::fs::read_dir(&pair.b).unwrap().next().is_none(),
        "something was written into the strange folder"
    );
    std::fs::remove_dir(&pair.b).unwrap();
    std::fs::rename(aside, &pair.b).unwrap();
    goes_on_by_itself(&pair);
}

#[test]
fn t10_emptied_folder_deletes_nothing_and_comes_back() {
    let pair = filled();
    let before = tree(&pair.a);
    let aside = pair.b.with_extension("aside");
    std::fs::create_dir(&aside).unwrap();
    for name in ["d0", "d1", "d2"] {
        std::fs::rename(pair.b.join(name), aside.join(name)).unwrap();
    }
    let synced = pair.synced(5);
    // Between two of the renames the folder was not empty yet: then it is the guard that holds.
    let code = synced["status"]["halt"]["code"].as_str().unwrap().to_owned();
    assert!(["root-emptied", "too-many-deletions"].contains(&code.as_str()), "{synced}");
    assert_eq!(tree(&pair.a), before);
    let differing = &synced["status"]["drift"]["files"];
    assert!(differing.as_u64().is_some_and(|files| files > 0), "never \"nothing differs\": {synced}");
    tells_the_hub(&pair, &code);
    for name in ["d0", "d1", "d2"] {
        std::fs::rename(aside.join(name), pair.b.join(name)).unwrap();
    }
    goes_on_by_itself(&pair);
    for path in before.keys() {
        assert!(pair.a.join(path).exists() && pair.b.join(path).exists(), "{path:?} is gone");
    }
}
