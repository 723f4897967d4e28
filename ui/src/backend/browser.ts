// Which back end a page in an ordinary browser has: `?scenario=NAME` a made-up world, `?bridge=URL` a real engine.

import type { Backend } from './backend'
import { fake } from './fake/fake'
import { overHttp } from './http'

export function choose(search: string): Backend {
  const query = new URLSearchParams(search)
  const bridge = query.get('bridge')
  return bridge ? overHttp(bridge, query) : fake(query)
}
