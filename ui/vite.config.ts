import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vite'

// Two builds: the default one talks to the desktop shell; mode `browser` runs in an ordinary browser with the fake
// or, through a bridge, with a real engine. `__IN_BROWSER__` is a constant, so neither carries the other's back ends.
export default defineConfig(({ mode }) => ({
  plugins: [svelte()],
  base: './',
  define: { __IN_BROWSER__: JSON.stringify(mode === 'browser') },
  build: {
    target: 'es2022',
    // Assets as data: URLs would need a looser content security policy for fonts.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 900,
  },
  server: { port: 5173, strictPort: true, fs: { allow: ['..'] } },
}))
