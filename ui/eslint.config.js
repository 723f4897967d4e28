import svelte from 'eslint-plugin-svelte'
import globals from 'globals'
import ts from 'typescript-eslint'

import svelteConfig from './svelte.config.js'

export default ts.config(
  { ignores: ['dist/', 'dist-browser/', 'node_modules/', 'test-results/', 'src/backend/generated/'] },
  ...ts.configs.recommended,
  ...svelte.configs['flat/recommended'],
  { languageOptions: { globals: { ...globals.browser, ...globals.node } } },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser, extraFileExtensions: ['.svelte'], svelteConfig } },
    rules: { 'svelte/no-navigation-without-resolve': 'off' },
  },
  {
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'no-console': 'error',
      // svelte-check itself reports an ignore that is not needed.
      'svelte/no-unused-svelte-ignore': 'off',
      // State is replaced, never changed in place: plain collections are right.
      'svelte/prefer-svelte-reactivity': 'off',
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
    },
  },
  // Texts and made-up worlds are long lists, not logic.
  { files: ['src/lib/i18n/messages/**', 'src/backend/fake/**', 'tests/**'], rules: { 'max-lines': 'off', 'no-console': 'off' } },
)
