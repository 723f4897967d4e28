import { describe, expect, it } from 'vitest'

import { BackendError } from '../../src/backend/backend'
import { fake } from '../../src/backend/fake/fake'
import type { Request } from '../../src/backend/requests'
import type { ConflictInfo, ConflictVersion, PeerInfo } from '../../src/backend/types'
import { canUndo, keepIn, newest, scoped, wrongClocks } from '../../src/lib/conflicts'
import { App } from '../../src/state/app.svelte'
import { ConflictsState } from '../../src/state/conflicts.svelte'

const version = (node: string, mtime: string | null, path = `f.${node}`): ConflictVersion => ({ node, mtime, path, size: 1, current: false })
const conflict = (path: string, versions = [version('desk', '2026-11-21T10:00:00Z'), version('laptop', '2026-11-21T11:00:00Z')]): ConflictInfo => ({
  id: path,
  relationship: 'Code',
  path,
  versions,
})

describe('the newest version', () => {
  it('is_the_latest_time', () => {
    expect(newest(conflict('a').versions)).toBe(1)
  })
  it('is_not_known_where_a_time_is_missing_or_equal', () => {
    expect(newest([version('desk', null), version('laptop', '2026-11-21T11:00:00Z')])).toBeNull()
    expect(newest([version('desk', '2026-11-21T11:00:00Z'), version('laptop', '2026-11-21T11:00:00Z')])).toBeNull()
  })
})

describe('a decision for many', () => {
  const all = [conflict('docs/a'), conflict('docs/sub/b'), conflict('docs-old/c'), conflict('d')]
  it('for_a_folder_takes_what_lies_below_it_only', () => {
    expect(scoped(all, conflict('docs/a'), 'folder').map((one) => one.path)).toEqual(['docs/a', 'docs/sub/b'])
  })
  it('for_all_begins_with_the_one_that_is_shown', () => {
    expect(scoped(all, conflict('d'), 'all').map((one) => one.path)).toEqual(['d', 'docs/a', 'docs/sub/b', 'docs-old/c'])
  })
  it('leaves_a_conflict_without_a_version_of_that_machine', () => {
    expect(keepIn(conflict('a'), { machine: 'nas' })).toBeNull()
    expect(keepIn(conflict('a'), 'newest')).toBe('laptop')
  })
})

it('versions_under_one_name_cannot_be_taken_back_here', () => {
  expect(canUndo(conflict('a'), 'desk')).toBe(true)
  expect(canUndo(conflict('a'), 'both')).toBe(false)
  expect(canUndo(conflict('a', [version('desk', null, 'a'), version('nas', null, 'a')]), 'desk')).toBe(false)
})

it('a_clock_that_is_off_by_more_than_five_seconds_is_told', () => {
  const peers = [{ name: 'laptop', clock_offset_seconds: -42 } as PeerInfo, { name: 'desk', clock_offset_seconds: 4 } as PeerInfo]
  expect(wrongClocks(conflict('a'), peers)).toEqual([{ node: 'laptop', seconds: 42 }])
})

describe('the page', () => {
  async function page(refuse: (request: Request) => boolean = () => false) {
    const backend = fake(new URLSearchParams('scenario=conflicts'))
    const asked: Request[] = []
    const app = new App({
      ...backend,
      shell: backend.shell,
      subscribe: (tell) => backend.subscribe(tell),
      request: (request) => {
        asked.push(request)
        if (refuse(request)) return Promise.reject(new BackendError({ code: 'io', message: 'no', hint: null }))
        return backend.request(request)
      },
    })
    const conflicts = new ConflictsState(app, 'Code')
    conflicts.read()
    await expect.poll(() => conflicts.all.length).toBe(14)
    return { conflicts, asked, app }
  }

  it('after_a_decision_the_next_conflict_is_shown', async () => {
    const { conflicts } = await page()
    conflicts.choose('c2')
    expect(await conflicts.decide.run({ machine: 'desk' })).toBe(true)
    await expect.poll(() => conflicts.all.length).toBe(13)
    expect(conflicts.current?.id).toBe('c3')
  })
  it('a_whole_folder_is_decided_one_by_one', async () => {
    const { conflicts, asked } = await page()
    conflicts.scope = 'folder'
    expect(conflicts.current?.path).toBe('docs/report.txt')
    await conflicts.decide.run('newest')
    const resolved = asked.filter((one) => one.request === 'resolve')
    expect(resolved.length).toBe(11)
    expect(resolved.every((one) => one.keep === 'desk')).toBe(true)
  })
  it('undoing_the_choice_of_the_copy_brings_both_names_back', async () => {
    const { conflicts, asked } = await page()
    await conflicts.decide.run({ machine: 'laptop' })
    expect(conflicts.undoable).toBe(true)
    await conflicts.undo.run()
    const restored = asked.filter((one) => one.request === 'restore')
    expect(restored.map((one) => [one.path.path, one.version, one.to?.path])).toEqual([
      ['docs/report.txt', null, undefined],
      ['docs/report.txt', 'v4', 'docs/report.conflict-20261121T134000Z-laptop.txt'],
    ])
    expect(conflicts.undoable).toBe(false)
  })
  it('a_failure_in_the_middle_says_what_was_done_and_keeps_the_rest', async () => {
    let n = 0
    const { conflicts, app } = await page((request) => request.request === 'resolve' && ++n > 3)
    conflicts.scope = 'all'
    expect(await conflicts.decide.run('both')).toBe(false)
    await expect.poll(() => conflicts.all.length).toBe(11)
    expect(conflicts.decide.error?.message).toBe('no')
    expect(app.toasts.all).toHaveLength(1)
  })
})
