// What stands in a folder and what patterns leave out of it, counted anew when the typing rests.

import type { FolderSummary } from '../backend/backend'
import type { PathText } from '../backend/types'
import type { App } from './app.svelte'
import { Query } from './query.svelte'

/** Longest pause in typing before it is counted again, in milliseconds. */
const settle = 400

export class Counting {
  readonly #app: App
  readonly summary = new Query<FolderSummary>()
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(app: App) {
    this.#app = app
  }

  count(path: PathText, patterns: string[], pause = settle): void {
    this.stop()
    this.#timer = setTimeout(() => {
      void this.summary.load(() => this.#app.backend.shell.scanFolder(path, patterns))
    }, pause)
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }
}

/** One pattern per line, as in `.gitignore`. */
export function patternsOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
