//! The receiving side before a transfer: works out what really has to be sent.
//!
//! A large content may be there in part already, because a transfer was interrupted (`partial/`), and in part
//! as chunks of an older or similar file (a basis). What is left is asked for; how the whole is put together
//! is remembered as a [`Recipe`] until the batch is applied. Nothing is trusted: the digest of the whole
//! decides, so a wrong recipe costs a second transfer and never a wrong byte.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenfold_core::apply::Batch;
use evenfold_core::transfer::{Chunk, DELTA_LIMIT, Item, Manifest, Need};
use evenfold_core::{Digest, Entry, RelPath};

use crate::apply::Rules;
use crate::chunk::{ChunkSizes, chunks};
use crate::disk::{Disk, Kind, Place};
use crate::own;
use crate::supply::{Lookup, open_known};

/// Contents from this size on are built in `partial/`, where an interrupted transfer can go on.
pub const PARTIAL_LIMIT: u64 = 1024 * 1024;

/// Batches whose recipes are remembered. One batch is prepared while another is applied; older ones were given
/// up by whoever prepared them.
const REMEMBERED: usize = 4;

/// Contents that came out wrong when they were put together, and are fetched whole from then on. The oldest
/// is forgotten beyond this number: that costs one more failed attempt.
const DISTRUSTED: usize = 1024;

/// Chunks that are remembered, 12 bytes each: those of about 64 contents of 1 GiB, in 12 MiB.
const LISTED: usize = 1024 * 1024;

/// Where a stretch of a content comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The supplier sends it.
    Sent,
    /// It stands at this offset of the basis.
    Basis(u64),
}

/// A stretch of a content and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) source: Source,
}

/// How a large content is put together: what `partial/` holds up to `from`, then the segments, which follow
/// each other without gap to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipe {
    pub(crate) from: u64,
    pub(crate) basis: Option<RelPath>,
    pub(crate) segments: Vec<Segment>,
}

impl Recipe {
    fn ranges(&self) -> Vec<(u64, u64)> {
        let sent = self.segments.iter().filter(|segment| segment.source == Source::Sent);
        sent.map(|segment| (segment.offset, segment.len)).collect()
    }
}

/// What was prepared and not applied yet: one for each replica, shared by its threads.
#[derive(Debug, Default)]
pub struct Prepared(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    batches: VecDeque<(u128, HashMap<u32, Recipe>)>,
    distrusted: VecDeque<Digest>,
    /// Chunks of contents that this side has, so that a file that is edited again and again is cut once.
    lists: VecDeque<(Digest, ChunkSizes, Arc<[Chunk]>)>,
    /// Contents that are being put together in `partial/`.
    busy: HashSet<Digest>,
}

/// The right to put a content together in `partial/`: two transfers of one content must not write to one file.
pub(crate) struct Claim<'a>(&'a Prepared, Digest);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.lock().busy.remove(&self.1);
    }
}

impl Prepared {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        // Every change to the memory is one assignment, so it is whole even if a thread died beside it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, batch: u128, recipes: HashMap<u32, Recipe>) {
        let mut memory = self.lock();
        memory.batches.retain(|(id, _)| *id != batch);
        memory.batches.push_back((batch, recipes));
        while memory.batches.len() > REMEMBERED {
            memory.batches.pop_front();
        }
    }

    /// Returns the recipes of a batch and forgets them.
    pub(crate) fn take(&self, batch: u128) -> HashMap<u32, Recipe> {
        let mut memory = self.lock();
        let at = memory.batches.iter().position(|(id, _)| *id == batch);
        at.and_then(|at| memory.batches.remove(at)).map(|(_, recipes)| recipes).unwrap_or_default()
    }

    /// Claims a content, unless another transfer has.
    pub(crate) fn claim(&self, digest: Digest) -> Option<Claim<'_>> {
        self.lock().busy.insert(digest).then(|| Claim(self, digest))
    }

    /// Returns the chunks of a content, if they are known.
    fn list(&self, digest: Digest, sizes: ChunkSizes) -> Option<Arc<[Chunk]>> {
        let memory = self.lock();
        let known = memory.lists.iter().find(|list| list.0 == digest && list.1 == sizes)?;
        Some(Arc::clone(&known.2))
    }

    fn remember_list(&self, digest: Digest, sizes: ChunkSizes, chunks: Arc<[Chunk]>) {
        let mut memory = self.lock();
        memory.lists.retain(|list| list.0 != digest || list.1 != sizes);
        memory.lists.push_back((digest, sizes, chunks));
        while memory.lists.iter().map(|list| list.2.len()).sum::<usize>() > LISTED {
            memory.lists.pop_front();
        }
    }

    /// Notes that a content came out wrong: two chunks share their short hash, or a basis lies.
    pub(crate) fn distrust(&self, digest: Digest) {
        let mut memory = self.lock();
        // What led to it may be a list of chunks; nobody knows which.
        memory.lists.clear();
        memory.distrusted.push_back(digest);
        while memory.distrusted.len() > DISTRUSTED {
            memory.distrusted.pop_front();
        }
    }
}

