// Levels of a made-up drift tree, summed from the items of a comparison.

import type { DriftEntry, DriftLevel, DriftPoint, RelationshipStatus } from '../types'
import { ago, noCounts, type World } from './worlds'

function entry(path: string, folder: boolean): DriftEntry {
  return { path, folder, files: 0, bytes: 0, differing_files: 0, differing_bytes: 0, counts: { ...noCounts } }
}

export function driftLevel(world: World, status: RelationshipStatus, under: string): DriftLevel {
  const check = world.checks.get(status.id)
  const prefix = under === '' ? '' : `${under}/`
  const entries = new Map<string, DriftEntry>()
  const total = entry(under, true)
  for (const item of check?.items ?? []) {
    if (!item.path.startsWith(prefix)) continue
    const rest = item.path.slice(prefix.length)
    const slash = rest.indexOf('/')
    const path = prefix + (slash < 0 ? rest : rest.slice(0, slash))
    const found = entries.get(path) ?? entry(path, slash >= 0)
    entries.set(path, found)
    for (const one of [found, total]) {
      one.differing_files += 1
      one.differing_bytes += item.bytes
      one.counts[item.finding as keyof typeof noCounts] += 1
    }
  }
  let turn = 1
  for (const one of entries.values()) {
    // Folders also hold what is equal.
    const same = one.folder ? (turn++ % 5) * 4 * one.differing_files : 0
    one.counts.in_sync = same
    one.files = one.differing_files + same
    one.bytes = one.differing_bytes + same * 4_000_000
    total.counts.in_sync += same
    total.files += one.files
    total.bytes += one.bytes
  }
  const sorted = [...entries.values()].sort((a, b) => b.bytes - a.bytes)
  return { compared_at: status.verified_at, deep: false, total, entries: sorted, rest: null }
}

export function driftHistory(days: number): DriftPoint[] {
  return Array.from({ length: days }, (_, index) => ({
    time: ago((days - 1 - index) * 86_400_000),
    files: Math.round(300 + index * 16 + 60 * Math.sin(index)),
    bytes: Math.round(1e9 + index * 7e7 + 2e8 * Math.sin(index)),
  }))
}
