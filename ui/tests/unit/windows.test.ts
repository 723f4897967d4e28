import { describe, expect, it } from 'vitest'

import { pageSize, Windows } from '../../src/state/windows.svelte'

function numbers(total: number) {
  const asked: number[] = []
  const windows = new Windows<number>((offset, limit) => {
    asked.push(offset)
    return Promise.resolve({ total, rows: Array.from({ length: Math.min(limit, total - offset) }, (_, at) => offset + at) })
  })
  return { windows, asked }
}

describe('windows of a long list', () => {
  it('only_pages_that_are_looked_at_are_read', async () => {
    const { windows, asked } = numbers(1_000_000)
    windows.need(500_050, 500_120)
    await expect.poll(() => windows.at(500_100)).toBe(500_100)
    expect(asked).toEqual([500_000, 500_100])
    expect(windows.total).toBe(1_000_000)
    expect(windows.at(3)).toBeUndefined()
  })
  it('a_page_is_asked_for_once', async () => {
    const { windows, asked } = numbers(1000)
    windows.need(0, 10)
    windows.need(5, 20)
    await expect.poll(() => windows.at(0)).toBe(0)
    windows.need(0, pageSize - 1)
    expect(asked).toEqual([0])
  })
  it('what_was_scrolled_past_long_ago_is_forgotten', async () => {
    const { windows } = numbers(1_000_000)
    for (let page = 0; page < 60; page++) {
      windows.need(page * pageSize, page * pageSize)
      await expect.poll(() => windows.at(page * pageSize), { interval: 1 }).toBe(page * pageSize)
    }
    expect(windows.at(0)).toBeUndefined()
    expect(windows.at(59 * pageSize)).toBe(59 * pageSize)
  })
  it('an_answer_from_before_a_reset_is_dropped', async () => {
    const answers: ((page: { total: number; rows: string[] }) => void)[] = []
    const windows = new Windows<string>(() => new Promise((resolve) => answers.push(resolve)))
    windows.need(0, 0)
    windows.reset()
    answers[1]?.({ total: 1, rows: ['new'] })
    await expect.poll(() => windows.at(0)).toBe('new')
    answers[0]?.({ total: 1, rows: ['old'] })
    await Promise.resolve()
    expect(windows.at(0)).toBe('new')
  })
  it('a_failure_is_told_and_may_be_tried_again', async () => {
    let works = false
    const windows = new Windows<number>(() => (works ? Promise.resolve({ total: 1, rows: [7] }) : Promise.reject(new Error('gone'))))
    windows.need(0, 0)
    await expect.poll(() => windows.error?.message).toBe('gone')
    works = true
    await windows.again()
    expect(windows.at(0)).toBe(7)
    expect(windows.error).toBeNull()
  })
})
