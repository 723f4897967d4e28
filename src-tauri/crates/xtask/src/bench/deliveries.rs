//! Items that are delivered: many small ones, each once, and a large one through a hub; against the programs that people used
//! for it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::evenfold::label;
use super::probe::{self, Sample};
use super::{Bench, Who, Work, data, settle, verify};
use crate::corpus;
use crate::node::{self, Node, wait_until};

/// The relationship's name at all nodes.
const NAME: &str = "bench";

/// Bytes of one of the small items.
const ITEM: usize = 10 * 1024;

/// Longer than anything that is measured should take.
const LIMIT: Duration = Duration::from_secs(600);

/// Nodes of a relationship that delivers; the first is the hub.
struct Couriers {
    nodes: Vec<Node>,
}

impl Couriers {
    /// Starts a hub that shares `root`, and members that join with these roles and folders.
    fn start(bench: &Bench, label: &str, kind: &str, root: &Path, members: &[(&str, &Path)]) -> Result<Self> {
        let homes = bench.dir.join(label);
        for dir in members.iter().map(|(_, dir)| *dir).chain([homes.as_path(), root]) {
            fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        }
        let mut couriers = Self { nodes: vec![Node::start(&bench.program, &homes, "hub", false)?] };
        let outcome = couriers.join(bench, &homes, kind, root, members);
        outcome.inspect_err(|_| couriers.show_logs())?;
        Ok(couriers)
    }

    fn join(
        &mut self,
        bench: &Bench,
        homes: &Path,
        kind: &str,
        root: &Path,
        members: &[(&str, &Path)],
    ) -> Result<()> {
        let hub = self.nodes.first().context("there is a hub")?;
        // What is moved in at once need not hold still first: the same holds for the others, who do not wait either.
        hub.cli(&["share", text(root)?, "--name", NAME, "--kind", kind, "--set", "settle=0s"])?;
        for (role, dir) in members {
            let member = Node::start(&bench.program, homes, role, false)?;
            let hub = self.nodes.first().context("there is a hub")?;
            node::pair(hub, &member)?;
            let share = format!("{}:{NAME}", hub.name);
            member.cli(&["join", &share, text(dir)?, "--role", role, "--yes"])?;
            self.nodes.push(member);
        }
        Ok(())
    }

    /// Measures what it costs all daemons until `arrived` holds after `change`.
    fn measure(
        &self,
        change: impl FnOnce() -> Result<()>,
        arrived: impl FnMut() -> Result<bool>,
    ) -> Result<Sample> {
        let pids: Vec<u32> = self.nodes.iter().map(Node::pid).collect();
        let hub = pids.first().copied().context("there is a hub")?;
        let before = probe::connections(hub)?;
        let cpu_before = probe::cpu_of_trees(&pids)?;
        let began = Instant::now();
        change()?;
        wait_until("the delivery", LIMIT, arrived).inspect_err(|_| self.show_logs())?;
        let seconds = began.elapsed().as_secs_f64();
        // Receipts and confirmations count as well.
        std::thread::sleep(Duration::from_millis(300));
        let cpu = probe::cpu_of_trees(&pids)? - cpu_before;
        let wire = probe::bytes_between(&before, &probe::connections(hub)?);
        let memory = pids.iter().filter_map(|pid| probe::peak_memory(*pid)).reduce(f64::max);
        Ok(Sample { seconds, cpu, wire: Some(wire), memory: memory.map(|peak| [peak, peak]) })
    }

    fn show_logs(&self) {
        self.nodes.iter().for_each(Node::show_log);
    }

    fn finish(self) -> Result<()> {
        self.nodes.into_iter().rev().try_for_each(Node::stop)
    }
}

