// Made-up worlds, one for each state that the window must show.

import type {
  CheckItem,
  ConflictInfo,
  Counts,
  EndpointStatus,
  HistoryRow,
  Kind,
  NodeInfo,
  PeerInfo,
  RelationshipInfo,
  RelationshipStatus,
  Role,
  Setting,
  WayInfo,
} from '../types'

export interface World {
  node: NodeInfo
  peers: PeerInfo[]
  statuses: RelationshipStatus[]
  infos: RelationshipInfo[]
  conflicts: ConflictInfo[]
  history: HistoryRow[]
  checks: Map<string, { counts: Counts; bytes: Counts; items: CheckItem[] }>
  /** The engine does not answer. */
  dead: boolean
}

const minute = 60_000
const hour = 60 * minute

/** Fixed, so that pictures of two runs are alike; `Date` is set to it as well by the browser tests. */
export const present = Date.parse('2026-11-21T14:05:00Z')

export const ago = (milliseconds: number) => new Date(present - milliseconds).toISOString()

export const noCounts: Counts = {
  in_sync: 0,
  missing: 0,
  stale: 0,
  orphaned: 0,
  moved: 0,
  corrupt: 0,
  conflict: 0,
  error: 0,
  excluded: 0,
  unknown: 0,
}

const fingerprints = [
  'SHA256:pX9fQm2rT0cVnYwKdL6eHsJ4uB8gAzR1iOqNvCxE3lM',
  'SHA256:7tGhKw3ZsPq0LmNbVcXyRj5DfE1uIo8aTsHdQ9gJ2kU',
  'SHA256:mB4vCz8XnQ1wErTyUiOpAsDfGhJkL2Z5xCvBnM0qWe7',
  'SHA256:Yc6RtV9bNmK3jHgFdSaPoIuYtReWq1Z2xC4vB5nM6lK',
]

export function peer(index: number, name: string, online = true, relationships: string[] = []): PeerInfo {
  return {
    name,
    fingerprint: fingerprints[index % fingerprints.length] ?? '',
    addresses: [`192.168.1.${20 + index}:22722`, `[fd00::${20 + index}]:22722`],
    online,
    last_seen: online ? ago(0) : ago(3 * hour),
    offline_since: online ? null : ago(3 * hour),
    version: online ? '0.1.0' : null,
    relationships,
  }
}

const commonSettings: Setting[] = [
  ['flow', 'both'],
  ['trigger', 'watch'],
  ['deliver', 'identical'],
  ['resend', 'never'],
  ['delete', 'propagate'],
  ['conflict', 'keep-both'],
  ['unit', 'file'],
  ['include', ''],
  ['exclude', 'node_modules/'],
  ['exclude', '*.tmp'],
  ['hidden', 'true'],
  ['size.min', 'off'],
  ['size.max', 'off'],
  ['settle', '0s'],
  ['executor', 'builtin'],
  ['verify', 'fast'],
  ['retention', '10s'],
  ['reserve', '5%'],
  ['lease', '1d'],
  ['versions.keep', '30d'],
  ['versions.max', 'off'],
  ['hook.after_arrival', ''],
  ['hook.after_delivery', ''],
  ['hook.on_conflict', ''],
  ['hook.on_error', ''],
  ['hook.timeout', '5m'],
  ['parallel', '4'],
  ['limit.up', 'off'],
  ['limit.down', 'off'],
  ['on_error', 'continue'],
  ['guard.percent', '25'],
  ['guard.count', '500'],
  ['rescan', '10m'],
  ['scrub', '30d'],
  ['access', 'write'],
]

type Change = Partial<RelationshipStatus>

