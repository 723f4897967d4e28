// Deliveries as people read them: what is under way, what waits and why, what has arrived.

import type { Kind, LedgerItem } from '../backend/types'
import type { Tone } from './status'

export const groups = ['all', 'moving', 'stuck', 'done'] as const
export type Group = (typeof groups)[number]

/** The states of a delivery, in the order in which it passes them; those with a reason at the end. */
const groupOf: Record<string, Exclude<Group, 'all'>> = {
  settling: 'moving',
  ready: 'moving',
  reserved: 'moving',
  transferring: 'moving',
  verifying: 'moving',
  delivered: 'done',
  acknowledged: 'done',
  finalised: 'done',
  released: 'done',
  skipped: 'done',
  waiting: 'stuck',
  retrying: 'stuck',
  quarantined: 'stuck',
  failed: 'stuck',
}

const tones: Record<Exclude<Group, 'all'>, Tone> = { moving: 'busy', stuck: 'attention', done: 'ok' }

/** Kinds that deliver items rather than keep folders even. */
export function isDelivering(kind: Kind): boolean {
  return kind === 'send-once' || kind === 'relay'
}

/** A state that a newer node brings is under way, as far as is known. */
export function groupFor(item: LedgerItem): Exclude<Group, 'all'> {
  return groupOf[item.state] ?? 'moving'
}

export function toneFor(item: LedgerItem): Tone {
  if (item.state === 'failed' || item.state === 'quarantined') return 'error'
  return tones[groupFor(item)]
}

export function countGroups(items: LedgerItem[]): Record<Group, number> {
  const counts = { all: items.length, moving: 0, stuck: 0, done: 0 }
  for (const item of items) counts[groupFor(item)] += 1
  return counts
}

const order: Record<Exclude<Group, 'all'>, number> = { stuck: 0, moving: 1, done: 2 }

/** What waits for something comes first, then what moves, then the newest that arrived. */
export function arranged(items: LedgerItem[], group: Group, text: string): LedgerItem[] {
  const wanted = text.trim().toLocaleLowerCase()
  return items
    .filter((item) => group === 'all' || groupFor(item) === group)
    .filter((item) => wanted === '' || [item.path, item.origin, item.destination].some((one) => one.toLocaleLowerCase().includes(wanted)))
    .sort((a, b) => order[groupFor(a)] - order[groupFor(b)] || latest(b).localeCompare(latest(a)))
}

function latest(item: LedgerItem): string {
  return item.released_at ?? item.finalised_at ?? item.delivered_at ?? item.since ?? ''
}

/** When the present state began, as far as it was written down. */
export function momentOf(item: LedgerItem): string | null {
  return item.released_at ?? item.finalised_at ?? item.delivered_at ?? item.since
}
