import assert from 'node:assert/strict';
import { routes } from '../../functions/routes';
import { MAINTAIN_INSTANCE_ID } from '../../orchestrations/names';
import { recordsForwards } from '../../vault/trail/read-trail';
import { trailName, type TrailRecord } from '../../vault/trail/record';
import { verifyTrail } from '../../vault/trail/verify-trail';
import { createFaultStore, type FaultStore } from '../support/fault-store';
import { addVm, halfDisk, type Home, HOME_TOKEN, startHome } from '../support/home';

/** One call of each route with an action; what comes of it does not matter, but that it is in the trail. */
const CALLS: Readonly<Record<string, { readonly path: string; readonly body?: object }>> = {
  startBackup: { path: 'items/web01/backups', body: {} },
  deleteRecoveryPoint: { path: 'recovery-points/web01.20260101T000000Z' },
  undeleteRecoveryPoint: { path: 'recovery-points/web01.20260101T000000Z/undelete' },
  holdRecoveryPoint: { path: 'recovery-points/web01.20260101T000000Z/holds', body: { label: 'case 7' } },
  releaseRecoveryPoint: { path: 'recovery-points/web01.20260101T000000Z/holds?label=x' },
  applyRetention: { path: 'items/web01/retention', body: {} },
  startRestore: { path: 'recovery-points/web01.20260101T000000Z/restores', body: { target: { kind: 'disk', name: 'back' } } },
  startExport: { path: 'recovery-points/web01.20260101T000000Z/exports', body: {} },
  cancelJob: { path: 'jobs/backup.web01.20260101T000000Z/cancel' },
  cancelRestore: { path: 'restores/none/cancel' },
  protectItem: { path: 'items/web01/policies/p' },
  unprotectItem: { path: 'items/web01/policies/none' },
  putPolicy: { path: 'policies/p', body: { schedule: { daily: { at: ['02:00'] } }, items: { all: true }, retention: { keepLast: 2 } } },
  deletePolicy: { path: 'policies/none' },
  putPrices: { path: 'prices' },
  putNotifications: { path: 'notifications', body: { targets: [] } },
  testNotification: { path: 'notifications/test', body: { target: 'none' } },
  startScrub: { path: 'vault/scrubs', body: {} },
  cancelScrub: { path: 'vault/scrubs/scrub.20260101T000000Z/cancel' },
  startMaintenance: { path: 'vault/maintenance', body: { dryRun: false } },
  approveApproval: { path: 'approvals/nothing/approve' },
  rejectApproval: { path: 'approvals/nothing/reject' },
  cancelApproval: { path: 'approvals/nothing/cancel' },
  putApprovalRules: { path: 'approval-rules', body: { actions: [] } },
  startSweep: { path: 'vault/sweeps', body: { dryRun: false } },
};
/** POST because what they are asked is large; they change nothing. */
const ASK_ONLY: readonly string[] = ['previewPolicy', 'forecastPolicy', 'testVaultKeys'];

interface Page { readonly value: readonly TrailRecord[]; readonly nextLink: string | null }

