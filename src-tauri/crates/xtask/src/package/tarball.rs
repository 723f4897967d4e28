//! The tarball, for systems without dpkg.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{VERSION, run_version, said};
use crate::shell;

/// Builds it from a filled stage: what lies below `usr`, and the licences, below one folder.
pub(super) fn build(stage: &Path, out: &Path) -> Result<PathBuf> {
    let name = name();
    let dir = out.join(&name);
    said(Command::new("cp").arg("-a").arg(stage.join("usr")).arg(&dir))?;
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let from = shell::root().join(licence);
        fs::copy(&from, dir.join(licence)).with_context(|| from.display().to_string())?;
    }
    let package = out.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--owner=0", "--group=0", "--numeric-owner", "--sort=name", "-C"]).arg(out);
    said(tar.arg("-czf").arg(&package).arg(&name))?;
    fs::remove_dir_all(&dir)?;
    Ok(package)
}

fn name() -> String {
    format!("evenfold-{VERSION}-{}-linux", std::env::consts::ARCH)
}

/// Unpacks it and runs its program.
pub(super) fn check(package: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    said(Command::new("tar").arg("-C").arg(into).arg("-xzf").arg(package))?;
    run_version(&into.join(name()).join("bin/evenfold"))
}
