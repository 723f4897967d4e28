//! The public API of a node: what the command line, the desktop application and the tests ask of it.
//!
//! A [`Request`] has one [`Reply`] or one [`ApiError`]; while it runs, [`Event`]s may precede the answer.
//! The same types travel over the control socket as JSON. Fields may be added, never renamed.

use serde::{Deserialize, Serialize};

/// A path below a root or of a root, lossless also where it is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathText {
    /// The path; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// The exact bytes in base64, only where `path` had to replace some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
}

/// A `KEY=VALUE` setting of a relationship, as text; see [`crate::settings`] for the keys.
pub type Setting = (String, String);

/// What may be asked of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// Name, fingerprint, addresses. Reply: [`Reply::Node`].
    NodeShow,
    /// Opens a pairing offer. Reply: [`Reply::Offer`].
    PairOffer {
        /// How long the code is valid, in minutes (1 to 1440).
        minutes: u32,
        /// Name of the relationship that whoever takes the offer is meant to join; it comes back to both sides
        /// in [`Paired::share`].
        #[serde(default)]
        share: Option<String>,
    },
    /// Waits until the offer is taken or ends. Reply: [`Reply::Paired`].
    PairWait {
        /// The code of the offer.
        code: String,
    },
    /// Pairs with the node that offers `code`. Reply: [`Reply::Paired`].
    PairAccept {
        /// The one-time code.
        code: String,
        /// `HOST:PORT` of the node that offered.
        address: String,
    },
    /// Lists the pinned peers. Reply: [`Reply::Peers`].
    PeerList,
    /// Renames a peer (here only). Reply: [`Reply::Done`].
    PeerRename {
        /// Name or fingerprint.
        peer: String,
        /// The new name.
        name: String,
    },
    /// Removes a peer's key; its connections end at once. Reply: [`Reply::Done`].
    PeerRemove {
        /// Name or fingerprint.
        peer: String,
    },
    /// Measures the way to a peer. Reply: [`Reply::Ping`].
    PeerPing {
        /// Name or fingerprint.
        peer: String,
    },
    /// Offers a folder as the hub of a new relationship. Reply: [`Reply::Relationship`].
    Share {
        /// Absolute path of the folder, which must exist.
        path: PathText,
        /// Name of the relationship, unique on this node.
        name: String,
        /// One of the kinds.
        kind: String,
        /// Settings that differ from the kind's preset.
        settings: Vec<Setting>,
    },
    /// Says what joining would do, without writing anything. Reply: [`Reply::Preview`].
    JoinPreview(Join),
    /// Joins a shared folder and begins to sync. Reply: [`Reply::Relationship`].
    Join(Join),
    /// Creates a relationship from one side, where the peer allows it. Reply: [`Reply::Relationship`].
    RelAdd {
        /// Name of the relationship.
        name: String,
        /// Kind.
        kind: String,
        /// Local folder.
        path: PathText,
        /// `PEER:/absolute/path`.
        target: String,
        /// Settings.
        settings: Vec<Setting>,
    },
    /// Lists relationships. Reply: [`Reply::Relationships`].
    RelList,
    /// Shows one with all its settings. Reply: [`Reply::Relationship`].
    RelShow {
        /// Name or id.
        relationship: String,
    },
    /// Changes settings; takes effect without resending anything. Reply: [`Reply::Relationship`].
    RelEdit {
        /// Name or id.
        relationship: String,
        /// Settings to change.
        settings: Vec<Setting>,
    },
    /// Stops syncing until resumed. Reply: [`Reply::Done`].
    RelPause {
        /// Name or id.
        relationship: String,
    },
    /// Goes on syncing. Reply: [`Reply::Done`].
    RelResume {
        /// Name or id.
        relationship: String,
    },
    /// Forgets a relationship; the folder stays as it is. Reply: [`Reply::Done`].
    RelRemove {
        /// Name or id.
        relationship: String,
    },
    /// State of everything, or of one relationship. Reply: [`Reply::Status`].
    Status {
        /// Name or id; all if absent.
        relationship: Option<String>,
    },
    /// A cycle now, with a full scan of both sides; answers when it ended. Progress comes as events.
    /// Reply: [`Reply::Synced`].
    Sync {
        /// Name or id.
        relationship: String,
        /// Only makes a plan and keeps it.
        dry_run: bool,
        /// Waits until all reachable endpoints were compared and are equal, or something needs a person.
        wait: bool,
        /// Gives up waiting after this many seconds (the sync itself goes on).
        timeout_seconds: Option<u64>,
    },
    /// Carries out exactly the plan that was shown; refused if either side moved on. Reply: [`Reply::Synced`].
    Apply {
        /// Id of the plan.
        plan: String,
    },
    /// Compares, moves nothing. Reply: [`Reply::Check`].
    Check {
        /// Name or id.
        relationship: String,
        /// Hashes all contents again.
        deep: bool,
    },
    /// Why a path is, or is not, in sync. Reply: [`Reply::Why`].
    Why {
        /// Name or id.
        relationship: String,
        /// Path below the root.
        path: PathText,
    },
    /// Conflicts that wait for a person. Reply: [`Reply::Conflicts`].
    Conflicts {
        /// Name or id; all if absent.
        relationship: Option<String>,
    },
    /// Decides a conflict. Reply: [`Reply::Done`].
    Resolve {
        /// Id of the conflict.
        id: String,
        /// Name of the machine whose version stays, or `both`.
        keep: String,
    },
    /// What happened, newest first. Reply: [`Reply::History`].
    History(HistoryQuery),
    /// Earlier contents of a path. Reply: [`Reply::Versions`].
    Versions {
        /// Name or id.
        relationship: String,
        /// Path below the root.
        path: PathText,
    },
    /// Brings back an earlier content; what it replaces becomes a version itself. Reply: [`Reply::Restored`].
    Restore {
        /// Name or id.
        relationship: String,
        /// Path below the root.
        path: PathText,
        /// State as of this time (RFC 3339), or
        at: Option<String>,
        /// this version; the newest version if neither is given.
        version: Option<String>,
        /// Another path below the root to restore to.
        to: Option<PathText>,
    },
    /// Checks the node itself. Reply: [`Reply::Doctor`].
    Doctor,
    /// Drops what retention no longer keeps. Reply: [`Reply::Gc`].
    Gc,
    /// The newest lines of the log. Reply: [`Reply::Log`].
    Log {
        /// How many lines (at most 10,000).
        lines: u32,
    },
    /// Settings of the node and where each comes from. Reply: [`Reply::Config`].
    ConfigShow,
    /// Events from now on, until the caller goes away.
    Subscribe,
    /// Ends the node in an orderly way. Reply: [`Reply::Done`].
    Shutdown,
}

