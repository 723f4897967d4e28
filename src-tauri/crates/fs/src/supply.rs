//! The supplying side: reads what the receiver wants, and nothing else.
//!
//! Scope: a path is opened only if the index says that it is a file with exactly the digest and size of the
//! item, so a peer that asks for anything else gets [`SupplyFailure::Changed`] and no byte. The index holds
//! only what takes part in the relationship.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use evenfold_core::transfer::{Item, MAX_PART, Manifest, Need, Piece, SupplyFailure, WHOLE_LIMIT};
use evenfold_core::{Entry, File, RelPath};

use crate::chunk::{self, ChunkSizes};
use crate::disk::{Disk, Kind, Place, ReadFile, Stat};
use crate::index::Keys;

/// The sink takes no more; what was not sent yet is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the receiver takes no more")]
pub struct Stopped;

/// What the index says of a path. Asked once for each need, from several threads.
pub type Lookup<'a> = &'a (dyn Fn(&RelPath) -> Option<(Entry, Keys)> + Sync);

/// Threads that read ahead: while one waits for the disk, the other's files are sent.
const READERS: usize = 2;

/// Small files that a reader hands over at once, so that a hand-over costs little beside the reading.
const GROUP_FILES: usize = 32;

/// Bytes after which a group of small files is closed.
const GROUP_BYTES: u64 = 256 * 1024;

/// Hand-overs that wait for the sink, for each reader. One is at most [`GROUP_BYTES`] and one small file more,
/// so read-ahead holds at most 2 × (3 + 1) × 384 KiB = 3 MiB, whatever is asked for.
const AHEAD: usize = 3;

/// Needs up to this number are read without threads, which is quicker for a single save.
const FEW: usize = 4;

/// Reads `needs` in order and passes the pieces to `sink`. Blocks until all is sent or the sink stops.
///
/// # Errors
/// [`Stopped`] if the sink returned it. What cannot be read is a piece ([`Piece::Failed`]), not an error.
pub fn supply<D: Disk>(
    disk: &D,
    lookup: Lookup<'_>,
    items: &[Item],
    needs: &[Need],
    sink: &mut dyn FnMut(Piece) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let reader = Reader { disk, lookup, items };
    if needs.len() <= FEW {
        return needs.iter().try_for_each(|need| reader.read(need, sink));
    }
    let groups = group(items, needs);
    std::thread::scope(|scope| {
        let mut ends: Vec<Receiver<Handed>> = Vec::with_capacity(READERS);
        for nth in 0..READERS {
            let (send, receive) = sync_channel(AHEAD);
            ends.push(receive);
            let (reader, groups) = (&reader, &groups);
            // A reader ends early only because the sink stopped, which the caller is told.
            scope.spawn(move || {
                groups.iter().skip(nth).step_by(READERS).try_for_each(|group| reader.hand(group, &send))
            });
        }
        // Readers take turns by group, so the order of the needs is kept.
        for receive in ends.iter().cycle().take(groups.len()) {
            while let Ok(Handed::Pieces(pieces)) = receive.recv() {
                pieces.into_iter().try_for_each(&mut *sink)?;
            }
        }
        Ok(())
    })
}

/// Cuts large items of `items` into chunks by their content. Items that are not what the index says any more,
/// or that cannot be read, are missing in the answer. Blocks while it reads them.
pub fn manifests<D: Disk>(disk: &D, lookup: Lookup<'_>, items: &[Item], indices: &[u32]) -> Vec<Manifest> {
    let reader = Reader { disk, lookup, items };
    indices.iter().filter_map(|item| reader.manifest(*item)).collect()
}

/// What a reader hands over.
enum Handed {
    Pieces(Vec<Piece>),
    GroupEnds,
}

/// Groups needs into runs of small ones and single large ones.
fn group<'n>(items: &[Item], needs: &'n [Need]) -> Vec<&'n [Need]> {
    let size = |need: &Need| items.get(need.item() as usize).map_or(0, |item| item.size);
    let mut groups = Vec::new();
    let mut rest = needs;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(GROUP_FILES).take_while(|need| {
            bytes += size(need);
            size(need) <= WHOLE_LIMIT && bytes <= GROUP_BYTES
        });
        let (group, after) = rest.split_at(fits.count().max(1));
        groups.push(group);
        rest = after;
    }
    groups
}

struct Reader<'a, D> {
    disk: &'a D,
    lookup: Lookup<'a>,
    items: &'a [Item],
}

