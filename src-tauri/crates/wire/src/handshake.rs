//! The handshake that begins every stream: magic, versions, purpose.
//!
//! Each side sends `magic (8) | min version (2) | max version (2) | length (2) | body`, numbers little-endian.
//! This layout never changes, so that any two versions can tell each other that they do not fit. Bodies are
//! postcard: the opener's [`Opening`], the other side's [`Answer`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::{RemoteError, WireError, cut};

/// The oldest version of the protocol that is understood.
pub const MIN_VERSION: u16 = 1;
/// The newest version of the protocol that is understood.
pub const MAX_VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"EVENFOLD";
const HEAD: usize = 14;
/// The longest body: an error with code, message and hint.
const MAX_BODY: u16 = 12 * 1024;
/// The longest name of a machine, in bytes.
const MAX_NAME: usize = 255;
/// How long the other side may take: a stream that nobody answers must not hold its resources for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// A driver's session with the endpoint of this relationship, see [`crate::Client`].
    Endpoint {
        /// The relationship's UUID.
        relationship: u128,
    },
    /// Requests outside of a relationship, see [`crate::NodeClient`].
    Node,
    /// Bytes that the other side is asked to pass on to another of its peers, and back. What follows the handshake is
    /// not this protocol's: it belongs to the two ends.
    Forward {
        /// The key of the peer that is meant.
        to: [u8; 32],
    },
    /// Bytes that the opening side passes on from another of its peers, and back.
    Forwarded {
        /// The key of that peer, as the opening side says; only for messages.
        from: [u8; 32],
    },
}

/// Why a stream could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// No version of the protocol is understood by both.
    #[error("{peer} speaks Evenfold protocol {} and this machine speaks {}", span(.theirs), span(.ours))]
    Version {
        /// Name of the other machine, or a description if it sent none that can be read.
        peer: String,
        /// Oldest and newest version here.
        ours: (u16, u16),
        /// Oldest and newest version there.
        theirs: (u16, u16),
        /// What to do: "update Evenfold on X".
        hint: String,
    },
    /// The other side does not speak this protocol.
    #[error("the other side does not speak the Evenfold protocol")]
    NotEvenfold,
    /// The other side does not take streams for this purpose.
    #[error(transparent)]
    Refused(RemoteError),
    /// The other side did not answer in time.
    #[error("the other side did not answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// The stream broke.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl HandshakeError {
    /// Returns what to do about it; empty where nothing is known.
    pub fn hint(&self) -> &str {
        match self {
            HandshakeError::Version { hint, .. } => hint,
            HandshakeError::Refused(error) => &error.hint,
            _ => "",
        }
    }
}

impl From<std::io::Error> for HandshakeError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => HandshakeError::Wire(WireError::Truncated),
            _ => HandshakeError::Wire(WireError::Io(error)),
        }
    }
}

fn span((min, max): &(u16, u16)) -> String {
    if min == max { format!("{max}") } else { format!("{min} to {max}") }
}

#[derive(Serialize, Deserialize)]
struct Opening<'a> {
    name: &'a str,
    purpose: Purpose,
}

#[derive(Serialize, Deserialize)]
struct Answer<'a> {
    name: &'a str,
    #[serde(borrow)]
    refusal: Option<(&'a str, &'a str, &'a str)>,
}

/// Opens a stream for `purpose`; `name` is this machine's, for the messages of the other side. Returns the
/// other machine's name. Waits for the answer, at most 30 seconds.
///
/// # Errors
/// See [`HandshakeError`]; the stream is of no use then.
pub async fn open<S>(stream: &mut S, name: &str, purpose: Purpose) -> Result<String, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    within(async {
        send(stream, &Opening { name: cut(name, MAX_NAME), purpose }).await?;
        let (theirs, body) = receive(stream).await?;
        let answer: Option<Answer<'_>> = postcard::from_bytes(&body).ok();
        check_versions(name, answer.as_ref().map(|answer| answer.name), theirs)?;
        let answer = answer.ok_or(WireError::Malformed("the answer to a handshake"))?;
        match answer.refusal {
            None => Ok(cut(answer.name, MAX_NAME).to_owned()),
            Some((code, message, hint)) => {
                Err(HandshakeError::Refused(RemoteError::new(code, message, hint)))
            }
        }
    })
    .await
}

