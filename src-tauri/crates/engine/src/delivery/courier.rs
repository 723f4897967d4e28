//! This machine's part in a relationship that delivers: one loop, at its own pace.
//!
//! Everything that can make it act is a variant of [`Cause`]. Acting is one [round](Courier::round): look, plan, offer or
//! claim, begin transfers, confirm receipts. Transfers run beside the loop, so that a large item holds up nobody.

mod fetch;
mod host;
mod send;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::delivery::{Event, Key, Quiet, State as RowState, Terms, Told, UnitKind};
use evenfold_core::policy::{ConflictRule, Side};
use evenfold_core::safety::Halt;
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::{Dir, RelPath};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ports::{Book, BookError, Executor};
use crate::backoff::Backoff;
use crate::driver::Trigger;
use crate::ports::{Clock, Endpoint, EndpointError};
use crate::progress::{Phase, Progress};

/// Commands that wait: each comes from a person or script that waits for the answer.
const COMMANDS: usize = 64;

/// How long a run waits for the hub to be reached before it says that it cannot be.
const REACH_PATIENCE: Duration = Duration::from_secs(8);

/// How often a folder that is missing is looked for, and a hub that failed is asked again.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// A run that waits for others gives up when nothing has happened for this long.
const STALLED: Duration = Duration::from_secs(60);

/// First and longest wait before another attempt.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The sessions with the hub: as many as transfers may run at the same time.
pub type Lanes = Arc<Vec<Arc<dyn Endpoint>>>;

/// What this machine does in the relationship.
#[derive(Clone)]
pub enum Part {
    /// It sends what stands in its folder to the hub.
    Source,
    /// It is the hub itself: what stands in its folder is offered to those who fetch it.
    Hub,
    /// It sends what stands in its folder to a folder on a host that keeps no book: the book is here.
    Host,
    /// It hands what stands in its folder to a command.
    Command(Arc<dyn Executor>),
    /// It fetches what is owed to it from the hub.
    Destination,
}

/// The options that a courier obeys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CourierSettings {
    /// What travels as a whole.
    pub unit: UnitKind,
    /// When it is offered, and whether again.
    pub terms: Terms,
    /// How many transfers run at the same time, at least 1.
    pub parallel: usize,
    /// Whether nothing more is begun after a failure until it is mended.
    pub stop_on_error: bool,
    /// What becomes of something else that stands under the name of a delivery at its destination.
    pub conflict: ConflictRule,
    /// Whether what others send through this hub is not its own to offer.
    pub transit: bool,
    /// When it acts by itself.
    pub trigger: Trigger,
    /// How often it looks at everything although nothing was seen.
    pub rescan: Duration,
    /// Whether looking at everything means reading all contents again.
    pub thorough: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Nothing is left to do.
    Done,
    /// Something waits: for space, for somebody who is away.
    Waiting,
    /// Something failed.
    Failed,
    /// The hub cannot be reached.
    Offline,
    /// Our folder, or the hub's, cannot be used.
    Held,
}

enum Command {
    Run(oneshot::Sender<Finish>),
    Pause,
    Resume,
    Settings(Box<CourierSettings>),
}

/// What the loop knows, for everybody to read.
#[derive(Debug, Clone, Default)]
pub struct CourierState {
    /// Transfers that run.
    pub running: usize,
    /// Whether it is paused.
    pub paused: bool,
    /// Whether the hub can be reached; always on the hub itself.
    pub online: bool,
    /// Whether a look at everything succeeded since it began.
    pub looked: bool,
    /// Items that do not hold still yet, and until when they have to, in microseconds since 1970.
    pub settling: Vec<(RelPath, i64)>,
    /// Items that cannot be read, and why.
    pub unreadable: Vec<(RelPath, evenfold_core::ProblemKind)>,
    /// Why nothing happens.
    pub halt: Option<Halt>,
    /// What failed last, until something succeeds.
    pub error: Option<String>,
    /// When the book and the folder were last seen to agree, in microseconds since 1970.
    pub verified_at: Option<i64>,
}

/// A handle on a running courier. Dropping all handles ends it.
#[derive(Clone)]
pub struct CourierHandle {
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<CourierState>,
}

impl CourierHandle {
    /// Returns what the loop knows.
    pub fn state(&self) -> watch::Receiver<CourierState> {
        self.state.clone()
    }

