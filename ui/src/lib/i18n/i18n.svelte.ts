// Texts in the language of the user: whole sentences with plurals, in ICU MessageFormat.

import { IntlMessageFormat } from 'intl-messageformat'

import { de } from './messages/de'
import { en } from './messages/en'

export type MessageKey = keyof typeof en
export type Values = Record<string, string | number>

/** Languages that are complete; `pseudo` shows which texts are not translatable and which places are too narrow. */
export type Language = 'en' | 'de' | 'pseudo'

/** `pseudo`, written from right to left: shows what does not turn with it. */
const mirrored = 'pseudo-rtl'

const catalogues: Record<Exclude<Language, 'pseudo'>, Record<MessageKey, string>> = { en, de }

class Locale {
  language = $state<Language>('en')
  /** BCP 47 tag with which numbers and times are written. */
  tag = $state('en')

  /** Chooses the language that fits a BCP 47 tag best. */
  use(tag: string): void {
    this.language = languageOf(tag)
    this.tag = this.language === 'pseudo' ? 'en' : isValidTag(tag) ? tag : 'en'
    formats.clear()
    document.documentElement.lang = this.tag
    document.documentElement.dir = tag === mirrored ? 'rtl' : 'ltr'
  }
}

export const locale = new Locale()

function languageOf(tag: string): Language {
  if (tag === 'pseudo' || tag === mirrored) return 'pseudo'
  return tag.toLowerCase().startsWith('de') ? 'de' : 'en'
}

function isValidTag(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length === 1
  } catch {
    return false
  }
}

// Parsed once each: a list of a thousand rows asks for the same few messages again and again.
const formats = new Map<MessageKey, IntlMessageFormat>()

function formatOf(key: MessageKey, language: Language, tag: string): IntlMessageFormat {
  let format = formats.get(key)
  if (!format) {
    const catalogue = catalogues[language === 'pseudo' ? 'en' : language]
    format = new IntlMessageFormat(catalogue[key], tag, undefined, { ignoreTag: true })
    formats.set(key, format)
  }
  return format
}

/** Returns a text in the present language. */
export function t(key: MessageKey, values?: Values): string {
  const { language, tag } = locale
  const format = formatOf(key, language, tag)
  if (language !== 'pseudo') return String(format.format(values))
  // Arguments are names and numbers of the user's: they stay as they are.
  const marked = Object.entries(values ?? {}).map(([name, value]) => [
    name,
    typeof value === 'string' ? mark + value + mark : value,
  ])
  return String(format.format(Object.fromEntries(marked) as Values))
    .split(mark)
    .map((part, index) => (index % 2 === 0 ? pseudo(part) : part))
    .join('')
}

/** An invisible sign that stands in no text. */
const mark = '\u2063'

/** Tells whether a code that came from a node has a text. */
export function hasMessage(key: string): key is MessageKey {
  return key in en
}

const accents: Record<string, string> = {
  a: 'á', b: 'ƀ', c: 'ç', d: 'ð', e: 'é', g: 'ĝ', h: 'ĥ', i: 'í', k: 'ķ', l: 'ļ', n: 'ñ', o: 'ö', r: 'ŕ', s: 'š', t: 'ţ', u: 'ú',
  w: 'ŵ', y: 'ý', z: 'ž', A: 'Å', C: 'Ç', D: 'Ð', E: 'É', N: 'Ñ', O: 'Ö', P: 'Þ', R: 'Ŕ', S: 'Š', T: 'Ţ', U: 'Û',
}

/** Accents a text and makes it a third longer, as German often is. */
function pseudo(text: string): string {
  const accented = [...text].map((letter) => accents[letter] ?? letter).join('')
  const letters = [...text].filter((letter) => /\p{L}/u.test(letter)).length
  return letters > 3 ? accented + '~'.repeat(Math.ceil(letters / 3)) : accented
}
