// The real window in front of two real engines. Needs the built program: EVENFOLD, or one of target/{debug,fast,release}.

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'

import { bridge, Engine } from './bridge.mjs'
import { go, here, launch, newPage, serve, type Watched } from './rig.mjs'

const target = join(here, '../../../target')
const program = process.env.EVENFOLD ?? ['debug', 'fast', 'release'].map((profile) => join(target, profile, 'evenfold')).find(existsSync) ?? ''
const generous = 60_000
const pictures = join(here, '../../test-results/engine')

let browser: Browser
let server: Awaited<ReturnType<typeof serve>>
const base = mkdtempSync(join(tmpdir(), 'evenfold-ui-'))
const photos = join(base, 'photos')
const srv = join(base, 'srv')

/** One machine: its engine, and the window in front of it. */
interface Machine {
  engine: Engine
  front: Awaited<ReturnType<typeof bridge>>
  page: Watched
}
let desk: Machine
let nas: Machine

async function machine(name: string): Promise<Machine> {
  const home = join(base, `${name}-home`)
  mkdirSync(home)
  const engine = await Engine.start(program, home, name)
  const page = await newPage(browser, { real: true })
  page.setDefaultTimeout(generous)
  return { engine, front: await bridge(engine), page }
}

const visit = (machine: Machine, route: string) => go(machine.page, server.url, { query: `bridge=${machine.front.url}`, route })
const press = (page: Page, name: string | RegExp) => page.getByRole('button', { name, exact: true }).first().click()
const reads = (page: Page, text: string | RegExp) => page.getByText(text).first().waitFor()
const holds = (file: string, text: string) =>
  vi.waitFor(() => expect(readFileSync(file, 'utf8')).toBe(text), { timeout: generous, interval: 50 })

async function picture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(pictures, `${name}.png`) })
}

beforeAll(async () => {
  if (!existsSync(program)) throw new Error('build the program first: cargo build -p evenfold-cli')
  rmSync(pictures, { recursive: true, force: true })
  for (const dir of [pictures, photos, srv]) mkdirSync(dir, { recursive: true })
  writeFileSync(join(photos, 'harbour.txt'), 'seven boats\n')
  writeFileSync(join(srv, 'crew.txt'), 'Ada, Bo\n')
  server = await serve()
  browser = await launch()
  desk = await machine('desk')
  nas = await machine('nas')
}, 120_000)

afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return
  for (const [name, one] of Object.entries({ desk, nas })) await picture(one.page, `failed-${task.name.replaceAll(/\W+/g, '-')}-${name}`)
})

afterAll(async () => {
  await browser?.close()
  server?.stop()
  for (const one of [desk, nas]) {
    one?.front.stop()
    await one?.engine.stop()
  }
  rmSync(base, { recursive: true, force: true })
}, 60_000)

test('a folder is shared with a code, and the code alone joins it', { timeout: 240_000 }, async () => {
  // At the desk: nothing is here yet; a folder is shared.
  const here = desk.page
  await visit(desk, '/relationships')
  await reads(here, 'Two folders, kept even')
  await here.getByRole('link', { name: 'New relationship' }).click()
  await here.getByLabel('Folder on this machine').fill(photos)
  await press(here, 'Next')
  await reads(here, 'What changes on either side arrives on the other.')
  await press(here, 'Next')
  await reads(here, '1 file, 12 bytes')
  expect(existsSync(join(photos, '.evenfold')), 'nothing is written before it is shared').toBe(false)
  await press(here, 'Share and show the code')
  const code = (await here.locator('p.code').textContent())!.trim()
  const address = (await here.locator('.addresses li').first().textContent())!.trim()
  await picture(here, '1-code')

  // At the nas: a wrong code first, which says so and pairs nobody.
  const there = nas.page
  await visit(nas, '/relationships')
  await there.getByRole('link', { name: 'Join with a code' }).click()
  await there.getByLabel('Code from the other machine').fill('99-wrong-code')
  await there.getByLabel('Its address').fill(address)
  await press(there, 'Next')
  await there.getByRole('alert').waitFor()
  await picture(there, '2-wrong-code')
  expect((await nas.engine.request({ request: 'peer-list' })).data).toEqual([])

  await there.getByLabel('Code from the other machine').fill(code)
  await press(there, 'Next')
  const check = await there.locator('.check').textContent()
  expect(await here.locator('.check').textContent()).toBe(check)
  await press(here, 'Yes, the same')
  await press(there, 'Yes, the same')
  await reads(here, 'nas is paired. As soon as')
  await reads(there, 'photos, shared by desk')

  // The preview says what would happen each way, and writes nothing.
  await there.getByLabel('Folder on this machine').fill(srv)
  await press(there, 'Next')
  await reads(there, 'Add 1 file on desk')
  await reads(there, 'Add 1 file on nas')
  await picture(there, '3-preview')
  expect(existsSync(join(srv, 'harbour.txt')), 'a preview writes nothing').toBe(false)
  await press(there, 'Start')
  await reads(there, 'Even on both machines.')
  await reads(here, 'Even on both machines.')
  await holds(join(srv, 'harbour.txt'), 'seven boats\n')
  await holds(join(photos, 'crew.txt'), 'Ada, Bo\n')
  await picture(here, '4-even')
})

