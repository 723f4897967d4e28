// The history as people read it: days, batches, rows.

import type { HistoryRow, VersionInfo } from '../backend/types'
import { day } from './format'

/** Acts of one machine on another that came together. */
export interface Batch {
  id: number
  time: string
  relationship: string
  node: string
  on: string
  rows: HistoryRow[]
  /** How many of which kind, most first. */
  kinds: [kind: string, n: number][]
  bytes: number
}

/** Acts further apart than this are told as two batches. */
const together = 60_000

/** Groups rows that come newest first. */
export function batches(rows: HistoryRow[]): Batch[] {
  const all: Batch[] = []
  for (const row of rows) {
    const batch = all.at(-1)
    const before = batch?.rows.at(-1)
    if (batch && before && belongs(before, row)) batch.rows.push(row)
    else {
      const { id, time, relationship, node, on } = row
      all.push({ id, time, relationship, node, on, rows: [row], kinds: [], bytes: 0 })
    }
  }
  for (const batch of all) {
    const kinds = new Map<string, number>()
    for (const row of batch.rows) {
      kinds.set(row.kind, (kinds.get(row.kind) ?? 0) + 1)
      batch.bytes += row.bytes ?? 0
    }
    batch.kinds = [...kinds].sort((a, b) => b[1] - a[1])
  }
  return all
}

function belongs(newer: HistoryRow, older: HistoryRow): boolean {
  return (
    newer.relationship === older.relationship &&
    newer.node === older.node &&
    newer.on === older.on &&
    day(newer.time) === day(older.time) &&
    Date.parse(newer.time) - Date.parse(older.time) <= together
  )
}

export type Line =
  | { type: 'day'; key: string; day: string }
  | { type: 'batch'; key: string; batch: Batch; open: boolean }
  | { type: 'row'; key: string; row: HistoryRow; inBatch: boolean }

/** Lines of a list: a heading for each day, batches, and the rows of those that are open. */
export function lines(all: Batch[], isOpen: (batch: Batch) => boolean): Line[] {
  const shown: Line[] = []
  let current = ''
  for (const batch of all) {
    const name = day(batch.time)
    if (name !== current) {
      current = name
      shown.push({ type: 'day', key: `d${batch.id}`, day: name })
    }
    const [only] = batch.rows
    if (batch.rows.length === 1 && only) {
      shown.push({ type: 'row', key: `r${only.id}`, row: only, inBatch: false })
      continue
    }
    const open = isOpen(batch)
    shown.push({ type: 'batch', key: `b${batch.id}`, batch, open })
    if (open) for (const row of batch.rows) shown.push({ type: 'row', key: `r${row.id}`, row, inBatch: true })
  }
  return shown
}

/** Adds newer rows at the top and older ones at the bottom, each once. */
export function joinRows(present: HistoryRow[], more: HistoryRow[]): HistoryRow[] {
  const seen = new Set(present.map((row) => row.id))
  const fresh = more.filter((row) => !seen.has(row.id))
  return [...present, ...fresh].sort((a, b) => b.id - a.id)
}

/**
 * Pattern for a search: what was typed anywhere in the path, whatever the case. Who types `*` or `?` means a pattern of
 * their own.
 */
export function searchPattern(text: string): string | null {
  const wanted = text.trim()
  if (wanted === '') return null
  if (/[*?]/.test(wanted)) return wanted
  const letters = [...wanted].map((letter) => {
    const [lower, upper] = [letter.toLocaleLowerCase(), letter.toLocaleUpperCase()]
    if (letter === '[') return '[[]'
    return lower !== upper && lower.length === upper.length ? `[${lower}${upper}]` : letter
  })
  return `*${letters.join('')}*`
}

/** Acts that change what a path holds. */
const changing = new Set(['create', 'update', 'delete', 'rename', 'restore', 'conflict', 'resolve'])

/** Paths below `folder` whose content was touched, with the first act since; rows come newest first. */
export function touched(rows: HistoryRow[], folder: string): { path: string; path_bytes?: string; first: string }[] {
  const found = new Map<string, { path: string; path_bytes?: string; first: string }>()
  for (const row of rows) {
    if (row.path === undefined || !changing.has(row.kind)) continue
    if (folder !== '' && row.path !== folder && !row.path.startsWith(`${folder}/`)) continue
    const path = row.path_bytes === undefined ? { path: row.path } : { path: row.path, path_bytes: row.path_bytes }
    found.set(row.path_bytes ?? row.path, { ...path, first: row.kind })
  }
  return [...found.values()]
}

/** The content that stood there at a moment: the first that was replaced or deleted at or after it. */
export function versionAt(versions: VersionInfo[], moment: string): VersionInfo | null {
  const at = Date.parse(moment)
  const later = versions.filter((version) => Date.parse(version.time) >= at)
  return later.reduce<VersionInfo | null>(
    (first, one) => (first === null || Date.parse(one.time) < Date.parse(first.time) ? one : first),
    null,
  )
}

/** Name for a copy beside a path: the ending stays, the moment of the content is told. */
export function copyName(path: string, time: string): string {
  const slash = path.lastIndexOf('/') + 1
  const name = path.slice(slash)
  const dot = name.lastIndexOf('.')
  const at = dot > 0 ? dot : name.length
  // Signs that every file system allows.
  const stamp = new Date(time).toISOString().slice(0, 19).replaceAll(':', '').replace('T', '-')
  return `${path.slice(0, slash)}${name.slice(0, at)}.${stamp}${name.slice(at)}`
}
