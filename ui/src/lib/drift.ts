// What differs, as numbers: shares, levels of the tree, rectangles. Pure, so that the same holds for every node.

import { hierarchy, treemap, treemapSquarify } from 'd3-hierarchy'

import type { Check, CheckItem, Counts, DriftEntry, DriftLevel, Finding, PathText, RelationshipStatus } from '../backend/types'

/** Findings that make a difference, in the order in which they are shown. */
export const findings = ['missing', 'orphaned', 'stale', 'moved', 'conflict', 'corrupt', 'error'] as const
export type Difference = (typeof findings)[number]

const allFindings: Finding[] = ['in_sync', ...findings, 'excluded', 'unknown']

export function emptyCounts(): Counts {
  return Object.fromEntries(allFindings.map((finding) => [finding, 0])) as Counts
}

/** Names of the two sides: what is measured against, and what is measured. */
export function sidesOf(status: RelationshipStatus): { source: string; target: string } {
  const [ours, theirs] = status.endpoints
  const own = ours?.node ?? ''
  const other = theirs?.node ?? ''
  return status.role === 'source' ? { source: own, target: other } : { source: other, target: own }
}

/** How much is equal, from 0 to 1; by bytes where there are any, otherwise by paths. Null where nothing was compared. */
export function identical(total: DriftEntry): { share: number; by: 'bytes' | 'files' } | null {
  if (total.bytes > 0) return { share: 1 - total.differing_bytes / total.bytes, by: 'bytes' }
  if (total.files > 0) return { share: 1 - total.differing_files / total.files, by: 'files' }
  return null
}

export interface Segment {
  finding: 'in_sync' | Difference
  count: number
  /** From 0 to 1. */
  share: number
}

/** The parts of the bar, largest context first; parts without paths are left out. */
export function segments(counts: Counts): Segment[] {
  const shown = ['in_sync', ...findings] as const
  const sum = shown.reduce((all, finding) => all + counts[finding], 0)
  if (sum === 0) return []
  return shown
    .filter((finding) => counts[finding] > 0)
    .map((finding) => ({ finding, count: counts[finding], share: counts[finding] / sum }))
}

/** Share of an entry that differs, from 0 to 1. */
export function differing(entry: DriftEntry): number {
  if (entry.bytes > 0) return Math.min(1, entry.differing_bytes / entry.bytes)
  return entry.files > 0 ? Math.min(1, entry.differing_files / entry.files) : 0
}

/** Step of the colour ramp, 0 (equal) to 4 (most of it differs). */
export function rampOf(entry: DriftEntry): 0 | 1 | 2 | 3 | 4 {
  const share = differing(entry)
  if (entry.differing_files === 0) return 0
  if (share <= 0.05) return 1
  if (share <= 0.25) return 2
  return share <= 0.6 ? 3 : 4
}

function blank(path: PathText, folder: boolean): DriftEntry {
  return { ...path, folder, files: 0, bytes: 0, differing_files: 0, differing_bytes: 0, counts: emptyCounts() }
}

/** How many entries a level shows one by one. */
export const mostEntries = 200

/**
 * One level below `under`, made of a comparison. A comparison lists only what differs, so equal content is known for
 * the whole, not for a folder.
 */
export function levelOf(check: Check, under: string): DriftLevel {
  const prefix = under === '' ? '' : `${under}/`
  const entries = new Map<string, DriftEntry>()
  const total = blank({ path: under }, true)
  for (const item of check.items) {
    if (!item.path.startsWith(prefix)) continue
    const rest = item.path.slice(prefix.length)
    const slash = rest.indexOf('/')
    const path = prefix + (slash < 0 ? rest : rest.slice(0, slash))
    let entry = entries.get(path)
    if (!entry) {
      const exact = slash < 0 && item.path_bytes !== undefined ? { path, path_bytes: item.path_bytes } : { path }
      entry = blank(exact, slash >= 0)
      entries.set(path, entry)
    }
    add(entry, item)
    add(total, item)
  }
  if (under === '') {
    total.counts = { ...check.counts }
    total.files = segments(check.counts).reduce((sum, segment) => sum + segment.count, 0)
    total.bytes = (['in_sync', ...findings] as const).reduce((sum, finding) => sum + check.bytes[finding], 0)
  }
  const sorted = [...entries.values()].sort((a, b) => b.bytes - a.bytes || b.files - a.files)
  const rest = sorted.slice(mostEntries)
  return {
    compared_at: check.compared_at,
    deep: false,
    total,
    entries: sorted.slice(0, mostEntries),
    rest: rest.length > 0 ? rest.reduce(merge, blank({ path: '' }, true)) : null,
  }
}

