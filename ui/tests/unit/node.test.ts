import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { fake } from '../../src/backend/fake/fake'
import type { Event } from '../../src/backend/types'
import { NodeState } from '../../src/state/node.svelte'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('progress is shown four times a second, however often it is told, and the newest wins', async () => {
  const node = new NodeState(fake(new URLSearchParams('scenario=syncing')))
  const stop = await node.start()
  const [one] = node.relationships
  if (!one?.progress) throw new Error('nothing moves in this world')
  const { tell } = (globalThis as unknown as { fakeEvenfold: { tell: (event: Event) => void } }).fakeEvenfold
  const shown = new Set<number>()
  for (let files = 1; files <= 100; files += 1) {
    tell({ event: 'progress', id: one.id, progress: { ...one.progress, files_done: 1000 + files } })
    await vi.advanceTimersByTimeAsync(10)
    shown.add(node.find(one.id)?.progress?.files_done ?? 0)
  }
  await vi.advanceTimersByTimeAsync(250)
  expect(shown.size).toBeLessThanOrEqual(5)
  expect(node.find(one.id)?.progress?.files_done).toBe(1100)
  stop()
})
