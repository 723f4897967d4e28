// Every page, in every state, light and dark: no error, no finding of axe, the words that matter, nothing cut off sideways.

import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { looks } from './pages'
import { here, launch, open, serve } from './rig.mjs'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const pictures = join(here, '../../test-results/screens')

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

interface AxeFinding {
  id: string
  nodes: { target: string[]; failureSummary: string }[]
}

describe.each(['light', 'dark'] as const)('%s', (theme) => {
  test.each(looks)('$name', async ({ name, query, route, before, says, size }) => {
    const [width, height] = size ?? [1040, 700]
    const page = await open(browser, server.url, { query, route, theme, width, height })
    try {
      await page.waitForFunction(() => !document.querySelector('.skeleton'))
      await before?.(page)
      for (const words of says ?? []) await page.getByText(words, { exact: false }).first().waitFor({ timeout: 5000 })
      await page.waitForTimeout(150)
      await page.screenshot({ path: join(pictures, `${name}-${theme}.png`) })

      const overflow = await page.evaluate(() => document.querySelector('main')!.scrollWidth - document.querySelector('main')!.clientWidth)
      expect(overflow, 'wider than the window').toBeLessThanOrEqual(1)
      await page.evaluate(axe)
      const findings = await page.evaluate(async () => {
        const run = (globalThis as unknown as { axe: { run(o: unknown): Promise<{ violations: AxeFinding[] }> } }).axe
        // Menus and dialogs are portals outside the landmarks, as their patterns have it.
        const found = await run.run({
          rules: { region: { enabled: false } },
          runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
        })
        return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target.join(' ')} ${node.failureSummary}`).join(' | ')}`)
      })
      expect(findings).toEqual([])
      expect(page.problems).toEqual([])
    } finally {
      await page.context().close()
    }
  })
})
