//! What the engine needs from the world.

use std::sync::Arc;

use async_trait::async_trait;
use evenfold_core::apply::{Batch, Report};
use evenfold_core::edit::Edit;
use evenfold_core::policy::Side;
use evenfold_core::safety::Halt;
use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Digest, Dir, Entry, RelPath};
use tokio::sync::{mpsc, watch};

use crate::history::Act;

/// Pieces that wait between a supplier and a receiver: 16 of at most 256 KiB bound the memory of a transfer
/// to 4 MiB, enough to keep both sides busy.
pub const PIECES_IN_FLIGHT: usize = 16;

/// Why an endpoint could not do what was asked. Nothing was half done: what a batch accomplished before the
/// error is found by the next scan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The root is missing.
    #[error("the folder is missing")]
    RootMissing,
    /// The root is not the one that was joined.
    #[error("the folder is not the one that was joined: {0}")]
    RootReplaced(String),
    /// The root cannot be read.
    #[error("the folder cannot be read: {0}")]
    RootUnreadable(String),
    /// The machine cannot be reached, or went away in the middle.
    #[error("the machine cannot be reached: {0}")]
    Offline(String),
    /// The machine refuses us: we were removed, or may not write.
    #[error("refused: {0}")]
    Refused(String),
    /// Anything else.
    #[error("{message}")]
    Failed {
        /// Stable code.
        code: String,
        /// What happened.
        message: String,
    },
}

impl EndpointError {
    /// Returns the halt that this error means for a root on `side`, if it is one.
    pub fn as_halt(&self, side: Side) -> Option<Halt> {
        match self {
            EndpointError::RootMissing => Some(Halt::RootMissing(side)),
            EndpointError::RootReplaced(_) => Some(Halt::RootReplaced(side)),
            EndpointError::RootUnreadable(detail) => Some(Halt::RootUnreadable(side, detail.clone())),
            _ => None,
        }
    }
}

/// One root folder on this machine or on another one.
///
/// Calls may run side by side; an implementation serialises what must not overlap (a scan and an apply of one
/// root). Dropping a call's future abandons it: what was already applied stays applied and is found by the
/// next scan. After an error the endpoint stays usable unless the error was [`EndpointError::Offline`].
#[async_trait]
pub trait Endpoint: Send + Sync + 'static {
    /// Returns the name of the machine.
    fn machine(&self) -> String;

    /// Looks at the root and returns its snapshot. `Extent::Paths` with no path returns the last snapshot
    /// without touching the disk (a first call scans). `known` are trees that a remote implementation may use
    /// to avoid transferring what is already here.
    async fn scan(&self, extent: Extent, known: &[Arc<Dir>]) -> Result<Snapshot, EndpointError>;

    /// Returns the chunk lists of `indices` among `items`; files that changed meanwhile are left out.
    async fn manifest(&self, items: &[Item], indices: &[u32]) -> Result<Vec<Manifest>, EndpointError>;

    /// As a receiver, reads what of its own files resembles the batch's items, so that [`Endpoint::prepare`] need not:
    /// meant to run while the supplier makes its manifests. Only items and bases of `batch` matter.
    async fn read_bases(&self, batch: &Arc<Batch>) -> Result<(), EndpointError>;

    /// As a receiver, says what of the batch's items is really needed.
    async fn prepare(&self, batch: &Arc<Batch>, manifests: Vec<Manifest>)
    -> Result<Vec<Need>, EndpointError>;

    /// As a supplier, begins to send what is needed of the batch's items. The channel is bounded by
    /// [`PIECES_IN_FLIGHT`]; it ends when all needs are served, or early when the endpoint goes away.
    async fn supply(
        &self,
        batch: &Arc<Batch>,
        needs: Vec<Need>,
    ) -> Result<mpsc::Receiver<Piece>, EndpointError>;

    /// As a receiver, stages, verifies, applies and makes durable. Returns when the effects are durable.
    async fn apply(&self, batch: &Arc<Batch>, pieces: mpsc::Receiver<Piece>)
    -> Result<Report, EndpointError>;

    /// Returns a counter that rises whenever the root's snapshot may have changed.
    fn nudges(&self) -> watch::Receiver<u64>;

    /// Says which machine wrote the content that stands at `path`, if that is known.
    async fn author(&self, path: &RelPath, digest: Digest) -> Result<Option<String>, EndpointError>;
}

/// Why the store could not do what was asked. Nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the database failed: {0}")]
pub struct StoreError(pub String);

/// An effect that was about to happen: recorded durably before, so that after a crash what Evenfold did
/// itself is not taken for a user's act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Where it happens.
    pub side: Side,
    /// At which path.
    pub path: RelPath,
    /// What shall stand there, with everything below.
    pub new: Option<Wanted>,
}

/// What an intent wants to stand at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This, with everything below.
    Entry(Entry),
    /// A directory whose subtree has this digest: all that is recorded of a whole subtree.
    Tree(Digest),
}

/// The counters by which a rolled-back folder or database is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Epochs {
    /// Epoch of our root at the last commit.
    pub ours: u64,
    /// Epoch that our root may have reached since, by intended batches.
    pub ours_intended: u64,
    /// Epoch of their root as last seen in a commit.
    pub theirs: u64,
}

/// What is recorded of a pair.
#[derive(Debug, Clone)]
pub struct Record {
    /// The last tree on which both sides agreed.
    pub ancestor: Arc<Dir>,
    /// Effects that were intended and not yet committed.
    pub intents: Vec<Intent>,
    /// Epochs.
    pub epochs: Epochs,
}

/// What becomes of the record in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Changes of the ancestor, in order.
    pub ancestor: Vec<Edit>,
    /// Whether the ancestor is emptied first.
    pub reset: bool,
    /// Whether all intents are done with.
    pub clear_intents: bool,
    /// Epochs to record.
    pub epochs: Epochs,
    /// What happened.
    pub acts: Vec<Act>,
}

/// The durable record of one pair.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Reads the record. `ours` is our present tree, whose equal subtrees the ancestor shares in memory.
    async fn load(&self, ours: &Arc<Dir>) -> Result<Record, StoreError>;

    /// Adds intents and the epoch that our root will have after them; durable when it returns.
    async fn intend(&self, intents: Vec<Intent>, ours_intended: u64) -> Result<(), StoreError>;

    /// Records what was accomplished, in one transaction; durable when it returns.
    async fn commit(&self, commit: Commit) -> Result<(), StoreError>;
}

/// The time, as the engine sees it.
pub trait Clock: Send + Sync + 'static {
    /// Microseconds since 1970-01-01T00:00:00Z.
    fn now_micros(&self) -> i64;
}
