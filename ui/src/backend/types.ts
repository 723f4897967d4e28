// The public API of a node as JSON, after `node/src/api.rs` and `node/src/api/data.rs`.

import type { ErrorCode } from './generated/api'

/** A path; `path_bytes` (base64) is there only where `path` had to replace bytes that are not UTF-8. */
export interface PathText {
  path: string
  path_bytes?: string
}

export type Setting = [key: string, value: string]

export type Kind = 'two-way' | 'mirror' | 'manual' | 'send-once' | 'relay' | 'compare'

export type RelationshipState =
  | 'in-sync'
  | 'syncing'
  | 'scanning'
  | 'differs'
  | 'conflicts'
  | 'held'
  | 'unknown'
  | 'paused'
  | 'waiting'

export type Role = 'hub' | 'spoke' | 'source' | 'destination'

/** How another machine is reached, where that is more than a plain connection between two nodes. */
export interface WayInfo {
  /** `evenfold` or `sftp` for a host with SSH; `direct` or `through` for a node. */
  kind: string
  /** More of it, for people; for `through` the machine in between. */
  note: string | null
}

export interface Join {
  peer: string | null
  share: string | null
  path: PathText
  role: string | null
  settings: Setting[]
  /** Whether it begins paused. */
  paused: boolean
}

/** What became of a push or pull. */
export interface ByHand {
  outcome: 'pushed' | 'pulled' | 'unchanged' | 'refused' | 'conflicts' | 'incomplete' | 'held' | 'planned' | 'unknown'
  files: number
  bytes: number
  /** What did not travel, and why. */
  left: (PathText & { reason: string; detail: string })[]
  plan: PlanInfo | null
  status: RelationshipStatus
}

/** A delivery: one item in one version on its way to one destination. */
export interface LedgerItem extends PathText {
  /** Empty for an item that is not offered yet. */
  id: string
  version: string
  origin: string
  destination: string
  /** See `lib/deliveries.ts` for the words. */
  state: string
  reason: string | null
  bytes: number
  files: number
  /** Attempts that failed. */
  attempts: number
  retry_at: string | null
  at_hub: boolean
  /** Where the destination put it. */
  placed_at: string | null
  since: string | null
  delivered_at: string | null
  finalised_at: string | null
  released_at: string | null
  hook_error: string | null
  gone: boolean
}

export interface HostAdd {
  name: string
  kind: string
  path: PathText
  /** `ssh://user@host:port/path`. */
  target: string
  /** Whether changes come from the host, where they travel one way. */
  from_host: boolean
  settings: Setting[]
  /** Whether it begins paused. */
  paused: boolean
  /** Fingerprints of host keys that a person has compared and accepts. */
  accept_keys: string[]
  /** Passphrases of encrypted keys. */
  passphrases: string[]
}

export interface HistoryQuery {
  relationship?: string | null
  /** Glob over paths. */
  path?: string | null
  /** RFC 3339, or a duration back from now such as `2h`. */
  since?: string | null
  node?: string | null
  kind?: string | null
  limit?: number | null
  /** Only rows with a smaller id. */
  before?: number | null
}

export interface NodeInfo {
  name: string
  fingerprint: string
  addresses: string[]
  home: string
  version: string
}

export interface Offer {
  code: string
  addresses: string[]
  expires_at: string
}

export interface Paired {
  name: string
  fingerprint: string
  /** The short check that both sides show. */
  check: string
  share: string | null
}

export interface PeerInfo {
  name: string
  fingerprint: string
  addresses: string[]
  online: boolean
  last_seen: string | null
  offline_since: string | null
  /** Which version of Evenfold it runs, where it said so. */
  version?: string | null
  relationships: string[]
  /** How far its clock is ahead of ours, in seconds, where it was measured. */
  clock_offset_seconds?: number | null
  /** How it is connected now, if it is. */
  way?: WayInfo | null
}

export interface Ping {
  name: string
  address: string
  milliseconds: number
  bytes_sent: number
  bytes_received: number
}

export interface RelationshipInfo extends PathText {
  id: string
  name: string
  kind: Kind
  role: Role
  hub: string | null
  /** Its name there, where this node is not the hub. */
  share: string | null
  members: string[]
  paused: boolean
  settings: Setting[]
}

export interface Movement {
  new: number
  replaced: number
  deleted: number
  bytes: number
}

export interface ChangeInfo extends PathText {
  /** Machine on which it happens. */
  node: string
  act: 'create' | 'replace' | 'delete' | 'metadata' | 'conflict-copy'
  bytes: number
  files: number
}

export interface HaltInfo {
  code: string
  message: string
  hint: string
  /** Plan that can be applied, where approving is possible. */
  plan: string | null
  /** The machine that it is about. */
  machine: string | null
  /** Items that would be deleted, or that a folder held which is empty now. */
  items: number | null
  /** Of how many items they would be deleted. */
  of: number | null
}

export interface ErrorInfo {
  code: string
  message: string
  hint: string
}

export interface PlanInfo {
  id: string | null
  kind: Kind | ''
  ours: string
  theirs: string
  here: Movement
  there: Movement
  conflicts: number
  blocked: number
  free_here: number | null
  free_there: number | null
  changes: ChangeInfo[]
  halt: HaltInfo | null
}

export interface DriftInfo {
  files: number
  bytes: number
  oldest_seconds: number | null
}

export interface Progress {
  phase: 'scanning' | 'comparing' | 'transferring' | 'applying' | 'committing'
  files_done: number
  files_total: number
  bytes_done: number
  bytes_total: number
  bytes_per_second: number
  eta_seconds: number | null
}