/// Works out what of the batch's items has to be sent, in the order of the items, and remembers the rest.
/// Reads the bases, so it takes about a second for each GiB of them. Blocks.
///
/// Items that need nothing (empty, or wholly there already) or do not fit on the disk have no need in the answer.
pub fn prepare<D: Disk>(
    disk: &D,
    relationship: u128,
    lookup: Lookup<'_>,
    prepared: &Prepared,
    batch: &Batch,
    manifests: &[Manifest],
    rules: Rules,
) -> Vec<Need> {
    let distrusted: HashSet<Digest> = prepared.lock().distrusted.iter().copied().collect();
    let manifests: HashMap<u32, &Manifest> =
        manifests.iter().map(|manifest| (manifest.item, manifest)).collect();
    let mut bases: HashMap<u32, Vec<&RelPath>> = HashMap::new();
    for basis in &batch.bases {
        bases.entry(basis.item).or_default().push(&basis.path);
    }
    // What will not fit is not asked for; staging says so to whoever wants it.
    let mut room = disk.space().map_or(u64::MAX, |(free, _)| free.saturating_sub(rules.reserve));
    let mut recipes = HashMap::new();
    let mut needs = Vec::with_capacity(batch.items.len());
    for (index, item) in (0u32..).zip(&batch.items) {
        if item.size == 0 {
            continue;
        }
        match room.checked_sub(own::allocated(item.size)) {
            Some(left) => room = left,
            None => continue,
        }
        if item.size < PARTIAL_LIMIT.min(DELTA_LIMIT) {
            needs.push(Need::Rest { item: index, from: 0 });
            continue;
        }
        let from = arrived(disk, relationship, item);
        let bases = bases.get(&index).filter(|_| !distrusted.contains(&item.digest));
        let recipe = match (manifests.get(&index), bases) {
            (Some(manifest), Some(bases)) => {
                bases.iter().find_map(|basis| from_basis(disk, lookup, prepared, item, from, manifest, basis))
            }
            _ => None,
        };
        let recipe = recipe.unwrap_or_else(|| rest(item.size, from));
        let ranges = recipe.ranges();
        match ranges.as_slice() {
            [] => {}
            [(offset, len)] if offset + len == item.size && *offset == recipe.from => {
                needs.push(Need::Rest { item: index, from: recipe.from });
            }
            _ => needs.push(Need::Ranges { item: index, ranges }),
        }
        recipes.insert(index, recipe);
    }
    prepared.remember(batch.id, recipes);
    needs
}

/// Cuts the bases of a batch into chunks ahead of [`prepare`], which then takes no time for them. Meant to run
/// while the supplier cuts the new contents. Reads the bases; blocks.
pub fn read_bases<D: Disk>(disk: &D, lookup: Lookup<'_>, prepared: &Prepared, batch: &Batch) {
    for basis in &batch.bases {
        if let Some(item) = batch.items.get(basis.item as usize)
            && item.size >= DELTA_LIMIT
        {
            // A basis that cannot be read helps nothing, which is found again when it is wanted.
            held_chunks(disk, lookup, prepared, &basis.path, ChunkSizes::of(item.size));
        }
    }
}

/// Returns the chunks of a file of the receiver, if it is what the index says.
fn held_chunks<D: Disk>(
    disk: &D,
    lookup: Lookup<'_>,
    prepared: &Prepared,
    path: &RelPath,
    sizes: ChunkSizes,
) -> Option<Arc<[Chunk]>> {
    let (Entry::File(file), keys) = lookup(path)? else { return None };
    let (mut open, _) = open_known(disk, path, &file, &keys).ok()?;
    if let Some(known) = prepared.list(file.digest, sizes) {
        return Some(known);
    }
    // If the file is written to meanwhile, the list is wrong for its digest: such a content comes out wrong
    // once, is not trusted from then on, and costs a full transfer.
    let list: Arc<[Chunk]> = chunks(&mut *open, sizes).ok()?.into();
    prepared.remember_list(file.digest, sizes, Arc::clone(&list));
    Some(list)
}

