// For everyone: by keyboard alone, without motion, with the colours of the system, following the desktop's light and dark.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { go, here, launch, newPage, serve, type How, type Watched } from './rig.mjs'

const pictures = join(here, '../../test-results/everyone')

let browser: Browser
let server: Awaited<ReturnType<typeof serve>>

beforeAll(async () => {
  mkdirSync(pictures, { recursive: true })
  server = await serve()
  browser = await launch()
})

afterAll(async () => {
  await browser?.close()
  server?.stop()
})

async function visit(query: string, route: string, how: How = {}): Promise<Watched> {
  const page = await newPage(browser, how)
  page.setDefaultTimeout(40_000)
  await go(page, server.url, { query, route })
  return page
}

/** What has the focus: its words, and whether that can be seen. */
const focused = (page: Watched) =>
  page.evaluate(() => {
    const element = document.activeElement as HTMLElement
    const rings = [element, ...element.querySelectorAll('*'), element.closest('label, .row') ?? element]
    const seen = rings.some((one) => ['', '::after'].some((part) => {
      const style = getComputedStyle(one, part)
      return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
    }))
    return { text: (element.getAttribute('aria-label') ?? element.innerText ?? '').trim(), seen }
  })

test('the keyboard reaches everything on the home page, in order, and the focus is seen', async () => {
  const page = await visit('scenario=mixed', '/relationships')
  const seen: string[] = []
  for (let step = 0; step < 40; step += 1) {
    await page.keyboard.press('Tab')
    // Behind the last of the page comes the browser itself.
    if (await page.evaluate(() => document.activeElement === document.body)) break
    const { text, seen: visible } = await focused(page)
    expect(visible, `the focus on "${text}" is seen`).toBe(true)
    seen.push(text)
  }
  expect(seen[0]).toBe('Skip to the content')
  const order = ['Relationships', 'Machines', 'Settings', 'Code', 'Actions for Code', 'Photos', 'Scans', 'Actions for Scans'].map((name) => seen.indexOf(name))
  expect(order).not.toContain(-1)
  expect(order).toEqual([...order].sort((a, b) => a - b))
})

test('a relationship is opened, its tabs are walked and left by keys', async () => {
  const page = await visit('scenario=mixed', '/relationships')
  await page.keyboard.press('Control+k')
  await page.locator('.palette-input:focus').waitFor()
  await page.keyboard.type('photos')
  await page.locator('.palette-item[aria-selected=true]', { hasText: 'Photos' }).waitFor()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Photos' }).waitFor()
  await page.keyboard.press(']')
  await page.locator('[aria-current=page]', { hasText: 'Changes' }).waitFor()
  await page.keyboard.press('[')
  await page.locator('[aria-current=page]', { hasText: 'Now' }).waitFor()
  await page.keyboard.press('Escape')
  await page.getByText('2 things need you.').waitFor()
  await page.keyboard.press('Alt+4')
  await page.getByRole('heading', { name: 'Machines' }).waitFor()
  await page.keyboard.press('Control+n')
  await page.getByRole('heading', { name: 'New relationship' }).waitFor()
  await page.keyboard.press('Alt+1')
  await page.getByText('2 things need you.').waitFor()
  await page.keyboard.press('Control+f')
  await page.locator('input[aria-label="Filter by name, machine or folder"]:focus').waitFor()
})

test('conflicts are decided and undone by keys', async () => {
  const page = await visit('scenario=conflicts', '/relationships/Code/conflicts')
  await page.getByText('1 of 14').waitFor()
  await page.keyboard.press('j')
  await page.getByText('2 of 14').waitFor()
  await page.keyboard.press('k')
  await page.getByText('1 of 14').waitFor()
  await page.keyboard.press('2')
  await page.getByText('laptop’s version stays').waitFor()
  await page.getByText('1 of 13').waitFor()
})

