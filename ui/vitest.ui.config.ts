import { defineConfig } from 'vitest/config'

// Drives the built window in a real browser. One browser at a time: screenshots must not compete for the processor.
export default defineConfig({
  test: {
    include: ['tests/ui/**/*.test.ts'],
    environment: 'node',
    fileParallelism: false,
    // As many pages at once; each keeps about one core busy.
    maxConcurrency: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
