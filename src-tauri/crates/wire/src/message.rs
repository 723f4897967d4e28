//! The messages of an endpoint stream, as they stand on the wire.
//!
//! Both directions use one enum. Lists are not length-prefixed but ended by [`Message::End`], so no count from
//! a peer ever sizes an allocation; trees are flat: a directory's children follow it until [`Message::Leave`],
//! so nothing nested is ever decoded by recursion.

use evenfold_core::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::error::WireError;

/// The most elements of a list that is collected in memory (items of a batch, paths of a scan).
pub const MAX_LIST: usize = 4 * 1024 * 1024;

/// Bytes borrowed from the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blob<'a>(pub(crate) &'a [u8]);

impl Serialize for Blob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Blob<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'a [u8]>::deserialize(deserializer).map(Blob)
    }
}

/// A digest, written in one go instead of byte by byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash(pub(crate) Digest);

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0.0)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&[u8]>::deserialize(deserializer)?;
        bytes.try_into().map(|bytes| Hash(Digest(bytes))).map_err(|_| D::Error::custom("length of a digest"))
    }
}

/// How the tree of a snapshot reaches the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Form {
    /// It is the tree that the client named as its n-th.
    Same(u8),
    /// The difference from the tree that the client named as its n-th follows.
    Delta(u8),
    /// All of it follows.
    Full,
    /// The answer to a [`Message::Want`] for the root follows; the client asks for what it lacks below.
    Descend,
}

/// How an entry of a change is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Slot {
    /// Nothing stands there.
    Absent,
    /// Its tokens follow.
    Inline,
    /// The directory with this digest that the hub remembers at the same path.
    At(Hash),
    /// The difference from the entry before (`new` against `old`, `now` against what was asked) follows.
    Against,
}

/// How what stands at a path after a change is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Now {
    /// Exactly what was asked for.
    AsAsked,
    /// In this way.
    Slot(Slot),
}

/// See [`evenfold_core::apply::Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WireRefusal<'a> {
    MovedOn,
    #[serde(borrow)]
    NotSupplied(WireFailure<'a>),
    Damaged,
    NoSpace,
    NameClash(&'a str),
    NameNotPossible,
    HoldsUntracked,
    WaitsForMove,
    WaitsForOthers,
    Io(&'a str),
}

/// See [`evenfold_core::transfer::SupplyFailure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WireFailure<'a> {
    Changed,
    Unreadable(&'a str),
}

/// See [`evenfold_core::File`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireFile {
    pub(crate) digest: Hash,
    pub(crate) size: u64,
    pub(crate) secs: i64,
    pub(crate) nanos: u32,
    pub(crate) mode: u16,
}

/// What a scan looks at; the paths of [`Look::Paths`] follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Look {
    Current,
    Full,
    Deep,
    Paths,
}