test('a destructive question begins on its safe answer, and Enter takes it', async () => {
  const page = await visit('scenario=held', '/relationships/Photos/now')
  await page.getByRole('button', { name: 'Review…' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.waitFor()
  await page.waitForFunction(() => document.querySelector('[role=dialog]')?.contains(document.activeElement))
  expect((await focused(page)).text).toBe('Keep the files, change nothing')
  await page.keyboard.press('Enter')
  await dialog.waitFor({ state: 'hidden' })
  expect(await page.evaluate(() => (globalThis as unknown as { fakeEvenfold: { world: { statuses: { halt: unknown }[] } } }).fakeEvenfold.world.statuses.some((one) => one.halt))).toBe(true)
})

test('who wants no motion gets none', async () => {
  for (const route of ['/relationships', '/relationships/Photos/now', '/new']) {
    const page = await visit('scenario=syncing', route)
    const moving = await page.evaluate(() => document.getAnimations().filter((one) => one.playState === 'running').length)
    expect(moving, route).toBe(0)
    await page.context().close()
  }
  const page = await visit('scenario=syncing', '/relationships', { still: false })
  expect(await page.evaluate(() => document.getAnimations().length), 'others see that something moves').toBeGreaterThan(0)
})

test('the desktop’s colours are followed while the window is open', async () => {
  const page = await visit('scenario=mixed', '/relationships')
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  const light = await background()
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.waitForFunction((before) => getComputedStyle(document.body).backgroundColor !== before, light)
})

test.each([
  ['home', 'scenario=mixed', '/relationships'],
  ['drift', 'scenario=drift', '/relationships/Site/drift'],
  ['conflicts', 'scenario=conflicts', '/relationships/Code/conflicts'],
  ['held', 'scenario=held', '/relationships/Photos/now'],
  ['kinds', 'scenario=in-sync', '/new'],
  ['settings', 'scenario=mixed', '/settings/general'],
])('with the system’s own colours %s still shows its borders and states', async (name, query, route) => {
  const page = await visit(query, route)
  await page.emulateMedia({ forcedColors: 'active' })
  await page.waitForFunction(() => matchMedia('(forced-colors: active)').matches)
  await page.screenshot({ path: join(pictures, `forced-${name}.png`) })
  // What carries meaning by its shape keeps its colour against the ground.
  const lost = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('main .glyph svg, main .field, main [role=switch]')].filter((one) => {
      const style = getComputedStyle(one)
      const ground = getComputedStyle(document.body).backgroundColor
      return one.tagName === 'svg' ? style.color === ground : style.borderTopStyle === 'none' && style.outlineStyle === 'none'
    }).length,
  )
  expect(lost).toBe(0)
  // Where one is, is told by more than a colour that is not there any more.
  const same = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('nav li a[aria-current]')].filter((one) => {
      const other = one.closest('ul')!.querySelector<HTMLElement>('li a:not([aria-current])')!
      const mark = (element: HTMLElement) => {
        const style = getComputedStyle(element)
        return [style.outlineStyle, style.borderBottomColor].join()
      }
      return mark(one) === mark(other)
    }).length,
  )
  expect(same).toBe(0)
  expect(page.problems).toEqual([])
})

test('a million rows are announced as such, and reached by one key', async () => {
  const page = await visit('scenario=million', '/relationships/Photos/changes')
  const list = page.getByRole('listbox')
  await list.waitFor()
  expect(await list.getAttribute('aria-label')).toContain('1,000,000')
  await list.focus()
  await page.keyboard.press('End')
  const last = page.getByRole('option', { selected: true })
  await last.getByText('harbour-999999').waitFor()
  expect(await last.getAttribute('aria-posinset')).toBe('1000000')
  expect(await last.getAttribute('aria-setsize')).toBe('1000000')
  expect(await page.getByRole('option').count(), 'only what is seen is drawn').toBeLessThan(60)
})

test('of the files that differ, too, only what is seen is drawn', async () => {
  const page = await visit('scenario=drift', '/relationships/Site/drift')
  await page.getByText('Files', { exact: true }).click()
  await page.getByRole('option').first().waitFor()
  expect(await page.getByRole('option').first().getAttribute('aria-setsize')).toBe('812')
  expect(await page.getByRole('option').count()).toBeLessThan(60)
})
