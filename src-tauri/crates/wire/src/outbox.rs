//! The sending half of a stream: messages are gathered into frames, and one task writes them.
//!
//! The task owns the stream, so a caller that is dropped while it waits can never leave half a frame behind.

use std::io::{self, IoSlice};
use std::time::Instant;

use evenfold_core::transfer::{MAX_PART, Piece};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::compress::Packer;
use crate::convert;
use crate::error::WireError;
use crate::frame::{Head, MAX_HEAD, PACK};
use crate::message::{Blob, Message};
use crate::walk::TreeWriter;

/// Frames on their way to the task: 4 of up to 256 KiB keep the writer busy while the next one is made, and
/// bound what a slow reader makes us hold to about 1 MiB per stream.
const QUEUE: usize = 4;
/// Parts below this are packed with their neighbours; longer ones are written from where they lie.
const SMALL_PART: usize = 32 * 1024;
/// Small frames are gathered up to this size before they are written together.
const GATHER: usize = 64 * 1024;

enum Out {
    Messages(Vec<u8>),
    Part { item: u32, offset: u64, bytes: Vec<u8> },
}

/// Sends messages. Nothing is certain to leave before [`Outbox::flush`].
pub(crate) struct Outbox {
    buf: Vec<u8>,
    queue: mpsc::Sender<Out>,
    task: AbortHandle,
}

impl Outbox {
    /// Spawns the task that writes to `stream`.
    ///
    /// # Errors
    /// Where no compressor can be allocated.
    pub(crate) fn new<W: AsyncWrite + Unpin + Send + 'static>(stream: W) -> Result<Self, WireError> {
        let (queue, rx) = mpsc::channel(QUEUE);
        let writer = Writer { stream, packer: Packer::new()?, scratch: Vec::with_capacity(GATHER) };
        let task = tokio::spawn(async move {
            // A failed write closes the queue, which the session sees at its next message; the reading half
            // learns the cause itself.
            if let Err(error) = writer.run(rx).await {
                tracing::debug!(%error, "a stream can no longer be written");
            }
        });
        Ok(Outbox { buf: Vec::new(), queue, task: task.abort_handle() })
    }

    /// Adds a message, and waits only where the writer lags behind.
    pub(crate) async fn push(&mut self, message: &Message<'_>) -> Result<(), WireError> {
        message.encode(&mut self.buf)?;
        if self.buf.len() >= PACK { self.flush().await } else { Ok(()) }
    }

    /// Adds all tokens of a tree.
    pub(crate) async fn tree(&mut self, mut tree: TreeWriter<'_>) -> Result<(), WireError> {
        while !tree.fill(&mut self.buf, PACK)? {
            self.flush().await?;
        }
        Ok(())
    }

    /// Adds tokens that were encoded already; short enough for one frame.
    pub(crate) async fn raw(&mut self, tokens: &[u8]) -> Result<(), WireError> {
        if self.buf.len() + tokens.len() > PACK {
            self.flush().await?;
        }
        self.buf.extend_from_slice(tokens);
        Ok(())
    }

    /// Adds a piece. Wholes and parts longer than allowed are sent as several parts.
    pub(crate) async fn piece(&mut self, piece: Piece) -> Result<(), WireError> {
        match piece {
            Piece::Whole { item, bytes } if bytes.len() <= MAX_PART => {
                if self.buf.len() + bytes.len() > PACK {
                    self.flush().await?;
                }
                self.push(&Message::Whole { item, bytes: Blob(&bytes) }).await
            }
            Piece::Whole { item, bytes } => {
                self.parts(item, 0, &bytes).await?;
                self.push(&Message::Finished { item }).await
            }
            Piece::Part { item, offset, bytes } if bytes.len() < SMALL_PART => {
                self.push(&Message::Part { item, offset, bytes: Blob(&bytes) }).await
            }
            Piece::Part { item, offset, bytes } if bytes.len() <= MAX_PART => {
                self.flush().await?;
                self.send(Out::Part { item, offset, bytes }).await
            }
            Piece::Part { item, offset, bytes } => self.parts(item, offset, &bytes).await,
            Piece::End { item } => self.push(&Message::Finished { item }).await,
            Piece::Failed { item, reason } => {
                self.push(&Message::Failed { item, reason: convert::wire_failure(&reason) }).await
            }
        }
    }

    async fn parts(&mut self, item: u32, offset: u64, bytes: &[u8]) -> Result<(), WireError> {
        self.flush().await?;
        let mut at = offset;
        for part in bytes.chunks(MAX_PART) {
            self.send(Out::Part { item, offset: at, bytes: part.into() }).await?;
            at = at.saturating_add(part.len() as u64);
        }
        Ok(())
    }

    /// Hands everything to the writer, which then writes and flushes the stream as soon as it can.
    pub(crate) async fn flush(&mut self) -> Result<(), WireError> {
        if self.buf.is_empty() {
            return Ok(());
        }
        let frame = std::mem::take(&mut self.buf);
        self.send(Out::Messages(frame)).await
    }

    /// Waits until a flush would not have to wait. May be dropped at any point.
    pub(crate) async fn ready(&self) -> Result<(), WireError> {
        self.queue.reserve().await.map(drop).map_err(|_| gone())
    }

    /// Sends a message at once if the writer has room, otherwise drops it: for news that the next one replaces.
    pub(crate) fn offer(&mut self, message: &Message<'_>) -> Result<(), WireError> {
        if let Ok(permit) = self.queue.try_reserve() {
            message.encode(&mut self.buf)?;
            permit.send(Out::Messages(std::mem::take(&mut self.buf)));
        }
        Ok(())
    }

    async fn send(&self, out: Out) -> Result<(), WireError> {
        self.queue.send(out).await.map_err(|_| gone())
    }

    /// Stops writing at once, for a stream whose peer broke the rules or vanished.
    pub(crate) fn abort(&self) {
        self.task.abort();
    }
}

