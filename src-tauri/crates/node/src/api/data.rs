//! What answers consist of.

use serde::{Deserialize, Serialize};

use super::{PathText, Setting, WayInfo};

/// About a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Fingerprint of its key, `SHA256:…`.
    pub fingerprint: String,
    /// `HOST:PORT` on which it listens.
    pub addresses: Vec<String>,
    /// Its home directory.
    pub home: String,
    /// Version of the program.
    pub version: String,
}

/// A pairing offer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Offer {
    /// The one-time code.
    pub code: String,
    /// Where to reach this node.
    pub addresses: Vec<String>,
    /// When the code ends, RFC 3339.
    pub expires_at: String,
}

/// A pairing that succeeded.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Paired {
    /// Name of the peer.
    pub name: String,
    /// Fingerprint of its key.
    pub fingerprint: String,
    /// The short check that both sides show; empty where keys were compared instead.
    pub check: String,
    /// What the offering side shares through this code, if anything.
    pub share: Option<String>,
}

/// A relationship as this node sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct RelationshipInfo {
    /// UUID.
    pub id: String,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// This node's part: `hub`, `spoke`, `source`, `destination`.
    pub role: String,
    /// Local folder.
    #[serde(flatten)]
    pub path: PathText,
    /// The peer that is the hub, where this node is not.
    pub hub: Option<String>,
    /// Its name at the hub, where this node is not.
    #[serde(default)]
    pub share: Option<String>,
    /// Members, where this node is the hub.
    pub members: Vec<String>,
    /// What this node may do with the hub's folder, `write` or `read`; absent at the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional = nullable))]
    pub access: Option<String>,
    /// At the hub, what each member may do, `write` or `read`.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(optional, as = "Option<std::collections::BTreeMap<String, String>>"))]
    pub member_access: std::collections::BTreeMap<String, String>,
    /// Whether it is paused.
    pub paused: bool,
    /// All settings, those of the kind's preset included.
    pub settings: Vec<Setting>,
    /// How a folder on a host with SSH was reached last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional = nullable))]
    pub way: Option<WayInfo>,
}

/// A plan in numbers, with its first changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PlanInfo {
    /// Id with which it can be applied; absent for a preview of a join.
    pub id: Option<String>,
    /// Kind of the relationship.
    #[serde(default)]
    pub kind: String,
    /// Name of the machine on our side.
    pub ours: String,
    /// Name of the machine on their side.
    pub theirs: String,
    /// What would happen here.
    pub here: Movement,
    /// What would happen there.
    pub there: Movement,
    /// Number of conflicts.
    pub conflicts: u64,
    /// Number of paths that would not converge for another reason.
    pub blocked: u64,
    /// Free bytes here.
    pub free_here: Option<u64>,
    /// Free bytes there.
    pub free_there: Option<u64>,
    /// Changes one by one, at most 1,000 each way.
    pub changes: Vec<ChangeInfo>,
    /// Why it would be held.
    pub halt: Option<HaltInfo>,
}

/// What happens on one side.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Movement {
    /// New files.
    pub new: u64,
    /// Replaced files.
    pub replaced: u64,
    /// Deleted files.
    pub deleted: u64,
    /// Bytes that arrive.
    pub bytes: u64,
}

/// One change of a plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ChangeInfo {
    /// Name of the machine on which it happens.
    pub node: String,
    /// Where.
    #[serde(flatten)]
    pub path: PathText,
    /// `create`, `replace`, `delete`, `metadata`, `conflict-copy`.
    pub act: String,
    /// Bytes.
    pub bytes: u64,
    /// Files, for a folder.
    pub files: u64,
}

/// State of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Status {
    /// The node.
    pub node: NodeInfo,
    /// Its relationships.
    pub relationships: Vec<RelationshipStatus>,
}

