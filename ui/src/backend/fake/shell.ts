// The desktop around the window, made up.

import type { AppSettings, Autostart, ShellBackend, Theme } from '../backend'

/** Reads `theme`, `locale`, `pick` (the folder that the next pickers give). */
export function fakeShell(query: URLSearchParams): ShellBackend {
  let settings: AppSettings = {
    theme: 'system',
    locale: (query.get('locale') as AppSettings['locale'] | null) ?? 'system',
    notifications: { needs_you: true, daily_summary: false },
    close_to_tray: true,
  }
  let autostart: Autostart = {
    enabled: false,
    path: '/home/ada/.config/autostart/evenfold.desktop',
    problem: null,
  }
  const picks = query.getAll('pick')
  return {
    info: () =>
      Promise.resolve({
        version: '0.1.0',
        attached: query.has('attached'),
        tray: !query.has('no-tray'),
        platform: 'linux',
        theme: query.get('theme') as Theme | null,
        locale: query.get('locale') ?? 'en-GB',
        home: '/home/ada',
      }),
    pickFolder: () => Promise.resolve({ path: picks.shift() ?? '/home/ada/Photos' }),
    openPath: () => Promise.resolve(),
    revealPath: () => Promise.resolve(),
    autostart: () => Promise.resolve(autostart),
    setAutostart: (enabled) => {
      autostart = { ...autostart, enabled }
      return Promise.resolve(autostart)
    },
    settings: () => Promise.resolve(settings),
    setSettings: (changed) => {
      settings = changed
      return Promise.resolve()
    },
    notifyTest: () => Promise.resolve(),
    quit: () => Promise.resolve(),
    readText: (_relationship, what) => {
      const name = what.path.path
      if (/\.(jpg|png)$/.test(name)) return Promise.resolve({ kind: 'image', data_url: somePicture(name.includes('conflict') || what.version !== undefined) })
      if (/\.(ods|pdf|odt|raw)$/.test(name)) return Promise.resolve({ kind: 'binary' })
      const mine = name.includes('conflict') || what.version !== undefined
      return Promise.resolve({
        kind: 'text',
        text: `# Report\n\nThe harbour opens at ${mine ? 'eight' : 'seven'}.\nTides are listed below.\n\n- Monday 06:12\n- Tuesday 07:01\n${mine ? '- Wednesday 07:48\n' : ''}`,
      })
    },
    saveText: (name, text) => {
      const link = document.createElement('a')
      link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }))
      link.download = name
      link.click()
      URL.revokeObjectURL(link.href)
      return Promise.resolve(name)
    },
    scanFolder: (_path, patterns) =>
      Promise.resolve({ files: 1204, bytes: 8_100_000_000, ignored: patterns.length * 304, free_bytes: 210_000_000_000 }),
    onTheme: () => Promise.resolve(() => {}),
    onNavigate: () => Promise.resolve(() => {}),
  }
}

/** A small drawing of a harbour, by day or by night. */
function somePicture(night: boolean): string {
  const [sky, sea, sun] = night ? ['#22304d', '#101c33', '#e8e4c9'] : ['#bcdcf2', '#3f7fa8', '#f7d774']
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="420"><rect width="640" height="420" fill="${sky}"/><circle cx="${night ? 470 : 170}" cy="110" r="48" fill="${sun}"/><rect y="250" width="640" height="170" fill="${sea}"/><path d="M250 250l70-150v150zM335 250V130l60 120zM220 262h210l-30 44H250z" fill="#fff" opacity=".9"/></svg>`
  return `data:image/svg+xml,${encodeURIComponent(svg)}`
}
