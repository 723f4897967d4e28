// What can be done with one relationship from anywhere.

import { ask, BackendError } from '../backend/backend'
import type { RelationshipStatus } from '../backend/types'
import { hasMessage, t } from '../lib/i18n/i18n.svelte'
import type { App } from './app.svelte'

/** Runs something of the user's, tells what went wrong, and reads again. */
export async function attempt(app: App, run: () => Promise<unknown>): Promise<boolean> {
  try {
    await run()
    return true
  } catch (thrown) {
    app.toasts.error(BackendError.from(thrown))
    return false
  } finally {
    app.node.refresh()
  }
}

export function syncNow(app: App, status: RelationshipStatus): Promise<boolean> {
  return attempt(app, () =>
    ask(app.backend, { request: 'sync', relationship: status.id, dry_run: false, wait: false, timeout_seconds: null }),
  )
}

export function setPaused(app: App, status: RelationshipStatus, paused: boolean): Promise<boolean> {
  return attempt(app, () =>
    ask(app.backend, { request: paused ? 'rel-pause' : 'rel-resume', relationship: status.id }),
  )
}

/** By hand: sends what was changed here, or fetches what the others changed, and tells how it ended. */
export function byHand(app: App, status: RelationshipStatus, request: 'push' | 'pull'): Promise<boolean> {
  return attempt(app, async () => {
    const relationship = status.id
    const done = await (request === 'push'
      ? ask(app.backend, { request, relationship, paths: [], force: false, dry_run: false })
      : ask(app.backend, { request, relationship, paths: [], dry_run: false }))
    const key = `byHand.${done.outcome}`
    app.toasts.say(t(hasMessage(key) ? key : 'byHand.unknown', { name: status.name, n: done.files, left: done.left.length }))
  })
}

/** Opens our own folder in the desktop's file manager. */
export function openFolder(app: App, status: RelationshipStatus): Promise<boolean> {
  const own = status.endpoints[0]
  if (own?.path === undefined) return Promise.resolve(false)
  const path = own.path_bytes === undefined ? { path: own.path } : { path: own.path, path_bytes: own.path_bytes }
  return attempt(app, () => app.backend.shell.openPath(path))
}