/// State of a relationship.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct RelationshipStatus {
    /// UUID.
    pub id: String,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// This node's part.
    pub role: String,
    /// `in-sync`, `syncing`, `scanning`, `differs`, `conflicts`, `held`, `unknown`, `paused`, `waiting`.
    pub state: String,
    /// Why nothing happens until a person looked.
    pub halt: Option<HaltInfo>,
    /// When all endpoints were last compared by digest, RFC 3339.
    pub verified_at: Option<String>,
    /// Since when that is not known any more, RFC 3339.
    pub unknown_since: Option<String>,
    /// Endpoints.
    pub endpoints: Vec<EndpointStatus>,
    /// What differs; `null` if unknown.
    pub drift: Option<DriftInfo>,
    /// What changed on this machine since both sides were equal, while the other side cannot be reached or this is
    /// paused: it waits here to travel.
    #[serde(default)]
    pub waiting: Option<DriftInfo>,
    /// What is going on.
    pub progress: Option<Progress>,
    /// Conflicts that wait.
    pub conflicts: u64,
    /// Paths that do not converge for another reason.
    pub problems: u64,
    /// The last error that retrying did not mend yet.
    pub error: Option<ErrorInfo>,
    /// When the next attempt is made after an error, RFC 3339.
    pub retry_at: Option<String>,
    /// When its pause ends by itself, RFC 3339.
    #[serde(default)]
    pub paused_until: Option<String>,
    /// Where the relationship delivers: how many deliveries are in which state.
    #[serde(default)]
    pub deliveries: Option<std::collections::BTreeMap<String, u64>>,
}

/// An endpoint of a relationship.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct EndpointStatus {
    /// Name of the machine.
    pub node: String,
    /// Its part.
    pub role: String,
    /// Root folder there; null where it is not known.
    #[serde(flatten, serialize_with = "path_or_null")]
    #[cfg_attr(feature = "ts", ts(skip))]
    pub path: Option<PathText>,
    /// Whether it can be reached now.
    pub online: bool,
    /// When it was last heard of, RFC 3339.
    pub last_seen: Option<String>,
    /// How it is reached, where that is not a plain connection between two nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional = nullable))]
    pub way: Option<WayInfo>,
    /// What it may do with the hub's folder, `write` or `read`, where that is known; absent for the hub itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional = nullable))]
    pub access: Option<String>,
}

/// Writes a path, or `"path": null`: whoever reads it finds the field in any case.
fn path_or_null<S: serde::Serializer>(path: &Option<PathText>, serializer: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => path.serialize(serializer),
        None => serializer.collect_map([("path", None::<String>)]),
    }
}

/// What differs now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct DriftInfo {
    /// Paths.
    pub files: u64,
    /// Bytes that would have to travel.
    pub bytes: u64,
    /// Age of the oldest difference in seconds.
    pub oldest_seconds: Option<u64>,
}

/// What is going on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Progress {
    /// `scanning`, `comparing`, `transferring`, `applying`, `committing`.
    pub phase: String,
    /// Files done.
    pub files_done: u64,
    /// Files in all.
    pub files_total: u64,
    /// Bytes done.
    pub bytes_done: u64,
    /// Bytes in all.
    pub bytes_total: u64,
    /// Mean of the last 10 s.
    pub bytes_per_second: u64,
    /// Estimate.
    pub eta_seconds: Option<u64>,
}

/// Why a relationship is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct HaltInfo {
    /// Stable code.
    pub code: String,
    /// What happened, where, and what was not changed.
    pub message: String,
    /// The safe next step.
    pub hint: String,
    /// Plan that can be applied, where approving is possible.
    pub plan: Option<String>,
    /// The machine that it is about: its folder, or where things would be deleted.
    #[serde(default)]
    pub machine: Option<String>,
    /// Items that would be deleted, or that a folder held which is empty now.
    #[serde(default)]
    pub items: Option<u64>,
    /// Of how many items they would be deleted.
    #[serde(default)]
    pub of: Option<u64>,
}

/// An error in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ErrorInfo {
    /// Stable code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// The safe next step.
    pub hint: String,
}

/// How a cycle ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Synced {
    /// `equal`, `differs`, `conflicts`, `held`, `unknown`, `planned`, `timeout`, `started`.
    pub outcome: String,
    /// State afterwards.
    pub status: RelationshipStatus,
    /// The plan, for a dry run or a halt.
    pub plan: Option<PlanInfo>,
    /// Files changed here and there.
    pub files: u64,
    /// Bytes of content that travelled.
    pub bytes: u64,
}

/// A comparison.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Check {
    /// Whether both sides were looked at completely and compared by digest.
    pub verified: bool,
    /// Why not.
    pub unverified_reason: Option<ErrorInfo>,
    /// Since when it is unknown, RFC 3339.
    pub unknown_since: Option<String>,
    /// When it was compared, RFC 3339.
    pub compared_at: Option<String>,
    /// Files by finding.
    pub counts: Counts,
    /// Bytes by finding.
    pub bytes: Counts,
    /// Files that count as in sync by size and time, while what is known of their contents differs; only a deep check
    /// tells which of them are damaged.
    #[serde(default)]
    pub suspects: u64,
    /// What is not in sync, path by path.
    pub items: Vec<CheckItem>,
}

