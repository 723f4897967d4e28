// What a row of the list says about a relationship, in words.

import type { RelationshipStatus } from '../backend/types'
import { isDelivering } from './deliveries'
import { inOurWords } from './engine'
import { bytes, clock, duration, moment, percent, rate, relative } from './format'
import { t } from './i18n/i18n.svelte'
import { isKeyChanged, lookOf, warningOf } from './status'

/** The other machines that are away, or all others if none is known to be. */
function awayOf(status: RelationshipStatus): RelationshipStatus['endpoints'] {
  const others = status.endpoints.slice(1)
  const away = others.filter((endpoint) => !endpoint.online)
  return away.length > 0 ? away : others
}

export function lookText(status: RelationshipStatus): string {
  return t(`look.${lookOf(status)}`, { n: status.conflicts })
}

/** Share of the work that is done, from 0 to 1; null where the end is not known. */
export function shareOf(status: RelationshipStatus): number | null {
  const progress = status.progress
  if (!progress) return null
  if (progress.bytes_total > 0) return progress.bytes_done / progress.bytes_total
  return progress.files_total > 0 ? progress.files_done / progress.files_total : null
}

export function progressText(status: RelationshipStatus): string {
  const progress = status.progress
  if (!progress) return ''
  const share = shareOf(status)
  if (share === null) return t('row.counting', { n: progress.files_done })
  const parts = [
    progress.bytes_per_second > 0
      ? t('row.syncing', { percent: percent(share), rate: rate(progress.bytes_per_second) })
      : percent(share),
  ]
  if (progress.eta_seconds !== null) parts.push(t('row.eta', { time: duration(progress.eta_seconds) }))
  return parts.join(' · ')
}

/** One line below the name, where something is to be said. */
export function noteOf(status: RelationshipStatus, now: number): string | null {
  const look = lookOf(status)
  const away = awayOf(status)[0]
  if (isKeyChanged(status)) return t('row.keyChanged', { machine: away?.node ?? '' })
  const names = status.endpoints.map((endpoint) => endpoint.node)
  if (status.halt) return capital(inOurWords(status.halt).headline, names)
  if (look === 'error' && status.error) return capital(inOurWords(status.error).headline, names)
  switch (look) {
    case 'offline': {
      if (!away) return null
      const seen = away.last_seen
        ? t('row.offline', { machine: away.node, ago: relative(away.last_seen, now) })
        : t('row.offlineNever', { machine: away.node })
      return `${seen} ${waitsText(waitingHere(status))} ${t('row.retries')}`
    }
    case 'paused': {
      const paused = status.paused_until ? t('row.pausedUntil', { time: moment(status.paused_until) }) : t('row.paused')
      const waits = waitingHere(status)
      return waits ? `${paused} ${waitsText(waits)}` : paused
    }
    case 'waiting':
      return t('row.nobody')
    case 'attention':
      if (status.problems > 0) return t(isDelivering(status.kind) ? 'row.stuck' : 'row.problems', { n: status.problems })
      return warningText(status, names)
    case 'unknown':
      return status.unknown_since ? t('row.unknownSince', { time: moment(status.unknown_since) }) : null
    default:
      return null
  }
}

/** What somebody should look at beside what syncing does. */
export function warningText(status: RelationshipStatus, names: string[]): string | null {
  const warning = warningOf(status)
  return warning && capital(inOurWords(warning).headline, names)
}

/** How many changes of this machine wait to travel; null where that is not known. */
export function waitingHere(status: RelationshipStatus): number | null {
  return status.waiting?.files ?? null
}

export function waitsText(n: number | null): string {
  return n === null ? t('row.waitsUnknown') : t('row.waits', { n })
}

export function driftText(status: RelationshipStatus): [main: string, more: string | null] {
  const { drift, progress } = status
  if (progress && progress.bytes_total > 0) {
    return [
      bytes(progress.bytes_total - progress.bytes_done),
      t('row.differs', { files: progress.files_total - progress.files_done }),
    ]
  }
  if (!drift) return [t('row.unknown'), null]
  if (drift.files === 0) return [t('row.same'), null]
  const age = drift.oldest_seconds === null ? null : t('row.oldest', { age: duration(drift.oldest_seconds) })
  const size = drift.bytes > 0 ? bytes(drift.bytes) : null
  return [t('row.differs', { files: drift.files }), [size, age].filter(Boolean).join(' · ') || null]
}

export function verifiedText(status: RelationshipStatus): string {
  const look = lookOf(status)
  if (look === 'busy' || look === 'scanning') return t('row.now')
  if (!status.verified_at) return t('common.never')
  const today = new Date(status.verified_at).toDateString() === new Date().toDateString()
  return today ? clock(status.verified_at) : moment(status.verified_at)
}

/** Begins a sentence with a capital, but leaves a machine its name. */
export function capital(text: string, names: string[] = []): string {
  const isName = (name: string) => text.startsWith(name) && !/^[\p{L}\p{N}_.-]*[\p{L}\p{N}]/u.test(text.slice(name.length))
  if (names.some((name) => name !== '' && isName(name))) return text
  return text.charAt(0).toLocaleUpperCase() + text.slice(1)
}
