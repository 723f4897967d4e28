//! `cargo xtask bench`: Evenfold and rsync over ssh, side by side in one run, on the work of the aims.

mod data;
mod deliveries;
mod evenfold;
mod probe;
mod report;
mod rsync;
mod trees;
mod watched;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::args::{Args, usage};
use crate::scratch::Scratch;
use crate::setup::{self, For};
use crate::{node, shell, tree};

use probe::Sample;
use rsync::Sshd;

const HELP: &str = "\
cargo xtask bench [--only NAME…] [--rounds N] [--quick] [--dir DIR] [--keep] [--program PATH]

Runs Evenfold (release build, two daemons on this machine) and rsync over ssh
(an sshd of our own on the loopback: a new connection each time, and one kept
connection) on the same data in the same run. Contents are compared after each
measurement; the contestants take turns. Prints times, CPU, bytes on the wire,
peak memory, ratios, and whether the aims are met.

  --only NAME   only this work; may be given several times:
                first-sync unchanged edit large insert overwrite burst rename tiny
                send-once relay
  --rounds N    how often each is measured (default 3); medians are shown, for
                large files the minimum
  --quick       one round on about a tenth of the data, to see that all works
  --dir DIR     where to put the data (default: the temporary directory)
  --keep        leave the data in place
  --program PATH  measure this evenfold instead of building one

Takes up to 40 GiB of disk and half an hour, with --quick 4 GiB and some minutes.
";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    FirstSync,
    Unchanged,
    Edit,
    Large,
    Insert,
    Overwrite,
    Burst,
    Rename,
    Tiny,
    TinyUnchanged,
    SendOnce,
    Relay,
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Evenfold,
    RsyncKept,
    Rsync,
    /// One rsync, with a connection of its own, for each file; only deliveries are measured so.
    RsyncEach,
    /// The same with scp.
    ScpEach,
}

impl Who {
    /// Who takes part in everything.
    const ALL: [Self; 3] = [Self::Evenfold, Self::RsyncKept, Self::Rsync];

    fn name(self) -> &'static str {
        match self {
            Self::Evenfold => "evenfold",
            Self::RsyncKept => "rsync-kept",
            Self::Rsync => "rsync",
            Self::RsyncEach => "rsync per file",
            Self::ScpEach => "scp per file",
        }
    }
}

impl Work {
    const NAMED: [(&'static str, &'static [Self]); 11] = [
        ("first-sync", &[Self::FirstSync]),
        ("unchanged", &[Self::Unchanged]),
        ("edit", &[Self::Edit]),
        ("large", &[Self::Large]),
        ("insert", &[Self::Insert]),
        ("overwrite", &[Self::Overwrite]),
        ("burst", &[Self::Burst]),
        ("rename", &[Self::Rename]),
        ("tiny", &[Self::Tiny, Self::TinyUnchanged]),
        ("send-once", &[Self::SendOnce]),
        ("relay", &[Self::Relay]),
    ];
}

/// How much of everything.
struct Scale {
    files: usize,
    edits: usize,
    rsync_edits: usize,
    repeats: usize,
    random_bytes: u64,
    text_bytes: u64,
    big_bytes: u64,
    burst_files: usize,
    burst_bytes: u64,
    renamed_files: usize,
    renamed_bytes: u64,
    tiny_files: usize,
    sent_files: usize,
    /// So many of them are sent one by one; the rest is taken to cost as much.
    sent_singly: usize,
    relayed_bytes: u64,
}

const MIB: u64 = 1 << 20;

const FULL: Scale = Scale {
    files: 20_000,
    edits: 50,
    rsync_edits: 10,
    repeats: 5,
    random_bytes: 2048 * MIB,
    text_bytes: 512 * MIB,
    big_bytes: 1024 * MIB,
    burst_files: 5_000,
    burst_bytes: 43_000_000,
    renamed_files: 2_000,
    renamed_bytes: 500 * MIB,
    tiny_files: 300_000,
    sent_files: 1_000,
    sent_singly: 100,
    relayed_bytes: 1024 * MIB,
};

const QUICK: Scale = Scale {
    files: 2_000,
    edits: 20,
    rsync_edits: 3,
    repeats: 2,
    random_bytes: 192 * MIB,
    text_bytes: 64 * MIB,
    big_bytes: 128 * MIB,
    burst_files: 500,
    burst_bytes: 4_300_000,
    renamed_files: 200,
    renamed_bytes: 50 * MIB,
    tiny_files: 20_000,
    sent_files: 1_000,
    sent_singly: 10,
    relayed_bytes: 128 * MIB,
};

/// One run of the benchmark.
struct Bench {
    program: PathBuf,
    dir: PathBuf,
    sshd: Sshd,
    rounds: usize,
    quick: bool,
    wanted: Vec<Work>,
    results: BTreeMap<(Work, Who), Vec<Sample>>,
}

