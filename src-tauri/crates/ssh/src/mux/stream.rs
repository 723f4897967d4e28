//! One stream: what its owner reads and writes, and what the connection's two tasks do with it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Shared;
use super::frame::{HEADER, Kind, Violation, header};
use super::inbox::Inbox;
use super::window::{FIRST_WINDOW, ReceiveWindow};
use super::writer::Batch;
use crate::algorithms::PACKET_SIZE;

/// What a stream may have written that its connection has not taken yet: two full packets, header
/// included, so that its owner can fill one while the other is encrypted.
const LARGEST_OUTPUT: usize = 2 * PACKET_SIZE as usize;
/// Writes from this size on get a whole output buffer at once instead of one that grows.
const LARGE_WRITE: usize = 8 * 1024;

/// A two-way stream of bytes to the other side of a [`crate::Connection`].
///
/// - Writing waits while the other side's reader is behind by a window (256 KiB to 16 MiB); other
///   streams of the connection go on meanwhile.
/// - Shutting down the writing half tells the other side's reader the end; reading goes on.
/// - Dropping the stream closes both halves. What was written before still arrives, but unless
///   the writing half was shut down, the other side's reader then gets `ConnectionReset` instead of
///   the end, so that nothing cut short is taken for complete. The other side's writer gets `BrokenPipe`.
/// - When the connection ends, what has already arrived can still be read, then `ConnectionAborted`.
///
/// Flushing does nothing: all that is written is sent without delay.
#[derive(Debug)]
pub struct Stream {
    core: Arc<StreamCore>,
    shared: Arc<Shared>,
    /// Taken out of the inbox, not yet read to the end.
    current: Bytes,
    /// How long `current` was.
    current_len: usize,
}

/// The part of a stream that the connection knows.
#[derive(Debug)]
pub(super) struct StreamCore {
    pub(super) id: u32,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    No,
    Wanted,
    Sent,
}

#[derive(Debug)]
struct State {
    /// The stream stands in the queue of those that have something to send.
    queued: bool,
    open: Notice,
    /// Starts with room for a header, unless empty.
    output: BytesMut,
    /// What the other side lets us send.
    credit: u32,
    /// What we let the other side send, and have not told it yet.
    credit_to_give: u32,
    finish: Notice,
    close: Notice,
    writer: Option<Waker>,

    inbox: Inbox,
    window: ReceiveWindow,
    finished_by_other: bool,
    closed_by_other: bool,
    reader: Option<Waker>,

    connection_ended: bool,
}

