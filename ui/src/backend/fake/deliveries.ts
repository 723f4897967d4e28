// A made-up book of deliveries: some under way, some that wait, most done.

import type { LedgerItem, RelationshipStatus } from '../types'
import { ago } from './worlds'

const minute = 60_000

export function someDeliveries(status: RelationshipStatus): LedgerItem[] {
  const origin = status.endpoints[0]?.node ?? 'desk'
  const destination = status.endpoints[1]?.node ?? 'nas'
  const one = (index: number, change: Partial<LedgerItem>): LedgerItem => ({
    id: `d${index}`,
    version: `${index}`.padStart(64, '0'),
    path: `scan-${String(index).padStart(4, '0')}.pdf`,
    origin,
    destination,
    state: 'released',
    reason: null,
    bytes: 2_100_000 + index * 17_000,
    files: 1,
    attempts: 0,
    retry_at: null,
    at_hub: false,
    placed_at: null,
    since: ago(index * 40 * minute),
    delivered_at: null,
    finalised_at: null,
    released_at: null,
    hook_error: null,
    gone: false,
    ...change,
  })
  const all = [
    one(0, { id: '', state: 'settling', reason: 'still changing' }),
    one(1, { state: 'transferring', path: 'contract/' }),
    one(2, { state: 'verifying' }),
    one(3, { state: 'waiting', reason: 'no space at nas: 40 MB are needed, 12 MB are free beside the reserve', path: 'plans-2026.tar' }),
    one(4, { state: 'retrying', reason: 'the connection was lost', attempts: 3, retry_at: ago(-4 * minute) }),
    one(5, { state: 'quarantined', reason: 'the copy is not what desk sent; it is fetched again' }),
    one(6, { state: 'finalised', delivered_at: ago(250 * minute), finalised_at: ago(249 * minute), hook_error: 'after_delivery: exit code 1' }),
    one(7, { delivered_at: ago(290 * minute), finalised_at: ago(289 * minute), released_at: ago(280 * minute), placed_at: 'scan-0007 (2).pdf' }),
    ...Array.from({ length: 40 }, (_, at) => {
      const time = ago((8 + at) * 40 * minute)
      return one(8 + at, { delivered_at: time, finalised_at: time, released_at: time })
    }),
  ]
  return status.state === 'in-sync' ? all.slice(6) : status.problems === 0 ? [...all.slice(0, 3), ...all.slice(6)] : all
}
