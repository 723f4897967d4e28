// What waits for a person, across relationships, worst first.

import type { RelationshipStatus } from '../backend/types'
import { isKeyChanged, lookOf, warningOf } from './status'

export type Need =
  | { kind: 'key'; status: RelationshipStatus }
  | { kind: 'stopped'; status: RelationshipStatus }
  | { kind: 'approval'; status: RelationshipStatus }
  | { kind: 'conflicts'; status: RelationshipStatus }
  | { kind: 'problems'; status: RelationshipStatus }
  | { kind: 'warning'; status: RelationshipStatus }

const order: Need['kind'][] = ['key', 'stopped', 'approval', 'conflicts', 'problems', 'warning']

/** Every cause is listed, not only the worst of each relationship. */
export function needsFrom(all: RelationshipStatus[]): Need[] {
  const needs: Need[] = []
  for (const status of all) {
    const look = lookOf(status)
    if (isKeyChanged(status)) needs.push({ kind: 'key', status })
    else if (status.halt?.plan || (look === 'attention' && (status.halt || status.state === 'held')))
      needs.push({ kind: 'approval', status })
    else if (look === 'error') needs.push({ kind: 'stopped', status })
    if (status.conflicts > 0) needs.push({ kind: 'conflicts', status })
    if (status.problems > 0) needs.push({ kind: 'problems', status })
    if (warningOf(status) && status.state !== 'paused') needs.push({ kind: 'warning', status })
  }
  return needs.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))
}
