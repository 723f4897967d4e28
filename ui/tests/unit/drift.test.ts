import { describe, expect, it } from 'vitest'

import type { Check, CheckItem } from '../../src/backend/types'
import { crumbs, emptyCounts, identical, levelOf, mostEntries, rampOf, segments, sidesOf, sparkline, tiles, toCsv } from '../../src/lib/drift'
import { arranged } from '../../src/state/drift.svelte'

const item = (path: string, finding: string, bytes = 100): CheckItem => ({ path, finding, detail: '', bytes })

function check(items: CheckItem[], same = 0, sameBytes = 0): Check {
  const counts = { ...emptyCounts(), in_sync: same }
  const bytes = { ...emptyCounts(), in_sync: sameBytes }
  for (const one of items) {
    counts[one.finding as 'missing'] += 1
    bytes[one.finding as 'missing'] += one.bytes
  }
  return { verified: true, unverified_reason: null, unknown_since: null, compared_at: null, counts, bytes, suspects: 0, items }
}

describe('a level of the tree', () => {
  const some = check([item('docs/a', 'missing', 300), item('docs/sub/b', 'conflict', 100), item('docs-old/c', 'stale', 50)], 6, 550)

  it('sums_what_lies_below_each_folder', () => {
    const level = levelOf(some, '')
    expect(level.entries.map((one) => [one.path, one.folder, one.differing_bytes])).toEqual([
      ['docs', true, 400],
      ['docs-old', true, 50],
    ])
    expect(level.entries[0]?.counts.conflict).toBe(1)
  })
  it('below_a_folder_shows_only_what_is_in_it', () => {
    expect(levelOf(some, 'docs').entries.map((one) => one.path)).toEqual(['docs/a', 'docs/sub'])
  })
  it('counts_what_is_equal_for_the_whole', () => {
    const { total } = levelOf(some, '')
    expect([total.files, total.bytes, total.differing_files]).toEqual([9, 1000, 3])
    expect(identical(total)).toEqual({ share: 0.55, by: 'bytes' })
  })
  it('keeps_names_that_are_not_text', () => {
    const odd = { ...item('caf\ufffd', 'missing'), path_bytes: 'Y2Fm/w==' }
    expect(levelOf(check([odd]), '').entries[0]?.path_bytes).toBe('Y2Fm/w==')
  })
  it('more_entries_than_are_shown_are_summed_as_the_rest', () => {
    const many = Array.from({ length: mostEntries + 50 }, (_, at) => item(`f${at}`, 'missing', at))
    const level = levelOf(check(many), '')
    expect(level.entries).toHaveLength(mostEntries)
    expect(level.rest?.differing_files).toBe(50)
  })
})

describe('shares', () => {
  it('nothing_compared_is_not_zero_difference', () => {
    expect(identical(levelOf(check([]), '').total)).toBeNull()
    expect(segments(emptyCounts())).toEqual([])
  })
  it('empty_files_are_counted_by_paths', () => {
    expect(identical(levelOf(check([item('a', 'missing', 0)], 3), '').total)).toEqual({ share: 0.75, by: 'files' })
  })
  it('ramp_is_lightest_only_where_nothing_differs', () => {
    const [entry] = levelOf(check([item('a', 'missing', 1)]), '').entries
    expect(entry && rampOf({ ...entry, bytes: 1_000_000, files: 9 })).toBe(1)
    expect(entry && rampOf({ ...entry, differing_files: 0, differing_bytes: 0 })).toBe(0)
    expect(entry && rampOf(entry)).toBe(4)
  })
})

describe('tiles', () => {
  it('cover_the_box_and_show_even_what_has_no_bytes', () => {
    const laid = tiles(levelOf(check([item('a', 'missing', 900), item('b', 'missing', 0)]), ''), 400, 300)
    expect(laid).toHaveLength(2)
    for (const tile of laid) expect(tile.width * tile.height).toBeGreaterThan(0)
  })
  it('an_empty_level_has_none', () => {
    expect(tiles(levelOf(check([]), ''), 400, 300)).toEqual([])
  })
})

it('folders_above_a_path_are_told_from_the_top', () => {
  expect(crumbs('a/b')).toEqual([
    { name: 'a', path: 'a' },
    { name: 'b', path: 'a/b' },
  ])
  expect(crumbs('')).toEqual([])
})

it('a_sparkline_without_values_is_empty', () => {
  expect(sparkline([])).toBe('')
  expect(sparkline([0, 10])).toBe('0,96 100,4')
})

it('a_name_that_a_spreadsheet_would_run_is_made_harmless', () => {
  const csv = toCsv([item('=cmd(),"x"', 'missing')], ['Path', 'Finding', 'Size', 'Evidence'])
  expect(csv).toBe('Path,Finding,Size,Evidence\r\n"\'=cmd(),""x""",missing,100,\r\n')
})

it('the_source_is_what_is_measured_against', () => {
  const endpoints = [{ node: 'desk' }, { node: 'nas' }]
  expect(sidesOf({ role: 'source', endpoints } as never)).toEqual({ source: 'desk', target: 'nas' })
  expect(sidesOf({ role: 'spoke', endpoints } as never)).toEqual({ source: 'nas', target: 'desk' })
})

it('items_are_filtered_by_folder_and_finding_and_sorted', () => {
  const items = [item('a/x', 'missing', 1), item('a/y', 'stale', 3), item('ab', 'missing', 2), item('a/z', 'missing', 5)]
  expect(arranged(items, 'a', new Set(['missing']), 'bytes', true).map((one) => one.path)).toEqual(['a/z', 'a/x'])
  expect(arranged(items, '', new Set(), 'path', false).map((one) => one.path)).toEqual(['a/x', 'a/y', 'a/z', 'ab'])
})