fn gone() -> WireError {
    WireError::Io(io::Error::new(io::ErrorKind::BrokenPipe, "the peer does not take messages any more"))
}

struct Writer<W> {
    stream: W,
    packer: Packer,
    scratch: Vec<u8>,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    async fn run(mut self, mut queue: mpsc::Receiver<Out>) -> io::Result<()> {
        while let Some(out) = queue.recv().await {
            let mut next = Some(out);
            while let Some(out) = next {
                self.frame(out).await?;
                next = queue.try_recv().ok();
            }
            // Only now that nothing waits: under load many frames share one write and no flush is asked for.
            self.write(&[]).await?;
            self.stream.flush().await?;
        }
        self.stream.shutdown().await
    }

    async fn frame(&mut self, out: Out) -> io::Result<()> {
        let (part, bytes) = match out {
            Out::Messages(bytes) => (None, bytes),
            Out::Part { item, offset, bytes } => (Some((item, offset)), bytes),
        };
        let raw = bytes.len() as u32;
        if let Some(packed) = self.packer.pack(&bytes) {
            Head { len: packed.len() as u32, part, raw: Some(raw) }.encode(&mut self.scratch);
            self.scratch.extend_from_slice(packed);
        } else {
            Head { len: raw, part, raw: None }.encode(&mut self.scratch);
            if bytes.len() + MAX_HEAD > GATHER {
                return self.write(&bytes).await;
            }
            self.scratch.extend_from_slice(&bytes);
        }
        if self.scratch.len() >= GATHER { self.write(&[]).await } else { Ok(()) }
    }

    /// Writes the scratch buffer and then `body`.
    async fn write(&mut self, body: &[u8]) -> io::Result<()> {
        let len = self.scratch.len() + body.len();
        if len == 0 {
            return Ok(());
        }
        let began = Instant::now();
        if self.stream.is_write_vectored() {
            let mut slices = [IoSlice::new(&self.scratch), IoSlice::new(body)];
            let mut slices = &mut slices[..];
            IoSlice::advance_slices(&mut slices, 0);
            while !slices.is_empty() {
                match self.stream.write_vectored(slices).await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    written => IoSlice::advance_slices(&mut slices, written),
                }
            }
        } else {
            self.scratch.extend_from_slice(body);
            self.stream.write_all(&self.scratch).await?;
        }
        self.scratch.clear();
        self.packer.policy.wrote(len, began.elapsed());
        Ok(())
    }
}
