// Generated from the node's public API (src-tauri/crates/node/src/api.rs); do not edit. To write it anew:
// EVENFOLD_UPDATE=1 cargo test -p evenfold-node --features ts --test typescript

/**
 * An error with a stable code. The message says what happened and where, and what was not changed; the hint
 * says what to do.
 */
export type ApiError = {
/** Stable code. */
code: ErrorCode,
/** What happened, where, and what was and was not changed. */
message: string,
/** The safe next step. */
hint: string | null, };

/** One change of a plan. */
export type ChangeInfo = {
/** Name of the machine on which it happens. */
node: string,
/** `create`, `replace`, `delete`, `metadata`, `conflict-copy`. */
act: string,
/** Bytes. */
bytes: number,
/** Files, for a folder. */
files: number,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** A comparison. */
export type Check = {
/** Whether both sides were looked at completely and compared by digest. */
verified: boolean,
/** Why not. */
unverified_reason: ErrorInfo | null,
/** Since when it is unknown, RFC 3339. */
unknown_since: string | null,
/** When it was compared, RFC 3339. */
compared_at: string | null,
/** Files by finding. */
counts: Counts,
/** Bytes by finding. */
bytes: Counts,
/**
 * Files that count as in sync by size and time, while what is known of their contents differs; only a deep check
 * tells which of them are damaged.
 */
suspects: number,
/** What is not in sync, path by path. */
items: Array<CheckItem>, };

/** A path that is not in sync. */
export type CheckItem = {
/** Finding, as in [`Counts`]. */
finding: string,
/** Evidence in words. */
detail: string,
/** Bytes. */
bytes: number,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** Rows of the last comparison. */
export type CheckItems = {
/** How many there are in all. */
total: number,
/** Those that were wanted. */
rows: Array<CheckItem>, };

/** Which rows of the last comparison are wanted. */
export type CheckItemsQuery = {
/** Name or id of the relationship. */
relationship: string,
/** Only below this folder. */
under: PathText | null,
/** Only these findings; all if empty. */
findings: Array<string>,
/** `path`, `bytes` or `finding`. */
sort: string,
/** The other way round. */
descending: boolean,
/** Rows to pass over. */
offset: number,
/** Rows wanted, at most [`MOST_ROWS`]. */
limit: number, };

/** A setting of the node. */
export type ConfigEntry = {
/** Key. */
key: string,
/** Value. */
value: string,
/** `flag`, `environment`, `config.toml`, `default`. */
origin: string, };

/** A conflict that waits. */
export type ConflictInfo = {
/** Id for `resolve`. */
id: string,
/** Name of the relationship. */
relationship: string,
/** The versions. */
versions: Array<ConflictVersion>,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** One version of a path under dispute. */
export type ConflictVersion = {
/** Machine that wrote it. */
node: string,
/** Bytes. */
size: number | null,
/** Modification time, RFC 3339. */
mtime: string | null,
/** Whether it has the original name. */
current: boolean,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** The content of a file, as far as it can be shown. */
export type Content = {
/** `text`, `image`, `binary`, `too-large`. */
kind: string,
/** Bytes. */
size: number,
/** The text. */
text: string | null,
/** The picture as a `data:` address. */
data_url: string | null, };

/** Numbers by finding. */
export type Counts = {
/** Equal. */
in_sync: number,
/** Only at the source. */
missing: number,
/** Older at the target. */
stale: number,
/** Only at the target. */
orphaned: number,
/** At another path. */
moved: number,
/** Other content than the known digest although size and time are equal. */
corrupt: number,
/** Changed on both sides. */
conflict: number,
/** Unreadable. */
error: number,
/** Left out by the rules. */
excluded: number,
/** Not verified. */
unknown: number, };

/** A finding of the self-check. */
export type DoctorFinding = {
/** `ok`, `warning`, `error`. */
level: string,
/** What was checked. */
check: string,
/** What was found. */
message: string,
/** The next step. */
hint: string | null, };

/** A folder or file in a level of the tree of what differs. */
export type DriftEntry = {
/** Whether it is a folder. */
folder: boolean,
/** Files in it, on the side that has more. */
files: number,
/** Bytes in it, on the side that has more. */
bytes: number,
/** Paths in it that differ. */
differing_files: number,
/** Bytes that would have to travel. */
differing_bytes: number,
/** Paths by finding. */
counts: Counts,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** What differs now. */
export type DriftInfo = {
/** Paths. */
files: number,
/** Bytes that would have to travel. */
bytes: number,
/** Age of the oldest difference in seconds. */
oldest_seconds: number | null, };

/** One level of the tree of what differs. */
export type DriftLevel = {
/** When it was compared, RFC 3339. */
compared_at: string | null,
/** Whether contents were hashed again for it. */
deep: boolean,
/** All of it. */
total: DriftEntry,
/** The largest entries, at most 200. */
entries: Array<DriftEntry>,
/** The sum of the others, if there are more. */
rest: DriftEntry | null, };

/** What differed at the end of a day. */
export type DriftPoint = {
/** When it was seen last on that day, RFC 3339. */
time: string,
/** Paths. */
files: number,
/** Bytes. */
bytes: number, };

/** Files of equal content. */
export type Duplicates = {
/** Beginning of the content's digest. */
digest: string,
/** Bytes of one of them. */
size: number,
/** How many there are. */
count: number,
/** The first of them by path. */
paths: Array<PathText>, };

/** An endpoint of a relationship. */
export type EndpointStatus = {
/** Name of the machine. */
node: string,
/** Its part. */
role: string,
/** Whether it can be reached now. */
online: boolean,
/** When it was last heard of, RFC 3339. */
last_seen: string | null,
/** How it is reached, where that is not a plain connection between two nodes. */
way?: WayInfo | null,
/** What it may do with the hub's folder, `write` or `read`, where that is known; absent for the hub itself. */
access?: string | null, } & Partial<PathText>;

/** What an endpoint holds. */
export type EndpointSummary = {
/** Name of the machine. */
node: string,
/** Whether it could be looked at; otherwise the numbers are 0 and say nothing. */
known: boolean,
/** Whether all of it could be looked at. */
complete: boolean,
/** Files and links. */
files: number,
/** Folders. */
folders: number,
/** Bytes. */
bytes: number,
/** Paths that could not be looked at or cannot take part. */
errors: number,
/** The last time that it was looked at as a whole. */
last_scan: ScanInfo | null, };

/** Stable codes of errors. */
export type ErrorCode = "usage" | "setting" | "not-found" | "exists" | "folder" | "unreachable" | "key-changed" | "key-unknown" | "key-encrypted" | "refused" | "pairing-failed" | "held" | "plan-outdated" | "already-running" | "store" | "timeout" | "io" | "internal";

/** An error in words. */
export type ErrorInfo = {
/** Stable code. */
code: string,
/** What happened. */
message: string,
/** The safe next step. */
hint: string, };

/** What happens while a request runs, or at any time for a subscriber. A nudge to read again, never the truth. */
export type Event = { "event": "relationship",
/** UUID. */
id: string, } | { "event": "progress",
/** UUID. */
id: string,
/** How far. */
progress: Progress, } | { "event": "peers" };

/** What a folder holds. */
export type Folder = {
/** Files and links that would take part. */
files: number,
/** Their bytes. */
bytes: number,
/** Files that the patterns leave out. */
ignored: number,
/** Their bytes. */
ignored_bytes: number,
/** Directories that cannot be listed. */
unreadable: number,
/** Free bytes of the file system, for this user. */
free_bytes: number | null,
/** Whether everything was counted; a very large folder is given up after some seconds. */
complete: boolean, };

/** A path whose name was looked for. */
export type FoundPath = {
/** Machines that have it. */
nodes: Array<string>,
/** `file`, `folder`, `link`, `unknown`. */
kind: string,
/** Bytes, of the first machine's. */
size: number,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** What was dropped. */
export type GcReport = {
/** Versions dropped. */
versions: number,
/** Bytes freed. */
bytes: number,
/** Leftovers of interrupted transfers dropped. */
partials: number, };

/** Why a relationship is held. */
export type HaltInfo = {
/** Stable code. */
code: string,
/** What happened, where, and what was not changed. */
message: string,
/** The safe next step. */
hint: string,
/** Plan that can be applied, where approving is possible. */
plan: string | null,
/** The machine that it is about: its folder, or where things would be deleted. */
machine: string | null,
/** Items that would be deleted, or that a folder held which is empty now. */
items: number | null,
/** Of how many items they would be deleted. */
of: number | null, };

/** Which history is wanted. */
export type HistoryQuery = {
/** Name or id of a relationship. */
relationship?: string | null,
/** Glob over paths. */
path?: string | null,
/** Earliest time, RFC 3339 or a duration back from now such as `2h`. */
since?: string | null,
/** Name of the machine that did it. */
node?: string | null,
/** Kind of act. */
kind?: string | null,
/** At most this many rows (default 100). */
limit?: number | null,
/** Only rows with a smaller id, for paging. */
before?: number | null, };

/** A row of the history. */
export type HistoryRow = {
/** Number, rising. */
id: number,
/** When, RFC 3339. */
time: string,
/** Relationship. */
relationship: string,
/** `create`, `update`, `delete`, `rename`, `metadata`, `conflict`, `restore`, `resolve`, `halt`, `error`, …. */
kind: string,
/** Machine that did it first. */
node: string,
/** Machine on which it was carried out. */
on: string,
/** Bytes. */
bytes: number | null,
/** More in words. */
detail: string | null, } & Partial<PathText>;

/** A relationship with a folder on a host that runs OpenSSH's server. */
export type HostAdd = {
/** Name of the relationship. */
name: string,
/** Kind. */
kind: string,
/** Absolute path of the local folder, which must exist. */
path: PathText,
/** `ssh://user@host:port/path`. */
target: string,
/** Whether changes come from the host, where they travel one way. */
from_host: boolean,
/** Settings. */
settings: Array<[string, string]>,
/** Whether it begins paused. */
paused: boolean,
/** Fingerprints of host keys that a person has compared and accepts. */
accept_keys: Array<string>,
/** Passphrases of encrypted keys; kept in memory only. */
passphrases: Array<Secret>, };

/** What to join and where. */
export type Join = {
/** Name or fingerprint of the peer that shares; absent when `code` is given. */
peer?: string | null,
/** Name of the share; absent when a code says it. */
share?: string | null,
/** Absolute path of the local folder, which must exist. */
path: PathText,
/** `spoke`, `source` or `destination`; the kind's own default if absent. */
role?: string | null,
/** Settings of this endpoint. */
settings: Array<[string, string]>,
/** Whether it begins paused. */
paused: boolean, };

/** A delivery: one item in one version on its way to one destination. */
export type LedgerItem = {
/** Id; empty for an item that is not offered yet. */
id: string,
/** Which version: of a file, the BLAKE3 digest of its content. */
version: string,
/** Name of the machine it comes from. */
origin: string,
/** Name of the machine it is owed to; `any` for what was marked as delivered. */
destination: string,
/**
 * `settling`, `ready`, `reserved`, `transferring`, `verifying`, `delivered`, `acknowledged`, `finalised`, `released`,
 * `waiting`, `retrying`, `quarantined`, `skipped`, `failed`.
 */
state: string,
/** Why, for the states that have a reason. */
reason: string | null,
/** Bytes. */
bytes: number,
/** Files, links and folders. */
files: number,
/** Attempts that failed. */
attempts: number,
/** When the next attempt begins, RFC 3339. */
retry_at: string | null,
/** Whether the hub holds a whole and verified copy. */
at_hub: boolean,
/** Where the destination put it, below its folder. */
placed_at: string | null,
/** When it was first offered, RFC 3339. */
since: string | null,
/** When the destination had it, RFC 3339. */
delivered_at: string | null,
/** When its origin confirmed that, RFC 3339. */
finalised_at: string | null,
/** When the hub's copy was dropped, RFC 3339. */
released_at: string | null,
/** Why a hook for it failed on this machine, until it succeeds. */
hook_error: string | null,
/** Whether the item is gone from its origin since. */
gone: boolean,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** A path that did not travel. */
export type LeftPath = {
/** Stable code of the reason. */
reason: string,
/** The reason in words. */
detail: string,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** What happens on one side. */
export type Movement = {
/** New files. */
new: number,
/** Replaced files. */
replaced: number,
/** Deleted files. */
deleted: number,
/** Bytes that arrive. */
bytes: number, };

/** A node on the local network. Anybody could say so: only pairing proves it. */
export type NearbyNode = {
/** What it calls itself. */
name: string,
/** The fingerprint of the key that it says is its own. */
fingerprint: string,
/** Where it says that it can be reached. */
addresses: Array<string>,
/** Its name here, if it is paired. */
peer?: string | null, };

/** About a node. */
export type NodeInfo = {
/** Its name. */
name: string,
/** Fingerprint of its key, `SHA256:…`. */
fingerprint: string,
/** `HOST:PORT` on which it listens. */
addresses: Array<string>,
/** Its home directory. */
home: string,
/** Version of the program. */
version: string, };

/** A pairing offer. */
export type Offer = {
/** The one-time code. */
code: string,
/** Where to reach this node. */
addresses: Array<string>,
/** When the code ends, RFC 3339. */
expires_at: string, };

/** A pairing that succeeded. */
export type Paired = {
/** Name of the peer. */
name: string,
/** Fingerprint of its key. */
fingerprint: string,
/** The short check that both sides show; empty where keys were compared instead. */
check: string,
/** What the offering side shares through this code, if anything. */
share: string | null, };

/** A path below a root or of a root, lossless also where it is not UTF-8. */
export type PathText = {
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** A pinned peer. */
export type PeerInfo = {
/** Its name here. */
name: string,
/** Fingerprint of its key. */
fingerprint: string,
/** Where it was last reached or says that it can be reached; `via:NAME` is through another node. */
addresses: Array<string>,
/** Whether a connection stands now. */
online: boolean,
/** When it was last heard of, RFC 3339. */
last_seen: string | null,
/** Since when it is offline, RFC 3339. */
offline_since: string | null,
/** Names of the relationships shared with it. */
relationships: Array<string>,
/** How it is connected now, if it is. */
way?: WayInfo | null,
/** How far its clock is ahead of ours, in seconds, where it was measured. */
clock_offset_seconds?: number | null,
/** Which version of Evenfold it runs, where it was connected since this node started. */
version?: string | null, };

/** A folder that a peer offers. */
export type PeerShare = {
/** Its name there. */
name: string,
/** Kind. */
kind: string,
/** Role that this node would have. */
role: string,
/** Whether this node has joined it already. */
joined: boolean, };

/** A path that is about to travel, or does not, and why. */
export type PendingChange = {
/** Stable code as in `why`; `pending` for what travels with the next cycle. */
reason: string,
/** Name of the machine on which it happens. */
node: string,
/** `create`, `replace`, `delete`, `metadata`, `conflict-copy`. */
act: string,
/** Bytes. */
bytes: number,
/** Files, for a folder. */
files: number,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** Rows of what is left to do. */
export type PendingChanges = {
/** How many there are in all. */
total: number,
/** Those that were wanted. */
rows: Array<PendingChange>,
/** How many travel by themselves; absent where a member of the first version was asked. */
travels: number | null,
/** How many do not. */
stays: number | null, };

/** A measured way to a peer. */
export type Ping = {
/** Name of the peer. */
name: string,
/** Its address. */
address: string,
/** Round trip in milliseconds. */
milliseconds: number,
/** Bytes sent to it over the present connection, as counted at the socket. */
bytes_sent: number,
/** Bytes received from it. */
bytes_received: number, };

/** A plan in numbers, with its first changes. */
export type PlanInfo = {
/** Id with which it can be applied; absent for a preview of a join. */
id: string | null,
/** Kind of the relationship. */
kind: string,
/** Name of the machine on our side. */
ours: string,
/** Name of the machine on their side. */
theirs: string,
/** What would happen here. */
here: Movement,
/** What would happen there. */
there: Movement,
/** Number of conflicts. */
conflicts: number,
/** Number of paths that would not converge for another reason. */
blocked: number,
/** Free bytes here. */
free_here: number | null,
/** Free bytes there. */
free_there: number | null,
/** Changes one by one, at most 1,000 each way. */
changes: Array<ChangeInfo>,
/** Why it would be held. */
halt: HaltInfo | null, };

/** What is going on. */
export type Progress = {
/** `scanning`, `comparing`, `transferring`, `applying`, `committing`. */
phase: string,
/** Files done. */
files_done: number,
/** Files in all. */
files_total: number,
/** Bytes done. */
bytes_done: number,
/** Bytes in all. */
bytes_total: number,
/** Mean of the last 10 s. */
bytes_per_second: number,
/** Estimate. */
eta_seconds: number | null, };

/** A relationship as this node sees it. */
export type RelationshipInfo = {
/** UUID. */
id: string,
/** Name. */
name: string,
/** Kind. */
kind: string,
/** This node's part: `hub`, `spoke`, `source`, `destination`. */
role: string,
/** The peer that is the hub, where this node is not. */
hub: string | null,
/** Its name at the hub, where this node is not. */
share: string | null,
/** Members, where this node is the hub. */
members: Array<string>,
/** What this node may do with the hub's folder, `write` or `read`; absent at the hub. */
access?: string | null,
/** At the hub, what each member may do, `write` or `read`. */
member_access?: { [key in string]: string },
/** Whether it is paused. */
paused: boolean,
/** All settings, those of the kind's preset included. */
settings: Array<[string, string]>,
/** How a folder on a host with SSH was reached last. */
way?: WayInfo | null,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** State of a relationship. */
export type RelationshipStatus = {
/** UUID. */
id: string,
/** Name. */
name: string,
/** Kind. */
kind: string,
/** This node's part. */
role: string,
/** `in-sync`, `syncing`, `scanning`, `differs`, `conflicts`, `held`, `unknown`, `paused`, `waiting`. */
state: string,
/** Why nothing happens until a person looked. */
halt: HaltInfo | null,
/** When all endpoints were last compared by digest, RFC 3339. */
verified_at: string | null,
/** Since when that is not known any more, RFC 3339. */
unknown_since: string | null,
/** Endpoints. */
endpoints: Array<EndpointStatus>,
/** What differs; `null` if unknown. */
drift: DriftInfo | null,
/**
 * What changed on this machine since both sides were equal, while the other side cannot be reached or this is
 * paused: it waits here to travel.
 */
waiting: DriftInfo | null,
/** What is going on. */
progress: Progress | null,
/** Conflicts that wait. */
conflicts: number,
/** Paths that do not converge for another reason. */
problems: number,
/** The last error that retrying did not mend yet. */
error: ErrorInfo | null,
/** When the next attempt is made after an error, RFC 3339. */
retry_at: string | null,
/** When its pause ends by itself, RFC 3339. */
paused_until: string | null,
/** Where the relationship delivers: how many deliveries are in which state. */
deliveries: { [key in string]: number } | null, };

/** Answers. */
export type Reply = { "reply": "done" } | { "reply": "node", "data": NodeInfo } | { "reply": "offer", "data": Offer } | { "reply": "paired", "data": Paired } | { "reply": "peers", "data": Array<PeerInfo> } | { "reply": "nearby", "data": Array<NearbyNode> } | { "reply": "ping", "data": Ping } | { "reply": "relationship", "data": RelationshipInfo } | { "reply": "relationships", "data": Array<RelationshipInfo> } | { "reply": "preview", "data": PlanInfo } | { "reply": "status", "data": Status } | { "reply": "synced", "data": Synced } | { "reply": "transfer", "data": Transfer } | { "reply": "tracked", "data": Tracked } | { "reply": "check", "data": Check } | { "reply": "survey", "data": Survey } | { "reply": "why", "data": Why } | { "reply": "ledger", "data": Array<LedgerItem> } | { "reply": "counted", "data": number } | { "reply": "conflicts", "data": Array<ConflictInfo> } | { "reply": "history", "data": Array<HistoryRow> } | { "reply": "versions", "data": Array<VersionInfo> } | { "reply": "restored", "data": Restored } | { "reply": "content", "data": Content } | { "reply": "folder", "data": Folder } | { "reply": "doctor", "data": Array<DoctorFinding> } | { "reply": "gc", "data": GcReport } | { "reply": "peer-shares", "data": Array<PeerShare> } | { "reply": "transfers", "data": Array<TransferInfo> } | { "reply": "drift-level", "data": DriftLevel } | { "reply": "drift-history", "data": Array<DriftPoint> } | { "reply": "check-items", "data": CheckItems } | { "reply": "changes", "data": PendingChanges } | { "reply": "log", "data": Array<string> } | { "reply": "config", "data": Array<ConfigEntry> };

/** What may be asked of a node. */
export type Request = { "request": "node-show" } | { "request": "pair-offer",
/** How long the code is valid, in minutes (1 to 1440). */
minutes: number,
/**
 * Name of the relationship that whoever takes the offer is meant to join; it comes back to both sides
 * in [`Paired::share`].
 */
share?: string | null, } | { "request": "pair-wait",
/** The code of the offer. */
code: string, } | { "request": "pair-accept",
/** The one-time code. */
code: string,
/**
 * `HOST:PORT` of the node that offered, or `via:HUB` or `via:HUB/NODE` where it is reached through a peer;
 * searched for on the local network if absent.
 */
address?: string | null, } | { "request": "nearby" } | { "request": "peer-list" } | { "request": "peer-add",
/** `SHA256:` and 43 characters. */
fingerprint: string,
/** `host:port`. */
address: string,
/** What it is called here; by its address if absent. */
name?: string | null, } | { "request": "peer-rename",
/** Name or fingerprint. */
peer: string,
/** The new name. */
name: string, } | { "request": "peer-via",
/** Name or fingerprint of the one that is to be reached. */
peer: string,
/** Name or fingerprint of the one in the middle; none any more if absent. */
middle?: string | null, } | { "request": "peer-remove",
/** Name or fingerprint. */
peer: string, } | { "request": "peer-ping",
/** Name or fingerprint. */
peer: string, } | { "request": "share",
/** Absolute path of the folder, which must exist. */
path: PathText,
/** Name of the relationship, unique on this node. */
name: string,
/** One of the kinds. */
kind: string,
/** Settings that differ from the kind's preset. */
settings: Array<[string, string]>,
/** Whether it begins paused: nothing travels before it is resumed. */
paused: boolean, } | { "request": "join-preview" } & Join | { "request": "join" } & Join | { "request": "rel-add",
/** Name of the relationship. */
name: string,
/** Kind. */
kind: string,
/** Local folder. */
path: PathText,
/** `PEER:/absolute/path`. */
target: string,
/** Settings. */
settings: Array<[string, string]>,
/** Whether it begins paused. */
paused: boolean, } | { "request": "host-add" } & HostAdd | { "request": "host-unlock",
/** The passphrase. */
passphrase: Secret, } | { "request": "rel-list" } | { "request": "rel-show",
/** Name or id. */
relationship: string, } | { "request": "rel-edit",
/** Name or id. */
relationship: string,
/** Settings to change. */
settings: Array<[string, string]>, } | { "request": "rel-access",
/** Name or id. */
relationship: string,
/** Name or fingerprint of the member; nothing is changed if absent. */
member?: string | null,
/** `read`, `write`, or `default`: as the relationship's setting `access` says. */
access?: string | null, } | { "request": "rel-pause",
/** Name or id. */
relationship: string, } | { "request": "rel-resume",
/** Name or id. */
relationship: string, } | { "request": "rel-remove",
/** Name or id. */
relationship: string, } | { "request": "status",
/** Name or id; all if absent. */
relationship?: string | null, } | { "request": "sync",
/** Name or id. */
relationship: string,
/** Only makes a plan and keeps it. */
dry_run: boolean,
/** Waits until all reachable endpoints were compared and are equal, or something needs a person. */
wait: boolean,
/** Gives up waiting after this many seconds (the sync itself goes on). */
timeout_seconds?: number | null, } | { "request": "push",
/** Name or id. */
relationship: string,
/** Only these paths below the root; everything that is tracked if there are none. */
paths: Array<PathText>,
/** Sends everything again, over whatever the hub has; what that replaces becomes a version. */
force: boolean,
/** Only makes a plan and keeps it. */
dry_run: boolean, } | { "request": "pull",
/** Name or id. */
relationship: string,
/** Only these paths below the root; everything if there are none. */
paths: Array<PathText>,
/** Only makes a plan and keeps it. */
dry_run: boolean, } | { "request": "track",
/** Name or id. */
relationship: string,
/** Paths below the root, each with everything below; none only asks. */
paths: Array<PathText>,
/** Whether they are tracked from now on, or take no part. */
tracked: boolean,
/** Takes paths, too, at which nothing stands yet. */
missing: boolean, } | { "request": "apply",
/** Id of the plan. */
plan: string, } | { "request": "check",
/** Name or id. */
relationship: string,
/** Hashes all contents again. */
deep: boolean, } | { "request": "survey",
/** Name or id. */
relationship: string,
/** Numbers by endpoint and by type of file. */
stats: boolean,
/** Files of equal content. */
duplicates: boolean,
/** Paths whose name holds this text, whatever its case; with `*` and `?`, names that match as a whole. */
find: string | null,
/** When the folders were looked at. */
scans: boolean,
/** At most so many rows of each list (default 100). */
limit: number | null, } | { "request": "why",
/** Name or id. */
relationship: string,
/** Path below the root. */
path: PathText, } | { "request": "ledger-list",
/** Name or id. */
relationship: string,
/** Also those of items that are gone from their origin, and forgotten ones. */
all: boolean, } | { "request": "ledger-mark",
/** Name or id. */
relationship: string,
/** Paths below the root; everything if there is none. */
paths: Array<PathText>, } | { "request": "ledger-forget",
/** Name or id. */
relationship: string,
/** Paths below the root, or ids of entries. */
which: Array<PathText>, } | { "request": "ledger-retry",
/** Name or id. */
relationship: string,
/** Paths below the root, or ids of entries. */
which: Array<PathText>, } | { "request": "conflicts",
/** Name or id; all if absent. */
relationship?: string | null, } | { "request": "resolve",
/** Id of the conflict. */
id: string,
/** Name of the machine whose version stays, or `both`. */
keep: string, } | { "request": "resolve-merged",
/** Id of the conflict. */
id: string,
/** What stands at the path from now on (at most 4 MiB). */
text: string, } | { "request": "history" } & HistoryQuery | { "request": "versions",
/** Name or id. */
relationship: string,
/** Path below the root. */
path: PathText, } | { "request": "restore",
/** Name or id. */
relationship: string,
/** Path below the root. */
path: PathText,
/** State as of this time (RFC 3339), or */
at?: string | null,
/** this version; the newest version if neither is given. */
version?: string | null,
/** Another path below the root to restore to. */
to?: PathText | null, } | { "request": "heal",
/** Name or id. */
relationship: string,
/** Path below the root. */
path: PathText,
/** Name of the machine whose content is right. */
from: string, } | { "request": "content",
/** Name or id. */
relationship: string,
/** Path below the root. */
path: PathText,
/** This version of it; what stands there now if absent. */
version?: string | null,
/** A larger file is not read (at most 16 MiB). */
max_bytes: number, } | { "request": "folder",
/** Absolute path. */
path: PathText,
/** What shall be left out, in gitignore syntax. */
patterns: Array<string>, } | { "request": "doctor" } | { "request": "gc" } | { "request": "peer-shares",
/** Name or fingerprint. */
peer: string, } | { "request": "rel-preview",
/** Name of the relationship. */
name: string,
/** Kind. */
kind: string,
/** Local folder. */
path: PathText,
/** `PEER:/absolute/path`. */
target: string,
/** Settings. */
settings: Array<[string, string]>, } | { "request": "pause-all",
/** Until this time, RFC 3339; until somebody resumes if absent. */
until?: string | null, } | { "request": "resume-all" } | { "request": "transfers",
/** Name or id. */
relationship: string, } | { "request": "drift-level",
/** Name or id. */
relationship: string,
/** The folder; the root if absent. */
under?: PathText | null, } | { "request": "drift-history",
/** Name or id. */
relationship: string,
/** So many days back. */
days: number, } | { "request": "check-items" } & CheckItemsQuery | { "request": "changes",
/** Name or id. */
relationship: string,
/** Which of them. */
which: WhichChanges,
/** Rows to pass over. */
offset: number,
/** Rows wanted, at most [`MOST_ROWS`]. */
limit: number, } | { "request": "log",
/** How many lines (at most 10,000). */
lines: number, } | { "request": "config-show" } | { "request": "config-set",
/** Key. */
key: string,
/** Value, of several separated by commas; empty takes the line out, so that the default holds. */
value: string, } | { "request": "subscribe" } | { "request": "shutdown" };

/** What was restored. */
export type Restored = {
/** The version that was brought back. */
version: string,
/** The version under which the replaced content is kept, if any. */
replaced: string | null,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** One look at a whole folder. */
export type ScanInfo = {
/** Name of the machine. */
node: string,
/** When it began, RFC 3339. */
started: string,
/** When it ended, RFC 3339. */
ended: string,
/** Whether all contents were read. */
deep: boolean,
/** Whether it came to its end. */
success: boolean,
/** Files and links. */
files: number,
/** Bytes. */
bytes: number,
/** Bytes of content that were read. */
read: number,
/** Paths that could not be looked at. */
errors: number,
/** Files looked at in a second. */
files_per_second: number,
/** Bytes of content read in a second. */
bytes_per_second: number,
/** Why it failed. */
detail: string | null, };

/** A text that is not shown in logs. */
export type Secret = string;

/** State of a node. */
export type Status = {
/** The node. */
node: NodeInfo,
/** Its relationships. */
relationships: Array<RelationshipStatus>, };

/** A survey of the folders of a relationship. */
export type Survey = {
/** Whether all endpoints of this pair could be looked at. */
complete: boolean,
/** Numbers by endpoint. */
endpoints: Array<EndpointSummary>,
/** Numbers by type of file and endpoint, most bytes first. */
types: Array<TypeSummary>,
/** When the folders were looked at, newest first. */
scans: Array<ScanInfo>,
/** Files of equal content in this node's folder, most wasted bytes first. */
duplicates: Array<Duplicates>,
/** Where the name is. */
found: Array<FoundPath>, };

/** How a cycle ended. */
export type Synced = {
/** `equal`, `differs`, `conflicts`, `held`, `unknown`, `planned`, `timeout`, `started`. */
outcome: string,
/** State afterwards. */
status: RelationshipStatus,
/** The plan, for a dry run or a halt. */
plan: PlanInfo | null,
/** Files changed here and there. */
files: number,
/** Bytes of content that travelled. */
bytes: number, };

/** Which paths are chosen by hand. */
export type Tracked = {
/** What changed just now. */
changed: Array<PathText>,
/** What was so already. */
already: Array<PathText>,
/** All that is tracked, each with everything below it. */
tracked: Array<PathText>,
/** All that takes no part, each with everything below it. */
untracked: Array<PathText>, };

/** What became of a push or pull. */
export type Transfer = {
/**
 * `pushed`, `pulled`, `unchanged`, `refused` (nothing was sent), `conflicts`, `incomplete`, `held`, `planned`,
 * `unknown`.
 */
outcome: string,
/** Files, folders and links put in place or taken away. */
files: number,
/** Bytes of content that travelled. */
bytes: number,
/** What did not travel, and why. */
left: Array<LeftPath>,
/** The plan, for a dry run or a halt. */
plan: PlanInfo | null,
/** State afterwards. */
status: RelationshipStatus, };

/** A file that travels, or arrived within the last 5 s. */
export type TransferInfo = {
/** `up` or `down`, as seen from this node. */
direction: string,
/** The other machine. */
node: string,
/** Bytes that travelled. */
bytes_done: number,
/** Bytes of the file. */
bytes_total: number,
/** Whether all of it has travelled. */
finished: boolean,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** What an endpoint holds of one type of file. */
export type TypeSummary = {
/** Name of the machine. */
node: string,
/** What stands behind the last dot of the name, in small letters; empty where there is none. */
extension: string,
/** Files. */
files: number,
/** Bytes. */
bytes: number, };

/** An earlier content. */
export type VersionInfo = {
/** Id for `restore`. */
id: string,
/** When it was replaced or deleted, RFC 3339. */
time: string,
/** `file`, `folder`, `link`. */
kind: string,
/** Bytes. */
size: number | null,
/** Its modification time, RFC 3339. */
mtime: string | null,
/** `replaced`, `deleted`, `restored-over`, `conflict`. */
reason: string,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** How another machine is reached. */
export type WayInfo = {
/** `evenfold` or `sftp` for a host with SSH; `direct` or `through` for a node. */
kind: string,
/** More of it, for people: the version there, why it is not another way, or through which node. */
note: string | null, };

/** Which rows of what is left to do are wanted. */
export type WhichChanges = "all" | "travels" | "stays";

/** Why a path is, or is not, in sync. */
export type Why = {
/** One answer for each endpoint. */
endpoints: Array<WhyEndpoint>,
/** The path; bytes that are not UTF-8 are replaced. */
path: string,
/** The exact bytes in base64, only where `path` had to replace some. */
path_bytes?: string | null, };

/** One endpoint's answer. */
export type WhyEndpoint = {
/** Name of the machine. */
node: string,
/** Whether it is in sync there. */
in_sync: boolean,
/** The one reason, as a stable code; `in-sync` if there is none. */
reason: string,
/** What is known. */
evidence: string,
/** The next step. */
next: string, };
