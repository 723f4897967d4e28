import { expect, test } from 'vitest'

import type { LedgerItem } from '../../src/backend/types'
import { arranged, countGroups, groupFor, toneFor } from '../../src/lib/deliveries'
import { tabsOf } from '../../src/state/router.svelte'

const item = (path: string, state: string, since = '2026-11-21T10:00:00Z'): LedgerItem => ({
  id: path, version: '', path, origin: 'desk', destination: 'nas', state, reason: null, bytes: 1, files: 1, attempts: 0, retry_at: null,
  at_hub: false, placed_at: null, since, delivered_at: null, finalised_at: null, released_at: null, hook_error: null, gone: false,
})
const all = [item('a', 'released'), item('b', 'transferring'), item('c', 'waiting'), item('d', 'failed', '2026-11-21T11:00:00Z')]

test('what waits comes first, the newest on top, then what moves, then what is done', () => {
  expect(arranged(all, 'all', '').map(({ path }) => path)).toEqual(['d', 'c', 'b', 'a'])
})

test('groups are counted and shown apart', () => {
  expect(countGroups(all)).toEqual({ all: 4, moving: 1, stuck: 2, done: 1 })
  expect(arranged(all, 'stuck', '').map(({ path }) => path)).toEqual(['d', 'c'])
})

test('a search finds paths and machines', () => {
  expect(arranged(all, 'all', 'NAS')).toHaveLength(4)
  expect(arranged(all, 'all', 'b')).toHaveLength(1)
})

test('a failure is an error, and a state that nobody knows here is under way', () => {
  expect(toneFor(item('x', 'failed'))).toBe('error')
  expect(groupFor(item('x', 'teleporting'))).toBe('moving')
})

test('each kind has the tabs that mean something for it', () => {
  expect(tabsOf('relay')).toEqual(['now', 'deliveries', 'drift', 'history', 'settings'])
  expect(tabsOf('two-way')).toEqual(['now', 'changes', 'conflicts', 'drift', 'history', 'settings'])
})