impl StreamCore {
    pub(super) fn new(id: u32, opened_here: bool) -> Arc<Self> {
        Arc::new(Self {
            id,
            state: Mutex::new(State {
                queued: opened_here,
                open: if opened_here { Notice::Wanted } else { Notice::Sent },
                output: BytesMut::new(),
                credit: FIRST_WINDOW,
                credit_to_give: 0,
                finish: Notice::No,
                close: Notice::No,
                writer: None,
                inbox: Inbox::default(),
                window: ReceiveWindow::new(Instant::now()),
                finished_by_other: false,
                closed_by_other: false,
                reader: None,
                connection_ended: false,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock; the state is whole in any case.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves what the stream has to send into the batch. Tells whether both sides are done with it.
    pub(super) fn collect(&self, batch: &mut Batch) -> bool {
        let mut state = self.state();
        state.queued = false;
        if state.open == Notice::Wanted {
            state.open = Notice::Sent;
            batch.push_small(&header(Kind::Open, 0, self.id));
        }
        if state.credit_to_give > 0 && state.close == Notice::No {
            batch.push_small(&header(Kind::Credit, 4, self.id));
            batch.push_small(&state.credit_to_give.to_be_bytes());
        }
        state.credit_to_give = 0;
        if !state.output.is_empty() {
            let mut output = std::mem::take(&mut state.output);
            if !state.closed_by_other {
                let length = output.len().saturating_sub(HEADER);
                if let Some(space) = output.first_chunk_mut::<HEADER>() {
                    *space = header(Kind::Data, length, self.id);
                }
                batch.push(output);
            }
            wake(&mut state.writer);
        }
        if state.finish == Notice::Wanted {
            state.finish = Notice::Sent;
            batch.push_small(&header(Kind::Finish, 0, self.id));
        }
        if state.close == Notice::Wanted {
            state.close = Notice::Sent;
            batch.push_small(&header(Kind::Close, 0, self.id));
        }
        state.close == Notice::Sent && state.closed_by_other
    }

    /// Notes that a data frame of this length begins.
    pub(super) fn expect(&self, length: usize) -> Result<(), Violation> {
        let mut state = self.state();
        if state.finished_by_other || state.closed_by_other {
            return Err(Violation::DataAfterFinish);
        }
        state.window.receive(length)
    }

    /// Takes content of the data frame that began last.
    pub(super) fn receive(&self, content: Bytes) {
        let mut state = self.state();
        if state.close == Notice::No {
            state.inbox.push(content);
            wake(&mut state.reader);
        }
    }

    pub(super) fn credit(&self, amount: u32) -> Result<(), Violation> {
        let mut state = self.state();
        state.credit = state.credit.checked_add(amount).ok_or(Violation::CreditOverflow)?;
        wake(&mut state.writer);
        Ok(())
    }

    pub(super) fn finished(&self) {
        let mut state = self.state();
        state.finished_by_other = true;
        wake(&mut state.reader);
    }

    /// Notes that the other side dropped the stream. Tells whether both sides are done with it.
    pub(super) fn closed(&self) -> bool {
        let mut state = self.state();
        state.closed_by_other = true;
        wake(&mut state.reader);
        wake(&mut state.writer);
        state.close == Notice::Sent
    }

    pub(super) fn connection_ended(&self) {
        let mut state = self.state();
        state.connection_ended = true;
        wake(&mut state.reader);
        wake(&mut state.writer);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn broken(what: &'static str) -> Poll<io::Result<usize>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, what)))
}

impl Stream {
    pub(super) fn new(core: Arc<StreamCore>, shared: Arc<Shared>) -> Self {
        Self { core, shared, current: Bytes::new(), current_len: 0 }
    }

    /// Changes the state, and if that left something to send, queues the stream for it.
    fn change(&self, change: impl FnOnce(&mut State) -> bool) {
        let queue = {
            let mut state = self.core.state();
            change(&mut state) && !std::mem::replace(&mut state.queued, true)
        };
        if queue {
            self.shared.queue(self.core.clone());
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.current.is_empty() {
            let mut state = this.core.state();
            match state.inbox.pop() {
                Some(content) => {
                    drop(state);
                    this.current_len = content.len();
                    this.current = content;
                }
                None if state.finished_by_other => return Poll::Ready(Ok(())),
                None if state.closed_by_other => {
                    let error = io::Error::new(io::ErrorKind::ConnectionReset, "the peer dropped the stream");
                    return Poll::Ready(Err(error));
                }
                None if state.connection_ended => {
                    let error = io::Error::new(io::ErrorKind::ConnectionAborted, "the connection ended");
                    return Poll::Ready(Err(error));
                }
                None => {
                    state.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        }
        let count = this.current.len().min(buf.remaining());
        buf.put_slice(this.current.get(..count).unwrap_or_default());
        this.current.advance(count);
        if this.current.is_empty() {
            let taken = this.current_len;
            // Lets go of the packet now rather than at the next read.
            this.current = Bytes::new();
            this.change(|state| {
                let waiting = state.inbox.len();
                let credit = state.window.take(taken, waiting, Instant::now(), &this.shared.budget);
                let credit = credit.filter(|_| !state.finished_by_other && !state.closed_by_other);
                state.credit_to_give = state.credit_to_give.saturating_add(credit.unwrap_or(0));
                credit.is_some()
            });
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut result = Poll::Pending;
        this.change(|state| {
            if state.connection_ended {
                result = broken("the connection ended");
                return false;
            }
            if state.closed_by_other {
                result = broken("the peer dropped the stream");
                return false;
            }
            if state.finish != Notice::No {
                result = broken("the stream was shut down for writing");
                return false;
            }
            if buf.is_empty() {
                result = Poll::Ready(Ok(0));
                return false;
            }
            let room = LARGEST_OUTPUT - state.output.len().max(HEADER);
            let count = buf.len().min(room).min(state.credit as usize);
            if count == 0 {
                state.writer = Some(cx.waker().clone());
                return false;
            }
            if state.output.is_empty() {
                let size = if count >= LARGE_WRITE { LARGEST_OUTPUT } else { HEADER + count };
                state.output.reserve(size);
                state.output.extend_from_slice(&[0; HEADER]);
            }
            state.output.extend_from_slice(buf.get(..count).unwrap_or_default());
            // `count` is at most `credit`, which is a u32.
            state.credit -= count as u32;
            result = Poll::Ready(Ok(count));
            true
        });
        result
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.change(|state| {
            if state.finish != Notice::No {
                return false;
            }
            state.finish = Notice::Wanted;
            true
        });
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.change(|state| {
            state.close = Notice::Wanted;
            state.inbox = Inbox::default();
            state.window.release(&self.shared.budget);
            true
        });
    }
}