/// What to join and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
}

/// Which history is wanted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HistoryQuery {
    /// Name or id of a relationship.
    pub relationship: Option<String>,
    /// Glob over paths.
    pub path: Option<String>,
    /// Earliest time, RFC 3339 or a duration back from now such as `2h`.
    pub since: Option<String>,
    /// Name of the machine that did it.
    pub node: Option<String>,
    /// Kind of act.
    pub kind: Option<String>,
    /// At most this many rows (default 100).
    pub limit: Option<u32>,
    /// Only rows with a smaller id, for paging.
    pub before: Option<i64>,
}

/// Answers.
// One is moved a few times for each request; boxing would only make the common use clumsy.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", content = "data", rename_all = "kebab-case")]
pub enum Reply {
    /// Nothing to say.
    Done,
    /// About this node.
    Node(NodeInfo),
    /// A pairing offer.
    Offer(Offer),
    /// A pairing that succeeded.
    Paired(Paired),
    /// Peers.
    Peers(Vec<PeerInfo>),
    /// A measured way.
    Ping(Ping),
    /// One relationship.
    Relationship(RelationshipInfo),
    /// Relationships.
    Relationships(Vec<RelationshipInfo>),
    /// What a join would do.
    Preview(PlanInfo),
    /// State.
    Status(Status),
    /// Outcome of a cycle.
    Synced(Box<Synced>),
    /// A comparison.
    Check(Check),
    /// Reasons.
    Why(Why),
    /// Conflicts.
    Conflicts(Vec<ConflictInfo>),
    /// History.
    History(Vec<HistoryRow>),
    /// Versions.
    Versions(Vec<VersionInfo>),
    /// What was restored.
    Restored(Restored),
    /// Findings of the self-check.
    Doctor(Vec<DoctorFinding>),
    /// What was dropped.
    Gc(GcReport),
    /// Log lines.
    Log(Vec<String>),
    /// Settings.
    Config(Vec<ConfigEntry>),
}

