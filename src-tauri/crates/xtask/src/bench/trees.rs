//! First syncs of whole trees, and what it costs to find out that nothing has changed.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::evenfold::{Pair, label};
use super::probe::Sample;
use super::{Bench, Who, Work, data, order, settle, verify, watched};
use crate::corpus;

/// 20,000 real source files: first sync, nothing changed, single edits.
pub(super) fn small(bench: &mut Bench) -> Result<()> {
    let src = bench.dir.join("small");
    corpus::copy_sources(&src, bench.scale().files)?;
    rounds(bench, "small", &src, Work::FirstSync, Work::Unchanged)
}

/// 300,000 tiny files.
pub(super) fn tiny(bench: &mut Bench) -> Result<()> {
    let src = bench.dir.join("tiny");
    data::tiny_files(&src, bench.scale().tiny_files)?;
    rounds(bench, "tiny", &src, Work::Tiny, Work::TinyUnchanged)
}

/// 2 GiB that do not compress and 512 MiB that do.
pub(super) fn large(bench: &mut Bench) -> Result<()> {
    let src = bench.dir.join("large");
    fs::create_dir_all(&src)?;
    data::random_file(&src.join("random.bin"), bench.scale().random_bytes)?;
    data::text_file(&src.join("text.log"), bench.scale().text_bytes)?;
    rounds(bench, "large", &src, Work::Large, Work::Large)
}

/// Every contestant syncs `src` to a new place, in each round; where `again` is another work, it is measured, too.
fn rounds(bench: &mut Bench, group: &str, src: &Path, first: Work, again: Work) -> Result<()> {
    for round in 0..bench.rounds {
        for who in order(round) {
            let dst = bench.dir.join(format!("{}-dst", label(group, who, round)));
            fs::create_dir_all(&dst)?;
            match who {
                Who::Evenfold => evenfold(bench, &label(group, who, round), src, &dst, first, again)?,
                Who::RsyncKept | Who::Rsync => rsync(bench, who, src, &dst, first, again)?,
                // One process for each file is the old way of deliveries, not of trees.
                Who::RsyncEach | Who::ScpEach => continue,
            }
            if first == Work::Large {
                // Few inodes, much space: this one is removed at once.
                fs::remove_dir_all(&dst)?;
            }
        }
    }
    Ok(())
}

fn evenfold(bench: &mut Bench, label: &str, src: &Path, dst: &Path, first: Work, again: Work) -> Result<()> {
    let who = Who::Evenfold;
    let pair = Pair::start(bench, label, src, dst)?;
    corpus::warm(src)?;
    settle();
    let sample = pair.measure(|| pair.join())?;
    bench.record(first, who, sample);
    verify(src, dst)?;
    if again != first {
        pair.calm();
        for _ in 0..bench.scale().repeats {
            let sample = pair.measure(|| pair.sync())?;
            bench.record(again, who, sample);
        }
    }
    if first == Work::FirstSync && bench.wanted.contains(&Work::Edit) {
        watched::edits(bench, &pair, src, dst)?;
        verify(src, dst)?;
    }
    pair.finish(src)
}

fn rsync(bench: &mut Bench, who: Who, src: &Path, dst: &Path, first: Work, again: Work) -> Result<()> {
    corpus::warm(src)?;
    settle();
    let sample = bench.sshd.sync(who, src, dst)?;
    bench.record(first, who, sample);
    verify(src, dst)?;
    if again != first {
        for _ in 0..bench.scale().repeats {
            let sample = bench.sshd.sync(who, src, dst)?;
            bench.record(again, who, sample);
        }
    }
    if first == Work::FirstSync && bench.wanted.contains(&Work::Edit) {
        // rsync has no watcher: this is what one that starts it at once would get at best.
        let mut samples: Vec<Sample> = Vec::new();
        for n in 0..bench.scale().rsync_edits {
            // Each of another size: rsync does not see an edit of equal size within the same second.
            let content = format!("{} {}\n", who.name(), "x".repeat(n));
            let edit = || Ok(fs::write(src.join(watched::EDITED), content)?);
            samples.push(bench.sshd.measure(who, src, dst, edit)?);
        }
        watched::record_many(bench, who, samples);
        verify(src, dst)?;
    }
    Ok(())
}
