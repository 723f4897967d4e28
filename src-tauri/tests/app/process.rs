//! Processes of tests: started, waited for, looked at, and ended with the test.

use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. Generous: machines that run tests are busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Looks until `done` gives something; fails the test if it takes too long.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(began.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process that ends with its owner.
pub(crate) struct Owned(pub(crate) Child);

impl Owned {
    pub(crate) fn start(command: &mut Command) -> Owned {
        Owned(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ends(&mut self, what: &str) -> ExitStatus {
        eventually(what, || self.0.try_wait().unwrap())
    }

    pub(crate) fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// The process and all that it has started, with their names.
pub(crate) fn family(of: u32) -> Vec<(u32, String)> {
    let all: Vec<(u32, u32, String)> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
            Some((pid, rest.split_whitespace().nth(1)?.parse().ok()?, name.to_owned()))
        })
        .collect();
    let mut found: Vec<(u32, String)> = Vec::new();
    let mut pending = vec![of];
    while let Some(next) = pending.pop() {
        for (pid, parent, name) in &all {
            if *pid == next {
                found.push((*pid, name.clone()));
            } else if *parent == next {
                pending.push(*pid);
            }
        }
    }
    found
}

/// The web process of an application, if it has one.
pub(crate) fn web_process(of: u32) -> Option<u32> {
    family(of).into_iter().find(|(_, name)| name.starts_with("WebKitWebProc")).map(|(pid, _)| pid)
}

/// Proportional set size of a process and all that it has started, in MiB.
pub(crate) fn memory(of: u32) -> f64 {
    let kilobytes = |pid: u32| -> f64 {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
    };
    family(of).iter().map(|(pid, _)| kilobytes(*pid)).sum::<f64>() / 1024.0
}

/// CPU time that a process has used, in clock ticks (a hundredth of a second).
pub(crate) fn ticks(of: u32) -> u64 {
    let stat = std::fs::read_to_string(Path::new("/proc").join(of.to_string()).join("stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
