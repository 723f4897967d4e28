//! The project's own rules, checked as text: they hold for code that nobody has compiled yet, too.

mod docs;
mod layers;
mod licences;
mod manifest;
mod rust_text;
mod sources;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::shell;

const HELP: &str = "\
cargo xtask tidy

Checks the rules that compilers do not know: which crate may depend on which,
which crate alone may use russh, sqlx, notify and tauri, no SQL outside the
store, no unfinished work, files of at most 600 lines, licences of everything
that is linked, every crate on the map in ARCHITECTURE.md, links that lead
somewhere, no paths of anybody's own machine.
";

/// A rule that does not hold at some place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: PathBuf,
    /// Counted from 1; 0 means the file as a whole.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_path_buf(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path.display(), self.message),
            line => write!(f, "{}:{line}: {}", self.path.display(), self.message),
        }
    }
}

/// `cargo xtask tidy`.
pub(crate) fn main(mut args: Args) -> Result<()> {
    args.help(HELP)?;
    args.finish()?;
    check()
}

/// Checks everything; prints each finding and fails if there is one.
pub(crate) fn check() -> Result<()> {
    let root = shell::root();
    let manifests = manifest::all(&root)?;
    let mut findings = Vec::new();
    for manifest in &manifests {
        layers::check(manifest, &mut findings);
    }
    let mut checked = 0;
    for path in files(&root)? {
        // Anything that is not text has no lines to check.
        let Ok(text) = std::fs::read_to_string(root.join(&path)) else { continue };
        sources::check(&path, &text, &root, &mut findings);
        checked += 1;
    }
    docs::check(&root, &manifests, &mut findings);
    findings.extend(licences::check(&root)?);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {checked} files and {} crates keep the rules", manifests.len());
            Ok(())
        }
        n => bail!("{n} places break the project's rules"),
    }
}

/// All files that git would commit, relative to `root`.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut command = std::process::Command::new("git");
    command.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = shell::output_within(&mut command, std::time::Duration::from_secs(30));
    let mut files: Vec<PathBuf> = match listed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .split('\0')
            .filter(|name| !name.is_empty())
            .map(PathBuf::from)
            .filter(|path| root.join(path).is_file())
            .collect(),
        // An unpacked archive has no git.
        _ => walk(root)?,
    };
    files.sort();
    Ok(files)
}

fn walk(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let entry = entry?;
            let name = entry.file_name();
            if entry.file_type()?.is_dir() {
                if !["target", ".git", "node_modules", "dist"].iter().any(|skipped| name == *skipped) {
                    pending.push(entry.path());
                }
            } else if let Ok(path) = entry.path().strip_prefix(root) {
                found.push(path.to_path_buf());
            }
        }
    }
    Ok(found)
}
