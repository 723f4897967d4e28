import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [svelte()],
  define: { __IN_BROWSER__: 'true' },
  resolve: { conditions: ['browser'] },
  test: { include: ['src/**/*.test.ts', 'tests/unit/**/*.test.ts'], environment: 'happy-dom' },
})
