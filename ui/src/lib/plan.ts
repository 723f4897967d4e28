// A plan as people read it: what is dangerous first, then folder by folder.

import type { ChangeInfo, PlanInfo } from '../backend/types'
import { keyOf } from './paths'

/** Acts, the most consequential first. */
const order: ChangeInfo['act'][] = ['delete', 'replace', 'conflict-copy', 'create', 'metadata']

/** Plans with up to so many changes are shown one by one. */
const fewEnough = 12

export interface Folder {
  /** Name of the folder at the top, with its final slash. */
  name: string
  /** How many files of which act, the most consequential first. */
  acts: [act: ChangeInfo['act'], files: number][]
  files: number
  bytes: number
  changes: ChangeInfo[]
}

export type PlanLine =
  | { type: 'folder'; key: string; folder: Folder; open: boolean }
  | { type: 'change'; key: string; change: ChangeInfo; inside: boolean }

const rank = (act: ChangeInfo['act']) => order.indexOf(act)
const worst = (folder: Folder) => (folder.acts[0] ? rank(folder.acts[0][0]) : order.length)

/** Lines of a plan: few changes one by one, many below the folders at the top. */
export function planLines(changes: ChangeInfo[], isOpen: (folder: string) => boolean): PlanLine[] {
  const sorted = [...changes].sort((a, b) => rank(a.act) - rank(b.act))
  if (changes.length <= fewEnough) return sorted.map((change) => line(change, false))
  const folders = new Map<string, ChangeInfo[]>()
  const alone: ChangeInfo[] = []
  for (const change of sorted) {
    const slash = change.path.indexOf('/')
    if (slash < 0) alone.push(change)
    else {
      const name = change.path.slice(0, slash + 1)
      const inside = folders.get(name)
      if (inside) inside.push(change)
      else folders.set(name, [change])
    }
  }
  // One folder alone would only hide what the plan is about.
  if (folders.size === 1 && alone.length === 0) return sorted.map((change) => line(change, false))
  const groups = [...folders].map(([name, inside]) => folderOf(name, inside))
  groups.sort((a, b) => worst(a) - worst(b) || b.bytes - a.bytes)
  return [
    ...groups.flatMap((folder): PlanLine[] => {
      const open = isOpen(folder.name)
      const own: PlanLine = { type: 'folder', key: `/${folder.name}`, folder, open }
      return open ? [own, ...folder.changes.map((change) => line(change, true))] : [own]
    }),
    ...alone.map((change) => line(change, false)),
  ]
}

function line(change: ChangeInfo, inside: boolean): PlanLine {
  return { type: 'change', key: `${change.node}/${change.act}/${keyOf(change)}`, change, inside }
}

function folderOf(name: string, changes: ChangeInfo[]): Folder {
  const acts = new Map<ChangeInfo['act'], number>()
  for (const change of changes) acts.set(change.act, (acts.get(change.act) ?? 0) + Math.max(1, change.files))
  return {
    name,
    acts: [...acts].sort((a, b) => rank(a[0]) - rank(b[0])),
    files: changes.reduce((sum, change) => sum + Math.max(1, change.files), 0),
    bytes: changes.reduce((sum, change) => sum + change.bytes, 0),
    changes,
  }
}

/** How many files the plan holds beyond those that it lists. */
export function beyond(plan: Pick<PlanInfo, 'here' | 'there' | 'changes'>): number {
  const counted: ChangeInfo['act'][] = ['create', 'replace', 'delete']
  const listed = plan.changes.filter((one) => counted.includes(one.act)).reduce((sum, one) => sum + one.files, 0)
  const all = [plan.here, plan.there].reduce((sum, side) => sum + side.new + side.replaced + side.deleted, 0)
  return Math.max(0, all - listed)
}
