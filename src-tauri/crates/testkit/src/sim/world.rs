//! The world of one history: a hub and its spokes, and what happens to them step by step.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use evenfold_core::Digest;
use evenfold_core::policy::Guard;
use evenfold_core::snapshot::Extent;
use evenfold_engine::pair::{CycleError, CycleReport, Habits, Look, Pair, PairSettings, Permission};
use evenfold_engine::ports::{Clock, Endpoint};
use evenfold_engine::progress::Progress;

use super::Broken;
use super::acts::{Act, Hand};
use super::ledger::Ledger;
use super::link::Link;
use super::node::{End, Node, lock};
use super::record::{Handle, Tables};
use super::rng::Rng;
use super::settings::{Settings, Step, StepKind};
use super::survey::{contents_in_place, contents_of_versions, epoch, live, present};
use crate::disk::{Armed, Crash, Event, Ino, Machine, Tree};

/// When all histories begin, in nanoseconds since 1970.
const BEGIN: i64 = 1_750_000_000_123_456_789;

/// Everything there is.
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    clock: Arc<AtomicI64>,
    /// The hub is the first.
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) links: Vec<Arc<Link>>,
    pub(crate) pairs: Vec<Option<Pair>>,
    folders: Vec<Option<(Tree, Ino)>>,
    databases: Vec<Option<Tables>>,
    /// The folder of a machine on which another one is mounted now.
    pub(crate) covered: Vec<Option<Ino>>,
    /// Number of the next batch of all pairs.
    batches: Arc<std::sync::atomic::AtomicU64>,
    pub(crate) runtime: tokio::runtime::Runtime,
    /// Whether folders or databases were ever rolled back.
    pub(crate) rolled_back: bool,
}

struct Now(Arc<AtomicI64>);

impl Clock for Now {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed) / 1000
    }
}

