// Short messages about what the user just did. At most three: more would hide the window, and nothing that needs a
// person lives here only.

import type { BackendError } from '../backend/backend'

export interface Toast {
  id: number
  text: string
  hint: string | null
  tone: 'ok' | 'error'
  action: { label: string; run: () => void } | null
}

const most = 3
const lifetime = 8000

export class Toasts {
  all = $state.raw<Toast[]>([])
  #next = 1

  say(text: string, action: Toast['action'] = null): void {
    this.#add({ text, hint: null, tone: 'ok', action })
  }

  error(error: BackendError): void {
    this.#add({ text: error.message, hint: error.hint, tone: 'error', action: null })
  }

  dismiss(id: number): void {
    this.all = this.all.filter((toast) => toast.id !== id)
  }

  #add(toast: Omit<Toast, 'id'>): void {
    const id = this.#next++
    this.all = [...this.all, { ...toast, id }].slice(-most)
    // An error stays until it was read.
    if (toast.tone === 'ok') setTimeout(() => this.dismiss(id), lifetime)
  }
}
