// Bringing earlier contents back: one version, or a folder as it was at a moment. Always shown before, and undoable.

import { ask, BackendError } from '../backend/backend'
import type { HistoryRow, PathText, Restored, VersionInfo } from '../backend/types'
import { touched, versionAt } from '../lib/history'
import { t } from '../lib/i18n/i18n.svelte'
import { exactly } from '../lib/paths'
import { Action } from './action.svelte'
import type { App } from './app.svelte'

/** A path that would be brought back. */
export interface Step extends PathText {
  version: VersionInfo
}

export interface RestorePlan {
  folder: string
  at: string
  steps: Step[]
  /** Paths that were added since: restoring takes nothing away. */
  stay: PathText[]
  /** Paths that changed since, whose earlier content is not kept on this machine. */
  lost: PathText[]
  /** There were more changes than are looked at here. */
  cut: boolean
}

/** Acts that are looked at for a folder; versions are asked for path by path. */
const mostRows = 2000
const page = 500

export class RestoreState {
  readonly #app: App
  readonly relationship: string
  readonly plan: Action<[string, string], RestorePlan>
  readonly apply: Action<[RestorePlan], void>
  readonly one: Action<[PathText, VersionInfo, PathText | null], Restored>
  done = $state<{ n: number; of: number } | null>(null)

  constructor(app: App, relationship: string) {
    this.#app = app
    this.relationship = relationship
    this.plan = new Action((folder: string, at: string) => this.#plan(folder, at))
    this.apply = new Action((plan: RestorePlan) => this.#apply(plan))
    this.one = new Action((path: PathText, version: VersionInfo, to: PathText | null) => this.#one(path, version, to))
  }

  #restore(path: PathText, version: string, to: PathText | null = null): Promise<Restored> {
    const { backend } = this.#app
    return ask(backend, { request: 'restore', relationship: this.relationship, path: exactly(path), at: null, version, to })
  }

  async #one(path: PathText, version: VersionInfo, to: PathText | null): Promise<Restored> {
    const restored = await this.#restore(path, version.id, to)
    this.#app.node.refresh()
    this.#say(t('restore.done', { name: restored.path }), [restored])
    return restored
  }

  /** What stood there before is a version now; bringing that back is the way back. */
  #say(text: string, restored: Restored[]): void {
    const back = restored.filter((one) => one.replaced !== null)
    const undo = { label: t('common.undo'), run: () => void this.#undo(back) }
    this.#app.toasts.say(text, back.length > 0 ? undo : null)
  }

  async #undo(restored: Restored[]): Promise<void> {
    try {
      for (const one of restored) if (one.replaced !== null) await this.#restore(one, one.replaced)
      this.#app.toasts.say(t('restore.undone', { n: restored.length }))
    } catch (thrown) {
      this.#app.toasts.error(BackendError.from(thrown))
    } finally {
      this.#app.node.refresh()
    }
  }

  async #plan(folder: string, at: string): Promise<RestorePlan> {
    const { backend } = this.#app
    const relationship = this.relationship
    const rows: HistoryRow[] = []
    let cut = false
    for (let before: number | null = null; ; ) {
      const found: HistoryRow[] = await ask(backend, {
        request: 'history',
        relationship,
        path: folder || null,
        since: at,
        limit: page,
        before,
      })
      rows.push(...found)
      before = found.at(-1)?.id ?? null
      if (found.length < page || before === null) break
      cut = rows.length >= mostRows
      if (cut) break
    }
    const plan: RestorePlan = { folder, at, steps: [], stay: [], lost: [], cut }
    const paths = touched(rows, folder)
    this.done = { n: 0, of: paths.length }
    try {
      for (const path of paths) {
        const versions = await ask(backend, { request: 'versions', relationship, path: exactly(path) })
        const version = versionAt(versions, at)
        if (version) plan.steps.push({ ...exactly(path), version })
        else (path.first === 'create' || path.first === 'rename' ? plan.stay : plan.lost).push(exactly(path))
        this.done = { n: this.done.n + 1, of: paths.length }
      }
    } finally {
      this.done = null
    }
    return plan
  }

  async #apply(plan: RestorePlan): Promise<void> {
    const restored: Restored[] = []
    try {
      for (const step of plan.steps) {
        this.done = { n: restored.length, of: plan.steps.length }
        restored.push(await this.#restore(step, step.version.id))
      }
    } finally {
      this.done = null
      this.#app.node.refresh()
      if (restored.length > 0) this.#say(t('restore.doneMany', { n: restored.length }), restored)
    }
  }
}
