//! RPM packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::started::User;
use super::{Packed, VERSION, run_version, said};
use crate::shell;

/// Builds one from a filled stage, which stays as it is.
pub(super) fn build(what: &Packed, stage: &Path, out: &Path) -> Result<PathBuf> {
    let template = shell::root().join("installers/rpm").join(format!("{}.spec.in", what.name));
    let spec = fs::read_to_string(&template)
        .with_context(|| template.display().to_string())?
        .replace("@VERSION@", VERSION)
        .replace("@STAGE@", &stage.display().to_string());
    let dir = out.join("rpm");
    fs::create_dir_all(&dir)?;
    let file = dir.join("package.spec");
    fs::write(&file, spec)?;
    let mut build = Command::new("rpmbuild");
    build.args(["-bb", "--quiet", "--define"]).arg(format!("_topdir {}", dir.display()));
    build.args(["--define", "_rpmdir %{_topdir}"]).arg(&file);
    said(&mut build)?;
    let built = fs::read_dir(dir.join(std::env::consts::ARCH))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "rpm"));
    let Some(built) = built else { bail!("rpmbuild has left no package") };
    let package = out.join(built.file_name().context("a package without a name")?);
    fs::rename(&built, &package)?;
    fs::remove_dir_all(&dir)?;
    Ok(package)
}

/// Installs it into an empty root, starts it, removes it, and looks at what is left. `headless` is an `evenfold` to ask
/// the started program with.
pub(super) fn check(what: &Packed, package: &Path, root: &Path, headless: &Path) -> Result<()> {
    if !shell::output_within(Command::new("id").arg("-u"), super::SOON)?.stdout.starts_with(b"0\n") {
        println!(
            "package: only root can install an RPM package into a root of its own; its list was read instead"
        );
        let listed = said(Command::new("rpm").arg("-qpl").arg(package))?;
        if !listed.contains(&format!("/usr/bin/{}", what.program)) {
            bail!("{} holds no program", package.display());
        }
        return Ok(());
    }
    fs::create_dir_all(root)?;
    let rpm = || {
        let mut command = Command::new("rpm");
        command.arg("--root").arg(root);
        command
    };
    said(rpm().arg("--initdb"))?;
    // An empty root has no libraries; scripts there are none.
    said(rpm().args(["--install", "--nodeps", "--noscripts"]).arg(package))?;
    let program = root.join("usr/bin").join(what.program);
    run_version(&program)?;
    let user = User::of(what, root, headless)?;
    said(rpm().args(["--erase", "--nodeps", what.name]))?;
    user.has_everything()?;
    if program.exists() || root.join("usr/share/doc").join(what.name).exists() {
        bail!("after its removal, files are left below {}", root.display());
    }
    Ok(())
}
