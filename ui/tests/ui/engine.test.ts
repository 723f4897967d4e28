// The real window in front of two real engines. Needs the built program: EVENFOLD, or target/debug/evenfold.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { bridge, Engine } from './bridge.mjs'
import { here, launch, open, serve } from './rig.mjs'

const program = process.env.EVENFOLD ?? join(here, '../../../target/debug/evenfold')
const generous = 60_000

let browser: Browser
let server: Awaited<ReturnType<typeof serve>>
let desk: Engine
let nas: Engine
let front: Awaited<ReturnType<typeof bridge>>
let back: Awaited<ReturnType<typeof bridge>>
const base = mkdtempSync(join(tmpdir(), 'evenfold-ui-'))

beforeAll(async () => {
  if (!existsSync(program)) throw new Error(`build the program first: ${program}`)
  for (const dir of ['desk-home', 'nas-home', 'photos', 'srv']) mkdirSync(join(base, dir))
  writeFileSync(join(base, 'photos', 'harbour.txt'), 'seven boats')
  desk = await Engine.start(program, join(base, 'desk-home'), 'desk')
  nas = await Engine.start(program, join(base, 'nas-home'), 'nas')
  front = await bridge(desk)
  back = await bridge(nas)
  server = await serve()
  browser = await launch()
}, 120_000)

afterAll(async () => {
  await browser?.close()
  server?.stop()
  front?.stop()
  back?.stop()
  await desk?.stop()
  await nas?.stop()
  rmSync(base, { recursive: true, force: true })
}, 60_000)

test('two people pair, share and join a folder, and see it even', { timeout: 240_000 }, async () => {
  // On the nas: show a code.
  const there = await open(browser, server.url, { query: `bridge=${back.url}`, route: '/machines/pair', real: true })
  const code = (await there.locator('p.code').textContent({ timeout: generous }))!.trim()
  const address = (await there.locator('.addresses li').first().textContent())!.trim()

  // At the desk: an empty window; pair with the code.
  const page = await open(browser, server.url, { query: `bridge=${front.url}`, real: true })
  await page.getByText('Two folders, kept even').waitFor({ timeout: generous })
  await page.goto(`${server.url}?bridge=${front.url}#/machines/pair`)
  await page.getByText('Enter a code', { exact: true }).click()
  await page.getByLabel('Code from the other machine').fill('0-wrong-code')
  await page.getByLabel('Its address').fill(address)
  await page.getByRole('button', { name: 'Pair', exact: true }).click()
  await page.getByRole('alert').waitFor({ timeout: generous })

  await page.getByLabel('Code from the other machine').fill(code)
  await page.getByRole('button', { name: 'Pair', exact: true }).click()
  const check = page.locator('.check')
  await check.waitFor({ timeout: generous })
  const ours = await check.textContent()
  await there.locator('.check').waitFor({ timeout: generous })
  expect(await there.locator('.check').textContent()).toBe(ours)
  await page.getByRole('button', { name: 'Yes, the same' }).click()
  await there.getByRole('button', { name: 'Yes, the same' }).click()
  await page.getByRole('heading', { name: 'nas' }).waitFor({ timeout: generous })

  // On the nas: share a folder through its API, as `evenfold share` does. At the desk: join it.
  await nas.request({ request: 'share', path: { path: join(base, 'srv') }, name: 'Photos', kind: 'two-way', settings: [] })
  await page.goto(`${server.url}?bridge=${front.url}#/join`)
  await page.getByText('From a paired machine').click()
  await page.getByLabel('Machine', { exact: true }).selectOption('nas')
  await page.getByLabel('Shared folder').fill('Photos')
  await page.getByRole('button', { name: 'Next' }).click()
  await page.getByLabel('Folder on this machine').fill(join(base, 'photos'))
  await page.getByRole('button', { name: 'Next' }).click()
  await page.getByText('Add 1 file on nas').waitFor({ timeout: generous })
  expect(existsSync(join(base, 'srv', 'harbour.txt')), 'a preview writes nothing').toBe(false)
  await page.getByRole('button', { name: 'Start' }).click()
  await page.getByText('Even on both machines.').waitFor({ timeout: generous })
  expect(readFileSync(join(base, 'srv', 'harbour.txt'), 'utf8')).toBe('seven boats')
  await page.screenshot({ path: join(here, '../../test-results/real-now.png') })

  // A change over there shows up here by itself.
  writeFileSync(join(base, 'srv', 'regatta.txt'), 'Sunday at ten')
  await page.getByText('regatta.txt').waitFor({ timeout: generous })
  expect(readFileSync(join(base, 'photos', 'regatta.txt'), 'utf8')).toBe('Sunday at ten')

  // Pause, and the home says so.
  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByRole('button', { name: 'Resume' }).first().waitFor({ timeout: generous })
  await page.goto(`${server.url}?bridge=${front.url}#/relationships`)
  await page.getByText('One relationship is paused.').waitFor({ timeout: generous })
  expect(page.problems.filter((problem) => !problem.includes('400'))).toEqual([])
})
