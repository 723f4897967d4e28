// The back end in the desktop application: commands and events of the shell.

import { invoke } from '@tauri-apps/api/core'
import { listen } from '@tauri-apps/api/event'

import { type Backend, BackendError, type ShellBackend, type Theme } from './backend'
import type { Reply, Request } from './requests'
import type { Event } from './types'

async function command<T>(name: string, args?: Record<string, unknown>): Promise<T> {
  try {
    return await invoke<T>(name, args)
  } catch (thrown) {
    // A request that the shell cannot even read is refused by Tauri with a bare text.
    if (typeof thrown === 'string' && thrown.includes('invalid args')) {
      throw new BackendError({ code: 'usage', message: thrown, hint: null })
    }
    throw BackendError.from(thrown)
  }
}

const shell: ShellBackend = {
  info: () => command('shell_info'),
  pickFolder: () => command('pick_folder'),
  openPath: (path) => command('open_path', { path }),
  revealPath: (path) => command('reveal_path', { path }),
  autostart: () => command('autostart_get'),
  setAutostart: (enabled) => command('autostart_set', { enabled }),
  settings: () => command('app_settings_get'),
  setSettings: (settings) => command('app_settings_set', { settings }),
  notifyTest: () => command('notify_test'),
  quit: () => command('quit'),
  readText: (relationship, what, maxBytes) => command('read_text', { relationship, ...what, maxBytes }),
  saveText: (name, text) => command('save_text', { name, text }),
  scanFolder: (path, patterns) => command('scan_folder', { path, patterns }),
  onTheme: (tell) => listen<Theme>('evenfold://theme', ({ payload }) => tell(payload)),
  onNavigate: (tell) => listen<{ route: string }>('evenfold://navigate', ({ payload }) => tell(payload.route)),
}

export const tauri: Backend = {
  request: (request: Request) => command<Reply>('request', { request }),
  subscribe: (tell) => listen<Event>('evenfold://event', ({ payload }) => tell(payload)),
  shell,
}
