//! Which files travel right now, for people to watch. Nothing is decided by it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use evenfold_core::RelPath;
use evenfold_core::policy::Side;

/// How long a file that arrived is still shown.
const SHOWN: Duration = Duration::from_secs(5);

/// Files that are remembered for each direction: what a person can watch, and a few more that have just arrived.
const MOST: usize = 16;

/// A file that travels, or has just arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flying {
    /// Where the sender holds it.
    pub path: RelPath,
    /// To which side it travels.
    pub to: Side,
    /// Bytes that travelled.
    pub done: u64,
    /// Bytes of the file; less may have to travel.
    pub total: u64,
    /// Whether all that has to travel has travelled.
    pub finished: bool,
}

/// The files that travel in one relationship.
#[derive(Debug, Default)]
pub struct InFlight(Mutex<VecDeque<(Flying, Instant)>>);

impl InFlight {
    fn list(&self) -> MutexGuard<'_, VecDeque<(Flying, Instant)>> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `bytes` of a file travelled to a side, and whether that was all.
    pub fn travelled(&self, path: &RelPath, to: Side, bytes: u64, total: u64, finished: bool) {
        let now = Instant::now();
        let mut list = self.list();
        // The newest is the one that travels: looked for from the end.
        if let Some((flying, at)) =
            list.iter_mut().rev().find(|(f, _)| !f.finished && f.to == to && f.path == *path)
        {
            flying.done = (flying.done + bytes).min(total);
            flying.finished = finished;
            *at = now;
            return;
        }
        list.push_back((Flying { path: path.clone(), to, done: bytes.min(total), total, finished }, now));
        if list.iter().filter(|(flying, _)| flying.to == to).count() > MOST {
            let oldest = list.iter().position(|(f, _)| f.to == to && f.finished);
            let oldest = oldest.or_else(|| list.iter().position(|(f, _)| f.to == to));
            oldest.map(|at| list.remove(at));
        }
    }

    /// Notes that nothing travels to a side any more.
    pub fn end(&self, to: Side) {
        self.list().iter_mut().filter(|(f, _)| f.to == to).for_each(|(flying, _)| flying.finished = true);
    }

    /// Returns what travels or arrived within the last 5 s, the latest last.
    pub fn read(&self) -> Vec<Flying> {
        let mut list = self.list();
        list.retain(|(flying, at)| !flying.finished || at.elapsed() < SHOWN);
        list.iter().map(|(flying, _)| flying.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> RelPath {
        RelPath::new(name.as_bytes()).unwrap()
    }

    #[test]
    fn file_grows_until_it_has_arrived_and_a_second_journey_is_its_own() {
        let flight = InFlight::default();
        flight.travelled(&path("a"), Side::Ours, 3, 10, false);
        flight.travelled(&path("a"), Side::Theirs, 1, 10, false);
        flight.travelled(&path("a"), Side::Ours, 7, 10, true);
        flight.travelled(&path("a"), Side::Ours, 2, 10, false);
        let seen: Vec<_> = flight.read().into_iter().map(|f| (f.to, f.done, f.finished)).collect();
        assert_eq!(seen, [(Side::Ours, 10, true), (Side::Theirs, 1, false), (Side::Ours, 2, false)]);
    }

    #[test]
    fn burst_of_small_files_keeps_the_large_one_in_sight() {
        let flight = InFlight::default();
        flight.travelled(&path("large"), Side::Ours, 1, 1000, false);
        for nth in 0..100 {
            flight.travelled(&path(&format!("small {nth}")), Side::Ours, 1, 1, true);
        }
        let seen = flight.read();
        assert_eq!(seen.len(), MOST);
        assert_eq!(seen[0].path, path("large"));
    }
}
