import { expect, test } from 'vitest'

import { scenarios } from '../../src/backend/fake/worlds'
import type { RelationshipStatus } from '../../src/backend/types'
import { needsFrom } from '../../src/lib/needs'
import { lookOf, needsOf, summarise } from '../../src/lib/status'

const world = (name: string) => scenarios[name]!().statuses
const calm = world('in-sync')[0]!
const changed = (change: Partial<RelationshipStatus>) => lookOf({ ...calm, ...change })

/** A halt of which only the words are known. */
const nobody = { machine: null, items: null, of: null }

test.each<[string, Partial<RelationshipStatus>, string]>([
  ['in sync and compared is green', {}, 'ok'],
  ['in sync but never compared is not green', { verified_at: null }, 'unknown'],
  ['in sync with a path left out is not green', { problems: 1 }, 'attention'],
  ['in sync with a conflict is not green', { conflicts: 1 }, 'conflict'],
  ['unknown is not green', { state: 'unknown' }, 'unknown'],
  ['a key that changed stops', { error: { code: 'key-changed', message: '', hint: '' } }, 'error'],
  ['a machine that is away is offline', { state: 'unknown', error: { code: 'offline', message: '', hint: '' } }, 'offline'],
  ['a full disk stops', { state: 'unknown', error: { code: 'no-space', message: '', hint: '' } }, 'error'],
  ['a hook that fails stops nothing', { error: { code: 'hook', message: '', hint: '' } }, 'attention'],
  ['a wrong clock stops nothing', { state: 'syncing', error: { code: 'clock', message: '', hint: '' } }, 'busy'],
  ['a missing folder stops', { state: 'held', halt: { code: 'root-missing', message: '', hint: '', plan: null, ...nobody } }, 'error'],
  ['many deletions ask', { state: 'held', halt: { code: 'too-many-deletions', message: '', hint: '', plan: 'x', ...nobody } }, 'attention'],
  ['a halt comes before a pause', { state: 'paused', halt: { code: 'root-missing', message: '', hint: '', plan: null, ...nobody } }, 'error'],
  ['paused is paused, with conflicts too', { state: 'paused', conflicts: 2 }, 'paused'],
  ['nobody there waits', { state: 'waiting' }, 'waiting'],
])('%s', (_, change, look) => {
  expect(changed(change)).toBe(look)
})

test('the worst of all relationships is shown, and everything open is counted', () => {
  const summary = summarise(world('mixed'))
  expect(summary.look).toBe('conflict')
  expect(summary.needs).toBe(2)
  expect(summary.counts.ok).toBe(2)
})

test('one of two machines away is no longer green', () => {
  expect(summarise(world('offline')).look).toBe('offline')
})

test('the oldest comparison of all is the one that is told', () => {
  const older = { ...calm, verified_at: '2026-01-01T00:00:00Z' }
  expect(summarise([calm, older]).verifiedAt).toBe('2026-01-01T00:00:00Z')
})

test('whatever is counted as a need is also listed', () => {
  for (const name of Object.keys(scenarios)) {
    const listed = needsFrom(world(name)).length > 0
    const counted = world(name).some((status) => needsOf(status) > 0)
    expect(listed, name).toBe(counted)
  }
})
