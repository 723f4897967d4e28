/** Whether this build is meant for an ordinary browser (tests), not for the desktop shell. */
declare const __IN_BROWSER__: boolean
