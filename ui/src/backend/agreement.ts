// Our types say more than the generated ones (which words a state can be); here the compiler checks that they agree.

import type * as node from './generated/api'
import type { MessageKey } from '../lib/i18n/i18n.svelte'
import type { Replies, Request } from './requests'
import type * as ours from './types'

type Fits<Ours extends Theirs, Theirs> = Ours

type Known = { [N in keyof Replies]: { reply: N; data: Replies[N] } }

export type Agreement = [
  Fits<Request, node.Request>,
  Fits<Known[keyof Omit<Known, 'done'>], node.Reply>,
  Fits<ours.Event, node.Event>,
  Fits<ours.ApiError, node.ApiError>,
  Fits<ours.Status, node.Status>,
  // Every error has a headline.
  Fits<`engine.${node.ErrorCode}`, MessageKey>,
]
