//! The receiving half of a stream: frames to messages.

use evenfold_core::transfer::Piece;
use tokio::io::AsyncRead;

use crate::convert;
use crate::error::WireError;
use crate::frame::{Frame, FrameReader};
use crate::message::Message;

/// What arrived.
#[derive(Debug)]
pub(crate) enum Arrival<'a> {
    /// A message, borrowed from its frame.
    Message(Message<'a>),
    /// A part of a content that had a frame of its own.
    Part(Piece),
}

impl<'a> Arrival<'a> {
    /// Returns the message.
    pub(crate) fn message(self) -> Result<Message<'a>, WireError> {
        match self {
            Arrival::Message(message) => Ok(message),
            Arrival::Part(_) => Err(WireError::Unexpected("a part of a content")),
        }
    }

    /// Returns the piece of content, or the message if it is none.
    pub(crate) fn piece(self) -> Result<Piece, Message<'a>> {
        Ok(match self {
            Arrival::Part(piece) => piece,
            Arrival::Message(Message::Whole { item, bytes }) => Piece::Whole { item, bytes: bytes.0.into() },
            Arrival::Message(Message::Part { item, offset, bytes }) => {
                Piece::Part { item, offset, bytes: bytes.0.into() }
            }
            Arrival::Message(Message::Finished { item }) => Piece::End { item },
            Arrival::Message(Message::Failed { item, reason }) => {
                Piece::Failed { item, reason: convert::failure(reason) }
            }
            Arrival::Message(other) => return Err(other),
        })
    }
}

/// Reads messages. Holds one frame at a time.
pub(crate) struct Inbox<R> {
    frames: FrameReader<R>,
    frame: Vec<u8>,
    at: usize,
    part: Option<Piece>,
}

impl<R: AsyncRead + Unpin> Inbox<R> {
    pub(crate) fn new(stream: R) -> Self {
        Inbox { frames: FrameReader::new(stream), frame: Vec::new(), at: 0, part: None }
    }

    /// Waits until something can be taken; `false` where the stream ended between messages. May be dropped at
    /// any point without losing anything.
    pub(crate) async fn fill(&mut self) -> Result<bool, WireError> {
        while self.part.is_none() && self.at >= self.frame.len() {
            match self.frames.next().await? {
                None => return Ok(false),
                Some(Frame::Messages(bytes)) => {
                    self.frame = bytes;
                    self.at = 0;
                }
                Some(Frame::Part { item, offset, bytes }) => {
                    self.part = Some(Piece::Part { item, offset, bytes });
                }
            }
        }
        Ok(true)
    }

    /// Tells whether what [`Inbox::fill`] waited for is a nudge, which may stand before any answer.
    pub(crate) fn at_nudge(&self) -> bool {
        matches!(self.peek(), Some(Message::Nudge { .. }))
    }

    /// Tells whether what [`Inbox::fill`] waited for is an error.
    pub(crate) fn at_error(&self) -> bool {
        matches!(self.peek(), Some(Message::Error { .. }))
    }

    /// Takes what [`Inbox::fill`] waited for if it is word of progress: bytes and items.
    pub(crate) fn take_progress(&mut self) -> Option<(u64, u64)> {
        let Some(Message::Progress { bytes, items }) = self.peek() else { return None };
        self.take().is_ok().then_some((bytes, items))
    }

    fn peek(&self) -> Option<Message<'_>> {
        let rest = self.frame.get(self.at..).filter(|_| self.part.is_none())?;
        postcard::take_from_bytes(rest).ok().map(|(message, _)| message)
    }

    /// Takes what [`Inbox::fill`] waited for.
    pub(crate) fn take(&mut self) -> Result<Arrival<'_>, WireError> {
        if let Some(piece) = self.part.take() {
            return Ok(Arrival::Part(piece));
        }
        let rest = self.frame.get(self.at..).unwrap_or_default();
        let (message, left) =
            postcard::take_from_bytes(rest).map_err(|_| WireError::Malformed("a message"))?;
        self.at = self.frame.len() - left.len();
        Ok(Arrival::Message(message))
    }

    /// Waits for the next message or part.
    ///
    /// # Errors
    /// [`WireError::Truncated`] where the stream ended; it must not end where this is called.
    pub(crate) async fn next(&mut self) -> Result<Arrival<'_>, WireError> {
        if self.fill().await? { self.take() } else { Err(WireError::Truncated) }
    }

    /// Waits for the next message, which must not be a part.
    pub(crate) async fn message(&mut self) -> Result<Message<'_>, WireError> {
        self.next().await?.message()
    }
}
