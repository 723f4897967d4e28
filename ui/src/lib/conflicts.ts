// Conflicts: which version is newest, which others could be decided alike.

import type { ConflictInfo, ConflictVersion, PeerInfo } from '../backend/types'
import { split } from './paths'

/** Clocks further apart than this make "newest" a guess. */
export const trusted = 5

/** Index of the newest version; null where times are missing or equal. */
export function newest(versions: ConflictVersion[]): number | null {
  let best: number | null = null
  let time = -Infinity
  let tie = false
  for (const [index, version] of versions.entries()) {
    const at = version.mtime === null ? NaN : Date.parse(version.mtime)
    if (Number.isNaN(at)) return null
    tie = at === time ? true : at > time ? false : tie
    if (at > time) {
      best = index
      time = at
    }
  }
  return tie ? null : best
}

export function folderOf(conflict: ConflictInfo): string {
  return split(conflict.path)[0].replace(/\/$/, '')
}

export type Scope = 'this' | 'folder' | 'all'

/** The conflicts that a choice is for; the one that is shown always first. */
export function scoped(all: ConflictInfo[], current: ConflictInfo, scope: Scope): ConflictInfo[] {
  const folder = folderOf(current)
  const others = all.filter((one) => {
    if (one.id === current.id || one.relationship !== current.relationship || scope === 'this') return false
    return scope === 'all' || folder === '' || one.path.startsWith(`${folder}/`)
  })
  return [current, ...others]
}

/** What a decision keeps in one conflict: a machine's version, both, or null where it has no such version. */
export function keepIn(conflict: ConflictInfo, choice: { machine: string } | 'both' | 'newest'): string | null {
  if (choice === 'both') return 'both'
  if (choice === 'newest') {
    const index = newest(conflict.versions)
    return index === null ? null : (conflict.versions[index]?.node ?? null)
  }
  return conflict.versions.some((version) => version.node === choice.machine) ? choice.machine : null
}

/**
 * Whether a decision can be taken back here: conflict copies stand beside the path on this machine, and what goes
 * becomes a version of it.
 */
export function canUndo(conflict: ConflictInfo, keep: string): boolean {
  const paths = new Set(conflict.versions.map((version) => version.path))
  return keep !== 'both' && paths.size === conflict.versions.length
}

/** Machines of a conflict whose clock is further off than can be trusted, with by how many seconds. */
export function wrongClocks(conflict: ConflictInfo, peers: PeerInfo[]): { node: string; seconds: number }[] {
  return conflict.versions.flatMap((version) => {
    const offset = peers.find((peer) => peer.name === version.node)?.clock_offset_seconds ?? 0
    return Math.abs(offset) > trusted ? [{ node: version.node, seconds: Math.abs(offset) }] : []
  })
}