impl<D: Disk> Reader<'_, D> {
    /// Reads one group and hands it over; fails if nobody takes it any more.
    fn hand(&self, group: &[Need], to: &SyncSender<Handed>) -> Result<(), Stopped> {
        let mut pieces = Vec::new();
        let mut bytes = 0;
        for need in group {
            self.read(need, &mut |piece| {
                bytes += length(&piece) as u64;
                pieces.push(piece);
                if bytes < GROUP_BYTES {
                    return Ok(());
                }
                bytes = 0;
                to.send(Handed::Pieces(std::mem::take(&mut pieces))).map_err(|_| Stopped)
            })?;
        }
        to.send(Handed::Pieces(pieces)).and_then(|()| to.send(Handed::GroupEnds)).map_err(|_| Stopped)
    }

    /// Reads what one need asks for.
    fn read(&self, need: &Need, sink: &mut dyn FnMut(Piece) -> Result<(), Stopped>) -> Result<(), Stopped> {
        let item = need.item();
        let (mut file, stat, size) = match self.open(item) {
            Ok(opened) => opened,
            Err(reason) => return sink(Piece::Failed { item, reason }),
        };
        if let Need::Rest { from: 0, .. } = need
            && size <= WHOLE_LIMIT
        {
            return sink(match whole(&mut *file, &stat) {
                Ok(bytes) => Piece::Whole { item, bytes },
                Err(reason) => Piece::Failed { item, reason },
            });
        }
        let all;
        let ranges: &[(u64, u64)] = match need {
            Need::Rest { from, .. } => {
                all = [(*from, size.saturating_sub(*from))];
                &all
            }
            Need::Ranges { ranges, .. } => ranges,
        };
        for (offset, len) in ranges {
            // Reading beyond the end would find nothing; the receiver asked for another content than this.
            let Some(end) = offset.checked_add(*len).filter(|end| *end <= size) else {
                return sink(Piece::Failed { item, reason: SupplyFailure::Changed });
            };
            if let Err(error) = file.seek(*offset) {
                return sink(Piece::Failed { item, reason: unreadable(&error) });
            }
            let mut at = *offset;
            while at < end {
                let bytes = match exactly(&mut *file, (end - at).min(MAX_PART as u64) as usize) {
                    Ok(bytes) => bytes,
                    Err(reason) => return sink(Piece::Failed { item, reason }),
                };
                let len = bytes.len() as u64;
                sink(Piece::Part { item, offset: at, bytes })?;
                at += len;
            }
        }
        sink(match unchanged(&*file, &stat) {
            Ok(()) => Piece::End { item },
            Err(reason) => Piece::Failed { item, reason },
        })
    }

    fn manifest(&self, item: u32) -> Option<Manifest> {
        let (mut file, stat, size) = self.open(item).ok()?;
        let chunks = chunk::chunks(&mut *file, ChunkSizes::of(size)).ok()?;
        let covered: u64 = chunks.iter().map(|chunk| u64::from(chunk.len)).sum();
        (covered == size && unchanged(&*file, &stat).is_ok()).then_some(Manifest { item, chunks })
    }

    /// Opens the file of an item if the index and the disk agree that it is this item's content.
    fn open(&self, item: u32) -> Result<(Box<dyn ReadFile>, Stat, u64), SupplyFailure> {
        let item = self.items.get(item as usize).ok_or(SupplyFailure::Changed)?;
        let Some((Entry::File(file), keys)) = (self.lookup)(&item.path) else {
            return Err(SupplyFailure::Changed);
        };
        if file.digest != item.digest || file.size != item.size {
            return Err(SupplyFailure::Changed);
        }
        open_known(self.disk, &item.path, &file, &keys).map(|(open, stat)| (open, stat, file.size))
    }
}

/// Opens a user's file if it is, by all that can be seen without reading it, what the index says.
pub(crate) fn open_known<D: Disk>(
    disk: &D,
    path: &RelPath,
    file: &File,
    keys: &Keys,
) -> Result<(Box<dyn ReadFile>, Stat), SupplyFailure> {
    let open = disk.open(&Place::User(path.clone())).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => unreadable(&error),
        // Gone, or replaced by something else: a link, a directory, a pipe.
        _ => SupplyFailure::Changed,
    })?;
    let stat = open.stat().map_err(|error| unreadable(&error))?;
    let key = keys.own();
    // An unsure key says nothing: then size and time have to do. Whoever gets the bytes verifies the digest.
    let same = stat.kind == Kind::File
        && stat.size == file.size
        && stat.mtime == file.mtime
        && key.parts().is_none_or(|(ino, _)| ino == stat.ino);
    if same { Ok((open, stat)) } else { Err(SupplyFailure::Changed) }
}

fn whole(file: &mut dyn ReadFile, opened: &Stat) -> Result<Vec<u8>, SupplyFailure> {
    let bytes = exactly(file, opened.size as usize)?;
    unchanged(file, opened)?;
    Ok(bytes)
}

/// Reads exactly `len` bytes (at most [`WHOLE_LIMIT`] or [`MAX_PART`], as all callers ensure).
fn exactly(file: &mut dyn ReadFile, len: usize) -> Result<Vec<u8>, SupplyFailure> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => return Err(SupplyFailure::Changed),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(&error)),
        }
    }
    Ok(bytes)
}

/// A file that was written to while it was read may have given a mixture of old and new.
fn unchanged(file: &dyn ReadFile, opened: &Stat) -> Result<(), SupplyFailure> {
    match file.stat() {
        Ok(now) if now == *opened => Ok(()),
        Ok(_) => Err(SupplyFailure::Changed),
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &io::Error) -> SupplyFailure {
    SupplyFailure::Unreadable(error.to_string())
}

fn length(piece: &Piece) -> usize {
    match piece {
        Piece::Whole { bytes, .. } | Piece::Part { bytes, .. } => bytes.len(),
        Piece::End { .. } | Piece::Failed { .. } => 0,
    }
}

#[cfg(test)]
#[path = "supply_tests.rs"]
mod tests;
