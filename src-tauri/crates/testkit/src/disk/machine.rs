//! One machine's file system with all that may happen to it.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenfold_core::Mtime;

use super::journal::Journal;
use super::tree::{Body, Ino, Inode, Op, Slot, Tree};
use crate::sim::Rng;

/// What differs between file systems and machines.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// Time stamps are taken from a clock that advances in steps of so many nanoseconds.
    pub tick: i64,
    /// Times are stored in steps of so many nanoseconds.
    pub stored: i64,
    /// How far the machine's clock is off, in nanoseconds.
    pub skew: i64,
    /// Whether numbers of inodes are used again after a deletion.
    pub reuses_numbers: bool,
    /// Whether there may be a power cut.
    pub power_cuts: bool,
    /// Whether changes of names reach the disk in their order.
    pub ordered: bool,
    /// A mistake to be found.
    pub flaw: Option<Flaw>,
}

/// A mistake that is put into the fake world on purpose, to test that the simulator finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Exchanging loses what stood at the first place.
    ExchangeLoses,
    /// A rename replaces what stands at the new name.
    RenameReplaces,
    /// Nothing that is asked to be made durable is.
    SyncForgets,
    /// The database records as accomplished what is only intended.
    RecordedBefore,
}

/// How a machine stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed: what was written stays.
    Kill,
    /// The power fails: what was not made durable may be lost.
    Power,
}

/// What happens at a certain call of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The machine stops.
    Crash,
    /// The call fails.
    Fail,
    /// A user does something in the middle of it, as the seed says.
    User(u64),
    /// A user does something while nothing else is done.
    Alone(u64),
    /// Another process is interrupted in the middle of writing a file, and goes on now.
    Append(Ino),
}

/// An event that waits for its call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Armed {
    /// It happens after so many more calls.
    pub(crate) after: u64,
    /// Whether only calls that change something count.
    pub(crate) changes_only: bool,
    pub(crate) event: Event,
}

/// What users do when an event says so.
pub(crate) type Users = Arc<dyn Fn(&mut State, Event) + Send + Sync>;

/// A machine. Disks on it are opened by [`super::FakeDisk::open`].
pub struct Machine {
    state: Mutex<State>,
}

/// All that is behind the lock of a [`Machine`].
pub(crate) struct State {
    pub(crate) tree: Tree,
    journal: Journal,
    clock: Arc<AtomicI64>,
    pub(crate) habits: Habits,
    next: Ino,
    free: BTreeSet<u64>,
    /// Bytes that fit; `None`: any number.
    pub(crate) capacity: Option<u64>,
    pub(crate) armed: Vec<Armed>,
    pub(crate) dead: bool,
    /// Counts restarts; a disk of an earlier life is of no use.
    pub(crate) life: u32,
    /// Changes that Evenfold made among the user's files.
    pub(crate) changes_of_users: u64,
    /// Changes that Evenfold made in its own folder.
    pub(crate) changes_of_own: u64,
    pub(crate) users: Option<Users>,
    /// Whether a user acted since this was cleared.
    pub(crate) disturbed: bool,
    /// Whether a call failed on purpose since this was cleared.
    pub(crate) failed: bool,
}

