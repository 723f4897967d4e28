//! A machine with its process: what lasts (folder, database) and what ends with the process (book, courier, hooks).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use evenfold_core::RelPath;
use evenfold_core::delivery::{Key, Numbered, Party, Row};
use evenfold_engine::delivery::{BookError, CourierHandle, Dice, Lanes};
use evenfold_engine::ports::Clock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::draw::Settings;
use super::judge::Judge;
use super::member::Member;
use super::office::Office;
use crate::sim::Rng;
use crate::sim::ledger::Ledger as Users;
use crate::sim::link::Link;
use crate::sim::node::{Node, lock};

/// What a machine does in the relationship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Hub,
    Source,
    Destination,
}

/// A command that is to run, or has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HookRow {
    pub(crate) path: RelPath,
    pub(crate) attempts: u32,
    pub(crate) next_at: i64,
    pub(crate) done: bool,
}

/// What the database of a machine holds. Each write is atomic.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    pub(crate) rows: BTreeMap<Key, Numbered>,
    pub(crate) hooks: BTreeMap<String, HookRow>,
    /// How far the ledger was looked through for hooks.
    pub(crate) seen: u64,
}

impl Tables {
    /// The highest number of a row.
    pub(crate) fn last(&self) -> u64 {
        self.rows.values().map(|row| row.seq).max().unwrap_or(0)
    }
}

/// The common clock: virtual time and what calls of disks have cost.
#[derive(Clone)]
pub(crate) struct Time {
    start: Instant,
    nanos: Arc<AtomicI64>,
    begin: i64,
}

impl Time {
    /// Begins now. `nanos` is the clock of the machines' disks.
    pub(crate) fn new(nanos: Arc<AtomicI64>) -> Time {
        let begin = nanos.load(Ordering::Relaxed);
        Time { start: Instant::now(), nanos, begin }
    }
}

impl Clock for Time {
    fn now_micros(&self) -> i64 {
        let elapsed = i64::try_from(self.start.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let now = self.begin.saturating_add(elapsed);
        self.nanos.fetch_max(now, Ordering::Relaxed).max(now) / 1000
    }
}

/// What everybody has to do with.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) time: Time,
    pub(crate) rng: Mutex<Rng>,
    pub(crate) judge: Mutex<Judge>,
    pub(crate) users: Arc<Mutex<Users>>,
    pub(crate) hosts: OnceLock<Vec<Arc<Host>>>,
    /// Whether users rest and everything works.
    pub(crate) calm: AtomicBool,
}

impl Shared {
    pub(crate) fn hosts(&self) -> &[Arc<Host>] {
        self.hosts.get().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn now(&self) -> i64 {
        self.time.now_micros()
    }

    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        let now = self.now();
        lock(&self.users).note(|| format!("{:9.3} {}", (now % 1_000_000_000_000) as f64 / 1e6, line()));
    }

    /// Random numbers for couriers.
    pub(crate) fn dice(self: &Arc<Self>) -> Dice {
        let shared = Arc::clone(self);
        Arc::new(move || {
            let mut rng = lock(&shared.rng);
            (u128::from(rng.draw()) << 64) | u128::from(rng.draw())
        })
    }

    /// A message or a step takes a while, sometimes long.
    pub(crate) async fn delay(&self) {
        let micros = {
            let mut rng = lock(&self.rng);
            let most = rng.weighted(&[(12, 300), (6, 5_000), (2, 200_000), (1, 3_000_000)], 300);
            let delays = self.settings.troubles.delays && !self.calm.load(Ordering::Relaxed);
            rng.below(if delays { most } else { 300 })
        };
        if micros > 0 {
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
    }
}

/// A machine.
pub(crate) struct Host {
    pub(crate) party: Party,
    pub(crate) role: Role,
    pub(crate) node: Arc<Node>,
    pub(crate) tables: Mutex<Tables>,
    /// The line to the hub, if it stands.
    pub(crate) line: Mutex<Option<Arc<Link>>>,
    pub(crate) process: Mutex<Option<Process>>,
}

/// What ends with the process. Dropping it ends its tasks.
pub(crate) struct Process {
    pub(crate) book: AnyBook,
    /// Dropping it ends the courier.
    #[allow(dead_code)]
    pub(crate) handle: CourierHandle,
    pub(crate) lanes: watch::Sender<Option<Lanes>>,
    /// Dropping it ends them.
    #[allow(dead_code)]
    pub(crate) tasks: JoinSet<()>,
}

#[derive(Clone)]
pub(crate) enum AnyBook {
    Office(Arc<Office>),
    Member(Arc<Member>),
}

impl Host {
    pub(crate) fn new(at: usize, role: Role, node: Arc<Node>) -> Arc<Host> {
        Arc::new(Host {
            party: Party([at as u8 + 1; 32]),
            role,
            node,
            tables: Mutex::default(),
            line: Mutex::default(),
            process: Mutex::default(),
        })
    }

    pub(crate) fn at(&self) -> usize {
        self.node.at
    }

    /// A moment in which the machine may stop, or a call fail.
    pub(crate) fn moment(&self, changes: bool) -> Result<(), BookError> {
        let mut state = self.node.machine.lock();
        let life = state.life;
        state.call(life, changes).map_err(|error| BookError::Failed(error.to_string()))
    }

    /// Writes into the database, in one transaction.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&mut Tables) -> T) -> Result<T, BookError> {
        self.moment(true)?;
        Ok(work(&mut lock(&self.tables)))
    }

    pub(crate) fn office(&self) -> Option<Arc<Office>> {
        match lock(&self.process).as_ref().map(|process| process.book.clone()) {
            Some(AnyBook::Office(office)) => Some(office),
            _ => None,
        }
    }

    pub(crate) fn member(&self) -> Option<Arc<Member>> {
        match lock(&self.process).as_ref().map(|process| process.book.clone()) {
            Some(AnyBook::Member(member)) => Some(member),
            _ => None,
        }
    }

    /// Tells whether it can be reached by the hub.
    pub(crate) fn online(&self) -> bool {
        let stands = lock(&self.line).as_ref().is_some_and(|line| !line.lock().broken);
        stands && !self.node.is_dead()
    }

    /// Returns the durable rows.
    pub(crate) fn rows(&self) -> Vec<Row> {
        lock(&self.tables).rows.values().map(|row| row.row.clone()).collect()
    }
}
