// Serves the built window and drives it in Chromium, for tests and for looking at it.

import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

import { chromium } from 'playwright-core'

export const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '../../dist-browser')
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.woff2': 'font/woff2', '.svg': 'image/svg+xml' }

/** The policy of the desktop application, but for the bridge to a real engine. */
const policy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; connect-src 'self' http://127.0.0.1:*"

export async function serve() {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, 'http://x').pathname)
    const file = join(root, path === '/' ? 'index.html' : path)
    readFile(file).then(
      (body) =>
        response
          .writeHead(200, {
            'content-type': types[extname(file)] ?? 'text/plain',
            'content-security-policy': policy,
            // Names of assets change with their contents.
            'cache-control': file.includes('assets') ? 'max-age=3600, immutable' : 'no-cache',
          })
          .end(body),
      () => response.writeHead(404).end(),
    )
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${server.address().port}/`, stop: () => server.close() }
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
}

/** The moment at which the made-up worlds stand still. */
export const present = Date.parse('2026-11-21T14:05:00Z')

/** Makes a page with the preferences of a person in London; errors end up in its `problems`. */
export async function newPage(browser, { theme = 'light', width = 1040, height = 700, still = true, real = false } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    reducedMotion: still ? 'reduce' : 'no-preference',
    locale: 'en-GB',
    timezoneId: 'UTC',
  })
  const page = await context.newPage()
  page.problems = []
  page.on('pageerror', (error) => page.problems.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') page.problems.push(message.text())
  })
  if (!real) await page.clock.setFixedTime(present)
  return page
}

let visits = 0

/** Goes to an address of the window, from scratch: `query` as in `scenario=mixed`, `route` as in `/relationships`. */
export async function go(page, url, { query = '', route = '/relationships' } = {}) {
  // A change of what stands behind # alone would load nothing.
  visits += 1
  await page.goto(`${url}?${query}&visit=${visits}#${route}`)
  await page.waitForSelector('main :is(h1, h2)', { state: 'attached' })
  await page.evaluate(() => document.fonts.ready)
}

/** Both in one. */
export async function open(browser, url, { query, route, ...how } = {}) {
  const page = await newPage(browser, how)
  await go(page, url, { query, route })
  return page
}
