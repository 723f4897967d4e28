//! What push, pull and track answer.

use serde::{Deserialize, Serialize};

use super::{PathText, PlanInfo, RelationshipStatus};

/// What became of a push or pull.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Transfer {
    /// `pushed`, `pulled`, `unchanged`, `refused` (nothing was sent), `conflicts`, `incomplete`, `held`, `planned`,
    /// `unknown`.
    pub outcome: String,
    /// Files, folders and links put in place or taken away.
    pub files: u64,
    /// Bytes of content that travelled.
    pub bytes: u64,
    /// What did not travel, and why.
    pub left: Vec<LeftPath>,
    /// The plan, for a dry run or a halt.
    pub plan: Option<PlanInfo>,
    /// State afterwards.
    pub status: RelationshipStatus,
}

/// A path that did not travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct LeftPath {
    /// Where.
    #[serde(flatten)]
    pub path: PathText,
    /// Stable code of the reason.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
}

/// Which paths are chosen by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Tracked {
    /// What changed just now.
    pub changed: Vec<PathText>,
    /// What was so already.
    pub already: Vec<PathText>,
    /// All that is tracked, each with everything below it.
    pub tracked: Vec<PathText>,
    /// All that takes no part, each with everything below it.
    pub untracked: Vec<PathText>,
}
