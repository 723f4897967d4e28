// Takes the pictures that the README shows, into screenshots/: npm run screenshots.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { here, launch, open, serve } from './rig.mjs'

const pictures = {
  home: { query: 'scenario=mixed', route: '/relationships' },
  conflict: { query: 'scenario=conflicts', route: '/relationships/Code/conflicts' },
  drift: { query: 'scenario=drift', route: '/relationships/Site/drift' },
  first: { query: 'scenario=empty', route: '/relationships' },
}

const server = await serve()
const browser = await launch()
const folder = join(here, '../../screenshots')
await mkdir(folder, { recursive: true })
for (const [name, where] of Object.entries(pictures)) {
  for (const theme of ['light', 'dark']) {
    const page = await open(browser, server.url, { ...where, theme })
    await page.waitForFunction(() => !document.querySelector('.skeleton'))
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
    await page.screenshot({ path: join(folder, `${name}-${theme}.png`) })
    if (page.problems.length > 0) throw new Error(page.problems.join('\n'))
    await page.context().close()
  }
}
await browser.close()
server.stop()
