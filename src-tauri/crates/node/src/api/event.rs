//! What a node tells by itself.

use serde::{Deserialize, Serialize};

use super::Progress;

/// What happens while a request runs, or at any time for a subscriber. A nudge to read again, never the truth.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Something about a relationship changed.
    Relationship {
        /// UUID.
        id: String,
    },
    /// A relationship goes on.
    Progress {
        /// UUID.
        id: String,
        /// How far.
        progress: Progress,
    },
    /// Something about peers changed.
    Peers,
}
