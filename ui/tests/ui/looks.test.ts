// Every page, in every state: no error, no finding of axe, the words that matter, nothing cut off sideways; light and dark, in
// the first size and the smallest, in English and, where nothing has to be clicked first, in German. The pictures stay in
// `test-results/screens`.

import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { type Look, looks } from './pages'
import { go, here, launch, newPage, serve } from './rig.mjs'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const pictures = join(here, '../../test-results/screens')
const first = { width: 1040, height: 700 }
const smallest = { width: 720, height: 480 }

let browser: Browser
let server: Awaited<ReturnType<typeof serve>>
/** Pages at rest: a new one for each look would compile the program anew each time. */
const resting: Awaited<ReturnType<typeof newPage>>[] = []

beforeAll(async () => {
  rmSync(pictures, { recursive: true, force: true })
  mkdirSync(pictures, { recursive: true })
  server = await serve()
  browser = await launch()
})

afterAll(async () => {
  await browser?.close()
  server?.stop()
})

async function withPage(use: (page: Page) => Promise<void>): Promise<void> {
  const page = resting.pop() ?? (await newPage(browser))
  page.problems.length = 0
  await use(page)
  expect(page.problems).toEqual([])
  resting.push(page)
}

async function visit(page: Page, { query, route, before, says }: Look): Promise<void> {
  await page.setViewportSize(first)
  await page.emulateMedia({ colorScheme: 'light' })
  await go(page, server.url, { query, route })
  await page.waitForFunction(() => !document.querySelector('.skeleton'))
  await before?.(page)
  for (const words of says ?? []) await page.getByText(words, { exact: false }).first().waitFor({ timeout: 40_000 })
}

/** Takes a picture when nothing is drawn any more, and sees that nothing is cut off. */
async function picture(page: Page, name: string): Promise<void> {
  await page.evaluate(
    () => new Promise<void>((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve()))),
  )
  await page.screenshot({ path: join(pictures, `${name}.png`) })
  const overflow = await page.evaluate(() => {
    const wide = (element: Element) => element.scrollWidth - element.clientWidth
    return Math.max(0, ...[...document.querySelectorAll('main, [role=dialog]')].map(wide))
  })
  expect(overflow, `${name} is wider than its place`).toBeLessThanOrEqual(1)
}

interface AxeFinding {
  id: string
  nodes: { target: string[]; failureSummary: string }[]
}

async function findings(page: Page, options: object): Promise<string[]> {
  // Reading it takes longer than most of its runs.
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axe)
  return page.evaluate(async (options) => {
    const run = (globalThis as unknown as { axe: { run(o: unknown): Promise<{ violations: AxeFinding[] }> } }).axe
    const found = await run.run({ resultTypes: ['violations'], ...options })
    return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target.join(' ')} ${node.failureSummary}`).join(' | ')}`)
  }, options)
}

const everything = {
  // Menus and dialogs are portals outside the landmarks, as their patterns have it.
  rules: { region: { enabled: false } },
  runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
}

describe.concurrent('in English', () => {
  test.each(looks)('$name', (look) =>
    withPage(async (page) => {
      await visit(page, look)
      await picture(page, `${look.name}-light`)
      expect(await findings(page, everything)).toEqual([])
      await page.emulateMedia({ colorScheme: 'dark' })
      await picture(page, `${look.name}-dark`)
      // The rest of the rules does not depend on colours.
      expect(await findings(page, { runOnly: { type: 'rule', values: ['color-contrast'] } })).toEqual([])
      await page.setViewportSize(smallest)
      await picture(page, `${look.name}-small`)
    }),
  )
})

describe.concurrent('in German', () => {
  test.each(looks.filter(({ before, query }) => !before && !query.includes('locale=')))('$name', (look) =>
    withPage(async (page) => {
      await visit(page, { ...look, query: `${look.query}&locale=de`, says: [] })
      await picture(page, `${look.name}-de`)
      await page.setViewportSize(smallest)
      await picture(page, `${look.name}-de-small`)
      expect(await findings(page, { runOnly: { type: 'rule', values: ['target-size', 'html-has-lang', 'html-lang-valid'] } })).toEqual([])
    }),
  )
})
