//! Verifies and writes contents that fit into memory.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use evenfold_core::apply::Refusal;
use evenfold_core::transfer::SupplyFailure;
use evenfold_core::{Digest, File, Mtime, RelPath};

use super::layout::{Content, Layout, State, creation_refusal};
use crate::apply::Progress;
use crate::disk::{Disk, Place, Stat, WriteFile};
use crate::index::{Keys, StatKey};
use crate::own;
use crate::supply::open_known;

/// What became of nodes, by their numbers.
pub(super) type Outcomes = Vec<(u32, State)>;

/// Contents handed over at once, so that a hand-over costs little beside creating a file.
const GROUP: usize = 16;

/// Bytes after which a group is handed over.
const GROUP_BYTES: usize = 256 * 1024;

/// Groups that wait for a writer: with one in each hand and two writers at most 10 × (256 KiB + one content of 1 MiB)
/// = 12 MiB.
const AHEAD: usize = 4;

/// Threads that write at most, so that groups take at most 50 MiB.
const MOST_WRITERS: usize = 8;

/// Something for a writer to do.
pub(super) enum Job {
    /// Verify these bytes and write them wherever they are wanted.
    Sent(Content, Vec<u8>),
    /// Read a user's file, verify it, and write it wherever it is wanted.
    Copy(Content, RelPath, File, Keys),
}

impl Job {
    /// Returns the content that the job is about.
    pub(super) fn content(&self) -> &Content {
        match self {
            Job::Sent(content, _) | Job::Copy(content, ..) => content,
        }
    }
}

/// Writes verified contents into staging.
pub(super) struct Writer<'a, D> {
    pub(super) disk: &'a D,
    pub(super) layout: &'a Layout<'a>,
    pub(super) progress: &'a dyn Progress,
    /// Whether each file is made durable at once.
    pub(super) sync: bool,
}

impl<D: Disk> Writer<'_, D> {
    /// Does one job.
    pub(super) fn work(&self, job: Job, outcomes: &mut Outcomes) {
        match job {
            Job::Sent(content, bytes) => self.write(&content, &bytes, outcomes),
            Job::Copy(content, path, file, keys) => match self.read(&path, &file, &keys) {
                Ok(bytes) => self.write(&content, &bytes, outcomes),
                Err(refusal) => fail(&content, &refusal, outcomes),
            },
        }
    }

    fn read(&self, path: &RelPath, file: &File, keys: &Keys) -> Result<Vec<u8>, Refusal> {
        let (mut open, _) = open_known(self.disk, path, file, keys).map_err(Refusal::NotSupplied)?;
        // Its size is below PARTIAL_LIMIT, because larger copies go the way of large contents.
        let mut bytes = vec![0; file.size as usize];
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match open.read(room) {
                Ok(0) => return Err(Refusal::NotSupplied(SupplyFailure::Changed)),
                Ok(n) => filled += n,
                Err(error) => {
                    return Err(Refusal::NotSupplied(SupplyFailure::Unreadable(error.to_string())));
                }
            }
        }
        if Digest::of(&bytes) == file.digest {
            Ok(bytes)
        } else {
            // The user wrote to it since the scan: it is not the content that is wanted any more.
            Err(Refusal::NotSupplied(SupplyFailure::Changed))
        }
    }

    fn write(&self, content: &Content, bytes: &[u8], outcomes: &mut Outcomes) {
        if bytes.len() as u64 != content.size || Digest::of(bytes) != content.digest {
            return fail(content, &Refusal::Damaged, outcomes);
        }
        for want in &content.wants {
            let (Some(place), Some(file)) = (self.layout.place(*want), self.layout.file(*want)) else {
                continue;
            };
            outcomes.push((*want, self.write_one(&place, file, bytes)));
        }
    }

    fn write_one(&self, place: &RelPath, file: &File, bytes: &[u8]) -> State {
        let own = Place::Own(place.clone());
        let mut open = match self.disk.create(&own) {
            Ok(open) => open,
            Err(error) => return State::failed(creation_refusal(self.disk, place, &error)),
        };
        let written = open.write_all(bytes).and_then(|()| finish(&mut *open, file, self.sync));
        match written {
            Ok(stat) => {
                self.progress.staged(1, file.size);
                state(file, stat, self.disk.now())
            }
            Err(error) => {
                drop(open);
                give_up(self.disk, &own, own::refusal(&error))
            }
        }
    }
}