/// 1,000 files of 10 KiB: moved in at once, until all have arrived.
pub(super) fn send_once(bench: &mut Bench) -> Result<()> {
    let (files, singly) = (bench.scale().sent_files, bench.scale().sent_singly.max(1));
    for round in 0..bench.rounds {
        let mut order = [Who::Evenfold, Who::RsyncKept, Who::Rsync, Who::RsyncEach, Who::ScpEach];
        order.rotate_left(round % 5);
        for who in order {
            let label = label("once", who, round);
            let (src, dst) = (bench.dir.join(format!("{label}-src")), bench.dir.join(format!("{label}-dst")));
            fs::create_dir_all(&src)?;
            fs::create_dir_all(&dst)?;
            let ready = bench.dir.join(format!("{label}-ready"));
            let names = items(&ready, files)?;
            let moved_in = || Ok(fs::rename(&ready, src.join("items"))?);
            let sample = match who {
                Who::Evenfold => {
                    let couriers =
                        Couriers::start(bench, &label, "send-once", &src, &[("destination", &dst)])?;
                    settle();
                    let arrived = || Ok(count(&dst.join("items")) == files);
                    let sample = couriers.measure(moved_in, arrived)?;
                    couriers.finish()?;
                    sample
                }
                Who::RsyncKept | Who::Rsync => {
                    settle();
                    bench.sshd.measure(who, &src, &dst, moved_in)?
                }
                Who::RsyncEach | Who::ScpEach => {
                    moved_in()?;
                    fs::create_dir_all(dst.join("items"))?;
                    settle();
                    let some: Vec<PathBuf> =
                        names.iter().take(singly).map(|name| src.join("items").join(name)).collect();
                    let sample = bench.sshd.one_by_one(who, &some, &dst.join("items"))?;
                    // Only these were sent; compared with only these.
                    for path in names.iter().skip(singly) {
                        fs::remove_file(src.join("items").join(path))?;
                    }
                    sample.times(files as f64 / some.len() as f64)
                }
            };
            verify(&src, &dst)?;
            bench.record(Work::SendOnce, who, sample);
        }
    }
    println!("   per file: measured on {singly} of {files} files and scaled up");
    Ok(())
}

/// 1 GiB from A over R to B.
pub(super) fn relay(bench: &mut Bench) -> Result<()> {
    let bytes = bench.scale().relayed_bytes;
    for round in 0..bench.rounds {
        let mut order = [Who::Evenfold, Who::RsyncKept, Who::Rsync];
        order.rotate_left(round % 3);
        for who in order {
            let label = label("relay", who, round);
            let [a, r, b] = ["a", "r", "b"].map(|end| bench.dir.join(format!("{label}-{end}")));
            for dir in [&a, &r, &b] {
                fs::create_dir_all(dir)?;
            }
            let ready = bench.dir.join(format!("{label}-ready"));
            data::random_file(&ready, bytes)?;
            corpus::warm(&bench.dir.join(format!("{label}-ready")))?;
            let moved_in = || Ok(fs::rename(&ready, a.join("item.bin"))?);
            let sample = if who == Who::Evenfold {
                let members = [("source", a.as_path()), ("destination", b.as_path())];
                let couriers = Couriers::start(bench, &label, "relay", &r, &members)?;
                settle();
                let sample = couriers.measure(moved_in, || Ok(b.join("item.bin").exists()))?;
                couriers.finish()?;
                sample
            } else {
                settle();
                let first = bench.sshd.measure(who, &a, &r, moved_in)?;
                let second = bench.sshd.sync(who, &r, &b)?;
                first.then(&second)
            };
            verify(&a, &b)?;
            bench.record(Work::Relay, who, sample);
            for dir in [&a, &r, &b] {
                fs::remove_dir_all(dir)?;
            }
        }
    }
    Ok(())
}

/// Writes so many items into a new folder and returns their names.
fn items(dir: &Path, files: usize) -> Result<Vec<String>> {
    fs::create_dir_all(dir)?;
    let content = data::random_bytes(files * ITEM)?;
    let mut names = Vec::with_capacity(files);
    // Whole seconds: scp carries no others, and all are compared afterwards.
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    for (nth, content) in content.chunks(ITEM).enumerate() {
        let name = format!("item-{nth:04}.bin");
        fs::write(dir.join(&name), content)?;
        File::options()
            .write(true)
            .open(dir.join(&name))?
            .set_modified(UNIX_EPOCH + Duration::from_secs(seconds))?;
        names.push(name);
    }
    Ok(names)
}

fn count(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, Iterator::count)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
