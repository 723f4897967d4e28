//! The long-running loop of one relationship on a spoke.
//!
//! Everything that can make it act is a variant of [`Cause`]; acting is always one cycle of the [`Pair`], at
//! the loop's own pace.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use evenfold_core::Digest;
use evenfold_core::diff::Drift;
use evenfold_core::safety::Halt;
use evenfold_core::scope::Scope;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::pair::{CycleError, CycleReport, Ending, Look, Pair, PairSettings, Permission};
use crate::ports::{Endpoint, EndpointError};

/// Commands that wait: each comes from a person or script that waits for the answer, so a handful is plenty.
const COMMANDS: usize = 64;

/// How long a command waits for the hub to be reached before it answers that it cannot be.
const REACH_PATIENCE: Duration = Duration::from_secs(8);

/// How often a folder that is missing is looked for.
const LOOK_FOR_FOLDER: Duration = Duration::from_secs(3);

/// While both sides are apart, what waits here is counted so long after something changed.
const COUNT: Duration = Duration::from_secs(2);

/// When cycles begin by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// When a watcher saw something.
    Watch,
    /// Every so often.
    Every(Duration),
    /// Never.
    Manual,
}

/// What may be asked of a running relationship.
pub enum Command {
    /// Run a cycle now and answer with its report.
    Cycle {
        /// How closely to look.
        look: Look,
        /// What it may do.
        permission: Permission,
        /// What of the plan is carried out.
        scope: Scope,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Arc<CycleReport>, CycleError>>,
    },
    /// Stop acting until resumed; a running cycle is abandoned safely.
    Pause,
    /// Act again.
    Resume,
    /// Take new settings.
    Settings(Box<PairSettings>, Trigger, Duration),
}

/// The hub's endpoint while it can be reached.
pub type Link = watch::Receiver<Option<Arc<dyn Endpoint>>>;

/// What the loop knows, for everybody to read.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Whether a cycle runs now.
    pub running: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// Whether the hub can be reached.
    pub online: bool,
    /// The last complete comparison.
    pub last: Option<Arc<CycleReport>>,
    /// How closely it looked.
    pub last_look: Option<Look>,
    /// When both sides were last compared completely, in microseconds since 1970.
    pub verified_at: Option<i64>,
    /// Why the last cycle failed, until one succeeds.
    pub error: Option<CycleError>,
    /// When it is tried again.
    pub retry_in: Option<Duration>,
    /// Why nothing happens until a person looked.
    pub halt: Option<(Halt, Option<Digest>)>,
    /// What changed here since both sides agreed last, while the hub cannot be reached or it is paused; `None` where
    /// that is not known.
    pub waiting: Option<Arc<Drift>>,
}

/// A handle on a running loop. Dropping all handles ends it.
#[derive(Clone)]
pub struct DriverHandle {
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<State>,
}

impl DriverHandle {
    /// Returns what the loop knows.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Sends a command; an error means that the loop has ended.
    pub async fn send(&self, command: Command) -> Result<(), CycleError> {
        self.commands.send(command).await.map_err(|_| ended())
    }

    /// Runs a cycle and waits for its report.
    pub async fn cycle(&self, look: Look, permission: Permission) -> Result<Arc<CycleReport>, CycleError> {
        self.cycle_within(look, permission, Scope::whole()).await
    }

    /// Runs a cycle that carries out a part of what it finds, and waits for its report.
    pub async fn cycle_within(
        &self,
        look: Look,
        permission: Permission,
        scope: Scope,
    ) -> Result<Arc<CycleReport>, CycleError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Cycle { look, permission, scope, reply }).await?;
        answer.await.map_err(|_| ended())?
    }
}

fn ended() -> CycleError {
    let message = "the relationship was stopped".to_owned();
    CycleError::Endpoint(
        evenfold_core::Side::Ours,
        EndpointError::Failed { code: "stopped".to_owned(), message },
    )
}

