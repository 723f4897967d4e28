//! How relationships are made.

use serde::{Deserialize, Serialize};

use super::{PathText, Setting};

/// What to join and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(optional_fields = nullable))]
pub struct Join {
    /// Name or fingerprint of the peer that shares; absent when `code` is given.
    pub peer: Option<String>,
    /// Name of the share; absent when a code says it.
    pub share: Option<String>,
    /// Absolute path of the local folder, which must exist.
    pub path: PathText,
    /// `spoke`, `source` or `destination`; the kind's own default if absent.
    pub role: Option<String>,
    /// Settings of this endpoint.
    pub settings: Vec<Setting>,
    /// Whether it begins paused.
    #[serde(default)]
    pub paused: bool,
}

/// A relationship with a folder on a host that runs OpenSSH's server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct HostAdd {
    /// Name of the relationship.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// Absolute path of the local folder, which must exist.
    pub path: PathText,
    /// `ssh://user@host:port/path`.
    pub target: String,
    /// Whether changes come from the host, where they travel one way.
    pub from_host: bool,
    /// Settings.
    pub settings: Vec<Setting>,
    /// Whether it begins paused.
    #[serde(default)]
    pub paused: bool,
    /// Fingerprints of host keys that a person has compared and accepts.
    pub accept_keys: Vec<String>,
    /// Passphrases of encrypted keys; kept in memory only.
    pub passphrases: Vec<Secret>,
}

/// A text that is not shown in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
