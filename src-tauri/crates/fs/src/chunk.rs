//! Content-defined chunks: the same bytes give the same chunks wherever in a file they stand, so an insertion
//! at the front moves one boundary and leaves all others.
//!
//! FastCDC (Xia et al. 2020, crate `fastcdc`). The sizes follow from the size of the **new** content only, so
//! that both ends cut alike although their files differ in length.

use std::io;
use std::ops::Range;
use std::sync::mpsc::{SyncSender, sync_channel};

use evenfold_core::transfer::Chunk;
use fastcdc::v2020::{Normalization, cut, select_masks};

use crate::disk::ReadFile;

/// How long chunks are, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSizes {
    min: usize,
    average: usize,
    max: usize,
}

impl ChunkSizes {
    /// Returns the sizes for a content of `size` bytes: about 16,384 chunks, of 16 KiB to 1 MiB on average, so
    /// that neither the list of chunks (10 bytes each) nor a chunk around a small edit costs much.
    pub fn of(size: u64) -> Self {
        let average = (size / 16_384).next_power_of_two().clamp(16 * 1024, 1024 * 1024) as usize;
        ChunkSizes { min: average / 2, average, max: average * 4 }
    }
}

/// Bytes read at once. A chunk that a block cuts in two (at most 4 MiB) is copied to the next block.
const BLOCK: usize = 4 * 1024 * 1024;

/// Blocks on their way to the hashing thread: with those in both hands at most 4 × 8 MiB of memory.
const BLOCKS_AHEAD: usize = 2;

/// A block and where its chunks lie.
struct Block {
    bytes: Vec<u8>,
    chunks: Vec<Range<usize>>,
}

/// Reads a file from its current position to its end and returns its chunks in order. Reading and cutting run
/// beside hashing. Blocks until done.
///
/// # Errors
/// The first error of reading.
pub fn chunks(file: &mut dyn ReadFile, sizes: ChunkSizes) -> io::Result<Vec<Chunk>> {
    std::thread::scope(|scope| {
        let (send, receive) = sync_channel::<Block>(BLOCKS_AHEAD);
        let (give_back, take_back) = sync_channel::<Vec<u8>>(BLOCKS_AHEAD + 2);
        let hashing = scope.spawn(move || {
            let mut found = Vec::new();
            for block in receive {
                found.extend(block.chunks.iter().filter_map(|range| hash(block.bytes.get(range.clone())?)));
                // Nobody takes blocks back once the file is read; then this one is freed.
                drop(give_back.try_send(block.bytes));
            }
            found
        });
        let cutting = cut_blocks(file, sizes, &send, &mut || take_back.try_recv().unwrap_or_default());
        drop(send);
        let found = hashing.join().map_err(|_| io::Error::other("hashing failed"));
        cutting.and(found)
    })
}

fn cut_blocks(
    file: &mut dyn ReadFile,
    sizes: ChunkSizes,
    send: &SyncSender<Block>,
    fresh: &mut dyn FnMut() -> Vec<u8>,
) -> io::Result<()> {
    let (mask_s, mask_l) = select_masks(sizes.average, Normalization::Level2);
    let mut carried = Vec::new();
    loop {
        let mut bytes = fresh();
        let begin = carried.len();
        // The block keeps its old content where it will be overwritten, which spares clearing it each time.
        bytes.resize(begin + BLOCK, 0);
        if let Some(front) = bytes.get_mut(..begin) {
            front.copy_from_slice(&carried);
        }
        let (filled, end_of_file) = fill(file, &mut bytes, begin)?;
        let mut chunks = Vec::with_capacity(filled / sizes.average + 1);
        let mut at = 0;
        while at < filled {
            let rest = bytes.get(at..filled).unwrap_or_default();
            // Only with a whole maximal chunk in view, or the end, is the boundary the same as in one pass.
            if rest.len() < sizes.max && !end_of_file {
                break;
            }
            let (_, len) =
                cut(rest, sizes.min, sizes.average, sizes.max, mask_s, mask_l, mask_s << 1, mask_l << 1);
            let len = len.max(1);
            chunks.push(at..at + len);
            at += len;
        }
        carried.clear();
        carried.extend_from_slice(bytes.get(at..filled).unwrap_or_default());
        send.send(Block { bytes, chunks }).map_err(|_| io::Error::other("hashing failed"))?;
        if end_of_file {
            return Ok(());
        }
    }
}

/// Fills `bytes` from `begin`; returns how far it is filled and whether the file ends there.
fn fill(file: &mut dyn ReadFile, bytes: &mut [u8], begin: usize) -> io::Result<(usize, bool)> {
    let mut filled = begin;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => return Ok((filled, true)),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((filled, false))
}

fn hash(bytes: &[u8]) -> Option<Chunk> {
    let digest = blake3::hash(bytes);
    let short = digest.as_bytes().first_chunk::<6>()?;
    Some(Chunk { hash: *short, len: u32::try_from(bytes.len()).ok()? })
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;
