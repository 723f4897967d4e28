//! `cargo xtask package`: what users install, built and tried out here.

mod deb;
mod desktop;
mod rpm;
mod stage;
mod started;
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
cargo xtask package [--check] [--desktop] [--profile PROFILE]
                    [--program PATH] [--desktop-program PATH]

Builds the Debian and RPM packages and the tarball of the headless evenfold
into target/package: the program, man pages, shell completions, systemd units.

  --desktop       also the Debian and RPM packages of the desktop application:
                  program, desktop entry, AppStream metadata, icons
  --check         also install each package into an empty root, start the program
                  there as a user does (the desktop application on a screen of
                  its own), let it share a folder, remove the package, and see
                  that nothing of it is left and nothing of the user's is gone;
                  run the tarball's program, too
  --profile PROFILE
                  build with this profile of the workspace (default: release);
                  with dev, the check is quick, and the packages are not for users
  --program PATH  pack this evenfold instead of building one
  --desktop-program PATH
                  the same for evenfold-desktop
";

/// The workspace's version, which every package of it shares.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long the helper programs may take; compressing a package is the slowest of what they do.
const SOON: Duration = Duration::from_secs(900);

/// A package: how it is called and described, and what it has to hold.
pub(crate) struct Packed {
    name: &'static str,
    program: &'static str,
    /// Description of the Debian package, in `installers/deb`.
    control: &'static str,
    /// Whether it has a window, and so needs a screen.
    window: bool,
    /// Files that must be there and not empty once it is installed.
    installs: &'static [&'static str],
}

const HEADLESS: Packed = Packed {
    name: "evenfold",
    program: "evenfold",
    control: "control.in",
    window: false,
    installs: &[
        "usr/share/man/man1/evenfold.1.gz",
        "usr/share/doc/evenfold/copyright",
        "usr/share/doc/evenfold/changelog.gz",
        "usr/lib/systemd/user/evenfold.service",
        "usr/share/bash-completion/completions/evenfold",
    ],
};

const DESKTOP: Packed = Packed {
    name: "evenfold-desktop",
    program: "evenfold-desktop",
    control: "desktop.control.in",
    window: true,
    installs: &[
        "usr/share/applications/app.evenfold.desktop.desktop",
        "usr/share/metainfo/app.evenfold.desktop.metainfo.xml",
        "usr/share/icons/hicolor/48x48/apps/evenfold.png",
        "usr/share/icons/hicolor/scalable/apps/evenfold.svg",
        "usr/share/icons/hicolor/symbolic/apps/evenfold-symbolic.svg",
        "usr/share/doc/evenfold-desktop/copyright",
        "usr/share/doc/evenfold-desktop/changelog.gz",
    ],
};

/// `cargo xtask package`.
pub(crate) fn main(mut args: Args) -> Result<()> {
    args.help(HELP)?;
    let check = args.flag("--check");
    let profile = args.value("--profile")?.unwrap_or_else(|| "release".to_owned());
    let program = args.value("--program")?.map(PathBuf::from);
    let desktop_program = args.value("--desktop-program")?.map(PathBuf::from);
    let with_desktop = args.flag("--desktop") || desktop_program.is_some();
    args.finish()?;
    setup::ensure(&[For::Build, For::Package], false)?;
    if check && with_desktop {
        setup::ensure(&[For::Desktop], false)?;
    }
    let program = program.map_or_else(|| node::build(&profile), Ok)?;
    let desktop_program = match (with_desktop, desktop_program) {
        (false, _) => None,
        (true, Some(program)) => Some(program),
        (true, None) => Some(crate::desktop::build(&profile)?),
    };
    let out = shell::target_dir().join("package");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    }
    let stage = out.join("stage");
    stage::fill(&program, &stage)?;
    let depends = deb::dependencies(&stage.join("usr/bin/evenfold"))?;
    let mut debs = vec![(&HEADLESS, deb::build(&HEADLESS, &depends, &stage, &out)?)];
    let mut rpms = vec![(&HEADLESS, rpm::build(&HEADLESS, &stage, &out)?)];
    let tarball = tarball::build(&stage, &out)?;
    if let Some(program) = desktop_program {
        let stage = out.join("stage-desktop");
        desktop::fill(&program, &stage)?;
        let depends = desktop::dependencies(&stage.join("usr/bin/evenfold-desktop"), &out)?;
        debs.push((&DESKTOP, deb::build(&DESKTOP, &depends, &stage, &out)?));
        rpms.push((&DESKTOP, rpm::build(&DESKTOP, &stage, &out)?));
    }
    let mut packages: Vec<PathBuf> = debs.iter().chain(&rpms).map(|(_, package)| package.clone()).collect();
    packages.push(tarball.clone());
    checksums(&out, &packages)?;
    for package in &packages {
        let size = fs::metadata(package)?.len();
        println!("package: {} ({})", package.display(), stats::bytes(size as f64));
    }
    if check {
        for (what, package) in &debs {
            deb::check(what, package, &out.join(format!("root-deb-{}", what.name)), &program)?;
        }
        for (what, package) in &rpms {
            rpm::check(what, package, &out.join(format!("root-rpm-{}", what.name)), &program)?;
        }
        tarball::check(&tarball, &out.join("unpacked"))?;
        println!("package: installed, started and removed without a trace");
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
