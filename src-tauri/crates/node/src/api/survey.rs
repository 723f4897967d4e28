//! What a survey of folders answers: numbers by endpoint and type, scans, duplicates, and where a name is.

use serde::{Deserialize, Serialize};

use super::PathText;

/// What of a survey is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct SurveyWish {
    /// Numbers by endpoint and by type of file.
    #[serde(default)]
    pub stats: bool,
    /// Files of equal content.
    #[serde(default)]
    pub duplicates: bool,
    /// Paths whose name holds this text, whatever its case; with `*` and `?`, names that match as a whole.
    #[serde(default)]
    pub find: Option<String>,
    /// When the folders were looked at.
    #[serde(default)]
    pub scans: bool,
    /// At most so many rows of each list (default 100).
    #[serde(default)]
    pub limit: Option<u32>,
}

/// A survey of the folders of a relationship.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Survey {
    /// Whether all endpoints of this pair could be looked at.
    pub complete: bool,
    /// Numbers by endpoint.
    pub endpoints: Vec<EndpointSummary>,
    /// Numbers by type of file and endpoint, most bytes first.
    pub types: Vec<TypeSummary>,
    /// When the folders were looked at, newest first.
    pub scans: Vec<ScanInfo>,
    /// Files of equal content in this node's folder, most wasted bytes first.
    pub duplicates: Vec<Duplicates>,
    /// Where the name is.
    pub found: Vec<FoundPath>,
}

/// What an endpoint holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct EndpointSummary {
    /// Name of the machine.
    pub node: String,
    /// Whether it could be looked at; otherwise the numbers are 0 and say nothing.
    pub known: bool,
    /// Whether all of it could be looked at.
    pub complete: bool,
    /// Files and links.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Bytes.
    pub bytes: u64,
    /// Paths that could not be looked at or cannot take part.
    pub errors: u64,
    /// The last time that it was looked at as a whole.
    pub last_scan: Option<ScanInfo>,
}

/// What an endpoint holds of one type of file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct TypeSummary {
    /// Name of the machine.
    pub node: String,
    /// What stands behind the last dot of the name, in small letters; empty where there is none.
    pub extension: String,
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

/// One look at a whole folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ScanInfo {
    /// Name of the machine.
    pub node: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// When it ended, RFC 3339.
    pub ended: String,
    /// Whether all contents were read.
    pub deep: bool,
    /// Whether it came to its end.
    pub success: bool,
    /// Files and links.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
    /// Bytes of content that were read.
    pub read: u64,
    /// Paths that could not be looked at.
    pub errors: u64,
    /// Files looked at in a second.
    pub files_per_second: f64,
    /// Bytes of content read in a second.
    pub bytes_per_second: f64,
    /// Why it failed.
    pub detail: Option<String>,
}

/// Files of equal content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Duplicates {
    /// Beginning of the content's digest.
    pub digest: String,
    /// Bytes of one of them.
    pub size: u64,
    /// How many there are.
    pub count: u64,
    /// The first of them by path.
    pub paths: Vec<PathText>,
}

/// A path whose name was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct FoundPath {
    /// Where.
    #[serde(flatten)]
    pub path: PathText,
    /// Machines that have it.
    pub nodes: Vec<String>,
    /// `file`, `folder`, `link`, `unknown`.
    pub kind: String,
    /// Bytes, of the first machine's.
    pub size: u64,
}
