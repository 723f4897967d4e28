//! What a folder holds, counted before it is shared: how much there is, and how much the patterns leave out.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use evenfold_core::RelPath;
use evenfold_core::select::Select;
use evenfold_fs::matcher::Matcher;

use crate::api::{ApiError, ErrorCode, Folder, PathText};

/// How long it counts at most; then what was found so far is the answer, marked as incomplete.
const LONGEST: Duration = Duration::from_secs(20);

/// Directories that may wait to be listed: their paths are in memory.
const MOST_WAITING: usize = 100_000;

/// Counts what is in a folder, without following links. Dropping the future ends the counting.
///
/// # Errors
/// Where the path is no folder that can be listed, or a pattern is not valid.
pub(crate) async fn count(path: &PathText, patterns: Vec<String>) -> Result<Folder, ApiError> {
    let wrong = |why: String| {
        ApiError::new(ErrorCode::Folder, format!("{} cannot be counted: {why}", path.path.escape_debug()))
            .with_hint("choose a folder that exists and that you may read")
    };
    let root = PathBuf::try_from(path).map_err(|error| wrong(error.to_string()))?;
    if !root.is_absolute() {
        return Err(wrong("its path is not absolute".to_owned()));
    }
    let matcher = Matcher::new(&Select { exclude: patterns, ..Select::default() })
        .map_err(|error| ApiError::new(ErrorCode::Setting, error.to_string()))?;
    std::fs::read_dir(&root).map_err(|error| wrong(error.to_string()))?;
    let stop = Stop(Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop.0);
    let counted = tokio::task::spawn_blocking(move || walk(&root, &matcher, &stopped)).await;
    drop(stop);
    counted.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))
}

/// Ends the counting when whoever asked is gone.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A directory to be listed.
struct Waiting {
    dir: PathBuf,
    below: RelPath,
    /// Whether it is left out, with everything in it.
    left_out: bool,
}

fn walk(root: &Path, matcher: &Matcher, stopped: &AtomicBool) -> Folder {
    let until = Instant::now() + LONGEST;
    let mut found = Folder { free_bytes: free(root), complete: true, ..Folder::default() };
    let mut waiting = vec![Waiting { dir: root.to_path_buf(), below: RelPath::root(), left_out: false }];
    while let Some(next) = waiting.pop() {
        if stopped.load(Ordering::Relaxed) || Instant::now() > until {
            found.complete = false;
            break;
        }
        // What cannot be listed now cannot be synced either; the scan will say so by name.
        let Ok(entries) = std::fs::read_dir(&next.dir) else {
            found.unreadable += 1;
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(below) = join(&next.below, &name) else { continue };
            let Ok(stat) = entry.metadata() else { continue };
            let left_out = next.left_out || !matcher.takes_part(&below, stat.is_dir());
            if !stat.is_dir() {
                add(&mut found, &stat, left_out);
            } else if waiting.len() < MOST_WAITING {
                waiting.push(Waiting { dir: entry.path(), below, left_out });
            } else {
                found.complete = false;
            }
        }
    }
    found
}

/// The path of an entry below the root; none for Evenfold's own folder and what could never be synced.
fn join(dir: &RelPath, name: &OsStr) -> Option<RelPath> {
    if dir.is_root() && name.as_bytes() == b".evenfold" {
        return None;
    }
    let path = [dir.as_bytes(), name.as_bytes()].join(if dir.is_root() { b"".as_slice() } else { b"/" });
    RelPath::new(&path).ok()
}

fn add(found: &mut Folder, stat: &Metadata, left_out: bool) {
    if left_out {
        found.ignored += 1;
        found.ignored_bytes += stat.len();
    } else {
        found.files += 1;
        found.bytes += stat.len();
    }
}

/// Free bytes for this user on the file system of a folder.
fn free(root: &Path) -> Option<u64> {
    let space = rustix::fs::statvfs(root).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_counted_on_either_side_of_the_patterns() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path();
        for (name, content) in [
            ("a.txt", "12345"),
            ("src/b.txt", "123"),
            ("node_modules/c/d.js", "1234567"),
            ("src/e.log", "1"),
            (".evenfold/own", "not the user's"),
        ] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        std::os::unix::fs::symlink("/", root.join("all")).unwrap();
        let patterns = vec!["node_modules/".to_owned(), "*.log".to_owned()];
        let found = count(&PathText::from(root), patterns).await.unwrap();
        assert_eq!((found.files, found.ignored, found.ignored_bytes), (3, 2, 8));
        assert_eq!(found.bytes, 5 + 3 + 1, "the link counts with its own length");
        assert!(found.complete && found.free_bytes.is_some());
        assert_eq!(count(&PathText::from(root), Vec::new()).await.unwrap().files, 5);
    }

    #[tokio::test]
    async fn what_is_no_folder_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("file");
        std::fs::write(&file, "").unwrap();
        for path in [&*file, &temporary.path().join("absent"), Path::new("relative")] {
            let error = count(&PathText::from(path), Vec::new()).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::Folder, "{}", path.display());
        }
        let error = count(&PathText::from(temporary.path()), vec!["[".to_owned()]).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Setting);
    }
}
