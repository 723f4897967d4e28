// Every page in every state that is looked at, as data: name, world, address, and what is done before looking.

import type { Page } from 'playwright-core'

export interface Look {
  name: string
  query: string
  route: string
  /** What is done first. */
  before?: (page: Page) => Promise<void>
  /** Words that must be there. */
  says?: string[]
}

const photos = '/relationships/Photos/now'
const press = (key: string) => (page: Page) => page.keyboard.press(key)
const click = (name: string | RegExp) => (page: Page) => page.getByRole('button', { name }).first().click()

async function wizardTo(page: Page, step: 'kind' | 'preview') {
  await page.getByLabel('Folder on this machine').fill('/home/ada/Photos')
  await page.getByRole('radio', { name: /^nas/ }).check()
  await page.getByLabel('Folder on nas').fill('/srv/photos')
  await page.getByLabel('Name', { exact: true }).fill('Holiday')
  await page.getByRole('button', { name: 'Next' }).click()
  if (step === 'preview') {
    await page.getByRole('button', { name: 'Next' }).click()
    await page.getByText('Nothing is written before').waitFor()
    await page.getByText('Nothing is left out.').first().waitFor()
  }
}

function hostTo(step: 'where' | 'kind' | 'key') {
  return async (page: Page) => {
    await page.getByLabel('Folder on this machine').fill('/home/ada/Photos')
    await page.getByRole('radio', { name: /only SSH/ }).check()
    await page.getByLabel('Folder on the server').fill('ssh://ada@nas.local/srv/photos')
    if (step === 'where') return
    await page.getByRole('button', { name: 'Next' }).click()
    if (step === 'kind') return
    await page.getByRole('button', { name: 'Next' }).click()
    await page.getByRole('button', { name: 'Start' }).click()
  }
}

async function enterCode(page: Page) {
  await page.getByLabel('Code from the other machine').fill('7-copper-heron')
  await page.getByRole('button', { name: 'Next' }).click()
}