/** A relationship in sync, with what a scenario changes. */
function relationship(
  world: World,
  name: string,
  kind: Kind,
  folder: string,
  others: { node: string; path?: string; online?: boolean; role?: EndpointStatus['role']; access?: string; way?: WayInfo }[],
  change: Change = {},
): RelationshipStatus {
  const id = `00000000-0000-4000-8000-${String(world.statuses.length + 1).padStart(12, '0')}`
  const role: Role = change.role ?? (kind === 'two-way' || kind === 'compare' ? 'spoke' : 'source')
  const own: EndpointStatus = { node: 'desk', role, path: folder, online: true, last_seen: ago(0) }
  const rest: EndpointStatus[] = others.map((other) => ({
    node: other.node,
    role: other.role ?? 'hub',
    ...(other.path ? { path: other.path } : {}),
    online: other.online ?? true,
    last_seen: (other.online ?? true) ? ago(0) : ago(3 * hour),
    ...(other.access ? { access: other.access } : {}),
    ...(other.way ? { way: other.way } : {}),
  }))
  const status: RelationshipStatus = {
    id,
    name,
    kind,
    role,
    state: 'in-sync',
    halt: null,
    verified_at: ago(3 * minute),
    unknown_since: null,
    endpoints: [own, ...rest],
    drift: { files: 0, bytes: 0, oldest_seconds: null },
    waiting: null,
    progress: null,
    conflicts: 0,
    problems: 0,
    error: null,
    retry_at: null,
    paused_until: null,
    deliveries: null,
    ...change,
  }
  world.statuses.push(status)
  world.infos.push({
    id,
    name,
    kind,
    role,
    path: folder,
    hub: role === 'hub' ? null : (others[0]?.node ?? null),
    share: role === 'hub' || !others[0] ? null : name,
    members: role === 'hub' ? others.map((other) => other.node) : [],
    paused: status.state === 'paused',
    settings: commonSettings,
  })
  for (const one of world.peers) {
    if (others.some((other) => other.node === one.name)) one.relationships.push(name)
  }
  return status
}

function blank(): World {
  return {
    node: {
      name: 'desk',
      fingerprint: fingerprints[3] ?? '',
      addresses: ['192.168.1.10:22722', '[fd00::10]:22722'],
      home: '/home/ada/.local/share/evenfold',
      version: '0.1.0',
    },
    peers: [peer(0, 'nas'), peer(1, 'laptop'), peer(2, 'prod')],
    statuses: [],
    infos: [],
    conflicts: [],
    history: [],
    checks: new Map(),
    dead: false,
  }
}

function withPhotos(world: World, change: Change = {}): RelationshipStatus {
  return relationship(world, 'Photos', 'two-way', '/home/ada/Photos', [{ node: 'nas', path: '/srv/photos' }], change)
}

function withBackup(world: World, change: Change = {}): RelationshipStatus {
  return relationship(world, 'Backup', 'mirror', '/home/ada/Documents', [{ node: 'nas', path: '/srv/backup' }], change)
}

function withCode(world: World, change: Change = {}): RelationshipStatus {
  return relationship(world, 'Code', 'two-way', '/home/ada/code', [{ node: 'laptop', path: '/home/ada/code' }], change)
}

const syncing: Change = {
  state: 'syncing',
  drift: { files: 340, bytes: 1_210_000_000, oldest_seconds: 240 },
  progress: {
    phase: 'transferring',
    files_done: 211,
    files_total: 551,
    bytes_done: 1_974_000_000,
    bytes_total: 3_184_000_000,
    bytes_per_second: 48_200_000,
    eta_seconds: 25,
  },
}

function conflict(world: World, index: number, path: string, bytes?: string): ConflictInfo {
  const dot = path.lastIndexOf('.')
  const copy = `${path.slice(0, dot)}.conflict-20261121T1340${String(index).padStart(2, '0')}Z-laptop${path.slice(dot)}`
  return {
    id: `c${world.conflicts.length + 1}`,
    relationship: 'Code',
    path,
    ...(bytes ? { path_bytes: bytes } : {}),
    versions: [
      { node: 'desk', path, size: 8192 + index * 977, mtime: ago(3 * minute), current: true },
      { node: 'laptop', path: copy, size: 7410, mtime: ago((25 + index) * minute), current: false },
    ],
  }
}

function withConflicts(world: World, many: number): void {
  const paths = ['docs/report.txt', 'docs/tides.md', 'src/main.rs', 'pictures/harbour.jpg', 'notes.txt', 'docs/plan.ods']
  for (let index = 0; index < many; index++) {
    const path = paths[index] ?? `docs/archive/entry-${index}.md`
    world.conflicts.push(conflict(world, index, path))
  }
}

const kindsOfAct = ['update', 'create', 'update', 'delete', 'rename', 'update', 'conflict', 'restore'] as const

