//! `sim`: checks that are too long for every test run. One sub-command each.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

use std::process::ExitCode;
use std::time::Instant;

use evenfold_testkit::exhaustive::{Subject, run};
use evenfold_testkit::sim;

const USAGE: &str = "\
usage: sim exhaustive [--every N]        all triples of trees up to depth 2 (or of each N-th ancestor only)
       sim --histories N [--from SEED]   the histories of N seeds, from SEED (0) on
       sim --seed SEED                   one history, step by step
       sim deliveries --histories N [--from SEED] | --seed SEED      the same for send-once and relay";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["exhaustive"] => exhaustive(1),
        ["exhaustive", "--every", n] if n.parse::<usize>().is_ok() => exhaustive(n.parse().unwrap_or(1)),
        ["--histories", n] => number(n, |n| histories(0, n)),
        ["--histories", n, "--from", seed] => number(n, |n| number(seed, |seed| histories(seed, n))),
        ["--seed", seed] => number(seed, replay),
        ["deliveries", "--histories", n] => number(n, |n| deliveries(0, n)),
        ["deliveries", "--histories", n, "--from", seed] => {
            number(n, |n| number(seed, |seed| deliveries(seed, n)))
        }
        ["deliveries", "--seed", seed] => number(seed, replay_delivery),
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

fn number(text: &str, then: impl FnOnce(u64) -> ExitCode) -> ExitCode {
    match text.parse() {
        Ok(number) => then(number),
        Err(_) => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn histories(from: u64, count: u64) -> ExitCode {
    many(count, |progress| sim::run_many(from, count, None, 5, progress))
}

fn deliveries(from: u64, count: u64) -> ExitCode {
    many(count, |progress| sim::delivery::run_many(from, count, 5, progress))
}

fn many<F: std::fmt::Display>(count: u64, run: impl FnOnce(&(dyn Fn(u64) + Sync)) -> Vec<F>) -> ExitCode {
    let begun = Instant::now();
    let failures = run(&|done: u64| eprint!("\r{done} of {count} histories, {:.0?}  ", begun.elapsed()));
    eprintln!();
    failures.iter().for_each(|failure| println!("{failure}"));
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{} histories went wrong; {seconds:.1} s, {:.0} histories/s",
        failures.len(),
        count as f64 / seconds
    );
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(seed: u64) -> ExitCode {
    let (result, trace) = sim::replay(seed);
    told(result.is_ok(), &format!("{result:?}"), &trace, sim::run(seed, None))
}

fn replay_delivery(seed: u64) -> ExitCode {
    let (result, trace) = sim::delivery::replay(seed);
    told(result.is_ok(), &format!("{result:?}"), &trace, sim::delivery::run(seed))
}

fn told<F: std::fmt::Display>(
    went_well: bool,
    result: &str,
    trace: &[String],
    again: Result<(), F>,
) -> ExitCode {
    trace.iter().for_each(|line| println!("{line}"));
    match again {
        Ok(()) if went_well => {
            println!("all promises hold");
            ExitCode::SUCCESS
        }
        Ok(()) => {
            println!("the history is not the same each time: {result}");
            ExitCode::FAILURE
        }
        Err(failure) => {
            println!("\nWith the fewest steps:\n{failure}");
            ExitCode::FAILURE
        }
    }
}
