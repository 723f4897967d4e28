//! Deliveries.

use serde::{Deserialize, Serialize};

use super::PathText;

/// A delivery: one item in one version on its way to one destination.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct LedgerItem {
    /// Id; empty for an item that is not offered yet.
    pub id: String,
    /// The item, below the folder of its origin.
    #[serde(flatten)]
    pub path: PathText,
    /// Which version: of a file, the BLAKE3 digest of its content.
    pub version: String,
    /// Name of the machine it comes from.
    pub origin: String,
    /// Name of the machine it is owed to; `any` for what was marked as delivered.
    pub destination: String,
    /// `settling`, `ready`, `reserved`, `transferring`, `verifying`, `delivered`, `acknowledged`, `finalised`, `released`,
    /// `waiting`, `retrying`, `quarantined`, `skipped`, `failed`.
    pub state: String,
    /// Why, for the states that have a reason.
    pub reason: Option<String>,
    /// Bytes.
    pub bytes: u64,
    /// Files, links and folders.
    pub files: u64,
    /// Attempts that failed.
    pub attempts: u32,
    /// When the next attempt begins, RFC 3339.
    pub retry_at: Option<String>,
    /// Whether the hub holds a whole and verified copy.
    pub at_hub: bool,
    /// Where the destination put it, below its folder.
    pub placed_at: Option<String>,
    /// When it was first offered, RFC 3339.
    pub since: Option<String>,
    /// When the destination had it, RFC 3339.
    pub delivered_at: Option<String>,
    /// When its origin confirmed that, RFC 3339.
    pub finalised_at: Option<String>,
    /// When the hub's copy was dropped, RFC 3339.
    pub released_at: Option<String>,
    /// Why a hook for it failed on this machine, until it succeeds.
    pub hook_error: Option<String>,
    /// Whether the item is gone from its origin since.
    pub gone: bool,
}