export interface EndpointStatus extends Partial<PathText> {
  node: string
  /** `host`: it runs nothing but SSH. */
  role: Role | 'host'
  online: boolean
  last_seen: string | null
  way?: WayInfo | null
  /** What it may do with the hub's folder, where that is known and not the same for all. */
  access?: string | null
}

export interface RelationshipStatus {
  id: string
  name: string
  kind: Kind
  role: Role
  state: RelationshipState
  halt: HaltInfo | null
  verified_at: string | null
  unknown_since: string | null
  endpoints: EndpointStatus[]
  drift: DriftInfo | null
  /** What changed here since both sides were equal, while the other side is away or this is paused. */
  waiting: DriftInfo | null
  progress: Progress | null
  conflicts: number
  problems: number
  error: ErrorInfo | null
  retry_at: string | null
  /** Until when it is paused, RFC 3339; null: until somebody resumes it. */
  paused_until: string | null
  /** Where the relationship delivers: how many deliveries are in which state. */
  deliveries: Record<string, number> | null
}

export interface Status {
  node: NodeInfo
  relationships: RelationshipStatus[]
}

export interface Synced {
  outcome: 'equal' | 'differs' | 'conflicts' | 'held' | 'unknown' | 'planned' | 'timeout' | 'started'
  status: RelationshipStatus
  plan: PlanInfo | null
  files: number
  bytes: number
}

export type Finding =
  | 'in_sync'
  | 'missing'
  | 'stale'
  | 'orphaned'
  | 'moved'
  | 'corrupt'
  | 'conflict'
  | 'error'
  | 'excluded'
  | 'unknown'

export type Counts = Record<Finding, number>

export interface CheckItem extends PathText {
  /** As in `Counts`, with hyphens. */
  finding: string
  detail: string
  bytes: number
}

export interface Check {
  verified: boolean
  unverified_reason: ErrorInfo | null
  unknown_since: string | null
  compared_at: string | null
  counts: Counts
  bytes: Counts
  /** Files in sync by size and time, while what is known of their contents differs. */
  suspects: number
  items: CheckItem[]
}

export interface WhyEndpoint {
  node: string
  in_sync: boolean
  reason: string
  evidence: string
  next: string
}

export interface Why extends PathText {
  endpoints: WhyEndpoint[]
}

export interface ConflictVersion extends PathText {
  node: string
  size: number | null
  mtime: string | null
  /** Whether it has the original name. */
  current: boolean
}

export interface ConflictInfo extends PathText {
  id: string
  relationship: string
  versions: ConflictVersion[]
}

export interface HistoryRow extends Partial<PathText> {
  id: number
  time: string
  relationship: string
  kind: string
  node: string
  on: string
  bytes: number | null
  detail: string | null
}

export interface VersionInfo extends PathText {
  id: string
  time: string
  kind: 'file' | 'folder' | 'link'
  size: number | null
  mtime: string | null
  reason: 'replaced' | 'deleted' | 'restored-over' | 'conflict'
}

export interface Restored extends PathText {
  version: string
  replaced: string | null
}

export interface DoctorFinding {
  level: 'ok' | 'warning' | 'error'
  check: string
  message: string
  hint: string | null
}

export interface GcReport {
  versions: number
  bytes: number
  partials: number
}

export interface ConfigEntry {
  key: string
  value: string
  origin: 'flag' | 'environment' | 'config.toml' | 'default'
}

export type { ErrorCode }

export interface ApiError {
  code: ErrorCode
  message: string
  hint: string | null
}

export type Event =
  | { event: 'relationship'; id: string }
  | { event: 'progress'; id: string; progress: Progress }
  | { event: 'peers' }

/** A machine on the local network that offers to pair. */
export interface Nearby {
  name: string
  fingerprint: string
  addresses: string[]
  /** Its name here, if it is paired. */
  peer: string | null
}

/** A folder that a peer offers us. */
export interface PeerShare {
  name: string
  kind: string
  /** Role that we would have. */
  role: string
  /** Whether we joined it already. */
  joined: boolean
}

/** A file that travels, or arrived in the last 5 s. */
export interface Transfer extends PathText {
  direction: 'up' | 'down'
  node: string
  bytes_done: number
  bytes_total: number
  finished: boolean
}

/** One folder or file of a level of the drift tree. */
export interface DriftEntry extends PathText {
  folder: boolean
  files: number
  bytes: number
  differing_files: number
  differing_bytes: number
  counts: Counts
}

/** One level of what differs: the largest 200 entries and the sum of the rest. */
export interface DriftLevel {
  compared_at: string | null
  /** Whether contents were hashed again, or sizes, times and known digests were trusted. */
  deep: boolean
  total: DriftEntry
  entries: DriftEntry[]
  rest: DriftEntry | null
}

/** Drift at the end of one day. */
export interface DriftPoint {
  time: string
  files: number
  bytes: number
}

/** A window of rows. */
export interface Page<T> {
  total: number
  rows: T[]
}

/** A path that does not travel, and why, or one that is about to. */
export interface PendingChange extends Omit<ChangeInfo, 'act'> {
  act: ChangeInfo['act'] | 'none'
  /** Stable code as in `why`. */
  reason: string
}

/** A window of what is about to travel, or stays where it is. */
export interface PendingChanges extends Page<PendingChange> {
  /** How many travel by themselves, and how many do not; null where a machine does not part them. */
  travels: number | null
  stays: number | null
}
