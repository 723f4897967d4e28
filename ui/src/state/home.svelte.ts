// The list of relationships: which rows, in which order, and what can be done with all.

import { ask, askIfKnown } from '../backend/backend'
import type { RelationshipStatus } from '../backend/types'
import { compare } from '../lib/format'
import { lookOf, severityOf } from '../lib/status'
import { Action } from './action.svelte'
import type { App } from './app.svelte'

export type Sort = 'state' | 'name' | 'machine'

export class HomeState {
  readonly #app: App
  filter = $state('')
  sort = $state<Sort>('state')
  rows = $derived.by(() => this.#rows())
  readonly pause: Action<[string | null], void>
  readonly resume: Action<[], void>

  constructor(app: App) {
    this.#app = app
    const { backend } = app
    // An older node pauses one by one, without an end.
    const each = async (request: 'rel-pause' | 'rel-resume') => {
      for (const one of app.node.relationships) await ask(backend, { request, relationship: one.id })
    }
    const isDone = (reply: unknown) => reply !== null
    this.pause = new Action(async (until: string | null) => {
      if (!isDone(await askIfKnown(backend, { request: 'pause-all', until }))) await each('rel-pause')
      app.node.refresh()
    })
    this.resume = new Action(async () => {
      if (!isDone(await askIfKnown(backend, { request: 'resume-all' }))) await each('rel-resume')
      app.node.refresh()
    })
  }

  #rows(): RelationshipStatus[] {
    const text = this.filter.trim().toLocaleLowerCase()
    const fits = (status: RelationshipStatus) =>
      text === '' ||
      status.name.toLocaleLowerCase().includes(text) ||
      status.endpoints.some(
        (endpoint) =>
          endpoint.node.toLocaleLowerCase().includes(text) || endpoint.path?.toLocaleLowerCase().includes(text),
      )
    const byName = (a: RelationshipStatus, b: RelationshipStatus) => compare(a.name, b.name)
    const machine = (status: RelationshipStatus) => status.endpoints[1]?.node ?? ''
    const orders = {
      name: byName,
      machine: (a: RelationshipStatus, b: RelationshipStatus) => compare(machine(a), machine(b)) || byName(a, b),
      state: (a: RelationshipStatus, b: RelationshipStatus) =>
        severityOf(lookOf(a)) - severityOf(lookOf(b)) || byName(a, b),
    }
    return this.#app.node.relationships.filter(fits).sort(orders[this.sort])
  }
}
