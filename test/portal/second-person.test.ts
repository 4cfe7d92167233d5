import assert from 'node:assert/strict';
import type { Browser } from 'playwright-core';
import { findChromium, PortalPage, startChromium } from '../support/browser';
import { addVm, halfDisk, HOME_START_MS, type Home, startHome } from '../support/home';
import { Issuer } from '../support/issuer';

const FOREVER = { exp: Math.floor(HOME_START_MS / 1000) + 10 * 365 * 86_400 };

describe('the portal and who looks at it', function () {
  this.timeout(600_000);
  let browser: Browser;
  let issuer: Issuer;
  let home: Home;
  let point = '';
  const opened: PortalPage[] = [];

  before(async function () {
    const program = findChromium();
    if (program === null) {
      console.log('      skipped: no Chromium was found (apt-get install chromium, or name one in CHROMIUM), so approvals were not looked at in a browser');
      return this.skip();
    }
    issuer = await Issuer.start(() => HOME_START_MS);
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), { access: { kind: 'bearer', entra: issuer.settings }, token: await token('ada', 1, 'Admin'), host: { port: 0 } });
    for (let round = 0; round < 2; round++) point = (await home.backUp('web01')).recoveryPoint ?? '';
    browser = await startChromium(program);
  });
  after(async () => {
    await browser?.close();
    await home?.dispose();
    await issuer?.close();
  });
  afterEach(async () => {
    for (const page of opened.splice(0)) {
      await page.close();
      page.assertUntroubled();
    }
  });

  const token = (name: string, number: number, role: string): Promise<string> =>
    issuer.token([role], { claims: { ...FOREVER, oid: `00000000-0000-4000-8000-00000000000${number}`, preferred_username: `${name}@example.com` } });

  async function as(name: string, number: number, role: string): Promise<PortalPage> {
    const page = await PortalPage.open(browser, home.host.url, { nowMs: home.clock.now() });
    opened.push(page);
    await page.signIn(await token(name, number, role));
    return page;
  }

  it('has a second person agree before a recovery point is deleted', async () => {
    const ada = await as('ada', 1, 'Admin');
    await ada.show('#/approvals');
    await ada.page.getByRole('checkbox', { name: 'Delete a recovery point' }).check();
    await ada.button('Store the rules').click();
    await ada.says('1 action, delay none');
    await ada.show(`#/recovery-points/${point}`);
    await ada.button(/^Delete …/).click();
    await ada.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await ada.page.getByText('It waits for the approval of a second person.').waitFor();
    assert.equal(((await home.json(`/api/recovery-points/${point}`)).body as { state: string }).state, 'live', 'nothing is done yet');
    await ada.show('#/approvals');
    await ada.says('Somebody else has to agree');
    assert.equal(await ada.button(/^Approve/).count(), 0, 'who asked cannot agree');

    const bob = await as('bob', 2, 'Admin');
    await bob.show('#/approvals');
    await bob.assertAccessible('approvals');
    await bob.button(/^Approve/).click();
    await bob.page.getByText('You agreed.').waitFor();
    const [{ id } = { id: '' }] = ((await home.json('/api/approvals')).body as { value: { id: string }[] }).value;
    for (let state = ''; state !== 'done'; state = ((await home.json(`/api/approvals/${id}`)).body as { state: string }).state) await home.host.advanceTo(home.clock.now() + 1_000);
    await bob.page.locator('.badge', { hasText: 'Done' }).waitFor();
    await bob.show(`#/recovery-points/${point}`);
    await bob.says('In the bin');
    await bob.show('#/audit?action=approval');
    await bob.says('approval.approve');
  });

  it('offers a reader nothing that the app would refuse', async () => {
    const ron = await as('ron', 3, 'Reader');
    await ron.show('#/items');
    await ron.page.getByText('ron@example.com').waitFor();
    assert.equal(await ron.button(/Back up now|Protect/).count(), 0);
    await ron.show('#/vault');
    assert.equal(await ron.button(/Prove|Maintain/).count(), 0);
  });

  it('asks who is not signed in to do so, and shows nothing of the vault', async () => {
    const nobody = await PortalPage.open(browser, home.host.url, { nowMs: home.clock.now() });
    opened.push(nobody);
    nobody.expected.add(401);
    await nobody.page.goto(`${nobody.url}/#/items`);
    await nobody.page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await nobody.assertAccessible('sign-in');
    assert.doesNotMatch(await nobody.page.locator('body').innerText(), /web01/);
    await nobody.page.getByLabel('Token').fill('no token');
    await nobody.button('Sign in').click();
    await nobody.page.getByText('UNAUTHENTICATED', { exact: true }).waitFor();
    await nobody.page.getByLabel('Token').fill(await token('ron', 3, 'Reader'));
    await nobody.button('Sign in').click();
    await nobody.settled('#/items');
    await nobody.says('web01');
    assert.doesNotMatch(await nobody.evaluate<string>('location.href'), /eyJ/, 'the token does not stay in the address');
  });
});
