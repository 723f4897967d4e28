// The one truth for status: what the window, the list and the summary say about a relationship follows from here.
// Green only when all endpoints were compared by digest, are equal, and nothing waits for a person.

import type { ErrorInfo, RelationshipStatus } from '../backend/types'

/** What a relationship looks like; each has a glyph of its own shape. */
export type Look =
  | 'ok'
  | 'busy'
  | 'scanning'
  | 'drifted'
  | 'conflict'
  | 'attention'
  | 'error'
  | 'offline'
  | 'unknown'
  | 'paused'
  | 'waiting'

/** Colour of a look, by meaning. */
export type Tone = 'ok' | 'busy' | 'muted' | 'attention' | 'conflict' | 'error'

export const toneOf: Record<Look, Tone> = {
  ok: 'ok',
  busy: 'busy',
  scanning: 'busy',
  drifted: 'attention',
  conflict: 'conflict',
  attention: 'attention',
  error: 'error',
  offline: 'muted',
  unknown: 'muted',
  paused: 'muted',
  waiting: 'muted',
}

/** Halts that a person can approve: a question, not a failure. */
const questions = new Set(['too-many-deletions', 'root-emptied'])

/** Errors after which a key has to be compared by a person. */
export function isKeyChanged(status: RelationshipStatus): boolean {
  return status.error?.code === 'key-changed' || status.halt?.code === 'key-changed'
}

/** What went wrong beside syncing, which goes on: somebody should look at it, but nothing is stopped. */
const besides = new Set(['hook', 'clock'])

/** What somebody should look at although the relationship goes on. */
export function warningOf(status: RelationshipStatus): ErrorInfo | null {
  return status.error && besides.has(status.error.code) ? status.error : null
}

export function lookOf(status: RelationshipStatus): Look {
  if (isKeyChanged(status)) return 'error'
  if (status.halt) return questions.has(status.halt.code) ? 'attention' : 'error'
  if (status.state === 'held') return 'attention'
  if (status.error && status.error.code !== 'offline' && !warningOf(status)) return 'error'
  if (status.state === 'paused') return 'paused'
  if (status.conflicts > 0 || status.state === 'conflicts') return 'conflict'
  if (status.error?.code === 'offline') return 'offline'
  if (status.state === 'waiting') return 'waiting'
  if (status.progress) return isLooking(status) ? 'scanning' : 'busy'
  if (status.state === 'syncing') return 'busy'
  if (status.state === 'scanning') return 'scanning'
  if (status.state === 'unknown') return allOthersAway(status) ? 'offline' : 'unknown'
  if (status.problems > 0 || warningOf(status)) return 'attention'
  if (status.state === 'differs') return 'drifted'
  return status.state === 'in-sync' && status.verified_at !== null ? 'ok' : 'unknown'
}

/** Whether what happens now is only looking. */
export function isLooking(status: RelationshipStatus): boolean {
  if (!status.progress) return status.state === 'scanning'
  return status.progress.phase === 'scanning' || status.progress.phase === 'comparing'
}

function allOthersAway(status: RelationshipStatus): boolean {
  return status.endpoints.length > 1 && status.endpoints.slice(1).every((endpoint) => !endpoint.online)
}

/** How many things of a relationship wait for a person. */
export function needsOf(status: RelationshipStatus): number {
  const look = lookOf(status)
  if (look === 'error') return 1 + status.conflicts
  const asks = status.halt || status.state === 'held' ? 1 : 0
  const problems = status.problems > 0 ? 1 : 0
  const warnings = warningOf(status) && status.state !== 'paused' ? 1 : 0
  return asks + problems + warnings + status.conflicts
}

/** Worst first; the summary and the tray show the first that occurs. */
const severity: Look[] = [
  'error',
  'attention',
  'conflict',
  'offline',
  'unknown',
  'busy',
  'scanning',
  'drifted',
  'waiting',
  'paused',
  'ok',
]

export interface Summary {
  /** Look of everything together. */
  look: Look
  /** Things that wait for a person. */
  needs: number
  /** How many relationships have each look. */
  counts: Record<Look, number>
  /** The oldest verification of all, RFC 3339. */
  verifiedAt: string | null
}

export function summarise(all: RelationshipStatus[]): Summary {
  const counts = Object.fromEntries(severity.map((look) => [look, 0])) as Record<Look, number>
  let needs = 0
  let verifiedAt: string | null = null
  for (const status of all) {
    counts[lookOf(status)] += 1
    needs += needsOf(status)
    if (status.verified_at && (verifiedAt === null || status.verified_at < verifiedAt)) verifiedAt = status.verified_at
  }
  // One machine that is away is no alarm while others go on; it is when nothing else happens.
  const away = counts.offline > 0 && counts.offline < all.length && (counts.busy > 0 || counts.scanning > 0)
  const order = away ? severity.filter((look) => look !== 'offline') : severity
  const look = order.find((candidate) => counts[candidate] > 0) ?? 'ok'
  return { look, needs, counts, verifiedAt }
}

/** Rank for sorting a list by state, worst first. */
export function severityOf(look: Look): number {
  return severity.indexOf(look)
}
