// Requests that the window asks for beyond what every node answers yet. A node that does not know one answers `usage`;
// each caller then shows what the older requests can say.

import type { ChangeInfo, CheckItem, Counts, PathText, Setting } from './types'

/** A machine on the local network that offers to pair. */
export interface Nearby {
  name: string
  fingerprint: string
  addresses: string[]
  /** Whether its key is pinned already. */
  paired: boolean
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
export interface PendingChange extends ChangeInfo {
  /** Stable code as in `why`. */
  reason: string
}

/** A window of what is about to travel, or stays where it is. */
export interface PendingChanges extends Page<PendingChange> {
  /** How many travel by themselves, and how many do not; absent where a node does not part them. */
  travels?: number
  stays?: number
}

export type WishedRequest =
  /** Machines that announce `_evenfold._tcp` on the local network. */
  | { request: 'nearby' }
  /** What a peer offers us. */
  | { request: 'peer-shares'; peer: string }
  /** What `rel-add` with the same fields would do; writes nothing anywhere. Reply as of `join-preview`. */
  | { request: 'rel-preview'; name: string; kind: string; path: PathText; target: string; settings: Setting[] }
  /** Pauses all (`until` RFC 3339 or null) or resumes all. */
  | { request: 'pause-all'; until: string | null }
  | { request: 'resume-all' }
  /** Files in flight, at most 8 each way. */
  | { request: 'transfers'; relationship: string }
  /** One level below `under` (the root if null), from the last comparison. */
  | { request: 'drift-level'; relationship: string; under: PathText | null }
  /** One point per day, oldest first. */
  | { request: 'drift-history'; relationship: string; days: number }
  /** What differs, from the last comparison, in windows. */
  | {
      request: 'check-items'
      relationship: string
      under: PathText | null
      findings: string[]
      sort: 'path' | 'bytes' | 'finding'
      descending: boolean
      offset: number
      limit: number
    }
  /** What is about to travel or does not, in windows. */
  | { request: 'changes'; relationship: string; which: 'all' | 'travels' | 'stays'; offset: number; limit: number }
  /** Decides a conflict by a text that a person put together; what it replaces becomes a version. */
  | { request: 'resolve-merged'; id: string; text: string }
  /** Sets a setting of the node in its `config.toml`; an empty value removes it. */
  | { request: 'config-set'; key: string; value: string }

export interface WishedReplies {
  nearby: Nearby[]
  'peer-shares': PeerShare[]
  transfers: Transfer[]
  'drift-level': DriftLevel
  'drift-history': DriftPoint[]
  'check-items': Page<CheckItem>
  changes: PendingChanges
}
