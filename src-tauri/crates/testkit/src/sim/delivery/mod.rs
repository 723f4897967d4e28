//! Deliveries in the simulator: a hub, sources and destinations with the real couriers, scanning and changing of folders, and
//! the real decisions about the book, on fake disks, lines, databases and a virtual clock, driven by one number.
//!
//! Items come, change and go; processes stop between any two calls and are started again; lines break before or after any
//! message and delay it; disks fill up, calls fail, copies at the hub are damaged; commands fail. A record beside all that
//! knows what users did, and says at every look which promise is broken.

mod draw;
mod folder;
mod hooks;
mod host;
mod judge;
mod member;
mod office;
mod users;
mod world;

use std::fmt;

use draw::{Settings, Step};

/// Promises about deliveries, as the simulator judges them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// What stands anywhere was written by a user, and is complete.
    Invented,
    /// A folder that is a unit appears whole, as it stood at its origin.
    Whole,
    /// What users wrote is not replaced.
    Users,
    /// Who only sends is never written to.
    Source,
    /// The hub keeps what somebody is still to have.
    Undelivered,
    /// What passes through the hub is never taken for an item of its own.
    Mixed,
    /// What was delivered is not sent again.
    Resent,
    /// A command that ended well, and of which that is written down, is not run again.
    Once,
    /// When users rest and everything works, everything is delivered, known to all, followed by its commands, and
    /// dropped at the hub; and nothing more is done then.
    Complete,
}

/// A promise that was broken.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// How it shows.
    pub detail: String,
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
        let Failure { seed, broken, trace } = self;
        writeln!(f, "deliveries, seed {seed}: {:?} is broken: {}", broken.promise, broken.detail)?;
        trace.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Runs the history of a seed.
///
/// # Errors
/// The promise that was broken, with a trace of as few steps as possible.
pub fn run(seed: u64) -> Result<(), Box<Failure>> {
    let settings = Settings::draw(seed);
    match play(&settings, &settings.steps, false).0 {
        Ok(()) => Ok(()),
        Err(broken) => Err(Box::new(shrink(seed, &settings, broken))),
    }
}

/// Runs the histories of `count` seeds from `from` on, on all processors, and returns the first failures, at most
/// about `enough`. `progress` is told how many are done, now and then.
pub fn run_many(from: u64, count: u64, enough: usize, progress: &(dyn Fn(u64) + Sync)) -> Vec<Failure> {
    let mut failures =
        super::each_seed(from, count, enough, progress, &|seed| run(seed).err().map(|failure| *failure));
    failures.sort_by_key(|failure| failure.seed);
    failures
}

/// Runs the history of a seed and returns what happened, step by step, with the result.
pub fn replay(seed: u64) -> (Result<(), Broken>, Vec<String>) {
    let settings = Settings::draw(seed);
    play(&settings, &settings.steps, true)
}

fn play(settings: &Settings, steps: &[Step], trace: bool) -> (Result<(), Broken>, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    match runtime {
        Ok(runtime) => runtime.block_on(world::play(settings.clone(), steps, trace)),
        Err(error) => {
            let broken = Broken { promise: Promise::Complete, detail: format!("no runtime: {error}") };
            (Err(broken), Vec::new())
        }
    }
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