/// Drops large contents of which a part arrived and that were not touched for `lease`. Returns the bytes freed.
///
/// # Errors
/// The first error of listing or removing.
pub fn drop_partials<D: Disk>(disk: &D, relationship: u128, lease: Duration) -> io::Result<u64> {
    let folder = own::partials(relationship);
    let listed = match disk.list(&Place::Own(folder.clone())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        listed => listed?,
    };
    let oldest = disk.now().secs.saturating_sub(i64::try_from(lease.as_secs()).unwrap_or(i64::MAX));
    let mut bytes = 0;
    for listed in listed {
        let (Ok(name), Ok(stat)) = (evenfold_core::Name::new(&listed.name), listed.stat) else { continue };
        if stat.ctime.secs < oldest {
            bytes += own::remove_tree(disk, &folder.join(&name))?;
        }
    }
    Ok(bytes)
}

/// Returns how many bytes of an item an interrupted transfer left.
fn arrived<D: Disk>(disk: &D, relationship: u128, item: &Item) -> u64 {
    let place = Place::Own(own::partial(relationship, item.digest));
    match disk.stat(&place) {
        // A longer file cannot be the beginning of the item.
        Ok(stat) if stat.kind == Kind::File && stat.size <= item.size => stat.size,
        _ => 0,
    }
}

/// The recipe without a basis: everything that has not arrived yet is sent.
pub(crate) fn rest(size: u64, from: u64) -> Recipe {
    let from = from.min(size);
    let left = Segment { offset: from, len: size - from, source: Source::Sent };
    Recipe { from, basis: None, segments: if left.len == 0 { Vec::new() } else { vec![left] } }
}

/// The recipe that takes everything from another file of the receiver.
pub(crate) fn copy_of(path: &RelPath, size: u64) -> Recipe {
    let all = Segment { offset: 0, len: size, source: Source::Basis(0) };
    Recipe { from: 0, basis: Some(path.clone()), segments: vec![all] }
}

/// Looks for the item's chunks in a basis. `None` if the basis is not what the index says or hardly helps.
fn from_basis<D: Disk>(
    disk: &D,
    lookup: Lookup<'_>,
    prepared: &Prepared,
    item: &Item,
    from: u64,
    manifest: &Manifest,
    basis: &RelPath,
) -> Option<Recipe> {
    // A manifest comes from a peer: one that does not cover the item exactly is of no use.
    let covered = manifest.chunks.iter().try_fold(0u64, |sum, chunk| sum.checked_add(u64::from(chunk.len)));
    if covered != Some(item.size) {
        return None;
    }
    let sizes = ChunkSizes::of(item.size);
    let held = held_chunks(disk, lookup, prepared, basis, sizes)?;
    let mut places = HashMap::with_capacity(held.len());
    let mut offset = 0u64;
    for chunk in held.iter() {
        places.entry(*chunk).or_insert(offset);
        offset += u64::from(chunk.len);
    }
    let segments = segments(&manifest.chunks, &places, from);
    let sent: u64 = segments.iter().filter(|s| s.source == Source::Sent).map(|s| s.len).sum();
    // Below a tenth saved, reading the basis again costs more than sending.
    let helps = sent <= (item.size - from) / 10 * 9;
    if helps {
        // Its chunks are known now; if they are wrong, the content will not come out right and is not trusted.
        prepared.remember_list(item.digest, sizes, manifest.chunks.as_slice().into());
    }
    helps.then(|| Recipe { from, basis: Some(basis.clone()), segments })
}

/// Merges what follows each other at its source, leaving out what lies before `from`.
fn segments(chunks: &[Chunk], places: &HashMap<Chunk, u64>, from: u64) -> Vec<Segment> {
    let mut merged: Vec<Segment> = Vec::new();
    let mut offset = 0u64;
    for chunk in chunks {
        let end = offset + u64::from(chunk.len);
        let skipped = from.saturating_sub(offset);
        if end > from && chunk.len > 0 {
            let begin = offset + skipped;
            let source = match places.get(chunk) {
                Some(place) => Source::Basis(place + skipped),
                None => Source::Sent,
            };
            let follows = merged.last_mut().filter(|last| match (last.source, source) {
                (Source::Sent, Source::Sent) => true,
                (Source::Basis(a), Source::Basis(b)) => a + last.len == b,
                _ => false,
            });
            match follows {
                Some(last) => last.len += end - begin,
                None => merged.push(Segment { offset: begin, len: end - begin, source }),
            }
        }
        offset = end;
    }
    merged
}

#[cfg(test)]
#[path = "prepare_tests.rs"]
mod tests;
