//! Measures scans of a folder: `cargo run --profile fast -p evenfold-fs --example scan -- FOLDER`.
//!
//! Nothing is written into the folder: it is recognised by its file system's identity.

use std::error::Error;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Instant;

use evenfold_core::select::Select;
use evenfold_core::snapshot::Extent;
use evenfold_fs::apply::Rules;
use evenfold_fs::marker::Marker;
use evenfold_fs::platform::RealDisk;
use evenfold_fs::replica::{Options, Replica};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: scan FOLDER")?);
    let root = std::fs::metadata(&folder)?;
    let options = |cache| Options {
        relationship: 1,
        marker: Marker::FileSystem { dev: root.dev(), ino: root.ino() },
        select: Select::default(),
        cache,
        rules: Rules::default(),
        parallel: true,
        counters: Default::default(),
    };
    let empty = resident()?;
    let replica = Replica::open(RealDisk::open(&folder)?, options(Vec::new()))?;
    for (what, extent) in [
        ("first", Extent::Full),
        ("unchanged", Extent::Full),
        ("unchanged", Extent::Full),
        ("unchanged", Extent::Full),
        ("deep", Extent::Deep),
    ] {
        let before = replica.counts();
        let start = Instant::now();
        let snapshot = replica.scan(&extent)?;
        let took = start.elapsed();
        let (totals, counts) = (snapshot.tree.totals(), replica.counts());
        report(&format!(
            "{what:10} {took:10.3?}  {} files, {} folders, {} problems; read {} files, {} MiB",
            totals.files,
            totals.dirs,
            snapshot.problems.len(),
            counts.files - before.files,
            (counts.bytes - before.bytes) >> 20,
        ));
        if what == "first" {
            let used = resident()?.saturating_sub(empty);
            report(&format!("memory     {} KiB, {} bytes per file", used >> 10, used / totals.files.max(1)));
        }
    }
    let mut rows = Vec::new();
    loop {
        let delta = replica.take_cache_delta();
        rows.extend(delta.upserts);
        if !delta.more {
            break;
        }
    }
    drop(replica);
    let start = Instant::now();
    let replica = Replica::open(RealDisk::open(&folder)?, options(rows))?;
    let opened = start.elapsed();
    replica.scan(&Extent::Full)?;
    let took = start.elapsed() - opened;
    report(&format!(
        "restarted  {took:10.3?}  after {opened:.3?} to load the cache; read {} files",
        replica.counts().files
    ));
    Ok(())
}

/// Resident memory of this process in bytes.
fn resident() -> Result<u64, Box<dyn Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 =
        statm.split_whitespace().nth(1).ok_or("no resident size in /proc/self/statm")?.parse()?;
    Ok(pages * 4096)
}

#[allow(clippy::print_stdout, reason = "printing is what the example is for")]
fn report(line: &str) {
    println!("{line}");
}
