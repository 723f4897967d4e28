//! The public API of a node: what the command line, the desktop application and the tests ask of it.
//!
//! A [`Request`] has one [`Reply`] or one [`ApiError`]; while it runs, [`Event`]s may precede the answer.
//! The same types travel over the control socket as JSON. Fields may be added, never renamed.

mod data;
mod error;
mod event;
mod ledger;
mod making;
mod manual;
mod peers;
mod survey;
mod upkeep;
mod window;

use serde::{Deserialize, Serialize};

pub use data::*;
pub use error::*;
pub use event::Event;
pub use ledger::*;
pub use making::*;
pub use manual::*;
pub use peers::*;
pub use survey::*;
pub use upkeep::*;
pub use window::*;

/// A path below a root or of a root, lossless also where it is not UTF-8.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PathText {
    /// The path; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// The exact bytes in base64, only where `path` had to replace some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional = nullable))]
    pub path_bytes: Option<String>,
}

/// A `KEY=VALUE` setting of a relationship, as text; see [`crate::settings`] for the keys.
pub type Setting = (String, String);

/// What may be asked of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(optional_fields = nullable))]
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
        /// `HOST:PORT` of the node that offered, or `via:HUB` or `via:HUB/NODE` where it is reached through a peer;
        /// searched for on the local network if absent.
        address: Option<String>,
    },
    /// Lists the nodes on the local network; takes some seconds where none is heard. Reply: [`Reply::Nearby`].
    Nearby,
    /// Lists the pinned peers. Reply: [`Reply::Peers`].
    PeerList,
    /// Pins the node at an address if its key has this fingerprint; it has to do the same. Reply: [`Reply::Paired`].
    PeerAdd {
        /// `SHA256:` and 43 characters.
        fingerprint: String,
        /// `host:port`.
        address: String,
        /// What it is called here; by its address if absent.
        name: Option<String>,
    },
    /// Renames a peer (here only). Reply: [`Reply::Done`].
    PeerRename {
        /// Name or fingerprint.
        peer: String,
        /// The new name.
        name: String,
    },
    /// Sets the peer through which another one is reached where it cannot be directly. Reply: [`Reply::Done`].
    PeerVia {
        /// Name or fingerprint of the one that is to be reached.
        peer: String,
        /// Name or fingerprint of the one in the middle; none any more if absent.
        middle: Option<String>,
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
        /// Whether it begins paused: nothing travels before it is resumed.
        #[serde(default)]
        paused: bool,
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
        /// Whether it begins paused.
        #[serde(default)]
        paused: bool,
    },
    /// Creates a relationship with a folder on a host that runs OpenSSH's server. Reply: [`Reply::Relationship`].
    HostAdd(Box<HostAdd>),
    /// Gives the passphrase of an encrypted key, which is kept in memory only. Reply: [`Reply::Done`].
    HostUnlock {
        /// The passphrase.
        passphrase: Secret,
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
    /// Says, and first changes if asked, what a member may do; on the hub. Reply: [`Reply::Relationship`].
    RelAccess {
        /// Name or id.
        relationship: String,
        /// Name or fingerprint of the member; nothing is changed if absent.
        member: Option<String>,
        /// `read`, `write`, or `default`: as the relationship's setting `access` says.
        access: Option<String>,
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
    /// Sends what is chosen by hand, as a whole or not at all; refused where the hub has moved on. Reply:
    /// [`Reply::Transfer`].
    Push {
        /// Name or id.
        relationship: String,
        /// Only these paths below the root; everything that is tracked if there are none.
        #[serde(default)]
        paths: Vec<PathText>,
        /// Sends everything again, over whatever the hub has; what that replaces becomes a version.
        #[serde(default)]
        force: bool,
        /// Only makes a plan and keeps it.
        #[serde(default)]
        dry_run: bool,
    },
    /// Fetches what the hub has; replaces nothing that was edited here. Reply: [`Reply::Transfer`].
    Pull {
        /// Name or id.
        relationship: String,
        /// Only these paths below the root; everything if there are none.
        #[serde(default)]
        paths: Vec<PathText>,
        /// Only makes a plan and keeps it.
        #[serde(default)]
        dry_run: bool,
    },
    /// Chooses by hand what is sent, or says what is chosen. Reply: [`Reply::Tracked`].
    Track {
        /// Name or id.
        relationship: String,
        /// Paths below the root, each with everything below; none only asks.
        paths: Vec<PathText>,
        /// Whether they are tracked from now on, or take no part.
        tracked: bool,
        /// Takes paths, too, at which nothing stands yet.
        #[serde(default)]
        missing: bool,
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
    /// Numbers, scans, duplicates, names. Reply: [`Reply::Survey`].
    Survey {
        /// Name or id.
        relationship: String,
        /// What is wanted.
        #[serde(flatten)]
        wish: SurveyWish,
    },
    /// Why a path is, or is not, in sync. Reply: [`Reply::Why`].
    Why {
        /// Name or id.
        relationship: String,
        /// Path below the root.
        path: PathText,
    },
    /// Lists deliveries. Reply: [`Reply::Ledger`].
    LedgerList {
        /// Name or id.
        relationship: String,
        /// Also those of items that are gone from their origin, and forgotten ones.
        #[serde(default)]
        all: bool,
    },
    /// Counts what stands in the folder as delivered. Reply: [`Reply::Counted`].
    LedgerMark {
        /// Name or id.
        relationship: String,
        /// Paths below the root; everything if there is none.
        paths: Vec<PathText>,
    },
    /// Makes deliveries count no more, so that they are made again. Reply: [`Reply::Counted`].
    LedgerForget {
        /// Name or id.
        relationship: String,
        /// Paths below the root, or ids of entries.
        which: Vec<PathText>,
    },
    /// Tries failed deliveries now. Reply: [`Reply::Counted`].
    LedgerRetry {
        /// Name or id.
        relationship: String,
        /// Paths below the root, or ids of entries.
        which: Vec<PathText>,
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
    /// Decides a conflict by a text that a person put together from its versions; these become versions of the past.
    /// Reply: [`Reply::Done`].
    ResolveMerged {
        /// Id of the conflict.
        id: String,
        /// What stands at the path from now on (at most 4 MiB).
        text: String,
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
    /// Puts the healthy content of another machine in the place of a damaged file. Reply: [`Reply::Restored`].
    Heal {
        /// Name or id.
        relationship: String,
        /// Path below the root.
        path: PathText,
        /// Name of the machine whose content is right.
        from: String,
    },
    /// The content of a file below the folder of a relationship, or of one of its versions, to be shown; links are
    /// not followed. Reply: [`Reply::Content`].
    Content {
        /// Name or id.
        relationship: String,
        /// Path below the root.
        path: PathText,
        /// This version of it; what stands there now if absent.
        version: Option<String>,
        /// A larger file is not read (at most 16 MiB).
        max_bytes: u64,
    },
    /// Counts what a folder holds, before it is shared or joined. Reply: [`Reply::Folder`].
    Folder {
        /// Absolute path.
        path: PathText,
        /// What shall be left out, in gitignore syntax.
        patterns: Vec<String>,
    },
    /// Checks the node itself. Reply: [`Reply::Doctor`].
    Doctor,
    /// Drops what retention no longer keeps. Reply: [`Reply::Gc`].
    Gc,
    /// What a peer offers this node. Reply: [`Reply::PeerShares`].
    PeerShares {
        /// Name or fingerprint.
        peer: String,
    },
    /// What [`Request::RelAdd`] with the same words would do, without writing anything. Reply: [`Reply::Preview`].
    RelPreview {
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
    /// Pauses everything that runs. Reply: [`Reply::Done`].
    PauseAll {
        /// Until this time, RFC 3339; until somebody resumes if absent.
        until: Option<String>,
    },
    /// Resumes everything that is paused. Reply: [`Reply::Done`].
    ResumeAll,
    /// Files that travel now, at most 8 each way. Reply: [`Reply::Transfers`].
    Transfers {
        /// Name or id.
        relationship: String,
    },
    /// One level of the tree of what differed at the last comparison. Reply: [`Reply::DriftLevel`].
    DriftLevel {
        /// Name or id.
        relationship: String,
        /// The folder; the root if absent.
        under: Option<PathText>,
    },
    /// What differed day by day. Reply: [`Reply::DriftHistory`].
    DriftHistory {
        /// Name or id.
        relationship: String,
        /// So many days back.
        days: u32,
    },
    /// Rows of what differed at the last comparison. Reply: [`Reply::CheckItems`].
    CheckItems(CheckItemsQuery),
    /// Rows of what is about to travel, or does not and why. Reply: [`Reply::Changes`].
    Changes {
        /// Name or id.
        relationship: String,
        /// Which of them.
        #[serde(default)]
        which: WhichChanges,
        /// Rows to pass over.
        offset: u64,
        /// Rows wanted, at most [`MOST_ROWS`].
        limit: u32,
    },
    /// The newest lines of the log. Reply: [`Reply::Log`].
    Log {
        /// How many lines (at most 10,000).
        lines: u32,
    },
    /// Settings of the node and where each comes from. Reply: [`Reply::Config`].
    ConfigShow,
    /// Writes a setting of the node into its `config.toml`; it holds from the next start on. Reply: [`Reply::Config`].
    ConfigSet {
        /// Key.
        key: String,
        /// Value, of several separated by commas; empty takes the line out, so that the default holds.
        value: String,
    },
    /// Events from now on, until the caller goes away.
    Subscribe,
    /// Ends the node in an orderly way. Reply: [`Reply::Done`].
    Shutdown,
}

/// Which history is wanted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(optional_fields = nullable))]
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
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
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
    /// Nodes on the local network.
    Nearby(Vec<NearbyNode>),
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
    /// Outcome of a push or pull.
    Transfer(Box<Transfer>),
    /// What is chosen by hand.
    Tracked(Tracked),
    /// A comparison.
    Check(Check),
    /// A survey.
    Survey(Survey),
    /// Reasons.
    Why(Why),
    /// Deliveries.
    Ledger(Vec<LedgerItem>),
    /// How many were meant.
    Counted(u64),
    /// Conflicts.
    Conflicts(Vec<ConflictInfo>),
    /// History.
    History(Vec<HistoryRow>),
    /// Versions.
    Versions(Vec<VersionInfo>),
    /// What was restored.
    Restored(Restored),
    /// A content to be shown.
    Content(Content),
    /// What a folder holds.
    Folder(Folder),
    /// Findings of the self-check.
    Doctor(Vec<DoctorFinding>),
    /// What was dropped.
    Gc(GcReport),
    /// What a peer offers.
    PeerShares(Vec<PeerShare>),
    /// Files that travel.
    Transfers(Vec<TransferInfo>),
    /// A level of what differs.
    DriftLevel(DriftLevel),
    /// Drift by day.
    DriftHistory(Vec<DriftPoint>),
    /// Rows of what differs.
    CheckItems(CheckItems),
    /// Rows of what is left to do.
    Changes(PendingChanges),
    /// Log lines.
    Log(Vec<String>),
    /// Settings.
    Config(Vec<ConfigEntry>),
}
