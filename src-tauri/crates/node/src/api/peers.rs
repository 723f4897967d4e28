//! What the API tells of other machines and the ways to them.

use serde::{Deserialize, Serialize};

/// A pinned peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PeerInfo {
    /// Its name here.
    pub name: String,
    /// Fingerprint of its key.
    pub fingerprint: String,
    /// Where it was last reached or says that it can be reached; `via:NAME` is through another node.
    pub addresses: Vec<String>,
    /// Whether a connection stands now.
    pub online: bool,
    /// When it was last heard of, RFC 3339.
    pub last_seen: Option<String>,
    /// Since when it is offline, RFC 3339.
    pub offline_since: Option<String>,
    /// Names of the relationships shared with it.
    pub relationships: Vec<String>,
    /// How it is connected now, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional = nullable))]
    pub way: Option<WayInfo>,
    /// How far its clock is ahead of ours, in seconds, where it was measured.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(optional = nullable))]
    pub clock_offset_seconds: Option<i64>,
    /// Which version of Evenfold it runs, where it was connected since this node started.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(optional = nullable))]
    pub version: Option<String>,
}

/// A measured way to a peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Ping {
    /// Name of the peer.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Round trip in milliseconds.
    pub milliseconds: f64,
    /// Bytes sent to it over the present connection, as counted at the socket.
    pub bytes_sent: u64,
    /// Bytes received from it.
    pub bytes_received: u64,
}

/// A node on the local network. Anybody could say so: only pairing proves it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(optional_fields = nullable))]
pub struct NearbyNode {
    /// What it calls itself.
    pub name: String,
    /// The fingerprint of the key that it says is its own.
    pub fingerprint: String,
    /// Where it says that it can be reached.
    pub addresses: Vec<String>,
    /// Its name here, if it is paired.
    pub peer: Option<String>,
}

/// How another machine is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct WayInfo {
    /// `evenfold` or `sftp` for a host with SSH; `direct` or `through` for a node.
    pub kind: String,
    /// More of it, for people: the version there, why it is not another way, or through which node.
    pub note: Option<String>,
}
