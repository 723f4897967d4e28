//! The one inotify queue of this process, shared by the watchers of all roots.
//!
//! Linux allows a user few queues (128 by default) and many watches, so a queue for each root would end
//! watching for everybody at the hundredth relationship. One thread reads the queue and tells each root what
//! happened to its own directories. Two roots may hold the same directory: the kernel gives it one watch
//! descriptor, which then stands for a path in each of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use evenfold_core::RelPath;
use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Bytes of events fetched at once: at most 4,096 of them, which are made one set of paths for each root before
/// anybody is told. What comes meanwhile waits in the kernel's queue, which holds 16,384 events by default and then
/// says that it overflowed; so memory is bounded even if a sink is slow.
const EVENT_BUFFER: usize = 64 * 1024;

/// What a root's watcher learns from the queue.
pub(super) enum Report {
    /// This happened to that name in a directory, or to the directory itself.
    Event(ReadFlags, RelPath, Option<Vec<u8>>),
    /// The queue was full: anything may have happened.
    Overflow,
    /// The queue cannot be read any more.
    Failed(Errno),
}

/// Takes the reports of one fetch, in order.
pub(super) type Receiver = Arc<dyn Fn(Vec<Report>) + Send + Sync>;

/// Number of a root in the queue; never used again.
type RootId = u64;

static SHARED: Mutex<Weak<Queue>> = Mutex::new(Weak::new());

/// The queue and its thread, which lives as long as a root uses it.
pub(super) struct Queue {
    inotify: OwnedFd,
    wake: Arc<OwnedFd>,
    stopping: Arc<AtomicBool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Which directories a watch descriptor stands for, one for each root that has it: 80 to 120 bytes each.
    names: HashMap<i32, Vec<(RootId, RelPath)>>,
    roots: BTreeMap<RootId, Root>,
    next: RootId,
}

#[derive(Clone)]
struct Root {
    receiver: Receiver,
    /// Held while the receiver runs, so that whoever ends it can wait for that.
    running: Arc<Mutex<()>>,
}

/// A root's part of the queue; dropping it ends its watches and waits for a running receiver, unless it is dropped
/// by that.
pub(super) struct Membership {
    queue: Arc<Queue>,
    id: RootId,
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds these locks; what they protect is whole in any case.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Joins the queue of this process, starting it where there is none.
///
/// # Errors
/// Where the system has no queue left for this user, or no thread.
pub(super) fn join(receiver: Receiver) -> std::io::Result<Membership> {
    let mut shared = guard(&SHARED);
    let queue = match shared.upgrade() {
        Some(queue) => queue,
        None => {
            let queue = Queue::start()?;
            *shared = Arc::downgrade(&queue);
            queue
        }
    };
    let mut state = guard(&queue.state);
    let id = state.next;
    state.next += 1;
    state.roots.insert(id, Root { receiver, running: Arc::default() });
    drop(state);
    Ok(Membership { queue, id })
}

impl Membership {
    /// Watches the directory behind `dir`, a path that leads to its descriptor, under its name in this root.
    pub(super) fn add(&self, dir: String, path: &RelPath, flags: WatchFlags) -> Result<(), Errno> {
        // Locked before the watch exists, so that its first event finds its name.
        let mut state = guard(&self.queue.state);
        // Another root may have asked for more of the same directory.
        let wd = inotify::add_watch(&self.queue.inotify, dir, flags | WatchFlags::MASK_ADD)?;
        let names = state.names.entry(wd).or_default();
        // A directory that is watched already keeps its descriptor; its name is set right if it was moved.
        match names.iter_mut().find(|(root, _)| *root == self.id) {
            Some((_, name)) => name.clone_from(path),
            None => names.push((self.id, path.clone())),
        }
        Ok(())
    }

    /// Ends this root's watches of the directories for which `left` is true; tells whether there were any.
    pub(super) fn remove(&self, left: impl Fn(&RelPath) -> bool) -> bool {
        let mut removed = false;
        guard(&self.queue.state).names.retain(|wd, names| {
            let before = names.len();
            names.retain(|(root, name)| *root != self.id || !left(name));
            removed |= names.len() < before;
            if names.is_empty() && before > 0 {
                // Fails if the directory was deleted, and the kernel removed the watch itself.
                let _ = inotify::remove_watch(&self.queue.inotify, *wd);
            }
            !names.is_empty()
        });
        removed
    }

