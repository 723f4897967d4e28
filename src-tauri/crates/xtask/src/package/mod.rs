//! `cargo xtask package`: what users install of the headless node, built and tried out here.

mod deb;
mod stage;
mod tarball;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::setup::{self, For};
use crate::{node, shell, stats};

const HELP: &str = "\
cargo xtask package [--check] [--program PATH]

Builds the Debian package and the tarball of the headless evenfold into
target/package: the program, man pages, shell completions, systemd units.

  --check         also install the package into an empty root, run the program
                  there, remove it, and see that nothing is left; run the
                  tarball's program, too
  --program PATH  pack this evenfold instead of building one
";

/// The workspace's version, which every package of it shares.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long the small helper programs may take.
const SOON: Duration = Duration::from_secs(120);

/// `cargo xtask package`.
pub(crate) fn main(mut args: Args) -> Result<()> {
    args.help(HELP)?;
    let check = args.flag("--check");
    let program = args.value("--program")?.map(PathBuf::from);
    args.finish()?;
    setup::ensure(&[For::Build, For::Package], false)?;
    let program = program.map_or_else(|| node::build("release"), Ok)?;
    let out = shell::target_dir().join("package");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    }
    let stage = out.join("stage");
    stage::fill(&program, &stage)?;
    let packages = [deb::build(&stage, &out)?, tarball::build(&stage, &out)?];
    checksums(&out, &packages)?;
    for package in &packages {
        let size = fs::metadata(package)?.len();
        println!("package: {} ({})", package.display(), stats::bytes(size as f64));
    }
    if check {
        let [deb, tarball] = &packages;
        deb::check(deb, &out.join("root"))?;
        tarball::check(tarball, &out.join("unpacked"))?;
        println!("package: installed, run and removed without a trace");
    }
    Ok(())
}

/// Beside the packages, so that whoever fetches them can see that they are whole.
fn checksums(out: &Path, packages: &[PathBuf]) -> Result<()> {
    let mut command = Command::new("sha256sum");
    command.current_dir(out).args(packages.iter().filter_map(|path| path.file_name()));
    fs::write(out.join("SHA256SUMS"), said(&mut command)?)?;
    Ok(())
}

/// What a helper program prints; its failure is an error.
fn said(command: &mut Command) -> Result<String> {
    let output = shell::output_within(command, SOON)?;
    if !output.status.success() {
        bail!(
            "`{}` failed ({}): {}",
            shell::shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs an installed `evenfold --version` and compares it with what was packed.
fn run_version(program: &Path) -> Result<()> {
    let version = said(Command::new(program).arg("--version"))?;
    if !version.contains(VERSION) {
        bail!("{} calls itself {:?}, not {VERSION}", program.display(), version.trim());
    }
    println!("package: {} says {}", program.display(), version.trim());
    Ok(())
}
