//! What lies below russh, TCP or a stream through another node: counts, checks, can be cut, and never makes russh wait
//! for a write.
//!
//! russh's session is one task that writes all it has to say before it reads again. Two such tasks that
//! send much to each other would block one another for ever as soon as the kernel's buffers are full in both
//! directions. So a write here always succeeds: what the kernel does not take at once is kept and
//! sent whenever the session polls for reading, which it does while it is idle. That memory stays small
//! because the sender of stream data (`mux::writer`) waits for [`Line::room`] before it hands russh
//! more, and it is bounded in any case: at [`LARGEST_BACKLOG`] the connection is given up.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, watch};

use crate::strict::{Other, StrictCheck};
use crate::transport::Transport;

/// Above this many bytes that the kernel has not taken, stream data waits. Small, since it only has to
/// bridge the time until the session is polled; the kernel's own buffer comes on top.
const WANTED_BACKLOG: usize = 256 * 1024;
/// What russh may add beyond that while stream data waits: what was handed over before (some MiB), and
/// answers to the other side's own messages. Who asks without ever reading the answers is cut off here.
const LARGEST_BACKLOG: usize = 32 << 20;
/// Read ahead for packets smaller than this, to spare the second system call; larger ones are read
/// straight into russh's buffer, to spare the copy.
const READ_AHEAD: usize = 16 * 1024;

/// What the rest of the connection sees of its socket.
#[derive(Debug)]
pub(crate) struct Line {
    sent: AtomicU64,
    received: AtomicU64,
    backlog: AtomicUsize,
    /// Notified when the backlog falls to the wanted size.
    drained: Notify,
    cut: AtomicBool,
    cut_reason: OnceLock<String>,
    session: Mutex<Option<Waker>>,
    ended: watch::Sender<bool>,
}

impl Line {
    /// Returns the bytes (sent, received) so far, as TCP payload: encrypted, with all SSH overhead.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    /// Waits until the kernel has taken most of what was written.
    pub(crate) async fn room(&self) {
        loop {
            let drained = self.drained.notified();
            if self.backlog.load(Ordering::Acquire) <= WANTED_BACKLOG {
                return;
            }
            drained.await;
        }
    }

    /// Ends the connection at once, whatever the session is doing. The first reason is kept.
    pub(crate) fn cut(&self, reason: &str) {
        // A second reason is a consequence of the first.
        let _ = self.cut_reason.set(reason.to_owned());
        self.cut.store(true, Ordering::Release);
        if let Some(waker) = lock(&self.session).take() {
            waker.wake();
        }
    }

    /// Returns why the connection was cut from this side, if it was.
    pub(crate) fn cut_reason(&self) -> Option<&str> {
        self.cut_reason.get().map(String::as_str)
    }

    /// Waits until the session has let go of the socket, which is closed then.
    pub(crate) async fn ended(&self) {
        // An error would mean that the sender is gone; it lives in `self`.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The stream that russh gets.
#[derive(Debug)]
pub(crate) struct Socket {
    below: Transport,
    line: Arc<Line>,
    strict: StrictCheck,
    ahead: ReadAhead,
    /// Written by russh, not yet taken by the kernel.
    backlog: BytesMut,
}

/// A small buffer of bytes read before anyone asked for them.
#[derive(Debug)]
struct ReadAhead {
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
}

impl ReadAhead {
    fn unread(&self) -> &[u8] {
        self.buffer.get(self.from..self.to).unwrap_or_default()
    }
}

impl Socket {
    pub(crate) fn new(below: Transport, other: Other) -> io::Result<(Self, Arc<Line>)> {
        below.prepare()?;
        let line = Arc::new(Line {
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            backlog: AtomicUsize::new(0),
            drained: Notify::new(),
            cut: AtomicBool::new(false),
            cut_reason: OnceLock::new(),
            session: Mutex::new(None),
            ended: watch::Sender::new(false),
        });
        let socket = Self {
            below,
            line: line.clone(),
            strict: StrictCheck::new(other),
            ahead: ReadAhead { buffer: vec![0; READ_AHEAD].into(), from: 0, to: 0 },
            backlog: BytesMut::new(),
        };
        Ok((socket, line))
    }

    fn refuse_if_cut(&self, cx: &Context<'_>) -> io::Result<()> {
        {
            let mut session = lock(&self.line.session);
            if !session.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *session = Some(cx.waker().clone());
            }
        }
        // Looked at after the waker is in place, so that a cut in between is not missed.
        if self.line.cut.load(Ordering::Acquire) {
            let reason = self.line.cut_reason().unwrap_or_default().to_owned();
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, reason));
        }
        Ok(())
    }

    /// Sends of the backlog what the kernel takes; `Ready` when none is left.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.backlog.is_empty() {
            let sent = ready!(Pin::new(&mut self.below).poll_write(cx, &self.backlog))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.line.sent.fetch_add(sent as u64, Ordering::Relaxed);
            self.backlog.advance(sent);
            self.line.backlog.store(self.backlog.len(), Ordering::Release);
            if self.backlog.len() <= WANTED_BACKLOG {
                self.line.drained.notify_waiters();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Notes what arrived, and ends the connection if it shows a peer without strict key exchange.
    fn arrived(line: &Line, strict: &mut StrictCheck, bytes: &[u8]) -> io::Result<()> {
        line.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if strict.is_done() {
            return Ok(());
        }
        strict.feed(bytes).map_err(|reason| {
            line.cut(&reason.to_string());
            io::Error::new(io::ErrorKind::InvalidData, reason)
        })
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.refuse_if_cut(cx)?;
        if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        let Self { below, line, strict, ahead, .. } = this;
        if ahead.unread().is_empty() {
            if buf.remaining() >= READ_AHEAD {
                let before = buf.filled().len();
                ready!(Pin::new(below).poll_read(cx, buf))?;
                Self::arrived(line, strict, buf.filled().get(before..).unwrap_or_default())?;
                return Poll::Ready(Ok(()));
            }
            let mut space = ReadBuf::new(&mut ahead.buffer);
            ready!(Pin::new(below).poll_read(cx, &mut space))?;
            let read = space.filled().len();
            (ahead.from, ahead.to) = (0, read);
            Self::arrived(line, strict, ahead.unread())?;
        }
        let unread = ahead.unread();
        let count = unread.len().min(buf.remaining());
        buf.put_slice(unread.get(..count).unwrap_or_default());
        ahead.from += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.refuse_if_cut(cx)?;
        if let Poll::Ready(drained) = this.poll_drain(cx) {
            drained?;
            if let Poll::Ready(sent) = Pin::new(&mut this.below).poll_write(cx, buf) {
                let sent = sent?;
                this.line.sent.fetch_add(sent as u64, Ordering::Relaxed);
                return Poll::Ready(Ok(sent));
            }
        }
        if this.backlog.len() + buf.len() > LARGEST_BACKLOG {
            this.line.cut("the other side does not read what it asks for");
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        this.backlog.extend_from_slice(buf);
        this.line.backlog.store(this.backlog.len(), Ordering::Release);
        Poll::Ready(Ok(buf.len()))
    }

    /// Does not wait: whatever is kept goes out as soon as the kernel has room (see the module).
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.refuse_if_cut(cx)?;
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.below).poll_shutdown(cx)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.line.ended.send_replace(true);
        // Whoever waits for room finds out by other means; it must not wait for ever.
        self.line.backlog.store(0, Ordering::Release);
        self.line.drained.notify_waiters();
    }
}
