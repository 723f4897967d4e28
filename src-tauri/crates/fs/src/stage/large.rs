//! Puts large contents together in `partial/`, verifies them and moves them into staging.
//!
//! One thread writes (this one), another hashes what is written, in the same order. A content is assembled
//! strictly from front to end, so whatever interrupts it leaves a beginning that a later attempt goes on with.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use evenfold_core::apply::Refusal;
use evenfold_core::transfer::{MAX_PART, SupplyFailure};
use evenfold_core::{Digest, Mode, RelPath};

use super::layout::{Content, State, creation_refusal};
use super::small::{Outcomes, Writer, fail, finish, give_up, state};
use crate::disk::{Disk, Place, ReadFile, WriteFile};
use crate::own;
use crate::prepare::{Claim, Prepared, Recipe, Source, rest};

/// Messages that wait for the writing thread, and blocks that wait for the hashing thread: each at most
/// 16 × 256 KiB = 4 MiB, enough to bridge the pauses of either.
const AHEAD: usize = 16;

/// Contents that may be open at once. Suppliers send one after the other; a few more allow for several
/// connections. Beyond that a peer misbehaves, and its contents are refused.
const OPEN_AT_ONCE: usize = 16;

/// Zeros of at least this length at a multiple of it are not written but left as a hole.
const HOLE: usize = 64 * 1024;

/// Bytes after which the system is asked to begin writing back, so that making it durable does not wait for
/// everything at the end.
const WRITE_BACK: u64 = 8 * 1024 * 1024;

/// Contents from this size on are written past the cache: copying them into it costs more processor time than
/// hashing them, and they would only push out what is read more often.
const PAST_CACHE: u64 = 16 * 1024 * 1024;

static ZEROS: [u8; HOLE] = [0; HOLE];

/// What the writing thread is told. Contents are named by a number that the sender chooses.
pub(super) enum Message {
    /// A content will come, or (with a recipe that needs nothing sent) can be put together at once.
    Begin { number: u32, content: Content, recipe: Option<Recipe> },
    /// A stretch of it.
    Part { number: u32, offset: u64, bytes: Vec<u8> },
    /// Everything was sent.
    End { number: u32 },
    /// Nothing more comes.
    Failed { number: u32, reason: SupplyFailure },
}

/// Opens the way to the writing thread.
pub(super) fn channel() -> (SyncSender<Message>, Receiver<Message>) {
    sync_channel(AHEAD)
}

/// Why a content cannot be put together.
enum Failure {
    /// The refusal for everything that wants it; what has arrived is kept for another attempt.
    Later(Refusal),
    /// What was put together is wrong or of no use and is removed.
    Discard(Refusal),
}

/// An error on writing: without space, what has arrived is given back to the file system.
fn write_failure(error: &io::Error) -> Failure {
    match own::refusal(error) {
        Refusal::NoSpace => Failure::Discard(Refusal::NoSpace),
        other => Failure::Later(other),
    }
}

/// A content that is being put together.
struct Open<'p> {
    content: Content,
    recipe: Recipe,
    place: Place,
    /// Held as long as it is written in `partial/`.
    _claim: Option<Claim<'p>>,
    file: Box<dyn WriteFile>,
    basis: Option<Box<dyn ReadFile>>,
    /// How far it is assembled.
    at: u64,
    unwritten: u64,
}

/// The writing thread.
pub(super) struct Assembler<'a, D> {
    pub(super) writer: &'a Writer<'a, D>,
    pub(super) relationship: u128,
    /// Where the batch is built.
    pub(super) folder: RelPath,
    pub(super) prepared: &'a Prepared,
}

struct Bench<'a, D> {
    assembler: &'a Assembler<'a, D>,
    hasher: SyncSender<Hash>,
    waiting: HashMap<u32, (Content, Option<Recipe>)>,
    open: HashMap<u32, Open<'a>>,
    outcomes: Outcomes,
}

impl<D: Disk> Assembler<'_, D> {
    /// Puts together what the messages bring. Blocks until they end.
    pub(super) fn run(&self, messages: Receiver<Message>) -> Outcomes {
        std::thread::scope(|scope| {
            let (hasher, blocks) = sync_channel(AHEAD);
            scope.spawn(move || hash_all(blocks));
            let mut bench = Bench {
                assembler: self,
                hasher,
                waiting: HashMap::new(),
                open: HashMap::new(),
                outcomes: Vec::new(),
            };
            messages.into_iter().for_each(|message| bench.take(message));
            bench.outcomes
        })
    }
}

