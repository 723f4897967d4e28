//! The world of one history: machines that run and stop, lines that stand and break, and what happens step by step.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use evenfold_core::delivery::{Key, Unit};
use evenfold_engine::Progress;
use evenfold_engine::delivery::{Book, Courier, Executor, Part};
use evenfold_engine::ports::Endpoint;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::draw::{Settings, Step, StepKind};
use super::folder::Folder;
use super::hooks::Hooks;
use super::host::{AnyBook, Host, Process, Role, Shared, Time};
use super::judge::Judge;
use super::member::Member;
use super::office::Office;
use super::users;
use super::{Broken, Promise};
use crate::disk::{Armed, Crash, Event, Machine};
use crate::sim::Rng;
use crate::sim::ledger::Ledger as Users;
use crate::sim::link::Link;
use crate::sim::node::{End, Node, lock};

/// When all histories begin, in nanoseconds since 1970.
const BEGIN: i64 = 1_750_000_000_123_456_789;

/// After this time of rest everything has to be done.
const PATIENCE: Duration = Duration::from_secs(900);

/// What a machine waits for.
#[derive(Debug, Clone, Copy, Default)]
struct Waiting {
    /// It is started again when this is over.
    start: Option<Duration>,
    /// The line stands again when this is over.
    line: Option<Duration>,
    /// The disk has room again when this is over.
    room: Option<Duration>,
}

struct World {
    shared: Arc<Shared>,
    waiting: Vec<Waiting>,
    elapsed: Duration,
}

/// Plays the steps of a history, and lets everything come to rest.
pub(super) async fn play(
    settings: Settings,
    steps: &[Step],
    trace: bool,
) -> (Result<(), Broken>, Vec<String>) {
    let mut world = World::new(settings, trace);
    let result = world.all(steps).await;
    for host in world.shared.hosts() {
        host.node.machine.lock().dead = true;
        drop(lock(&host.process).take());
    }
    let trace = lock(&world.shared.users).trace.take().unwrap_or_default();
    (result, trace)
}

impl World {
    fn new(settings: Settings, trace: bool) -> World {
        let nanos = Arc::new(AtomicI64::new(BEGIN));
        let count = settings.roles.len();
        let users = Arc::new(Mutex::new(Users::new(count, trace)));
        let mut hosts = Vec::new();
        for (at, role) in settings.roles.iter().enumerate() {
            let machine = Machine::new(Arc::clone(&nanos), settings.habits);
            let node = Node::new(at, &format!("{role:?}{at}"), machine, Arc::clone(&users));
            // Everybody joins while all is well.
            drop(node.replica());
            hosts.push(Host::new(at, *role, node));
        }
        let rng = Mutex::new(Rng::part(settings.steps.first().map_or(0, |step| step.seed), 1));
        let shared = Arc::new(Shared {
            time: Time::new(nanos),
            rng,
            judge: Mutex::new(Judge::default()),
            users,
            hosts: OnceLock::new(),
            calm: AtomicBool::new(false),
            settings,
        });
        _ = shared.hosts.set(hosts);
        World { shared, waiting: vec![Waiting::default(); count], elapsed: Duration::ZERO }
    }

    async fn all(&mut self, steps: &[Step]) -> Result<(), Broken> {
        let settings = &self.shared.settings;
        self.shared.note(|| {
            let Settings { roles, transit, courier, troubles, .. } = settings;
            format!("{roles:?}, transit {transit}, {courier:?}, {troubles:?}")
        });
        for host in self.shared.hosts() {
            start(&self.shared, host);
        }
        self.pass(Duration::from_millis(500)).await?;
        for step in steps {
            self.step(step).await?;
        }
        self.rest().await
    }

