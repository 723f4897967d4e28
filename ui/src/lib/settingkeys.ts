// The settings of a relationship as the window edits them: which control, in which group, for whom.

import type { Kind, Setting } from '../backend/types'
import type { MessageKey } from './i18n/i18n.svelte'

export interface SettingField {
  key: string
  group: 'when' | 'what' | 'changes' | 'delivery' | 'versions' | 'limits' | 'hooks'
  /** `choice`: one of `options`; `list`: one value per line. */
  control: 'text' | 'choice' | 'list'
  options?: string[]
  hint?: MessageKey
  /** Whether it may also be set for one endpoint. */
  own: boolean
  /** Kinds for which it means something; all if absent. */
  kinds?: Kind[]
}

const delivering: Kind[] = ['send-once', 'relay']
const keeping: Kind[] = ['two-way', 'mirror', 'manual']
const moving: Kind[] = [...keeping, ...delivering]
const byItself: Kind[] = ['two-way', 'mirror', 'send-once', 'relay', 'compare']

export const settingFields: SettingField[] = [
  { key: 'trigger', group: 'when', control: 'text', hint: 'set.trigger.hint', own: false, kinds: byItself },
  { key: 'settle', group: 'when', control: 'text', hint: 'set.duration.hint', own: false, kinds: ['two-way', 'mirror', ...delivering] },
  { key: 'rescan', group: 'when', control: 'text', hint: 'set.off.hint', own: false },
  { key: 'scrub', group: 'when', control: 'text', hint: 'set.off.hint', own: false },
  { key: 'verify', group: 'when', control: 'choice', options: ['fast', 'full'], own: false },
  { key: 'exclude', group: 'what', control: 'list', hint: 'set.exclude.hint', own: false },
  { key: 'include', group: 'what', control: 'list', hint: 'set.include.hint', own: false },
  { key: 'hidden', group: 'what', control: 'choice', options: ['true', 'false'], own: true },
  { key: 'size.max', group: 'what', control: 'text', hint: 'set.size.hint', own: false },
  { key: 'size.min', group: 'what', control: 'text', hint: 'set.size.hint', own: false },
  { key: 'access', group: 'what', control: 'choice', options: ['write', 'read'], own: false, kinds: moving },
  { key: 'conflict', group: 'changes', control: 'choice', options: ['keep-both', 'newest', 'refuse'], own: false, kinds: keeping },
  { key: 'delete', group: 'changes', control: 'choice', options: ['propagate', 'ignore'], own: false, kinds: keeping },
  { key: 'guard.percent', group: 'changes', control: 'text', hint: 'set.guard.hint', own: false, kinds: keeping },
  { key: 'guard.count', group: 'changes', control: 'text', hint: 'set.guard.hint', own: false, kinds: keeping },
  { key: 'on_error', group: 'changes', control: 'choice', options: ['continue', 'stop'], own: false, kinds: moving },
  { key: 'resend', group: 'delivery', control: 'choice', options: ['never', 'changed'], own: false, kinds: delivering },
  { key: 'retention', group: 'delivery', control: 'text', hint: 'set.duration.hint', own: false, kinds: ['relay'] },
  { key: 'reserve', group: 'delivery', control: 'text', hint: 'set.reserve.hint', own: false, kinds: ['relay'] },
  { key: 'versions.keep', group: 'versions', control: 'text', hint: 'set.duration.hint', own: true, kinds: moving },
  { key: 'versions.max', group: 'versions', control: 'text', hint: 'set.versions.max.hint', own: true, kinds: moving },
  { key: 'limit.up', group: 'limits', control: 'text', hint: 'set.limit.hint', own: true, kinds: moving },
  { key: 'limit.down', group: 'limits', control: 'text', hint: 'set.limit.hint', own: true, kinds: moving },
  { key: 'parallel', group: 'limits', control: 'text', own: true, kinds: delivering },
  { key: 'hook.after_arrival', group: 'hooks', control: 'list', hint: 'set.hook.hint', own: true, kinds: moving },
  { key: 'hook.after_delivery', group: 'hooks', control: 'list', hint: 'set.hook.hint', own: true, kinds: moving },
  { key: 'hook.on_conflict', group: 'hooks', control: 'list', hint: 'set.hook.hint', own: true, kinds: moving },
  { key: 'hook.on_error', group: 'hooks', control: 'list', hint: 'set.hook.hint', own: true },
  { key: 'hook.timeout', group: 'hooks', control: 'text', hint: 'set.duration.hint', own: true },
]

export const settingGroups = ['when', 'what', 'changes', 'delivery', 'versions', 'limits', 'hooks'] as const

/** The values of a key as one text, a line for each. */
export function textOf(settings: Setting[], key: string): string {
  return settings
    .filter(([name, value]) => name === key && value !== '')
    .map(([, value]) => value)
    .join('\n')
}

/** Turns what was typed into pairs; an empty list is one pair with an empty value, which clears it. */
export function pairsOf(field: SettingField, text: string): Setting[] {
  if (field.control !== 'list') return [[field.key, text.trim()]]
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  return lines.length === 0 ? [[field.key, '']] : lines.map((line): Setting => [field.key, line])
}
