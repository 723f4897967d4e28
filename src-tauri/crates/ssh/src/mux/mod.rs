//! Many streams over the one SSH channel of a connection.
//!
//! SSH has channels of its own, with windows of their own. russh, however, opens a channel's window again as soon
//! as data arrives, whether or not anyone has read it, and holds back by not reading the socket at
//! all: one stream that nobody reads would stop all others, the keep-alives, and the closing of the
//! connection too. So a connection has one SSH channel, read without pause by the task in this
//! file, and the streams within it get their windows here, from their own readers:
//!
//! - Either side opens streams, at no round trip; the dialler's numbers are odd, the acceptor's even.
//! - A stream that is not read holds at most its window ([`window`]); the others go on.
//! - Everything is bounded: streams per side, bytes per stream, growth of windows per connection.
//! - What breaks these bounds or the framing ends the connection.
//!
//! The way of a byte: [`Stream`] → its output → [`writer`] → russh → [`crate::socket`] → the other side's russh
//! → [`receive`] → [`inbox`] → [`Stream`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};

use crate::Limits;

pub(crate) mod carrier;
mod frame;
mod inbox;
mod stream;
mod window;
mod writer;

pub use stream::Stream;

use carrier::{Inward, Outward};
use frame::{Parser, Piece, Violation};
use stream::StreamCore;
use window::Budget;

/// Refusals of streams beyond the limit that wait to be sent. A peer that keeps to the limits causes
/// none; one that opens hundreds more without reading our answers is cut off.
const LARGEST_REFUSALS: usize = 256;

/// Why a stream could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The connection has ended, for this reason.
    #[error("the connection has ended: {0}")]
    Ended(String),
    /// As many streams as [`Limits::streams`] allows are open from this side already.
    #[error("{0} streams are open already")]
    TooMany(usize),
    /// All 2³¹ stream numbers of this side have been used; a new connection starts afresh.
    #[error("the connection has used up its stream numbers")]
    Exhausted,
}

/// One side's end of a multiplexed channel.
#[derive(Debug)]
pub(crate) struct Mux {
    shared: Arc<Shared>,
    incoming: tokio::sync::Mutex<mpsc::Receiver<Stream>>,
}

/// What the streams and the two tasks of a connection share.
///
/// Lock order: a stream's state is never locked together with the table.
#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    budget: Budget,
    largest_count: usize,
    something_to_send: Notify,
    /// The reason, once the connection has ended.
    end: watch::Sender<Option<Arc<str>>>,
}

#[derive(Debug)]
struct Table {
    /// Streams that are not done with on both sides: at most the limit from each side.
    streams: HashMap<u32, Arc<StreamCore>>,
    /// Those of them that have something to send, each once.
    queue: VecDeque<Arc<StreamCore>>,
    refusals: Vec<u32>,
    next_own: u32,
    next_other: u32,
    own_count: usize,
    other_count: usize,
    ended: bool,
}

impl Mux {
    /// Starts the two tasks that read and write what carries it; they end with the connection.
    pub(crate) fn start(inward: impl Inward, outward: impl Outward, dialled: bool, limits: &Limits) -> Self {
        let (next_own, next_other) = if dialled { (1, 2) } else { (2, 1) };
        let shared = Arc::new(Shared {
            table: Mutex::new(Table {
                streams: HashMap::new(),
                queue: VecDeque::new(),
                refusals: Vec::new(),
                next_own,
                next_other,
                own_count: 0,
                other_count: 0,
                ended: false,
            }),
            budget: Budget::new(limits.receive_budget),
            largest_count: limits.streams,
            something_to_send: Notify::new(),
            end: watch::Sender::new(None),
        });
        // As many as may be open: what is counted there need not be refused here.
        let (sender, receiver) = mpsc::channel(limits.streams.max(1));
        tokio::spawn(writer::run(shared.clone(), outward));
        tokio::spawn(receive(shared.clone(), inward, sender));
        Self { shared, incoming: tokio::sync::Mutex::new(receiver) }
    }

    /// Opens a stream; the other side learns of it with the next packet.
    pub(crate) fn open(&self) -> Result<Stream, OpenError> {
        let shared = &self.shared;
        let core = {
            let mut table = shared.table();
            if table.ended {
                return Err(OpenError::Ended(shared.end_reason()));
            }
            if table.own_count >= shared.largest_count {
                return Err(OpenError::TooMany(table.own_count));
            }
            let id = table.next_own;
            table.next_own = id.checked_add(2).ok_or(OpenError::Exhausted)?;
            table.own_count += 1;
            let core = StreamCore::new(id, true);
            table.streams.insert(id, core.clone());
            // Under the same lock, so that streams are announced in the order of their numbers.
            table.queue.push_back(core.clone());
            core
        };
        shared.something_to_send.notify_one();
        Ok(Stream::new(core, shared.clone()))
    }

    /// Waits for a stream that the other side opened; `None` once the connection has ended.
    pub(crate) async fn accept(&self) -> Option<Stream> {
        self.incoming.lock().await.recv().await
    }

    /// Ends all streams and both tasks. The first reason is kept.
    pub(crate) fn end(&self, reason: &str) {
        self.shared.end(reason);
    }

    /// Waits for the end and returns its reason.
    pub(crate) async fn ended(&self) -> Arc<str> {
        self.shared.ended().await
    }