/// Numbers by finding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Counts {
    /// Equal.
    pub in_sync: u64,
    /// Only at the source.
    pub missing: u64,
    /// Older at the target.
    pub stale: u64,
    /// Only at the target.
    pub orphaned: u64,
    /// At another path.
    pub moved: u64,
    /// Other content than the known digest although size and time are equal.
    pub corrupt: u64,
    /// Changed on both sides.
    pub conflict: u64,
    /// Unreadable.
    pub error: u64,
    /// Left out by the rules.
    pub excluded: u64,
    /// Not verified.
    pub unknown: u64,
}

/// A path that is not in sync.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct CheckItem {
    /// Where.
    #[serde(flatten)]
    pub path: PathText,
    /// Finding, as in [`Counts`].
    pub finding: String,
    /// Evidence in words.
    pub detail: String,
    /// Bytes.
    pub bytes: u64,
}

/// Why a path is, or is not, in sync.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Why {
    /// The path.
    #[serde(flatten)]
    pub path: PathText,
    /// One answer for each endpoint.
    pub endpoints: Vec<WhyEndpoint>,
}

/// One endpoint's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct WhyEndpoint {
    /// Name of the machine.
    pub node: String,
    /// Whether it is in sync there.
    pub in_sync: bool,
    /// The one reason, as a stable code; `in-sync` if there is none.
    pub reason: String,
    /// What is known.
    pub evidence: String,
    /// The next step.
    pub next: String,
}

/// A conflict that waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ConflictInfo {
    /// Id for `resolve`.
    pub id: String,
    /// Name of the relationship.
    pub relationship: String,
    /// The path under dispute.
    #[serde(flatten)]
    pub path: PathText,
    /// The versions.
    pub versions: Vec<ConflictVersion>,
}

/// One version of a path under dispute.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ConflictVersion {
    /// Machine that wrote it.
    pub node: String,
    /// Under which name it is kept.
    #[serde(flatten)]
    pub at: PathText,
    /// Bytes.
    pub size: Option<u64>,
    /// Modification time, RFC 3339.
    pub mtime: Option<String>,
    /// Whether it has the original name.
    pub current: bool,
}

/// A row of the history.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct HistoryRow {
    /// Number, rising.
    pub id: i64,
    /// When, RFC 3339.
    pub time: String,
    /// Relationship.
    pub relationship: String,
    /// Where; absent for acts that concern no path.
    #[serde(flatten)]
    #[cfg_attr(feature = "ts", ts(skip))]
    pub path: Option<PathText>,
    /// `create`, `update`, `delete`, `rename`, `metadata`, `conflict`, `restore`, `resolve`, `halt`, `error`, ….
    pub kind: String,
    /// Machine that did it first.
    pub node: String,
    /// Machine on which it was carried out.
    pub on: String,
    /// Bytes.
    pub bytes: Option<u64>,
    /// More in words.
    pub detail: Option<String>,
}

/// An earlier content.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct VersionInfo {
    /// Id for `restore`.
    pub id: String,
    /// When it was replaced or deleted, RFC 3339.
    pub time: String,
    /// Where it stood.
    #[serde(flatten)]
    pub path: PathText,
    /// `file`, `folder`, `link`.
    pub kind: String,
    /// Bytes.
    pub size: Option<u64>,
    /// Its modification time, RFC 3339.
    pub mtime: Option<String>,
    /// `replaced`, `deleted`, `restored-over`, `conflict`.
    pub reason: String,
}

/// What was restored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Restored {
    /// Where it stands now.
    #[serde(flatten)]
    pub path: PathText,
    /// The version that was brought back.
    pub version: String,
    /// The version under which the replaced content is kept, if any.
    pub replaced: Option<String>,
}

/// The content of a file, as far as it can be shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Content {
    /// `text`, `image`, `binary`, `too-large`.
    pub kind: String,
    /// Bytes.
    pub size: u64,
    /// The text.
    pub text: Option<String>,
    /// The picture as a `data:` address.
    pub data_url: Option<String>,
}

/// What a folder holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Folder {
    /// Files and links that would take part.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that the patterns leave out.
    pub ignored: u64,
    /// Their bytes.
    pub ignored_bytes: u64,
    /// Directories that cannot be listed.
    pub unreadable: u64,
    /// Free bytes of the file system, for this user.
    pub free_bytes: Option<u64>,
    /// Whether everything was counted; a very large folder is given up after some seconds.
    pub complete: bool,
}
