// Editing the settings of a relationship: only what was changed is sent.

import { ask } from '../backend/backend'
import type { RelationshipInfo, Setting } from '../backend/types'
import { pairsOf, settingFields, textOf } from '../lib/settingkeys'
import { Action } from './action.svelte'
import type { App } from './app.svelte'
import { Query } from './query.svelte'

export class RelationshipSettings {
  readonly #app: App
  readonly info = new Query<RelationshipInfo>()
  /** What was typed, by key; a key that equals the stored value is not there. */
  edits = $state.raw<Record<string, string>>({})
  readonly save: Action<[], void>

  changed = $derived(Object.keys(this.edits).length)

  constructor(app: App, relationship: () => string) {
    this.#app = app
    this.save = new Action(async () => {
      const settings = settingFields.flatMap((field): Setting[] => {
        const text = this.edits[field.key]
        return text === undefined ? [] : pairsOf(field, text)
      })
      const info = await ask(app.backend, { request: 'rel-edit', relationship: relationship(), settings })
      this.info.data = info
      this.edits = {}
      app.node.refresh()
    })
  }

  load(relationship: string): void {
    void this.info.load(() => ask(this.#app.backend, { request: 'rel-show', relationship }))
  }

  valueOf(key: string): string {
    return this.edits[key] ?? textOf(this.info.data?.settings ?? [], key)
  }

  edit(key: string, text: string): void {
    const edits = { ...this.edits }
    if (text === textOf(this.info.data?.settings ?? [], key)) delete edits[key]
    else edits[key] = text
    this.edits = edits
  }

  discard(): void {
    this.edits = {}
    this.save.reset()
  }
}
