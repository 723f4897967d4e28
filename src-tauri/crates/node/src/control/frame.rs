//! What travels over the control socket, and lines of bounded length.

use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};

use crate::api::{ApiError, Event, Reply, Request};

/// Version of the protocol. It rises when an older side would misunderstand a newer one; added fields do not count.
pub(super) const PROTOCOL: u32 = 1;

/// Longest line that a node accepts from a client: a request with ten thousand patterns fits well.
pub(super) const LONGEST_REQUEST: usize = 8 << 20;

/// Longest line that a client accepts from its node: a comparison with a million differing paths fits.
pub(super) const LONGEST_REPLY: usize = 512 << 20;

/// First line of each side.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// Version of the protocol.
    pub(super) evenfold: u32,
    /// Version of the program.
    pub(super) version: String,
}

impl Hello {
    pub(super) fn ours() -> Hello {
        Hello { evenfold: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// From the client to the node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ToNode {
    /// Asks something.
    Call {
        /// Chosen by the client, never twice on a connection.
        id: u64,
        /// What is asked.
        request: Box<Request>,
    },
    /// Is not interested in the answer any more.
    Cancel {
        /// The call.
        id: u64,
    },
}

/// From the node to the client.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FromNode {
    /// Something happened while the call runs.
    Event {
        /// The call.
        id: u64,
        /// What.
        event: Event,
    },
    /// The answer; nothing follows for this call.
    Reply {
        /// The call.
        id: u64,
        /// The answer.
        reply: Box<Reply>,
    },
    /// The answer; nothing follows for this call. Id 0 concerns the connection.
    Error {
        /// The call.
        id: u64,
        /// What went wrong.
        error: ApiError,
    },
}

/// Turns a message into a line.
pub(super) fn line<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// Reads lines of bounded length. `next` may be dropped while it waits; nothing is lost then.
#[derive(Debug)]
pub(super) struct Lines<R> {
    inner: BufReader<R>,
    partial: Vec<u8>,
    longest: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(inner: R, longest: usize) -> Self {
        Lines { inner: BufReader::with_capacity(64 << 10, inner), partial: Vec::new(), longest }
    }

    /// Returns the next line, without its end; `None` when the other side has ended.
    ///
    /// # Errors
    /// `InvalidData` when the line is too long, `UnexpectedEof` when it breaks off; otherwise what the system says.
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let available = self.inner.fill_buf().await?;
            if available.is_empty() {
                return if self.partial.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or(available);
            if self.partial.len() + part.len() > self.longest {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long"));
            }
            self.partial.extend_from_slice(part);
            let used = part.len() + usize::from(end.is_some());
            self.inner.consume(used);
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.partial)));
            }
        }
    }
}

/// Writes one message.
///
/// # Errors
/// What the system says.
pub(super) async fn send<W: AsyncWrite + Unpin, T: Serialize>(writer: &mut W, message: &T) -> io::Result<()> {
    writer.write_all(&line(message)?).await?;
    writer.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_one_by_one_whatever_the_pieces() {
        let (mut near, far) = tokio::io::duplex(3);
        let writer = tokio::spawn(async move { near.write_all(b"one\n\ntwo and more\n").await });
        let mut lines = Lines::new(far, 100);
        assert_eq!(lines.next().await.unwrap().unwrap(), b"one");
        assert_eq!(lines.next().await.unwrap().unwrap(), b"");
        assert_eq!(lines.next().await.unwrap().unwrap(), b"two and more");
        writer.await.unwrap().unwrap();
        assert!(lines.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn line_without_end_is_refused_at_its_bound() {
        let mut lines = Lines::new(tokio::io::repeat(b'x'), 100_000);
        assert_eq!(lines.next().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(lines.partial.len() <= 100_000);
    }

    #[tokio::test]
    async fn line_that_breaks_off_is_an_error() {
        let mut lines = Lines::new(&b"half"[..], 100);
        assert_eq!(lines.next().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