test('a change over there shows up here by itself', { timeout: 120_000 }, async () => {
  writeFileSync(join(srv, 'regatta.txt'), 'Sunday at ten\n')
  await reads(desk.page, 'regatta.txt')
  await holds(join(photos, 'regatta.txt'), 'Sunday at ten\n')
})

test('a long transfer shows how far it is', { timeout: 180_000 }, async () => {
  await nas.engine.request({ request: 'rel-edit', relationship: 'photos', settings: [['limit.up', '1MB/s']] })
  writeFileSync(join(srv, 'film.mov'), randomBytes(8_000_000))
  await reads(nas.page, 'Catching up')
  await reads(nas.page, 'film.mov')
  await nas.page.getByRole('progressbar').first().waitFor()
  await picture(nas.page, '5-progress')
  await reads(nas.page, 'Even on both machines.')
  await nas.engine.request({ request: 'rel-edit', relationship: 'photos', settings: [['limit.up', 'off']] })
})

test('two edits of one file wait for a decision, and it is carried out on both', { timeout: 180_000 }, async () => {
  const { page } = nas
  await press(page, 'Pause')
  await reads(page, 'Paused.')
  writeFileSync(join(photos, 'crew.txt'), 'Ada, Bo, Cy\n')
  writeFileSync(join(srv, 'crew.txt'), 'Ada, Dee\n')
  await press(page, 'Resume')
  await reads(page, '1 file was changed on two machines.')
  await page.getByRole('link', { name: 'Decide' }).click()
  await reads(page, /Ada, Bo, Cy/)
  await reads(page, /Ada, Dee/)
  await picture(page, '6-conflict')
  await press(page, /Keep desk’s/)
  await reads(page, 'crew.txt: desk’s version stays.')
  for (const folder of [photos, srv]) await holds(join(folder, 'crew.txt'), 'Ada, Bo, Cy\n')
  await page.getByRole('link', { name: 'Now' }).click()
  await reads(page, 'Even on both machines.')
})

test('an earlier version is restored from the history', { timeout: 180_000 }, async () => {
  const { page } = desk
  writeFileSync(join(srv, 'regatta.txt'), 'Monday at nine\n')
  await holds(join(photos, 'regatta.txt'), 'Monday at nine\n')
  await page.getByRole('navigation').getByRole('link', { name: 'History' }).first().click()
  await page.getByLabel('Search in paths').fill('regatta.txt')
  await page.getByRole('button', { name: 'Versions of regatta.txt' }).first().click()
  await reads(page, 'kept because it was replaced')
  await picture(page, '7-versions')
  await press(page, 'Restore this version')
  for (const folder of [photos, srv]) await holds(join(folder, 'regatta.txt'), 'Sunday at ten\n')
})

test('a second relationship is previewed on the paired machine, saved paused, and begins when it is resumed', { timeout: 180_000 }, async () => {
  const { page } = desk
  const [ours, theirs] = [join(base, 'code'), join(base, 'srv-code')]
  for (const dir of [ours, theirs]) mkdirSync(dir)
  writeFileSync(join(ours, 'main.rs'), 'fn main() {}\n')
  await visit(desk, '/new')
  await page.getByLabel('Folder on this machine').fill(ours)
  await page.getByLabel('Folder on nas').fill(theirs)
  await press(page, 'Next')
  await page.getByText('The other side follows this one.').click()
  await press(page, 'Next')
  await reads(page, 'Add 1 file on nas')
  expect(existsSync(join(theirs, 'main.rs')), 'a preview writes nothing').toBe(false)
  await press(page, 'Save paused')
  await reads(page, 'Paused.')
  expect(existsSync(join(theirs, 'main.rs')), 'what is paused copies nothing').toBe(false)
  await press(page, 'Resume')
  await reads(page, 'Even on both machines.')
  await holds(join(theirs, 'main.rs'), 'fn main() {}\n')
})

test('everything is paused and resumed from the home page', { timeout: 120_000 }, async () => {
  const { page } = desk
  await visit(desk, '/relationships')
  await reads(page, 'Everything is even.')
  await picture(page, '8-home')
  await press(page, /Pause all/)
  await page.getByRole('menuitem', { name: 'Until I resume' }).click()
  await reads(page, '2 relationships are paused.')
  await press(page, 'Resume all')
  await reads(page, 'Everything is even.')
  // Refusals that were asked for are answered with 400; the browser notes each.
  for (const one of [desk, nas]) expect(one.page.problems.filter((problem) => !problem.includes('400'))).toEqual([])
})
