//! Changes to folders that are already in sync: for Evenfold with the watcher on, for rsync by a run right after.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::data::{self, Burst};
use super::evenfold::{Pair, label};
use super::probe::Sample;
use super::{Bench, Who, Work, order, settle, verify};
use crate::node::wait_until;
use crate::stats;

/// The file that single edits change.
pub(super) const EDITED: &str = "bench-edit.txt";
const LIMIT: Duration = Duration::from_secs(120);

/// Single edits, one after the other, each until the other side's file has the new content.
pub(super) fn edits(bench: &mut Bench, pair: &Pair, src: &Path, dst: &Path) -> Result<()> {
    let count = bench.scale().edits;
    pair.calm();
    let mut times = Vec::new();
    let whole = pair.measure(|| {
        for n in 0..count {
            let content = format!("edit number {n}\n").into_bytes();
            let began = Instant::now();
            fs::write(src.join(EDITED), &content)?;
            wait_until("an edit", LIMIT, || {
                Ok(fs::read(dst.join(EDITED)).is_ok_and(|found| found == content))
            })?;
            times.push(began.elapsed().as_secs_f64());
            // Uneven pauses, so that no timer falls into step with us.
            std::thread::sleep(Duration::from_millis(120 + (n as u64 * 37) % 90));
        }
        Ok(())
    })?;
    let each = |sum: f64| sum / count.max(1) as f64;
    let sample = |&seconds: &f64| Sample {
        seconds,
        cpu: each(whole.cpu),
        wire: whole.wire.map(each),
        memory: whole.memory,
    };
    record_many(bench, Who::Evenfold, times.iter().map(sample).collect());
    Ok(())
}

/// Keeps the measurements of many edits and says their median.
pub(super) fn record_many(bench: &mut Bench, who: Who, samples: Vec<Sample>) {
    let times: Vec<f64> = samples.iter().map(|sample| sample.seconds).collect();
    let median = stats::median(&times).map_or_else(String::new, stats::seconds);
    println!("   Edit {}: median {median} of {}", who.name(), times.len());
    for sample in samples {
        bench.record_quietly(Work::Edit, who, sample);
    }
}

/// One contestant with folders of its own, in sync before the first measurement.
struct Contestant {
    who: Who,
    src: PathBuf,
    dst: PathBuf,
    pair: Option<Pair>,
}

impl Contestant {
    /// Measures `change` to the source until `arrived` holds at the destination (for rsync: until it has run).
    fn measure(
        &self,
        bench: &Bench,
        change: impl FnOnce() -> Result<()>,
        arrived: impl FnMut() -> Result<bool>,
    ) -> Result<Sample> {
        match &self.pair {
            None => bench.sshd.measure(self.who, &self.src, &self.dst, change),
            Some(pair) => pair.measure(|| {
                change()?;
                wait_until("the change", LIMIT, arrived).map(|_| ())
            }),
        }
    }
}

