// Something that the user started: runs once at a time, remembers how it ended.

import { BackendError } from '../backend/backend'

export class Action<A extends unknown[], T> {
  readonly #run: (...args: A) => Promise<T>
  running = $state(false)
  error = $state.raw<BackendError | null>(null)
  result = $state.raw<T | null>(null)

  constructor(run: (...args: A) => Promise<T>) {
    this.#run = run
  }

  /** Runs, unless it runs already; tells whether it succeeded. */
  async run(...args: A): Promise<boolean> {
    if (this.running) return false
    this.running = true
    this.error = null
    try {
      this.result = await this.#run(...args)
      return true
    } catch (thrown) {
      this.error = BackendError.from(thrown)
      return false
    } finally {
      this.running = false
    }
  }

  reset(): void {
    this.error = null
    this.result = null
  }
}
