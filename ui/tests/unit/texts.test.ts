import { parse, type MessageFormatElement, TYPE } from '@formatjs/icu-messageformat-parser'
import { afterEach, describe, expect, test } from 'vitest'

import { bytes, duration, moment, percent, relative, spoken } from '../../src/lib/format'
import { inOurWords } from '../../src/lib/engine'
import { capital } from '../../src/lib/rows'
import { locale, t } from '../../src/lib/i18n/i18n.svelte'
import { de } from '../../src/lib/i18n/messages/de'
import { en } from '../../src/lib/i18n/messages/en'
import { exactly, keyOf, short, split, visible } from '../../src/lib/paths'

afterEach(() => locale.use('en-GB'))

/** The arguments of a message. */
function argumentsOf(text: string): string[] {
  const found = new Set<string>()
  const walk = (elements: MessageFormatElement[]) => {
    for (const element of elements) {
      if (element.type === TYPE.literal || element.type === TYPE.pound) continue
      found.add(element.value)
      if (element.type === TYPE.plural || element.type === TYPE.select) {
        for (const option of Object.values(element.options)) walk(option.value)
      }
    }
  }
  walk(parse(text, { ignoreTag: true }))
  return [...found].sort()
}

test('every German text takes the same arguments as the English one', () => {
  for (const [key, text] of Object.entries(en)) {
    expect(argumentsOf(de[key as keyof typeof en]), key).toEqual(argumentsOf(text))
  }
})

test('plurals follow the language', () => {
  locale.use('en-GB')
  expect(t('common.files', { n: 1 })).toBe('1 file')
  expect(t('common.files', { n: 1204 })).toBe('1,204 files')
  locale.use('de-DE')
  expect(t('common.files', { n: 1 })).toBe('1 Datei')
  expect(t('common.files', { n: 1204 })).toBe('1.204 Dateien')
})

test('an unknown language is shown in English', () => {
  locale.use('xx-not-a-tag-!!')
  expect(t('common.cancel')).toBe('Cancel')
})

test('the pseudo language leaves arguments as they are', () => {
  locale.use('pseudo')
  expect(t('row.open', { name: 'Photos' })).toContain('Öpéñ')
  expect(t('row.open', { name: 'Photos' })).toContain('Photos')
})

describe('what the node says', () => {
  const halt = { code: 'root-emptied', message: 'the folder on nas is empty, but held 9 items before; nothing was deleted anywhere', hint: 'h', plan: 'p1', machine: 'nas', items: 9, of: null }
  test('is left as it is in English', () => {
    locale.use('en-GB')
    expect(inOurWords(halt)).toEqual({ headline: halt.message, detail: null, hint: 'h', foreign: false })
  })
  test('is put into German with its machine and numbers', () => {
    locale.use('de-DE')
    const said = inOurWords(halt)
    expect(said.headline).toBe('Der Ordner auf nas ist leer, enthielt aber 9 Einträge; es wurde nirgends etwas gelöscht.')
    expect(said.hint).toContain('stimmen Sie zu')
    expect(inOurWords({ ...halt, plan: null }).hint).toContain('der dieses Paar führt')
    expect(inOurWords({ ...halt, code: 'root-missing', items: null, plan: null }).hint).toContain('Datenträger')
  })
  test('has a German headline by its code, and keeps its own words below', () => {
    locale.use('de-DE')
    const error = { code: 'folder', message: '/x does not exist; nothing was changed', hint: 'make it first' }
    expect(inOurWords(error)).toEqual({ headline: 'Der Ordner lässt sich nicht verwenden.', detail: error.message, hint: error.hint, foreign: true })
    expect(inOurWords({ code: 'quite-new', message: 'm' })).toEqual({ headline: 'm', detail: null, hint: null, foreign: true })
  })
})

describe('numbers', () => {
  test('sizes are decimal and short', () => {
    locale.use('en-GB')
    expect(bytes(0)).toBe('0 bytes')
    expect(bytes(999)).toBe('999 bytes')
    expect(bytes(999_960)).toBe('1 MB')
    expect(bytes(8_100_000_000)).toBe('8.1 GB')
    locale.use('de-DE')
    expect(bytes(8_100_000_000)).toBe('8,1\u00a0GB')
  })
  test('what is not whole is never called 100 %', () => {
    locale.use('en-GB')
    expect(percent(0.9999)).toBe('99%')
    expect(percent(1)).toBe('100%')
    expect(percent(0.99999, 1)).toBe('99.9%')
  })
  test('times are told in the largest fitting unit', () => {
    locale.use('en-GB')
    expect(duration(25)).toContain('25')
    expect(duration(19 * 86_400)).toBe('19 days')
    const now = Date.parse('2026-11-21T14:05:00Z')
    expect(relative('2026-11-21T11:05:00Z', now)).toBe('3 hours ago')
    expect(relative('nonsense', now)).toBe('')
    expect(moment('nonsense')).toBe('')
  })
})

describe('paths', () => {
  test('what cannot be seen is made visible', () => {
    expect(visible('a\nb')).toBe('a␊b')
    expect(visible('invoice\u202Efdp.exe')).toBe('invoice⟨U+202E⟩fdp.exe')
  })
  test('folder and name are told apart', () => {
    expect(split('a/b/c.txt')).toEqual(['a/b/', 'c.txt'])
    expect(split('c.txt')).toEqual(['', 'c.txt'])
    expect(split('/srv/photos/')).toEqual(['/srv/', 'photos'])
  })
  test('the home directory is short only as a whole name', () => {
    expect(short('/home/ada/x', '/home/ada')).toBe('~/x')
    expect(short('/home/adam/x', '/home/ada')).toBe('/home/adam/x')
  })
  test('odd bytes go back as they came and tell twins apart', () => {
    expect(exactly({ path: 'a�', path_bytes: 'Yf8=' })).toEqual({ path: 'a�', path_bytes: 'Yf8=' })
    expect(keyOf({ path: 'a�', path_bytes: 'Yf8=' })).not.toBe(keyOf({ path: 'a�', path_bytes: 'Yf4=' }))
  })
})

test('a machine keeps its name at the beginning of a sentence', () => {
  const names = ['nas', 'nas-2']
  expect(capital('nas cannot be reached', names)).toBe('nas cannot be reached')
  expect(capital('nas-2: no space', names)).toBe('nas-2: no space')
  expect(capital('nasty weather', names)).toBe('Nasty weather')
  expect(capital('the clock of nas is wrong', names)).toBe('The clock of nas is wrong')
})

test('lengths of time in settings are said in words, what is none stays as it is', () => {
  expect(spoken('30d')).toBe('30 days')
  expect(spoken('10s')).toBe('10 seconds')
  expect(spoken('off')).toBe('off')
})
