// Paths as people read them.

import type { PathText } from '../backend/types'

/** Control characters, and marks that turn the direction of writing: a name must not be able to look like another. */
const invisible = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g

/** Replaces what cannot be seen by visible signs, such as `␊` for a line feed. */
export function visible(text: string): string {
  return text.replace(invisible, (sign) => {
    const code = sign.codePointAt(0) ?? 0
    return code < 0x20 ? String.fromCodePoint(0x2400 + code) : `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`
  })
}

/** Splits into the folder, with its final slash, and the name. */
export function split(path: string): [folder: string, name: string] {
  const trimmed = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  const at = trimmed.lastIndexOf('/')
  return [trimmed.slice(0, at + 1), trimmed.slice(at + 1)]
}

/** Shortens the home directory to `~`. */
export function short(path: string, home: string): string {
  if (home && path === home) return '~'
  return home && path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path
}

/** Sends a path back exactly as it came. */
export function exactly(from: PathText): PathText {
  return from.path_bytes === undefined ? { path: from.path } : { path: from.path, path_bytes: from.path_bytes }
}

/** Key under which a path is told apart from others, also from those that look the same. */
export function keyOf(path: PathText): string {
  return path.path_bytes ?? path.path
}
