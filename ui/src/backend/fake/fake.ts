// The browser twin of a node: a world in memory that answers as a node would.

import { type Backend, BackendError } from '../backend'
import type { Replies, Reply, ReplyName, Request } from '../requests'
import type { Event, PlanInfo, RelationshipStatus, Transfer } from '../types'
import { fakeShell } from './shell'
import { someDeliveries } from './deliveries'
import { driftHistory, driftLevel } from './drift'
import { ago, peer, present, scenarios, type World } from './worlds'

export function fake(query: URLSearchParams): Backend {
  const make = scenarios[query.get('scenario') ?? 'mixed']
  if (!make) throw new Error(`no scenario ${query.get('scenario')}`)
  return new Fake(make(), query)
}

function reply<N extends ReplyName>(name: N, data: Replies[N]): Reply {
  return { reply: name, data } as Reply
}

const done: Reply = { reply: 'done', data: undefined }

class Fake implements Backend {
  readonly shell
  readonly #world: World
  readonly #older: boolean
  #listeners: ((event: Event) => void)[] = []

  constructor(world: World, query: URLSearchParams) {
    this.#world = world
    // `?older`: a node that knows none of the newer requests.
    this.#older = query.has('older')
    this.shell = fakeShell(query)
    ;(globalThis as { fakeEvenfold?: unknown }).fakeEvenfold = { world, tell: (event: Event) => this.#tell(event) }
  }

  subscribe(tell: (event: Event) => void): Promise<() => void> {
    this.#listeners.push(tell)
    return Promise.resolve(() => {
      this.#listeners = this.#listeners.filter((one) => one !== tell)
    })
  }

  async request(request: Request): Promise<Reply> {
    await Promise.resolve()
    if (this.#world.dead) {
      throw new BackendError({ code: 'io', message: 'the control socket cannot be reached: connection refused', hint: null })
    }
    // As over a real channel: what comes back is a copy.
    return structuredClone(this.#answer(request))
  }

  #tell(event: Event): void {
    for (const listener of this.#listeners) listener(event)
  }

  #find(wanted: string): RelationshipStatus {
    const found = this.#world.statuses.find((one) => one.id === wanted || one.name === wanted)
    if (found) return found
    throw new BackendError({ code: 'not-found', message: `there is no relationship '${wanted}'`, hint: null })
  }

  #info(wanted: string) {
    const { id } = this.#find(wanted)
    const found = this.#world.infos.find((one) => one.id === id)
    if (found) return found
    throw new BackendError({ code: 'not-found', message: `there is no relationship '${wanted}'`, hint: null })
  }

