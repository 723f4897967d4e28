// Windows of a long list that the node owns: only what is looked at is read, and only so much is kept.

import { BackendError } from '../backend/backend'
import type { Page } from '../backend/types'

export const pageSize = 100
/** Pages that are kept: enough to scroll about, little enough that a million rows stay on the node. */
const mostPages = 40

export class Windows<T> {
  total = $state<number | null>(null)
  error = $state.raw<BackendError | null>(null)
  /** Rises when rows arrived. */
  revision = $state(0)
  readonly #read: (offset: number, limit: number) => Promise<Page<T>>
  #pages = new Map<number, T[]>()
  #pending = new Set<number>()
  #turn = 0

  constructor(read: (offset: number, limit: number) => Promise<Page<T>>) {
    this.#read = read
  }

  /** The row, if it was read already. */
  at(index: number): T | undefined {
    void this.revision
    return this.#pages.get(Math.floor(index / pageSize))?.[index % pageSize]
  }

  /** Reads what is missing of the rows from `first` up to `last`. */
  need(first: number, last: number): void {
    for (let page = Math.floor(first / pageSize); page <= Math.floor(Math.max(first, last) / pageSize); page++) {
      const cached = this.#pages.get(page)
      if (cached) {
        // The least recently seen page is dropped first.
        this.#pages.delete(page)
        this.#pages.set(page, cached)
      } else if (!this.#pending.has(page)) void this.#load(page)
    }
  }

  /** Reads again what may have changed; what was shown stays until then. */
  async again(): Promise<void> {
    this.#turn += 1
    this.#pending.clear()
    const kept = [...this.#pages.keys()].slice(-3)
    const turn = this.#turn
    const pages = new Map<number, T[]>()
    try {
      for (const page of kept.length > 0 ? kept : [0]) {
        const answer = await this.#read(page * pageSize, pageSize)
        if (turn !== this.#turn) return
        pages.set(page, answer.rows)
        this.total = answer.total
      }
      this.#pages = pages
      this.error = null
    } catch (thrown) {
      if (turn === this.#turn) this.error = BackendError.from(thrown)
    } finally {
      if (turn === this.#turn) this.revision += 1
    }
  }

  /** Forgets everything and begins anew. */
  reset(): void {
    this.#turn += 1
    this.#pages.clear()
    this.#pending.clear()
    this.total = null
    this.error = null
    void this.#load(0)
  }

  async #load(page: number): Promise<void> {
    const turn = this.#turn
    this.#pending.add(page)
    try {
      const answer = await this.#read(page * pageSize, pageSize)
      if (turn !== this.#turn) return
      this.#pages.set(page, answer.rows)
      const [oldest] = this.#pages.keys()
      if (this.#pages.size > mostPages && oldest !== undefined) this.#pages.delete(oldest)
      this.total = answer.total
      this.error = null
    } catch (thrown) {
      if (turn === this.#turn) this.error = BackendError.from(thrown)
    } finally {
      if (turn === this.#turn) {
        this.#pending.delete(page)
        this.revision += 1
      }
    }
  }
}
