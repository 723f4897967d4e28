import type { en } from '../en'
import { common } from './common'
import { detail } from './detail'
import { home } from './home'
import { machines } from './machines'

export const de: Record<keyof typeof en, string> = { ...common, ...home, ...detail, ...machines }
