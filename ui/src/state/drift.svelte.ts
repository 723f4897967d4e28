// What differs between the sides of a relationship: a level of the tree, its files, how it went over time.

import { ask, askIfCompared, askIfKnown, BackendError } from '../backend/backend'
import type { Check, CheckItem, DriftLevel, DriftPoint, ErrorInfo, Page, PathText, RelationshipStatus } from '../backend/types'
import { type Difference, isBelow, levelOf, toCsv } from '../lib/drift'
import { t } from '../lib/i18n/i18n.svelte'
import { Action } from './action.svelte'
import type { App } from './app.svelte'
import { Query } from './query.svelte'
import { Windows } from './windows.svelte'

export type ItemSort = 'path' | 'bytes' | 'finding'

export interface DriftView {
  level: DriftLevel
  /** Whether areas include what is equal; a plain comparison lists only what differs. */
  whole: boolean
  /** Why a side could not be looked at; then nothing of this is certain. */
  unverified: ErrorInfo | null
  unknownSince: string | null
}

/** Days that the line over time shows. */
const days = 30
/** Rows that are read at once for an export, and at most in all. */
const exportPage = 5000
const exportMost = 1_000_000

export class DriftState {
  readonly #app: App
  readonly relationship: string
  readonly view = new Query<DriftView>()
  readonly past = new Query<DriftPoint[] | null>()
  readonly items: Windows<CheckItem>
  readonly compare: Action<[boolean], void>
  readonly save: Action<['csv' | 'json'], void>
  under = $state.raw<PathText>({ path: '' })
  only = $state.raw<Set<Difference>>(new Set())
  sort = $state<ItemSort>('bytes')
  descending = $state(true)
  /** The comparison itself, where the node has no windows into it. */
  #check: Check | null = null

  constructor(app: App, status: RelationshipStatus) {
    this.#app = app
    this.relationship = status.id
    this.items = new Windows((offset, limit) => this.#window(offset, limit))
    this.compare = new Action(async (deep: boolean) => {
      this.#check = await ask(app.backend, { request: 'check', relationship: this.relationship, deep })
      this.read()
      app.node.refresh()
    })
    this.save = new Action((format: 'csv' | 'json') => this.#export(format))
  }

  /** Reads the level and the files again. */
  read(): void {
    const { under } = this
    void this.view.load(async () => {
      const relationship = this.relationship
      const level = await askIfCompared(this.#app.backend, {
        request: 'drift-level',
        relationship,
        under: under.path === '' ? null : under,
      })
      if (level) return { level, whole: true, unverified: null, unknownSince: null }
      const check = await this.#checked()
      return {
        level: levelOf(check, under.path),
        whole: false,
        unverified: check.verified ? null : check.unverified_reason,
        unknownSince: check.unknown_since,
      }
    })
    void this.items.again()
  }

  readPast(): void {
    void this.past.load(() =>
      askIfKnown(this.#app.backend, { request: 'drift-history', relationship: this.relationship, days }),
    )
  }

  /** A comparison looks at both sides in full; it is made once and again only when somebody asks. */
  async #checked(): Promise<Check> {
    this.#check ??= await ask(this.#app.backend, { request: 'check', relationship: this.relationship, deep: false })
    return this.#check
  }

  go(under: PathText): void {
    this.under = under
    this.read()
    this.items.reset()
  }

  toggle(finding: Difference): void {
    const only = new Set(this.only)
    if (!only.delete(finding)) only.add(finding)
    this.only = only
    this.items.reset()
  }

  show(findings: Difference[]): void {
    this.only = new Set(findings)
    this.items.reset()
  }

  order(sort: ItemSort): void {
    this.descending = this.sort === sort ? !this.descending : sort === 'bytes'
    this.sort = sort
    this.items.reset()
  }

  async #window(offset: number, limit: number): Promise<Page<CheckItem>> {
    const page = await askIfCompared(this.#app.backend, {
      request: 'check-items',
      relationship: this.relationship,
      under: this.under.path === '' ? null : this.under,
      findings: [...this.only],
      sort: this.sort,
      descending: this.descending,
      offset,
      limit,
    })
    if (page) return page
    const rows = arranged((await this.#checked()).items, this.under.path, this.only, this.sort, this.descending)
    return { total: rows.length, rows: rows.slice(offset, offset + limit) }
  }

  async #export(format: 'csv' | 'json'): Promise<void> {
    const all: CheckItem[] = []
    for (let total = Infinity; all.length < Math.min(total, exportMost); ) {
      const page = await this.#window(all.length, exportPage)
      all.push(...page.rows)
      total = page.rows.length === 0 ? 0 : page.total
    }
    const head: [string, string, string, string] = [
      t('drift.column.path'),
      t('drift.column.finding'),
      t('drift.column.bytes'),
      t('drift.column.detail'),
    ]
    const text = format === 'csv' ? toCsv(all, head) : `${JSON.stringify(all, null, 2)}\n`
    const name = this.#app.node.find(this.relationship)?.name ?? 'drift'
    let saved: string | null
    try {
      saved = await this.#app.backend.shell.saveText(`${name.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-')}-drift.${format}`, text)
    } catch (thrown) {
      // An older shell has no such command.
      if (!/save_text.*not (found|allowed)/i.test(BackendError.from(thrown).message)) throw thrown
      await navigator.clipboard.writeText(text)
      this.#app.toasts.say(t('drift.copied'))
      return
    }
    if (saved !== null) this.#app.toasts.say(t('drift.exported', { n: all.length, name: saved }))
  }
}

/** The items of a comparison that are wanted, in the wanted order. */
export function arranged(
  items: CheckItem[],
  under: string,
  only: Set<string>,
  sort: ItemSort,
  descending: boolean,
): CheckItem[] {
  const rows = items.filter((item) => isBelow(item.path, under) && (only.size === 0 || only.has(item.finding)))
  const order = {
    path: (a: CheckItem, b: CheckItem) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0),
    bytes: (a: CheckItem, b: CheckItem) => a.bytes - b.bytes,
    finding: (a: CheckItem, b: CheckItem) => a.finding.localeCompare(b.finding),
  }[sort]
  rows.sort(order)
  return descending ? rows.reverse() : rows
}