impl World {
    pub(crate) fn new(settings: Settings, trace: bool, runtime: tokio::runtime::Runtime) -> Self {
        let clock = Arc::new(AtomicI64::new(BEGIN));
        let count = settings.spokes + 1;
        let ledger = Arc::new(Mutex::new(Ledger::new(count, trace)));
        let mut nodes = Vec::new();
        for (at, habits) in settings.habits.iter().enumerate() {
            let machine = Machine::new(Arc::clone(&clock), *habits);
            let name = if at == 0 { "hub".to_owned() } else { format!("spoke{at}") };
            let (record, acts, odd) = (Arc::clone(&ledger), settings.acts.clone(), settings.odd_names);
            machine.lock().users = Some(Arc::new(move |state, event| {
                let mut ledger = lock(&record);
                let seed = if let Event::User(seed) | Event::Alone(seed) = event { seed } else { 0 };
                let mut rng = Rng::new(seed);
                let act = rng.weighted(&acts, Act::Create);
                let mut hand = Hand { state, ledger: &mut ledger, node: at, rng, odd };
                match (event, act) {
                    (Event::Append(ino), _) => hand.go_on(ino),
                    // Between the look and the exchange, nothing at all would tell it.
                    (Event::User(_), Act::EditUnseen) => hand.act(Act::EditSameSize),
                    _ => hand.act(act),
                }
            }));
            nodes.push(Node::new(at, &name, machine, Arc::clone(&ledger)));
        }
        for node in &nodes {
            // Everybody joins while all is well; whoever does not is seen by the first cycle.
            drop(node.replica());
        }
        World {
            ledger,
            clock,
            links: (0..count).map(|_| Arc::default()).collect(),
            pairs: (0..count).map(|_| None).collect(),
            folders: vec![None; count],
            databases: vec![None; count],
            covered: vec![None; count],
            batches: Arc::default(),
            nodes,
            runtime,
            settings,
            rolled_back: false,
        }
    }

    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        lock(&self.ledger).note(line);
    }

    pub(crate) fn pass(&self, nanos: i64) {
        self.clock.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Carries out one step and checks what must be true after it.
    pub(crate) fn step(&mut self, step: &Step) -> Result<(), Broken> {
        let mut rng = Rng::new(step.seed);
        let at = step.node;
        let pause = [0, 0, 0, 30_000, 1_000_000, 7_000_000, 50_000_000, 3_000_000_000];
        self.pass(rng.pick(&pause).copied().unwrap_or(0));
        match step.kind {
            StepKind::Users => {
                for _ in 0..=rng.below(3) {
                    self.user(at, rng.draw());
                }
            }
            StepKind::Cycle => {
                let spoke = if at == 0 { 1 } else { at };
                self.troubled_cycle(spoke, &mut rng)?;
            }
            StepKind::Restart => {
                let crash = self.crash(&mut rng);
                self.restart(at, crash, &mut rng)?;
            }
            StepKind::Pass => {
                self.pass(rng.pick(&[1_000_000_000, 10_000_000_000, 4_000_000_000_000]).copied().unwrap_or(1))
            }
            StepKind::BackUpFolder => self.back_up_folder(at),
            StepKind::RestoreFolder => self.restore_folder(at, &mut rng),
            StepKind::BackUpDatabase => {
                self.databases[at] = Some(self.nodes[at].database.lock().clone());
                self.note(|| format!("database of machine {at} is backed up"));
            }
            StepKind::RestoreDatabase => {
                if let Some(tables) = self.databases[at].clone() {
                    self.note(|| format!("database of machine {at} is rolled back"));
                    *self.nodes[at].database.lock() = tables;
                    self.forget(at);
                    self.rolled_back = true;
                }
            }
            StepKind::Unmount => self.unmount(at),
            StepKind::Mount => self.mount(at),
            StepKind::RestoreVersion => self.restore_version(at, &mut rng),
        }
        self.check()
    }

    /// A user does something, unless the folder is not there.
    fn user(&self, at: usize, seed: u64) {
        if self.covered[at].is_none() {
            let mut state = self.nodes[at].machine.lock();
            if let Some(users) = state.users.clone() {
                users(&mut state, Event::Alone(seed));
            }
            drop(state);
            lock(&self.ledger).forget_meanwhile();
        }
    }

    /// Processes end, and begin again when they are needed.
    pub(crate) fn forget(&mut self, at: usize) {
        self.nodes[at].stop();
        self.pairs[at] = None;
    }

    fn crash(&self, rng: &mut Rng) -> Crash {
        let troubles = &self.settings.troubles;
        if troubles.power_cuts && (!troubles.crashes || rng.percent(60)) { Crash::Power } else { Crash::Kill }
    }

    fn restart(&mut self, at: usize, crash: Crash, rng: &mut Rng) -> Result<(), Broken> {
        self.note(|| format!("machine {at} stops: {crash:?}"));
        self.go_on_writing(at);
        self.nodes[at].machine.reboot(crash, rng);
        self.nodes[at].excuse_overtaken();
        self.nodes[at].let_go();
        self.forget(at);
        self.pass(1_000_000);
        self.check()
    }

    /// Whoever was interrupted in writing has written all of it.
    fn go_on_writing(&self, at: usize) {
        let mut state = self.nodes[at].machine.lock();
        let armed = std::mem::take(&mut state.armed);
        for Armed { event, .. } in armed {
            if let (Event::Append(_), Some(users)) = (event, state.users.clone()) {
                users(&mut state, event);
            }
        }
    }

    /// Runs a cycle in which things may go wrong.
    fn troubled_cycle(&mut self, spoke: usize, rng: &mut Rng) -> Result<(), Broken> {
        let troubles = self.settings.troubles;
        let look = rng.weighted(&[(5, Look::Full), (5, Look::Current), (1, Look::Deep)], Look::Full);
        if look == Look::Current {
            for at in [0, spoke] {
                if rng.percent(70) {
                    self.watch(at, rng);
                }
            }
        }
        let crash = self.crash(rng);
        for at in [0, spoke] {
            let mut state = self.nodes[at].machine.lock();
            let mut arm = |rng: &mut Rng, event| {
                let changes_only = rng.percent(60);
                let after = rng.below(if changes_only { 24 } else { 120 });
                state.armed.push(Armed { after, changes_only, event });
            };
            if (troubles.crashes || troubles.power_cuts) && rng.percent(30) {
                arm(rng, Event::Crash);
            }
            if troubles.users_meanwhile && self.covered[at].is_none() {
                for _ in 0..rng.below(3) {
                    let seed = rng.draw();
                    arm(rng, Event::User(seed));
                }
            }
            if troubles.disk_errors && rng.percent(30) {
                arm(rng, Event::Fail);
            }
            if troubles.full_disks && rng.percent(30) {
                state.capacity = Some(state.used() + rng.below(1500));
            }
        }
        {
            let mut line = self.links[spoke].lock();
            if troubles.broken_links && rng.percent(40) {
                line.breaks_after = Some(rng.below(16));
                line.applies_parts = rng.percent(50);
            }
            if troubles.damage && rng.percent(40) {
                line.damages_after = Some(rng.below(4));
            }
            if troubles.damage && rng.percent(20) {
                line.silent_after = Some(rng.below(4));
            }
        }
        // The result is judged by what it left.
        drop(self.cycle(spoke, look, Permission::Normal)?);
        *self.links[spoke].lock() = Default::default();
        for at in [0, spoke] {
            self.go_on_writing(at);
            self.nodes[at].machine.lock().capacity = None;
            if self.nodes[at].is_dead() {
                self.restart(at, crash, rng)?;
            }
        }
        lock(&self.ledger).forget_meanwhile();
        Ok(())
    }

    /// The watcher tells what has changed, or some of it.
    fn watch(&self, at: usize, rng: &mut Rng) {
        let paths = {
            let state = self.nodes[at].machine.lock();
            let all = live(&state.tree, state.tree.root);
            let mut paths: Vec<_> = all.keys().filter(|_| rng.percent(60)).cloned().collect();
            paths.push(evenfold_core::RelPath::root());
            paths
        };
        // A folder that cannot be looked at is seen by the cycle, too.
        drop(self.nodes[at].look(&Extent::Paths(paths)));
    }

    /// Runs one cycle of a spoke, and checks what it did.
    pub(crate) fn cycle(
        &mut self,
        spoke: usize,
        look: Look,
        permission: Permission,
    ) -> Result<Result<CycleReport, CycleError>, Broken> {
        let (hub, node, link) = (&self.nodes[0], &self.nodes[spoke], &self.links[spoke]);
        let mut pair = match self.pairs[spoke].take() {
            Some(pair) => pair,
            None => {
                let ours = End { node: Arc::clone(node), caller: Arc::clone(node), link: None };
                let settings = PairSettings {
                    tracking: None,
                    policy: self.settings.policy,
                    guard: Guard::default(),
                    takes_part: Arc::new(|_, _| true),
                    limit: self.settings.limit,
                    habits: Habits::default(),
                };
                let store = Arc::new(Handle(Arc::clone(&node.database)));
                let clock = Arc::new(Now(Arc::clone(&self.clock)));
                let batches = Arc::clone(&self.batches);
                let mut pair =
                    Pair::new(Arc::new(ours), store, clock, Arc::new(Progress::default()), settings);
                pair.set_batch_ids(Arc::new(move || {
                    let id = batches.fetch_add(1, Ordering::Relaxed);
                    (u128::from(id) + 1) << 96
                }));
                pair
            }
        };
        let theirs: Arc<dyn Endpoint> =
            Arc::new(End { node: Arc::clone(hub), caller: Arc::clone(node), link: Some(Arc::clone(link)) });
        lock(&self.ledger).forget_meanwhile();
        let before = self.before(spoke, look);
        let result = self.runtime.block_on(pair.cycle(&theirs, look, permission));
        self.note(|| match &result {
            Ok(report) => format!(
                "cycle of {spoke} {look:?} {permission:?}: {:?}, {} files, settled {:?}, blocked {:?}",
                report.ending,
                report.files,
                report.settled.iter().map(|conflict| &conflict.path).collect::<Vec<_>>(),
                report.blocked
            ),
            Err(error) => format!("cycle of {spoke} {look:?}: {error}"),
        });
        for at in [spoke, 0] {
            self.note_folder(at);
        }
        for at in [spoke, 0] {
            if !self.nodes[at].is_dead() {
                self.nodes[at].let_go();
            }
        }
        self.pairs[spoke] = Some(pair);
        self.after(spoke, permission, before, &result)?;
        Ok(result)
    }

    /// Writes down what a folder holds, if somebody wants to read it.
    fn note_folder(&self, at: usize) {
        if lock(&self.ledger).trace.is_none() {
            return;
        }
        let state = self.nodes[at].machine.lock();
        let short = |digest: Digest| digest.to_string().chars().take(4).collect::<String>();
        let entries: Vec<String> = live(&state.tree, state.tree.root)
            .into_iter()
            .map(|(path, entry)| {
                format!("{path:?} {} {:o}", entry.digest.map_or_else(String::new, short), entry.mode)
            })
            .collect();
        drop(state);
        self.note(|| format!("    machine {at}: {}", entries.join(", ")));
    }

    fn back_up_folder(&mut self, at: usize) {
        let state = self.nodes[at].machine.lock();
        if let (Some(root), None) = (state.tree.root, self.covered[at]) {
            self.folders[at] = Some((state.tree.clone(), root));
            drop(state);
            self.note(|| format!("folder of machine {at} is backed up"));
        }
    }

    /// Tells whether every pair that uses a folder notices that its epoch went back to `found`. A pair knows of later
    /// batches only what it has recorded: if all of them failed halfway, nothing tells the folder from one whose user
    /// undid things by hand. A running hub notices it by itself, and begins a new generation of epochs, which
    /// all notice who have recorded one.
    fn is_told(&self, at: usize, found: u64, in_place: bool) -> bool {
        let recorded = |spoke: usize| self.nodes[spoke].database.lock().epochs;
        match at {
            0 if self.settings.spokes == 1 => recorded(1).theirs > found,
            0 => {
                let all = (1..=self.settings.spokes).all(|spoke| recorded(spoke).theirs > 0);
                in_place && self.nodes[0].is_open() && all
            }
            spoke => recorded(spoke).ours > found,
        }
    }

    /// A user brings the folder back as it was at its backup. Contents that stand elsewhere have to survive that,
    /// if the folder's epoch tells that it is old.
    fn restore_folder(&mut self, at: usize, rng: &mut Rng) {
        self.go_on_writing(at);
        let Some((backup, from)) = self.folders[at].clone().filter(|_| self.covered[at].is_none()) else {
            return;
        };
        let in_place = rng.percent(50);
        let elsewhere: BTreeSet<_> = (0..self.nodes.len())
            .filter(|other| *other != at)
            .flat_map(|other| self.contents(other))
            .collect();
        let mut state = self.nodes[at].machine.lock();
        let before = live(&state.tree, state.tree.root);
        let epoch = epoch(&state.tree, state.tree.root);
        state.restore(&backup, from, in_place);
        let after = live(&state.tree, state.tree.root);
        let found = super::survey::epoch(&state.tree, state.tree.root);
        let present = present(&state.tree, state.tree.root);
        drop(state);
        let told = found < epoch && self.is_told(at, found, in_place);
        let mut ledger = lock(&self.ledger);
        let ended = ledger.ended.clone();
        ledger.user_acted(at, &before, &after, &present);
        if told {
            let spared: Vec<_> =
                ledger.ended.difference(&ended).filter(|d| elsewhere.contains(*d)).copied().collect();
            for digest in &spared {
                ledger.ended.remove(digest);
            }
            ledger.spared[at].extend(spared);
        } else {
            // Nobody may have looked between two restores: then nothing tells of the first one either.
            let spared = std::mem::take(&mut ledger.spared[at]);
            ledger.ended.extend(spared);
        }
        ledger.secured[at] = present;
        ledger.note(|| format!("folder of machine {at} is restored from its backup, epoch tells: {told}"));
        drop(ledger);
        self.rolled_back = true;
        if at == 0 && self.settings.spokes > 1 {
            // Its watcher has it look; where another folder stands now, that is opened again.
            for _ in 0..2 {
                drop(self.nodes[at].look(&Extent::Full));
            }
        } else if rng.percent(50) {
            self.forget(at);
        }
    }

    fn unmount(&mut self, at: usize) {
        self.go_on_writing(at);
        let mut state = self.nodes[at].machine.lock();
        if self.covered[at].is_none() {
            self.covered[at] = state.tree.root;
            let empty = state.detached_dir();
            state.put_root(if at.is_multiple_of(2) { Some(empty) } else { None });
            drop(state);
            self.note(|| format!("folder of machine {at} is unmounted"));
        }
    }

    pub(crate) fn mount(&mut self, at: usize) {
        if let Some(root) = self.covered[at].take() {
            let mut state = self.nodes[at].machine.lock();
            state.put_root(Some(root));
            drop(state);
            self.note(|| format!("folder of machine {at} is mounted"));
        }
    }

    fn restore_version(&mut self, at: usize, rng: &mut Rng) {
        if self.covered[at].is_some() {
            return;
        }
        let Ok(replica) = self.nodes[at].replica() else { return };
        let versions = {
            let state = self.nodes[at].machine.lock();
            super::survey::versions(&state.tree, state.tree.root)
        };
        let Some((id, path)) = rng.pick(&versions) else { return };
        self.pass(2_000_000);
        let (before, kept_before) = {
            let state = self.nodes[at].machine.lock();
            (live(&state.tree, state.tree.root), contents_of_versions(&state.tree, state.tree.root))
        };
        let result = replica.restore(id, path, path);
        self.note(|| {
            format!("user on machine {at} restores {path:?}: {:?}", result.as_ref().map(|done| done.files))
        });
        let state = self.nodes[at].machine.lock();
        let after = live(&state.tree, state.tree.root);
        let present = present(&state.tree, state.tree.root);
        let kept = contents_of_versions(&state.tree, state.tree.root);
        let mut ledger = lock(&self.ledger);
        let secured = ledger.secured[at].clone();
        ledger.user_acted(at, &before, &after, &present);
        // A process may write while the restore goes on. The user wants a version in place of whatever stands there:
        // what a restore moved to the versions was replaced by them, and is secured as a version below.
        ledger.ended.extend(kept.difference(&kept_before));
        // It is Evenfold that replaces what stands there, so none of it may be lost.
        ledger.secured[at].extend(secured);
    }

    /// Contents that stand in the folder of a machine.
    pub(crate) fn contents(&self, at: usize) -> BTreeSet<Digest> {
        let state = self.nodes[at].machine.lock();
        contents_in_place(&state.tree, self.covered[at].or(state.tree.root))
    }
}
