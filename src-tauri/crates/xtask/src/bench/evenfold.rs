//! Two Evenfold daemons on this machine, as a contestant.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::probe::{self, Sample};
use super::{Bench, Who};
use crate::node::{self, Node};
use crate::tree;

/// The relationship's name at both nodes.
const NAME: &str = "bench";
/// Longer than anything that is measured should take.
const LIMIT: Duration = Duration::from_secs(600);

/// A pair of nodes: one shares `src`, the other is to join it at `dst`.
pub(super) struct Pair {
    hub: Node,
    spoke: Node,
    dst: PathBuf,
}

impl Pair {
    /// Starts both with new homes and pairs them; the join is left to be measured.
    pub(super) fn start(bench: &Bench, label: &str, src: &Path, dst: &Path) -> Result<Self> {
        let homes = bench.dir.join(label);
        for dir in [&homes, dst] {
            std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        }
        let hub = Node::start(&bench.program, &homes, "a", false)?;
        let spoke = Node::start(&bench.program, &homes, "b", false)?;
        let pair = Self { hub, spoke, dst: dst.to_path_buf() };
        pair.explained(|| {
            node::pair(&pair.hub, &pair.spoke)?;
            pair.hub.cli(&["share", text(src)?, "--name", NAME])
        })?;
        Ok(pair)
    }

    /// The first sync, as a user gives the command.
    pub(super) fn join(&self) -> Result<()> {
        let words = ["join", &format!("{}:{NAME}", self.hub.name), text(&self.dst)?, "--yes", "--wait"];
        self.explained(|| self.spoke.cli_within(&words, LIMIT)).map(|_| ())
    }

    /// A full comparison now.
    pub(super) fn sync(&self) -> Result<()> {
        self.explained(|| self.spoke.cli_within(&["sync", NAME, "--wait"], LIMIT)).map(|_| ())
    }

    /// Measures what `work` costs both daemons and the commands.
    pub(super) fn measure(&self, work: impl FnOnce() -> Result<()>) -> Result<Sample> {
        let pids = [self.hub.pid(), self.spoke.pid()];
        let cpu = || Ok::<f64, anyhow::Error>(probe::cpu_of_trees(&pids)? + probe::cpu_of_ended_children()?);
        let connections = probe::connections(self.spoke.pid())?;
        let cpu_before = cpu()?;
        let began = Instant::now();
        let outcome = work();
        let seconds = began.elapsed().as_secs_f64();
        outcome.inspect_err(|_| self.show_logs())?;
        // What is tidied up after the result is there counts as well.
        std::thread::sleep(Duration::from_millis(200));
        let cpu = cpu()? - cpu_before;
        let wire = probe::bytes_between(&connections, &probe::connections(self.spoke.pid())?);
        let memory = match (probe::peak_memory(self.hub.pid()), probe::peak_memory(self.spoke.pid())) {
            (Some(hub), Some(spoke)) => Some([hub, spoke]),
            _ => None,
        };
        Ok(Sample { seconds, cpu, wire: Some(wire), memory })
    }

    /// Waits until both sides have calmed down after a join.
    pub(super) fn calm(&self) {
        std::thread::sleep(Duration::from_secs(1));
    }

    /// Ends both and moves what they have left in `src` aside, so that the next round begins as this one did.
    pub(super) fn finish(self, src: &Path) -> Result<()> {
        self.spoke.stop()?;
        self.hub.stop()?;
        let own = src.join(tree::OWN);
        if own.exists() {
            let mut aside = src.as_os_str().to_owned();
            aside.push(format!("-{}-own", self.dst.file_name().unwrap_or_default().to_string_lossy()));
            std::fs::rename(&own, &aside).with_context(|| own.display().to_string())?;
        }
        Ok(())
    }

    fn explained<T>(&self, step: impl FnOnce() -> Result<T>) -> Result<T> {
        step().inspect_err(|_| self.show_logs())
    }

    fn show_logs(&self) {
        self.hub.show_log();
        self.spoke.show_log();
    }
}

/// The label of one contestant's things in one round.
pub(super) fn label(group: &str, who: Who, round: usize) -> String {
    format!("{group}-{}-{round}", who.name())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
