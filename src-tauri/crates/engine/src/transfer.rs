//! One batch from a supplier to a receiver: what is needed, its pieces, the receiver's report.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use evenfold_core::apply::{Batch, Report};
use evenfold_core::policy::Side;
use evenfold_core::transfer::{DELTA_LIMIT, Need, Piece};
use tokio::sync::mpsc;

use crate::ports::{Endpoint, EndpointError, PIECES_IN_FLIGHT};
use crate::progress::Progress;

/// Why a batch has no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The supplier failed.
    #[error("{0}")]
    Supplier(EndpointError),
    /// The receiver failed; what it accomplished before is found by its next scan.
    #[error("{0}")]
    Receiver(EndpointError),
}

/// Moves the contents of one batch to `side` and has it applied. Returns the bytes of content that travelled, too.
///
/// # Errors
/// Where one of the two endpoints fails.
pub async fn transfer(
    batch: &Arc<Batch>,
    from: &Arc<dyn Endpoint>,
    to: &Arc<dyn Endpoint>,
    side: Side,
    progress: &Arc<Progress>,
) -> Result<(Report, u64), Failure> {
    // Only large items can have been begun before, or resemble what the receiver holds.
    let needs = if batch.items.iter().any(|item| item.size >= DELTA_LIMIT) {
        let indices: Vec<u32> = batch.bases.iter().map(|basis| basis.item).collect();
        let manifests = if indices.is_empty() {
            Vec::new()
        } else {
            // Each side reads its own file, at the same time.
            let resemblances = Arc::new(batch.resemblances());
            let (manifests, bases) =
                tokio::join!(from.manifest(&batch.items, &indices), to.read_bases(&resemblances));
            bases.map_err(Failure::Receiver)?;
            manifests.map_err(Failure::Supplier)?
        };
        to.prepare(batch, manifests).await.map_err(Failure::Receiver)?
    } else {
        (0u32..).zip(&batch.items).map(|(item, _)| Need::Rest { item, from: 0 }).collect()
    };
    let counter = Arc::new(AtomicU64::new(0));
    let pieces = if needs.is_empty() {
        mpsc::channel(1).1
    } else {
        let pieces = from.supply(batch, needs).await.map_err(Failure::Supplier)?;
        counted(pieces, Arc::clone(batch), side, Arc::clone(progress), Arc::clone(&counter))
    };
    let report = to.apply(batch, pieces).await.map_err(Failure::Receiver)?;
    Ok((report, counter.load(Relaxed)))
}

/// Passes pieces on and counts their bytes. The task ends with either channel.
fn counted(
    mut pieces: mpsc::Receiver<Piece>,
    batch: Arc<Batch>,
    to: Side,
    progress: Arc<Progress>,
    counter: Arc<AtomicU64>,
) -> mpsc::Receiver<Piece> {
    let (sender, receiver) = mpsc::channel(PIECES_IN_FLIGHT);
    tokio::spawn(async move {
        while let Some(piece) = pieces.recv().await {
            let (item, bytes, finished) = match &piece {
                Piece::Whole { item, bytes } => (*item, bytes.len() as u64, true),
                Piece::Part { item, bytes, .. } => (*item, bytes.len() as u64, false),
                Piece::End { item } | Piece::Failed { item, .. } => (*item, 0, true),
            };
            if let Some(item) = batch.items.get(item as usize) {
                progress.flight.travelled(&item.path, to, bytes, item.size, finished);
            }
            progress.add_bytes(bytes);
            counter.fetch_add(bytes, Relaxed);
            if sender.send(piece).await.is_err() {
                break;
            }
        }
        progress.flight.end(to);
    });
    receiver
}