/// One message in either direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message<'a> {
    // Ends of lists and directories, answers without content.
    End,
    Leave,
    Done,
    Error {
        code: &'a str,
        message: &'a str,
        hint: &'a str,
    },

    // Tokens of trees. A name is empty at the top.
    File {
        #[serde(borrow)]
        name: Blob<'a>,
        file: WireFile,
    },
    Symlink {
        #[serde(borrow)]
        name: Blob<'a>,
        #[serde(borrow)]
        target: Blob<'a>,
    },
    Unknown {
        #[serde(borrow)]
        name: Blob<'a>,
        kind: u8,
    },
    /// A directory whose children follow, all of them.
    Dir {
        #[serde(borrow)]
        name: Blob<'a>,
        mode: u16,
    },
    /// A directory whose differences from the base follow.
    Enter {
        #[serde(borrow)]
        name: Blob<'a>,
        mode: u16,
    },
    /// A directory of which only the digest is given.
    Stub {
        #[serde(borrow)]
        name: Blob<'a>,
        digest: Hash,
    },
    /// A child of the base that is no more.
    Gone {
        #[serde(borrow)]
        name: Blob<'a>,
    },

    // Contents.
    Item {
        digest: Hash,
        size: u64,
        #[serde(borrow)]
        path: Blob<'a>,
    },
    Rest {
        item: u32,
        from: u64,
    },
    Ranges {
        item: u32,
        ranges: Vec<(u64, u64)>,
        more: bool,
    },
    /// Chunks of 10 bytes each: 6 of hash, 4 of length (little-endian).
    Chunks {
        item: u32,
        #[serde(borrow)]
        chunks: Blob<'a>,
        more: bool,
    },
    Whole {
        item: u32,
        #[serde(borrow)]
        bytes: Blob<'a>,
    },
    /// A short part, packed with its neighbours; long ones have frames of their own.
    Part {
        item: u32,
        offset: u64,
        #[serde(borrow)]
        bytes: Blob<'a>,
    },
    Finished {
        item: u32,
    },
    Failed {
        item: u32,
        #[serde(borrow)]
        reason: WireFailure<'a>,
    },

    // Elements of requests.
    Path(#[serde(borrow)] Blob<'a>),
    Index(u32),
    Have(Hash),

    // A batch.
    Batch {
        id: u128,
        together: bool,
        again: bool,
    },
    Move {
        #[serde(borrow)]
        from: Blob<'a>,
        #[serde(borrow)]
        to: Blob<'a>,
        entry: Slot,
    },
    Change {
        #[serde(borrow)]
        path: Blob<'a>,
        old: Slot,
        new: Slot,
    },
    Copy {
        digest: Hash,
        #[serde(borrow)]
        path: Blob<'a>,
    },
    Basis {
        item: u32,
        #[serde(borrow)]
        path: Blob<'a>,
    },

    // Requests.
    Scan {
        look: Look,
    },
    Want {
        #[serde(borrow)]
        path: Blob<'a>,
        have: Option<Hash>,
        subtree: bool,
    },
    Pick {
        #[serde(borrow)]
        path: Blob<'a>,
        indices: Vec<u32>,
    },
    Wants,
    Got(Hash),
    Manifest,
    ReadBases,
    Prepare,
    Supply,
    Apply {
        prepared: bool,
        wait: bool,
    },
    PiecesEnd,
    Author {
        #[serde(borrow)]
        path: Blob<'a>,
        digest: Hash,
    },
    ReportState(#[serde(borrow)] Blob<'a>),
    Subscribe,
    Cancel {
        call: u32,
    },

    // Answers.
    Snapshot {
        epoch: u64,
        digest: Hash,
        form: Form,
        same_problems: bool,
    },
    Problem {
        #[serde(borrow)]
        path: Blob<'a>,
        kind: u8,
        detail: &'a str,
    },
    /// Fingerprints of the children in order, see `tree::fingerprint`.
    Sketch {
        mode: u16,
        #[serde(borrow)]
        prints: Blob<'a>,
        more: bool,
    },
    Accepted,
    Progress {
        bytes: u64,
        items: u64,
    },
    /// This many changes were applied exactly as asked.
    AsAsked {
        count: u32,
    },
    /// What is left out follows if `short`, ended by `End`.
    Applied {
        now: Now,
        short: bool,
    },
    Short {
        #[serde(borrow)]
        path: Blob<'a>,
        #[serde(borrow)]
        refusal: WireRefusal<'a>,
    },
    Refused(#[serde(borrow)] WireRefusal<'a>),
    Report {
        epoch: u64,
    },
    AuthorIs(Option<&'a str>),
    /// The root changed. `root` is its epoch and digest, if they could be told. The difference from the tree
    /// `base` follows, if it is given.
    Nudge {
        count: u64,
        root: Option<(u64, Hash)>,
        base: Option<Hash>,
    },
}

impl Message<'_> {
    /// Appends the encoded message to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let before = out.len();
        *out = postcard::to_extend(self, std::mem::take(out))
            .map_err(|_| WireError::Malformed("own message"))?;
        let len = out.len() - before;
        if len > crate::frame::MAX_MESSAGE { Err(WireError::MessageTooLong(len)) } else { Ok(()) }
    }
}

/// Checks a list's bound before another element is added.
pub(crate) fn room<T>(list: &[T]) -> Result<(), WireError> {
    if list.len() < MAX_LIST { Ok(()) } else { Err(WireError::TooMany) }
}
