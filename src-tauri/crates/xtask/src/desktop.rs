//! `cargo xtask desktop`: the desktop application built and tried out: its window's pages, its lints, its tests on a screen
//! of their own. Apart from everything else, because it needs WebKit, GTK and Node.js.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::setup::{self, For};
use crate::shell;
use crate::summary::{self, Counts};

const HELP: &str = "\
cargo xtask desktop [--build] [--run [ARGUMENTS…]]

Builds the window's pages (npm), the application and the command line that its
tests use, checks the generated types, lints, and runs its tests: those of the
window's pages, every page in a browser (pictures are left in
ui/test-results), and the real application on an X server, session bus and
home of each test's own. Needs WebKitGTK, its WebDriver and Chromium, installed
by apt-get when they are missing, and Node.js 20.19 or newer.

  --build   only build
  --run     build, then run the application here; what follows is for it

The last line is `N passed, M failed`.
";

/// The tests of the desktop, for nextest.
const DESKTOP: &str = "package(evenfold-desktop) | binary(typescript)";

/// What the desktop is built of: the application, and the command line with which its tests ask and start other nodes.
const PACKAGES: [&str; 6] =
    ["--package", "evenfold-desktop", "--package", "evenfold-cli", "--package", "evenfold-node"];

/// Makes the test of the generated types. Everything is built with it, lest the node and all above it are built twice.
pub(crate) const TYPES: [&str; 2] = ["--features", "evenfold-node/ts"];

/// The oldest Node.js that builds the pages.
const NODE: (u32, u32) = (20, 19);

/// `cargo xtask desktop`.
pub(crate) fn main(mut args: Args) -> Result<()> {
    args.help(HELP)?;
    if args.flag("--run") {
        build("dev")?;
        let program = program("dev");
        return shell::run(Command::new(program).args(args.into_rest()));
    }
    let only_build = args.flag("--build");
    args.finish()?;
    if only_build {
        return build("dev").map(|_| ());
    }
    let mut counts = Counts::default();
    let outcome = prepare().and_then(|()| pages()).and_then(|()| check(&mut counts));
    println!("\n{} passed, {} failed", counts.passed, counts.failed);
    outcome
}

/// Why the desktop cannot be built on this machine, where it cannot.
pub(crate) fn prepare() -> Result<()> {
    setup::ensure(&[For::Build, For::Desktop], false)?;
    let said =
        shell::output_within(Command::new("node").arg("--version"), std::time::Duration::from_secs(20));
    let version =
        said.ok().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if !new_enough(&version) {
        bail!("the window's pages need Node.js {}.{} or newer, and this is {version:?}", NODE.0, NODE.1);
    }
    Ok(())
}

fn new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').filter_map(|part| part.parse::<u32>().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= NODE)
}

/// Everything of the desktop that must pass. The pages have to be built.
fn check(counts: &mut Counts) -> Result<()> {
    // Cargo builds a library anew for each set of features that is asked of it, so each step asks for the same as
    // `cargo xtask test` does.
    let mut targets = vec!["--workspace"];
    targets.extend(TYPES);
    shell::build_linted(&targets)?;
    let outcomes = [application(&targets, counts), window(counts)];
    outcomes.into_iter().collect()
}

/// The window's own checks, its unit tests, and its pages in a browser. Needs the command line to be built.
pub(crate) fn window(counts: &mut Counts) -> Result<()> {
    npm(&["run", "check"])?;
    npm(&["run", "lint"])?;
    let mut outcomes = Vec::new();
    for script in ["test", "test:ui"] {
        let mut command = npm_command(&["run", script]);
        command.env("EVENFOLD", shell::profile_dir("dev").join("evenfold"));
        let (status, output) = shell::run_and_keep(&mut command)?;
        let found = summary::vitest(&output).unwrap_or_default();
        *counts = counts.plus(found);
        outcomes.push(match (status.success(), found.failed) {
            (true, 0) => Ok(()),
            (_, 0) => Err(anyhow::anyhow!("`npm run {script}` failed before its tests were done")),
            (_, failed) => Err(anyhow::anyhow!("{failed} tests of the window failed")),
        });
    }
    outcomes.into_iter().collect()
}

/// Runs the desktop's tests, each on a screen of its own, among those of some targets.
pub(crate) fn application(targets: &[&str], counts: &mut Counts) -> Result<()> {
    let with_nextest = shell::succeeds(shell::cargo().args(["nextest", "--version"]));
    let mut command = shell::linting_cargo();
    if with_nextest {
        command.args(["nextest", "run", "--no-fail-fast"]).args(targets).args(["--filterset", DESKTOP]);
    } else {
        command.args(["test", "--no-fail-fast"]).args(targets);
        command.args(["--bin", "evenfold-desktop", "--test", "app", "--test", "typescript"]);
        // Each test has a screen of its own, which is a lot for a small machine all at once.
        command.args(["--", "--test-threads", "2"]);
    }
    let (status, output) = shell::run_and_keep(&mut command)?;
    let found = if with_nextest { summary::nextest(&output) } else { Some(summary::cargo_test(&output)) };
    let Some(found) = found else { bail!("the tests could not be built or started") };
    *counts = counts.plus(found);
    if status.success() { Ok(()) } else { bail!("{} tests failed", found.failed) }
}

/// Builds pages, application and command line; returns the application.
pub(crate) fn build(profile: &str) -> Result<PathBuf> {
    prepare()?;
    pages()?;
    let mut command = shell::cargo();
    command.args(["build", "--profile", profile]).args(PACKAGES);
    if profile == "dev" {
        command.args(TYPES);
    }
    if profile == "release" {
        command.args(["--features", "evenfold-desktop/custom-protocol"]);
    }
    shell::run(&mut command)?;
    let program = program(profile);
    if !program.is_file() {
        bail!("the build has left no {}", program.display());
    }
    Ok(program)
}

fn program(profile: &str) -> PathBuf {
    shell::profile_dir(profile).join("evenfold-desktop")
}

fn npm_command(arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(shell::root().join("ui"));
    command
}

fn npm(arguments: &[&str]) -> Result<()> {
    shell::run(&mut npm_command(arguments))
}

/// Builds the window's pages into `ui/dist`, without which the application is not built.
pub(crate) fn pages() -> Result<()> {
    let ui = shell::root().join("ui");
    if is_older(&ui.join("node_modules/.package-lock.json"), &ui.join("package-lock.json"))? {
        npm(&["ci", "--no-audit", "--no-fund"])?;
    }
    npm(&["run", "build"])
}

/// Tells whether a file is missing or was made before another one.
fn is_older(file: &Path, than: &Path) -> Result<bool> {
    let Ok(made) = std::fs::metadata(file).and_then(|found| found.modified()) else { return Ok(true) };
    let other = std::fs::metadata(than).with_context(|| than.display().to_string())?;
    Ok(made < other.modified()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_node_is_refused_before_npm_says_something_strange() {
        for (version, expected) in [
            ("v20.19.0", true),
            ("v22.1.0", true),
            ("v20.18.9", false),
            ("v18.20.4", false),
            ("", false),
            ("x", false),
        ] {
            assert_eq!(new_enough(version), expected, "{version}");
        }
    }
}
