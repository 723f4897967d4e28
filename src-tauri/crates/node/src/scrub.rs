//! Reads all contents of a folder again within a set time, a little at a time, so that damage is found before the last
//! healthy copy is gone.
//!
//! What differs from what is known although size and times did not change is under suspicion: it is shown, and never
//! sent. How far a pass is, is kept in the database, so that a restart goes on where it was.

use std::sync::Arc;
use std::time::Duration;

use evenfold_core::{Dir, Entry, Name, RelPath};
use evenfold_store::{ScanRow, Store};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::back::Back;
use crate::local::LocalEndpoint;
use crate::record::now_micros;
use crate::text::{path_bytes, path_text};

/// Scope in the store of how far each pass is.
const SCOPE: &str = "scrub";

/// Bytes that are read at a time: short enough to let everybody else in between.
const SLICE: u64 = 32 << 20;

/// Files that are read at a time.
const SLICE_FILES: usize = 512;

/// A pass aims to be done after this share of its time, so that a busy day makes it late for nobody.
const AIM: f64 = 0.9;

/// How often the pace is looked at: a two-hundredth of the time, within these bounds.
const TICK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));

/// How far a pass is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Pass {
    /// When it began, in microseconds since 1970.
    began: i64,
    /// The last path that was read.
    after: Option<crate::api::PathText>,
    files: u64,
    bytes: u64,
    damaged: u64,
}

/// Starts the task that reads the folder whenever `wanted` says within which time. It ends with the folder.
pub(crate) fn start(
    local: &Arc<LocalEndpoint>,
    store: Arc<Store>,
    wanted: watch::Receiver<Option<Duration>>,
) {
    tokio::spawn(run(Back::to(local), store, wanted));
}

async fn run(local: Back<LocalEndpoint>, store: Arc<Store>, mut wanted: watch::Receiver<Option<Duration>>) {
    loop {
        let Some(period) = *wanted.borrow_and_update() else {
            // Without a wish there is nothing to wake up for.
            if wanted.changed().await.is_err() {
                return;
            }
            continue;
        };
        let pause = (period / 200).clamp(TICK.0, TICK.1);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                continue;
            }
        }
        let Some(local) = local.upgrade() else { return };
        if let Err(error) = step(&local, &store, period).await {
            tracing::info!(%error, folder = %local.root().display(), "contents could not be read again now");
        }
    }
}

/// Reads on until the pass is where it should be by now.
async fn step(local: &LocalEndpoint, store: &Store, period: Duration) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let key = local.relationship().to_string();
    let kept = store.settings().get(SCOPE, &key).await.map_err(|error| text(&error))?;
    let mut pass = kept.and_then(|kept| serde_json::from_str::<Pass>(&kept).ok()).unwrap_or_default();
    if pass.began == 0 {
        pass.began = now_micros();
    }
    loop {
        let tree = local.tree().await.map_err(|error| text(&error))?;
        let totals = tree.totals();
        let elapsed = now_micros().saturating_sub(pass.began).max(0) as f64 / 1e6;
        let share = (elapsed / (period.as_secs_f64() * AIM)).min(1.0);
        let due = pass.files < (totals.files as f64 * share) as u64
            || pass.bytes < (totals.bytes as f64 * share) as u64;
        let after = pass.after.as_ref().and_then(|path| RelPath::new(&path_bytes(path).ok()?).ok());
        let slice = if due || share >= 1.0 { next(&tree, after.as_ref()) } else { Vec::new() };
        let Some((last, _)) = slice.last() else {
            if share >= 1.0 {
                finish(local, store, &pass).await.map_err(|error| text(&error))?;
                pass = Pass { began: now_micros(), ..Pass::default() };
            }
            break;
        };
        pass.after = Some(path_text(last.as_bytes()));
        pass.files += slice.len() as u64;
        pass.bytes += slice.iter().map(|(_, size)| size).sum::<u64>();
        let began = tokio::time::Instant::now();
        let paths: Vec<RelPath> = slice.into_iter().map(|(path, _)| path).collect();
        pass.damaged += local.read_again(paths).await.map_err(|error| text(&error))?;
        // At most half of the time, so that whoever works on this disk hardly notices.
        tokio::time::sleep(began.elapsed()).await;
    }
    let kept = serde_json::to_string(&pass).map_err(|error| text(&error))?;
    store.settings().set(SCOPE, &key, &kept, now_micros()).await.map_err(|error| text(&error))
}

