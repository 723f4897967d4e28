import { describe, expect, it } from 'vitest'

import type { HistoryRow, VersionInfo } from '../../src/backend/types'
import { batches, copyName, joinRows, lines, searchPattern, touched, versionAt } from '../../src/lib/history'

const start = Date.parse('2026-11-21T12:00:00Z')

function row(id: number, secondsAgo: number, change: Partial<HistoryRow> = {}): HistoryRow {
  return {
    id,
    time: new Date(start - secondsAgo * 1000).toISOString(),
    relationship: 'Photos',
    kind: 'update',
    node: 'desk',
    on: 'nas',
    path: `p${id}`,
    bytes: 10,
    detail: null,
    ...change,
  }
}

describe('batches', () => {
  it('acts_that_came_together_are_one_batch', () => {
    const [batch, ...more] = batches([row(3, 0), row(2, 5, { kind: 'create' }), row(1, 50, { kind: 'create' })])
    expect(more).toHaveLength(0)
    expect(batch?.kinds).toEqual([
      ['create', 2],
      ['update', 1],
    ])
    expect(batch?.bytes).toBe(30)
  })
  it('another_machine_relationship_or_time_begins_a_new_batch', () => {
    expect(batches([row(2, 0), row(1, 90)])).toHaveLength(2)
    expect(batches([row(2, 0), row(1, 1, { node: 'laptop' })])).toHaveLength(2)
    expect(batches([row(2, 0), row(1, 1, { relationship: 'Code' })])).toHaveLength(2)
  })
  it('lines_have_a_heading_per_day_and_rows_only_of_open_batches', () => {
    const all = batches([row(4, 0), row(3, 1), row(2, 3 * 86_400)])
    expect(lines(all, () => false).map((line) => line.type)).toEqual(['day', 'batch', 'day', 'row'])
    expect(lines(all, () => true).map((line) => line.type)).toEqual(['day', 'batch', 'row', 'row', 'day', 'row'])
  })
})

it('pages_that_overlap_give_each_row_once', () => {
  expect(joinRows([row(5, 0), row(4, 1)], [row(4, 1), row(3, 2)]).map((one) => one.id)).toEqual([5, 4, 3])
})

describe('search', () => {
  it('words_match_anywhere_in_any_case', () => {
    expect(searchPattern(' ab1 ')).toBe('*[aA][bB]1*')
  })
  it('a_bracket_stands_for_itself', () => {
    expect(searchPattern('[x')).toBe('*[[][xX]*')
  })
  it('a_pattern_of_ones_own_is_kept', () => {
    expect(searchPattern('*.JPG')).toBe('*.JPG')
  })
  it('nothing_typed_is_no_pattern', () => {
    expect(searchPattern('  ')).toBeNull()
  })
})

describe('a folder as of a moment', () => {
  it('paths_below_are_found_once_with_their_first_act', () => {
    const rows = [row(4, 0, { path: 'd/a' }), row(3, 1, { path: 'da' }), row(2, 2, { path: 'd/a', kind: 'create' })]
    expect(touched(rows, 'd')).toEqual([{ path: 'd/a', first: 'create' }])
  })
  it('acts_that_leave_the_content_alone_do_not_count', () => {
    expect(touched([row(1, 0, { kind: 'metadata' }), row(2, 0, { kind: 'halt', path: undefined })], '')).toEqual([])
  })
  it('the_first_version_after_the_moment_held_what_stood_there', () => {
    const version = (id: string, time: string) => ({ id, time }) as VersionInfo
    const versions = [version('c', '2026-11-03T00:00:00Z'), version('b', '2026-11-02T00:00:00Z'), version('a', '2026-11-01T00:00:00Z')]
    expect(versionAt(versions, '2026-11-01T12:00:00Z')?.id).toBe('b')
    expect(versionAt(versions, '2026-11-04T00:00:00Z')).toBeNull()
  })
})

it('a_copy_keeps_folder_and_ending', () => {
  expect(copyName('docs/report.txt', '2026-11-20T13:40:05Z')).toBe('docs/report.2026-11-20-134005.txt')
  expect(copyName('.profile', '2026-11-20T13:40:05Z')).toBe('.profile.2026-11-20-134005')
})