/// Gives a file its final length, permission bits and time.
pub(super) fn finish(open: &mut dyn WriteFile, file: &File, sync: bool) -> std::io::Result<Stat> {
    let stat = open.finish(file.size, file.mode, file.mtime)?;
    if sync {
        open.sync()?;
    }
    Ok(stat)
}

/// Removes what was begun at `place`. Half a file must not stay in a tree that will be published, so if it
/// cannot be removed the whole tree is given up.
pub(super) fn give_up<D: Disk>(disk: &D, place: &Place, refusal: Refusal) -> State {
    match disk.remove_file(place) {
        Ok(()) => State::failed(refusal),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => State::failed(refusal),
        Err(_) => State::Stuck(Box::new(refusal)),
    }
}

/// Tells whether a file came out as wanted. `now` is of about this moment.
pub(super) fn state(file: &File, stat: Stat, now: Mtime) -> State {
    if stat.mtime == file.mtime && stat.mode == file.mode && stat.size == file.size {
        State::Done(StatKey::written(&stat, now))
    } else {
        State::Odd(Box::new(stat))
    }
}

/// Notes that a content cannot be had.
pub(super) fn fail(content: &Content, refusal: &Refusal, outcomes: &mut Outcomes) {
    outcomes.extend(content.wants.iter().map(|want| (*want, State::failed(refusal.clone()))));
}

/// Hands jobs to writers, who take turns.
pub(super) struct Pool<'s> {
    writers: Vec<(SyncSender<Vec<Job>>, ScopedJoinHandle<'s, Outcomes>)>,
    turn: usize,
    group: Vec<Job>,
    bytes: usize,
}

impl<'s> Pool<'s> {
    /// Starts the writers.
    pub(super) fn new<'e, D: Disk>(scope: &'s Scope<'s, 'e>, writer: &'e Writer<'e, D>) -> Self {
        let start = |_| {
            let (send, receive) = sync_channel::<Vec<Job>>(AHEAD);
            let work = move || {
                let mut outcomes = Vec::new();
                for job in receive.into_iter().flatten() {
                    writer.work(job, &mut outcomes);
                }
                outcomes
            };
            (send, scope.spawn(work))
        };
        // More threads than calls that are worth making at once only wait for each other.
        let count = writer.disk.calls_at_once().clamp(1, MOST_WRITERS);
        Pool { writers: (0..count).map(start).collect(), turn: 0, group: Vec::new(), bytes: 0 }
    }

    /// Hands over one job, sooner or later.
    pub(super) fn push(&mut self, job: Job) {
        self.bytes += match &job {
            Job::Sent(_, bytes) => bytes.len(),
            Job::Copy(_, _, file, _) => file.size as usize,
        };
        self.group.push(job);
        if self.group.len() >= GROUP || self.bytes >= GROUP_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.bytes = 0;
        self.turn = (self.turn + 1) % self.writers.len().max(1);
        if let Some((send, _)) = self.writers.get(self.turn) {
            // If a writer died, its jobs stay unanswered, which the collection reports.
            drop(send.send(std::mem::take(&mut self.group)));
        }
    }

    /// Waits until everything is written.
    pub(super) fn finish(mut self) -> Outcomes {
        self.flush();
        let (senders, writers): (Vec<_>, Vec<_>) = self.writers.into_iter().unzip();
        drop(senders);
        writers.into_iter().flat_map(|writer| writer.join().unwrap_or_default()).collect()
    }
}