/// About a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
pub struct Paired {
    /// Name of the peer.
    pub name: String,
    /// Fingerprint of its key.
    pub fingerprint: String,
    /// The short check that both sides show.
    pub check: String,
    /// What the offering side shares through this code, if anything.
    pub share: Option<String>,
}

/// A pinned peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PeerInfo {
    /// Its name here.
    pub name: String,
    /// Fingerprint of its key.
    pub fingerprint: String,
    /// Where it was last reached or says that it can be reached.
    pub addresses: Vec<String>,
    /// Whether a connection stands now.
    pub online: bool,
    /// When it was last heard of, RFC 3339.
    pub last_seen: Option<String>,
    /// Since when it is offline, RFC 3339.
    pub offline_since: Option<String>,
    /// Names of the relationships shared with it.
    pub relationships: Vec<String>,
}

/// A measured way to a peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

/// A relationship as this node sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    pub path: PathText,
    /// The peer that is the hub, where this node is not.
    pub hub: Option<String>,
    /// Members, where this node is the hub.
    pub members: Vec<String>,
    /// Whether it is paused.
    pub paused: bool,
    /// All settings, those of the kind's preset included.
    pub settings: Vec<Setting>,
}

/// A plan in numbers, with its first changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
pub struct Status {
    /// The node.
    pub node: NodeInfo,
    /// Its relationships.
    pub relationships: Vec<RelationshipStatus>,
}

/// State of a relationship.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
}

/// An endpoint of a relationship.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// Name of the machine.
    pub node: String,
    /// Its part.
    pub role: String,
    /// Root folder there, where known.
    pub path: Option<PathText>,
    /// Whether it can be reached now.
    pub online: bool,
    /// When it was last heard of, RFC 3339.
    pub last_seen: Option<String>,
}

/// What differs now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct HaltInfo {
    /// Stable code.
    pub code: String,
    /// What happened, where, and what was not changed.
    pub message: String,
    /// The safe next step.
    pub hint: String,
    /// Plan that can be applied, where approving is possible.
    pub plan: Option<String>,
}

/// An error in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What is not in sync, path by path.
    pub items: Vec<CheckItem>,
}

/// Numbers by finding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct Why {
    /// The path.
    #[serde(flatten)]
    pub path: PathText,
    /// One answer for each endpoint.
    pub endpoints: Vec<WhyEndpoint>,
}

/// One endpoint's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
pub struct ConflictVersion {
    /// Machine that wrote it.
    pub node: String,
    /// Under which name it is kept.
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
pub struct HistoryRow {
    /// Number, rising.
    pub id: i64,
    /// When, RFC 3339.
    pub time: String,
    /// Relationship.
    pub relationship: String,
    /// Where; absent for acts that concern no path.
    #[serde(flatten)]
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
pub struct Restored {
    /// Where it stands now.
    #[serde(flatten)]
    pub path: PathText,
    /// The version that was brought back.
    pub version: String,
    /// The version under which the replaced content is kept, if any.
    pub replaced: Option<String>,
}

/// A finding of the self-check.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
pub struct ConfigEntry {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
    /// `flag`, `environment`, `config.toml`, `default`.
    pub origin: String,
}

/// What happens while a request runs, or at any time for a subscriber. A nudge to read again, never the truth.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

/// An error with a stable code. The message says what happened and where, and what was not changed; the hint
/// says what to do.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Stable code.
    pub code: ErrorCode,
    /// What happened, where, and what was and was not changed.
    pub message: String,
    /// The safe next step.
    pub hint: Option<String>,
}

impl ApiError {
    /// Says what happened, where, and what was and was not changed.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// Adds the safe next step.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Stable codes of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request makes no sense.
    Usage,
    /// A setting is unknown or its value wrong.
    Setting,
    /// No such relationship, peer, plan, version or conflict.
    NotFound,
    /// The name is taken.
    Exists,
    /// The folder does not exist, is no folder, or cannot be used.
    Folder,
    /// The peer cannot be reached.
    Unreachable,
    /// The peer's key is not the pinned one.
    KeyChanged,
    /// The peer does not let us do that.
    Refused,
    /// The code is wrong, used, or expired.
    PairingFailed,
    /// Something needs a person's approval.
    Held,
    /// The plan does not fit the present state any more.
    PlanOutdated,
    /// Another engine runs on this home.
    AlreadyRunning,
    /// The database cannot be used.
    Store,
    /// It took too long.
    Timeout,
    /// Anything else of the operating system.
    Io,
    /// A defect of Evenfold.
    Internal,
}