describe('the audit trail of the app', () => {
  let home: Home;
  let faults: FaultStore;
  beforeEach(async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), {
      schedulerCron: '0 0 0 1 1 *', wrapStore: (store) => { faults = createFaultStore(store); return faults; },
    });
  });
  afterEach(() => home.dispose());

  const trail = async (): Promise<TrailRecord[]> => {
    const records: TrailRecord[] = [];
    for await (const { record } of recordsForwards(home.vault)) if (record) records.push(record);
    return records;
  };
  const send = (id: string, method: string): Promise<{ status: number; text: string }> => {
    const { path, body } = CALLS[id] as (typeof CALLS)[string];
    return home.json(`/api/${path}`, { method, ...(body && { body: JSON.stringify(body) }) });
  };
  const page = async (query: string): Promise<Page> => {
    const { status, body, text } = await home.json(`/api/audit${query}`);
    assert.equal(status, 200, text);
    return body as Page;
  };

  it('threat 14: every route that changes something or takes data out leaves a record, before anything is done and after', async () => {
    const prices = JSON.parse((await home.json('/api/prices')).text) as Record<string, unknown>;
    delete prices['revision'];
    for (const route of routes) {
      if (route.action === undefined) {
        assert.ok(route.method === 'GET' || ASK_ONLY.includes(route.id), `${route.id} is a ${route.method} without an action: does it change nothing?`);
        continue;
      }
      assert.ok(CALLS[route.id], `${route.id} has an action: add a call of it here`);
      const before = (await trail()).length;
      const { status, text } = route.id === 'putPrices' ? await home.json('/api/prices', { method: 'PUT', body: JSON.stringify(prices) }) : await send(route.id, route.method);
      const own = (await trail()).slice(before).filter(({ action, who }) => action === route.action && who.kind !== 'holdfast');
      assert.deepEqual(own.map(({ outcome, begun }) => [outcome, begun]), [['begun', null], [status < 400 ? 'done' : 'refused', own[0]?.number]], `${route.id}: ${status} ${text}`);
      assert.ok(own.every(({ who, target }) => who.verified && who.id !== '' && (target === null) === !route.path.includes('{')), JSON.stringify(own));
    }
    const report = await verifyTrail(home.vault);
    assert.deepEqual([report.ok, report.problems], [true, []]);
  });

  it('has what matters of a call, and nothing of a dry run or of what was merely looked at', async () => {
    await home.json('/api/vault/maintenance', { method: 'POST' });
    await home.json('/api/recovery-points/web01.20260101T000000Z?dryRun=true', { method: 'DELETE' });
    await home.json('/api/items');
    assert.deepEqual(await trail(), []);
    await send('holdRecoveryPoint', 'POST');
    await send('startRestore', 'POST');
    const [hold, , restore] = await trail();
    assert.deepEqual([hold?.details['label'], (restore?.details['target'] as { name: string }).name], ['case 7', 'back']);
  });

  it('threat 14: what cannot be recorded does not happen', async () => {
    faults.plan({ operation: 'create', matching: /^audit\//, fault: { kind: 'fail', code: 'STORE_FULL', when: 'before' } });
    const { status, text } = await send('putPolicy', 'PUT');
    assert.deepEqual([status, (JSON.parse(text) as { code: string }).code], [503, 'AUDIT_NOT_WRITTEN']);
    assert.equal((await home.json('/api/policies/p')).status, 404);
    faults.assertAllFired();
    assert.equal((await send('putPolicy', 'PUT')).status, 201);
  });

  it('says so in the log when something was done and its outcome could not be recorded', async () => {
    faults.plan({ operation: 'create', matching: /^audit\//, after: 1, fault: { kind: 'fail', code: 'STORE_FULL', when: 'before' } });
    assert.equal((await send('putPolicy', 'PUT')).status, 201, 'what was done is not told as failed');
    assert.deepEqual((await trail()).map(({ outcome }) => outcome), ['begun']);
    assert.ok(home.logs.some((line) => /policy\.put was done, but the audit trail says only that it was begun/.test(line)), home.logs.join('\n'));
  });

  it('threat 18: who is refused on and on fills no vault', async () => {
    for (let tries = 0; tries < 25; tries++) await send('deletePolicy', 'DELETE');
    const { status, text } = await send('deletePolicy', 'DELETE');
    assert.deepEqual([status, (JSON.parse(text) as { code: string }).code], [429, 'TOO_MANY_REFUSALS']);
    assert.equal((await trail()).length, 40);
    assert.equal((await send('putPolicy', 'PUT')).status, 201, 'anything else goes on');
    await home.host.advanceTo(home.clock.now() + 11 * 60_000);
    assert.equal((await send('deletePolicy', 'DELETE')).status, 404);
  });

  it('is shown in pages, filtered, and exported as JSON lines', async () => {
    for (let index = 0; index < 4; index++) await send('holdRecoveryPoint', 'POST');
    await send('putPolicy', 'PUT');
    assert.deepEqual((await page('')).value.map(({ number }) => number), [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    const first = await page('?limit=4&action=recovery-point');
    assert.deepEqual([first.value.map(({ number }) => number), first.nextLink !== null], [[8, 7, 6, 5], true]);
    const rest = (await home.json(first.nextLink ?? '')).body as Page;
    assert.deepEqual([rest.value.map(({ number }) => number), rest.nextLink], [[4, 3, 2, 1], null]);
    assert.deepEqual((await page('?outcome=done')).value.map(({ action }) => action), ['policy.put']);
    assert.deepEqual((await page('?until=2020-01-01')).value, []);
    for (const wrong of ['?outcome=maybe', '?since=yesterday', '?limit=0', '?cursor=!', '?cursor=eA', '?format=csv', '?whoever=x']) assert.equal((await home.json(`/api/audit${wrong}`)).status, 400, wrong);
    const answer = await home.host.fetch('/api/audit?format=jsonl&action=policy.put', { headers: { authorization: `Bearer ${HOME_TOKEN}` } });
    const exported = (await answer.text()).trim().split('\n').map((line) => JSON.parse(line) as TrailRecord & { digest: string });
    assert.deepEqual([answer.status, exported.map(({ outcome }) => outcome)], [200, ['begun', 'done']]);
    assert.ok(exported.every(({ digest }) => /^[0-9a-f]{64}$/.test(digest)));
  });

  it('has the maintenance of the clock as one run, which anchors it', async () => {
    await home.dispose();
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), { schedulerCron: '0 0 0 1 1 *', housekeeping: { maintainCron: '0 0 4 * * *' } });
    await home.host.advanceTo(home.clock.now() + 20 * 3_600_000);
    await home.host.waitFor(MAINTAIN_INSTANCE_ID, { until: 'finished' });
    const records = await trail();
    assert.deepEqual(records.map(({ action, outcome, who }) => [action, outcome, who.kind]), [['maintenance.run', 'begun', 'holdfast'], ['maintenance.run', 'done', 'holdfast']]);
    assert.equal(records[0]?.target, records[1]?.target);
    assert.deepEqual([(await verifyTrail(home.vault)).anchors, (await verifyTrail(home.vault)).head?.number], [1, 2]);
    assert.ok(home.logs.some((line) => /The audit trail ends here/.test(line)), 'outside the vault as well');
  });

  it('has the next maintenance fail when its end was cut off since the last one, so that people are told', async () => {
    const maintain = async (): Promise<{ error: { code: string } | null }> => {
      assert.equal((await home.json('/api/vault/maintenance', { method: 'POST', body: '{"dryRun": false}' })).status, 202);
      await home.host.waitFor(MAINTAIN_INSTANCE_ID, { until: 'finished' });
      await home.host.advanceTo(home.clock.now() + 1000);
      return ((await home.json('/api/vault/maintenance')).body as { last: { error: { code: string } | null }[] }).last[0] ?? assert.fail('no maintenance');
    };
    assert.equal((await maintain()).error, null);
    const { length } = await trail();
    await home.vault.store.delete(trailName(length));
    assert.equal((await maintain()).error?.code, 'AUDIT_BROKEN');
    assert.equal((await maintain()).error, null, 'told once');
    assert.equal((await verifyTrail(home.vault)).ok, false, 'and whoever proves it is told each time');
  });

  it('has the end of a restore, too', async () => {
    const backup = await home.backUp('web01');
    const [point] = await home.points();
    const { status, body } = await home.json(`/api/recovery-points/${point?.id}/restores`, { method: 'POST', body: JSON.stringify({ target: { kind: 'disk', disk: point?.disks[0]?.name, name: 'back' } }) });
    assert.deepEqual([backup.state, status], ['succeeded', 202], JSON.stringify(body));
    await home.host.waitFor((body as { id: string }).id, { until: 'finished' });
    const restores = (await trail()).filter(({ action }) => action.startsWith('restore.'));
    assert.deepEqual(restores.map(({ action, outcome, target }) => [action, outcome, target]), [['restore.start', 'begun', point?.id], ['restore.start', 'done', point?.id], ['restore.run', 'done', point?.id]]);
  });
});
