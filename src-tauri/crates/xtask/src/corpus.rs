//! Real files to sync: the sources of the libraries that this very build has brought along.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell;

/// Larger files are left out: these are to be many small ones, 10 kB on average.
const MAX_SIZE: u64 = 128 << 10;

/// Copies `wanted` real files, with modes and times, below `to`. If the build has brought fewer, the rest are copies
/// of copies, each with a line of its own in front, so that no two contents are equal by our doing.
pub(crate) fn copy_sources(to: &Path, wanted: usize) -> Result<()> {
    let mut copied = Vec::new();
    for library in libraries()? {
        let Some(name) = library.file_name() else { continue };
        copy_below(&library, &to.join(name), wanted, &mut copied)?;
        if copied.len() >= wanted {
            return Ok(());
        }
    }
    if copied.is_empty() {
        bail!("the build has brought no sources; `cargo fetch` does");
    }
    for round in 1.. {
        for path in copied.clone() {
            if copied.len() >= wanted {
                return Ok(());
            }
            let relative = path.strip_prefix(to)?;
            let again = to.join(format!("again-{round}")).join(relative);
            if relative.starts_with(format!("again-{}", round - 1)) {
                continue;
            }
            if let Some(parent) = again.parent() {
                fs::create_dir_all(parent)?;
            }
            let mut content = format!("// copy {round} of {}\n", relative.display()).into_bytes();
            content.extend(fs::read(&path)?);
            fs::write(&again, content)?;
            copied.push(again);
        }
    }
    Ok(())
}

/// Folders with library sources, in the order of their names.
fn libraries() -> Result<BTreeSet<PathBuf>> {
    let mut command = shell::cargo();
    command.args(["metadata", "--format-version", "1"]);
    let output = shell::output_within(&mut command, Duration::from_secs(300))?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("cargo metadata: packages")?;
    let mut found = BTreeSet::new();
    for package in packages.iter().filter(|package| package.get("source").is_some_and(Value::is_string)) {
        let manifest = package.get("manifest_path").and_then(Value::as_str).map(Path::new);
        let Some(dir) = manifest.and_then(Path::parent) else { continue };
        // Everything beside it counts as well: other versions, libraries for other systems.
        let Some(all) = dir.parent() else { continue };
        if found.contains(dir) {
            continue;
        }
        for entry in fs::read_dir(all).with_context(|| all.display().to_string())? {
            found.insert(entry?.path());
        }
    }
    Ok(found)
}

fn copy_below(from: &Path, to: &Path, wanted: usize, copied: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    let mut entries: Vec<_> = entries.collect::<std::io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if copied.len() >= wanted {
            return Ok(());
        }
        let target = to.join(entry.file_name());
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            copy_below(&entry.path(), &target, wanted, copied)?;
        } else if metadata.is_file() && metadata.len() <= MAX_SIZE {
            fs::create_dir_all(to)?;
            fs::copy(entry.path(), &target).with_context(|| target.display().to_string())?;
            File::options().append(true).open(&target)?.set_modified(metadata.modified()?)?;
            copied.push(target);
        }
    }
    Ok(())
}

/// Reads every file once, so that the page cache holds it. Returns the bytes read.
pub(crate) fn warm(root: &Path) -> Result<u64> {
    let mut pending = vec![root.to_path_buf()];
    let mut bytes = 0;
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).with_context(|| path.display().to_string())?;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path)? {
                pending.push(entry?.path());
            }
        } else if metadata.is_file() {
            bytes += std::io::copy(&mut File::open(&path)?, &mut std::io::sink())?;
        }
    }
    Ok(bytes)
}
