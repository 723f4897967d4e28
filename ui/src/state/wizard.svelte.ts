// A new relationship in three steps: where, what kind, preview. Nothing is written before `start`.

import { ask, askIfKnown, BackendError } from '../backend/backend'
import type { Kind, PathText, PeerShare, PlanInfo, Setting } from '../backend/types'

import type { MessageKey } from '../lib/i18n/i18n.svelte'
import { split } from '../lib/paths'
import { Action } from './action.svelte'
import type { App } from './app.svelte'
import { Counting, patternsOf } from './counting.svelte'
import { Query } from './query.svelte'

export const wizardSteps = ['where', 'kind', 'preview'] as const
export type WizardStep = (typeof wizardSteps)[number]

export class Wizard {
  readonly #app: App
  step = $state<WizardStep>('where')
  path = $state.raw<PathText>({ path: '' })
  /** Whether the folder of the other machine is said here, chosen over there by whoever has our code, or on a host that has only SSH. */
  way = $state<'peer' | 'code' | 'host'>('code')
  machine = $state('')
  there = $state('')
  /** `ssh://user@host:port/path`. */
  host = $state('ssh://')
  name = $state('')
  kind = $state<Kind>('two-way')
  ignore = $state('')
  /** Shows what is missing, once somebody tried to go on. */
  tried = $state(false)

  /** `null` data: this engine cannot look ahead. */
  readonly preview = new Query<PlanInfo | null>()
  readonly counting: Counting
  /** Makes the relationship, which begins paused where that is wanted. */
  readonly start: Action<[paused: boolean], string>

  missing = $derived.by((): MessageKey | null => {
    if (this.path.path === '') return 'wizard.need.path'
    if (this.way === 'peer' && !this.there.startsWith('/')) return 'wizard.need.there'
    if (this.way === 'host' && !/^ssh:\/\/[^/]+\/./.test(this.host.trim())) return 'wizard.need.host'
    if (this.name.trim() === '' || /[:/]/.test(this.name)) return 'wizard.need.name'
    return null
  })

  patterns = $derived(patternsOf(this.ignore))

  /** What a person said about keys; sent again with each try. */
  #trust = { accept_keys: [] as string[], passphrases: [] as string[] }

  constructor(app: App) {
    this.#app = app
    this.counting = new Counting(app)
    this.start = new Action(async (paused) => {
      const { target, ...fields } = this.#fields()
      const ours = { ...fields, paused }
      const made = await (this.way === 'code'
        ? ask(app.backend, { request: 'share', ...ours })
        : this.way === 'peer'
          ? ask(app.backend, { request: 'rel-add', ...ours, target })
          : ask(app.backend, { request: 'host-add', ...ours, target: this.host.trim(), from_host: false, ...this.#trust }))
      app.node.refresh()
      return made.id
    })
  }

  choose(path: PathText): void {
    this.path = path
    const name = split(path.path)[1]
    if (this.name === '') this.name = name.replaceAll(':', '-')
  }

  /** Goes to a step if everything before it is said. */
  go(step: WizardStep): void {
    this.tried = true
    if (step !== 'where' && this.missing) return
    this.step = step
    if (step === 'preview') this.look()
  }

  /** A host's key was compared. */
  accept(fingerprint: string): void {
    this.#trust.accept_keys.push(fingerprint)
  }

  /** The passphrase of one's own key was given. */
  unlock(passphrase: string): void {
    this.#trust.passphrases.push(passphrase)
  }

  look(): void {
    const { backend } = this.#app
    this.preview.reset()
    // What a machine that nobody knows yet would get is shown over there, before it joins.
    if (this.way === 'peer') {
      void this.preview.load(() => askIfKnown(backend, { request: 'rel-preview', ...this.#fields() }))
    }
    this.counting.count(this.path, this.patterns, 0)
  }

  /** Changes what is left out, and counts it. */
  leaveOut(text: string): void {
    this.ignore = text
    this.counting.count(this.path, this.patterns)
  }

  #fields() {
    return {
      name: this.name.trim(),
      kind: this.kind,
      path: this.path,
      target: `${this.machine}:${this.there}`,
      settings: this.patterns.map((pattern): Setting => ['exclude', pattern]),
    }
  }
}

/** Joins what another machine shares: which, where, preview. */
export class JoinWizard {
  readonly #app: App
  step = $state<'code' | 'folder' | 'preview'>('code')
  way = $state<'code' | 'peer'>('code')
  code = $state('')
  address = $state('')
  machine = $state('')
  share = $state('')
  path = $state.raw<PathText>({ path: '' })
  tried = $state(false)
  readonly pair: Action<[], { name: string; check: string; fingerprint: string; share: string | null }>
  readonly shares = new Query<PeerShare[] | null>()
  readonly preview = new Query<PlanInfo>()
  /** Joins; it begins paused where that is wanted. */
  readonly start: Action<[paused: boolean], string>

  constructor(app: App) {
    this.#app = app
    this.pair = new Action(async () => {
      const paired = await ask(app.backend, {
        request: 'pair-accept',
        code: this.code.trim(),
        address: this.address.trim() || null,
      })
      this.machine = paired.name
      this.share = paired.share ?? ''
      app.node.refresh()
      return paired
    })
    this.start = new Action(async (paused) => {
      const made = await ask(app.backend, { request: 'join', ...this.#fields(), paused })
      app.node.refresh()
      return made.id
    })
  }

  /** Whether the code has said which folder. */
  get given(): boolean {
    return this.way === 'code' && (this.pair.result?.share ?? '') !== ''
  }

  /** Reads what the chosen machine offers, where its engine and ours can say so. */
  readShares(): void {
    const peer = this.machine
    this.shares.reset()
    if (peer === '') return
    void this.shares.load(async () => {
      const found = await askIfKnown(this.#app.backend, { request: 'peer-shares', peer })
      return found ? found.filter((one) => !one.joined) : null
    })
  }

  look(): void {
    this.step = 'preview'
    this.preview.reset()
    void this.preview.load(() => ask(this.#app.backend, { request: 'join-preview', ...this.#fields(), paused: false }))
  }

  /** Undoes a pairing whose check was not the same on both screens. */
  async refuse(): Promise<void> {
    const paired = this.pair.result
    this.pair.reset()
    if (!paired) return
    try {
      await ask(this.#app.backend, { request: 'peer-remove', peer: paired.fingerprint })
    } catch (thrown) {
      this.#app.toasts.error(BackendError.from(thrown))
    }
    this.machine = ''
    this.#app.node.refresh()
  }

  #fields() {
    return { peer: this.machine, share: this.share.trim(), path: this.path, role: null, settings: [] as Setting[] }
  }
}
