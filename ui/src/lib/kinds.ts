// The kinds of a relationship as the window shows them; always sign and words together.

import type { Kind } from '../backend/types'

export const kinds: Kind[] = ['two-way', 'mirror', 'manual', 'send-once', 'relay', 'compare']

export const signOf: Record<Kind, string> = {
  'two-way': '⇄',
  mirror: '→',
  manual: '⇢',
  'send-once': '↦',
  relay: '⇄',
  compare: '≟',
}

/** Kinds in which content goes from one end to the other only. */
export function isOneWay(kind: Kind): boolean {
  return kind === 'mirror' || kind === 'send-once'
}
