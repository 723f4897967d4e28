// Takes pictures for looking at: node tests/ui/shot.mjs OUT.png QUERY ROUTE [light|dark] [WIDTHxHEIGHT]
// For example: node tests/ui/shot.mjs /tmp/a.png scenario=mixed /relationships dark

import { launch, open, serve } from './rig.mjs'

const [out, query, route, theme = 'light', size = '1040x700'] = process.argv.slice(2)
const [width, height] = size.split('x').map(Number)
const server = await serve()
const browser = await launch()
const page = await open(browser, server.url, { query, route, theme, width, height })
await page.waitForTimeout(300)
await page.screenshot({ path: out })
if (page.problems.length > 0) console.error(page.problems.join('\n'))
await browser.close()
server.stop()
