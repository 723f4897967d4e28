import type { en } from '../en'
import { common } from './common'
import { conflicts } from './conflicts'
import { detail } from './detail'
import { drift } from './drift'
import { engine } from './engine'
import { history } from './history'
import { home } from './home'
import { machines } from './machines'
import { settings } from './settings'
import { wizard } from './wizard'

export const de: Record<keyof typeof en, string> = { ...common, ...home, ...detail, ...machines, ...settings, ...wizard, ...drift, ...conflicts, ...history, ...engine }
