//! `sim`: checks that are too long for every test run. One sub-command each.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

use std::process::ExitCode;
use std::time::Instant;

use evenfold_testkit::exhaustive::{Subject, run};

const USAGE: &str = "\
usage: sim exhaustive [--every N]   all triples of trees up to depth 2 (or of each N-th ancestor only)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["exhaustive"] => exhaustive(1),
        ["exhaustive", "--every", n] if n.parse::<usize>().is_ok() => exhaustive(n.parse().unwrap_or(1)),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn exhaustive(every: usize) -> ExitCode {
    let begun = Instant::now();
    let progress = |done: usize, of: usize| eprint!("\r{done} of {of} ancestors, {:.0?}  ", begun.elapsed());
    let result = run::check_depth_2(&Subject::CORE, every, &progress);
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!();
    match result {
        Ok(run::Counts { checked, stands_for }) => {
            let rate = checked as f64 / seconds;
            println!("{checked} triples, which stand for {stands_for}: all properties hold");
            println!("{seconds:.1} s, {rate:.0} triples/s");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{:?} is broken: {}", failure.violation.property, failure.violation.detail);
            println!("{}", failure.case);
            ExitCode::FAILURE
        }
    }
}
