//! The one door for people and CI: `cargo xtask VERB`.
//!
//! Every verb lives in a module of its own. It prepares what it needs by itself (see [`setup`]), so that each of
//! them works on a fresh clone.

// A tool for developers talks on the terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod bench;
mod corpus;
mod demo;
mod desktop;
mod node;
mod package;
mod rng;
mod scratch;
mod setup;
mod shell;
mod sim;
mod stats;
mod summary;
mod test;
mod tidy;
mod tree;

use std::process::ExitCode;

use args::Args;

const HELP: &str = "\
cargo xtask VERB [OPTIONS]

  setup [--dry-run]      install what building, testing, measuring and packaging need
  test [--quick]         everything that must pass: format, lints, tidy, tests, doc tests
  tidy                   the project's own rules only (layers, sizes, licences, links)
  ci                     what a build server runs: the same as test
  desktop [--build]      build the desktop application and test it on a screen
  demo [--files N]       see two nodes pair, sync, disagree and recover on this machine
  bench [--only NAME]    measure against rsync over ssh, in one run
  sim [ARGS…]            the multi-node simulator: exhaustive, --histories N, --seed S
  package [--check]      Debian and RPM packages and a tarball; --desktop for the
                         desktop application, too

cargo xtask VERB --help says more about each.
";

fn main() -> ExitCode {
    let mut given = std::env::args().skip(1);
    let verb = given.next().unwrap_or_else(|| "help".to_owned());
    let args = Args::new(given.collect());
    let outcome = match verb.as_str() {
        "setup" => setup::main(args),
        "test" => test::main(args),
        "tidy" => tidy::main(args),
        "ci" => test::ci(args),
        "demo" => demo::main(args),
        "desktop" => desktop::main(args),
        "bench" => bench::main(args),
        "package" => package::main(args),
        "sim" => sim::main(args),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => Err(args::usage(format!("there is no verb {other:?}\n\n{HELP}"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<args::HelpShown>() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<args::Usage>() { 2 } else { 1 })
        }
    }
}
