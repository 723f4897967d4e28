// Settings of the node itself, in its `config.toml`: only what was changed is written, and it holds from the next start on.

import { ask } from '../backend/backend'
import type { ConfigEntry } from '../backend/types'
import { Action } from './action.svelte'
import type { App } from './app.svelte'
import { Query } from './query.svelte'

export class EngineConfig {
  readonly #app: App
  readonly entries = new Query<ConfigEntry[]>()
  /** What was typed, by key; a key that equals the stored value is not there. */
  edits = $state.raw<Record<string, string>>({})
  /** Whether something was written that the running engine does not know yet. */
  waits = $state(false)
  readonly save: Action<[], void>

  changed = $derived(Object.keys(this.edits).length)

  constructor(app: App) {
    this.#app = app
    this.save = new Action(async () => {
      for (const [key, value] of Object.entries(this.edits)) {
        await ask(app.backend, { request: 'config-set', key, value: value.trim() })
        this.waits = true
        // One by one, so that a refusal leaves exactly the refused ones to be corrected.
        this.edits = this.#without(key)
      }
      await this.read()
    })
  }

  read(): Promise<void> {
    return this.entries.load(() => ask(this.#app.backend, { request: 'config-show' }))
  }

  entry(key: string): ConfigEntry | undefined {
    return this.entries.data?.find((one) => one.key === key)
  }

  valueOf(key: string): string {
    return this.edits[key] ?? this.entry(key)?.value ?? ''
  }

  /** A value that was given with the command or by the environment wins over the file. */
  isFixed(key: string): boolean {
    const origin = this.entry(key)?.origin
    return origin === 'flag' || origin === 'environment'
  }

  edit(key: string, value: string): void {
    this.edits = { ...this.#without(key), ...(value === this.entry(key)?.value ? {} : { [key]: value }) }
  }

  #without(key: string): Record<string, string> {
    return Object.fromEntries(Object.entries(this.edits).filter(([other]) => other !== key))
  }

  discard(): void {
    this.edits = {}
    this.save.reset()
  }
}
