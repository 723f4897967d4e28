//! Carries out a batch: stage, make durable, transition, make durable, report.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use evenfold_core::apply::{Batch, Refusal, Report};
use evenfold_core::transfer::Piece;
use evenfold_core::{Entry, Mode, RelPath};

use crate::crash;
use crate::disk::{Disk, Kind, Place};
use crate::index::{Index, Keys};
use crate::own::{self, Ground};
use crate::prepare::{PARTIAL_LIMIT, Prepared};
use crate::stage::{Staged, needs_content, stage};
use crate::transition::{Transition, Transitioned};

/// Up to this number of directories are made durable one by one; more of them by one call for the whole file
/// system.
const SYNC_EACH: usize = 32;

/// What the caller wants beyond the batch itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Bytes of the file system that must stay free. What does not fit is refused; smaller contents pass.
    pub reserve: u64,
    /// Whether a creation of which a part is missing is refused as a whole (units of a relay).
    pub whole: bool,
}

/// The root to which batches are applied.
pub struct Site<'a, D> {
    /// The root.
    pub disk: &'a D,
    /// The relationship, which has its own corner in `.evenfold/`.
    pub relationship: u128,
    /// What the last scan and the batches since then found. Locked for moments only.
    pub index: &'a Mutex<Index>,
    /// Whether a path takes part in the relationship; the flag tells whether it is a directory.
    pub takes_part: &'a (dyn Fn(&RelPath, bool) -> bool + Sync),
    /// Counts the batch in the root's marker, durably, and returns the new epoch. Called once after the effects,
    /// unless there were none.
    pub bump_epoch: &'a (dyn Fn() -> io::Result<u64> + Sync),
    /// The epoch before the batch; not asked by [`apply_in_turn`].
    pub epoch: u64,
    /// What was prepared for the batch.
    pub prepared: &'a Prepared,
    /// What the caller wants beyond the batch.
    pub rules: Rules,
}

impl<D> Site<'_, D> {
    /// Locks the index.
    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        // A patch replaces the whole index at its end, so it is whole even if a thread died meanwhile.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the root and its corner in `.evenfold/`.
    pub(crate) fn ground(&self) -> Ground<'_, D> {
        Ground { disk: self.disk, relationship: self.relationship }
    }

    /// Returns what the index says of a path.
    pub(crate) fn look_up(&self, path: &RelPath) -> Option<(Entry, Keys)> {
        self.index().look_up(path)
    }
}

/// Is told how staging goes on, from several threads. Numbers are increments, so sums only grow.
pub trait Progress: Sync {
    /// `files` more files stand in staging, or `bytes` more have been written.
    fn staged(&self, files: u64, bytes: u64);
}

/// Takes no interest.
impl Progress for () {
    fn staged(&self, _: u64, _: u64) {}
}

/// What became of a batch.
#[derive(Debug)]
pub struct Applied {
    /// Outcomes and epoch.
    pub report: Report,
    /// What was replaced or deleted and is kept as a version.
    pub kept: Vec<Kept>,
}

/// Why something became a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptWhy {
    /// Another content took its place.
    Replaced,
    /// It was deleted on the other side.
    Deleted,
    /// It appeared in the moment of a replacement or deletion and could not be put back, because its name had
    /// been taken again. Its change was refused.
    Displaced,
}

/// A content that became a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where it stood.
    pub path: RelPath,
    /// The version's name, as [`crate::versions::restore`] takes it.
    pub version: String,
    /// Why.
    pub why: KeptWhy,
}

