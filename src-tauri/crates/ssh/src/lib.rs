//! SSH for Evenfold: identity, pinned peers, pairing, dial, serve.
//!
//! The only crate that imports russh. It gives the others [`Connection`]s to peers that have proven to hold
//! a pinned key, and [`Stream`]s of bytes within them; it knows nothing of what these carry.
//!
//! # For security reviewers
//!
//! **Who gets in.** Only public-key login, only plain Ed25519, only the user `evenfold`, only keys that the
//! [`Gate`] has pinned, asked at every login (`server/handler.rs`). The dialler in turn goes on only if the host key
//! is the expected one (`dial.rs`). There is no trust on first use; keys are learnt by [`pairing`] or by hand.
//!
//! **What they get.** One channel with the subsystem `evenfold`. Shell, exec, pty, environment, agent, X11
//! and every kind of forwarding are refused, in both directions.
//!
//! **Algorithms** (`algorithms.rs`). mlkem768x25519-sha256, curve25519-sha256; ssh-ed25519; AES-GCM and
//! ChaCha20-Poly1305; no compression. Strict key exchange is required of the other side (`strict.rs`).
//! New keys after a gigabyte or an hour.
//!
//! **Bounds** ([`Limits`]). A deadline for logging in, three attempts, caps on connections in all, not logged
//! in, and per peer; on streams, on what each may hold, on what the socket may hold back, on every message. A peer
//! that breaks them is disconnected.
//!
//! **Absences.** No `unsafe`, no global state, no log line with a secret; keys and codes show themselves shortened or
//! not at all in `Debug`.
//!
//! **Through another node** ([`dial_through`], [`Server::welcome_through`]). The bytes of one connection may travel as a
//! stream of others. Logging in is the same, end to end; the node in the middle holds none of the keys.
//!
//! **Hosts with SSH** ([`stock`]) are logged in to as the user's own `ssh` would. There, and only there, other
//! kinds of keys and older servers are accepted; a host key that nobody vouches for never is. Over such a login a [`Pipe`]
//! runs to Evenfold there, whose only proof is that login.
//!
//! # The way of the bytes
//!
//! `mux` divides the one channel into streams, `connection` is what callers hold, `socket` lies between
//! russh and TCP. Why there is a `mux` at all, and a `socket`, is told at their heads.

mod algorithms;
mod connection;
mod dial;
mod identity;
mod key;
mod limits;
mod mux;
pub mod pairing;
mod pipe;
mod server;
mod socket;
pub mod stock;
mod strict;
mod transport;

pub use connection::Connection;
pub use dial::{DialError, dial, dial_through, host_key};
pub use identity::{Identity, IdentityError};
pub use key::{ParsePeerKeyError, PeerKey};
pub use limits::Limits;
pub use mux::{OpenError, Stream};
pub use pairing::{
    Code, Introduction, Offer, OfferError, PairError, Paired, ParseCodeError, accept_code,
    accept_code_through,
};
pub use pipe::{Pipe, ServeError};
pub use server::{BindError, Gate, Server};
pub use transport::Remote;
