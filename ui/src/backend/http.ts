// A back end for tests: JSON over HTTP to a bridge in front of a real engine.

import { type Backend, BackendError, type FileText, type FolderSummary } from './backend'
import { fakeShell } from './fake/shell'
import type { Reply, Request } from './requests'
import type { ApiError, Event } from './types'

export function overHttp(base: string, query: URLSearchParams): Backend {
  async function shell<T>(body: object): Promise<T> {
    const response = await fetch(`${base}/shell`, { method: 'POST', body: JSON.stringify(body) })
    const answer = (await response.json()) as T & { failed?: string }
    if (!response.ok) throw new BackendError({ code: 'io', message: answer.failed ?? response.statusText, hint: null })
    return answer
  }
  return {
    async request(request: Request): Promise<Reply> {
      const response = await fetch(`${base}/request`, { method: 'POST', body: JSON.stringify(request) })
      const answer: unknown = await response.json()
      if (!response.ok) throw new BackendError(answer as ApiError)
      return answer as Reply
    },
    subscribe(tell: (event: Event) => void) {
      const source = new EventSource(`${base}/events`)
      source.onmessage = (message) => tell(JSON.parse(String(message.data)) as Event)
      return Promise.resolve(() => source.close())
    },
    shell: {
      ...fakeShell(query),
      readText: (relationship, what) => shell<FileText>({ name: 'read-text', relationship, what }),
      scanFolder: (path) => shell<FolderSummary>({ name: 'scan-folder', path }),
    },
  }
}
