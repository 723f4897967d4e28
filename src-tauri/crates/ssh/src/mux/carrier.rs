//! What carries the frames of a mux: one SSH channel, or a pair of byte streams.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use russh::{ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::socket::Line;

/// Read at once from a byte stream: as much as a frame's content may be, a few times.
const READ: usize = 256 * 1024;

/// The direction from the other side.
pub(crate) trait Inward: Send + 'static {
    /// Waits for bytes. Safe to cancel.
    ///
    /// # Errors
    /// In words, why no more will come.
    fn next(&mut self) -> impl Future<Output = Result<Bytes, String>> + Send;
}

/// The direction to the other side.
pub(crate) trait Outward: Send + 'static {
    /// Waits until most of what was sent has been taken.
    fn room(&mut self) -> impl Future<Output = ()> + Send;

    /// Sends one part.
    ///
    /// # Errors
    /// In words, why nothing more can be sent.
    fn send(&mut self, part: Bytes) -> impl Future<Output = Result<(), String>> + Send;

    /// Sends on what may have been kept, after the last part for now.
    ///
    /// # Errors
    /// See [`Outward::send`].
    fn flush(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

fn closed() -> String {
    "closed by the peer".to_owned()
}

/// The reading half of a channel. The line, where there is one, tells why it was cut.
pub(crate) struct ChannelInward {
    channel: ChannelReadHalf,
    line: Option<Arc<Line>>,
    /// What came before the mux was there.
    early: Bytes,
}

impl ChannelInward {
    pub(crate) fn new(channel: ChannelReadHalf, line: Option<Arc<Line>>, early: Bytes) -> Self {
        Self { channel, line, early }
    }
}

impl Inward for ChannelInward {
    async fn next(&mut self) -> Result<Bytes, String> {
        if !self.early.is_empty() {
            return Ok(std::mem::take(&mut self.early));
        }
        loop {
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data }) => return Ok(data),
                Some(ChannelMsg::Eof | ChannelMsg::Close) => return Err(closed()),
                // Requests on an open channel mean nothing to us; russh has answered them. Neither does what a
                // program complains of.
                Some(_) => {}
                None => {
                    let cut = self.line.as_ref().and_then(|line| line.cut_reason());
                    return Err(cut.unwrap_or("the connection was lost").to_owned());
                }
            }
        }
    }
}

/// The writing half of a channel. russh never makes us wait for the network where there is a line (see
/// [`crate::socket`]), so that is done here.
pub(crate) struct ChannelOutward<S: From<(ChannelId, ChannelMsg)>> {
    channel: ChannelWriteHalf<S>,
    line: Option<Arc<Line>>,
}

impl<S: From<(ChannelId, ChannelMsg)>> ChannelOutward<S> {
    pub(crate) fn new(channel: ChannelWriteHalf<S>, line: Option<Arc<Line>>) -> Self {
        Self { channel, line }
    }
}

impl<S> Outward for ChannelOutward<S>
where
    S: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    async fn room(&mut self) {
        if let Some(line) = &self.line {
            line.room().await;
        }
    }

    async fn send(&mut self, part: Bytes) -> Result<(), String> {
        self.channel.data_bytes(part).await.map_err(|error| error.to_string())
    }

    async fn flush(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// A byte stream to read from.
pub(crate) struct BytesInward<R> {
    reader: R,
    buffer: BytesMut,
}

impl<R> BytesInward<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: BytesMut::new() }
    }
}

impl<R: AsyncRead + Unpin + Send + 'static> Inward for BytesInward<R> {
    async fn next(&mut self) -> Result<Bytes, String> {
        self.buffer.reserve(READ);
        match self.reader.read_buf(&mut self.buffer).await {
            Ok(0) => Err(closed()),
            Ok(_) => Ok(self.buffer.split().freeze()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A byte stream to write to.
pub(crate) struct BytesOutward<W>(pub(crate) W);

fn failed(error: &io::Error) -> String {
    error.to_string()
}

impl<W: AsyncWrite + Unpin + Send + 'static> Outward for BytesOutward<W> {
    async fn room(&mut self) {}

    async fn send(&mut self, part: Bytes) -> Result<(), String> {
        self.0.write_all(&part).await.map_err(|error| failed(&error))
    }

    async fn flush(&mut self) -> Result<(), String> {
        self.0.flush().await.map_err(|error| failed(&error))
    }
}