impl Machine {
    /// Makes a machine with an empty root, on the common clock.
    pub fn new(clock: Arc<AtomicI64>, habits: Habits) -> Arc<Self> {
        let mut state = State {
            tree: Tree::default(),
            journal: Journal::new(habits.power_cuts, habits.ordered),
            clock,
            habits,
            next: 1,
            free: BTreeSet::new(),
            capacity: None,
            armed: Vec::new(),
            dead: false,
            life: 0,
            changes_of_users: 0,
            changes_of_own: 0,
            users: None,
            disturbed: false,
            failed: false,
        };
        let root = state.detached_dir();
        state.tree.root = Some(root);
        state.journal.all(&state.tree);
        Arc::new(Machine { state: Mutex::new(state) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere fails the test anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops it now and starts it again.
    pub(crate) fn reboot(&self, crash: Crash, rng: &mut Rng) {
        let mut state = self.lock();
        if crash == Crash::Power {
            state.tree = state.journal.cut(rng);
            state.free.clear();
        }
        state.dead = false;
        state.life += 1;
        state.armed.clear();
    }
}

impl State {
    /// The machine's time in nanoseconds since 1970, as its file system stamps it.
    pub(crate) fn now(&self) -> i64 {
        let now = self.clock.load(Ordering::Relaxed) + self.habits.skew;
        now - now.rem_euclid(self.habits.tick)
    }

    /// Lets time go by.
    pub(crate) fn pass(&self, nanos: i64) {
        self.clock.fetch_add(nanos, Ordering::Relaxed);
    }

    fn stamp(&self) -> i64 {
        self.stored(self.now())
    }

    fn stored(&self, time: i64) -> i64 {
        time - time.rem_euclid(self.habits.stored)
    }

    /// A call of Evenfold's begins: time passes, and whatever waits for this call happens.
    pub(crate) fn call(&mut self, life: u32, changes: bool) -> io::Result<()> {
        if self.dead || self.life != life {
            return Err(io::Error::other("the machine has stopped"));
        }
        self.clock.fetch_add(if changes { 20_000 } else { 5_000 }, Ordering::Relaxed);
        if self.armed.is_empty() {
            return Ok(());
        }
        let mut due = Vec::new();
        self.armed.retain_mut(|armed| {
            if armed.changes_only && !changes {
                return true;
            }
            if armed.after == 0 {
                due.push(armed.event);
                return false;
            }
            armed.after -= 1;
            true
        });
        let mut result = Ok(());
        for event in due {
            match event {
                Event::Crash => self.dead = true,
                Event::Fail => {
                    self.failed = true;
                    result = Err(io::Error::other("input/output error"));
                }
                Event::User(_) | Event::Alone(_) | Event::Append(_) => {
                    if let Some(users) = self.users.clone() {
                        self.disturbed = true;
                        users(self, event);
                    }
                }
            }
        }
        if self.dead { Err(io::Error::other("the machine has stopped")) } else { result }
    }

    /// Carries out an operation of Evenfold's.
    pub(crate) fn act(&mut self, op: Op, own: bool) {
        *(if own { &mut self.changes_of_own } else { &mut self.changes_of_users }) += 1;
        self.carry(op);
    }

    /// Carries out an operation.
    fn carry(&mut self, op: Op) {
        let now = self.stamp();
        let gone = match &op {
            Op::Unlink { at } => self.tree.child(at.0, &at.1),
            _ => None,
        };
        if let Some(node) = gone.and_then(|ino| self.tree.get(ino)) {
            self.free.insert(node.number);
        }
        self.journal.note(&op, gone, now);
        self.tree.apply(&op, now);
    }

    /// Carries out operations of a user's, who is patient enough to see them durable, with the folders that they
    /// happen in.
    pub(crate) fn user(&mut self, ops: impl IntoIterator<Item = Op>) {
        let mut count = 0;
        for op in ops {
            match &op {
                Op::Write { ino, .. } | Op::Resize { ino, .. } | Op::Attr { ino, .. } => {
                    self.durable_name(*ino)
                }
                Op::Make { at, .. } | Op::Unlink { at } => self.durable_name(at.0),
                Op::Rename { from: a, to: b } | Op::Exchange { a, b } => {
                    self.durable_name(a.0);
                    self.durable_name(b.0);
                }
            }
            self.carry(op);
            count += 1;
        }
        self.journal.latest(count);
        self.disturbed = true;
    }

    /// Makes durable where a file or directory stands, up to the root, and what a file holds.
    fn durable_name(&mut self, ino: Ino) {
        if self.habits.power_cuts {
            self.journal.file(ino);
            let mut at = Some(ino);
            while let Some(below) = at {
                let holds = |dir: &&Ino| self.tree.entries(**dir).iter().any(|(_, of)| *of == below);
                at = self.tree.nodes.keys().find(holds).copied();
                if let Some(dir) = at {
                    self.journal.dir(dir);
                }
            }
        }
    }

    pub(crate) fn sync_file(&mut self, ino: Ino) {
        if self.habits.flaw != Some(Flaw::SyncForgets) {
            self.journal.file(ino);
        }
    }

    pub(crate) fn sync_dir(&mut self, ino: Ino) {
        if self.habits.flaw != Some(Flaw::SyncForgets) {
            self.journal.dir(ino);
        }
    }

    pub(crate) fn sync_all(&mut self) {
        if self.habits.flaw != Some(Flaw::SyncForgets) {
            self.journal.all(&self.tree);
        }
    }

    /// Puts something else at the path of the root, durably.
    pub(crate) fn put_root(&mut self, root: Option<Ino>) {
        self.tree.root = root;
        self.journal.all(&self.tree);
    }

    /// Prepares the making of an inode.
    pub(crate) fn make(&mut self, at: Slot, body: Body, mode: u32) -> (Ino, Op) {
        let ino = self.next;
        self.next += 1;
        let reused = if self.habits.reuses_numbers { self.free.pop_first() } else { None };
        let now = self.stamp();
        let node = Inode { number: reused.unwrap_or(ino + 1000), mode, mtime: now, ctime: now, body };
        (ino, Op::Make { at, ino, node })
    }

    /// Makes a directory that stands nowhere.
    pub(crate) fn detached_dir(&mut self) -> Ino {
        let ino = self.next;
        self.next += 1;
        let now = self.stamp();
        let body = Body::Dir(Vec::new());
        self.tree.nodes.insert(ino, Inode { number: ino + 1000, mode: 0o755, mtime: now, ctime: now, body });
        ino
    }

    /// Brings the folder back as it is in `backup` below `from`, durably: with new inodes, as all programs for
    /// backups do it, in the old top directory or a new one.
    pub(crate) fn restore(&mut self, backup: &Tree, from: Ino, in_place: bool) {
        let root = match self.tree.root.filter(|_| in_place) {
            Some(root) => root,
            None => self.detached_dir(),
        };
        let entries = self.copy_entries(backup, from);
        if let Some(node) = self.tree.nodes.get_mut(&root) {
            node.body = Body::Dir(entries);
        }
        self.tree.root = Some(root);
        self.journal.all(&self.tree);
    }

    fn copy_entries(&mut self, backup: &Tree, from: Ino) -> Vec<(Arc<[u8]>, Ino)> {
        let mut copied = Vec::new();
        for (name, ino) in backup.entries(from) {
            let Some(node) = backup.get(*ino) else { continue };
            let mut node = node.clone();
            if let Body::Dir(_) = node.body {
                node.body = Body::Dir(self.copy_entries(backup, *ino));
            }
            let ino = self.next;
            self.next += 1;
            node.number = ino + 1000;
            node.ctime = self.stamp();
            self.tree.nodes.insert(ino, node);
            copied.push((name.clone(), ino));
        }
        copied
    }

    /// Says whether `bytes` more fit.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        self.capacity.is_none_or(|capacity| self.used() + bytes <= capacity)
    }

    /// Bytes in use below what stands at the root.
    pub(crate) fn used(&self) -> u64 {
        fn below(tree: &Tree, ino: Ino) -> u64 {
            let own = tree
                .get(ino)
                .map_or(0, |node| if tree.entries(ino).is_empty() { node.size().min(4000) } else { 100 });
            own + tree.entries(ino).iter().map(|(_, child)| below(tree, *child)).sum::<u64>()
        }
        self.tree.root.map_or(0, |root| below(&self.tree, root))
    }

    /// What a time becomes when it is stored.
    pub(crate) fn store_time(&self, time: Mtime) -> i64 {
        self.stored(nanos(time))
    }
}

pub(crate) fn nanos(time: Mtime) -> i64 {
    time.secs.saturating_mul(1_000_000_000).saturating_add(i64::from(time.nanos))
}

pub(crate) fn mtime(nanos: i64) -> Mtime {
    Mtime { secs: nanos.div_euclid(1_000_000_000), nanos: nanos.rem_euclid(1_000_000_000) as u32 }
}