/// A stream that the other side opened and that waits for [`Incoming::accept`] or [`Incoming::refuse`].
#[derive(Debug)]
pub struct Incoming<S> {
    stream: S,
    own_name: String,
    /// What the stream is for.
    pub purpose: Purpose,
    /// The other machine's name, as it says; only for messages.
    pub peer: String,
}

/// Reads the handshake of a stream that the other side opened; `name` is this machine's. Waits at most 30
/// seconds.
///
/// # Errors
/// See [`HandshakeError`]; where versions do not fit, the other side has been told.
pub async fn accept<S>(mut stream: S, name: &str) -> Result<Incoming<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    within(async move {
        let (theirs, body) = receive(&mut stream).await?;
        let opening: Option<Opening<'_>> = postcard::from_bytes(&body).ok();
        if let Err(error) = check_versions(name, opening.as_ref().map(|opening| opening.name), theirs) {
            send(&mut stream, &Answer { name: cut(name, MAX_NAME), refusal: None }).await?;
            return Err(error);
        }
        let opening = opening.ok_or(WireError::Malformed("a handshake"))?;
        let (purpose, peer) = (opening.purpose, cut(opening.name, MAX_NAME).to_owned());
        Ok(Incoming { stream, own_name: cut(name, MAX_NAME).to_owned(), purpose, peer })
    })
    .await
}

impl<S: AsyncRead + AsyncWrite + Unpin> Incoming<S> {
    /// Tells the other side that it may begin, and returns the stream.
    ///
    /// # Errors
    /// Where the stream broke.
    pub async fn accept(mut self) -> Result<S, HandshakeError> {
        send(&mut self.stream, &Answer { name: &self.own_name, refusal: None }).await?;
        Ok(self.stream)
    }

    /// Tells the other side why not, and closes the stream.
    ///
    /// # Errors
    /// Where the stream broke.
    pub async fn refuse(mut self, error: &RemoteError) -> Result<(), HandshakeError> {
        let refusal = Some(error.parts());
        send(&mut self.stream, &Answer { name: &self.own_name, refusal }).await?;
        self.stream.shutdown().await?;
        Ok(())
    }
}

async fn within<T>(work: impl Future<Output = Result<T, HandshakeError>>) -> Result<T, HandshakeError> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(HandshakeError::Silent))
}

fn check_versions(own: &str, peer: Option<&str>, theirs: (u16, u16)) -> Result<(), HandshakeError> {
    let ours = (MIN_VERSION, MAX_VERSION);
    if ours.1.min(theirs.1) >= ours.0.max(theirs.0) {
        return Ok(());
    }
    let peer = peer.map_or_else(|| "the other machine".to_owned(), |name| cut(name, MAX_NAME).to_owned());
    let outdated = if theirs.1 < ours.1 { &peer } else { own };
    let hint = format!("update Evenfold on {outdated}");
    Err(HandshakeError::Version { peer, ours, theirs, hint })
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, body: &impl Serialize) -> Result<(), HandshakeError> {
    let body = postcard::to_allocvec(body).map_err(|_| WireError::Malformed("own handshake"))?;
    let mut bytes = MAGIC.to_vec();
    for number in [MIN_VERSION, MAX_VERSION, body.len().min(usize::from(u16::MAX)) as u16] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&body);
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    Ok(())
}

async fn receive<S: AsyncRead + Unpin>(stream: &mut S) -> Result<((u16, u16), Vec<u8>), HandshakeError> {
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await?;
    let [magic @ .., min0, min1, max0, max1, len0, len1] = head;
    if magic != MAGIC {
        return Err(HandshakeError::NotEvenfold);
    }
    let versions = (u16::from_le_bytes([min0, min1]), u16::from_le_bytes([max0, max1]));
    let len = u16::from_le_bytes([len0, len1]);
    if len > MAX_BODY {
        return Err(WireError::FrameTooLong(u64::from(len)).into());
    }
    let mut body = vec![0; usize::from(len)];
    stream.read_exact(&mut body).await?;
    Ok((versions, body))
}
