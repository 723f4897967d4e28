//! Answers for a window that shows long lists: pages of rows and levels of a tree, never everything at once.

use serde::{Deserialize, Serialize};

use super::{ChangeInfo, CheckItem, Counts, PathText};

/// Most rows that one page holds.
pub const MOST_ROWS: u32 = 1000;

/// A folder that a peer offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PeerShare {
    /// Its name there.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// Role that this node would have.
    pub role: String,
    /// Whether this node has joined it already.
    pub joined: bool,
}

/// A file that travels, or arrived within the last 5 s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct TransferInfo {
    /// Which.
    #[serde(flatten)]
    pub path: PathText,
    /// `up` or `down`, as seen from this node.
    pub direction: String,
    /// The other machine.
    pub node: String,
    /// Bytes that travelled.
    pub bytes_done: u64,
    /// Bytes of the file.
    pub bytes_total: u64,
    /// Whether all of it has travelled.
    pub finished: bool,
}

/// A folder or file in a level of the tree of what differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct DriftEntry {
    /// Where.
    #[serde(flatten)]
    pub path: PathText,
    /// Whether it is a folder.
    pub folder: bool,
    /// Files in it, on the side that has more.
    pub files: u64,
    /// Bytes in it, on the side that has more.
    pub bytes: u64,
    /// Paths in it that differ.
    pub differing_files: u64,
    /// Bytes that would have to travel.
    pub differing_bytes: u64,
    /// Paths by finding.
    pub counts: Counts,
}

/// One level of the tree of what differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct DriftLevel {
    /// When it was compared, RFC 3339.
    pub compared_at: Option<String>,
    /// Whether contents were hashed again for it.
    pub deep: bool,
    /// All of it.
    pub total: DriftEntry,
    /// The largest entries, at most 200.
    pub entries: Vec<DriftEntry>,
    /// The sum of the others, if there are more.
    pub rest: Option<DriftEntry>,
}

/// What differed at the end of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct DriftPoint {
    /// When it was seen last on that day, RFC 3339.
    pub time: String,
    /// Paths.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Which rows of the last comparison are wanted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct CheckItemsQuery {
    /// Name or id of the relationship.
    pub relationship: String,
    /// Only below this folder.
    #[serde(default)]
    pub under: Option<PathText>,
    /// Only these findings; all if empty.
    #[serde(default)]
    pub findings: Vec<String>,
    /// `path`, `bytes` or `finding`.
    #[serde(default)]
    pub sort: String,
    /// The other way round.
    #[serde(default)]
    pub descending: bool,
    /// Rows to pass over.
    #[serde(default)]
    pub offset: u64,
    /// Rows wanted, at most [`MOST_ROWS`].
    pub limit: u32,
}

/// Rows of the last comparison.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct CheckItems {
    /// How many there are in all.
    pub total: u64,
    /// Those that were wanted.
    pub rows: Vec<CheckItem>,
}

/// A path that is about to travel, or does not, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PendingChange {
    /// What would happen.
    #[serde(flatten)]
    pub change: ChangeInfo,
    /// Stable code as in `why`; `pending` for what travels with the next cycle.
    pub reason: String,
}

/// Which rows of what is left to do are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum WhichChanges {
    /// All; what stays comes first.
    #[default]
    All,
    /// What travels by itself, now or in the next cycle.
    Travels,
    /// What does not.
    Stays,
}

/// Rows of what is left to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PendingChanges {
    /// How many there are in all.
    pub total: u64,
    /// Those that were wanted.
    pub rows: Vec<PendingChange>,
    /// How many travel by themselves; absent where a member of the first version was asked.
    #[serde(default)]
    pub travels: Option<u64>,
    /// How many do not.
    #[serde(default)]
    pub stays: Option<u64>,
}