/// `cargo xtask bench`.
pub(crate) fn main(mut args: Args) -> Result<()> {
    args.help(HELP)?;
    let quick = args.flag("--quick");
    let keep = args.flag("--keep");
    let rounds = args.parsed::<usize>("--rounds")?.unwrap_or(if quick { 1 } else { 3 }).max(1);
    let below = args.value("--dir")?.map(PathBuf::from);
    let program = args.value("--program")?.map(PathBuf::from);
    let wanted = wanted(&mut args)?;
    args.finish()?;
    setup::ensure(&[For::Build, For::Bench], false)?;
    let program = program.map_or_else(|| node::build("release"), Ok)?;
    let mut scratch = Scratch::new("bench", below.as_deref())?;
    if keep {
        scratch.keep();
    }
    let sshd = Sshd::start(scratch.path())?;
    let dir = scratch.path().to_path_buf();
    let mut bench = Bench { program, dir, sshd, rounds, quick, wanted, results: BTreeMap::new() };
    let failures = bench.run();
    print!("{}", report::machine());
    print!("{}", report::text(&bench.results, quick));
    if !failures.is_empty() {
        bail!("not everything could be measured:\n{}", failures.join("\n"));
    }
    Ok(())
}

fn wanted(args: &mut Args) -> Result<Vec<Work>> {
    let mut wanted = Vec::new();
    while let Some(name) = args.value("--only")? {
        for name in name.split(',') {
            let known = Work::NAMED.iter().find(|(known, _)| *known == name);
            let Some((_, works)) = known else {
                let names = Work::NAMED.map(|(known, _)| known).join(" ");
                return Err(usage(format!("there is no work {name:?}; there are: {names}")));
            };
            wanted.extend_from_slice(works);
        }
    }
    if wanted.is_empty() {
        wanted = Work::NAMED.iter().flat_map(|(_, works)| works.iter().copied()).collect();
    }
    Ok(wanted)
}

impl Bench {
    /// Measures what is wanted. One failure does not stop the others; all are returned.
    fn run(&mut self) -> Vec<String> {
        type Group = fn(&mut Bench) -> Result<()>;
        let groups: [(&str, &[Work], Group); 8] = [
            ("many small files", &[Work::FirstSync, Work::Unchanged, Work::Edit], trees::small),
            ("large files", &[Work::Large], trees::large),
            ("changes in one big file", &[Work::Insert, Work::Overwrite], watched::big),
            ("a burst of new files", &[Work::Burst], watched::burst),
            ("a renamed directory", &[Work::Rename], watched::rename),
            ("very many tiny files", &[Work::Tiny, Work::TinyUnchanged], trees::tiny),
            ("many files, each delivered once", &[Work::SendOnce], deliveries::send_once),
            ("a large file through a hub", &[Work::Relay], deliveries::relay),
        ];
        let mut failures = Vec::new();
        for (title, works, group) in groups {
            if !works.iter().any(|work| self.wanted.contains(work)) {
                continue;
            }
            println!("\n== {title}");
            if let Err(error) = group(self) {
                eprintln!("failed: {error:#}");
                failures.push(format!("{title}: {error:#}"));
            }
        }
        failures
    }

    fn scale(&self) -> &'static Scale {
        if self.quick { &QUICK } else { &FULL }
    }

    /// Keeps a measurement and says it.
    fn record(&mut self, work: Work, who: Who, sample: Sample) {
        println!("   {work:?} {}: {sample}", who.name());
        self.record_quietly(work, who, sample);
    }

    fn record_quietly(&mut self, work: Work, who: Who, sample: Sample) {
        if self.wanted.contains(&work) {
            self.results.entry((work, who)).or_default().push(sample);
        }
    }
}

/// The contestants in this round's order: each begins as often as the others.
fn order(round: usize) -> [Who; 3] {
    let mut order = Who::ALL;
    order.rotate_left(round % Who::ALL.len());
    order
}

/// Writes out what the last measurement has left, so that it does not disturb the next one.
fn settle() {
    // Without a `sync` program the numbers are noisier, not wrong.
    let _ = Command::new("sync").status();
}

/// A measurement counts only if both sides are equal.
fn verify(src: &Path, dst: &Path) -> Result<()> {
    let found = tree::differences(src, dst, 5)?;
    if !found.is_empty() {
        bail!("the contents differ after the measurement:\n  {}", found.join("\n  "));
    }
    Ok(())
}

/// Tells the system to end a helper process that has no polite way.
fn end(child: &mut std::process::Child) {
    shell::terminate(child.id());
    if shell::wait_within(child, std::time::Duration::from_secs(5)).is_none() {
        // It may be gone by now.
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contestant_begins_once_in_three_rounds() {
        let first: Vec<Who> = (0..3).map(|round| order(round)[0]).collect();
        assert_eq!(first, Who::ALL);
    }

    #[test]
    fn names_choose_their_work_and_wrong_ones_are_refused() {
        let mut args = Args::new(vec!["--only".into(), "tiny,edit".into(), "--only=burst".into()]);
        assert_eq!(wanted(&mut args).unwrap(), [Work::Tiny, Work::TinyUnchanged, Work::Edit, Work::Burst]);
        assert_eq!(wanted(&mut Args::new(vec![])).unwrap().len(), 12);
        assert!(wanted(&mut Args::new(vec!["--only".into(), "all".into()])).is_err());
    }
}
