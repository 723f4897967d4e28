// What every view may need: the back end, the desktop, the settings of the window.

import { getContext, setContext } from 'svelte'

import { type AppSettings, type Backend, BackendError, type ShellInfo, type Theme } from '../backend/backend'
import { locale } from '../lib/i18n/i18n.svelte'
import { NodeState } from './node.svelte'
import { Toasts } from './toasts.svelte'

export class App {
  readonly backend: Backend
  readonly node: NodeState
  readonly toasts = new Toasts()
  shell = $state.raw<ShellInfo | null>(null)
  settings = $state.raw<AppSettings | null>(null)
  /** What the desktop prefers. */
  #desktopTheme = $state<Theme | null>(null)
  paletteOpen = $state(false)
  keysOpen = $state(false)

  constructor(backend: Backend) {
    this.backend = backend
    this.node = new NodeState(backend)
  }

  /** Reads what the desktop says, then follows it. */
  async start(): Promise<() => void> {
    const stops: (() => void)[] = []
    try {
      const [info, settings] = await Promise.all([this.backend.shell.info(), this.backend.shell.settings()])
      this.shell = info
      this.#desktopTheme = info.theme
      this.#apply(settings)
      stops.push(await this.backend.shell.onTheme((theme) => this.#follow(theme)))
    } catch (thrown) {
      this.toasts.error(BackendError.from(thrown))
    }
    stops.push(await this.node.start())
    return () => stops.forEach((stop) => stop())
  }

  async save(change: Partial<AppSettings>): Promise<void> {
    if (!this.settings) return
    const settings = { ...this.settings, ...change }
    await this.backend.shell.setSettings(settings)
    this.#apply(settings)
  }

  #follow(theme: Theme): void {
    this.#desktopTheme = theme
    this.#applyTheme()
  }

  #apply(settings: AppSettings): void {
    this.settings = settings
    const desktop = this.shell?.locale ?? 'en'
    // A chosen language keeps the desktop's way of writing numbers and times where the two agree.
    const chosen = settings.locale
    locale.use(chosen === 'system' || desktop.startsWith(chosen) ? desktop : chosen)
    this.#applyTheme()
  }

  #applyTheme(): void {
    const chosen = this.settings?.theme ?? 'system'
    const theme = chosen === 'system' ? this.#desktopTheme : chosen
    // Without an answer from the desktop, the style sheet's own media query decides.
    if (theme) document.documentElement.dataset.theme = theme
    else delete document.documentElement.dataset.theme
  }
}

const key = Symbol('app')

export function provideApp(app: App): App {
  return setContext(key, app)
}

export function useApp(): App {
  return getContext(key)
}
