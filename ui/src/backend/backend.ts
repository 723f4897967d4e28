// What the window needs of the world outside: a node, and the desktop around it. Views know only this.

import type { ReplyData, Reply, Request } from './requests'
import type { ApiError, ErrorCode, Event, PathText } from './types'

export type Unsubscribe = () => void

export type Theme = 'light' | 'dark'

export interface ShellInfo {
  version: string
  /** Whether the engine is a daemon that runs apart, rather than inside this application. */
  attached: boolean
  /** Whether the desktop shows a tray icon. */
  tray: boolean
  platform: 'linux' | 'macos' | 'windows'
  /** What the desktop prefers; null if it does not say. */
  theme: Theme | null
  /** BCP 47. */
  locale: string
  /** Home directory of the user. */
  home: string
}

export interface AppSettings {
  theme: 'system' | Theme
  locale: 'system' | 'en' | 'de'
  notifications: { needs_you: boolean; daily_summary: boolean }
  close_to_tray: boolean
}

export interface Autostart {
  enabled: boolean
  /** Where it is registered. */
  path: string
  /** Why it cannot work as it stands. */
  problem: string | null
}

export type FileText =
  | { kind: 'text'; text: string }
  | { kind: 'image'; data_url: string }
  | { kind: 'binary' }
  | { kind: 'too-large' }

export interface FolderSummary {
  files: number
  bytes: number
  /** Files that the patterns leave out. */
  ignored: number
  free_bytes: number | null
}

/** What the desktop does for the window. */
export interface ShellBackend {
  info(): Promise<ShellInfo>
  pickFolder(): Promise<PathText | null>
  openPath(path: PathText): Promise<void>
  revealPath(path: PathText): Promise<void>
  autostart(): Promise<Autostart>
  setAutostart(enabled: boolean): Promise<Autostart>
  settings(): Promise<AppSettings>
  setSettings(settings: AppSettings): Promise<void>
  notifyTest(): Promise<void>
  quit(): Promise<void>
  /** Reads the start of a file below a relationship's root, or of one of its versions. */
  readText(
    relationship: string,
    what: { path: PathText; version?: string },
    maxBytes: number,
  ): Promise<FileText>
  /** Asks where to write a text and writes it there; null if the user changed their mind. */
  saveText(name: string, text: string): Promise<string | null>
  scanFolder(path: PathText, patterns: string[]): Promise<FolderSummary>
  onTheme(tell: (theme: Theme) => void): Promise<Unsubscribe>
  /** Deep links, from the tray or a notification; `route` as in the window's own addresses. */
  onNavigate(tell: (route: string) => void): Promise<Unsubscribe>
}

export interface Backend {
  /** Rejects with `BackendError` only. */
  request(request: Request): Promise<Reply>
  /** Events are nudges to read again, never the truth. */
  subscribe(tell: (event: Event) => void): Promise<Unsubscribe>
  shell: ShellBackend
}

/** An error of the node, or one of the way to it. */
export class BackendError extends Error {
  readonly code: ErrorCode
  readonly hint: string | null

  constructor(error: ApiError) {
    super(error.message)
    this.name = 'BackendError'
    this.code = error.code
    this.hint = error.hint ?? null
  }

  /** Turns whatever was thrown into one of ours. */
  static from(thrown: unknown): BackendError {
    if (thrown instanceof BackendError) return thrown
    if (typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'message' in thrown) {
      return new BackendError(thrown as ApiError)
    }
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return new BackendError({ code: 'internal', message, hint: null })
  }
}

/** Asks and returns the data of the reply. */
export async function ask<R extends Request>(backend: Backend, request: R): Promise<ReplyData<R>> {
  const reply = await backend.request(request)
  return (reply as { data?: unknown }).data as ReplyData<R>
}

/** Asks something that older nodes do not know; they give `null`. */
export async function askIfKnown<R extends Request>(backend: Backend, request: R): Promise<ReplyData<R> | null> {
  try {
    return await ask(backend, request)
  } catch (thrown) {
    if (isUnknownRequest(BackendError.from(thrown))) return null
    throw thrown
  }
}

/** Asks for a window into the last comparison; `null` also where nothing was compared yet. */
export async function askIfCompared<R extends Request>(backend: Backend, request: R): Promise<ReplyData<R> | null> {
  try {
    return await askIfKnown(backend, request)
  } catch (thrown) {
    if (BackendError.from(thrown).code === 'not-found') return null
    throw thrown
  }
}

function isUnknownRequest(error: BackendError): boolean {
  return error.code === 'usage' && /unknown variant|not understood|cannot be understood/.test(error.message)
}
