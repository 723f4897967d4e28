// The pages of a relationship. Each gets the relationship's status and reads what else it needs.

import type { Component } from 'svelte'

import type { RelationshipStatus } from '../../backend/types'
import type { Tab } from '../../state/router.svelte'
import Changes from './Changes.svelte'
import Conflicts from './Conflicts.svelte'
import Deliveries from './Deliveries.svelte'
import Drift from './Drift.svelte'
import History from './History.svelte'
import Now from './Now.svelte'
import Settings from './Settings.svelte'

export type TabPage = Component<{ status: RelationshipStatus }>

export const pages: Partial<Record<Tab, TabPage>> = {
  now: Now,
  deliveries: Deliveries,
  settings: Settings,
  changes: Changes,
  conflicts: Conflicts,
  drift: Drift,
  history: History,
}
