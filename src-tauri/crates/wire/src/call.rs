//! What a [`crate::Client`] can ask its task for.

use std::sync::Arc;

use evenfold_core::apply::{Batch, Report};
use evenfold_core::snapshot::Snapshot;
use evenfold_core::transfer::{Item, Manifest, Need, Piece};
use evenfold_core::{Digest, Dir, RelPath};
use tokio::sync::{mpsc, oneshot, watch};

use crate::endpoint::Progress;
use crate::error::CallError;
use crate::message::Look;

/// Where the answer to a call goes; closed where nobody waits for it any more.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, CallError>>;

/// A call of a [`crate::Client`].
#[derive(Debug)]
pub(crate) enum Call {
    Scan {
        look: Look,
        paths: Vec<RelPath>,
        known: Vec<Arc<Dir>>,
        reply: Reply<Snapshot>,
    },
    Manifest {
        items: Vec<Item>,
        indices: Vec<u32>,
        reply: Reply<Vec<Manifest>>,
    },
    ReadBases {
        batch: Arc<Batch>,
        reply: Reply<()>,
    },
    Prepare {
        batch: Arc<Batch>,
        manifests: Vec<Manifest>,
        reply: Reply<Vec<Need>>,
    },
    Supply {
        items: Vec<Item>,
        needs: Vec<Need>,
        reply: Reply<mpsc::Receiver<Piece>>,
    },
    Apply {
        batch: Arc<Batch>,
        pieces: mpsc::Receiver<Piece>,
        progress: Option<watch::Sender<Progress>>,
        reply: Reply<Report>,
    },
    Author {
        path: RelPath,
        digest: Digest,
        reply: Reply<Option<String>>,
    },
    ReportState {
        state: Vec<u8>,
        reply: Reply<()>,
    },
    Subscribe {
        reply: Reply<()>,
    },
}
