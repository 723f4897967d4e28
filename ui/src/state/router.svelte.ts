// Which page is shown. The address lives behind the hash, so that links, back and forward work without a server.

import type { Kind } from '../backend/types'
import { isDelivering } from '../lib/deliveries'

export const sections = ['relationships', 'needs-you', 'history', 'machines', 'settings'] as const
export type Section = (typeof sections)[number]

export const tabs = ['now', 'deliveries', 'changes', 'conflicts', 'drift', 'history', 'settings'] as const
export type Tab = (typeof tabs)[number]

/** The tabs that mean something for a kind: what is only delivered is neither kept even nor in conflict. */
export function tabsOf(kind: Kind): Tab[] {
  const without: Tab[] = isDelivering(kind) ? ['changes', 'conflicts'] : ['deliveries']
  return tabs.filter((tab) => !without.includes(tab))
}

/** The tab that says of each thing that does not get on why. */
export function reasonsOf(kind: Kind): Tab {
  return isDelivering(kind) ? 'deliveries' : 'changes'
}

export const settingsPages = [
  'general',
  'appearance',
  'notifications',
  'network',
  'ignore',
  'versions',
  'advanced',
  'about',
] as const
export type SettingsPage = (typeof settingsPages)[number]

export type Route =
  | { page: 'home' }
  | { page: 'relationship'; id: string; tab: Tab; query: URLSearchParams }
  /** `machine`: a paired machine that is chosen beforehand. */
  | { page: 'new'; machine: string }
  | { page: 'join' }
  | { page: 'needs-you' }
  | { page: 'history'; query: URLSearchParams }
  | { page: 'machines' }
  | { page: 'pair' }
  | { page: 'settings'; section: SettingsPage }

function oneOf<T extends string>(all: readonly T[], text: string | undefined, otherwise: T): T {
  return all.find((one) => one === text) ?? otherwise
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

/** Reads an address such as `/relationships/ID/drift?under=docs`; what makes no sense is home. */
export function parse(address: string): Route {
  const [path = '', search = ''] = address.replace(/^#/, '').split('?', 2)
  const query = new URLSearchParams(search)
  const [first, second, third] = path.split('/').filter(Boolean).map(decoded)
  switch (first) {
    case 'relationships':
      return second === undefined
        ? { page: 'home' }
        : { page: 'relationship', id: second, tab: oneOf(tabs, third, 'now'), query }
    case 'new':
      return { page: 'new', machine: query.get('with') ?? '' }
    case 'join':
      return { page: 'join' }
    case 'needs-you':
      return { page: 'needs-you' }
    case 'history':
      return { page: 'history', query }
    case 'machines':
      return second === 'pair' ? { page: 'pair' } : { page: 'machines' }
    case 'settings':
      return { page: 'settings', section: oneOf(settingsPages, second, 'general') }
    default:
      return { page: 'home' }
  }
}

export function sectionOf(route: Route): Section {
  switch (route.page) {
    case 'home':
    case 'relationship':
    case 'new':
    case 'join':
      return 'relationships'
    case 'pair':
      return 'machines'
    default:
      return route.page
  }
}

/** Address of a relationship's tab. */
export function toRelationship(id: string, tab: Tab = 'now', query?: Record<string, string>): string {
  const search = query ? `?${new URLSearchParams(query)}` : ''
  return `#/relationships/${encodeURIComponent(id)}/${tab}${search}`
}

class Router {
  route = $state.raw<Route>(parse(location.hash))

  /** Follows the address from now on. */
  start(): () => void {
    const follow = () => {
      this.route = parse(location.hash)
    }
    addEventListener('hashchange', follow)
    return () => removeEventListener('hashchange', follow)
  }

  go(address: string): void {
    location.hash = address
  }

  /** Changes the address without a step in the history: filters, selections. */
  replace(address: string): void {
    history.replaceState(null, '', address)
    this.route = parse(location.hash)
  }
}

export const router = new Router()
