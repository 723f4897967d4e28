// The book of a relationship that delivers: what was sent to whom, what waits, and trying again.

import { ask } from '../backend/backend'
import type { LedgerItem, PathText } from '../backend/types'
import { arranged, countGroups, type Group } from '../lib/deliveries'
import { t } from '../lib/i18n/i18n.svelte'
import type { App } from './app.svelte'
import { Query } from './query.svelte'
import { attempt } from './relationship.svelte'

export class Deliveries {
  readonly #app: App
  readonly #relationship: string
  readonly query = new Query<LedgerItem[]>()
  group = $state<Group>('all')
  text = $state('')
  counts = $derived.by(() => countGroups(this.query.data ?? []))
  rows = $derived.by(() => arranged(this.query.data ?? [], this.group, this.text))

  constructor(app: App, relationship: string) {
    this.#app = app
    this.#relationship = relationship
  }

  read(): void {
    void this.query.load(() => ask(this.#app.backend, { request: 'ledger-list', relationship: this.#relationship, all: false }))
  }

  /** Tries a delivery now that waits for its next attempt. */
  retry(item: LedgerItem): Promise<boolean> {
    return this.#change('ledger-retry', item, t('deliveries.retried', { name: item.path }))
  }

  /** Lets it count no more, so that it is made again. */
  again(item: LedgerItem): Promise<boolean> {
    return this.#change('ledger-forget', item, t('deliveries.forgotten', { name: item.path }))
  }

  async #change(request: 'ledger-retry' | 'ledger-forget', item: LedgerItem, said: string): Promise<boolean> {
    // An item that is not offered yet has no id.
    const which: PathText[] = [item.id === '' ? { path: item.path, path_bytes: item.path_bytes } : { path: item.id }]
    const done = await attempt(this.#app, () => ask(this.#app.backend, { request, relationship: this.#relationship, which }))
    if (done) this.#app.toasts.say(said)
    this.read()
    return done
  }
}
