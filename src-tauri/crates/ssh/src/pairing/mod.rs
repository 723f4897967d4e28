//! Pairing: two nodes that share nothing but a code a person typed learn each other's keys.
//!
//! One side shows a [`Code`] and opens an [`Offer`] ([`Server::offer`](crate::Server::offer)); the other side types the code and
//! the address ([`accept_code`]). Only while an offer is open may an unknown key log in, and then only to
//! this conversation. What holds, and why:
//!
//! - A right code pairs exactly once: the offer closes at the first right confirmation.
//! - A wrong code tells nothing about the right one, and three close the offer: a guesser's chance
//!   is 3 in 65,536.
//! - Someone in between can only fail: both SSH keys are part of the exchange ([`exchange`]).
//! - Names and addresses are told only to a side that has proven to know the code.
//! - Every message and the time for all of them are bounded.
//!
//! This module pins nothing: its results say whom the person meant, and the caller stores that.

use crate::{PeerKey, Remote};

mod accept;
mod code;
mod exchange;
mod message;
mod offer;
mod words;

pub use accept::{PairError, accept_code, accept_code_through};
pub use code::{Code, ParseCodeError};
pub use message::{IntroductionError, LARGEST_EXTRA, LONGEST_ADDRESS, LONGEST_NAME, MOST_ADDRESSES};
pub use offer::{Offer, OfferError};
pub(crate) use offer::{Offers, Visitor};

/// What a node tells the one it pairs with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Introduction {
    /// What the node calls itself; at most [`LONGEST_NAME`] bytes. Anything may be in it, so escape it
    /// before showing it.
    pub name: String,
    /// Where it can be dialled, as for [`dial`](crate::dial); at most [`MOST_ADDRESSES`] of at most
    /// [`LONGEST_ADDRESS`] bytes.
    pub addresses: Vec<String>,
    /// Whatever else the code stands for, such as what is being shared; at most [`LARGEST_EXTRA`] bytes.
    pub extra: Vec<u8>,
}

/// A pairing that succeeded: the other side knew the code and holds this key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paired {
    /// The other side's key, to be pinned.
    pub key: PeerKey,
    /// What the other side told of itself.
    pub introduction: Introduction,
    /// Eight characters such as `7K4M-2QXD`, equal on both sides, for people who want to compare.
    pub check: String,
    /// Where the other side was reached, or came from.
    pub remote: Remote,
}
