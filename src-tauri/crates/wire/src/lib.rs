//! The Evenfold protocol: handshake, framing, messages and tree transfer over any byte stream.
//!
//! A *driver* (spoke) talks to an *endpoint server* (hub) about one relationship. Over one peer connection
//! either side opens any number of independent byte streams; each begins with a handshake that names its
//! [`Purpose`]. This crate knows neither SSH nor disks: it is given `AsyncRead + AsyncWrite`.
//!
//! The way of a message: [`message`](self) values are packed back to back into frames by an outbox, compressed
//! where that pays ([`Compressor`]), written by one task per stream, read by an inbox that bounds every length
//! before it allocates, and converted to the types of `evenfold-core` with validation at that edge.
//!
//! | module | purpose |
//! |---|---|
//! | `handshake` | magic, versions, purpose; refusals |
//! | `frame`, `inbox`, `outbox`, `compress` | bytes to messages and back |
//! | `message`, `convert` | the wire's own types and their validation |
//! | `tree`, `assemble`, `history`, `descent` | trees, differences of trees, Merkle descent |
//! | `batch`, `report` | batches and what became of them |
//! | `endpoint`, `serve`, `answers`, `client`, `driver` | the endpoint session, hub side and driver side |
//! | `node` | requests outside of a relationship |

mod answers;
mod assemble;
mod batch;
mod call;
mod client;
mod compress;
mod convert;
mod descent;
mod driver;
mod endpoint;
mod error;
mod frame;
mod handshake;
mod history;
#[cfg(test)]
mod hostile;
mod inbox;
mod message;
mod node;
mod outbox;
mod report;
mod serve;
mod tree;
mod walk;

pub use client::{Client, Nudge};
pub use compress::{Compressor, Decision};
pub use endpoint::{Handler, MAX_STATE, Progress};
pub use error::{CallError, RemoteError, WireError};
pub use frame::MAX_FRAME;
pub use handshake::{HandshakeError, Incoming, MAX_VERSION, MIN_VERSION, Purpose, accept, open};
pub use history::History;
pub use message::MAX_LIST;
pub use node::{
    MAX_ADDRESSES, MAX_PAYLOAD, MAX_SETTINGS, NodeClient, NodeHandler, NodeHello, Role, Share, ShareRef,
    serve_node,
};
pub use serve::{Server, serve};
