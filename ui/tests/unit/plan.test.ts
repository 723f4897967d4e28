import { describe, expect, test } from 'vitest'

import type { ChangeInfo } from '../../src/backend/types'
import { beyond, planLines } from '../../src/lib/plan'

const change = (path: string, act: ChangeInfo['act'] = 'create', bytes = 10): ChangeInfo => ({ node: 'nas', path, act, bytes, files: 1 })
const many = Array.from({ length: 20 }, (_, index) => change(`pictures/${index}.jpg`))
const told = (changes: ChangeInfo[], open: string[] = []) =>
  planLines(changes, (folder) => open.includes(folder)).map((line) => (line.type === 'folder' ? line.folder.name : line.change.path))

describe('lines of a plan', () => {
  test('few changes stand one by one, deletions first', () => {
    expect(told([change('a'), change('b/c', 'replace'), change('d', 'delete')])).toEqual(['d', 'b/c', 'a'])
  })

  test('many are gathered below their folders, and those outside stay visible', () => {
    expect(told([...many, change('notes.txt')])).toEqual(['pictures/', 'notes.txt'])
  })

  test('a folder in which something is deleted comes before larger ones', () => {
    const lines = told([...many, change('old/x', 'delete', 1), change('films/y', 'create', 1e9)])
    expect(lines).toEqual(['old/', 'films/', 'pictures/'])
  })

  test('an open folder shows what is in it', () => {
    expect(told([...many, change('films/y')], ['pictures/'])).toHaveLength(22)
  })

  test('one folder alone is not folded up', () => {
    expect(told(many)).toHaveLength(20)
  })

  test('a folder counts files by act, also those of a folder that travels as a whole', () => {
    const [line] = planLines([...many, { ...change('pictures/raw', 'delete'), files: 30 }, change('films/y')], () => false)
    expect(line).toMatchObject({ folder: { files: 50, acts: [['delete', 30], ['create', 20]] } })
  })
})

test('what a plan does not list is counted', () => {
  const none = { new: 0, replaced: 0, deleted: 0, bytes: 0 }
  expect(beyond({ here: none, there: { ...none, new: 1204, replaced: 3 }, changes: many })).toBe(1187)
  expect(beyond({ here: { ...none, new: 20 }, there: none, changes: many })).toBe(0)
})
