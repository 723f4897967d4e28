// Every text of the window in English; the other languages have the same keys, which the compiler checks.

import { common } from './common'
import { detail } from './detail'
import { home } from './home'
import { machines } from './machines'

export const en = { ...common, ...home, ...detail, ...machines } as const
