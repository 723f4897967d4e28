import type { Browser, Page } from 'playwright-core'

export const here: string
export const present: number
export type Watched = Page & { problems: string[] }
export interface How {
  theme?: 'light' | 'dark'
  width?: number
  height?: number
  /** Without motion. */
  still?: boolean
  /** With the real time, for a real engine. */
  real?: boolean
}
export interface Where {
  query?: string
  route?: string
}
export function serve(): Promise<{ url: string; stop: () => void }>
export function launch(): Promise<Browser>
export function newPage(browser: Browser, how?: How): Promise<Watched>
export function go(page: Page, url: string, where?: Where): Promise<void>
export function open(browser: Browser, url: string, options?: How & Where): Promise<Watched>