    /// Changes the names of this root's directories.
    pub(super) fn rename(&self, change: impl Fn(&mut RelPath)) {
        let mut state = guard(&self.queue.state);
        let names = state.names.values_mut().flatten();
        names.filter(|(root, _)| *root == self.id).for_each(|(_, name)| change(name));
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let root = guard(&self.queue.state).roots.remove(&self.id);
        self.remove(|_| true);
        // A receiver that drops its own membership holds this lock itself and waits for nobody.
        if let Some(root) = root
            && !ON_THREAD.get()
        {
            drop(guard(&root.running));
        }
    }
}

thread_local! {
    /// Whether this is the thread that reads the queue.
    static ON_THREAD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // Cannot fail: the counter is far from full.
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }
}

impl Queue {
    fn start() -> std::io::Result<Arc<Self>> {
        let queue = Arc::new(Queue {
            inotify: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            wake: Arc::new(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?),
            stopping: Arc::default(),
            state: Mutex::default(),
        });
        // The thread holds what it waits for, and the queue itself only while it works.
        let polled = queue.inotify.try_clone()?;
        let (wake, stopping) = (Arc::clone(&queue.wake), Arc::clone(&queue.stopping));
        let weak = Arc::downgrade(&queue);
        std::thread::Builder::new().name("watch".into()).spawn(move || {
            ON_THREAD.set(true);
            let mut buffer = vec![MaybeUninit::uninit(); EVENT_BUFFER];
            while !stopping.load(Ordering::Acquire) {
                let mut wait = [PollFd::new(&polled, PollFlags::IN), PollFd::new(&wake, PollFlags::IN)];
                let waited = rustix::event::poll(&mut wait, None);
                let Some(queue) = weak.upgrade() else { return };
                match waited.and_then(|_| queue.fetch(&mut buffer)) {
                    Ok(()) | Err(Errno::INTR | Errno::AGAIN) => {}
                    Err(errno) => return queue.tell_all(|| Report::Failed(errno)),
                }
            }
        })?;
        Ok(queue)
    }

    /// Reads what is in the queue, up to one buffer, and tells the roots.
    fn fetch(&self, buffer: &mut [MaybeUninit<u8>]) -> Result<(), Errno> {
        let mut reader = Reader::new(&self.inotify, buffer);
        let mut reports: BTreeMap<RootId, Vec<Report>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        loop {
            let event = reader.next()?;
            let kind = event.events();
            if kind.contains(ReadFlags::QUEUE_OVERFLOW) {
                self.tell_all(|| Report::Overflow);
            } else if kind.contains(ReadFlags::IGNORED) {
                guard(&self.state).names.remove(&event.wd());
            } else {
                let name = event.file_name().map(|name| name.to_bytes().to_vec());
                // A program that writes a file many times is told once in a fetch.
                if seen.insert((event.wd(), kind.bits(), name.clone())) {
                    for (root, dir) in guard(&self.state).names.get(&event.wd()).into_iter().flatten() {
                        let report = Report::Event(kind, dir.clone(), name.clone());
                        reports.entry(*root).or_default().push(report);
                    }
                }
            }
            if reader.is_buffer_empty() {
                break;
            }
        }
        for (root, reports) in reports {
            self.tell(root, reports);
        }
        Ok(())
    }

    fn tell_all(&self, report: impl Fn() -> Report) {
        let roots: Vec<RootId> = guard(&self.state).roots.keys().copied().collect();
        roots.into_iter().for_each(|root| self.tell(root, vec![report()]));
    }

    fn tell(&self, id: RootId, reports: Vec<Report>) {
        let Some(root) = guard(&self.state).roots.get(&id).cloned() else { return };
        let _running = guard(&root.running);
        // It may have ended between the two locks.
        if guard(&self.state).roots.contains_key(&id) {
            (root.receiver)(reports);
        }
    }
}