    /// Returns a future like [`Mux::ended`] that does not keep the connection open.
    pub(crate) fn watch_end(&self) -> impl Future<Output = Arc<str>> + Send + 'static {
        let shared = self.shared.clone();
        async move { shared.ended().await }
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        // No code panics while it holds the lock; the table is whole in any case.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, reason: &str) {
        let streams = {
            let mut table = self.table();
            table.ended = true;
            table.queue.clear();
            std::mem::take(&mut table.streams)
        };
        self.end.send_if_modified(|end| {
            let first = end.is_none();
            end.get_or_insert_with(|| reason.into());
            first
        });
        for core in streams.values() {
            core.connection_ended();
        }
    }

    async fn ended(&self) -> Arc<str> {
        let mut end = self.end.subscribe();
        match end.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // Cannot be: the sender lives in `self`.
            Err(_) => Arc::default(),
        }
    }

    fn end_reason(&self) -> String {
        self.end.borrow().as_deref().unwrap_or_default().to_owned()
    }

    fn queue(&self, core: Arc<StreamCore>) {
        {
            let mut table = self.table();
            if table.ended {
                return;
            }
            table.queue.push_back(core);
        }
        self.something_to_send.notify_one();
    }

    fn next_queued(&self) -> Option<Arc<StreamCore>> {
        self.table().queue.pop_front()
    }

    fn take_refusals(&self) -> Vec<u32> {
        std::mem::take(&mut self.table().refusals)
    }

    /// Removes a stream that both sides are done with.
    fn forget(&self, id: u32) {
        let mut table = self.table();
        if table.streams.remove(&id).is_some() {
            if is_own(&table, id) {
                table.own_count -= 1;
            } else {
                table.other_count -= 1;
            }
        }
    }

    /// Finds the stream of a frame; `None` if it is one that both sides were done with.
    fn find(&self, id: u32) -> Result<Option<Arc<StreamCore>>, Violation> {
        let table = self.table();
        if let Some(core) = table.streams.get(&id) {
            return Ok(Some(core.clone()));
        }
        let next = if is_own(&table, id) { table.next_own } else { table.next_other };
        // After the end all are forgotten, and frames may still be on their way through here.
        if id == 0 || (id >= next && !table.ended) { Err(Violation::WrongStream) } else { Ok(None) }
    }

    /// Notes a stream that the other side opened; `None` if it was refused.
    fn opened_by_other(self: &Arc<Self>, id: u32) -> Result<Option<Stream>, Violation> {
        let core = {
            let mut table = self.table();
            if table.ended {
                return Ok(None);
            }
            if id != table.next_other {
                return Err(Violation::WrongStream);
            }
            // Past the last number nothing can be opened any more, which this makes true as well.
            table.next_other = id.checked_add(2).ok_or(Violation::WrongStream)?;
            if table.other_count >= self.largest_count {
                if table.refusals.len() >= LARGEST_REFUSALS {
                    return Err(Violation::TooManyRefusals);
                }
                table.refusals.push(id);
                drop(table);
                self.something_to_send.notify_one();
                return Ok(None);
            }
            table.other_count += 1;
            let core = StreamCore::new(id, false);
            table.streams.insert(id, core.clone());
            core
        };
        Ok(Some(Stream::new(core, self.clone())))
    }
}

fn is_own(table: &Table, id: u32) -> bool {
    id % 2 == table.next_own % 2
}

/// Reads until nothing more comes, and hands everything to the streams; never waits for any of them.
async fn receive(shared: Arc<Shared>, mut inward: impl Inward, incoming: mpsc::Sender<Stream>) {
    let mut receiver =
        Receiver { shared: shared.clone(), incoming, parser: Parser::default(), current: None };
    let read = async {
        loop {
            match inward.next().await {
                Ok(data) => {
                    if let Err(violation) = receiver.take(data) {
                        return format!("the peer broke the protocol: {violation}");
                    }
                }
                Err(reason) => return reason,
            }
        }
    };
    tokio::select! {
        reason = read => shared.end(&reason),
        _ = shared.ended() => {}
    }
}

struct Receiver {
    shared: Arc<Shared>,
    incoming: mpsc::Sender<Stream>,
    parser: Parser,
    /// The stream of the data frame that began last, unless it is gone.
    current: Option<Arc<StreamCore>>,
}

impl Receiver {
    fn take(&mut self, mut data: Bytes) -> Result<(), Violation> {
        while let Some(piece) = self.parser.next(&mut data)? {
            match piece {
                Piece::Content(content) => {
                    if let Some(core) = &self.current {
                        core.receive(content);
                    }
                }
                Piece::Data { stream, length } => {
                    self.current = self.shared.find(stream)?;
                    if let Some(core) = &self.current {
                        core.expect(length)?;
                    }
                }
                Piece::Open { stream } => {
                    if let Some(stream) = self.shared.opened_by_other(stream)? {
                        // Should nobody accept streams any more, dropping it tells the other side.
                        drop(self.incoming.try_send(stream));
                    }
                }
                Piece::Credit { stream, amount } => {
                    if let Some(core) = self.shared.find(stream)? {
                        core.credit(amount)?;
                    }
                }
                Piece::Finish { stream } => {
                    if let Some(core) = self.shared.find(stream)? {
                        core.finished();
                    }
                }
                Piece::Close { stream } => {
                    if let Some(core) = self.shared.find(stream)?
                        && core.closed()
                    {
                        self.shared.forget(stream);
                    }
                }
            }
        }
        Ok(())
    }
}
