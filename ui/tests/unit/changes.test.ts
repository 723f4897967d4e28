import { describe, expect, it } from 'vitest'

import { fake } from '../../src/backend/fake/fake'
import { App } from '../../src/state/app.svelte'
import { ChangesState } from '../../src/state/changes.svelte'
import { DriftState } from '../../src/state/drift.svelte'
import { HistoryState } from '../../src/state/history.svelte'
import { RestoreState } from '../../src/state/restore.svelte'

async function world(query: string, name: string) {
  const app = new App(fake(new URLSearchParams(query)))
  const stop = await app.node.start()
  stop()
  const status = app.node.find(name)
  if (!status) throw new Error(`no ${name}`)
  return { app, status }
}

describe('changes', () => {
  it('a_million_are_counted_without_being_read', async () => {
    const { app, status } = await world('scenario=million', 'Photos')
    const changes = new ChangesState(app, () => status)
    changes.read()
    await expect.poll(() => changes.windows.total).toBe(1_000_000)
    expect((changes.numbers?.travels ?? 0) + (changes.numbers?.stays ?? 0)).toBe(1_000_000)
  })
  it('an_older_node_tells_what_differs_and_does_not_travel_from_its_comparison', async () => {
    const { app, status } = await world('scenario=drift&older', 'Site')
    const changes = new ChangesState(app, () => status)
    changes.read()
    await expect.poll(() => changes.numbers).toEqual({ travels: 0, stays: 812 })
    expect(changes.windows.at(0)?.reason).toBe('compare-only')
  })
  it('why_is_asked_once_for_the_same_path', async () => {
    const { app, status } = await world('scenario=million', 'Photos')
    const changes = new ChangesState(app, () => status)
    changes.read()
    await expect.poll(() => changes.windows.at(0)).toBeDefined()
    const first = changes.windows.at(0)
    if (first) changes.choose(first)
    await expect.poll(() => changes.why.data?.endpoints.length).toBe(2)
    const before = changes.why.data
    if (first) changes.choose({ ...first })
    expect(changes.why.data).toBe(before)
  })
})

describe('drift', () => {
  for (const [name, query] of [
    ['a_node_with_windows', 'scenario=drift'],
    ['an_older_node', 'scenario=drift&older'],
  ] as const) {
    it(`${name}_gives_levels_and_filtered_files`, async () => {
      const { app, status } = await world(query, 'Site')
      const drift = new DriftState(app, status)
      drift.read()
      await expect.poll(() => drift.view.data?.level.entries.length).toBe(6)
      drift.go({ path: 'assets' })
      await expect.poll(() => drift.view.data?.level.entries.map((one) => one.path).sort()).toEqual(['assets/img', 'assets/video'])
      drift.show(['conflict'])
      await expect.poll(() => drift.items.at(0)?.finding).toBe('conflict')
      expect(drift.items.at(0)?.path.startsWith('assets/')).toBe(true)
    })
  }
})

describe('history', () => {
  it('older_rows_follow_in_pages', async () => {
    const { app } = await world('scenario=million', 'Photos')
    const history = new HistoryState(app)
    history.read()
    await expect.poll(() => history.query.data?.length).toBe(200)
    await history.readMore()
    expect(history.query.data?.length).toBe(400)
    expect(history.more).toBe(true)
  })
  it('a_filter_begins_anew', async () => {
    const { app } = await world('scenario=mixed', 'Code')
    const history = new HistoryState(app)
    history.set({ text: 'REPORT', kind: 'update' })
    await expect.poll(() => history.query.data?.length).toBeGreaterThan(0)
    expect(history.query.data?.every((row) => row.path === 'docs/report.txt' && row.kind === 'update')).toBe(true)
  })
})

describe('restoring', () => {
  it('a_folder_as_of_a_moment_is_shown_before_and_can_be_undone', async () => {
    const { app, status } = await world('scenario=mixed', 'Code')
    const restore = new RestoreState(app, status.id)
    expect(await restore.plan.run('docs', '2026-11-20T14:05:00Z')).toBe(true)
    const plan = restore.plan.result
    expect(plan?.steps.map((step) => [step.path, step.version.id])).toEqual([['docs/report.txt', 'v3']])
    if (plan) await restore.apply.run(plan)
    expect(app.toasts.all[0]?.action).not.toBeNull()
  })
})
