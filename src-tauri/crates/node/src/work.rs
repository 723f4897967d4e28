//! What is under way: how far a transfer is and how fast it goes, and what a member tells its hub of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evenfold_core::Side;
use evenfold_engine::{Phase, Progress};
use evenfold_ssh::PeerKey;
use serde::{Deserialize, Serialize};

use crate::api::{Progress as ProgressInfo, TransferInfo};
use crate::local::lock;
use crate::text::path_text;

/// Speed is the mean over this time.
const WINDOW: Duration = Duration::from_secs(10);

/// Readings nearer to each other than this say nothing about speed.
const APART: Duration = Duration::from_millis(100);

/// A speed over less time than this would jump.
const SHORTEST: Duration = Duration::from_millis(200);

/// What a member said is not true any more after this time; it says it again every second.
const FRESH: Duration = Duration::from_secs(5);

/// Files that travel one way and are shown.
const MOST_TRANSFERS: usize = 8;

/// Reads the counters of a transfer, and derives speed and time left from the readings of the last 10 s, whoever asked
/// for them.
#[derive(Debug)]
pub(crate) struct Meter {
    progress: Arc<Progress>,
    /// When how many bytes were done, oldest first.
    readings: Mutex<VecDeque<(Instant, u64)>>,
}

impl Meter {
    pub(crate) fn new(progress: Arc<Progress>) -> Self {
        Self { progress, readings: Mutex::default() }
    }

    /// Returns how far the transfer is.
    pub(crate) fn read(&self) -> ProgressInfo {
        self.read_at(Instant::now())
    }

    /// Tells whether contents travel, or what travelled is being recorded.
    pub(crate) fn moves(&self) -> bool {
        matches!(self.progress.read().phase, Phase::Transferring | Phase::Committing)
    }

    /// Returns how far the transfer is, unless nothing is done.
    pub(crate) fn read_unless_idle(&self) -> Option<ProgressInfo> {
        (self.progress.read().phase != Phase::Idle).then(|| self.read())
    }

    /// Returns the files that travel between this node and `node`, at most 8 each way, the newest first.
    pub(crate) fn transfers(&self, node: &str) -> Vec<TransferInfo> {
        let flying = self.progress.flight.read();
        let mut shown = Vec::new();
        for side in [Side::Theirs, Side::Ours] {
            let newest = flying.iter().rev().filter(|file| file.to == side).take(MOST_TRANSFERS);
            shown.extend(newest.map(|file| TransferInfo {
                path: path_text(file.path.as_bytes()),
                direction: if side == Side::Theirs { "up" } else { "down" }.to_owned(),
                node: node.to_owned(),
                bytes_done: file.done,
                bytes_total: file.total,
                finished: file.finished,
            }));
        }
        shown
    }

    fn read_at(&self, now: Instant) -> ProgressInfo {
        let reading = self.progress.read();
        let mut readings = lock(&self.readings);
        // Fewer bytes than before: that is another transfer.
        if readings.back().is_some_and(|(_, bytes)| *bytes > reading.bytes_done) {
            readings.clear();
        }
        readings.retain(|(at, _)| now.duration_since(*at) <= WINDOW);
        if readings.back().is_none_or(|(at, _)| now.duration_since(*at) >= APART) {
            readings.push_back((now, reading.bytes_done));
        }
        let rate = readings.front().map_or(0, |(since, bytes)| {
            let time = now.duration_since(*since);
            let moved = reading.bytes_done.saturating_sub(*bytes);
            if time < SHORTEST { 0 } else { (moved as f64 / time.as_secs_f64()) as u64 }
        });
        let left = reading.bytes_total.saturating_sub(reading.bytes_done);
        ProgressInfo {
            phase: reading.phase.word().to_owned(),
            files_done: reading.files_done,
            files_total: reading.files_total,
            bytes_done: reading.bytes_done,
            bytes_total: reading.bytes_total,
            bytes_per_second: rate,
            eta_seconds: left.checked_div(rate),
        }
    }
}

/// What a member works on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) progress: ProgressInfo,
    /// As the member sees them.
    pub(crate) transfers: Vec<TransferInfo>,
}

impl Work {
    /// Tells whether contents travel.
    pub(crate) fn moves(&self) -> bool {
        [Phase::Transferring, Phase::Committing].iter().any(|phase| phase.word() == self.progress.phase)
    }
}

/// What the members of a hub said last of their work.
#[derive(Debug, Default)]
pub(crate) struct MembersWork(Mutex<BTreeMap<PeerKey, (Instant, Work)>>);

impl MembersWork {
    /// Remembers what a member said.
    pub(crate) fn told(&self, member: PeerKey, work: Option<Work>) {
        match work {
            Some(mut work) => {
                work.transfers.truncate(2 * MOST_TRANSFERS);
                lock(&self.0).insert(member, (Instant::now(), work))
            }
            None => lock(&self.0).remove(&member),
        };
    }

