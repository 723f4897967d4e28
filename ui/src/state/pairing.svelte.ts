// Pairing: a code shown here and waited for, a code typed in that another machine shows, or fingerprints that a person has
// compared. A code may carry a relationship that the other machine is meant to join.

import { ask, askIfKnown, BackendError } from '../backend/backend'
import type { Nearby, Offer, Paired } from '../backend/types'
import { t } from '../lib/i18n/i18n.svelte'
import { Action } from './action.svelte'
import type { App } from './app.svelte'
import { Query } from './query.svelte'
import { router } from './router.svelte'

/** How long a code is valid, in minutes. */
const validity = 10

export class Pairing {
  readonly #app: App
  readonly offer: Action<[], Offer>
  readonly accept: Action<[], Paired>
  /** Pairs by a fingerprint that a person has compared; to be done on both machines. */
  readonly add: Action<[], Paired>
  readonly nearby = new Query<Nearby[] | null>()
  code = $state('')
  address = $state('')
  fingerprint = $state('')
  name = $state('')
  /** Whom we paired with; both screens still have to be compared. */
  paired = $state.raw<Paired | null>(null)
  /** The shown code is not valid any more. */
  over = $state(false)
  #gone = false

  constructor(app: App, share: string | null = null) {
    this.#app = app
    this.offer = new Action(async () => {
      this.over = false
      const offer = await ask(app.backend, { request: 'pair-offer', minutes: validity, share })
      void this.#wait(offer)
      return offer
    })
    this.accept = new Action(async () => {
      const paired = await ask(app.backend, {
        request: 'pair-accept',
        code: this.code.trim(),
        address: this.address.trim() || null,
      })
      this.#found(paired)
      return paired
    })
    this.add = new Action(async () => {
      const paired = await ask(app.backend, {
        request: 'peer-add',
        fingerprint: this.fingerprint.trim(),
        address: this.address.trim(),
        name: this.name.trim() || null,
      })
      app.toasts.say(t('pair.key.done', { name: paired.name }))
      app.node.refresh()
      return paired
    })
  }

  /** The page is left: what is still waited for is not shown any more. */
  leave(): void {
    this.#gone = true
  }

  lookAround(): void {
    void this.nearby.load(() => askIfKnown(this.#app.backend, { request: 'nearby' }))
  }

  /** Both screens show the same. `then`: offers what people pair for. */
  confirm(then = false): void {
    const name = this.paired?.name ?? ''
    this.paired = null
    const next = { label: t('pair.then.share'), run: () => router.go(`#/new?with=${encodeURIComponent(name)}`) }
    this.#app.toasts.say(t('pair.check.done', { name }), then ? next : null)
    this.#app.node.refresh()
  }

  /** They do not: the key is revoked at once. */
  async refuse(): Promise<void> {
    const { paired } = this
    this.paired = null
    if (!paired) return
    try {
      await ask(this.#app.backend, { request: 'peer-remove', peer: paired.fingerprint })
      this.#app.toasts.say(t('pair.check.undone'))
    } catch (thrown) {
      this.#app.toasts.error(BackendError.from(thrown))
    }
    this.#app.node.refresh()
  }

  async #wait(offer: Offer): Promise<void> {
    try {
      const paired = await ask(this.#app.backend, { request: 'pair-wait', code: offer.code })
      if (!this.#gone) this.#found(paired)
    } catch {
      // The offer ended without anybody: used up by wrong guesses, or expired.
      if (this.offer.result?.code === offer.code && Date.parse(offer.expires_at) <= Date.now()) this.over = true
    }
  }

  #found(paired: Paired): void {
    this.paired = paired
    this.#app.node.refresh()
  }
}