    async fn step(&mut self, step: &Step) -> Result<(), Broken> {
        let mut rng = Rng::new(step.seed);
        let host = Arc::clone(&self.shared.hosts()[step.host]);
        let shared = Arc::clone(&self.shared);
        match step.kind {
            StepKind::User => {
                for _ in 0..=rng.below(2) {
                    users::act(&shared, &host, &mut rng);
                }
            }
            StepKind::Wait => {
                let millis = rng.pick(&[20, 200, 1_000, 3_000, 8_000, 40_000]).copied().unwrap_or(1_000);
                return self.pass(Duration::from_millis(millis)).await;
            }
            StepKind::Kill | StepKind::Fail => {
                let event = if step.kind == StepKind::Kill { Event::Crash } else { Event::Fail };
                let changes_only = rng.percent(60);
                let after = rng.below(if changes_only { 30 } else { 150 });
                if event == Event::Fail {
                    lock(&shared.judge).excuse(step.host);
                }
                host.node.machine.lock().armed.push(Armed { after, changes_only, event });
                shared.note(|| format!("machine {} will {event:?} after {after} calls", step.host));
            }
            StepKind::Cut => {
                if let Some(line) = lock(&host.line).clone() {
                    let mut line = line.lock();
                    line.breaks_after = Some(rng.below(20));
                    line.applies_parts = rng.percent(50);
                    if shared.settings.troubles.damage && rng.percent(40) {
                        line.damages_after = Some(rng.below(4));
                    }
                    if shared.settings.troubles.damage && rng.percent(20) {
                        line.silent_after = Some(rng.below(4));
                    }
                    shared.note(|| format!("the line of {} will break", step.host));
                }
            }
            StepKind::Damage => {
                if let Some(hub) = shared.hosts().first() {
                    users::damage(&shared, hub, &mut rng);
                }
            }
            StepKind::Full => {
                let mut state = host.node.machine.lock();
                state.capacity = Some(state.used() + rng.below(2_000));
                drop(state);
                shared.note(|| format!("the disk of {} is nearly full", step.host));
                let over = Duration::from_millis(rng.below(15_000));
                self.waiting[step.host].room = Some(self.elapsed + over);
            }
            StepKind::Forget => {
                let Some(hub) = shared.hosts().first() else { return Ok(()) };
                let final_rows: Vec<Key> = hub
                    .rows()
                    .into_iter()
                    .filter(|row| row.counts() && row.state.is_final())
                    .map(|row| row.key)
                    .collect();
                if let (Some(key), Some(office)) = (rng.pick(&final_rows).cloned(), hub.office()) {
                    lock(&shared.judge).forgotten(std::slice::from_ref(&key));
                    shared.note(|| format!("a person forgets {}", key.path));
                    // A command that fails is told to the person who gave it.
                    drop(office.forget(&[key]).await);
                }
            }
        }
        let millis = rng.pick(&[0, 0, 5, 50, 400]).copied().unwrap_or(0);
        self.pass(Duration::from_millis(millis)).await
    }

    /// Lets time go by, and looks again and again.
    async fn pass(&mut self, time: Duration) -> Result<(), Broken> {
        let slice = (time / 8).clamp(Duration::from_millis(5), Duration::from_millis(250));
        let until = self.elapsed + time;
        loop {
            tokio::time::sleep(slice).await;
            self.elapsed += slice;
            self.keep_running();
            let shared = Arc::clone(&self.shared);
            lock(&self.shared.judge).check(&shared)?;
            if self.elapsed >= until {
                return Ok(());
            }
        }
    }

    /// Notices who has stopped and which line has broken, and mends both after a while.
    fn keep_running(&mut self) {
        let shared = Arc::clone(&self.shared);
        let pause = |most: u64| {
            let millis = lock(&shared.rng).below(most);
            let calm = shared.calm.load(Ordering::Relaxed);
            Duration::from_millis(if calm { millis / 20 } else { millis })
        };
        for (at, host) in shared.hosts().iter().enumerate() {
            let waiting = &mut self.waiting[at];
            if waiting.room.is_some_and(|over| over <= self.elapsed) {
                waiting.room = None;
                host.node.machine.lock().capacity = None;
            }
            if host.node.is_dead() && lock(&host.process).is_some() {
                shared.note(|| format!("machine {at} has stopped"));
                drop(lock(&host.process).take());
                lock(&shared.judge).excuse(at);
                host.node.stop();
                waiting.start = Some(self.elapsed + pause(8_000));
            }
            if waiting.start.is_some_and(|over| over <= self.elapsed) {
                waiting.start = None;
                let mut rng = Rng::new(lock(&shared.rng).draw());
                let troubles = shared.settings.troubles;
                let power = troubles.power_cuts && (!troubles.crashes || rng.percent(50));
                let crash = if power { Crash::Power } else { Crash::Kill };
                host.node.machine.reboot(crash, &mut rng);
                shared.note(|| format!("machine {at} starts again after {crash:?}"));
                start(&shared, host);
            }
        }
        let Some(hub) = shared.hosts().first() else { return };
        for (at, host) in shared.hosts().iter().enumerate().skip(1) {
            let line = lock(&host.line).clone();
            let stands = line.is_some_and(|line| !line.lock().broken);
            let both = lock(&hub.process).is_some() && lock(&host.process).is_some();
            if stands && both {
                continue;
            }
            if lock(&host.line).take().is_some() {
                if let Some(process) = lock(&host.process).as_ref() {
                    process.lanes.send_replace(None);
                }
                self.waiting[at].line = Some(self.elapsed + pause(6_000));
            }
            if both && self.waiting[at].line.is_none_or(|over| over <= self.elapsed) {
                self.waiting[at].line = None;
                connect(&shared, hub, host);
            }
        }
    }

