//! Says what was measured: each work with its contestants, ratios, and whether the aims are met.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use super::probe::Sample;
use super::{Who, Work};
use crate::{shell, stats};

/// What Evenfold is to reach (on two cores and ext4).
struct Aim {
    work: Work,
    title: &'static str,
    seconds: f64,
    /// For the 95th percentile, where single edits are measured.
    p95: Option<f64>,
    wire: Option<f64>,
    memory: Option<f64>,
}

const fn aim(work: Work, title: &'static str, seconds: f64) -> Aim {
    Aim { work, title, seconds, p95: None, wire: None, memory: None }
}

const AIMS: [Aim; 12] = [
    aim(Work::FirstSync, "first sync, 20,000 source files", 1.2),
    Aim { wire: Some(1e3), ..aim(Work::Unchanged, "nothing changed, 20,000 files", 0.14) },
    Aim { p95: Some(0.040), ..aim(Work::Edit, "one small edit", 0.015) },
    aim(Work::Large, "first sync, 2 GiB random + 512 MiB text", 3.0),
    Aim { wire: Some(374e3), ..aim(Work::Insert, "1 byte inserted in front of 1 GiB", 2.0) },
    Aim { wire: Some(275e3), ..aim(Work::Overwrite, "4 KiB overwritten within 1 GiB", 0.8) },
    aim(Work::Burst, "burst of 5,000 files, 43 MB", 0.5),
    Aim { wire: Some(100e3), ..aim(Work::Rename, "renamed directory, 2,000 files, 500 MiB", 0.1) },
    Aim { memory: Some(100.0 * 1048576.0), ..aim(Work::Tiny, "first sync, 300,000 tiny files", 12.4) },
    Aim { wire: Some(1e3), ..aim(Work::TinyUnchanged, "nothing changed, 300,000 files", 0.8) },
    aim(Work::SendOnce, "send-once, 1,000 files of 10 KiB", 0.35),
    // No slower than two runs of rsync, one after the other: judged by the ratio.
    aim(Work::Relay, "relay of 1 GiB over a hub", f64::INFINITY),
];

/// All who may have been measured, in the order of the report.
const SHOWN: [Who; 5] = [Who::Evenfold, Who::RsyncKept, Who::Rsync, Who::RsyncEach, Who::ScpEach];

/// One contestant's measurements of one work, as one row.
struct Row {
    seconds: f64,
    p95: f64,
    cpu: f64,
    wire: Option<f64>,
    memory: Option<f64>,
    samples: usize,
}

/// Large files: the fastest round counts, because what slows the others down is the machine.
fn by_minimum(work: Work) -> bool {
    matches!(work, Work::Large | Work::Insert | Work::Overwrite | Work::Relay)
}

fn row(work: Work, samples: &[Sample]) -> Option<Row> {
    let column = |read: fn(&Sample) -> Option<f64>| samples.iter().filter_map(read).collect::<Vec<f64>>();
    let seconds = column(|sample| Some(sample.seconds));
    let middle = if by_minimum(work) { stats::minimum } else { stats::median };
    let peak = |values: Vec<f64>| values.into_iter().reduce(f64::max);
    Some(Row {
        seconds: middle(&seconds)?,
        p95: stats::percentile(&seconds, 95.0)?,
        cpu: middle(&column(|sample| Some(sample.cpu)))?,
        wire: stats::median(&column(|sample| sample.wire)),
        memory: peak(column(|sample| sample.memory.map(|[ours, theirs]| ours.max(theirs)))),
        samples: samples.len(),
    })
}

