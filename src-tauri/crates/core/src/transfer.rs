//! What supplier and receiver of file contents say to each other, independent of any wire or disk.
//!
//! Contents are named by digest: an [`Item`] is one distinct content, wherever and however often it is
//! wanted. The supplier reads it at `path`; the receiver publishes it only after its digest was verified.

use crate::digest::Digest;
use crate::path::RelPath;

/// One content that the receiver lacks, and where the supplier holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// BLAKE3 of the content.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    /// Where the supplier's snapshot holds it.
    pub path: RelPath,
}

/// What of an item the receiver wants to be sent. `item` is an index into the items of the same batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Everything from byte `from` to the end: 0 for all of it, more to resume an interrupted transfer.
    Rest {
        /// Index of the item.
        item: u32,
        /// First byte wanted.
        from: u64,
    },
    /// These ranges only, in rising order without overlap; the receiver holds the rest.
    Ranges {
        /// Index of the item.
        item: u32,
        /// Offset and length of each range in bytes.
        ranges: Vec<(u64, u64)>,
    },
}

impl Need {
    /// Returns the index of the item that is wanted.
    pub fn item(&self) -> u32 {
        match self {
            Need::Rest { item, .. } | Need::Ranges { item, .. } => *item,
        }
    }
}

/// A stretch of a file, cut by content, known by a short hash. Short hashes may collide: the digest of the
/// assembled whole is what decides, and a collision costs a full transfer, never a wrong byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// The first 6 bytes of the chunk's BLAKE3 digest.
    pub hash: [u8; 6],
    /// Length in bytes; never 0.
    pub len: u32,
}

/// The chunks of one item from first to last; their lengths add up to the item's size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Index of the item.
    pub item: u32,
    /// The chunks in order.
    pub chunks: Vec<Chunk>,
}

/// A piece of content on its way. For each need the supplier sends either one `Whole`, or any number of
/// `Part`s in rising order and then `End`, or at any point `Failed`; needs are served in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// All bytes of a small item at once.
    Whole {
        /// Index of the item.
        item: u32,
        /// The content.
        bytes: Vec<u8>,
    },
    /// A stretch of a large item.
    Part {
        /// Index of the item.
        item: u32,
        /// Where the stretch begins in the item.
        offset: u64,
        /// The stretch; never longer than [`MAX_PART`].
        bytes: Vec<u8>,
    },
    /// Everything that was wanted of the item has been sent.
    End {
        /// Index of the item.
        item: u32,
    },
    /// The item cannot be supplied; nothing more comes for it.
    Failed {
        /// Index of the item.
        item: u32,
        /// Why.
        reason: SupplyFailure,
    },
}

/// The longest stretch in one piece, in bytes: large enough to amortise framing, small enough that a few
/// in flight bound the memory of a transfer.
pub const MAX_PART: usize = 256 * 1024;

/// Items up to this size travel as one [`Piece::Whole`]; longer ones in parts, and can be resumed.
pub const WHOLE_LIMIT: u64 = 128 * 1024;

/// Items from this size on are offered as chunks where the receiver holds an older version.
pub const DELTA_LIMIT: u64 = 1024 * 1024;

/// Why a supplier cannot send a content that its snapshot promised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SupplyFailure {
    /// The file is not what the snapshot said any more; the next scan will see it.
    #[error("the file changed since it was scanned")]
    Changed,
    /// The file could not be read.
    #[error("the file could not be read: {0}")]
    Unreadable(String),
}
