//! The simulator: a hub and up to four spokes with the real scanning, reconciling and changing code, on fake
//! disks, links, databases and clocks, driven by one number.
//!
//! A history is drawn from its seed: users change folders (also in the middle of a transition), machines stop
//! between any two calls, links break, disks fill up, folders and databases are rolled back. A ledger beside all
//! that knows what users did, and says at every step which promise is broken.

mod acts;
mod check;
pub mod delivery;
mod finish;
mod ledger;
mod link;
mod node;
mod record;
mod rng;
mod settings;
mod survey;
mod world;

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

pub use rng::Rng;

use crate::disk::Flaw;
use settings::{Settings, Step};
use world::World;

/// Promises of the design, as the simulator judges them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// A machine keeps every content that it had, in place or as a version, until its user removes it (1, 2).
    Kept,
    /// Everything in place goes back to a user's act, and is complete (3, 4).
    Invented,
    /// What nobody replaced or deleted stands somewhere (1, 5, 6, 12).
    Live,
    /// When users rest, nothing is left to do after a while (11).
    Converges,
    /// All endpoints are equal, except where there is a reason (11, 12, 19).
    Equal,
    /// What a report says is true (18).
    Honest,
    /// Too many deletions wait for a person (9).
    Guard,
    /// The source of a one-way relationship is never written to.
    Source,
    /// A folder that is not there proves nothing (8).
    Absent,
    /// What Evenfold did is never taken for a user's act (13).
    Echo,
}

/// A promise that was broken.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// How it shows.
    pub detail: String,
}

impl Broken {
    fn new(promise: Promise, detail: String) -> Self {
        Broken { promise, detail }
    }
}

/// A history that went wrong.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What was broken.
    pub broken: Broken,
    /// What happened, with the fewest steps that still lead there.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?} is broken: {}", self.seed, self.broken.promise, self.broken.detail)?;
        self.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Runs the history of a seed, on machines with a mistake if one is given.
///
/// # Errors
/// The promise that was broken, with a trace of as few steps as possible.
pub fn run(seed: u64, flaw: Option<Flaw>) -> Result<(), Box<Failure>> {
    let settings = Settings::draw(seed, flaw);
    match play(&settings, &settings.steps, false).0 {
        Ok(()) => Ok(()),
        Err(broken) => Err(Box::new(shrink(seed, &settings, broken))),
    }
}

/// Runs the histories of `count` seeds from `from` on, on all processors, and returns the first failures, at most
/// about `enough`. `progress` is told how many are done, now and then.
pub fn run_many(
    from: u64,
    count: u64,
    flaw: Option<Flaw>,
    enough: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Vec<Failure> {
    let mut failures =
        each_seed(from, count, enough, progress, &|seed| run(seed, flaw).err().map(|failure| *failure));
    failures.sort_by_key(|failure| failure.seed);
    failures
}

/// Runs `one` for `count` seeds on all processors, until about `enough` of them have failed.
fn each_seed<F: Send>(
    from: u64,
    count: u64,
    enough: usize,
    progress: &(dyn Fn(u64) + Sync),
    one: &(dyn Fn(u64) -> Option<F> + Sync),
) -> Vec<F> {
    let next = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= count || node::lock(&failures).len() >= enough {
                        return;
                    }
                    if nth.is_multiple_of(500) {
                        progress(nth);
                    }
                    if let Some(failure) = one(from + nth) {
                        node::lock(&failures).push(failure);
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap_or_default()
}

/// Runs the history of a seed and returns what happened, step by step, with the result.
pub fn replay(seed: u64) -> (Result<(), Broken>, Vec<String>) {
    let settings = Settings::draw(seed, None);
    play(&settings, &settings.steps, true)
}

fn play(settings: &Settings, steps: &[Step], trace: bool) -> (Result<(), Broken>, Vec<String>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return (Err(Broken::new(Promise::Converges, format!("no runtime: {error}"))), Vec::new());
        }
    };
    let mut world = World::new(settings.clone(), trace, runtime);
    world.note(|| {
        format!(
            "{} spokes, {:?}, {:?}, {:?}",
            settings.spokes, settings.policy, settings.limit, settings.habits
        )
    });
    let mut result = Ok(());
    for step in steps {
        result = world.step(step);
        if result.is_err() {
            break;
        }
    }
    let result = result.and_then(|()| world.finish());
    let trace = node::lock(&world.ledger).trace.take().unwrap_or_default();
    (result, trace)
}

/// Leaves out steps as long as the same promise is broken.
fn shrink(seed: u64, settings: &Settings, broken: Broken) -> Failure {
    let mut steps = settings.steps.clone();
    let mut at = steps.len();
    while at > 0 {
        at -= 1;
        let mut fewer = steps.clone();
        fewer.remove(at);
        if play(settings, &fewer, false).0.is_err_and(|other| other.promise == broken.promise) {
            steps = fewer;
        }
    }
    let (result, trace) = play(settings, &steps, true);
    Failure { seed, broken: result.err().unwrap_or(broken), trace }
}
