//! What answers about the upkeep of a node consist of.

use serde::{Deserialize, Serialize};

/// A finding of the self-check.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct DoctorFinding {
    /// `ok`, `warning`, `error`.
    pub level: String,
    /// What was checked.
    pub check: String,
    /// What was found.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
}

/// What was dropped.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct GcReport {
    /// Versions dropped.
    pub versions: u64,
    /// Bytes freed.
    pub bytes: u64,
    /// Leftovers of interrupted transfers dropped.
    pub partials: u64,
}

/// A setting of the node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ConfigEntry {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
    /// `flag`, `environment`, `config.toml`, `default`.
    pub origin: String,
}