function add(entry: DriftEntry, item: CheckItem): void {
  const finding = item.finding.replaceAll('-', '_') as Finding
  if (!(finding in entry.counts)) return
  entry.counts[finding] += 1
  entry.files += 1
  entry.bytes += item.bytes
  entry.differing_files += 1
  entry.differing_bytes += item.bytes
}

function merge(sum: DriftEntry, one: DriftEntry): DriftEntry {
  sum.files += one.files
  sum.bytes += one.bytes
  sum.differing_files += one.differing_files
  sum.differing_bytes += one.differing_bytes
  for (const finding of allFindings) sum.counts[finding] += one.counts[finding]
  return sum
}

export interface Tile {
  entry: DriftEntry
  /** In per cent of the whole. */
  x: number
  y: number
  width: number
  height: number
  rest: boolean
}

/** Lays entries out so that areas are as their bytes; what has none still gets a sliver, so that it can be seen. */
export function tiles(level: DriftLevel, width: number, height: number): Tile[] {
  const entries = level.rest ? [...level.entries, level.rest] : level.entries
  if (entries.length === 0 || width <= 0 || height <= 0) return []
  const largest = Math.max(1, ...entries.map((entry) => entry.bytes))
  const root = hierarchy<{ entry?: DriftEntry; children?: { entry: DriftEntry }[] }>({
    children: entries.map((entry) => ({ entry })),
  })
    .sum((node) => (node.entry ? Math.max(node.entry.bytes, largest / 80) : 0))
    .sort((a, b) => (b.value ?? 0) - (a.value ?? 0))
  const laid = treemap<{ entry?: DriftEntry; children?: { entry: DriftEntry }[] }>()
    .tile(treemapSquarify.ratio(1.4))
    .size([width, height])
    .paddingInner(3)(root)
  return laid.leaves().flatMap((leaf) => {
    const entry = leaf.data.entry
    if (!entry) return []
    return [
      {
        entry,
        x: (leaf.x0 / width) * 100,
        y: (leaf.y0 / height) * 100,
        width: (Math.max(2, leaf.x1 - leaf.x0) / width) * 100,
        height: (Math.max(2, leaf.y1 - leaf.y0) / height) * 100,
        rest: entry === level.rest,
      },
    ]
  })
}

/** The folders above a path, from the top. */
export function crumbs(under: string): { name: string; path: string }[] {
  if (under === '') return []
  const names = under.split('/')
  return names.map((name, index) => ({ name, path: names.slice(0, index + 1).join('/') }))
}

/** Whether an item lies below a folder. */
export function isBelow(path: string, under: string): boolean {
  return under === '' || path === under || path.startsWith(`${under}/`)
}

/** Lines of a spreadsheet. A leading sign that a spreadsheet would run as a formula is made harmless. */
export function toCsv(items: CheckItem[], head: [string, string, string, string]): string {
  const field = (text: string) => {
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }
  const lines = items.map((item) => [field(item.path), item.finding, String(item.bytes), field(item.detail)].join(','))
  return [head.map(field).join(','), ...lines].join('\r\n') + '\r\n'
}

/** Points of a polyline in a box of 100 × 100; the largest value is at the top. */
export function sparkline(values: number[]): string {
  if (values.length === 0) return ''
  const largest = Math.max(1, ...values)
  const step = values.length > 1 ? 100 / (values.length - 1) : 0
  return values.map((value, index) => `${round(index * step)},${round(96 - (value / largest) * 92)}`).join(' ')
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
