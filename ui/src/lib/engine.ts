// The node speaks English. In other languages a headline of ours says by its code what is the matter, and the sentence of
// the node, with its paths and numbers, follows as it is; what the node holds is said wholly in our words.

import type { HaltInfo } from '../backend/types'

import { hasMessage, locale, t } from './i18n/i18n.svelte'

/** Something that a node says: an error, or why it holds a relationship. */
export interface Spoken {
  code: string
  message: string
  hint?: string | null
}

export interface Said {
  /** What is the matter. */
  headline: string
  /** The sentence of the node, where the headline is not that. */
  detail: string | null
  hint: string | null
  /** Whether detail and hint are English although everything around them is not. */
  foreign: boolean
}

/** Says what a node said, in the language of the user. */
export function inOurWords(spoken: Spoken | HaltInfo): Said {
  const hint = spoken.hint ?? null
  if (locale.language === 'en') return { headline: spoken.message, detail: null, hint, foreign: false }
  const halt = isHalt(spoken) ? haltInOurWords(spoken) : null
  if (halt) return halt
  const key = `engine.${spoken.code}`
  if (!hasMessage(key)) return { headline: spoken.message, detail: null, hint, foreign: true }
  return { headline: t(key), detail: spoken.message, hint, foreign: true }
}

function isHalt(spoken: Spoken | HaltInfo): spoken is HaltInfo {
  return 'machine' in spoken
}

function haltInOurWords(halt: HaltInfo): Said | null {
  const key = `engine.halt.${halt.code}`
  if (!halt.machine || !hasMessage(key)) return null
  const headline = t(key, { machine: halt.machine, items: halt.items ?? 0, of: halt.of ?? 0 })
  const next = halt.items === null ? `engine.next.${halt.code}` : halt.plan ? 'engine.next.approve' : 'engine.next.restore'
  return { headline, detail: null, hint: hasMessage(next) ? t(next) : null, foreign: false }
}
