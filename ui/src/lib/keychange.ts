// Reads the fingerprints out of what a node says about a changed key: the shown one first, then the pinned one.

const fingerprint = /SHA256:[A-Za-z0-9+/=_-]{20,}/g

export function fingerprintsIn(message: string): { shown: string | null; pinned: string | null } {
  const [shown = null, pinned = null] = message.match(fingerprint) ?? []
  return { shown, pinned }
}