impl<'a, D: Disk> Bench<'a, D> {
    fn take(&mut self, message: Message) {
        match message {
            Message::Begin { number, content, recipe } => {
                let complete = recipe.as_ref().is_some_and(|recipe| {
                    recipe.segments.iter().all(|segment| segment.source != Source::Sent)
                });
                self.waiting.insert(number, (content, recipe));
                if complete {
                    self.step(number, None, Bench::end);
                }
            }
            Message::Part { number, offset, bytes } => {
                self.step(number, Some(offset), |bench, open, number| {
                    bench.part(open, number, offset, bytes)
                });
            }
            Message::End { number } => self.step(number, None, Bench::end),
            Message::Failed { number, reason } => {
                let open = self.open.remove(&number).map(|open| open.content);
                let waiting = self.waiting.remove(&number).map(|(content, _)| content);
                if let Some(content) = open.or(waiting) {
                    self.hasher_drops(number);
                    fail(&content, &Refusal::NotSupplied(reason), &mut self.outcomes);
                }
            }
        }
    }

    /// Does something with an open content, opening it first; closes it when it is complete or has failed.
    /// Messages for contents that nobody wants, or that failed before, are dropped.
    fn step(
        &mut self,
        number: u32,
        first: Option<u64>,
        act: impl FnOnce(&mut Self, &mut Open<'_>, u32) -> Result<Progress, Failure>,
    ) {
        let mut open = match self.open.remove(&number) {
            Some(open) => open,
            None => {
                let Some((content, recipe)) = self.waiting.remove(&number) else { return };
                let recipe = recipe.unwrap_or_else(|| rest(content.size, first.unwrap_or(0)));
                match self.begin(number, content.clone(), recipe) {
                    Ok(open) => open,
                    Err(failure) => return self.close(number, &content, failure, None),
                }
            }
        };
        match act(self, &mut open, number) {
            Ok(Progress::More) => drop(self.open.insert(number, open)),
            Ok(Progress::Complete) => self.deliver(open),
            Err(failure) => {
                self.close(number, &open.content, failure, Some(&open.place));
            }
        }
    }

    /// Gives a content up; `place` is where it was written.
    fn close(&mut self, number: u32, content: &Content, failure: Failure, place: Option<&Place>) {
        self.hasher_drops(number);
        if let (Failure::Discard(refusal), Some(place)) = (&failure, place) {
            // If it cannot be removed, its digest will not fit at the next attempt either: it is only a partial
            // content, which nothing publishes.
            drop(give_up(self.assembler.writer.disk, place, refusal.clone()));
        }
        let (Failure::Later(refusal) | Failure::Discard(refusal)) = failure;
        fail(content, &refusal, &mut self.outcomes);
    }

    /// Opens a content: takes up what an earlier attempt left, or begins anew.
    fn begin(&mut self, number: u32, content: Content, recipe: Recipe) -> Result<Open<'a>, Failure> {
        let later = |text: &str| {
            let reason = SupplyFailure::Unreadable(text.to_owned());
            Err(Failure::Later(Refusal::NotSupplied(reason)))
        };
        if self.open.len() >= OPEN_AT_ONCE {
            return later("too many large files were sent at once");
        }
        let assembler = self.assembler;
        let claim = assembler.prepared.claim(content.digest);
        let path = match &claim {
            Some(_) => own::partial(assembler.relationship, content.digest),
            None if recipe.from > 0 => return later("the same content is arriving from elsewhere"),
            // Another batch builds the same content just now: this one is built beside it and cannot be resumed.
            None => assembler.folder.join_path(&own::own_path(&format!("p{number}"))),
        };
        let place = Place::Own(path.clone());
        self.feed(Hash::Begin(number))?;
        let file = if recipe.from > 0 { self.resume(number, &place, recipe.from) } else { self.fresh(&path) };
        let mut file = match file {
            Ok(file) => file,
            Err(failure) => {
                if let Failure::Discard(refusal) = &failure {
                    drop(give_up(assembler.writer.disk, &place, refusal.clone()));
                }
                return Err(failure);
            }
        };
        if content.size >= PAST_CACHE {
            file.bypass_cache();
        }
        let at = recipe.from;
        Ok(Open { content, recipe, place, _claim: claim, file, basis: None, at, unwritten: 0 })
    }

    /// Begins a content anew, whatever an earlier attempt left.
    fn fresh(&self, path: &RelPath) -> Result<Box<dyn WriteFile>, Failure> {
        let disk = self.assembler.writer.disk;
        let folder = own::partials(self.assembler.relationship);
        own::make_dirs(disk, &folder, Mode::new(own::PRIVATE_DIR))
            .and_then(|()| own::remove_tree(disk, path))
            .and_then(|_| disk.create(&Place::Own(path.clone())))
            .map_err(|error| write_failure(&error))
    }

