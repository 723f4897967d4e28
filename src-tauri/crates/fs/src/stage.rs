//! Builds everything new that a batch wants, verified, below `.evenfold/staging/`, before any user's path is
//! touched.
//!
//! A file, link or whole directory tree is built with its final names, permissions and times, so that one
//! rename publishes it. Every content is verified by BLAKE3 before it is offered. A part that fails is left
//! out and named; it never stops the others.
//!
//! Small contents are verified and written by a few threads, large ones ([`PARTIAL_LIMIT`] and more) by one
//! that writes and one that hashes beside it, because a single content cannot be hashed in two places at once.

mod collect;
mod dispatch;
mod large;
mod layout;
mod small;

use evenfold_core::apply::{Batch, Refusal};
use evenfold_core::plan::Change;
use evenfold_core::transfer::Piece;
use evenfold_core::{Entry, Mode, RelPath};

use crate::apply::{Progress, Site, has_trees};
use crate::crash;
use crate::disk::{Disk, Place};
use crate::index::Keys;
use crate::own;

pub(crate) use large::{read_block, write_sparse};
pub(crate) use layout::{out_of_scope, same_entry};

/// Batches with up to this number of new entries are made durable file by file; larger ones by one call for
/// the whole file system, which costs less than many, but also waits for what others have written.
const SYNC_EACH: usize = 32;

/// What became of one change's new content.
#[derive(Debug)]
pub(crate) enum Ready {
    /// The change needs no new content: a deletion, or only permission bits or times.
    Nothing,
    /// It stands in staging, verified.
    Content(Box<Built>),
    /// Nothing of it could be built.
    Refused(Refusal),
}

/// A verified entry in staging.
#[derive(Debug)]
pub(crate) struct Built {
    /// Where.
    pub(crate) place: Place,
    /// What it is, as the disk says.
    pub(crate) entry: Entry,
    /// Stat keys of all of it; that of the top changes once more when it is renamed.
    pub(crate) keys: Keys,
    /// Parts that are not in it, with full paths.
    pub(crate) short: Vec<(RelPath, Refusal)>,
    /// Permission bits that a directory gets only under its final name, because a directory without write
    /// permission cannot be renamed into another one.
    pub(crate) late_mode: Option<Mode>,
}

/// Everything that was built, one for each change of the batch.
pub(crate) struct Staged {
    pub(crate) ready: Vec<Ready>,
    /// Directories of staging whose entries must become durable, if files were made durable one by one.
    pub(crate) dirs: Vec<Place>,
    /// Whether files were made durable one by one.
    pub(crate) synced: bool,
}

/// Tells whether a change brings content that has to be built.
pub(crate) fn needs_content(batch: &Batch, change: &Change) -> bool {
    match (&change.old, &change.new) {
        (_, None) | (Some(Entry::Dir(_)), Some(Entry::Dir(_))) => false,
        (Some(old), Some(new)) => batch.again || !old.same_content(new),
        (None, Some(_)) => true,
    }
}

/// Builds what the batch wants from `pieces` and from the receiver's own disk. Blocks until the pieces end.
pub(crate) fn stage<D: Disk>(
    site: &Site<'_, D>,
    batch: &Batch,
    pieces: &mut dyn Iterator<Item = Piece>,
    progress: &dyn Progress,
) -> Staged {
    let folder = own::batch_staging(site.relationship, batch.id);
    if !batch.changes.iter().any(|change| needs_content(batch, change)) {
        // Pieces that nobody wants are not read; whoever sends them is told by the end of the batch.
        return Staged {
            ready: batch.changes.iter().map(|_| Ready::Nothing).collect(),
            dirs: Vec::new(),
            synced: true,
        };
    }
    if let Err(error) = fresh_folder(site.disk, &folder) {
        let refusal = own::refusal(&error);
        let ready = batch.changes.iter().map(|change| match needs_content(batch, change) {
            true => Ready::Refused(refusal.clone()),
            false => Ready::Nothing,
        });
        return Staged { ready: ready.collect(), dirs: Vec::new(), synced: true };
    }
    crash::point("staging-begun");
    let trees = has_trees(batch);
    let new = || layout::Layout::new(site, batch, folder);
    let mut layout = if trees { own::deep(new) } else { new() };
    let synced = layout.nodes.len() <= SYNC_EACH;
    dispatch::fill(site, batch, &mut layout, pieces, progress, synced);
    crash::point("staged");
    let collect = || collect::collect(site, batch, layout, synced);
    if trees { own::deep(collect) } else { collect() }
}

/// Makes an empty folder for the batch. What an earlier attempt with the same batch left is no user's.
fn fresh_folder<D: Disk>(disk: &D, folder: &RelPath) -> std::io::Result<()> {
    own::remove_tree(disk, folder)?;
    own::make_dirs(disk, folder, Mode::new(own::PRIVATE_DIR))
}

#[cfg(test)]
#[path = "stage_tests.rs"]
mod tests;
