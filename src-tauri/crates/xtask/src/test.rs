//! `cargo xtask test`: everything that must pass, in the order in which mistakes are cheapest to find.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::setup::{self, For};
use crate::summary::{self, Counts};
use crate::{desktop, shell, stats, tidy};

const HELP: &str = "\
cargo xtask test [--quick]

Runs everything that must pass and stops at the first step that does not:
set-up, format, tidy (the project's own rules), one build of everything that
clippy looks at, all tests with nextest (among them the end-to-end scenarios
with real processes, 10,000 simulated histories and the exhaustive check of
small trees), doc tests, cargo-deny where it is installed (`cargo xtask setup
--deny`), the window's checks and unit tests, every page of it in a browser
(pictures are left in ui/test-results), and the real application on a screen
of its own.

  --quick   leave out the end-to-end scenarios, the simulator, the doc tests and
            the desktop application

The last line is `N passed, M failed`.
";

/// Everything but real processes and the long simulations.
const QUICK: &str = "not (package(evenfold-cli) & kind(test)) & not package(evenfold-testkit)";

/// Everything but the desktop's tests.
const NOT_DESKTOP: &str = "not package(evenfold-desktop)";

/// Steps done so far, with how long each took.
#[derive(Default)]
struct Steps {
    done: Vec<(&'static str, Duration, &'static str)>,
    counts: Counts,
}

/// `cargo xtask ci`: as a build server calls it.
pub(crate) fn ci(mut args: Args) -> Result<()> {
    args.help("cargo xtask ci\n\nThe same as `cargo xtask test`; see there.\n")?;
    main(args)
}

/// `cargo xtask test`.
pub(crate) fn main(mut args: Args) -> Result<()> {
    args.help(HELP)?;
    let quick = args.flag("--quick");
    args.finish()?;
    let mut steps = Steps::default();
    let outcome = all(&mut steps, quick);
    println!();
    let rows: Vec<Vec<String>> = steps
        .done
        .iter()
        .map(|(name, took, outcome)| vec![(*name).to_owned(), stats::duration(*took), (*outcome).to_owned()])
        .collect();
    print!("{}", stats::table(&["step", "took", ""], &rows));
    println!("\n{} passed, {} failed", steps.counts.passed, steps.counts.failed);
    outcome
}

fn all(steps: &mut Steps, quick: bool) -> Result<()> {
    steps.run("set-up", |_| set_up())?;
    steps.run("format", |_| shell::run(shell::cargo().args(["fmt", "--all", "--check"])))?;
    steps.run("tidy", |_| tidy::check())?;
    let pages = if quick { None } else { Some(steps.run("pages", |_| pages())) };
    // Where the desktop cannot be built, everything else still tells something; it fails in the end.
    let mut packages = Vec::new();
    if matches!(pages, Some(Ok(()))) {
        packages.push("--workspace");
        packages.extend(desktop::TYPES);
    }
    let packages = packages.as_slice();
    steps.run("build, clippy", |_| shell::build_linted(packages))?;
    steps.run("tests", |counts| tests(counts, quick, packages))?;
    let Some(pages) = pages else { return Ok(()) };
    steps.run("doc tests", |counts| doc_tests(counts, packages))?;
    if shell::succeeds(shell::cargo().args(["deny", "--version"])) {
        steps.run("cargo-deny", |_| deny())?;
    } else {
        println!(
            "cargo-deny is not installed: licences and sources were checked by tidy, advisories were not"
        );
    }
    pages?;
    steps.run("window", desktop::window)?;
    // After all others: it measures how soon it starts and that it rests.
    steps.run("application", |counts| desktop::application(packages, counts))?;
    Ok(())
}

/// What the desktop application needs before it can be built.
fn pages() -> Result<()> {
    desktop::prepare()?;
    desktop::pages()
}

/// Without the compiler and its tools nothing goes on. The programs that only some tests need may be missing on a
/// machine without a network: those tests then fail by themselves, the others still tell something.
fn set_up() -> Result<()> {
    setup::ensure(&[For::Build], false)?;
    setup::components(false)?;
    for outcome in [setup::ensure(&[For::Test], false), setup::nextest(false)] {
        if let Err(error) = outcome {
            println!("set-up is incomplete: {error:#}");
        }
    }
    Ok(())
}

impl Steps {
    fn run(&mut self, name: &'static str, step: impl FnOnce(&mut Counts) -> Result<()>) -> Result<()> {
        println!("\n== {name}");
        let began = Instant::now();
        let outcome = step(&mut self.counts);
        self.done.push((name, began.elapsed(), if outcome.is_ok() { "ok" } else { "FAILED" }));
        outcome.with_context(|| format!("step {name:?}"))
    }
}

fn tests(counts: &mut Counts, quick: bool, packages: &[&str]) -> Result<()> {
    let with_nextest = shell::succeeds(shell::cargo().args(["nextest", "--version"]));
    let mut command = shell::linting_cargo();
    if with_nextest {
        command.args(["nextest", "run", "--no-fail-fast"]).args(packages);
        // The desktop's tests need a screen and a quiet machine: they are a step of their own.
        command.args(["--filterset", if quick { QUICK } else { NOT_DESKTOP }]);
    } else {
        println!("cargo-nextest could not be installed; `cargo test` does the same more slowly");
        command.args([
            "test",
            "--workspace",
            "--exclude",
            "evenfold-desktop",
            "--lib",
            "--bins",
            "--tests",
            "--no-fail-fast",
        ]);
        if quick {
            command.args(["--exclude", "evenfold-cli", "--exclude", "evenfold-testkit"]);
        }
    }
    let (status, output) = shell::run_and_keep(&mut command)?;
    let found = if with_nextest { summary::nextest(&output) } else { Some(summary::cargo_test(&output)) };
    let Some(found) = found else { bail!("the tests could not be built or started") };
    *counts = counts.plus(found);
    if !status.success() {
        bail!("{} tests failed", found.failed);
    }
    Ok(())
}

fn deny() -> Result<()> {
    shell::run(shell::cargo().args(["deny", "check", "bans", "licenses", "sources"]))?;
    let (status, output) = shell::run_and_keep(shell::cargo().args(["deny", "check", "advisories"]))?;
    if !status.success() && output.contains("failed to fetch advisory database") {
        println!("the advisory database cannot be had without a network: advisories were not checked");
    } else if !status.success() {
        bail!("a dependency has a known vulnerability");
    }
    Ok(())
}

fn doc_tests(counts: &mut Counts, packages: &[&str]) -> Result<()> {
    let (status, output) =
        shell::run_and_keep(shell::linting_cargo().args(["test", "--doc"]).args(packages))?;
    *counts = counts.plus(summary::cargo_test(&output));
    if !status.success() {
        bail!("doc tests failed");
    }
    Ok(())
}
