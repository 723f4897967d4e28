// Our types say more than the generated ones (which words a state can be); here the compiler checks that they agree.

import type * as node from './generated/api'
import type { Replies, Request } from './requests'
import type * as ours from './types'

type Fits<Ours extends Theirs, Theirs> = Ours

/** What no node answers yet. */
type Ahead = 'nearby' | 'config-set' | 'resolve-merged'
type KnownRequest = Exclude<Request, { request: Ahead }>
type KnownReplies = Omit<Replies, Ahead>
type Known = { [N in keyof KnownReplies]: { reply: N; data: KnownReplies[N] } }

export type Agreement = [
  Fits<KnownRequest, node.Request>,
  Fits<Known[keyof Omit<Known, 'done'>], node.Reply>,
  Fits<ours.Event, node.Event>,
  Fits<ours.ApiError, node.ApiError>,
  Fits<ours.Status, node.Status>,
]
