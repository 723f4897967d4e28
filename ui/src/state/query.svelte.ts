// Something that is read when a page opens and read again when it may have changed. Only the newest answer counts.

import { BackendError } from '../backend/backend'

export class Query<T> {
  data = $state.raw<T | null>(null)
  error = $state.raw<BackendError | null>(null)
  loading = $state(false)
  #turn = 0

  /** Reads; an answer that was overtaken by a later reading is dropped. What was shown stays until then. */
  async load(read: () => Promise<T>): Promise<void> {
    const turn = ++this.#turn
    this.loading = true
    try {
      const data = await read()
      if (turn !== this.#turn) return
      this.data = data
      this.error = null
    } catch (thrown) {
      if (turn === this.#turn) this.error = BackendError.from(thrown)
    } finally {
      if (turn === this.#turn) this.loading = false
    }
  }

  /** Forgets what was read, so that another subject does not show the old one's data. */
  reset(): void {
    this.#turn += 1
    this.data = null
    this.error = null
    this.loading = false
  }
}
