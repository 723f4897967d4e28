// Keys that work everywhere. Single letters only where nobody is typing.

import type { App } from './app.svelte'
import { router, sections, tabsOf, toRelationship } from './router.svelte'

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}

export function keyboard(event: KeyboardEvent, app: App): void {
  const command = event.ctrlKey || event.metaKey
  if (command && event.key.toLowerCase() === 'k') {
    event.preventDefault()
    app.paletteOpen = !app.paletteOpen
    return
  }
  if (event.key === 'F1') {
    event.preventDefault()
    app.keysOpen = true
    return
  }
  if (command && event.key.toLowerCase() === 'f') {
    const field = document.querySelector<HTMLElement>('main [data-find]')
    if (field) {
      event.preventDefault()
      field.focus()
    }
    return
  }
  if (command && event.key.toLowerCase() === 'n') {
    event.preventDefault()
    router.go('#/new')
    return
  }
  if (event.altKey && !command) {
    const section = sections[Number(event.key) - 1]
    if (section) {
      event.preventDefault()
      router.go(`#/${section}`)
    }
    return
  }
  if (command || event.altKey || isTyping(event.target) || app.paletteOpen || app.keysOpen) return
  if (event.key === '?') {
    event.preventDefault()
    app.keysOpen = true
    return
  }
  const { route } = router
  if (route.page !== 'relationship' || document.querySelector('[role=dialog],[role=menu]')) return
  if (event.key === '[' || event.key === ']') {
    const tabs = tabsOf(app.node.find(route.id)?.kind ?? 'two-way')
    const next = tabs[(tabs.indexOf(route.tab) + (event.key === ']' ? 1 : tabs.length - 1)) % tabs.length]
    if (next) router.go(toRelationship(route.id, next))
  } else if (event.key === 'Escape') {
    router.go('#/relationships')
  }
}