export const looks: Look[] = [
  { name: 'home-mixed', query: 'scenario=mixed', route: '/relationships', says: ['2 things need you.', '2 conflicts', 'Up to date'] },
  { name: 'home-german', query: 'scenario=mixed&locale=de', route: '/relationships', says: ['2 Dinge warten auf Sie.', 'Auf gleichem Stand'] },
  { name: 'home-pseudo', query: 'scenario=mixed&locale=pseudo', route: '/relationships' },
  { name: 'home-rtl', query: 'scenario=mixed&locale=pseudo-rtl', route: '/relationships' },
  { name: 'now-syncing-rtl', query: 'scenario=syncing&locale=pseudo-rtl', route: photos },
  { name: 'drift-rtl', query: 'scenario=drift&locale=pseudo-rtl', route: '/relationships/Site/drift' },
  { name: 'conflicts-rtl', query: 'scenario=conflicts&locale=pseudo-rtl', route: '/relationships/Code/conflicts' },
  { name: 'history-rtl', query: 'scenario=mixed&locale=pseudo-rtl', route: '/history' },
  { name: 'keys-rtl', query: 'scenario=mixed&locale=pseudo-rtl', route: '/settings/general', before: press('?') },
  { name: 'home-empty', query: 'scenario=empty', route: '/relationships', says: ['New relationship', 'Join with a code'] },
  { name: 'home-in-sync', query: 'scenario=in-sync', route: '/relationships', says: ['Everything is even.'] },
  { name: 'home-syncing', query: 'scenario=syncing', route: '/relationships', says: ['about 25'] },
  { name: 'home-scanning', query: 'scenario=scanning', route: '/relationships', says: ['412,000 items'] },
  { name: 'home-held', query: 'scenario=held', route: '/relationships', says: ['Would delete 812 of 900 items on nas'] },
  { name: 'home-offline', query: 'scenario=offline', route: '/relationships', says: ['41 changes wait here.'] },
  { name: 'home-paused', query: 'scenario=paused', route: '/relationships', says: ['Resume all'] },
  { name: 'home-key-changed', query: 'scenario=key-changed', route: '/relationships', says: ['another key'] },
  { name: 'home-disk-full', query: 'scenario=disk-full', route: '/relationships', says: ['needs 8.1 GB'] },
  { name: 'home-million', query: 'scenario=million', route: '/relationships', says: ['1,000,000 paths'] },
  { name: 'home-waiting', query: 'scenario=waiting', route: '/relationships', says: ['No other machine has joined yet.'] },
  { name: 'home-dead', query: 'scenario=dead', route: '/relationships', says: ['does not answer'] },
  { name: 'home-pause-menu', query: 'scenario=mixed', route: '/relationships', before: click('Pause all') },
  { name: 'palette', query: 'scenario=mixed', route: '/relationships', before: press('Control+k') },
  { name: 'keys', query: 'scenario=mixed', route: '/relationships', before: press('?') },
  { name: 'now-in-sync', query: 'scenario=in-sync', route: photos, says: ['Even on both machines.'] },
  { name: 'now-syncing', query: 'scenario=syncing', route: photos, says: ['Catching up', 'regatta.mov'] },
  { name: 'now-scanning', query: 'scenario=scanning', route: photos, says: ['Looking at both sides'] },
  { name: 'now-held', query: 'scenario=held', route: photos, says: ['Held: nothing happens before you have looked.'] },
  { name: 'now-review', query: 'scenario=held', route: photos, before: click('Review…'), says: ['Delete 812 files on nas', 'Keep the files, change nothing'] },
  { name: 'now-offline', query: 'scenario=offline', route: photos, says: ['nas cannot be reached.', 'nothing is treated as deleted'] },
  { name: 'now-paused', query: 'scenario=paused', route: photos, says: ['12 changes wait here.'] },
  { name: 'now-key-changed', query: 'scenario=key-changed', route: photos, says: ['nas shows another key than before', 'SHA256:'] },
  { name: 'now-missing', query: 'scenario=disk-full', route: photos, says: ['Stopped, to be safe.'] },
  { name: 'now-disk-full', query: 'scenario=disk-full', route: '/relationships/Backup/now', says: ['1.2 GB are free'] },
  { name: 'now-problems', query: 'scenario=problems', route: photos, says: ['3 paths cannot be kept even.'] },
  { name: 'now-waiting', query: 'scenario=waiting', route: photos, says: ['Waiting for another machine.', '4-lantern-otter', 'evenfold join 4-lantern-otter'] },
  { name: 'now-conflict', query: 'scenario=conflicts', route: '/relationships/Code/now', says: ['14 files were changed on two machines.'] },
  { name: 'now-manual', query: 'scenario=manual', route: '/relationships/Notes/now', says: ['Fetch', '7 paths differ.'] },
  { name: 'now-manual-sent', query: 'scenario=manual', route: '/relationships/Notes/now', before: click('Send'), says: ['Notes: 7 changes sent.'] },
  { name: 'home-hub', query: 'scenario=hub', route: '/relationships', says: ['35% · 61.4 MB/s · about 1 minute left', 'Needs you'] },
  { name: 'now-hub', query: 'scenario=hub', route: photos, says: ['2.3 GB of 6.4 GB', 'to laptop', 'from nas', 'connected through nas', 'may only read', 'away, last seen'] },
  { name: 'now-hub-even', query: 'scenario=hub', route: '/relationships/Papers/now', says: ['Even on all 3 machines.'] },
  { name: 'now-hub-held', query: 'scenario=hub', route: '/relationships/Mail/now', says: ['Held until somebody has looked on another machine.', 'decide on laptop'] },
  { name: 'now-host', query: 'scenario=host', route: '/relationships/Notes/now', says: ['server with SSH', 'connected over SFTP', 'There is no program'] },
  { name: 'now-host-evenfold', query: 'scenario=host', route: '/relationships/Website/now', says: ['connected over SSH', 'Evenfold 0.1.0 there'] },
  { name: 'now-warning', query: 'scenario=warnings', route: photos, says: ['what was synced stays synced', 'Needs you'] },
  { name: 'now-warning-busy', query: 'scenario=warnings', route: '/relationships/Code/now', says: ['2 files were changed', '42 s behind', 'Catching up'] },
  { name: 'needs-you-warnings', query: 'scenario=warnings', route: '/needs-you', says: ['goes on, but needs a look'] },
  { name: 'machines-ways', query: 'scenario=hub', route: '/machines', says: ['Connected through nas', 'Version 0.1.0'] },
  { name: 'machines-clock', query: 'scenario=warnings', route: '/machines', says: ['Its clock is 42 seconds behind this machine’s.'] },
  { name: 'now-gone', query: 'scenario=in-sync', route: '/relationships/nothing/now', says: ['not here any more'] },
  { name: 'relationship-settings', query: 'scenario=in-sync', route: '/relationships/Photos/settings', says: ['What takes part'] },
  {
    name: 'relationship-settings-hub',
    query: 'scenario=waiting',
    route: '/relationships/Photos/settings',
    before: (page) => page.getByRole('button', { name: 'Leave out .git/' }).click(),
    says: ['files are left out', '1 change not saved'],
  },
  {
    name: 'relationship-settings-edited',
    query: 'scenario=in-sync',
    route: '/relationships/Photos/settings',
    before: (page) => page.getByLabel('Send at most').fill('2MB/s'),
    says: ['1 change not saved'],
  },
  { name: 'home-deliveries', query: 'scenario=deliveries', route: '/relationships', says: ['3 deliveries need a look'] },
  { name: 'now-deliveries-stuck', query: 'scenario=deliveries', route: '/relationships/Scans/now', says: ['3 deliveries need a look.', 'Not delivered yet'] },
  { name: 'now-deliveries-moving', query: 'scenario=deliveries', route: '/relationships/Invoices/now', says: ['3 deliveries are under way.'] },
  { name: 'now-deliveries-done', query: 'scenario=deliveries', route: '/relationships/Films/now', says: ['Everything is delivered.'] },
  { name: 'deliveries', query: 'scenario=deliveries', route: '/relationships/Scans/deliveries', says: ['Travelling', 'no space', 'next try'] },
  { name: 'deliveries-waiting', query: 'scenario=deliveries', route: '/relationships/Scans/deliveries', before: (page) => page.locator('label', { hasText: /Waiting \d/ }).click(), says: ['no space'] },
  { name: 'relationship-remove', query: 'scenario=in-sync', route: '/relationships/Photos/settings', before: click('Remove…'), says: ['Remove Photos?'] },
  { name: 'new-where', query: 'scenario=in-sync', route: '/new', before: (page) => page.getByRole('radio', { name: /^nas/ }).check(), says: ['Folder on nas'] },
  { name: 'new-first', query: 'scenario=empty', route: '/new', says: ['Another machine with Evenfold'] },
  {
    name: 'new-share',
    query: 'scenario=empty',
    route: '/new',
    async before(page) {
      await page.getByLabel('Folder on this machine').fill('/home/ada/Photos')
      await page.getByRole('button', { name: 'Next' }).click()
      await page.getByRole('button', { name: 'Next' }).click()
    },
    says: ['1,204 files, 8.1 GB', 'Share and show the code'],
  },
  { name: 'new-host', query: 'scenario=empty', route: '/new', before: hostTo('where'), says: ['Folder on the server'] },
  { name: 'new-host-kind', query: 'scenario=empty', route: '/new', before: hostTo('kind'), says: ['Mirror'] },
  { name: 'new-host-key', query: 'scenario=empty', route: '/new', before: hostTo('key'), says: ['Is this the key of the server?', 'SHA256:'] },
  { name: 'new-missing', query: 'scenario=in-sync', route: '/new', before: click('Next'), says: ['Choose a folder.'] },
  { name: 'new-kind', query: 'scenario=in-sync', route: '/new', before: (page) => wizardTo(page, 'kind'), says: ['Compare only'] },
  { name: 'new-preview', query: 'scenario=in-sync', route: '/new', before: (page) => wizardTo(page, 'preview'), says: ['Add 1,204 files on nas', 'Start'] },
  { name: 'new-preview-older', query: 'scenario=in-sync&older', route: '/new', before: (page) => wizardTo(page, 'preview'), says: ['deletes nothing'] },
  { name: 'join', query: 'scenario=empty', route: '/join', says: ['Only needed if'] },
  { name: 'join-check', query: 'scenario=empty', route: '/join', before: enterCode, says: ['Do both screens show this?', '7K4M-2QXD'] },
  {
    name: 'join-folder',
    query: 'scenario=empty',
    route: '/join',
    async before(page) {
      await enterCode(page)
      await page.getByRole('button', { name: 'Yes, the same' }).click()
    },
    says: ['Photos, shared by attic'],
  },
  {
    name: 'join-preview',
    query: 'scenario=empty',
    route: '/join',
    async before(page) {
      await enterCode(page)
      await page.getByRole('button', { name: 'Yes, the same' }).click()
      await page.getByLabel('Folder on this machine').fill('/home/ada/Photos')
      await page.getByRole('button', { name: 'Next' }).click()
    },
    says: ['Add 1,204 files on'],
  },
  {
    name: 'join-peer',
    query: 'scenario=in-sync',
    route: '/join',
    async before(page) {
      await page.getByText('From a paired machine').click()
      await page.getByLabel('Machine', { exact: true }).selectOption('nas')
    },
    says: ['Films'],
  },
  { name: 'pair-code', query: 'scenario=in-sync', route: '/machines/pair', says: ['4-lantern-otter'] },
  {
    name: 'pair-check',
    query: 'scenario=in-sync',
    route: '/machines/pair',
    async before(page) {
      await page.getByText('Enter a code', { exact: true }).click()
      await page.getByLabel('Code from the other machine').fill('7-copper-heron')
      await page.getByLabel('Its address').fill('192.168.1.44:22722')
      await page.getByRole('button', { name: 'Pair', exact: true }).click()
    },
    says: ['7K4M-2QXD', 'Do both screens show this?'],
  },
  {
    name: 'pair-key',
    query: 'scenario=in-sync',
    route: '/machines/pair',
    before: (page) => page.getByText('By fingerprint').click(),
    says: ['Fingerprint of the other machine', 'SHA256:'],
  },
  { name: 'pair-nearby', query: 'scenario=in-sync', route: '/machines/pair', before: (page) => page.getByText('Nearby').click(), says: ['attic'] },
  { name: 'machines', query: 'scenario=mixed', route: '/machines', says: ['nas', 'SHA256:'] },
  { name: 'machines-empty', query: 'scenario=empty', route: '/machines', says: ['No machine is paired yet'] },
  {
    name: 'machines-revoke',
    query: 'scenario=mixed',
    route: '/machines',
    async before(page) {
      await page.getByRole('button', { name: 'Actions for nas' }).click()
      await page.getByRole('menuitem', { name: 'Revoke its key…' }).click()
    },
    says: ['Revoke the key of nas?', 'Photos, Backup and Scans'],
  },
  { name: 'drift', query: 'scenario=drift', route: '/relationships/Site/drift', says: ['identical', '812 paths differ', 'Only on prod', 'The last 30 days'] },
  { name: 'drift-older', query: 'scenario=drift&older', route: '/relationships/Site/drift', says: ['96.9% identical'] },
  { name: 'drift-files', query: 'scenario=drift', route: '/relationships/Site/drift', before: (page) => page.getByText('Files', { exact: true }).click(), says: ['only on prod'] },
  { name: 'drift-level', query: 'scenario=drift', route: '/relationships/Site/drift', before: click('Open assets'), says: ['video'] },
  { name: 'drift-filtered', query: 'scenario=drift', route: '/relationships/Site/drift', before: click(/^Changed on both/), says: ['changed on desk and on prod'] },
  { name: 'drift-none', query: 'scenario=in-sync', route: '/relationships/Photos/drift' },
  { name: 'drift-offline', query: 'scenario=offline', route: '/relationships/Photos/drift', says: ['Unknown since 11:05'] },
  { name: 'drift-turn', query: 'scenario=drift', route: '/relationships/Site/drift', before: click('Turn into a sync…'), says: ['Mirror: desk becomes the master'] },
  { name: 'drift-german', query: 'scenario=drift&locale=de', route: '/relationships/Site/drift', says: ['identisch', 'Nur auf prod'] },
  { name: 'conflicts', query: 'scenario=conflicts', route: '/relationships/Code/conflicts', says: ['newest', 'Keep desk’s', 'off by 42 seconds', '1 of 14'] },
  { name: 'conflicts-image', query: 'scenario=conflicts', route: '/relationships/Code/conflicts?id=c4', says: ['4 of 14'] },
  { name: 'conflicts-binary', query: 'scenario=conflicts', route: '/relationships/Code/conflicts?id=c6', says: ['cannot be shown'] },
  { name: 'conflicts-many', query: 'scenario=conflicts', route: '/relationships/Code/conflicts', before: async (page) => void (await page.getByLabel('Apply to').selectOption('all')), says: ['Keep the newest of each', 'Keep both in all 14'] },
  { name: 'conflicts-decided', query: 'scenario=conflicts', route: '/relationships/Code/conflicts', before: press('1'), says: ['desk’s version stays', 'Undo', '1 of 13'] },
  { name: 'conflicts-merge', query: 'scenario=conflicts', route: '/relationships/Code/conflicts', before: click('Merge…'), says: ['Keep the merged text'] },
  { name: 'conflicts-none', query: 'scenario=in-sync', route: '/relationships/Photos/conflicts', says: ['No conflicts'] },
  { name: 'home-errors-german', query: 'scenario=disk-full&locale=de', route: '/relationships', says: ['fehlt; es wurde nirgends etwas geändert'] },
  { name: 'conflicts-german', query: 'scenario=conflicts&locale=de', route: '/relationships/Code/conflicts', says: ['Die von desk behalten'] },
  { name: 'changes-million', query: 'scenario=million', route: '/relationships/Photos/changes', says: ['989,690 changes travel by themselves'] },
  { name: 'changes-why', query: 'scenario=million', route: '/relationships/Photos/changes', before: (page) => page.getByRole('option').nth(1).click(), says: ['Mend its permissions'] },
  {
    name: 'changes-end',
    query: 'scenario=million',
    route: '/relationships/Photos/changes',
    async before(page) {
      await page.getByRole('listbox').focus()
      await page.keyboard.press('End')
    },
    says: ['harbour-999999'],
  },
  { name: 'changes-none', query: 'scenario=in-sync', route: '/relationships/Photos/changes', says: ['Nothing is waiting'] },
  { name: 'changes-offline', query: 'scenario=offline', route: '/relationships/Photos/changes', says: ['Unknown since 11:05'] },
  { name: 'changes-older', query: 'scenario=drift&older', route: '/relationships/Site/changes', says: ['only compared'] },
  { name: 'history', query: 'scenario=mixed', route: '/history', says: ['2 changed'] },
  { name: 'history-us', query: 'scenario=mixed&locale=en-US', route: '/history', says: ['02:05 PM'] },
  { name: 'history-of-one', query: 'scenario=mixed', route: '/relationships/Code/history', before: (page) => page.locator('button.batch').first().click(), says: ['report.txt'] },
  { name: 'history-nothing-fits', query: 'scenario=mixed', route: '/history?search=zebra', says: ['Nothing fits'] },
  { name: 'history-empty', query: 'scenario=scanning', route: '/history', says: ['Nothing has happened yet'] },
  { name: 'history-german', query: 'scenario=mixed&locale=de', route: '/history', says: ['Verlauf', '2 geändert'] },
  { name: 'versions', query: 'scenario=mixed', route: '/relationships/Code/history?path=docs/report.txt', says: ['kept because it was replaced', 'Restore this version'] },
  {
    name: 'restore-folder',
    query: 'scenario=mixed',
    route: '/relationships/Code/history',
    async before(page) {
      await page.getByRole('button', { name: 'Restore a folder…' }).click()
      await page.getByRole('button', { name: 'Show what would happen' }).click()
      await page.getByText('would be brought back').first().waitFor()
    },
    says: ['Restore 5 paths'],
  },
  { name: 'needs-you', query: 'scenario=mixed', route: '/needs-you', says: ['2 files were changed'] },
  { name: 'needs-you-errors', query: 'scenario=disk-full', route: '/needs-you', says: ['stopped'] },
  { name: 'needs-you-none', query: 'scenario=in-sync', route: '/needs-you', says: ['Nothing needs you'] },
  ...['general', 'appearance', 'notifications', 'network', 'ignore', 'versions', 'advanced', 'about'].map((page) => ({
    name: `settings-${page}`,
    query: 'scenario=mixed',
    route: `/settings/${page}`,
  })),
  {
    name: 'settings-network-edited',
    query: 'scenario=mixed',
    route: '/settings/network',
    before: (page) => page.getByLabel('Name of this machine').fill('study'),
    says: ['Holds from the next start'],
  },
  { name: 'settings-german', query: 'scenario=mixed&locale=de', route: '/settings/general', says: ['Evenfold beim Anmelden starten'] },
]