    /// Returns what a member works on, unless it has not said so for a while.
    pub(crate) fn of(&self, member: &PeerKey) -> Option<Work> {
        lock(&self.0).get(member).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, work)| work.clone())
    }

    /// Returns the files that travel between this hub and its members, as the hub sees them.
    pub(crate) fn transfers(&self, name_of: impl Fn(&PeerKey) -> Option<String>) -> Vec<TransferInfo> {
        let members = lock(&self.0);
        let fresh = members.iter().filter(|(_, (at, _))| at.elapsed() < FRESH);
        let mut shown: Vec<TransferInfo> = fresh
            .filter_map(|(member, (_, work))| Some((name_of(member)?, work)))
            .flat_map(|(name, work)| {
                work.transfers.iter().map(move |one| TransferInfo {
                    direction: if one.direction == "up" { "down" } else { "up" }.to_owned(),
                    node: name.clone(),
                    ..one.clone()
                })
            })
            .collect();
        shown.sort_by_key(|one| one.finished);
        for direction in ["up", "down"] {
            let mut seen = 0;
            shown.retain(|one| {
                seen += usize::from(one.direction == direction);
                one.direction != direction || seen <= MOST_TRANSFERS
            });
        }
        shown
    }
}

/// Returns several transfers as one: all files and bytes, and the time that the slowest takes.
pub(crate) fn together(mut all: impl Iterator<Item = ProgressInfo>) -> Option<ProgressInfo> {
    let first = all.next()?;
    Some(all.fold(first, |sum, one| ProgressInfo {
        phase: if sum.phase == Phase::Transferring.word() { sum.phase } else { one.phase },
        // Members may say any number.
        files_done: sum.files_done.saturating_add(one.files_done),
        files_total: sum.files_total.saturating_add(one.files_total),
        bytes_done: sum.bytes_done.saturating_add(one.bytes_done),
        bytes_total: sum.bytes_total.saturating_add(one.bytes_total),
        bytes_per_second: sum.bytes_per_second.saturating_add(one.bytes_per_second),
        eta_seconds: sum.eta_seconds.max(one.eta_seconds),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(since: Instant, millis: u64) -> Instant {
        since + Duration::from_millis(millis)
    }

    #[test]
    fn speed_is_the_mean_of_the_last_ten_seconds_whoever_reads() {
        let progress = Arc::new(Progress::default());
        let meter = Meter::new(Arc::clone(&progress));
        let began = Instant::now();
        progress.enter(Phase::Transferring);
        progress.expect(2, 100_000);
        assert_eq!(meter.read_at(began).bytes_per_second, 0);
        progress.add_bytes(10_000);
        let one = meter.read_at(at(began, 1_000));
        assert_eq!((one.bytes_per_second, one.eta_seconds), (10_000, Some(9)));
        // Somebody else reads in between.
        assert_eq!(meter.read_at(at(began, 1_001)).bytes_per_second, 9_990);
        progress.add_bytes(40_000);
        assert_eq!(meter.read_at(at(began, 2_000)).bytes_per_second, 25_000);
        // Nothing moves any more.
        let later = meter.read_at(at(began, 12_500));
        assert_eq!((later.bytes_per_second, later.eta_seconds), (0, None));
    }

    #[test]
    fn next_transfer_begins_without_a_speed() {
        let progress = Arc::new(Progress::default());
        let meter = Meter::new(Arc::clone(&progress));
        let began = Instant::now();
        progress.expect(1, 1_000);
        progress.add_bytes(1_000);
        meter.read_at(began);
        progress.expect(1, 5_000);
        let fresh = meter.read_at(at(began, 1_000));
        assert_eq!((fresh.bytes_done, fresh.bytes_per_second, fresh.eta_seconds), (0, 0, None));
    }

    fn work(direction: &str, finished: bool) -> Work {
        let transfer = TransferInfo {
            path: path_text(b"a"),
            direction: direction.to_owned(),
            node: "hub".to_owned(),
            bytes_done: 1,
            bytes_total: 2,
            finished,
        };
        let progress = ProgressInfo {
            phase: "transferring".to_owned(),
            files_done: 1,
            files_total: 2,
            bytes_done: 3,
            bytes_total: 4,
            bytes_per_second: 5,
            eta_seconds: Some(6),
        };
        Work { progress, transfers: vec![transfer; 12] }
    }

    #[test]
    fn hub_sees_what_its_members_do_from_its_own_side() {
        let (anna, bert) = (PeerKey::from_bytes([1; 32]), PeerKey::from_bytes([2; 32]));
        let members = MembersWork::default();
        members.told(anna, Some(work("up", true)));
        members.told(bert, Some(work("up", false)));
        let shown = members.transfers(|key| Some(if *key == anna { "anna" } else { "bert" }.to_owned()));
        assert_eq!(shown.len(), MOST_TRANSFERS);
        assert!(shown.iter().all(|one| one.direction == "down" && one.node == "bert"), "{shown:?}");
        let both = together([anna, bert].iter().filter_map(|key| members.of(key)).map(|work| work.progress));
        let both = both.unwrap();
        assert_eq!((both.files_done, both.bytes_total, both.bytes_per_second), (2, 8, 10));
        // A member that says nonsense is no reason to fall over.
        let endless = ProgressInfo { bytes_total: u64::MAX, files_done: u64::MAX, ..both.clone() };
        let sum = together([endless, both].into_iter()).unwrap();
        assert_eq!((sum.files_done, sum.bytes_total), (u64::MAX, u64::MAX));
        members.told(anna, None);
        assert!(members.of(&anna).is_none());
    }
}
