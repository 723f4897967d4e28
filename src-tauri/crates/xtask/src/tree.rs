//! Looks at folders with our own eyes: what demo and bench claim about two folders does not rest on Evenfold's word.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The one name at a root's top that is Evenfold's own.
pub(crate) const OWN: &str = ".evenfold";

/// What has to be equal on both sides, apart from contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Directory { mode: u32 },
    File { mode: u32, size: u64, mtime: (i64, i64) },
    Link { target: PathBuf },
    Other,
}

/// Everything below `root` but [`OWN`], by relative path.
pub(crate) fn walk(root: &Path) -> Result<BTreeMap<PathBuf, Item>> {
    let mut items = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(dir) = pending.pop() {
        let full = root.join(&dir);
        for entry in std::fs::read_dir(&full).with_context(|| full.display().to_string())? {
            let entry = entry?;
            if dir.as_os_str().is_empty() && entry.file_name() == OWN {
                continue;
            }
            let path = dir.join(entry.file_name());
            let metadata = entry.metadata().with_context(|| entry.path().display().to_string())?;
            let mode = metadata.mode() & 0o7777;
            let item = if metadata.is_dir() {
                pending.push(path.clone());
                Item::Directory { mode }
            } else if metadata.is_symlink() {
                Item::Link { target: std::fs::read_link(entry.path())? }
            } else if metadata.is_file() {
                Item::File { mode, size: metadata.len(), mtime: (metadata.mtime(), metadata.mtime_nsec()) }
            } else {
                Item::Other
            };
            items.insert(path, item);
        }
    }
    Ok(items)
}

/// How many files a folder holds, and their bytes.
pub(crate) fn size(root: &Path) -> Result<(usize, u64)> {
    let items = walk(root)?;
    let sizes: Vec<u64> = items
        .values()
        .filter_map(|item| if let Item::File { size, .. } = item { Some(*size) } else { None })
        .collect();
    Ok((sizes.len(), sizes.iter().sum()))
}

/// What differs between two folders, path by path; at most `limit` lines. Empty means equal in every byte.
pub(crate) fn differences(left: &Path, right: &Path, limit: usize) -> Result<Vec<String>> {
    let (ours, theirs) = (walk(left)?, walk(right)?);
    let mut found = Vec::new();
    for (path, item) in &ours {
        if found.len() >= limit {
            break;
        }
        match theirs.get(path) {
            None => found.push(format!("{}: only in {}", path.display(), left.display())),
            Some(other) if other != item => {
                found.push(format!("{}: {item:?} against {other:?}", path.display()));
            }
            Some(_) if matches!(item, Item::File { .. }) && !same(&left.join(path), &right.join(path))? => {
                found.push(format!("{}: contents differ", path.display()));
            }
            Some(_) => {}
        }
    }
    let only_right = theirs.keys().filter(|path| !ours.contains_key(*path));
    found.extend(
        only_right.map(|path| format!("{}: only in {}", path.display(), right.display())).take(limit),
    );
    Ok(found)
}

/// True if two files have the same bytes.
fn same(left: &Path, right: &Path) -> Result<bool> {
    let open = |path: &Path| File::open(path).with_context(|| path.display().to_string());
    let (mut left, mut right) = (open(left)?, open(right)?);
    let (mut ours, mut theirs) = (vec![0; 256 * 1024], vec![0; 256 * 1024]);
    loop {
        let n = fill(&mut left, &mut ours)?;
        let m = fill(&mut right, &mut theirs)?;
        if ours.get(..n) != theirs.get(..m) {
            return Ok(false);
        }
        if n == 0 {
            return Ok(true);
        }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            n => done += n,
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::scratch::Scratch;

    fn pair() -> (Scratch, PathBuf, PathBuf) {
        let scratch = Scratch::new("tree-test", None).unwrap();
        let (left, right) = (scratch.path().join("left"), scratch.path().join("right"));
        for root in [&left, &right] {
            fs::create_dir_all(root.join("dir")).unwrap();
            fs::write(root.join("dir/file"), "equal").unwrap();
            std::os::unix::fs::symlink("dir/file", root.join("link")).unwrap();
            let file = File::options().append(true).open(root.join("dir/file")).unwrap();
            file.set_modified(
                std::time::UNIX_EPOCH + std::time::Duration::from_nanos(1_600_000_000_123_456_789),
            )
            .unwrap();
        }
        (scratch, left, right)
    }

    fn count(left: &Path, right: &Path) -> usize {
        differences(left, right, 100).unwrap().len()
    }

    #[test]
    fn equal_folders_have_no_differences_whatever_lies_in_our_own_directory() {
        let (_scratch, left, right) = pair();
        fs::create_dir(left.join(OWN)).unwrap();
        fs::write(left.join(OWN).join("marker"), "ours").unwrap();
        assert_eq!(differences(&left, &right, 100).unwrap(), Vec::<String>::new());
        assert_eq!(size(&left).unwrap(), (1, 5));
    }

    #[test]
    fn each_kind_of_difference_is_seen() {
        type Change = fn(&Path);
        let changes: [Change; 6] = [
            |right| fs::write(right.join("new"), "").unwrap(),
            |right| fs::remove_file(right.join("dir/file")).unwrap(),
            |right| fs::remove_file(right.join("link")).unwrap(),
            |right| {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
                fs::set_permissions(right.join("dir"), mode).unwrap();
            },
            |right| {
                let file = File::options().append(true).open(right.join("dir/file")).unwrap();
                file.set_modified(std::time::UNIX_EPOCH).unwrap();
            },
            |right| {
                let path = right.join("dir/file");
                let before = fs::metadata(&path).unwrap().modified().unwrap();
                fs::write(&path, "equaL").unwrap();
                File::options().append(true).open(&path).unwrap().set_modified(before).unwrap();
            },
        ];
        for (i, change) in changes.into_iter().enumerate() {
            let (_scratch, left, right) = pair();
            change(&right);
            assert_eq!(count(&left, &right), 1, "change {i}");
        }
    }
}