  #change(wanted: string, change: Partial<RelationshipStatus>): void {
    const status = this.#find(wanted)
    Object.assign(status, change)
    this.#tell({ event: 'relationship', id: status.id })
  }

  #answer(request: Request): Reply {
    const world = this.#world
    if (this.#older && newer.has(request.request)) {
      throw new BackendError({ code: 'usage', message: `unknown variant \`${request.request}\``, hint: null })
    }
    switch (request.request) {
      case 'node-show':
        return reply('node', world.node)
      case 'pair-offer':
        return reply('offer', { code: '4-lantern-otter', addresses: world.node.addresses, expires_at: new Date(present + request.minutes * 60_000).toISOString() })
      case 'pair-wait':
        throw new BackendError({ code: 'timeout', message: 'nobody took the code yet', hint: null })
      case 'peer-add':
        world.peers.push({ ...peer(9, request.name ?? 'attic'), fingerprint: request.fingerprint })
        this.#tell({ event: 'peers' })
        return reply('paired', { name: request.name ?? 'attic', fingerprint: request.fingerprint, check: '', share: null })
      case 'pair-accept':
        if (request.code !== '7-copper-heron') {
          throw new BackendError({ code: 'pairing-failed', message: 'the code is wrong, used, or expired; nothing was changed', hint: 'ask for a new code on the other machine' })
        }
        world.peers.push({ ...peer(9, 'attic'), fingerprint: 'SHA256:Qw8eRtY2uIoPaSdFgHjKlZxCvBnM1234567890abcdE' })
        this.#tell({ event: 'peers' })
        return reply('paired', { name: 'attic', fingerprint: 'SHA256:Qw8eRtY2uIoPaSdFgHjKlZxCvBnM1234567890abcdE', check: '7K4M-2QXD', share: world.statuses.length === 0 ? 'Photos' : null })
      case 'peer-list':
        return reply('peers', world.peers)
      case 'peer-rename': {
        const peer = world.peers.find((one) => one.name === request.peer)
        if (peer) peer.name = request.name
        return done
      }
      case 'peer-remove':
        world.peers = world.peers.filter((one) => one.name !== request.peer && one.fingerprint !== request.peer)
        this.#tell({ event: 'peers' })
        return done
      case 'peer-ping':
        return reply('ping', { name: request.peer, address: '192.168.1.20:22722', milliseconds: 1.8, bytes_sent: 48_211_004, bytes_received: 1_202_338 })
      case 'rel-list':
        return reply('relationships', world.infos)
      case 'rel-show':
        return reply('relationship', this.#info(request.relationship))
      case 'rel-edit': {
        const info = this.#info(request.relationship)
        for (const [key, value] of request.settings) {
          if (key === 'trigger' && value === 'often') {
            throw new BackendError({ code: 'setting', message: "'often' is no value of trigger", hint: 'give watch, manual, or a duration of at least a second' })
          }
        }
        const changed = new Set(request.settings.map(([key]) => key))
        info.settings = [...info.settings.filter(([key]) => !changed.has(key)), ...request.settings]
        return reply('relationship', info)
      }
      case 'rel-pause':
        this.#change(request.relationship, { state: 'paused', progress: null })
        return done
      case 'rel-resume':
        this.#change(request.relationship, { state: 'in-sync', verified_at: ago(0) })
        return done
      case 'rel-remove': {
        const { id } = this.#find(request.relationship)
        world.statuses = world.statuses.filter((one) => one.id !== id)
        world.infos = world.infos.filter((one) => one.id !== id)
        this.#tell({ event: 'relationship', id })
        return done
      }
      case 'pause-all':
        for (const status of world.statuses) Object.assign(status, { state: 'paused', progress: null, paused_until: request.until })
        this.#tell({ event: 'relationship', id: '' })
        return done
      case 'resume-all':
        for (const status of world.statuses) if (status.state === 'paused') Object.assign(status, { state: 'in-sync', paused_until: null })
        this.#tell({ event: 'relationship', id: '' })
        return done
      case 'status':
        return reply('status', {
          node: world.node,
          relationships: request.relationship ? [this.#find(request.relationship)] : world.statuses,
        })
      case 'sync': {
        const status = this.#find(request.relationship)
        return reply('synced', {
          outcome: status.conflicts ? 'conflicts' : status.state === 'differs' ? 'differs' : 'equal',
          status,
          plan: request.dry_run || status.halt ? this.#plan(status) : null,
          files: 0,
          bytes: 0,
        })
      }
      case 'push':
      case 'pull': {
        const status = this.#find(request.relationship)
        const files = status.drift?.files ?? 0
        this.#change(status.id, { state: 'in-sync', verified_at: ago(0), drift: { files: 0, bytes: 0, oldest_seconds: null } })
        const outcome = files === 0 ? 'unchanged' : request.request === 'push' ? 'pushed' : 'pulled'
        return reply('transfer', { outcome, files, bytes: status.drift?.bytes ?? 0, left: [], plan: null, status })
      }
      case 'apply': {
        const status = world.statuses.find((one) => one.halt?.plan === request.plan)
        if (!status) throw new BackendError({ code: 'plan-outdated', message: 'the plan does not fit any more; nothing was changed', hint: 'look again' })
        this.#change(status.id, { halt: null, state: 'in-sync', verified_at: ago(0), drift: { files: 0, bytes: 0, oldest_seconds: null } })
        return reply('synced', { outcome: 'equal', status, plan: null, files: 812, bytes: 0 })
      }
      case 'join-preview':
      case 'rel-preview':
        return reply('preview', newPlan('peer' in request ? (request.peer ?? 'nas') : (request.target.split(':')[0] ?? 'nas')))
      case 'host-add':
        if (request.accept_keys.length === 0) {
          const message = 'nobody here knows the key of nas.local: SHA256:Qw8eRtY2uIoPaSdFgHjKlZxCvBnM1234567890abcdE; nothing was changed'
          throw new BackendError({ code: 'key-unknown', message, hint: 'compare it with the fingerprint that the host shows' })
        }
        return this.#answer({ ...request, request: 'share' })
      case 'rel-add':
      case 'join':
      case 'share': {
        const name = 'name' in request ? request.name : (request.share ?? 'Photos')
        const status = structuredClone(scenarios['in-sync']!().statuses[0]!)
        const info = structuredClone(scenarios['in-sync']!().infos[0]!)
        const id = crypto.randomUUID()
        Object.assign(status, { id, name })
        Object.assign(info, { id, name, path: request.path.path, paused: request.paused })
        if (request.paused) status.state = 'paused'
        world.statuses.push(status)
        world.infos.push(info)
        this.#tell({ event: 'relationship', id })
        return reply('relationship', info)
      }
      case 'check': {
        const status = this.#find(request.relationship)
        const check = world.checks.get(status.id)
        return reply('check', {
          verified: true,
          unverified_reason: null,
          unknown_since: null,
          compared_at: status.verified_at,
          counts: check?.counts ?? { ...emptyCounts, in_sync: 1204 },
          bytes: check?.bytes ?? { ...emptyCounts, in_sync: 8_100_000_000 },
          suspects: 0,
          items: check?.items ?? [],
        })
      }
      case 'check-items': {
        const check = world.checks.get(this.#find(request.relationship).id)
        const under = request.under?.path ?? ''
        const rows = (check?.items ?? []).filter(
          (item) => item.path.startsWith(under) && (request.findings.length === 0 || request.findings.includes(item.finding)),
        )
        rows.sort((a, b) => (request.sort === 'bytes' ? a.bytes - b.bytes : a[request.sort] < b[request.sort] ? -1 : 1))
        if (request.descending) rows.reverse()
        return reply('check-items', { total: rows.length, rows: rows.slice(request.offset, request.offset + request.limit) })
      }
      case 'drift-level':
        return reply('drift-level', driftLevel(world, this.#find(request.relationship), request.under?.path ?? ''))
      case 'drift-history':
        return reply('drift-history', driftHistory(this.#find(request.relationship), request.days))
      case 'changes': {
        const status = this.#find(request.relationship)
        const all = status.drift?.files ?? 0
        const stuck = Math.min(all, status.problems || (status.state === 'paused' ? all : Math.ceil(all / 97)))
        const first = request.which === 'travels' ? stuck : 0
        const total = request.which === 'stays' ? stuck : all - first
        const rows = Array.from({ length: Math.max(0, Math.min(request.limit, total - request.offset)) }, (_, index) =>
          pendingChange(status, first + request.offset + index, stuck),
        )
        return reply('changes', { total, rows, travels: all - stuck, stays: stuck })
      }
      case 'transfers':
        return reply('transfers', someTransfers(this.#find(request.relationship)))
      case 'why': {
        const stuck = whyNot[Number(/(\d+)\.\w+$/.exec(request.path.path)?.[1] ?? 9) % 12]
        return reply('why', {
          ...request.path,
          endpoints: this.#find(request.relationship).endpoints.map((endpoint, index) => ({
            node: endpoint.node,
            in_sync: index === 0,
            reason: index === 0 ? 'in-sync' : (stuck?.[0] ?? 'pending'),
            evidence: index === 0 ? '' : (stuck?.[1] ?? `it travels from desk to ${endpoint.node}`),
            next: index === 0 ? '' : 'Nothing need be done.',
          })),
        })
      }
      case 'resolve-merged':
        return this.#answer({ request: 'resolve', id: request.id, keep: 'both' })
      case 'conflicts': {
        const name = request.relationship ? this.#find(request.relationship).name : null
        return reply('conflicts', world.conflicts.filter((one) => name === null || one.relationship === name))
      }
      case 'resolve': {
        const conflict = world.conflicts.find((one) => one.id === request.id)
        if (!conflict) throw new BackendError({ code: 'not-found', message: 'there is no such conflict any more', hint: null })
        world.conflicts = world.conflicts.filter((one) => one !== conflict)
        const left = world.conflicts.filter((one) => one.relationship === conflict.relationship).length
        this.#change(conflict.relationship, { conflicts: left, ...(left ? {} : { state: 'in-sync', verified_at: ago(0) }) })
        return done
      }
      case 'history': {
        const name = request.relationship ? this.#find(request.relationship).name : null
        const pattern = request.path ? globOf(request.path) : null
        const rows = world.history.filter(
          (row) =>
            (name === null || row.relationship === name) &&
            (!request.kind || row.kind === request.kind) &&
            (!request.node || row.node === request.node) &&
            (!pattern || pattern.test(row.path ?? '')) &&
            (!request.since || Date.parse(row.time) >= Date.parse(request.since)) &&
            (!request.before || row.id < request.before),
        )
        return reply('history', rows.slice(0, request.limit ?? 100))
      }
      case 'versions':
        return reply('versions', [
          { id: 'v3', time: ago(3_600_000), ...request.path, kind: 'file', size: 8211, mtime: ago(90_000_000), reason: 'replaced' },
          { id: 'v2', time: ago(90_000_000), ...request.path, kind: 'file', size: 7990, mtime: ago(180_000_000), reason: 'replaced' },
          { id: 'v1', time: ago(400_000_000), ...request.path, kind: 'file', size: 7410, mtime: ago(500_000_000), reason: 'deleted' },
        ])
      case 'restore':
        return reply('restored', { ...(request.to ?? request.path), version: request.version ?? 'v3', replaced: 'v4' })
      case 'ledger-list':
        return reply('ledger', someDeliveries(this.#find(request.relationship)))
      case 'ledger-retry':
      case 'ledger-forget':
        return reply('counted', request.which.length)
      case 'doctor':
        return reply('doctor', [
          { level: 'ok', check: 'database', message: 'the database is sound', hint: null },
          { level: 'ok', check: 'key', message: 'only you can read the key', hint: null },
          { level: 'warning', check: 'watches', message: '61,000 of 65,536 watches are in use', hint: 'raise fs.inotify.max_user_watches' },
        ])
      case 'gc':
        return reply('gc', { versions: 41, bytes: 812_000_000, partials: 2 })
      case 'log':
        return reply('log', ['14:02:11 INFO Photos: compared, equal', '14:01:58 INFO nas: connected', '13:40:02 WARN laptop: connection lost'])
      case 'config-show':
        return reply('config', [
          { key: 'listen', value: '[::]:22722', origin: 'default' },
          { key: 'name', value: 'desk', origin: 'config.toml' },
          { key: 'log', value: 'info', origin: 'default' },
          { key: 'log_size', value: '10MB', origin: 'default' },
          { key: 'nearby', value: 'on', origin: 'environment' },
        ])
      case 'config-set':
        return this.#answer({ request: 'config-show' })
      case 'nearby':
        return reply('nearby', [
          { name: 'attic', fingerprint: 'SHA256:Qw8eRtY2uIoPaSdFgHjKlZxCvBnM1234567890abcdE', addresses: ['192.168.1.44:22722'], peer: null },
          { name: 'nas', fingerprint: world.peers[0]?.fingerprint ?? '', addresses: ['192.168.1.20:22722'], peer: world.peers.length > 0 ? 'nas' : null },
        ])
      case 'peer-shares':
        return reply('peer-shares', request.peer === 'nas' ? [{ name: 'Films', kind: 'two-way', role: 'spoke', joined: false }] : [])
    }
  }

  #plan(status: RelationshipStatus): PlanInfo {
    const there = status.endpoints[1]?.node ?? 'nas'
    const changes = Array.from({ length: 812 }, (_, index) => ({
      node: there,
      path: `2019/${String(index % 12).padStart(2, '0')}/img-${String(index).padStart(4, '0')}.jpg`,
      act: 'delete' as const,
      bytes: 3_400_000,
      files: 1,
    }))
    return {
      ...newPlan(there),
      id: status.halt?.plan ?? 'aa00',
      here: { new: 0, replaced: 0, deleted: 0, bytes: 0 },
      there: { new: 0, replaced: 0, deleted: 812, bytes: 0 },
      changes,
      halt: status.halt,
    }
  }
}

/** What nodes of the first version do not know. */
const newer = new Set([
  'nearby',
  'peer-shares',
  'rel-preview',
  'pause-all',
  'resume-all',
  'transfers',
  'drift-level',
  'drift-history',
  'check-items',
  'changes',
  'resolve-merged',
  'config-set',
])

/** As a node reads it: a glob over the whole path, or else the path and what is below. */
function globOf(text: string): RegExp {
  if (!/[*?[]/.test(text)) return new RegExp(`^${text.replace(/[.+^$(){}|\\]/g, '\\$&')}(/|$)`)
  return new RegExp(`^${text.replace(/[.+^$(){}|\\]/g, '\\$&').replaceAll('[[]', '\\[').replaceAll('*', '.*').replaceAll('?', '.')}$`)
}

/** Reasons and evidence of what does not travel. */
const whyNot: [string, string][] = [
  ['still-changing', 'on desk: a program still writes to it'],
  ['unreadable', 'on desk: permission denied'],
  ['name-not-possible', 'nas does not allow the sign ":" in names'],
]

function pendingChange(status: RelationshipStatus, at: number, stuck: number) {
  const reason = at >= stuck ? 'pending' : status.state === 'paused' ? 'paused' : (whyNot[at % 12]?.[0] ?? 'still-changing')
  return {
    path: `2026/${String((at % 12) + 1).padStart(2, '0')}/harbour-${String(at).padStart(6, '0')}.jpg`,
    node: at % 3 === 0 ? 'desk' : (status.endpoints[1]?.node ?? 'nas'),
    act: at % 11 === 0 ? ('replace' as const) : at % 29 === 0 ? ('delete' as const) : ('create' as const),
    bytes: 3_400_000 + (at % 5000) * 1100,
    files: 1,
    reason,
  }
}

const emptyCounts = { in_sync: 0, missing: 0, stale: 0, orphaned: 0, moved: 0, corrupt: 0, conflict: 0, error: 0, excluded: 0, unknown: 0 }

const files: [path: string, direction: Transfer['direction'], done: number, total: number][] = [
  ['2026/11/harbour-0211.raw', 'up', 31_000_000, 48_000_000],
  ['2026/11/harbour-0212.raw', 'up', 9_000_000, 51_000_000],
  ['2026/10/regatta.mov', 'down', 402_000_000, 1_100_000_000],
  ['2026/11/harbour-0210.raw', 'up', 47_000_000, 47_000_000],
]

/** What travels, with the machines that are there in turn. */
function someTransfers(status: RelationshipStatus): Transfer[] {
  if (status.progress?.phase !== 'transferring') return []
  const nodes = status.endpoints.slice(1).filter((one) => one.online).map((one) => one.node)
  return files.map(([path, direction, done, total], index) => ({
    path,
    direction,
    node: nodes[index % nodes.length] ?? 'nas',
    bytes_done: done,
    bytes_total: total,
    finished: done === total,
  }))
}

function newPlan(there: string): PlanInfo {
  const folders = ['2024', '2025', '2026/10', '2026/11']
  const changes = Array.from({ length: 1000 }, (_, index) => ({
    node: there,
    path: `${folders[index % folders.length]}/harbour-${String(index).padStart(4, '0')}.jpg`,
    act: index < 3 ? ('replace' as const) : ('create' as const),
    bytes: 6_700_000,
    files: 1,
  }))
  return {
    id: null,
    kind: 'two-way',
    ours: 'desk',
    theirs: there,
    here: { new: 0, replaced: 0, deleted: 0, bytes: 0 },
    there: { new: 1204, replaced: 3, deleted: 0, bytes: 8_100_000_000 },
    conflicts: 0,
    blocked: 0,
    free_here: 412_000_000_000,
    free_there: 210_000_000_000,
    changes,
    halt: null,
  }
}