    /// Users rest, and everything works again.
    async fn rest(&mut self) -> Result<(), Broken> {
        self.shared.note(|| "users rest, and everything works again".to_owned());
        self.shared.calm.store(true, Ordering::Relaxed);
        for (at, host) in self.shared.hosts().iter().enumerate() {
            let mut state = host.node.machine.lock();
            state.capacity = None;
            state.armed.clear();
            drop(state);
            self.waiting[at].room = None;
            if let Some(line) = lock(&host.line).clone() {
                let mut line = line.lock();
                (line.breaks_after, line.damages_after, line.silent_after) = (None, None, None);
            }
        }
        let until = self.elapsed + PATIENCE;
        loop {
            self.pass(Duration::from_secs(2)).await?;
            let shared = Arc::clone(&self.shared);
            let left = lock(&shared.judge).complete(&shared);
            match left {
                Ok(()) => break,
                Err(detail) if self.elapsed > until => {
                    return Err(Broken { promise: Promise::Complete, detail });
                }
                Err(_) => {}
            }
        }
        // What only a scheduled look finds is found; after that nothing more is done.
        self.pass(Duration::from_secs(40)).await?;
        let before = self.effects();
        self.pass(Duration::from_secs(100)).await?;
        let shared = Arc::clone(&self.shared);
        let still = lock(&shared.judge).complete(&shared);
        still.map_err(|detail| Broken {
            promise: Promise::Complete,
            detail: format!("not any more: {detail}"),
        })?;
        let after = self.effects();
        if before != after {
            let detail = format!("something is still done: {before:?}, then {after:?}");
            return Err(Broken { promise: Promise::Complete, detail });
        }
        Ok(())
    }

    /// What was done so far to folders, and to the rows at the hub; a member's copy may still follow them.
    fn effects(&self) -> Vec<(u64, Option<u64>)> {
        let of = |host: &Arc<Host>| {
            let changes = host.node.machine.lock().changes_of_users;
            (changes, (host.role == Role::Hub).then(|| lock(&host.tables).last()))
        };
        self.shared.hosts().iter().map(of).collect()
    }
}

fn start(shared: &Arc<Shared>, host: &Arc<Host>) {
    let hooks = Hooks::new(Arc::clone(host), Arc::clone(shared));
    let (lanes, link) = watch::channel(None);
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&hooks).run());
    let (book, port): (AnyBook, Arc<dyn Book>) = match host.role {
        Role::Hub => {
            let office = Office::new(Arc::clone(host), Arc::clone(shared), Arc::clone(&hooks));
            tasks.spawn(Office::keep(Arc::downgrade(&office)));
            (AnyBook::Office(Arc::clone(&office)), office)
        }
        _ => {
            let member = Member::new(Arc::clone(host), Arc::clone(shared), Arc::clone(&hooks));
            (AnyBook::Member(Arc::clone(&member)), member)
        }
    };
    let part = match host.role {
        Role::Hub if shared.settings.command => {
            Part::Command(Arc::new(Command { host: Arc::clone(host), shared: Arc::clone(shared) }))
        }
        Role::Hub => Part::Hub,
        Role::Source => Part::Source,
        Role::Destination => Part::Destination,
    };
    let end = End { node: Arc::clone(&host.node), caller: Arc::clone(&host.node), link: None };
    let (mut courier, handle) = Courier::new(
        part,
        Arc::new(Folder { end, shared: Arc::clone(shared) }),
        port,
        Arc::new(shared.time.clone()),
        Arc::new(Progress::default()),
        shared.settings.courier,
        link,
        false,
    );
    courier.set_dice(shared.dice());
    tasks.spawn(courier.run());
    *lock(&host.process) = Some(Process { book, handle, lanes, tasks });
}

/// A line from a member to the hub, with the sessions over it.
fn connect(shared: &Arc<Shared>, hub: &Arc<Host>, host: &Arc<Host>) {
    let line: Arc<Link> = Arc::default();
    *lock(&host.line) = Some(Arc::clone(&line));
    let lane = || {
        let link = Some(Arc::clone(&line));
        let end = End { node: Arc::clone(&hub.node), caller: Arc::clone(&host.node), link };
        Arc::new(Folder { end, shared: Arc::clone(shared) }) as Arc<dyn Endpoint>
    };
    let lanes = (0..shared.settings.courier.parallel).map(|_| lane()).collect();
    if let Some(process) = lock(&host.process).as_ref() {
        process.lanes.send_replace(Some(Arc::new(lanes)));
    }
    shared.note(|| format!("a line from {} stands", host.at()));
}

/// A user's command that carries items.
struct Command {
    host: Arc<Host>,
    shared: Arc<Shared>,
}

#[async_trait]
impl Executor for Command {
    async fn carry(&self, unit: &Unit, id: &str) -> Result<(), String> {
        let (fails, millis) = {
            let mut rng = lock(&self.shared.rng);
            let troubled = self.shared.settings.troubles.hooks && !self.shared.calm.load(Ordering::Relaxed);
            (troubled && rng.percent(30), rng.below(2_000))
        };
        self.host.moment(false).map_err(|error| error.to_string())?;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        if fails {
            return Err("the command failed".to_owned());
        }
        lock(&self.shared.judge).hook_ended(self.host.at(), &format!("carry-{id}"));
        self.shared.note(|| format!("{} is carried by a command", unit.path));
        Ok(())
    }
}
