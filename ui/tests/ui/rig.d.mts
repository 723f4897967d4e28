import type { Browser, Page } from 'playwright-core'

export const here: string
export const present: number
export function serve(): Promise<{ url: string; stop: () => void }>
export function launch(): Promise<Browser>
export function open(
  browser: Browser,
  url: string,
  options?: {
    query?: string
    route?: string
    theme?: 'light' | 'dark'
    width?: number
    height?: number
    /** Without motion. */
    still?: boolean
    /** With the real time, for a real engine. */
    real?: boolean
  },
): Promise<Page & { problems: string[] }>