/// The loop of one relationship.
pub struct Driver {
    pair: Pair,
    ours: Arc<dyn Endpoint>,
    link: Link,
    commands: mpsc::Receiver<Command>,
    state: watch::Sender<State>,
    trigger: Trigger,
    rescan: Duration,
    backoff: Backoff,
    /// Commands that came while a cycle ran; bounded by the channel they came through and by taking no more
    /// than it holds.
    waiting: VecDeque<Command>,
}

/// Why the loop wakes up. The list is complete.
enum Cause {
    Command(Command),
    OursChanged,
    TheirsChanged,
    LinkChanged,
    Due(Look),
    /// What waits here is to be counted.
    Count,
    Ended,
}

impl Driver {
    /// Makes the loop of a pair. `rescan` is how often both sides are looked at completely although the
    /// watchers saw nothing.
    pub fn new(
        pair: Pair,
        ours: Arc<dyn Endpoint>,
        link: Link,
        trigger: Trigger,
        rescan: Duration,
        paused: bool,
    ) -> (Driver, DriverHandle) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let (state, receiver) = watch::channel(State { paused, ..State::default() });
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let driver =
            Driver { pair, ours, link, commands, state, trigger, rescan, backoff, waiting: VecDeque::new() };
        (driver, DriverHandle { commands: sender, state: receiver })
    }

    /// Runs until all handles are dropped.
    pub async fn run(mut self) {
        let mut ours = self.ours.nudges();
        ours.mark_unchanged();
        let mut theirs: Option<watch::Receiver<u64>> = None;
        let mut due: Option<(Instant, Look)> = None;
        let mut count_at: Option<Instant> = None;
        let mut link_is_new = true;
        loop {
            if link_is_new {
                link_is_new = false;
                let endpoint = self.link.borrow_and_update().clone();
                self.state.send_modify(|state| state.online = endpoint.is_some());
                theirs = endpoint.as_ref().map(|endpoint| endpoint.nudges());
                if endpoint.is_some() && self.acts_by_itself() {
                    // What happened while we were apart is found now.
                    due = Some((Instant::now(), Look::Current));
                }
                count_at = self.counts().then(|| Instant::now() + COUNT);
            }
            let cause = self.next_cause(&mut ours, &mut theirs, due, count_at).await;
            let look = match cause {
                Cause::Ended => return,
                Cause::Count => {
                    count_at = None;
                    self.count().await;
                    continue;
                }
                Cause::LinkChanged => {
                    link_is_new = true;
                    continue;
                }
                Cause::Command(Command::Pause) => {
                    self.state.send_modify(|state| state.paused = true);
                    count_at = self.counts().then(|| Instant::now() + COUNT);
                    continue;
                }
                Cause::Command(Command::Resume) => {
                    self.state.send_modify(|state| state.paused = false);
                    due = self.acts_by_itself().then(|| (Instant::now(), Look::Current));
                    continue;
                }
                Cause::Command(Command::Settings(settings, trigger, rescan)) => {
                    self.pair.set_settings(*settings);
                    (self.trigger, self.rescan) = (trigger, rescan);
                    due = self.acts_by_itself().then(|| (Instant::now(), Look::Full));
                    continue;
                }
                Cause::Command(Command::Cycle { look, permission, scope, reply }) => {
                    self.commanded(look, permission, scope, reply).await;
                    // Whoever only looks, however often, puts nothing off that is due by itself.
                    let looked = permission == Permission::PlanOnly && self.state.borrow().error.is_none();
                    if !(looked && due.is_some()) {
                        due = self.after();
                    }
                    continue;
                }
                Cause::OursChanged | Cause::TheirsChanged => Look::Current,
                Cause::Due(look) => look,
            };
            let endpoint = self.link.borrow().clone().filter(|_| !self.state.borrow().paused);
            let Some(endpoint) = endpoint else {
                due = None;
                if self.counts() {
                    count_at = count_at.or(Some(Instant::now() + COUNT));
                }
                continue;
            };
            // What changes from here on wakes the loop again.
            ours.mark_unchanged();
            if let Some(theirs) = &mut theirs {
                theirs.mark_unchanged();
            }
            // What is pushed and pulled by hand is only compared by itself, so that it is known what would travel.
            let permission = if self.pair.is_by_hand() { Permission::PlanOnly } else { Permission::Normal };
            _ = self.cycle(&endpoint, look, permission, &Scope::whole()).await;
            due = self.after();
        }
    }

    /// Tells whether cycles begin without a command.
    fn acts_by_itself(&self) -> bool {
        self.trigger != Trigger::Manual || self.pair.is_by_hand()
    }

    /// Tells whether what waits here is counted: both sides are apart, and what changes is seen.
    fn counts(&self) -> bool {
        let apart = self.state.borrow().paused || self.link.borrow().is_none();
        apart && self.watches()
    }

    fn watches(&self) -> bool {
        self.trigger == Trigger::Watch || self.pair.is_by_hand()
    }

    /// Counts what waits here, while nothing can travel.
    async fn count(&mut self) {
        if !self.counts() {
            return;
        }
        let waiting = match self.pair.waiting().await {
            Ok(waiting) => waiting.map(Arc::new),
            Err(error) => {
                tracing::debug!(%error, "what waits here could not be counted");
                None
            }
        };
        self.state.send_modify(|state| state.waiting = waiting);
    }

    async fn next_cause(
        &mut self,
        ours: &mut watch::Receiver<u64>,
        theirs: &mut Option<watch::Receiver<u64>>,
        due: Option<(Instant, Look)>,
        count_at: Option<Instant>,
    ) -> Cause {
        if let Some(command) = self.waiting.pop_front() {
            return Cause::Command(command);
        }
        let paused = self.state.borrow().paused;
        let watching = self.watches();
        tokio::select! {
            biased;
            command = self.commands.recv() => command.map_or(Cause::Ended, Cause::Command),
            changed = self.link.changed() => if changed.is_ok() { Cause::LinkChanged } else { Cause::Ended },
            () = until(due.map(|(at, _)| at)), if !paused => Cause::Due(due.map_or(Look::Full, |(_, look)| look)),
            () = changed(Some(ours)), if watching => Cause::OursChanged,
            () = changed(theirs.as_mut()), if watching && !paused => Cause::TheirsChanged,
            () = until(count_at), if count_at.is_some() => Cause::Count,
        }
    }

    async fn commanded(
        &mut self,
        look: Look,
        permission: Permission,
        scope: Scope,
        reply: oneshot::Sender<Result<Arc<CycleReport>, CycleError>>,
    ) {
        // A receiver of its own: what this wait has seen is still news to the loop, which has to listen to the
        // new endpoint's nudges and to say that it is online.
        let mut link = self.link.clone();
        let reached = tokio::time::timeout(REACH_PATIENCE, link.wait_for(Option::is_some)).await;
        let endpoint = reached.ok().and_then(Result::ok).and_then(|endpoint| endpoint.clone());
        let answer = match endpoint {
            Some(endpoint) => self.cycle(&endpoint, look, permission, &scope).await,
            None => {
                let offline = EndpointError::Offline("no connection stands".to_owned());
                Err(CycleError::Endpoint(evenfold_core::Side::Theirs, offline))
            }
        };
        // Whoever asked may have gone away; what was done stays done and is in the state.
        _ = reply.send(answer);
    }

    /// Runs one cycle and publishes what came out. A pause abandons it.
    async fn cycle(
        &mut self,
        endpoint: &Arc<dyn Endpoint>,
        look: Look,
        permission: Permission,
        scope: &Scope,
    ) -> Result<Arc<CycleReport>, CycleError> {
        self.state.send_modify(|state| state.running = true);
        let look = self.pair.closeness(look);
        let by_hand = self.pair.is_by_hand();
        let result = {
            let cycle = self.pair.cycle_within(endpoint, look, permission, scope);
            tokio::pin!(cycle);
            loop {
                tokio::select! {
                    result = &mut cycle => break result,
                    () = gone(self.link.clone(), endpoint) => {
                        let offline = EndpointError::Offline("the connection ended".to_owned());
                        break Err(CycleError::Endpoint(evenfold_core::Side::Theirs, offline));
                    }
                    command = self.commands.recv(), if self.waiting.len() < COMMANDS => match command {
                        Some(Command::Pause) => {
                            self.state.send_modify(|state| state.paused = true);
                            break Err(CycleError::Paused);
                        }
                        Some(command) => self.waiting.push_back(command),
                        // All handles are gone: the relationship ends, and with it the cycle.
                        None => break Err(CycleError::Paused),
                    },
                }
            }
        }
        .map(Arc::new);
        self.state.send_modify(|state| {
            state.running = false;
            match &result {
                Ok(report) => {
                    state.error = None;
                    state.retry_in = None;
                    state.waiting = None;
                    state.halt = match &report.ending {
                        Ending::Held(halt) => {
                            Some((halt.clone(), halt.approvable().then(|| report.plan.id())))
                        }
                        Ending::Planned => state.halt.take(),
                        _ => None,
                    };
                    let complete = match report.ending {
                        Ending::Equal | Ending::Conflicts | Ending::Differs | Ending::MovedOn => {
                            Some(Arc::clone(report))
                        }
                        Ending::Planned if by_hand && scope.is_whole() => {
                            Some(Arc::new(report.as_compared()))
                        }
                        // Both sides were looked at completely; only carrying out waits for a person.
                        Ending::Held(ref halt) if halt.approvable() => Some(Arc::clone(report)),
                        Ending::Planned | Ending::Held(_) => None,
                    };
                    if let Some(report) = complete {
                        state.verified_at = Some(report.compared_at);
                        state.last = Some(report);
                        state.last_look = Some(look);
                    }
                }
                Err(CycleError::PlanOutdated | CycleError::Paused) => {}
                Err(error) => state.error = Some(error.clone()),
            }
        });
        result
    }

    /// Decides when the next cycle begins by itself.
    fn after(&mut self) -> Option<(Instant, Look)> {
        let (failed, again) = {
            let state = self.state.borrow();
            let again = state.last.as_ref().is_some_and(|report| report.again) && state.halt.is_none();
            (state.error.is_some(), again)
        };
        if !self.acts_by_itself() {
            return None;
        }
        if self.state.borrow().halt.as_ref().is_some_and(|(halt, _)| !halt.approvable()) {
            // A folder that is missing may come back at any moment, and no watcher sees it.
            return Some((Instant::now() + LOOK_FOR_FOLDER, Look::Full));
        }
        if failed || again {
            let wait = self.backoff.next(rand::random());
            self.state.send_modify(|state| state.retry_in = failed.then_some(wait));
            // After a failure, or where files kept changing, watchers may have nothing more to say.
            return Some((Instant::now() + wait, Look::Full));
        }
        self.backoff.reset();
        let settles_in = self.state.borrow().last.as_ref().and_then(|report| report.settles_in);
        if let Some(wait) = settles_in {
            // Where nothing is watched, only a look at everything sees whether it still holds still.
            let look = if self.trigger == Trigger::Watch { Look::Current } else { Look::Full };
            return Some((Instant::now() + wait, look));
        }
        let wait = match self.trigger {
            Trigger::Every(every) => every,
            Trigger::Watch | Trigger::Manual => self.rescan,
        };
        Some((Instant::now() + wait, Look::Full))
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn changed(receiver: Option<&mut watch::Receiver<u64>>) {
    if let Some(receiver) = receiver
        && receiver.changed().await.is_ok()
    {
        return;
    }
    // A counter that nobody raises any more says nothing; the link says that its endpoint is gone.
    std::future::pending().await
}

/// Waits until the link leads elsewhere than to `endpoint`, or nowhere. It takes a receiver of its own, so that the
/// change is still news to the loop afterwards.
async fn gone(mut link: Link, endpoint: &Arc<dyn Endpoint>) {
    let other = |now: &Option<Arc<dyn Endpoint>>| !now.as_ref().is_some_and(|now| Arc::ptr_eq(now, endpoint));
    if link.wait_for(other).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