/// Prepares all three with the same content, made once by `fill`.
fn contestants(
    bench: &Bench,
    group: &str,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<Vec<Contestant>> {
    let origin = bench.dir.join(format!("{group}-origin"));
    fs::create_dir_all(&origin)?;
    fill(&origin)?;
    let mut prepared = Vec::new();
    for who in Who::ALL {
        let name = label(group, who, 0);
        let (src, dst) = (bench.dir.join(format!("{name}-src")), bench.dir.join(format!("{name}-dst")));
        fs::create_dir_all(&dst)?;
        let copied = std::process::Command::new("cp").arg("-a").arg(&origin).arg(&src).status()?;
        if !copied.success() {
            anyhow::bail!("cp failed ({copied})");
        }
        let mut pair = None;
        if who == Who::Evenfold {
            let started = Pair::start(bench, &name, &src, &dst)?;
            started.join()?;
            started.calm();
            pair = Some(started);
        } else {
            bench.sshd.sync(who, &src, &dst)?;
        }
        verify(&src, &dst)?;
        prepared.push(Contestant { who, src, dst, pair });
    }
    Ok(prepared)
}

/// Calls `turn` for each contestant in each round, in changing order.
fn take_turns(
    bench: &mut Bench,
    all: &[Contestant],
    mut turn: impl FnMut(&mut Bench, &Contestant, usize) -> Result<()>,
) -> Result<()> {
    for round in 0..bench.rounds {
        for who in order(round) {
            let contestant = all.iter().find(|contestant| contestant.who == who).context("a contestant")?;
            settle();
            turn(bench, contestant, round)?;
        }
    }
    Ok(())
}

fn finish(all: Vec<Contestant>) -> Result<()> {
    for contestant in all {
        if let Some(pair) = contestant.pair {
            pair.finish(&contestant.src)?;
        }
    }
    Ok(())
}

/// One byte inserted in front of a big file (saved by rename, as editors do); 4 KiB overwritten within it.
pub(super) fn big(bench: &mut Bench) -> Result<()> {
    const NAME: &str = "big.bin";
    let bytes = bench.scale().big_bytes;
    let all = contestants(bench, "big", |origin| data::random_file(&origin.join(NAME), bytes))?;
    take_turns(bench, &all, |bench, contestant, round| {
        let (src, dst) = (contestant.src.join(NAME), contestant.dst.join(NAME));
        if bench.wanted.contains(&Work::Insert) {
            let edited = contestant.src.with_extension("edited");
            insert_in_front(&src, &edited, round as u8)?;
            let wanted = fs::metadata(&edited)?.len();
            settle();
            let sample = contestant.measure(
                bench,
                || Ok(fs::rename(&edited, &src)?),
                || Ok(fs::metadata(&dst).is_ok_and(|metadata| metadata.len() == wanted)),
            )?;
            bench.record(Work::Insert, contestant.who, sample);
            verify(&contestant.src, &contestant.dst)?;
        }
        if bench.wanted.contains(&Work::Overwrite) {
            let block = data::random_bytes(4096)?;
            let at = bytes / 2 + 1234;
            settle();
            let sample = contestant.measure(
                bench,
                || Ok(File::options().write(true).open(&src)?.write_all_at(&block, at)?),
                || Ok(block_at(&dst, at).is_ok_and(|found| found == block)),
            )?;
            bench.record(Work::Overwrite, contestant.who, sample);
            verify(&contestant.src, &contestant.dst)?;
        }
        Ok(())
    })?;
    finish(all)
}

fn insert_in_front(from: &Path, to: &Path, byte: u8) -> Result<()> {
    let mut edited = File::create(to)?;
    std::io::Write::write_all(&mut edited, &[byte])?;
    std::io::copy(&mut File::open(from)?, &mut edited)?;
    Ok(())
}

fn block_at(path: &Path, at: u64) -> Result<Vec<u8>> {
    let mut block = vec![0; 4096];
    File::open(path)?.read_exact_at(&mut block, at)?;
    Ok(block)
}

/// Thousands of new files at once; the time runs from the first write until all have arrived with their sizes.
pub(super) fn burst(bench: &mut Bench) -> Result<()> {
    let burst = Burst::new(bench.scale().burst_files, bench.scale().burst_bytes)?;
    let alone = bench.dir.join("burst-alone");
    fs::create_dir_all(&alone)?;
    let began = Instant::now();
    burst.write(&alone, "burst")?;
    println!("   writing the files takes {} by itself", stats::duration(began.elapsed()));
    let all = contestants(bench, "burst", |origin| Ok(fs::write(origin.join("readme.txt"), "a base\n")?))?;
    take_turns(bench, &all, |bench, contestant, round| {
        let name = format!("burst-{round}");
        let pending = std::cell::RefCell::new(Vec::new());
        let sample = contestant.measure(
            bench,
            || {
                *pending.borrow_mut() = burst.write(&contestant.src, &name)?;
                Ok(())
            },
            || {
                let mut pending = pending.borrow_mut();
                while let Some((path, size)) = pending.last() {
                    let metadata = fs::metadata(contestant.dst.join(path));
                    if !metadata.is_ok_and(|metadata| metadata.len() == *size) {
                        return Ok(false);
                    }
                    pending.pop();
                }
                Ok(true)
            },
        )?;
        bench.record(Work::Burst, contestant.who, sample);
        verify(&contestant.src.join(&name), &contestant.dst.join(&name))
    })?;
    finish(all)
}

/// A directory gets another name; nothing but the name has changed.
pub(super) fn rename(bench: &mut Bench) -> Result<()> {
    let (files, bytes) = (bench.scale().renamed_files, bench.scale().renamed_bytes);
    let all = contestants(bench, "rename", |origin| {
        Burst::new(files, bytes)?.write(origin, "name-0")?;
        Ok(())
    })?;
    let deep = files.div_ceil(50);
    take_turns(bench, &all, |bench, contestant, round| {
        let (before, after) = (format!("name-{round}"), format!("name-{}", round + 1));
        let sample = contestant.measure(
            bench,
            || Ok(fs::rename(contestant.src.join(&before), contestant.src.join(&after))?),
            || {
                let gone = !contestant.dst.join(&before).exists();
                Ok(gone && files_below(&contestant.dst.join(&after), deep) == files)
            },
        )?;
        bench.record(Work::Rename, contestant.who, sample);
        verify(&contestant.src, &contestant.dst)
    })?;
    finish(all)
}

/// Files in the numbered directories that a burst makes.
fn files_below(root: &Path, directories: usize) -> usize {
    (0..directories)
        .map(|n| fs::read_dir(root.join(format!("{n:03}"))).map_or(0, |entries| entries.count()))
        .sum()
}
