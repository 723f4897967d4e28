//! What a measurement cost, read from the kernel: processor time, bytes on TCP connections, peak memory.

use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::{shell, stats};

/// The kernel's clock ticks per second in `/proc/PID/stat`; 100 on every Linux that one meets.
const TICKS: f64 = 100.0;

/// One measurement.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// Wall time.
    pub(super) seconds: f64,
    /// Processor time of everything on both sides.
    pub(super) cpu: f64,
    /// Bytes on the wire, both directions.
    pub(super) wire: Option<f64>,
    /// Peak memory of each node in bytes, since it was started.
    pub(super) memory: Option<[f64; 2]>,
}

impl Sample {
    /// What so many times as much would have cost.
    pub(super) fn times(self, factor: f64) -> Self {
        let wire = self.wire.map(|wire| wire * factor);
        Self { seconds: self.seconds * factor, cpu: self.cpu * factor, wire, memory: self.memory }
    }

    /// What this and then another one cost.
    pub(super) fn then(self, other: &Self) -> Self {
        let wire = self.wire.zip(other.wire).map(|(one, two)| one + two);
        Self { seconds: self.seconds + other.seconds, cpu: self.cpu + other.cpu, wire, memory: self.memory }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (CPU {})", stats::seconds(self.seconds), stats::seconds(self.cpu))?;
        if let Some(wire) = self.wire {
            write!(f, ", {} on the wire", stats::traffic(wire))?;
        }
        if let Some([ours, theirs]) = self.memory {
            write!(f, ", peak {} and {}", stats::bytes(ours), stats::bytes(theirs))?;
        }
        Ok(())
    }
}

/// Times of one process in ticks: its own, and those of children that it has waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    parent: u32,
    own: u64,
    children: u64,
}

/// Processor seconds of these processes and all their descendants, ended ones among them.
pub(super) fn cpu_of_trees(roots: &[u32]) -> Result<f64> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may have ended between the listing and the reading.
        let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if let Some(times) = parse_stat(&text) {
            all.insert(pid, times);
        }
    }
    let below = |pid: &u32| {
        let mut pid = *pid;
        // Deeper than any real family; ends the walk should the kernel have reused an id meanwhile.
        for _ in 0..64 {
            if roots.contains(&pid) {
                return true;
            }
            match all.get(&pid) {
                Some(times) if times.parent > 1 => pid = times.parent,
                _ => return false,
            }
        }
        false
    };
    let ticks: u64 =
        all.iter().filter(|(pid, _)| below(pid)).map(|(_, times)| times.own + times.children).sum();
    Ok(ticks as f64 / TICKS)
}

/// Processor seconds of the children that we have waited for, and of theirs.
pub(super) fn cpu_of_ended_children() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    match parse_stat(&text) {
        Some(times) => Ok(times.children as f64 / TICKS),
        None => bail!("/proc/self/stat is not understood: {text}"),
    }
}

/// Reads parent, utime + stime and cutime + cstime of `/proc/PID/stat` (proc(5): fields 4 and 14 to 17).
fn parse_stat(text: &str) -> Option<Times> {
    // The name may hold blanks and parentheses; the last parenthesis ends it.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Times {
        parent: u32::try_from(number(4)?).ok()?,
        own: number(14)? + number(15)?,
        children: number(16)? + number(17)?,
    })
}

/// Bytes sent plus received on each of a process's TCP connections, by their two addresses.
pub(super) type Connections = BTreeMap<String, f64>;

/// Reads them from the kernel, so that nothing stands in the way of the measured bytes.
pub(super) fn connections(pid: u32) -> Result<Connections> {
    let output = shell::output_within(Command::new("ss").args(["-tinpOH"]), Duration::from_secs(10))?;
    if !output.status.success() {
        bail!("ss failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(parse_ss(&String::from_utf8_lossy(&output.stdout), pid))
}

fn parse_ss(text: &str, pid: u32) -> Connections {
    let mark = format!("pid={pid},");
    let mut found = Connections::new();
    for line in text.lines().filter(|line| line.contains(&mark)) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_state, _receiving, _sending, local, remote, ..] = words.as_slice() else { continue };
        let value = |key: &str| {
            let word = words.iter().find_map(|word| word.strip_prefix(key));
            word.and_then(|digits| digits.parse::<f64>().ok()).unwrap_or(0.0)
        };
        found.insert(format!("{local} {remote}"), value("bytes_sent:") + value("bytes_received:"));
    }
    found
}

/// What went over the wire in between. A connection that is new began at zero; of one that ended in between, the
/// last bytes are not known any more.
pub(super) fn bytes_between(before: &Connections, after: &Connections) -> f64 {
    let grown = |(key, now): (&String, &f64)| (now - before.get(key).copied().unwrap_or(0.0)).max(0.0);
    // Not sum(), which makes -0 of nothing.
    after.iter().map(grown).fold(0.0, |sum, bytes| sum + bytes)
}

/// The most memory that a process has had resident since it was started, in bytes.
pub(super) fn peak_memory(pid: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    parse_peak(&text)
}

fn parse_peak(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_with_odd_names_are_read() {
        let text = "42 (a (b) c) S 7 42 42 0 -1 4194560 1 2 3 4 11 5 30 4 20 0 1 0 100 200 300";
        assert_eq!(parse_stat(text), Some(Times { parent: 7, own: 16, children: 34 }));
        assert_eq!(parse_stat("42 (x"), None);
    }

    #[test]
    fn our_own_processor_time_is_found() {
        let began = std::time::Instant::now();
        let mut n = 0_u64;
        while began.elapsed() < Duration::from_millis(60) {
            n = n.wrapping_add(1);
        }
        assert!(cpu_of_trees(&[std::process::id()]).unwrap() > 0.0, "{n}");
        assert!(cpu_of_ended_children().unwrap() >= 0.0);
        assert!(peak_memory(std::process::id()).unwrap() > 100_000.0);
    }

    #[test]
    fn bytes_of_one_process_are_taken_from_ss() {
        let text = "ESTAB 0 0 127.0.0.1:40001 127.0.0.1:50001 users:((\"evenfold\",pid=42,fd=9)) cubic rtt:0.1/0.05 bytes_sent:1000 bytes_acked:1000 bytes_received:24 segs_out:5\n\
                    ESTAB 0 0 127.0.0.1:50001 127.0.0.1:40001 users:((\"evenfold\",pid=43,fd=9)) cubic bytes_sent:24 bytes_received:1000\n\
                    ESTAB 0 0 [::1]:40002 [::1]:50002 users:((\"evenfold\",pid=42,fd=10)) cubic\n";
        let before = Connections::from([("127.0.0.1:40001 127.0.0.1:50001".to_owned(), 24.0)]);
        let after = parse_ss(text, 42);
        assert_eq!(after.len(), 2);
        assert!((bytes_between(&before, &after) - 1000.0).abs() < 0.1);
        assert!((bytes_between(&after, &after)).abs() < 0.1);
    }

    #[test]
    fn peak_memory_is_read_in_bytes() {
        assert_eq!(parse_peak("VmPeak:\t 9 kB\nVmHWM:\t    2048 kB\n"), Some(2_097_152.0));
    }
}
