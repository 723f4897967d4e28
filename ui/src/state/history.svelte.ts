// What happened: filtered, in pages, in batches.

import { ask } from '../backend/backend'
import type { HistoryRow } from '../backend/types'
import { batches, joinRows, lines, searchPattern } from '../lib/history'
import type { App } from './app.svelte'
import { Query } from './query.svelte'

export const acts = ['create', 'update', 'delete', 'rename', 'metadata', 'conflict', 'resolve', 'restore', 'halt', 'error'] as const
export const spans = ['any', 'hour', 'day', 'week', 'month'] as const
export type Span = (typeof spans)[number]

const hours: Record<Exclude<Span, 'any'>, number> = { hour: 1, day: 24, week: 168, month: 720 }
const pageSize = 200
/** Batches with up to so many acts are open at first; who searches wants to see what was found. */
const openUpTo = { browsing: 1, searching: 20 }

export interface Filter {
  text: string
  kind: string
  node: string
  relationship: string
  span: Span
}

export class HistoryState {
  readonly #app: App
  readonly query = new Query<HistoryRow[]>()
  filter = $state.raw<Filter>({ text: '', kind: '', node: '', relationship: '', span: 'any' })
  /** Whether older rows may follow. */
  more = $state(false)
  loadingMore = $state(false)
  #open = $state.raw<Map<number, boolean>>(new Map())
  batches = $derived.by(() => batches(this.query.data ?? []))
  lines = $derived.by(() => lines(this.batches, (batch) => this.#isOpen(batch.id, batch.rows.length)))
  filtered = $derived.by(() => {
    const { text, kind, node, span } = this.filter
    return text.trim() !== '' || kind !== '' || node !== '' || span !== 'any'
  })

  constructor(app: App, initial: Partial<Filter> = {}) {
    this.#app = app
    this.filter = { ...this.filter, ...initial }
  }

  #isOpen(id: number, rows: number): boolean {
    return this.#open.get(id) ?? rows <= openUpTo[this.filter.text.trim() === '' ? 'browsing' : 'searching']
  }

  toggle(id: number, rows: number): void {
    this.#open = new Map(this.#open).set(id, !this.#isOpen(id, rows))
  }

  set(change: Partial<Filter>): void {
    this.filter = { ...this.filter, ...change }
    this.query.reset()
    this.read()
  }

  /** Reads the newest page; older pages that were read already stay. */
  read(): void {
    const kept = this.query.data ?? []
    void this.query.load(async () => {
      const rows = await this.#page(null)
      const overlaps = kept.length > 0 && rows.some((row) => row.id === kept[0]?.id)
      if (!overlaps) this.more = rows.length === pageSize
      return overlaps ? joinRows(rows, kept) : rows
    })
  }

  async readMore(): Promise<void> {
    const last = this.query.data?.at(-1)
    if (!last || !this.more || this.loadingMore || this.query.loading) return
    this.loadingMore = true
    const { filter } = this
    await this.query.load(async () => {
      const rows = await this.#page(last.id)
      this.more = rows.length === pageSize
      return filter === this.filter ? joinRows(this.query.data ?? [], rows) : (this.query.data ?? [])
    })
    this.loadingMore = false
  }

  #page(before: number | null): Promise<HistoryRow[]> {
    const { text, kind, node, relationship, span } = this.filter
    const since = span === 'any' ? null : new Date(Date.now() - hours[span] * 3_600_000).toISOString()
    return ask(this.#app.backend, {
      request: 'history',
      relationship: relationship || null,
      path: searchPattern(text),
      kind: kind || null,
      node: node || null,
      since,
      limit: pageSize,
      before,
    })
  }
}
