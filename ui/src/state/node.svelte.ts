// What the node says: status, relationships, machines. Events only nudge; what is shown was read.

import { ask, type Backend, BackendError } from '../backend/backend'
import type { Event, NodeInfo, PeerInfo, Progress, RelationshipInfo, RelationshipStatus } from '../backend/types'
import { summarise } from '../lib/status'

/** At most four readings a second, however many events come. */
const pace = 250
/** A missed event heals after this long. */
const heal = 15_000

export type Loading = 'first' | 'ready' | 'failed'

export class NodeState {
  readonly #backend: Backend
  loading = $state<Loading>('first')
  error = $state.raw<BackendError | null>(null)
  info = $state.raw<NodeInfo | null>(null)
  relationships = $state.raw<RelationshipStatus[]>([])
  details = $state.raw<Map<string, RelationshipInfo>>(new Map())
  peers = $state.raw<PeerInfo[]>([])
  /** When the status was read last. */
  asOf = $state<string | null>(null)
  /** Rises when a relationship changed, so that open pages read again. */
  revision = $state(0)
  /** The present time, every 15 s: for "3 minutes ago". */
  now = $state(Date.now())

  summary = $derived(summarise(this.relationships))
  /** Names of all machines that are known here. */
  machines = $derived([
    ...new Set([
      ...(this.info ? [this.info.name] : []),
      ...this.peers.map((peer) => peer.name),
      ...this.relationships.flatMap((one) => one.endpoints.map((endpoint) => endpoint.node)),
    ]),
  ])

  #timer: ReturnType<typeof setTimeout> | null = null
  #moving = new Map<string, Progress>()
  #drawing: ReturnType<typeof setTimeout> | null = null
  #wanted = { status: false, peers: false }
  #reading = false

  constructor(backend: Backend) {
    this.#backend = backend
  }

  async start(): Promise<() => void> {
    let stop = () => {}
    try {
      stop = await this.#backend.subscribe((event) => this.#onEvent(event))
    } catch (thrown) {
      // Without events the regular reading still keeps the window true.
      this.error = BackendError.from(thrown)
    }
    const interval = setInterval(() => {
      this.now = Date.now()
      if (document.visibilityState === 'visible') this.refresh()
    }, heal)
    await this.#read({ status: true, peers: true })
    return () => {
      stop()
      clearInterval(interval)
      if (this.#timer) clearTimeout(this.#timer)
      if (this.#drawing) clearTimeout(this.#drawing)
    }
  }

  /** The relationship with this id or name. */
  find(id: string): RelationshipStatus | undefined {
    return this.relationships.find((one) => one.id === id) ?? this.relationships.find((one) => one.name === id)
  }

  /** Reads everything again, soon. */
  refresh(): void {
    this.#want({ status: true, peers: true })
  }

  #onEvent(event: Event): void {
    switch (event.event) {
      case 'progress':
        this.#moving.set(event.id, event.progress)
        this.#drawing ??= setTimeout(() => this.#draw(), pace)
        break
      case 'relationship':
        this.#want({ status: true, peers: false })
        break
      case 'peers':
        this.#want({ status: true, peers: true })
        break
    }
  }

  /** Shows the newest progress of each, however often it was told. */
  #draw(): void {
    this.#drawing = null
    const moving = this.#moving
    this.#moving = new Map()
    this.relationships = this.relationships.map((one) => {
      const progress = moving.get(one.id)
      return progress ? { ...one, progress } : one
    })
  }

  #want(what: { status: boolean; peers: boolean }): void {
    this.#wanted.status ||= what.status
    this.#wanted.peers ||= what.peers
    if (this.#timer || this.#reading) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      const wanted = this.#wanted
      this.#wanted = { status: false, peers: false }
      void this.#read(wanted)
    }, pace)
  }

  async #read(what: { status: boolean; peers: boolean }): Promise<void> {
    this.#reading = true
    try {
      const [status, details, peers] = await Promise.all([
        what.status ? ask(this.#backend, { request: 'status', relationship: null }) : null,
        what.status ? ask(this.#backend, { request: 'rel-list' }) : null,
        what.peers ? ask(this.#backend, { request: 'peer-list' }) : null,
      ])
      if (status) {
        this.info = status.node
        this.relationships = status.relationships
        // What was just read is newer than what was told before.
        this.#moving.clear()
        this.asOf = new Date().toISOString()
        this.revision += 1
      }
      if (details) this.details = new Map(details.map((one) => [one.id, one]))
      if (peers) this.peers = peers
      this.error = null
      this.loading = 'ready'
      this.now = Date.now()
    } catch (thrown) {
      this.error = BackendError.from(thrown)
      if (this.loading === 'first') this.loading = 'failed'
    } finally {
      this.#reading = false
      if (this.#wanted.status || this.#wanted.peers) this.#want({ status: false, peers: false })
    }
  }
}
