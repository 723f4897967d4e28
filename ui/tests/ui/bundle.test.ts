// What is shipped: no made-up worlds, no back ends of tests, nothing fetched from elsewhere.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { build } from 'vite'
import { expect, test } from 'vitest'

import { here } from './rig.mjs'

test('the application carries nothing of the tests and loads nothing from the network', { timeout: 300_000 }, async () => {
  const outDir = mkdtempSync(join(tmpdir(), 'evenfold-bundle-'))
  try {
    await build({ root: join(here, '../..'), logLevel: 'error', build: { outDir, emptyOutDir: true } })
    const files = readdirSync(outDir, { recursive: true, encoding: 'utf8' }).filter((file) => /\.(js|css|html)$/.test(file))
    const all = files.map((file) => readFileSync(join(outDir, file), 'utf8')).join('\n')
    for (const trace of ['7-copper-heron', 'fakeEvenfold', 'EventSource', 'harbour']) expect(all.includes(trace), trace).toBe(false)
    expect(all).toContain('evenfold://event')
    expect(all.match(/(src|href)="https?:|url\(["']?https?:|@import/g)).toBeNull()
  } finally {
    rmSync(outDir, { recursive: true, force: true })
  }
})
