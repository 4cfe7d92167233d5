// `npm run portal:screenshots`: pictures of every view, light and dark, into docs/portal/. Days of backups are lived through in the app's own virtual time first.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { findChromium, PortalPage, startChromium } from '../support/browser';
import { addVm, halfDisk, HOME_TOKEN, type Home, noise, startHome, writeDisk } from '../support/home';
import { withPalette } from '../support/png';

/** Compiled, this file lies in dist/test/portal/. */
const TARGET = path.resolve(__dirname, '../../../docs/portal');
const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 10, 17, 9);
const DAYS = 6;
const SIZE = { width: 1180, height: 740 };
const PHONE = { width: 390, height: 740 };

/** Machines with the bytes that change on them in a day. */
const MACHINES: Readonly<Record<string, { readonly tags: Readonly<Record<string, string>>; readonly mebibytes: number; readonly changedBytes: number }>> = {
  web01: { tags: { env: 'prod', app: 'shop' }, mebibytes: 4, changedBytes: 300_000 }, web02: { tags: { env: 'prod', app: 'shop' }, mebibytes: 4, changedBytes: 260_000 },
  sql01: { tags: { env: 'prod', app: 'erp' }, mebibytes: 6, changedBytes: 900_000 }, files01: { tags: { env: 'prod', app: 'files' }, mebibytes: 4, changedBytes: 500_000 },
  build01: { tags: { env: 'lab' }, mebibytes: 4, changedBytes: 100_000 },
};

async function main(): Promise<void> {
  const program = findChromium();
  if (program === null) throw new Error('No Chromium was found: apt-get install chromium, or name one in CHROMIUM');
  const home = await startHome(async (folder) => {
    for (const [seed, [name, { tags, mebibytes }]] of Object.entries(MACHINES).entries()) await addVm(folder, name, { os: halfDisk(mebibytes, seed + 1) }, { tags });
  }, {
    startMs: START_MS, host: { port: 0 }, schedulerCron: '0 0 1,13 * * *', housekeeping: { maintainCron: '0 17 4 * * *' }, scrubs: { cron: '0 47 5 * * *', days: 3 },
  });
  const browser = await startChromium(program);
  try {
    const { failed, sql } = await liveThrough(home);
    await rm(TARGET, { recursive: true, force: true });
    await mkdir(TARGET, { recursive: true });
    const points = (await home.points()).filter(({ itemId }) => itemId === sql);
    const newest = points.at(-1)?.id ?? '';
    const views: Readonly<Record<string, string>> = {
      overview: '#/', items: '#/items', item: `#/items/${sql}`, 'recovery-point': `#/recovery-points/${newest}`, restore: `#/restore/${newest}`, jobs: '#/jobs', 'failed-job': `#/jobs/${failed}`,
      policies: '#/policies', policy: '#/policies/nightly', vault: '#/vault', servers: '#/servers', approvals: '#/approvals', audit: '#/audit',
    };
    for (const theme of ['light', 'dark'] as const) {
      const page = await PortalPage.open(browser, home.host.url, { nowMs: home.clock.now(), theme, ...SIZE });
      await page.signIn(HOME_TOKEN);
      for (const [name, hash] of Object.entries(views)) {
        await page.show(hash);
        await writeFile(path.join(TARGET, `${name}-${theme}.png`), withPalette(await page.page.screenshot()));
      }
      await page.close();
    }
    const phone = await PortalPage.open(browser, home.host.url, { nowMs: home.clock.now(), ...PHONE });
    await phone.signIn(HOME_TOKEN);
    await writeFile(path.join(TARGET, 'phone.png'), withPalette(await phone.page.screenshot()));
    await phone.close();
  } finally {
    await browser.close();
    await home.dispose();
  }
}

/** Days with a policy that backs up every night, changes every day, and a failure on the last. */
async function liveThrough(home: Home): Promise<{ failed: string; sql: string }> {
  const send = async (method: string, address: string, body: object): Promise<void> => {
    const { status, text } = await home.json(address, { method, body: JSON.stringify(body) });
    if (status >= 300) throw new Error(`${method} ${address}: ${status} ${text}`);
  };
  await send('PUT', '/api/policies/nightly', {
    description: 'Production, every night', schedule: { daily: { at: ['01:00'] } }, items: { tags: { env: 'prod' } }, consistency: 'crash', retention: { keepLast: 3, keepWithinDays: 14, daily: { count: 30 }, weekly: { count: 8 }, monthly: { count: 12 } },
  });
  await send('PUT', '/api/policies/sql-noon', { description: 'Between the nights', schedule: { daily: { at: ['13:00'] } }, items: { tags: { app: 'erp' } }, consistency: 'crash', retention: { keepWithinDays: 3 } });
  for (let day = 1; day <= DAYS; day++) {
    for (const [seed, [name, { changedBytes, mebibytes }]] of Object.entries(MACHINES).entries()) {
      // Quieter at weekends, and never at the same place.
      const weekday = new Date(START_MS + day * DAY_MS).getUTCDay();
      const bytes = Math.round(changedBytes * (weekday === 0 || weekday === 6 ? 0.2 : 0.6 + ((day * (seed + 3)) % 7) / 8));
      await writeDisk(home, name, 'os', noise(bytes, day * 100 + seed), ((day * 7_919_041) % (mebibytes * 524_288 - bytes > 0 ? mebibytes * 524_288 - bytes : 1)));
    }
    await home.host.advanceTo(START_MS + day * DAY_MS);
  }
  await send('PUT', '/api/policies/lab', { description: 'Leaves every disk out', enabled: false, schedule: { weekly: { days: ['sunday'], at: ['03:00'] } }, items: { tags: { env: 'lab' } }, excludeDisks: [{ lun: 'os' }] });
  const job = await home.backUp('build01', { policy: 'lab' });
  const sql = (await home.points()).find(({ source }) => source.name === 'sql01')?.itemId ?? '';
  return { failed: job.id, sql };
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
