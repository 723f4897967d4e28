// Conflicts of a relationship: which is looked at, what is decided, and taking a decision back.

import { ask, askIfKnown, BackendError, type FileText } from '../backend/backend'
import type { ConflictInfo, ConflictVersion } from '../backend/types'
import { canUndo, keepIn, type Scope, scoped } from '../lib/conflicts'
import { t } from '../lib/i18n/i18n.svelte'
import { exactly } from '../lib/paths'
import { Action } from './action.svelte'
import type { App } from './app.svelte'
import { Query } from './query.svelte'

export type Choice = { machine: string } | 'both' | 'newest'

/** What is shown of a version: its content, or why it is not here. */
export type Content = FileText | { kind: 'elsewhere' } | { kind: 'failed'; message: string }

/** A text longer than this is not compared line by line. */
export const mostBytes = 1_000_000

interface Decision {
  conflict: ConflictInfo
  keep: string
}

export class ConflictsState {
  readonly #app: App
  readonly relationship: string
  readonly list = new Query<ConflictInfo[]>()
  readonly contents = new Query<Content[]>()
  chosen = $state<string | null>(null)
  scope = $state<Scope>('this')
  /** How far a decision for many has come. */
  done = $state<{ n: number; of: number } | null>(null)
  readonly decide: Action<[Choice], void>
  readonly undo: Action<[], void>
  readonly merge: Action<[string], 'merged' | 'copied'>
  #last = $state.raw<Decision[]>([])

  constructor(app: App, relationship: string) {
    this.#app = app
    this.relationship = relationship
    this.decide = new Action((choice: Choice) => this.#decide(choice))
    this.undo = new Action(() => this.#undo())
    this.merge = new Action((text: string) => this.#merge(text))
  }

  all = $derived.by(() => this.list.data ?? [])
  index = $derived.by(() => Math.max(0, this.all.findIndex((one) => one.id === this.chosen)))
  current = $derived.by(() => this.all[this.index] ?? null)
  undoable = $derived.by(() => this.#last.length > 0)

  read(): void {
    void this.list.load(() => ask(this.#app.backend, { request: 'conflicts', relationship: this.relationship }))
  }

  /** Goes to the next (1) or the previous (-1). */
  step(by: 1 | -1): void {
    const next = this.all[Math.max(0, Math.min(this.all.length - 1, this.index + by))]
    if (next) this.choose(next.id)
  }

  choose(id: string): void {
    this.chosen = id
    this.scope = 'this'
    this.decide.reset()
  }

  /** Reads what the versions hold, where it stands on this machine. */
  readContents(conflict: ConflictInfo): void {
    const own = this.#app.node.info?.name
    void this.contents.load(() =>
      Promise.all(
        conflict.versions.map(async (version): Promise<Content> => {
          const alone = conflict.versions.filter((one) => one.path === version.path).length === 1
          // Two versions under one name: the other one's stands on its own machine only.
          if (!alone && version.node !== own) return { kind: 'elsewhere' }
          try {
            return await this.#app.backend.shell.readText(this.relationship, { path: exactly(version) }, mostBytes)
          } catch (thrown) {
            return { kind: 'failed', message: BackendError.from(thrown).message }
          }
        }),
      ),
    )
  }

  async #decide(choice: Choice): Promise<void> {
    const current = this.current
    if (!current) return
    const all = scoped(this.all, current, this.scope)
    const next = this.all.find((one, at) => at > this.index && !all.includes(one))
    const decided: Decision[] = []
    const { backend } = this.#app
    try {
      for (const conflict of all) {
        const keep = keepIn(conflict, choice)
        if (keep === null) continue
        this.done = { n: decided.length, of: all.length }
        await ask(backend, { request: 'resolve', id: conflict.id, keep })
        decided.push({ conflict, keep })
      }
    } finally {
      this.done = null
      this.#after(decided, next?.id ?? null)
      if (decided.length > 0) this.#say(decided, all.length - decided.length)
    }
  }

  #after(decided: Decision[], next: string | null): void {
    if (decided.length === 0) return
    this.#last = decided.filter(({ conflict, keep }) => canUndo(conflict, keep))
    if (decided.some(({ conflict }) => conflict.id === this.chosen)) this.chosen = next
    this.scope = 'this'
    this.read()
    this.#app.node.refresh()
  }

  #say(decided: Decision[], skipped: number): void {
    const [first] = decided
    if (!first) return
    const name = first.conflict.path
    const text =
      decided.length > 1
        ? t('conflicts.decidedMany', { n: decided.length })
        : first.keep === 'both'
          ? t('conflicts.decidedBoth', { name })
          : t('conflicts.decided', { name, node: first.keep })
    const more = skipped > 0 ? ` ${t('conflicts.skipped', { n: skipped })}` : ''
    const undo = this.undoable ? { label: t('common.undo'), run: () => void this.undo.run() } : null
    this.#app.toasts.say(text + more, undo)
  }

  /** Brings back what the last decisions put aside, under the names that it had. */
  async #undo(): Promise<void> {
    const decisions = this.#last
    this.#last = []
    for (const { conflict, keep } of decisions) {
      const kept = conflict.versions.find((version) => version.node === keep)
      if (kept) await this.#bringBack(conflict, kept)
    }
    this.chosen = decisions[0]?.conflict.id ?? null
    this.read()
    this.#app.node.refresh()
    this.#app.toasts.say(t('conflicts.undone', { n: decisions.length }))
  }

  async #bringBack(conflict: ConflictInfo, kept: ConflictVersion): Promise<void> {
    const { backend } = this.#app
    const restore = (path: ConflictVersion, version: string | null, to: ConflictVersion | null) =>
      ask(backend, {
        request: 'restore',
        relationship: this.relationship,
        path: exactly(path),
        at: null,
        version,
        to: to && exactly(to),
      })
    for (const version of conflict.versions) {
      if (version === kept) continue
      const restored = await restore(version, null, null)
      // The kept copy had taken the original name; what stood there goes back under its own.
      if (version.current && restored.replaced !== null) await restore(version, restored.replaced, kept)
    }
  }

  async #merge(text: string): Promise<'merged' | 'copied'> {
    const current = this.current
    if (!current) return 'copied'
    const answer = await askIfKnown(this.#app.backend, { request: 'resolve-merged', id: current.id, text })
    if (answer === null) {
      await navigator.clipboard.writeText(text)
      return 'copied'
    }
    const next = this.all[this.index + 1]
    this.#after([{ conflict: current, keep: 'both' }], next?.id ?? null)
    this.#app.toasts.say(t('conflicts.merged', { name: current.path }))
    return 'merged'
  }
}
