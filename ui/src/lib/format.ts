// Numbers, sizes, times: always by `Intl`, always in the user's language.

import { locale } from './i18n/i18n.svelte'

const cache = new Map<string, unknown>()

/** Intl objects are dear to make; each is kept per language. */
function kept<T>(name: string, make: (tag: string) => T): T {
  const key = `${locale.tag}|${name}`
  let value = cache.get(key) as T | undefined
  if (value === undefined) {
    value = make(locale.tag)
    cache.set(key, value)
  }
  return value
}

export function number(value: number): string {
  return kept('number', (tag) => new Intl.NumberFormat(tag)).format(value)
}

/** `share` from 0 to 1. Never rounds up to 100 % what is not whole. */
export function percent(share: number, digits = 0): string {
  const unit = 10 ** (digits + 2)
  const honest = share < 1 ? Math.floor(share * unit) / unit : share
  return kept(`percent${digits}`, (tag) => {
    return new Intl.NumberFormat(tag, { style: 'percent', minimumFractionDigits: digits, maximumFractionDigits: digits })
  }).format(honest)
}

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'] as const

/** Decimal units, as file managers and disk makers count. */
export function bytes(value: number): string {
  let unit = 0
  let size = value
  while (unit < units.length - 1 && Math.round(size * 10) / 10 >= 1000) {
    size /= 1000
    unit += 1
  }
  const name = units[unit] ?? 'byte'
  const digits = unit === 0 || size >= 100 ? 0 : 1
  // The short form of "byte" is spelled out and needs its plural in some languages.
  const display = unit === 0 ? 'long' : 'short'
  return kept(`${name}${digits}`, (tag) => {
    return new Intl.NumberFormat(tag, { style: 'unit', unit: name, unitDisplay: display, maximumFractionDigits: digits })
  }).format(size)
}

export function rate(bytesPerSecond: number): string {
  return `${bytes(bytesPerSecond)}/s`
}

type Unit = 'second' | 'minute' | 'hour' | 'day'

function coarse(seconds: number): [number, Unit] {
  if (seconds < 60) return [Math.round(seconds), 'second']
  if (seconds < 3600) return [Math.round(seconds / 60), 'minute']
  if (seconds < 48 * 3600) return [Math.round(seconds / 3600), 'hour']
  return [Math.round(seconds / 86400), 'day']
}

/** A length of time in its largest fitting unit, such as "4 min". */
export function duration(seconds: number, style: 'short' | 'long' = 'long'): string {
  const [value, unit] = coarse(Math.max(0, seconds))
  return kept(`duration${unit}${style}`, (tag) => {
    return new Intl.NumberFormat(tag, { style: 'unit', unit, unitDisplay: style })
  }).format(value)
}

const lengths: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** A length of time as settings write it, such as "30d", in words; anything else stays as it is. */
export function spoken(setting: string): string {
  const [, value, unit] = /^(\d+)([smhdw])$/.exec(setting) ?? []
  return value && unit ? duration(Number(value) * (lengths[unit] ?? 0)) : setting
}

/** "3 hours ago", "in 5 minutes". */
export function relative(time: string, now = Date.now()): string {
  const seconds = (Date.parse(time) - now) / 1000
  if (!Number.isFinite(seconds)) return ''
  const [value, unit] = coarse(Math.abs(seconds))
  return kept('relative', (tag) => new Intl.RelativeTimeFormat(tag, { numeric: 'auto' })).format(
    seconds < 0 ? -value : value,
    unit,
  )
}

/** Time of day for today, otherwise the date as well. */
export function moment(time: string, now = new Date()): string {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return ''
  const sameDay = date.toDateString() === now.toDateString()
  if (sameDay) return clock(time)
  const sameYear = date.getFullYear() === now.getFullYear()
  return kept(`moment${sameYear}`, (tag) => {
    return new Intl.DateTimeFormat(tag, {
      day: 'numeric',
      month: 'short',
      year: sameYear ? undefined : 'numeric',
      hour: '2-digit',
      minute: '2-digit',
    })
  }).format(date)
}

export function clock(time: string): string {
  return kept('clock', (tag) => new Intl.DateTimeFormat(tag, { hour: '2-digit', minute: '2-digit' })).format(new Date(time))
}

/** Date and time to the second, for tooltips and details. */
export function exact(time: string): string {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return ''
  return kept('exact', (tag) => new Intl.DateTimeFormat(tag, { dateStyle: 'full', timeStyle: 'medium' })).format(date)
}

/** "today", "yesterday", or the date: heads groups of a history. */
export function day(time: string, now = new Date()): string {
  const date = new Date(time)
  const midnight = (of: Date) => new Date(of.getFullYear(), of.getMonth(), of.getDate()).getTime()
  const days = Math.round((midnight(date) - midnight(now)) / 86_400_000)
  if (days === 0 || days === -1) {
    return kept('relative', (tag) => new Intl.RelativeTimeFormat(tag, { numeric: 'auto' })).format(days, 'day')
  }
  return kept('day', (tag) => {
    return new Intl.DateTimeFormat(tag, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' })
  }).format(date)
}

export function list(items: string[]): string {
  return kept('list', (tag) => new Intl.ListFormat(tag, { type: 'conjunction' })).format(items)
}

export function compare(a: string, b: string): number {
  return kept('collator', (tag) => new Intl.Collator(tag, { numeric: true })).compare(a, b)
}
