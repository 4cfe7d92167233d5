import assert from 'node:assert/strict';
import type { Browser } from 'playwright-core';
import { findChromium, PortalPage, startChromium } from '../support/browser';
import { appendRecord } from '../../vault/trail/trail';
import { createFaultStore, createHold, type FaultStore } from '../support/fault-store';
import { HOME_TOKEN, readImage } from '../support/home';
import { MARKUP, type PortalHome, startPortalHome } from '../support/portal-home';
import { assertDiskIs } from '../support/restores';

/** Script, style and everything else that the first view needs. */
const BUDGET_BYTES = 300 * 1024;

describe('the portal in a browser', function () {
  // How long it takes says something of the machine and nothing of the portal.
  this.timeout(600_000);
  let browser: Browser;
  let faults: FaultStore;
  let home: PortalHome;
  let portal: PortalPage;

  before(async function () {
    const program = findChromium();
    if (program === null) {
      console.log('      skipped: no Chromium was found (apt-get install chromium, or name one in CHROMIUM), so the portal was not looked at in a browser');
      return this.skip();
    }
    home = await startPortalHome({ wrapStore: (store) => (faults = createFaultStore(store)) });
    browser = await startChromium(program);
  });
  after(async () => {
    await browser?.close();
    await home?.dispose();
  });
  beforeEach(async () => { portal = await open(); });
  afterEach(async () => {
    await portal?.close();
    portal.assertUntroubled();
  });

  const open = async (options: { width?: number; theme?: 'light' | 'dark' } = {}): Promise<PortalPage> => {
    const opened = await PortalPage.open(browser, home.host.url, { nowMs: home.clock.now(), ...options });
    await opened.signIn(HOME_TOKEN);
    return opened;
  };

  const views = (): Readonly<Record<string, string>> => ({
    overview: '#/', items: '#/items', item: `#/items/${home.web.itemId}`, 'recovery point': `#/recovery-points/${home.web.recoveryPoints[1] ?? ''}`, 'a recovery point in the bin': `#/recovery-points/${home.web.recoveryPoints[0] ?? ''}`,
    restore: `#/restore/${home.web.recoveryPoints[2] ?? ''}`, jobs: '#/jobs', 'failed job': `#/jobs/${home.failed}`, policies: '#/policies', policy: '#/policies/nightly', 'new policy': '#/policies/new',
    vault: '#/vault', servers: '#/servers', approvals: '#/approvals', audit: '#/audit',
  });

  for (const theme of ['light', 'dark'] as const) {
    it(`is accessible in every view, ${theme}, wide and on a phone, without an error in the console`, async () => {
      await portal.close();
      portal = await open({ theme });
      for (const [name, hash] of Object.entries(views())) {
        await portal.show(hash);
        assert.equal(await portal.evaluate('document.documentElement.dataset.theme'), theme);
        await portal.assertAccessible(`${name}, ${theme}`);
        await portal.page.setViewportSize({ width: 390, height: 800 });
        await portal.assertFits(`${name} on a phone`);
        if (theme === 'light') await portal.assertAccessible(`${name} on a phone`);
        await portal.page.setViewportSize({ width: 1280, height: 900 });
      }
    });
  }

  it('transfers less than 300 KiB for the first view, and nothing from elsewhere', async () => {
    const fresh = await PortalPage.open(browser, home.host.url, { nowMs: home.clock.now() });
    const sizes: Promise<readonly [string, number]>[] = [];
    fresh.page.on('requestfinished', (request) => sizes.push(request.sizes().then(({ responseBodySize, responseHeadersSize }) => [request.url(), responseBodySize + responseHeadersSize] as const)));
    await fresh.signIn(HOME_TOKEN);
    const transferred = await Promise.all(sizes);
    await fresh.close();
    assert.ok(transferred.length >= 4, JSON.stringify(transferred));
    for (const [address] of transferred) assert.ok(address.startsWith(`${home.host.url}/`), `${address} is not of the app`);
    const sum = transferred.reduce((total, [, bytes]) => total + bytes, 0);
    assert.ok(sum > 10_000 && sum < BUDGET_BYTES, `${sum} bytes: ${JSON.stringify(transferred)}`);
  });

  it('shows names, tags and labels with markup in them as text (threat 15)', async () => {
    await portal.show(`#/items/${home.web.itemId}`);
    await portal.says(`note=${MARKUP}`);
    await portal.show(`#/recovery-points/${home.web.recoveryPoints[1] ?? ''}`);
    await portal.says('case 7');
    await portal.show('#/policies');
    await portal.says(`Every night ${MARKUP}`);
    await portal.show(`#/items?q=${encodeURIComponent(MARKUP)}`);
    portal.expected.add(404);
    await portal.show(`#/items/${encodeURIComponent(MARKUP)}`);
    await portal.says(/There is no item/);
    assert.equal(await portal.page.locator('main img, main script').count(), 0);
  });

  it('lets nothing run that stands in the page, whoever puts it there (threat 15)', async () => {
    const outcome = await portal.evaluate<string>(`(() => {
      try { document.querySelector('main').innerHTML = '<b>made out of text</b>'; return 'markup was made out of text'; } catch (error) { return error.name; }
    })()`);
    assert.equal(outcome, 'TypeError', 'Trusted Types refuse markup that is made out of text');
    await portal.evaluate(`(() => {
      const script = document.createElement('script');
      script.append('window.ran = true');
      document.body.append(script);
      const button = document.createElement('button');
      button.setAttribute('onclick', 'window.ran = true');
      document.body.append(button);
      button.click();
    })()`).catch(() => undefined);
    assert.equal(await portal.evaluate('window.ran === undefined'), true, 'nothing inline ran');
    assert.ok(portal.troubles.length > 0 && portal.troubles.every((line) => /Content Security Policy|Trusted|TrustedScript/i.test(line)), portal.troubles.join('\n'));
    portal.troubles.length = 0;
  });

  it('backs an item up now, shows how far it is, and what it came to', async () => {
    const atCommit = createHold();
    faults.plan({ operation: 'create', matching: /^recovery-points\//, fault: { kind: 'hold', hold: atCommit } });
    await portal.show('#/items');
    await portal.button('Back up now: db01').click();
    await portal.link('Show').first().click();
    await portal.page.waitForURL(/#\/jobs\/backup\./);
    const id = decodeURIComponent(portal.page.url().split('#/jobs/')[1] ?? '');
    await portal.says('Cancel …');
    const ended = home.host.waitFor(id, { until: 'finished' });
    await atCommit.reached;
    await portal.page.locator('[aria-current="step"]', { hasText: 'Commit' }).waitFor();
    await portal.page.getByRole('progressbar').waitFor();
    atCommit.release();
    await ended;
    await portal.page.locator('.badge', { hasText: 'Succeeded' }).waitFor();
    const { recoveryPoint } = await home.job(id);
    await portal.link(recoveryPoint ?? '').click();
    await portal.settled(`#/recovery-points/${recoveryPoint ?? ''}`);
    assert.match(await portal.text(), /Not proved by itself/, 'what was not read back is not called good');
  });

  it('tells the whole story of a failure: what it means, what happened, and what to do', async () => {
    await portal.show('#/jobs?state=failed');
    await portal.page.getByRole('row', { name: /lab/ }).getByRole('link', { name: 'Backup' }).click();
    await portal.settled(`#/jobs/${home.failed}`);
    const { error } = await home.job(home.failed);
    const told = await portal.page.getByRole('alert').innerText();
    for (const part of [error?.code, error?.cause, error?.message, error?.remedy]) assert.ok(part !== undefined && told.includes(part), `${part ?? ''} in ${told}`);
  });

  it('restores a disk: what, where, a preview of what would be made, and progress', async () => {
    const point = home.web.recoveryPoints[2] ?? '';
    await portal.show(`#/restore/${point}`);
    await portal.page.getByRole('radio', { name: /A new disk/ }).check();
    await portal.page.getByRole('radio', { name: /web01_data/ }).check();
    await portal.button('Next: where').click();
    await portal.page.getByLabel('Name of the new disk').fill('not a name');
    portal.expected.add(400);
    await portal.button('Preview').click();
    await portal.page.getByRole('alert').getByText('REQUEST_INVALID', { exact: true }).waitFor();
    await portal.page.getByLabel('Name of the new disk').fill('web01-data-back');
    await portal.button('Preview').click();
    await portal.says('What this would do');
    assert.match(await portal.text(), /web01-data-back/);
    await portal.button(/^Restore$/).click();
    await portal.page.waitForURL(/#\/jobs\/restore\./);
    const id = decodeURIComponent(portal.page.url().split('#/jobs/')[1] ?? '');
    await home.host.waitFor(id, { until: 'finished' });
    await portal.says('What was restored');
    await portal.says(/\/disks\/web01-data-back$/);
    const { restored } = (await home.json(`/api/jobs/${id}`)).body as { restored: { made: string[] } };
    await assertDiskIs(home, restored.made[0] ?? '', await readImage(home, 'web01', 'data'));
  });

  it('edits a policy: shows the next runs, what a year would keep and cost, and asks before anything is lost', async () => {
    await portal.show('#/policies/nightly');
    await portal.says('2026-11-24 01:00 UTC');
    await portal.says('What would be kept over the next year');
    await portal.says('Cost a month');
    await portal.page.getByLabel('Times of day (UTC)').fill('04:30');
    await portal.says('2026-11-24 04:30 UTC');
    portal.expected.add(400);
    await portal.page.getByLabel('Times of day (UTC)').fill('25:00');
    await portal.page.getByRole('alert').getByText('POLICY_INVALID', { exact: true }).waitFor();
    await portal.page.getByLabel('Times of day (UTC)').fill('04:30');
    await portal.page.getByLabel('All of so many days').fill('1');
    await portal.settled();
    portal.expected.add(409);
    await portal.button('Store').click();
    const dialog = portal.page.getByRole('dialog');
    await dialog.getByText('This keeps less than before').waitFor();
    await portal.assertAccessible('the dialog that asks');
    const confirm = dialog.getByRole('button', { name: 'Store it all the same' });
    assert.equal(await confirm.isDisabled(), true, 'not before the name is typed');
    await dialog.getByRole('textbox').fill('nightly');
    await confirm.click();
    await portal.settled('#/policies');
    await portal.says('daily at 04:30');
    const { body } = await home.json('/api/policies/nightly');
    assert.equal((body as { retention: { keepWithinDays: number } }).retention.keepWithinDays, 1);
  });

  it('deletes a recovery point into the bin, and takes it out again', async () => {
    const point = home.web.recoveryPoints[2] ?? '';
    await portal.show(`#/recovery-points/${point}`);
    await portal.button(/^Delete …/).click();
    const dialog = portal.page.getByRole('dialog');
    await dialog.getByText('Delete this recovery point?').waitFor();
    await portal.page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    assert.equal(await portal.evaluate('document.activeElement.textContent'), 'Delete …', 'the focus is back where it was');
    await portal.button(/^Delete …/).click();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await portal.says('In the bin');
    assert.equal(((await home.json(`/api/recovery-points/${point}`)).body as { state: string }).state, 'binned');
    await portal.button('Undelete').click();
    await portal.button(/^Delete …/).waitFor();
    assert.equal(((await home.json(`/api/recovery-points/${point}`)).body as { state: string }).state, 'live');
  });

  it('releases a hold only after its label was typed', async () => {
    await portal.show(`#/recovery-points/${home.web.recoveryPoints[1] ?? ''}`);
    await portal.button('Release …').click();
    const release = portal.page.getByRole('dialog').getByRole('button', { name: 'Release' });
    assert.equal(await release.isDisabled(), true);
    await portal.page.getByRole('dialog').getByRole('textbox').fill('case 7');
    await release.click();
    await portal.page.getByRole('heading', { name: 'Legal holds' }).waitFor({ state: 'detached' });
    const { body } = await home.json(`/api/recovery-points/${home.web.recoveryPoints[1] ?? ''}`);
    assert.equal((body as { held: boolean }).held, false);
  });

  it('finds items by name and tag, keeps the filter in the address, and says how many there are', async () => {
    await portal.show('#/items');
    await portal.page.getByRole('combobox', { name: 'Tag' }).selectOption('env=prod');
    await portal.says('2 of 4 items');
    await portal.page.getByRole('searchbox', { name: 'Search' }).fill('web');
    await portal.says('1 of 4 items');
    assert.match(portal.page.url(), /#\/items\?q=web&tag=env%3Dprod$/);
    await portal.page.reload();
    await portal.settled();
    await portal.says('1 of 4 items');
    await portal.page.getByRole('searchbox', { name: 'Search' }).fill('nobody');
    await portal.button('Show all of them').click();
    await portal.says('4 items');
  });

  it('goes back through the audit trail, further than the first page', async () => {
    const who = { id: 'ada', name: 'ada@example.com', kind: 'user' as const, roles: ['Admin' as const], verified: true };
    for (let number = 0; number < 120; number++) await appendRecord(home.vault, { who, from: null, action: 'policy.put', target: `old-${number}`, outcome: 'done' });
    await portal.show('#/audit?who=ada');
    await portal.says('old-119');
    const rows = portal.page.locator('tbody tr');
    assert.equal(await rows.count(), 100);
    await portal.button('Load older records').click();
    await portal.says('old-0');
    assert.equal(await rows.count(), 120);
  });

  it('protects a machine that no policy covers', async () => {
    await portal.show('#/items?state=unprotected');
    await portal.button('Protect …: bare01').click();
    const dialog = portal.page.getByRole('dialog');
    await dialog.getByLabel('Policy').selectOption('lab');
    await dialog.getByRole('button', { name: 'Protect' }).click();
    await dialog.waitFor({ state: 'hidden' });
    const { body } = await home.json('/api/items/bare01');
    assert.deepEqual((body as { policies: string[] }).policies, ['lab']);
  });

  it('is used by the keyboard alone: past the navigation, to a view, and its title is read first', async () => {
    await portal.page.reload();
    await portal.settled();
    await portal.page.keyboard.press('Tab');
    assert.equal(await portal.evaluate('document.activeElement.textContent'), 'Skip to the content');
    await portal.page.keyboard.press('Enter');
    assert.equal(await portal.evaluate('document.activeElement.id'), 'main');
    await portal.link('Items').first().focus();
    await portal.page.keyboard.press('Enter');
    await portal.settled('#/items');
    assert.equal(await portal.evaluate('document.activeElement.textContent'), 'Items');
    assert.equal(await portal.page.title(), 'Items · Holdfast');
  });

  it('remembers the theme that was chosen', async () => {
    await portal.button('Dark theme').click();
    assert.equal(await portal.evaluate('document.documentElement.dataset.theme'), 'dark');
    await portal.page.reload();
    await portal.settled();
    assert.equal(await portal.evaluate('document.documentElement.dataset.theme'), 'dark');
    await portal.button('Light theme').click();
  });

  it('asks one question for all that is shown, seldom in the background, less and less often when nobody answers, and says how old what it shows is', async () => {
    const asked: string[] = [];
    const answers: Promise<unknown>[] = [];
    let isDown = false;
    portal.page.on('request', (request) => answers.push(request.response().then((response) => response?.finished(), () => undefined)));
    await portal.page.route('**/api/**', async (route) => {
      asked.push(new URL(route.request().url()).pathname);
      await (isDown ? route.abort() : route.fallback());
    });
    await portal.show('#/items');
    await portal.page.clock.pauseAt(home.clock.now() + 3_600_000);
    /** How often something is asked for in so much time of the page. */
    const during = async (seconds: number): Promise<readonly string[]> => {
      asked.length = 0;
      for (let second = 0; second < seconds; second++) {
        await portal.page.clock.runFor(1_000);
        await Promise.all(answers.splice(0));
        await portal.evaluate('0');
      }
      return [...asked];
    };
    await during(20);
    const visible = await during(60);
    const ofItems = visible.filter((path) => path === '/api/items').length;
    assert.ok(ofItems >= 3 && ofItems <= 5, `items: ${ofItems} times in a minute`);
    const ofCaller = visible.filter((path) => path === '/api/me').length;
    assert.ok(ofCaller <= 1, `who is calling, which each row wants to know: ${ofCaller} times in a minute`);
    await portal.evaluate(`Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true }); document.dispatchEvent(new Event('visibilitychange'))`);
    const hidden = await during(60);
    assert.ok(hidden.length * 3 <= visible.length && visible.length > 0, `${hidden.length} questions of a hidden page, ${visible.length} of one that is seen`);
    await portal.evaluate(`Object.defineProperty(document, 'visibilityState', { value: 'visible', configurable: true }); document.dispatchEvent(new Event('visibilitychange'))`);
    await during(2);
    isDown = true;
    const down = await during(240);
    assert.ok(down.filter((path) => path === '/api/items').length < 240 / 15, 'less often than while it answered');
    await portal.page.getByText('The app cannot be reached').waitFor();
    assert.match(await portal.text(), /What is shown is as of 2026-11-23 \d\d:\d\d UTC/);
    assert.match(await portal.text(), /web01/, 'what is known is still there');
    portal.troubles.splice(0, Infinity, ...portal.troubles.filter((line) => !line.includes('net::ERR_FAILED')));
    isDown = false;
    await during(130);
    await portal.page.getByText('The app cannot be reached').waitFor({ state: 'detached' });
  });
});
