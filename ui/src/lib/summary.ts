// The summary of all relationships in words.

import { clock } from './format'
import { t } from './i18n/i18n.svelte'
import type { Look, Summary } from './status'

/** One sentence about the worst, as a headline. */
export function headline(summary: Summary): string {
  const { counts, look } = summary
  if (summary.needs > 0) return t('home.needs', { n: summary.needs })
  switch (look) {
    case 'ok':
      return t('home.even')
    case 'error':
    case 'attention':
    case 'conflict':
      return t('home.needs', { n: Math.max(1, summary.needs) })
    default:
      return t(`home.${look}`, { n: counts[look] })
  }
}

const order: Exclude<Look, 'error' | 'attention' | 'conflict'>[] = [
  'busy',
  'scanning',
  'drifted',
  'offline',
  'unknown',
  'waiting',
  'paused',
  'ok',
]

/** How many of each, worst first; what needs somebody is in the headline already. */
export function counted(summary: Summary, all: number): string {
  if (summary.look === 'ok' && summary.verifiedAt) {
    return t('home.evenSince', { n: all, time: clock(summary.verifiedAt) })
  }
  return order
    .filter((look) => summary.counts[look] > 0)
    .map((look) => t(`home.count.${look}`, { n: summary.counts[look] }))
    .join(' · ')
}
