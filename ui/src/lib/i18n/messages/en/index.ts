// Every text of the window in English; the other languages have the same keys, which the compiler checks.

import { common } from './common'
import { detail } from './detail'
import { home } from './home'
import { machines } from './machines'
import { settings } from './settings'
import { wizard } from './wizard'

export const en = { ...common, ...home, ...detail, ...machines, ...settings, ...wizard } as const
