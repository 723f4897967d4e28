//! Lays out the installed files below one directory, as they will lie below `/`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::said;
use crate::shell;

const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/evenfold"),
    ("zsh", "usr/share/zsh/vendor-completions/_evenfold"),
    ("fish", "usr/share/fish/vendor_completions.d/evenfold.fish"),
];

/// Copies of the repository's own files: from, to.
const COPIES: [(&str, &str); 4] = [
    ("installers/systemd/evenfold.service", "usr/lib/systemd/user/evenfold.service"),
    ("installers/systemd/evenfold@.service", "usr/lib/systemd/system/evenfold@.service"),
    ("installers/deb/copyright", "usr/share/doc/evenfold/copyright"),
    ("README.md", "usr/share/doc/evenfold/README.md"),
];

/// Fills `stage` with everything that gets installed.
pub(super) fn fill(program: &Path, stage: &Path) -> Result<()> {
    put(
        stage,
        "usr/bin/evenfold",
        &fs::read(program).with_context(|| program.display().to_string())?,
        0o755,
    )?;
    for (from, to) in COPIES {
        let path = shell::root().join(from);
        put(stage, to, &fs::read(&path).with_context(|| path.display().to_string())?, 0o644)?;
    }
    for (name, to) in COMPLETIONS {
        let script = said(Command::new(program).args(["completions", name]))?;
        put(stage, to, script.as_bytes(), 0o644)?;
    }
    man_pages(program, stage)?;
    let changelog = shell::root().join("CHANGELOG.md");
    let to = "usr/share/doc/evenfold/changelog";
    put(stage, to, &fs::read(&changelog).with_context(|| changelog.display().to_string())?, 0o644)?;
    compress(&stage.join(to))
}

/// The program writes its own pages, from the definitions that also make `--help`.
fn man_pages(program: &Path, stage: &Path) -> Result<()> {
    let dir = stage.join("usr/share/man/man1");
    fs::create_dir_all(&dir)?;
    let separate = shell::succeeds(Command::new(program).args(["man", "--dir"]).arg(&dir));
    if !separate || fs::read_dir(&dir)?.next().is_none() {
        let page = said(Command::new(program).arg("man"))?;
        if !page.contains(".TH ") {
            bail!("`evenfold man` does not print a man page");
        }
        put(stage, "usr/share/man/man1/evenfold.1", page.as_bytes(), 0o644)?;
    }
    for entry in fs::read_dir(&dir)?.collect::<std::io::Result<Vec<_>>>()? {
        fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o644))?;
        compress(&entry.path())?;
    }
    Ok(())
}

/// Without name and time in the result, so that equal contents give equal packages.
pub(super) fn compress(path: &Path) -> Result<()> {
    said(Command::new("gzip").args(["-9", "--no-name"]).arg(path)).map(|_| ())
}

/// Writes one file of the stage, with the directories above it.
pub(super) fn put(stage: &Path, to: &str, content: &[u8], mode: u32) -> Result<()> {
    let path = stage.join(to);
    for dir in path.ancestors().skip(1).take_while(|dir| dir.starts_with(stage)) {
        fs::create_dir_all(dir)?;
        // Whatever the umask is here, others have to be able to look inside.
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    }
    fs::write(&path, content).with_context(|| path.display().to_string())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    Ok(())
}