/// The whole report.
pub(super) fn text(results: &BTreeMap<(Work, Who), Vec<Sample>>, quick: bool) -> String {
    let mut rows = Vec::new();
    let mut verdicts = Vec::new();
    for aim in &AIMS {
        let of = |who: Who| results.get(&(aim.work, who)).and_then(|samples| row(aim.work, samples));
        let ours = of(Who::Evenfold);
        let mut title = aim.title;
        for who in SHOWN {
            let Some(row) = of(who) else { continue };
            let ratio = match (&ours, who) {
                (_, Who::Evenfold) | (None, _) => String::new(),
                (Some(ours), _) => ratio(ours.seconds / row.seconds),
            };
            rows.push(vec![
                title.to_owned(),
                who.name().to_owned(),
                stats::seconds(row.seconds),
                stats::seconds(row.p95),
                stats::seconds(row.cpu),
                row.wire.map(stats::traffic).unwrap_or_default(),
                row.memory.map(stats::bytes).unwrap_or_default(),
                ratio,
                row.samples.to_string(),
            ]);
            title = "";
        }
        if let Some(ours) = ours {
            verdicts.extend(judge(aim, &ours));
        }
    }
    let head = ["work", "who", "time", "p95", "CPU", "wire", "peak memory", "evenfold ÷ it", "n"];
    let mut text = format!("\n{}\n", stats::table(&head, &rows));
    text.push_str(
        "time: median, for large files minimum. CPU: both sides. wire: both directions; Evenfold's as TCP carried it,\n\
         rsync's without what ssh adds. peak memory: the largest of the daemons. per file: one process and connection for\n\
         each file, measured on a part of the files and scaled up to all of them. A relay is two runs of rsync, to the hub\n\
         and on from there.\n\n",
    );
    if quick {
        text.push_str("This was about a tenth of the data that is named above (--quick); the aims are for all of it and are not judged.\n");
    } else {
        text.push_str(&stats::table(&["aim", "wanted", "measured", ""], &verdicts));
    }
    text
}

/// Two digits that tell something, however small it is.
fn ratio(value: f64) -> String {
    if value < 0.1 { format!("{value:.3}") } else { format!("{value:.2}") }
}

fn judge(aim: &Aim, ours: &Row) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    let mut line = |what: &str, wanted: f64, measured: f64, shown: fn(f64) -> String| {
        let verdict = if measured <= wanted { "met" } else { "missed" };
        let title = format!("{}{what}", aim.title);
        lines.push(vec![title, format!("≤ {}", shown(wanted)), shown(measured), verdict.to_owned()]);
    };
    if aim.seconds.is_finite() {
        line("", aim.seconds, ours.seconds, stats::seconds);
    }
    if let Some(wanted) = aim.p95 {
        line(", 95 of 100", wanted, ours.p95, stats::seconds);
    }
    if let (Some(wanted), Some(wire)) = (aim.wire, ours.wire) {
        line(", on the wire", wanted, wire, stats::traffic);
    }
    if let (Some(wanted), Some(memory)) = (aim.memory, ours.memory) {
        line(", memory of a node", wanted, memory, stats::bytes);
    }
    lines
}

/// On what it was measured.
pub(super) fn machine() -> String {
    let said = |program: &str, words: &[&str]| {
        let output = shell::output_within(Command::new(program).args(words), Duration::from_secs(10));
        let output = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        String::from_utf8_lossy(&output).lines().next().unwrap_or("?").trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "\n{cores} cores, Linux {}; {}; {}\n",
        said("uname", &["-r"]),
        said("rsync", &["--version"]),
        said("ssh", &["-V"])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(seconds: &[f64], wire: f64) -> Vec<Sample> {
        seconds.iter().map(|&seconds| Sample { seconds, cpu: 0.5, wire: Some(wire), memory: None }).collect()
    }

    #[test]
    fn aims_are_judged_by_median_or_minimum() {
        let results = BTreeMap::from([
            ((Work::FirstSync, Who::Evenfold), samples(&[1.0, 1.1, 9.0], 1.0)),
            ((Work::FirstSync, Who::Rsync), samples(&[2.2], 1.0)),
            ((Work::Large, Who::Evenfold), samples(&[9.0, 2.5, 4.0], 1.0)),
            ((Work::Unchanged, Who::Evenfold), samples(&[0.1], 1001.0)),
        ]);
        let text = text(&results, false);
        let verdict = |start: &str| {
            let line = text.lines().rev().find(|line| line.trim_start().starts_with(start)).unwrap_or("");
            line.rsplit(' ').next().unwrap_or("").to_owned()
        };
        assert_eq!(verdict("first sync, 20,000"), "met");
        assert_eq!(verdict("first sync, 2 GiB"), "met");
        assert_eq!(verdict("nothing changed, 20,000 files "), "met");
        assert_eq!(verdict("nothing changed, 20,000 files, on the wire"), "missed");
        assert!(text.contains("0.50"), "the ratio to rsync: {text}");
    }

    #[test]
    fn small_data_is_not_judged() {
        let results = BTreeMap::from([((Work::Large, Who::Evenfold), samples(&[0.1], 1.0))]);
        assert!(!text(&results, true).contains("met"));
    }
}
