// What is about to travel, and what does not and why.

import { ask, askIfCompared, BackendError } from '../backend/backend'
import type { PathText, PendingChange, PendingChanges, RelationshipStatus, Why } from '../backend/types'
import { exactly, keyOf } from '../lib/paths'
import type { App } from './app.svelte'
import { Query } from './query.svelte'
import { Windows } from './windows.svelte'

export type Which = 'all' | 'travels' | 'stays'

export class ChangesState {
  readonly #app: App
  readonly #status: () => RelationshipStatus
  readonly windows: Windows<PendingChange>
  readonly why = new Query<Why>()
  which = $state<Which>('all')
  chosen = $state.raw<PendingChange | null>(null)
  /** Null until it was read, and where the node does not part them. */
  numbers = $state.raw<{ travels: number; stays: number } | null>(null)
  /** What an older node said, kept so that scrolling does not ask again. */
  #planned: Promise<PendingChange[]> | null = null

  constructor(app: App, status: () => RelationshipStatus) {
    this.#app = app
    this.#status = status
    this.windows = new Windows((offset, limit) => this.#window(offset, limit))
  }

  read(): void {
    void this.windows.again()
  }

  show(which: Which): void {
    this.which = which
    this.windows.reset()
  }

  /** Looks at both sides again. */
  look(): void {
    this.#planned = null
    this.windows.reset()
  }

  choose(change: PendingChange | null): void {
    if (change && this.chosen && keyOf(change) === keyOf(this.chosen)) return
    this.chosen = change
    if (change) this.#ask(exactly(change))
    else this.why.reset()
  }

  #ask(path: PathText): void {
    this.why.reset()
    void this.why.load(() => ask(this.#app.backend, { request: 'why', relationship: this.#status().id, path }))
  }

  async #window(offset: number, limit: number): Promise<PendingChanges> {
    const { which } = this
    const relationship = this.#status().id
    const answer = await askIfCompared(this.#app.backend, { request: 'changes', relationship, which, offset, limit })
    if (answer) {
      const { travels, stays } = answer
      this.numbers = travels == null || stays == null ? null : { travels, stays }
      return answer
    }
    this.#planned ??= this.#plan()
    let all: PendingChange[]
    try {
      all = await this.#planned
    } catch (thrown) {
      this.#planned = null
      throw thrown
    }
    const { travels, stays } = parted(all)
    this.numbers = { travels: travels.length, stays: stays.length }
    const rows = which === 'travels' ? travels : which === 'stays' ? stays : [...stays, ...travels]
    return { total: rows.length, rows: rows.slice(offset, offset + limit), travels: travels.length, stays: stays.length }
  }

  /** An older node makes a plan; what differs and is not in it does not travel. */
  async #plan(): Promise<PendingChange[]> {
    const { backend } = this.#app
    const status = this.#status()
    const relationship = status.id
    const check = await ask(backend, { request: 'check', relationship, deep: false })
    if (!check.verified) {
      const reason = check.unverified_reason
      throw new BackendError({ code: 'unreachable', message: reason?.message ?? '', hint: reason?.hint ?? null })
    }
    const compares = status.kind === 'compare'
    const synced = compares
      ? null
      : await ask(backend, { request: 'sync', relationship, dry_run: true, wait: true, timeout_seconds: 120 })
    const held = synced?.plan?.halt ? 'held' : 'pending'
    const planned = (synced?.plan?.changes ?? []).map((change) => ({ ...change, reason: held }))
    const known = new Set(planned.map(keyOf))
    const others = check.items
      .filter((item) => !known.has(keyOf(item)))
      .map((item) => ({
        ...exactly(item),
        node: '',
        act: 'none' as const,
        bytes: item.bytes,
        files: 1,
        reason: compares ? 'compare-only' : item.finding === 'conflict' ? 'conflict' : 'blocked',
      }))
    return [...planned, ...others]
  }
}

/** Reasons with which something travels by itself. */
const going = new Set(['pending', 'waits-for-move', 'moved-on'])

export function isGoing(reason: string): boolean {
  return going.has(reason)
}

export function parted(all: PendingChange[]): { travels: PendingChange[]; stays: PendingChange[] } {
  return {
    travels: all.filter((change) => isGoing(change.reason)),
    stays: all.filter((change) => !isGoing(change.reason)),
  }
}