/// The batch has no report. What was done stays done and is safe; the next scan finds it.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Staged contents could not be made durable, so nothing was published.
    #[error("new files could not be made durable, and nothing was changed: {0}")]
    StagedNotDurable(#[source] io::Error),
    /// What was changed could not be made durable, so it must not be recorded.
    #[error("changes could not be made durable: {0}")]
    NotDurable(#[source] io::Error),
    /// The root's epoch could not be counted up.
    #[error("the marker of the root could not be written: {0}")]
    Epoch(#[source] io::Error),
}

/// Carries out a batch. Blocks until the pieces end and everything is durable. Must not run beside a scan or
/// another batch of the same root.
///
/// # Errors
/// Only if durability is in doubt; what could not be carried out is in the report.
pub fn apply<D: Disk>(
    site: &Site<'_, D>,
    batch: &Batch,
    pieces: &mut dyn Iterator<Item = Piece>,
    progress: &dyn Progress,
) -> Result<Applied, ApplyError> {
    let turn = || Ok::<_, std::convert::Infallible>(((), site.epoch));
    let Ok(((), result)) = apply_in_turn(site, batch, pieces, progress, turn);
    result
}

/// Carries out a batch like [`apply`], but may run beside scans and other batches: only when all content is there
/// it calls `turn`, which waits until nobody else scans or changes the root, and returns a guard and the epoch.
/// So a long transfer over a slow line holds nobody up.
///
/// # Errors
/// The error of `turn`; then nothing was changed. The inner result is that of [`apply`]; the guard lies beside
/// it, so that the caller can still note what was done before others go on.
pub fn apply_in_turn<D: Disk, G, E>(
    site: &Site<'_, D>,
    batch: &Batch,
    pieces: &mut dyn Iterator<Item = Piece>,
    progress: &dyn Progress,
    turn: impl FnOnce() -> Result<(G, u64), E>,
) -> Result<(G, Result<Applied, ApplyError>), E> {
    let staged = stage(site, batch, pieces, progress);
    let result = turn().map(|(guard, epoch)| {
        // On a deep stack if there may be deep trees; a single file is not worth a thread.
        let publish = || publish(site, batch, staged, epoch);
        (guard, if has_trees(batch) { own::deep(publish) } else { publish() })
    });
    crash::point("applied");
    salvage(site, batch);
    // Only what was not published is left in it. If it cannot be removed now, the next opening does.
    let clear = || own::remove_tree(site.disk, &own::batch_staging(site.relationship, batch.id));
    if let Err(error) = if has_trees(batch) { own::deep(clear) } else { clear() } {
        tracing::warn!(%error, "staging could not be emptied");
    }
    result
}

/// Keeps large contents that arrived and were not published, so that another attempt need not fetch them again.
fn salvage<D: Disk>(site: &Site<'_, D>, batch: &Batch) {
    let folder = own::batch_staging(site.relationship, batch.id);
    for (n, change) in batch.changes.iter().enumerate() {
        let Some(Entry::File(file)) = &change.new else { continue };
        if file.size < PARTIAL_LIMIT || !needs_content(batch, change) {
            continue;
        }
        let staged = Place::Own(folder.join_path(&own::own_path(&n.to_string())));
        // Published, or never complete.
        if !site.disk.stat(&staged).is_ok_and(|stat| stat.kind == Kind::File && stat.size == file.size) {
            continue;
        }
        let partial = Place::Own(own::partial(site.relationship, file.digest));
        let kept = site.disk.set_mode(&staged, Mode::new(0o600));
        if let Err(error) = kept.and_then(|()| site.disk.rename_new(&staged, &partial)) {
            tracing::debug!(%error, path = %change.path, "an arrived content is dropped");
        }
    }
}

/// Tells whether directories are among what the batch touches.
pub(crate) fn has_trees(batch: &Batch) -> bool {
    let moved = batch.moves.iter().map(|step| &step.entry);
    let changed = batch.changes.iter().flat_map(|change| [&change.old, &change.new]).flatten();
    moved.chain(changed).any(|entry| matches!(entry, Entry::Dir(_)))
}

fn publish<D: Disk>(
    site: &Site<'_, D>,
    batch: &Batch,
    staged: Staged,
    mut epoch: u64,
) -> Result<Applied, ApplyError> {
    // A rename may reach the disk before the content that it names: first the content, then the name.
    if staged.synced && staged.dirs.len() <= SYNC_EACH {
        site.disk.sync_dirs(&staged.dirs)
    } else {
        site.disk.sync_all()
    }
    .map_err(ApplyError::StagedNotDurable)?;

    crash::point("staged-durable");
    let transition = Transition::new(site, batch);
    if batch.together
        && let Some(outcomes) = transition.hindrances(&staged.ready)
    {
        return Ok(Applied { report: Report { outcomes, epoch }, kept: Vec::new() });
    }
    let done = transition.run(staged.ready);
    crash::point("transition-done");
    let Transitioned { outcomes, kept, touched, whole_disk } = done;
    if whole_disk || !touched.is_empty() {
        epoch = (site.bump_epoch)().map_err(ApplyError::Epoch)?;
        crash::point("epoch-counted");
        if whole_disk || touched.len() > SYNC_EACH {
            site.disk.sync_all()
        } else {
            match site.disk.sync_dirs(&touched.into_iter().collect::<Vec<_>>()) {
                // A directory that was touched first and deleted later, by this batch or by a user.
                Err(error) if own::refusal_at_path(&error) == Refusal::MovedOn => site.disk.sync_all(),
                result => result,
            }
        }
        .map_err(ApplyError::NotDurable)?;
    }
    Ok(Applied { report: Report { outcomes, epoch }, kept })
}

#[cfg(test)]
#[path = "apply_testing.rs"]
pub(crate) mod testing;

#[cfg(test)]
#[path = "crash_tests.rs"]
mod crash_tests;
