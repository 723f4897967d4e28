//! Content-defined chunks: the same bytes give the same chunks wherever in a file they stand, so an insertion
//! at the front moves one boundary and leaves all others.
//!
//! FastCDC (Xia et al. 2020, crate `fastcdc`). The sizes follow from the size of the **new** content only, so
//! that both ends cut alike although their files differ in length.

use std::io;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use evenfold_core::transfer::Chunk;
use fastcdc::v2020::{Normalization, cut, select_masks};

use crate::disk::ReadFile;

/// How long chunks are, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// Bytes read at once, so that they are still in the processor's cache when they are cut and hashed. A chunk that
/// a block cuts in two (at most 4 MiB) is copied in front of the next block.
const BLOCK: usize = 1024 * 1024;

/// Blocks on their way from one thread to the next. Each is up to 5 MiB; with those in the hands of the three
/// threads at most 7 × 5 MiB of memory.
const BLOCKS_AHEAD: usize = 2;

/// A block of the file, with room in front of it for what the block before left over.
struct Block {
    bytes: Vec<u8>,
    /// How far it is filled.
    end: usize,
    /// Where its chunks lie, once it was cut.
    chunks: Vec<Range<usize>>,
}

/// Reads a file from its current position to its end and returns its chunks in order. Reading, cutting and
/// hashing run beside each other. Blocks until done.
///
/// # Errors
/// The first error of reading.
pub fn chunks(file: &mut dyn ReadFile, sizes: ChunkSizes) -> io::Result<Vec<Chunk>> {
    std::thread::scope(|scope| {
        let (read, to_cut) = sync_channel::<Block>(BLOCKS_AHEAD);
        let (cut, to_hash) = sync_channel::<Block>(BLOCKS_AHEAD);
        let (give_back, take_back) = sync_channel::<Block>(2 * BLOCKS_AHEAD + 3);
        let cutting = scope.spawn(move || cut_blocks(&to_cut, sizes, &cut));
        let hashing = scope.spawn(move || {
            let mut found = Vec::new();
            for block in to_hash {
                found.extend(block.chunks.iter().filter_map(|range| hash(block.bytes.get(range.clone())?)));
                // Nobody takes blocks back once the file is read; then this one is freed.
                drop(give_back.try_send(block));
            }
            found
        });
        let reading = loop {
            let block = take_back.try_recv().ok();
            match read_block(file, sizes.max, block) {
                Ok(block) if block.end == sizes.max => break Ok(()),
                Ok(block) => {
                    if read.send(block).is_err() {
                        break Err(io::Error::other("cutting failed"));
                    }
                }
                Err(error) => break Err(error),
            }
        };
        drop(read);
        let cut = cutting.join().map_err(|_| io::Error::other("cutting failed"));
        let found = hashing.join().map_err(|_| io::Error::other("hashing failed"));
        reading.and(cut).and(found)
    })
}

/// Reads the next block, behind `headroom` bytes; it ends where it begins at the end of the file.
fn read_block(file: &mut dyn ReadFile, headroom: usize, used: Option<Block>) -> io::Result<Block> {
    let mut bytes = used.map(|block| block.bytes).unwrap_or_else(|| vec![0; headroom + BLOCK]);
    let mut end = headroom;
    while let Some(room) = bytes.get_mut(end..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(n) => end += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Block { bytes, end, chunks: Vec::new() })
}

/// Finds the boundaries in one block after the other.
fn cut_blocks(blocks: &Receiver<Block>, sizes: ChunkSizes, to: &SyncSender<Block>) {
    let (mask_s, mask_l) = select_masks(sizes.average, Normalization::Level2);
    let cut = |bytes: &[u8]| {
        let (_, len) =
            cut(bytes, sizes.min, sizes.average, sizes.max, mask_s, mask_l, mask_s << 1, mask_l << 1);
        len.max(1)
    };
    let mut carried = Vec::new();
    for mut block in blocks {
        // Never longer than a maximal chunk, so it fits into the room in front.
        let begin = sizes.max.saturating_sub(carried.len());
        if let Some(front) = block.bytes.get_mut(begin..sizes.max) {
            front.copy_from_slice(&carried);
        }
        let mut at = begin;
        // Only with a whole maximal chunk in view is the boundary the same as in one pass over the file.
        while block.end - at >= sizes.max {
            let len = cut(block.bytes.get(at..block.end).unwrap_or_default());
            block.chunks.push(at..at + len);
            at += len;
        }
        carried.clear();
        carried.extend_from_slice(block.bytes.get(at..block.end).unwrap_or_default());
        if to.send(block).is_err() {
            return;
        }
    }
    // The rest of the file is shorter than a maximal chunk.
    let mut block = Block { end: carried.len(), bytes: carried, chunks: Vec::new() };
    let mut at = 0;
    while at < block.end {
        let len = cut(block.bytes.get(at..).unwrap_or_default());
        block.chunks.push(at..at + len);
        at += len;
    }
    // If nobody hashes any more, the caller is told.
    drop(to.send(block));
}

fn hash(bytes: &[u8]) -> Option<Chunk> {
    let digest = blake3::hash(bytes);
    let short = digest.as_bytes().first_chunk::<6>()?;
    Some(Chunk { hash: *short, len: u32::try_from(bytes.len()).ok()? })
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;