    /// Looks at everything, tries again what failed, and waits until nothing more can be done now. `None` if the
    /// courier has ended.
    pub async fn run(&self) -> Option<Finish> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Run(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Stops beginning anything; what runs is abandoned safely.
    pub async fn pause(&self) {
        // A courier that has ended needs no pause.
        _ = self.commands.send(Command::Pause).await;
    }

    /// Goes on.
    pub async fn resume(&self) {
        _ = self.commands.send(Command::Resume).await;
    }

    /// Takes new settings.
    pub async fn set_settings(&self, settings: CourierSettings) {
        _ = self.commands.send(Command::Settings(Box::new(settings))).await;
    }
}

/// Why the loop wakes up. The list is complete.
enum Cause {
    Command(Command),
    FolderChanged,
    LinkChanged,
    BookChanged,
    Due,
    Carried(Carried),
    Ended,
}

/// A transfer that has ended: what is to be written down, and which units it had in hand.
struct Carried {
    paths: Vec<RelPath>,
    told: Vec<Told>,
    disturbed: Vec<RelPath>,
    failed: Option<String>,
}

/// Somebody who waits until nothing more can be done.
struct Waiter {
    reply: oneshot::Sender<Finish>,
    began: Instant,
}

/// Why a round could not be completed.
#[derive(Debug)]
enum Trouble {
    Endpoint(Side, EndpointError),
    Book(BookError),
}

impl From<BookError> for Trouble {
    fn from(error: BookError) -> Self {
        Trouble::Book(error)
    }
}

/// What a round found.
#[derive(Default)]
struct Found {
    /// When to look again.
    next: Option<i64>,
    /// Whether something is still to be done by us, now or soon.
    busy: bool,
}

/// The loop; see the module.
pub struct Courier {
    part: Part,
    ours: Arc<dyn Endpoint>,
    book: Arc<dyn Book>,
    clock: Arc<dyn Clock>,
    progress: Arc<Progress>,
    settings: CourierSettings,
    link: watch::Receiver<Option<Lanes>>,
    commands: mpsc::Receiver<Command>,
    state: watch::Sender<CourierState>,
    quiet: Quiet,
    /// Units in transfer, by their path at the origin or, at a destination, their place at the hub.
    in_hand: HashSet<RelPath>,
    transfers: JoinSet<Carried>,
    /// What commands did and could not be written down yet.
    unsaid: Vec<Carried>,
    waiters: Vec<Waiter>,
    theirs: Option<Arc<Dir>>,
    looked: bool,
    last_full: Instant,
    last_progress: Instant,
    dice: Dice,
}

/// Where random numbers come from: ids of batches, and how much pauses before retries differ.
pub type Dice = Arc<dyn Fn() -> u128 + Send + Sync>;

impl Courier {
    /// Makes a courier; nothing is read before it runs. On the hub itself `link` stays empty.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        part: Part,
        ours: Arc<dyn Endpoint>,
        book: Arc<dyn Book>,
        clock: Arc<dyn Clock>,
        progress: Arc<Progress>,
        settings: CourierSettings,
        link: watch::Receiver<Option<Lanes>>,
        paused: bool,
    ) -> (Courier, CourierHandle) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let (state, receiver) = watch::channel(CourierState { paused, ..CourierState::default() });
        let courier = Courier {
            part,
            ours,
            book,
            clock,
            progress,
            settings,
            link,
            commands,
            state,
            quiet: Quiet::default(),
            in_hand: HashSet::new(),
            transfers: JoinSet::new(),
            unsaid: Vec::new(),
            waiters: Vec::new(),
            theirs: None,
            looked: false,
            last_full: Instant::now(),
            last_progress: Instant::now(),
            dice: Arc::new(rand::random),
        };
        (courier, CourierHandle { commands: sender, state: receiver })
    }

    /// Takes random numbers from somewhere else, so that a test can have the same ones again.
    pub fn set_dice(&mut self, dice: Dice) {
        self.dice = dice;
    }

    /// Runs until all handles are dropped.
    pub async fn run(mut self) {
        let mut folder = self.ours.nudges();
        folder.mark_unchanged();
        let mut book = self.book.news();
        let mut full = true;
        let mut due = Some(Instant::now());
        loop {
            let cause = self.next_cause(&mut folder, &mut book, due).await;
            match cause {
                Cause::Ended => return,
                Cause::Command(Command::Pause) => {
                    self.state.send_modify(|state| state.paused = true);
                    self.transfers.abort_all();
                    while self.transfers.join_next().await.is_some() {}
                    self.in_hand = self.unsaid.iter().flat_map(|carried| carried.paths.clone()).collect();
                    due = None;
                    continue;
                }
                Cause::Command(Command::Resume) => {
                    self.state.send_modify(|state| state.paused = false);
                    full = true;
                }
                Cause::Command(Command::Settings(settings)) => {
                    self.settings = *settings;
                    full = true;
                }
                Cause::Command(Command::Run(reply)) => {
                    full = true;
                    self.waiters.push(Waiter { reply, began: Instant::now() });
                    self.last_progress = Instant::now();
                    self.try_failed_again().await;
                }
                Cause::Carried(carried) => self.carried(carried).await,
                Cause::BookChanged => {
                    self.last_progress = Instant::now();
                    self.quiet.hub_has_news();
                }
                Cause::LinkChanged => {
                    self.theirs = None;
                    self.quiet.hub_has_news();
                }
                Cause::FolderChanged => {}
                Cause::Due => full |= !self.looked || self.last_full.elapsed() >= self.rescan(),
            }
            if self.state.borrow().paused {
                self.answer(Finish::Waiting);
                due = None;
                continue;
            }
            if !self.acts() {
                due = None;
                continue;
            }
            folder.mark_unchanged();
            book.mark_unchanged();
            self.link.mark_unchanged();
            if full {
                self.last_full = Instant::now();
            }
            let found = self.round(full).await;
            full = false;
            due = self.after(found);
        }
    }

    async fn next_cause(
        &mut self,
        folder: &mut watch::Receiver<u64>,
        book: &mut watch::Receiver<u64>,
        due: Option<Instant>,
    ) -> Cause {
        let paused = self.state.borrow().paused;
        let acting = !paused && self.acts();
        let watching = acting && (self.settings.trigger == Trigger::Watch || !self.waiters.is_empty());
        tokio::select! {
            biased;
            command = self.commands.recv() => command.map_or(Cause::Ended, Cause::Command),
            Some(carried) = self.transfers.join_next() => Cause::Carried(carried.unwrap_or_else(|error| Carried {
                paths: Vec::new(),
                told: Vec::new(),
                disturbed: Vec::new(),
                failed: Some(format!("a transfer ended unexpectedly: {error}")),
            })),
            changed = self.link.changed() => if changed.is_ok() { Cause::LinkChanged } else { Cause::Ended },
            () = changed(book), if acting => Cause::BookChanged,
            () = changed(folder), if watching => Cause::FolderChanged,
            () = until(due), if !paused => Cause::Due,
        }
    }

    /// One round. What it begins goes on beside the loop.
    async fn round(&mut self, full: bool) -> Result<Found, Trouble> {
        let lanes = self.link.borrow().clone();
        let on_hub = matches!(self.part, Part::Hub) || self.link_is_idle();
        self.state.send_modify(|state| state.online = on_hub || lanes.is_some());
        self.book.refresh().await?;
        self.say_again().await?;
        match self.part {
            Part::Destination => self.fetch(full, lanes).await,
            Part::Source | Part::Hub | Part::Host | Part::Command(_) => self.send(full, lanes).await,
        }
    }

    /// Returns how often everything is looked at although nothing was seen.
    fn rescan(&self) -> Duration {
        match self.settings.trigger {
            Trigger::Watch | Trigger::Manual => self.settings.rescan,
            Trigger::Every(every) => every,
        }
    }

    /// Tells whether anything is done now: by itself, or because somebody waits for it.
    fn acts(&self) -> bool {
        self.settings.trigger != Trigger::Manual || !self.waiters.is_empty()
    }

    /// Tells whether the book is kept here, so that no link is needed.
    fn link_is_idle(&self) -> bool {
        matches!(self.part, Part::Command(_)) && self.link.borrow().is_none()
    }

    /// Returns how everything is looked at.
    fn everything(&self) -> Extent {
        if self.settings.thorough { Extent::Deep } else { Extent::Full }
    }

    /// Looks at our folder.
    async fn look(&mut self, extent: Extent) -> Result<Snapshot, Trouble> {
        self.ours.scan(extent, &[]).await.map_err(|error| Trouble::Endpoint(Side::Ours, error))
    }

    /// Decides when to look again, and answers who waits.
    fn after(&mut self, found: Result<Found, Trouble>) -> Option<Instant> {
        let now = self.clock.now_micros();
        let in_transfer = !self.transfers.is_empty();
        self.progress.enter(if in_transfer { Phase::Transferring } else { Phase::Idle });
        self.state.send_modify(|state| state.running = self.transfers.len());
        match found {
            Ok(found) => {
                self.looked = true;
                self.state.send_modify(|state| {
                    state.looked = true;
                    state.halt = None;
                    state.error = None;
                    state.verified_at = Some(now);
                });
                if !in_transfer && !found.busy {
                    let finish = self.finish();
                    let stalled = self.last_progress.elapsed() > STALLED;
                    if let Some(finish) = finish.or(stalled.then_some(Finish::Waiting)) {
                        self.answer(finish);
                    }
                }
                let rescan = self.rescan();
                let wait = found.next.map(|at| Duration::from_micros(u64::try_from(at - now).unwrap_or(0)));
                // A run that waits for others looks at the book now and then, although it is told of news.
                let patience = if self.waiters.is_empty() { rescan } else { LOOK_AGAIN };
                Some(Instant::now() + wait.unwrap_or(patience).min(patience).max(Duration::from_millis(5)))
            }
            Err(trouble) => {
                let (halt, text, offline) = describe(&trouble);
                let held = halt.is_some();
                self.state.send_modify(|state| {
                    state.halt = halt;
                    state.error = Some(text);
                    state.online &= !offline;
                });
                if held {
                    self.answer(Finish::Held);
                } else if self.waiters.first().is_some_and(|waiter| waiter.began.elapsed() > REACH_PATIENCE) {
                    self.answer(if offline { Finish::Offline } else { Finish::Failed });
                }
                let wait = if self.waiters.is_empty() { LOOK_AGAIN } else { Duration::from_millis(200) };
                Some(Instant::now() + wait)
            }
        }
    }

    fn answer(&mut self, finish: Finish) {
        for waiter in self.waiters.drain(..) {
            // Whoever asked may have gone away; what was done stays done.
            _ = waiter.reply.send(finish);
        }
    }

    /// Says how things stand now that we have nothing to do; `None` while others who can be reached still have.
    fn finish(&self) -> Option<Finish> {
        let view = self.book.view();
        let me = self.book.me();
        let fetches = matches!(self.part, Part::Destination);
        let (mut waits, mut failed) = (false, false);
        for row in view.ledger.rows().filter(|row| row.counts()) {
            if (fetches && row.key.destination != me) || (!fetches && row.key.origin != me) {
                continue;
            }
            match &row.state {
                RowState::Retrying { .. } | RowState::Failed(_) => failed = true,
                state if state.is_open() => {
                    if row.stored && view.online.contains(&row.key.destination) {
                        return None;
                    }
                    waits = true;
                }
                RowState::Delivered | RowState::Acknowledged
                    if fetches && view.online.contains(&row.key.origin) =>
                {
                    return None;
                }
                _ => {}
            }
        }
        let unreadable = self.state.borrow().unreadable.iter().any(|(_, kind)| !kind.takes_no_part());
        Some(match () {
            () if failed || unreadable => Finish::Failed,
            () if waits => Finish::Waiting,
            () => Finish::Done,
        })
    }

    /// A person wants everything to be tried now.
    async fn try_failed_again(&mut self) {
        self.quiet.hub_has_news();
        let (view, me) = (self.book.view(), self.book.me());
        let fetches = matches!(self.part, Part::Destination);
        let mine = view.ledger.rows().filter(|row| {
            let part = if fetches { row.key.destination == me } else { row.key.origin == me };
            part && row.counts() && matches!(row.state, RowState::Retrying { .. } | RowState::Failed(_))
        });
        let told: Vec<Told> = mine.map(|row| Told::new(row.key.clone(), Event::Settled)).collect();
        if !told.is_empty()
            && let Err(error) = self.book.tell(told).await
        {
            tracing::debug!(%error, "what failed is tried again when its time comes");
        }
    }

    async fn carried(&mut self, carried: Carried) {
        self.last_progress = Instant::now();
        let now = self.clock.now_micros();
        for path in &carried.disturbed {
            self.quiet.disturbed(path, now);
        }
        if let Some(failed) = &carried.failed {
            tracing::info!(failed, "a transfer failed; it is tried again");
        }
        if let Err(error) = self.book.tell(carried.told.clone()).await {
            tracing::info!(%error, "what was done could not be written down or told");
            if matches!(self.part, Part::Command(_)) {
                // Offered again, the command would be run again although it has done its work.
                self.unsaid.push(carried);
                return;
            }
            // The destination's word is kept and told later; what a source did not tell is offered again.
        }
        self.release(&carried);
    }

    /// Returns when the next attempt begins after one more failure of these deliveries.
    fn retry_at(&self, keys: &[Key]) -> i64 {
        let view = self.book.view();
        let attempts = keys.iter().filter_map(|key| view.ledger.get(key)).map(|row| row.attempts).max();
        retry_at(attempts.unwrap_or(0), &self.dice, self.clock.now_micros())
    }
}

/// Returns when to try again after so many failed attempts.
fn retry_at(attempts: u32, dice: &Dice, now: i64) -> i64 {
    // 53 of the bits, which a float holds exactly.
    let random = (dice() >> 75) as f64 / (1u64 << 53) as f64;
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    for _ in 0..attempts.min(16) {
        _ = backoff.next(1.0);
    }
    now.saturating_add(i64::try_from(backoff.next(random).as_micros()).unwrap_or(i64::MAX))
}

fn describe(trouble: &Trouble) -> (Option<Halt>, String, bool) {
    match trouble {
        Trouble::Endpoint(side, error) => {
            (error.as_halt(*side), error.to_string(), matches!(error, EndpointError::Offline(_)))
        }
        Trouble::Book(error) => (None, error.to_string(), matches!(error, BookError::Offline(_))),
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn changed(receiver: &mut watch::Receiver<u64>) {
    if receiver.changed().await.is_err() {
        // A counter that nobody raises any more says nothing.
        std::future::pending::<()>().await;
    }
}
