// What may be asked of a node and what comes back, so that each request knows the type of its reply.

import type {
  ByHand,
  Check,
  CheckItem,
  ConfigEntry,
  ConflictInfo,
  DoctorFinding,
  DriftLevel,
  DriftPoint,
  GcReport,
  HistoryQuery,
  HistoryRow,
  HostAdd,
  Join,
  LedgerItem,
  Nearby,
  NodeInfo,
  Offer,
  Page,
  Paired,
  PathText,
  PeerInfo,
  PeerShare,
  PendingChanges,
  Ping,
  PlanInfo,
  RelationshipInfo,
  Restored,
  Setting,
  Status,
  Synced,
  Transfer,
  VersionInfo,
  Why,
} from './types'

export type Request =
  | { request: 'node-show' }
  | { request: 'pair-offer'; minutes: number; share: string | null }
  | { request: 'pair-wait'; code: string }
  /** Without an address, every machine on the local network is tried. */
  | { request: 'pair-accept'; code: string; address: string | null }
  | { request: 'peer-list' }
  | { request: 'peer-add'; fingerprint: string; address: string; name: string | null }
  | { request: 'peer-rename'; peer: string; name: string }
  | { request: 'peer-remove'; peer: string }
  | { request: 'peer-ping'; peer: string }
  | { request: 'share'; path: PathText; name: string; kind: string; settings: Setting[]; paused: boolean }
  | ({ request: 'join-preview' } & Join)
  | ({ request: 'join' } & Join)
  | { request: 'rel-add'; name: string; kind: string; path: PathText; target: string; settings: Setting[]; paused: boolean }
  /** A folder on a host that runs OpenSSH's server only. */
  | ({ request: 'host-add' } & HostAdd)
  | { request: 'rel-list' }
  | { request: 'rel-show'; relationship: string }
  | { request: 'rel-edit'; relationship: string; settings: Setting[] }
  | { request: 'rel-pause'; relationship: string }
  | { request: 'rel-resume'; relationship: string }
  | { request: 'rel-remove'; relationship: string }
  | { request: 'status'; relationship: string | null }
  | { request: 'sync'; relationship: string; dry_run: boolean; wait: boolean; timeout_seconds: number | null }
  /** By hand: sends what is chosen and was changed here; the hub must hold nothing that was not fetched. */
  | { request: 'push'; relationship: string; paths: PathText[]; force: boolean; dry_run: boolean }
  /** By hand: fetches what the hub has; replaces nothing that was edited here. */
  | { request: 'pull'; relationship: string; paths: PathText[]; dry_run: boolean }
  | { request: 'apply'; plan: string }
  | { request: 'check'; relationship: string; deep: boolean }
  | { request: 'why'; relationship: string; path: PathText }
  | { request: 'conflicts'; relationship: string | null }
  | { request: 'resolve'; id: string; keep: string }
  | ({ request: 'history' } & HistoryQuery)
  | { request: 'versions'; relationship: string; path: PathText }
  | {
      request: 'restore'
      relationship: string
      path: PathText
      at: string | null
      version: string | null
      to: PathText | null
    }
  | { request: 'ledger-list'; relationship: string; all: boolean }
  /** Paths below the root, or ids of entries. */
  | { request: 'ledger-retry' | 'ledger-forget'; relationship: string; which: PathText[] }
  | { request: 'doctor' }
  | { request: 'gc' }
  | { request: 'log'; lines: number }
  | { request: 'config-show' }
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

/** Type of the `data` that each kind of reply carries. */
export interface Replies {
  done: undefined
  node: NodeInfo
  offer: Offer
  paired: Paired
  peers: PeerInfo[]
  ping: Ping
  relationship: RelationshipInfo
  relationships: RelationshipInfo[]
  preview: PlanInfo
  status: Status
  synced: Synced
  transfer: ByHand
  check: Check
  why: Why
  conflicts: ConflictInfo[]
  history: HistoryRow[]
  versions: VersionInfo[]
  restored: Restored
  ledger: LedgerItem[]
  counted: number
  doctor: DoctorFinding[]
  gc: GcReport
  log: string[]
  config: ConfigEntry[]
  nearby: Nearby[]
  'peer-shares': PeerShare[]
  transfers: Transfer[]
  'drift-level': DriftLevel
  'drift-history': DriftPoint[]
  'check-items': Page<CheckItem>
  changes: PendingChanges
}

export type ReplyName = keyof Replies

export type Reply = { [N in ReplyName]: { reply: N; data: Replies[N] } }[ReplyName]

/** Which reply a request has. */
export interface ReplyNames {
  'node-show': 'node'
  'pair-offer': 'offer'
  'pair-wait': 'paired'
  'pair-accept': 'paired'
  'peer-list': 'peers'
  'peer-add': 'paired'
  'peer-rename': 'done'
  'peer-remove': 'done'
  'peer-ping': 'ping'
  share: 'relationship'
  'join-preview': 'preview'
  join: 'relationship'
  'rel-add': 'relationship'
  'host-add': 'relationship'
  'rel-list': 'relationships'
  'rel-show': 'relationship'
  'rel-edit': 'relationship'
  'rel-pause': 'done'
  'rel-resume': 'done'
  'rel-remove': 'done'
  status: 'status'
  sync: 'synced'
  push: 'transfer'
  pull: 'transfer'
  apply: 'synced'
  check: 'check'
  why: 'why'
  conflicts: 'conflicts'
  resolve: 'done'
  history: 'history'
  versions: 'versions'
  restore: 'restored'
  'ledger-list': 'ledger'
  'ledger-retry': 'counted'
  'ledger-forget': 'counted'
  doctor: 'doctor'
  gc: 'gc'
  log: 'log'
  'config-show': 'config'
  nearby: 'nearby'
  'peer-shares': 'peer-shares'
  'rel-preview': 'preview'
  'pause-all': 'done'
  'resume-all': 'done'
  transfers: 'transfers'
  'drift-level': 'drift-level'
  'drift-history': 'drift-history'
  'check-items': 'check-items'
  changes: 'changes'
  'resolve-merged': 'done'
  'config-set': 'config'
}

export type ReplyData<R extends Request> = Replies[ReplyNames[R['request']]]