/// Notes a complete pass among the scans of the folder.
async fn finish(local: &LocalEndpoint, store: &Store, pass: &Pass) -> Result<(), evenfold_store::StoreError> {
    let row = ScanRow {
        started: pass.began,
        ended: now_micros(),
        deep: true,
        success: true,
        files: pass.files,
        bytes: pass.bytes,
        read: pass.bytes,
        errors: pass.damaged,
        detail: Some("all contents were read again, a little at a time".to_owned()),
    };
    store.scans().add(local.relationship(), &row).await
}

/// Returns the next files behind a path, in the order of a walk, up to one slice.
fn next(tree: &Dir, after: Option<&RelPath>) -> Vec<(RelPath, u64)> {
    let names: Vec<Name> =
        after.into_iter().flat_map(RelPath::components).filter_map(|name| Name::new(name).ok()).collect();
    let mut found = Vec::new();
    let mut bytes = 0;
    collect(tree, &RelPath::root(), &names, &mut found, &mut bytes);
    found
}

/// Returns false when the slice is full.
fn collect(
    dir: &Dir,
    path: &RelPath,
    after: &[Name],
    found: &mut Vec<(RelPath, u64)>,
    bytes: &mut u64,
) -> bool {
    for child in dir.children() {
        let rest = match after.first() {
            Some(first) if child.name < *first => continue,
            // On the way to where the last slice ended: below it goes on, a file there is done.
            Some(first) if child.name == *first => after.get(1..).unwrap_or_default(),
            _ => &[],
        };
        let on_the_way = after.first() == Some(&child.name);
        let below = path.join(&child.name);
        match &child.entry {
            Entry::Dir(inner) => {
                if !collect(inner, &below, rest, found, bytes) {
                    return false;
                }
            }
            Entry::File(file) if !on_the_way => {
                if !found.is_empty() && (*bytes + file.size > SLICE || found.len() >= SLICE_FILES) {
                    return false;
                }
                *bytes += file.size;
                found.push((below, file.size));
            }
            Entry::File(_) | Entry::Symlink(_) | Entry::Unknown(_) => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conflicts::tests::{dir, file, path};

    fn names(found: &[(RelPath, u64)]) -> Vec<String> {
        found.iter().map(|(path, _)| path.to_string()).collect()
    }

    #[test]
    fn slices_go_through_all_files_once_also_where_the_last_one_is_gone() {
        let below = dir(vec![("x", file("1")), ("y", file("2"))]);
        let tree =
            dir(vec![("a", file("1")), ("d", Entry::Dir(below)), ("d.txt", file("3")), ("e", file("4"))]);
        assert_eq!(names(&next(&tree, None)), ["a", "d/x", "d/y", "d.txt", "e"]);
        for (after, expected) in [
            ("a", &["d/x", "d/y", "d.txt", "e"][..]),
            ("d/x", &["d/y", "d.txt", "e"]),
            ("d/xx", &["d/y", "d.txt", "e"]),
            ("d/z", &["d.txt", "e"]),
            ("d", &["d/x", "d/y", "d.txt", "e"]),
            ("e", &[]),
        ] {
            assert_eq!(names(&next(&tree, Some(&path(after)))), expected, "after {after}");
        }
    }

    #[test]
    fn slice_holds_a_bounded_number_of_files() {
        let many: Vec<_> = (0..SLICE_FILES + 5).map(|n| format!("f{n:05}")).collect();
        let tree = dir(many.iter().map(|name| (name.as_str(), file("1"))).collect());
        let first = next(&tree, None);
        assert_eq!(first.len(), SLICE_FILES);
        assert_eq!(next(&tree, first.last().map(|(path, _)| path)).len(), 5);
    }
}