function withHistory(world: World, rows: number): void {
  const names = ['2026/harbour-012.jpg', 'docs/report.txt', 'src/main.rs', 'notes.txt', 'invoices/2026-11.pdf', 'old/draft.odt']
  for (let index = 0; index < rows; index++) {
    // Five acts make a batch.
    const batch = Math.floor(index / 5)
    const status = world.statuses[batch % Math.max(1, world.statuses.length)]
    const kind = kindsOfAct[index % kindsOfAct.length] ?? 'update'
    world.history.push({
      id: rows - index,
      time: ago(Math.floor(index / 5) * 37 * minute + (index % 5) * 1000),
      relationship: status?.name ?? 'Photos',
      path: names[index % names.length] ?? 'notes.txt',
      kind,
      node: batch % 3 === 0 ? 'desk' : (status?.endpoints[1]?.node ?? 'nas'),
      on: batch % 3 === 0 ? (status?.endpoints[1]?.node ?? 'nas') : 'desk',
      bytes: kind === 'delete' ? null : 4096 * ((index % 17) + 1),
      detail: kind === 'rename' ? 'from old/draft-1.odt' : null,
    })
  }
}

function withDrift(world: World): RelationshipStatus {
  const status = relationship(
    world,
    'Site',
    'compare',
    '/srv/stage/site',
    [{ node: 'prod', path: '/srv/www/site' }],
    { state: 'differs', drift: { files: 812, bytes: 3_100_000_000, oldest_seconds: 19 * 86_400 }, verified_at: ago(25 * minute) },
  )
  const counts = { ...noCounts, in_sync: 18_411, missing: 402, stale: 214, orphaned: 121, moved: 38, corrupt: 3, conflict: 26, error: 8, excluded: 912 }
  const bytes = { ...noCounts, in_sync: 116_000_000_000, missing: 1_500_000_000, stale: 900_000_000, orphaned: 420_000_000, moved: 160_000_000, corrupt: 40_000_000, conflict: 80_000_000 }
  const folders = ['assets/video', 'assets/img', 'blog/2025', 'blog/2026', 'css', 'downloads', 'fonts', 'templates']
  const findings = ['missing', 'stale', 'orphaned', 'moved', 'missing', 'stale', 'missing', 'conflict', 'corrupt', 'error'] as const
  const details: Record<string, string> = {
    missing: 'only on prod',
    stale: 'desk does not have the content of prod',
    orphaned: 'only on desk',
    moved: 'on desk it is at old/path',
    conflict: 'changed on desk and on prod',
    corrupt: 'size and time equal, content differs from the known digest',
    error: 'on prod: permission denied',
  }
  const items: CheckItem[] = []
  for (let index = 0; index < 812; index++) {
    const finding = findings[(index * 7) % findings.length] ?? 'missing'
    items.push({
      path: `${folders[(index * 5) % folders.length]}/page-${String(index).padStart(3, '0')}.html`,
      finding,
      detail: details[finding] ?? '',
      bytes: 10_000 + ((index * 7919) % 9_000) * 1000,
    })
  }
  world.checks.set(status.id, { counts, bytes, items })
  return status
}

