import '@fontsource-variable/hanken-grotesk'
import './styles/tokens.css'
import './styles/base.css'

import { mount } from 'svelte'

import App from './App.svelte'
import type { Backend } from './backend/backend'
import { locale } from './lib/i18n/i18n.svelte'

async function backend(): Promise<Backend> {
  if (__IN_BROWSER__) return (await import('./backend/browser')).choose(location.search)
  return (await import('./backend/tauri')).tauri
}

const target = document.getElementById('app')
if (!target) throw new Error('the page has no element #app')
locale.use(navigator.language)
mount(App, { target, props: { backend: await backend() } })