    /// Takes up an interrupted content whose first `from` bytes are there. They are hashed like everything
    /// else: after a power cut they may be anything.
    fn resume(&mut self, number: u32, place: &Place, from: u64) -> Result<Box<dyn WriteFile>, Failure> {
        let gone = |_| Failure::Discard(Refusal::Damaged);
        let disk = self.assembler.writer.disk;
        let mut written = disk.open(place).map_err(gone)?;
        let stat = written.stat().map_err(gone)?;
        if stat.size < from {
            return Err(Failure::Discard(Refusal::Damaged));
        }
        let mut left = from;
        while left > 0 {
            let block = read_block(&mut *written, left).map_err(gone)?;
            left -= block.len() as u64;
            self.feed(Hash::Block(number, Arc::new(block)))?;
        }
        let mut file = disk.reopen(place).map_err(|error| write_failure(&error))?;
        if stat.size > from {
            // What lies behind would show through where holes are left.
            file.finish(from, Mode::new(0o600), disk.now()).map_err(|error| write_failure(&error))?;
        }
        file.seek(from).map_err(|error| write_failure(&error))?;
        Ok(file)
    }

    fn part(
        &mut self,
        open: &mut Open<'_>,
        number: u32,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<Progress, Failure> {
        self.take_from_basis(open, number, offset)?;
        let end = offset.saturating_add(bytes.len() as u64);
        if open.at != offset || end > open.content.size {
            // Out of order, overlapping or too long: not what was asked for.
            return Err(Failure::Discard(Refusal::Damaged));
        }
        self.append(open, number, bytes)?;
        Ok(Progress::More)
    }

    fn end(&mut self, open: &mut Open<'_>, number: u32) -> Result<Progress, Failure> {
        self.take_from_basis(open, number, open.content.size)?;
        let (reply, digest) = sync_channel(1);
        self.feed(Hash::Finish(number, reply))?;
        let digest = digest.recv().map_err(|_| hasher_died())?;
        if open.at != open.content.size || digest != open.content.digest {
            if open.recipe.basis.is_some() {
                self.assembler.prepared.distrust(open.content.digest);
            }
            return Err(Failure::Discard(Refusal::Damaged));
        }
        Ok(Progress::Complete)
    }

    /// Copies what the recipe takes from the basis, up to the offset `to` of the content.
    fn take_from_basis(&mut self, open: &mut Open<'_>, number: u32, to: u64) -> Result<(), Failure> {
        let lost = || Failure::Discard(Refusal::NotSupplied(SupplyFailure::Changed));
        while open.at < to {
            let next =
                open.recipe.segments.partition_point(|segment| segment.offset + segment.len <= open.at);
            let Some(segment) = open.recipe.segments.get(next).copied() else { return Ok(()) };
            let Source::Basis(offset) = segment.source else { return Ok(()) };
            let done = open.at - segment.offset;
            let basis = match (&mut open.basis, &open.recipe.basis) {
                (Some(basis), _) => basis,
                (none, Some(path)) => {
                    let file =
                        self.assembler.writer.disk.open(&Place::User(path.clone())).map_err(|_| lost())?;
                    none.insert(file)
                }
                (None, None) => return Err(lost()),
            };
            basis.seek(offset + done).map_err(|_| lost())?;
            let mut left = (segment.len - done).min(to - open.at);
            while left > 0 {
                let basis = open.basis.as_mut().ok_or_else(lost)?;
                let block = read_block(&mut **basis, left).map_err(|_| lost())?;
                left -= block.len() as u64;
                self.append(open, number, block)?;
            }
        }
        Ok(())
    }

    fn append(&mut self, open: &mut Open<'_>, number: u32, bytes: Vec<u8>) -> Result<(), Failure> {
        let bytes = Arc::new(bytes);
        self.feed(Hash::Block(number, Arc::clone(&bytes)))?;
        write_sparse(&mut *open.file, open.at, &bytes).map_err(|error| write_failure(&error))?;
        let len = bytes.len() as u64;
        open.at += len;
        open.unwritten += len;
        if open.unwritten >= WRITE_BACK {
            open.file.start_writeback();
            open.unwritten = 0;
        }
        self.assembler.writer.progress.staged(0, len);
        Ok(())
    }

    /// Moves a verified content to the first place that wants it and copies it to the others.
    fn deliver(&mut self, mut open: Open<'_>) {
        let writer = self.assembler.writer;
        let mut wants = open.content.wants.iter();
        let Some(first) = wants.next().copied() else { return };
        let (Some(place), Some(file)) = (writer.layout.place(first), writer.layout.file(first)) else {
            return;
        };
        let own = Place::Own(place.clone());
        let moved = finish(&mut *open.file, file, writer.sync)
            .map_err(|error| own::refusal(&error))
            .and_then(|_| {
                writer
                    .disk
                    .rename_new(&open.place, &own)
                    .map_err(|error| creation_refusal(writer.disk, &place, &error))
            })
            // The rename changed its change time.
            .and_then(|()| writer.disk.stat(&own).map_err(|error| own::refusal(&error)));
        drop(open.file);
        match moved {
            Ok(stat) => {
                writer.progress.staged(1, 0);
                self.outcomes.push((first, state(file, stat, writer.disk.now())));
                for want in wants {
                    let state = self.copy(&own, &open.content, *want);
                    self.outcomes.push((*want, state));
                }
            }
            Err(refusal) => fail(&open.content, &refusal, &mut self.outcomes),
        }
    }

    /// Copies a verified content of staging to another place that wants it, verifying the copy.
    fn copy(&self, from: &Place, content: &Content, want: u32) -> State {
        let writer = self.assembler.writer;
        let (Some(place), Some(file)) = (writer.layout.place(want), writer.layout.file(want)) else {
            return State::Waiting;
        };
        let own = Place::Own(place.clone());
        let mut to = match writer.disk.create(&own) {
            Ok(to) => to,
            Err(error) => return State::failed(creation_refusal(writer.disk, &place, &error)),
        };
        let mut hasher = blake3::Hasher::new();
        let copied = writer.disk.open(from).and_then(|mut from| {
            let mut at = 0;
            while at < content.size {
                let block = read_block(&mut *from, content.size - at)?;
                hasher.update(&block);
                write_sparse(&mut *to, at, &block)?;
                at += block.len() as u64;
            }
            finish(&mut *to, file, writer.sync)
        });
        drop(to);
        match copied {
            Ok(stat) if Digest(*hasher.finalize().as_bytes()) == content.digest => {
                writer.progress.staged(1, content.size);
                state(file, stat, writer.disk.now())
            }
            Ok(_) => give_up(writer.disk, &own, Refusal::Damaged),
            Err(error) => give_up(writer.disk, &own, own::refusal(&error)),
        }
    }

    fn feed(&self, block: Hash) -> Result<(), Failure> {
        self.hasher.send(block).map_err(|_| hasher_died())
    }

    fn hasher_drops(&self, number: u32) {
        // If the hashing thread is gone, so is its memory of the content.
        drop(self.hasher.send(Hash::Drop(number)));
    }
}

enum Progress {
    More,
    Complete,
}

fn hasher_died() -> Failure {
    Failure::Later(Refusal::Io("the hashing thread ended".to_owned()))
}

enum Hash {
    Begin(u32),
    Block(u32, Arc<Vec<u8>>),
    Finish(u32, SyncSender<Digest>),
    Drop(u32),
}

/// The hashing thread: at most [`OPEN_AT_ONCE`] contents at a time, in the order in which they are written.
fn hash_all(blocks: Receiver<Hash>) {
    let mut hashers: HashMap<u32, Box<blake3::Hasher>> = HashMap::new();
    for block in blocks {
        match block {
            Hash::Begin(number) => drop(hashers.insert(number, Box::default())),
            Hash::Block(number, bytes) => {
                if let Some(hasher) = hashers.get_mut(&number) {
                    hasher.update(&bytes);
                }
            }
            Hash::Finish(number, reply) => {
                if let Some(hasher) = hashers.remove(&number) {
                    // The writing thread waits for it, unless it is gone, too.
                    reply.send(Digest(*hasher.finalize().as_bytes())).ok();
                }
            }
            Hash::Drop(number) => drop(hashers.remove(&number)),
        }
    }
}

/// Reads up to `left` bytes, at most [`MAX_PART`]; the end of the file before that is an error.
pub(crate) fn read_block(file: &mut dyn ReadFile, left: u64) -> io::Result<Vec<u8>> {
    let mut block = vec![0; left.min(MAX_PART as u64) as usize];
    let mut filled = 0;
    while let Some(room) = block.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(block)
}

/// Writes `bytes` at the file's position, which is `at`, leaving holes for long zeros. What lies behind the
/// position has never been written, so a hole reads as zeros.
pub(crate) fn write_sparse(file: &mut dyn WriteFile, at: u64, bytes: &[u8]) -> io::Result<()> {
    let mut written = 0;
    let mut checked = 0;
    for stretch in bytes.chunks(HOLE) {
        let end = checked + stretch.len();
        if stretch == ZEROS {
            file.write_all(bytes.get(written..checked).unwrap_or_default())?;
            file.seek(at + end as u64)?;
            written = end;
        }
        checked = end;
    }
    file.write_all(bytes.get(written..).unwrap_or_default())
}
