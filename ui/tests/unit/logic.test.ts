import { expect, test, vi } from 'vitest'

import { ask, askIfKnown, type Backend, BackendError } from '../../src/backend/backend'
import { fake } from '../../src/backend/fake/fake'
import { fingerprintsIn } from '../../src/lib/keychange'
import { pairsOf, settingFields, textOf } from '../../src/lib/settingkeys'
import { Action } from '../../src/state/action.svelte'
import { NodeState } from '../../src/state/node.svelte'
import { Query } from '../../src/state/query.svelte'
import { parse } from '../../src/state/router.svelte'

const world = (query: string) => fake(new URLSearchParams(query))

test('addresses name pages; nonsense is home', () => {
  expect(parse('#/relationships/a%2Fb/drift?under=docs')).toMatchObject({ page: 'relationship', id: 'a/b', tab: 'drift' })
  expect(parse('#/relationships/x/nothing')).toMatchObject({ tab: 'now' })
  expect(parse('#/settings/about')).toEqual({ page: 'settings', section: 'about' })
  expect(parse('#/what/ever')).toEqual({ page: 'home' })
  expect(parse('')).toEqual({ page: 'home' })
})

test('an address that is badly written is home, not a crash', () => {
  expect(parse('#/relationships/%E0%A4%A')).toEqual({ page: 'home' })
})

test('a request that an older node does not know gives nothing; other errors stay errors', async () => {
  expect(await askIfKnown(world('scenario=in-sync&older'), { request: 'nearby' })).toBeNull()
  await expect(askIfKnown(world('scenario=dead'), { request: 'nearby' })).rejects.toMatchObject({ code: 'io' })
})

test('whatever is thrown becomes an error with a code', () => {
  expect(BackendError.from('text').code).toBe('internal')
  expect(BackendError.from({ code: 'held', message: 'm', hint: 'h' })).toMatchObject({ code: 'held', hint: 'h' })
})

test('an answer that was overtaken is dropped', async () => {
  const query = new Query<string>()
  let late = (_: string) => {}
  const first = query.load(() => new Promise<string>((resolve) => (late = resolve)))
  await query.load(() => Promise.resolve('new'))
  late('old')
  await first
  expect(query.data).toBe('new')
})

test('an action runs once at a time and keeps its error', async () => {
  const run = vi.fn(() => Promise.reject(new Error('no')))
  const action = new Action(run)
  const results = await Promise.all([action.run(), action.run()])
  expect(results).toEqual([false, false])
  expect(run).toHaveBeenCalledTimes(1)
  expect(action.error?.message).toBe('no')
})

test('a list setting is one pair for each line, and clearing it is said', () => {
  const exclude = settingFields.find((field) => field.key === 'exclude')!
  expect(pairsOf(exclude, 'a/\n\n *.tmp ')).toEqual([['exclude', 'a/'], ['exclude', '*.tmp']])
  expect(pairsOf(exclude, '')).toEqual([['exclude', '']])
  expect(textOf([['exclude', 'a'], ['hidden', 'true'], ['exclude', 'b']], 'exclude')).toBe('a\nb')
})

test('the fingerprints of a changed key are read from the message', () => {
  const { shown, pinned } = fingerprintsIn('nas shows the key SHA256:7tGhKw3ZsPq0LmNbVcXyRj5DfE1uIo8aTsHdQ9gJ2kU, but SHA256:pX9fQm2rT0cVnYwKdL6eHsJ4uB8gAzR1iOqNvCxE3lM is pinned')
  expect(shown).toContain('7tGh')
  expect(pinned).toContain('pX9f')
})

test('a burst of events leads to one reading', async () => {
  vi.useFakeTimers()
  const backend = world('scenario=in-sync')
  let tell: Parameters<Backend['subscribe']>[0] = () => {}
  const watched: Backend = {
    shell: backend.shell,
    subscribe: (listener) => {
      tell = listener
      return Promise.resolve(() => {})
    },
    request: vi.fn((request) => backend.request(request)),
  }
  const node = new NodeState(watched)
  const stop = await node.start()
  const before = vi.mocked(watched.request).mock.calls.length
  for (let index = 0; index < 1000; index++) tell({ event: 'relationship', id: 'x' })
  await vi.advanceTimersByTimeAsync(300)
  const asked = vi.mocked(watched.request).mock.calls.length - before
  expect(asked).toBe(2)
  stop()
  vi.useRealTimers()
})

test('an engine that goes away leaves what was known, with the error beside it', async () => {
  vi.useFakeTimers()
  const backend = world('scenario=in-sync')
  let dead = false
  const fading: Backend = {
    shell: backend.shell,
    subscribe: () => Promise.resolve(() => {}),
    request: (request) => (dead ? Promise.reject(new BackendError({ code: 'io', message: 'gone', hint: null })) : backend.request(request)),
  }
  const node = new NodeState(fading)
  const stop = await node.start()
  dead = true
  node.refresh()
  await vi.advanceTimersByTimeAsync(300)
  expect(node.relationships).toHaveLength(2)
  expect(node.error?.message).toBe('gone')
  stop()
  vi.useRealTimers()
})

test('the made-up world answers every older request that the window makes', async () => {
  const backend = world('scenario=mixed')
  const status = await ask(backend, { request: 'status', relationship: null })
  expect(status.relationships.map((one) => one.name)).toContain('Code')
  await expect(ask(backend, { request: 'rel-show', relationship: 'nothing' })).rejects.toMatchObject({ code: 'not-found' })
})