/** Builds the world of a scenario; each is named by what is to be seen. */
export const scenarios: Record<string, () => World> = {
  empty() {
    const world = blank()
    world.peers = []
    return world
  },
  manual() {
    const world = blank()
    const change: Change = { state: 'differs', drift: { files: 7, bytes: 48_000, oldest_seconds: 5400 } }
    relationship(world, 'Notes', 'manual', '/home/ada/notes', [{ node: 'nas', path: '/srv/notes' }], change)
    return world
  },
  'in-sync'() {
    const world = blank()
    withPhotos(world)
    withBackup(world)
    withHistory(world, 60)
    return world
  },
  mixed() {
    const world = blank()
    withPhotos(world, syncing)
    withCode(world, { state: 'conflicts', conflicts: 2, drift: { files: 2, bytes: 15_600, oldest_seconds: 1500 } })
    withBackup(world)
    withDrift(world)
    relationship(world, 'Music', 'two-way', '/home/ada/Music', [{ node: 'laptop' }], { state: 'paused' })
    relationship(world, 'Scans', 'relay', '/srv/scans', [{ node: 'nas', path: '/srv/relay/scans' }])
    withConflicts(world, 2)
    withHistory(world, 240)
    return world
  },
  syncing() {
    const world = blank()
    withPhotos(world, syncing)
    withBackup(world)
    withHistory(world, 20)
    return world
  },
  scanning() {
    const world = blank()
    withPhotos(world, {
      state: 'scanning',
      verified_at: null,
      drift: null,
      progress: { phase: 'scanning', files_done: 412_000, files_total: 0, bytes_done: 0, bytes_total: 0, bytes_per_second: 0, eta_seconds: null },
    })
    withBackup(world)
    return world
  },
  conflicts() {
    const world = blank()
    withPhotos(world)
    withCode(world, { state: 'conflicts', conflicts: 14, drift: { files: 14, bytes: 193_000, oldest_seconds: 2340 } })
    withConflicts(world, 14)
    const laptop = world.peers.find((one) => one.name === 'laptop')
    if (laptop) laptop.clock_offset_seconds = -42
    withHistory(world, 40)
    return world
  },
  held() {
    const world = blank()
    withPhotos(world, {
      state: 'held',
      halt: {
        code: 'too-many-deletions',
        message: 'would delete 812 of 900 items on nas; nothing was changed anywhere',
        hint: "if that is meant, run 'evenfold apply 4f2c'; otherwise put the files back",
        plan: '4f2c9a017be3d5c8',
        machine: 'nas',
        items: 812,
        of: 900,
      },
      drift: { files: 812, bytes: 0, oldest_seconds: 300 },
    })
    withBackup(world)
    return world
  },
  offline() {
    const world = blank()
    world.peers = [peer(0, 'nas', false), peer(1, 'laptop')]
    const error = { code: 'offline', message: 'nas cannot be reached: no route to host', hint: 'it is tried again by itself; changes here wait' }
    relationship(world, 'Photos', 'two-way', '/home/ada/Photos', [{ node: 'nas', online: false }], {
      state: 'unknown',
      error,
      drift: null,
      waiting: { files: 41, bytes: 92_000_000, oldest_seconds: 9000 },
      verified_at: ago(3 * hour),
      unknown_since: ago(3 * hour),
      retry_at: new Date(present + 40_000).toISOString(),
    })
    withCode(world)
    return world
  },
  paused() {
    const world = blank()
    withPhotos(world, { state: 'paused', waiting: { files: 12, bytes: 30_000_000, oldest_seconds: 4000 } })
    withBackup(world, { state: 'paused' })
    return world
  },
  'key-changed'() {
    const world = blank()
    const photos = withPhotos(world, {
      state: 'unknown',
      unknown_since: ago(hour),
      drift: null,
      error: {
        code: 'key-changed',
        message: `nas shows the key ${fingerprints[1]}, but ${fingerprints[0]} is pinned; no connection was made`,
        hint: 'if nas was set up anew, remove it and pair again; otherwise somebody stands between',
      },
    })
    Object.assign(photos.endpoints[1] ?? {}, { online: false, last_seen: ago(hour) })
    withCode(world)
    return world
  },
  'disk-full'() {
    const world = blank()
    withBackup(world, {
      state: 'unknown',
      unknown_since: ago(10 * minute),
      drift: null,
      error: { code: 'endpoint', message: 'on nas: /srv/backup needs 8.1 GB, but 1.2 GB are free; what was done is recorded', hint: 'make room on nas; it goes on by itself' },
    })
    withPhotos(world, {
      state: 'held',
      unknown_since: ago(10 * minute),
      drift: null,
      halt: { code: 'root-missing', message: 'the folder on desk is missing; nothing was changed anywhere', hint: 'mount the disk or put the folder back; syncing then goes on by itself', plan: null, machine: 'desk', items: null, of: null },
    })
    return world
  },
  drift() {
    const world = blank()
    withDrift(world)
    withPhotos(world)
    return world
  },
  problems() {
    const world = blank()
    withPhotos(world, { state: 'differs', problems: 3, drift: { files: 3, bytes: 120_000, oldest_seconds: 7200 } })
    return world
  },
  waiting() {
    const world = blank()
    world.peers = []
    relationship(world, 'Photos', 'two-way', '/home/ada/Photos', [], { role: 'hub', state: 'waiting', verified_at: null, drift: null, unknown_since: ago(hour) })
    return world
  },
  /** This machine is the hub of several: what its members do is shown together. */
  hub() {
    const world = blank()
    world.peers = [peer(0, 'nas'), { ...peer(1, 'laptop'), addresses: ['via:nas'], way: { kind: 'through', note: 'nas' } }, peer(2, 'studio', false)]
    const members = [
      { node: 'nas', path: '/srv/photos', role: 'spoke' as const },
      { node: 'laptop', path: '/home/ada/Pictures', role: 'spoke' as const, way: { kind: 'through', note: 'nas' } },
      { node: 'studio', path: '/Users/ada/Photos', role: 'spoke' as const, online: false, access: 'read' },
    ]
    relationship(world, 'Photos', 'two-way', '/srv/share/photos', members, {
      ...syncing,
      role: 'hub',
      progress: { phase: 'transferring', files_done: 318, files_total: 940, bytes_done: 2_310_000_000, bytes_total: 6_420_000_000, bytes_per_second: 61_400_000, eta_seconds: 74 },
      unknown_since: ago(3 * hour),
      drift: null,
    })
    const two = members.slice(0, 2)
    relationship(world, 'Papers', 'two-way', '/srv/share/papers', two, { role: 'hub' })
    relationship(world, 'Mail', 'two-way', '/srv/share/mail', two, {
      role: 'hub',
      state: 'held',
      drift: { files: 640, bytes: 0, oldest_seconds: 900 },
      halt: {
        code: 'too-many-deletions',
        message: 'laptop would delete 640 of 700 items; nothing was changed anywhere',
        hint: "decide on laptop, which looks after this pair: 'evenfold status Mail' there",
        plan: null,
        machine: 'laptop',
        items: 640,
        of: 700,
      },
    })
    return world
  },
  /** The other side is a server that runs nothing but SSH. */
  host() {
    const world = blank()
    relationship(world, 'Website', 'mirror', '/home/ada/site', [{ node: 'www.example.org', path: '/var/www/html', role: 'destination', way: { kind: 'evenfold', note: 'Evenfold 0.1.0 there' } }])
    relationship(world, 'Notes', 'two-way', '/home/ada/notes', [{ node: 'nas.local', path: '/srv/notes', role: 'host', way: { kind: 'sftp', note: 'there is no program \'evenfold\' on nas.local' } }])
    return world
  },
  /** Items are delivered: some wait, some travel, all have arrived. */
  deliveries() {
    const world = blank()
    const hub = [{ node: 'nas', path: '/srv/relay/scans' }]
    relationship(world, 'Scans', 'relay', '/srv/scans', hub, {
      state: 'differs',
      problems: 3,
      drift: { files: 6, bytes: 12_900_000, oldest_seconds: 12_000 },
      deliveries: { settling: 1, transferring: 1, verifying: 1, waiting: 1, retrying: 1, quarantined: 1, released: 42 },
    })
    relationship(world, 'Invoices', 'relay', '/srv/invoices', hub, {
      state: 'differs',
      drift: { files: 3, bytes: 6_400_000, oldest_seconds: 90 },
      deliveries: { settling: 1, transferring: 1, verifying: 1, released: 42 },
    })
    relationship(world, 'Films', 'send-once', '/srv/films', hub, { deliveries: { released: 42 } })
    return world
  },
  /** Syncing goes on, but something beside it failed. */
  warnings() {
    const world = blank()
    withPhotos(world, { error: { code: 'hook', message: 'a hook for 2026/harbour-012.jpg failed: exit code 1; what was synced stays synced', hint: 'it is tried again by itself' } })
    withCode(world, {
      state: 'conflicts',
      conflicts: 2,
      drift: { files: 2, bytes: 15_600, oldest_seconds: 1500 },
      progress: syncing.progress ?? null,
      error: { code: 'clock', message: 'the clock of laptop is 42 s behind; syncing goes on', hint: 'set the clocks right on both machines (NTP): the newer of two versions is told by them' },
    })
    withConflicts(world, 2)
    const laptop = world.peers.find((one) => one.name === 'laptop')
    if (laptop) laptop.clock_offset_seconds = -42
    return world
  },
  million() {
    const world = blank()
    withPhotos(world, { drift: { files: 1_000_000, bytes: 4_200_000_000_000, oldest_seconds: 86_400 }, state: 'differs' })
    for (let index = 0; index < 60; index++) {
      relationship(world, `Archive ${1960 + index}`, 'mirror', `/srv/archive/${1960 + index}`, [{ node: 'nas', path: `/vault/${1960 + index}` }])
    }
    withHistory(world, 1000)
    return world
  },
  dead() {
    return { ...blank(), dead: true }
  },
}
