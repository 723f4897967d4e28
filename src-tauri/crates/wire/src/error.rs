//! What can go wrong on a stream, and what the other side can answer instead of a result.

use std::sync::Arc;

use evenfold_core::{Digest, PathError};

/// The longest code, in bytes; longer ones are cut on sending.
const MAX_CODE: usize = 64;
/// The longest message or hint, in bytes; longer ones are cut on sending.
const MAX_TEXT: usize = 4096;

/// An error that the other side answers instead of a result. The stream stays usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RemoteError {
    /// Stable code, for programs.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl RemoteError {
    /// The code of a call that its caller cancelled.
    pub const CANCELLED: &'static str = "cancelled";
    /// The code of a batch that refers to a directory which the hub does not remember any more.
    pub(crate) const REFERENCE_LOST: &'static str = "reference-lost";

    /// Builds an error.
    pub fn new(code: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        RemoteError { code: code.into(), message: message.into(), hint: hint.into() }
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(Self::CANCELLED, "the call was cancelled", "")
    }

    /// Returns code, message and hint cut to what the wire carries.
    pub(crate) fn parts(&self) -> (&str, &str, &str) {
        (cut(&self.code, MAX_CODE), cut(&self.message, MAX_TEXT), cut(&self.hint, MAX_TEXT))
    }
}

/// Returns the longest prefix of `text` of at most `max` bytes that ends at a character.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Why a stream cannot be used any more. Whoever gets one closes the stream.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The transport failed.
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// The stream ended within a message or before an answer.
    #[error("the connection ended in the middle of a conversation")]
    Truncated,
    /// A frame announces more bytes than are allowed.
    #[error("a frame of {0} bytes is longer than allowed")]
    FrameTooLong(u64),
    /// A message to be sent does not fit into a frame.
    #[error("a message of {0} bytes does not fit into a frame")]
    MessageTooLong(usize),
    /// Bytes that are no message, or a field outside its range.
    #[error("the peer sent something malformed: {0}")]
    Malformed(&'static str),
    /// A message that has no place in the conversation at this point.
    #[error("the peer sent something out of turn: {0}")]
    Unexpected(&'static str),
    /// A name or path that could leave the root, or is none.
    #[error("the peer sent a bad name: {0}")]
    Path(#[from] PathError),
    /// Children that are not in strictly rising order of their names; duplicates are among these.
    #[error("the peer sent a directory whose names are out of order")]
    OutOfOrder,
    /// A tree nested deeper than paths can be long.
    #[error("the peer sent a tree that is nested too deeply")]
    TooDeep,
    /// More elements than a list or tree may have.
    #[error("the peer sent a list with too many elements")]
    TooMany,
    /// A tree that is not the one that was announced.
    #[error("the peer announced a tree {announced:?} and sent {got:?}")]
    WrongDigest {
        /// What was announced.
        announced: Digest,
        /// What the received tree really is.
        got: Digest,
    },
    /// A directory was referred to by a digest that nothing here has.
    #[error("the peer referred to an unknown directory {0:?}")]
    UnknownDirectory(Digest),
}

/// Why a call gave no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The other side answered with an error; the stream stays usable.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The stream broke or was closed. What the other side did of the call is not known.
    #[error("{0}")]
    Lost(Arc<WireError>),
}

impl From<WireError> for CallError {
    fn from(error: WireError) -> Self {
        CallError::Lost(Arc::new(error))
    }
}
