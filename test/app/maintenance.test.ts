import assert from 'node:assert/strict';
import { type Attributes, silentTelemetry, type Telemetry } from '../../activities/telemetry';
import { MAINTAIN_INSTANCE_ID } from '../../orchestrations/names';
import { openRun } from '../../vault/run';
import { keyFileProvider } from '../../vault/keys/key-providers';
import { MAINTENANCE_PARTS as PARTS, type MaintenanceRecord } from '../../vault/points/maintenance-log';
import { addVm, halfDisk, type Home, noise, readImage, startHome, writeDisk } from '../support/home';
import { namesOf, walkAll } from '../support/vault-life';

const DAY_MS = 24 * 3_600_000;

describe('the maintenance of the vault', () => {
  let home: Home;
  afterEach(() => home.dispose());

  const maintenance = async (): Promise<{ running: object | null; last: MaintenanceRecord[] }> => (await home.json('/api/vault/maintenance')).body as { running: object | null; last: MaintenanceRecord[] };
  async function maintain(body: object): Promise<MaintenanceRecord> {
    const reply = await home.json('/api/vault/maintenance', { method: 'POST', body: JSON.stringify(body) });
    assert.equal(reply.status, 202, reply.text);
    await home.host.waitFor(MAINTAIN_INSTANCE_ID, { until: 'finished' });
    await home.host.advanceTo(home.clock.now() + 1000);
    const { last: [latest], running } = await maintenance();
    assert.ok(latest && running === null);
    return latest;
  }
  const later = (days: number): Promise<void> => home.host.advanceTo(home.clock.now() + days * DAY_MS);

  it('fault 11, fault 35: puts into the bin what nothing keeps, frees it after the bin, closes a run whose task hub was lost; what is left restores', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), { schedulerCron: '0 0 0 1 1 *', housekeeping: { maintainCron: '0 0 4 * * *' } });
    const put = await home.json('/api/policies/p', { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, retention: { keepLast: 2 } }) });
    assert.equal(put.status, 201, put.text);
    for (let day = 0; day < 4; day++) {
      await writeDisk(home, 'web01', 'os', noise(300_000, 10 + day), 64 * 4096 * day);
      assert.equal((await home.backUp('web01', { policy: 'p' })).state, 'succeeded');
      await home.host.advanceTo(home.clock.now() + 60_000);
    }
    const planned = await maintain({});
    assert.deepEqual([planned.dryRun, planned.retention.binned, planned.collection?.deletedPacks, planned.error], [true, 2, 0, null]);
    assert.equal((await home.points()).length, 4, 'a dry run changes nothing');
    const real = await maintain({ dryRun: false });
    assert.deepEqual([real.retention.binned, real.collection?.inBin, real.collection?.purged, real.error], [2, 2, 0, null], JSON.stringify(real));
    const [kept] = await home.points();
    // Of a run whose orchestration nobody knows any more.
    const lost = await openRun(home.vault, { itemId: kept?.itemId ?? '', stamp: '20270101T000000Z', slot: null, owner: 'backup.gone.20270101T000000Z', policy: null, nowMs: home.clock.now(), maxRunMs: DAY_MS });
    const before = (await namesOf(home.vault.store, 'packs/')).length;
    await later(16);
    const { last } = await maintenance();
    assert.ok(last.length >= 15, `the timer ran ${last.length} times`);
    assert.ok(last.every(({ error }) => error === null), JSON.stringify(last.find(({ error }) => error !== null)));
    assert.equal(last.reduce((sum, { collection }) => sum + (collection?.purged ?? 0), 0), 2);
    assert.ok(last.reduce((sum, { collection }) => sum + (collection?.deletedPacks ?? 0), 0) > 0);
    const packs = await namesOf(home.vault.store, 'packs/');
    assert.ok(packs.length < before);
    assert.deepEqual([...packs].sort(), [...await walkAll(home.vault)].sort());
    assert.ok((await namesOf(home.vault.store, `runs/${lost.itemId}/${String(lost.sequence).padStart(10, '0')}/`)).some((name) => name.endsWith('/end')));
    const points = await home.points();
    assert.equal(points.length, 2);
    assert.ok((await home.restore(points.at(-1)?.id ?? '', 'web01_os')).equals(await readImage(home, 'web01', 'os')));
    await writeDisk(home, 'web01', 'os', noise(300_000, 99), 0);
    assert.equal((await home.backUp('web01', { policy: 'p' })).state, 'succeeded', 'backups go on');
  });

  it('runs once at a time, and refuses what it does not understand', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), { schedulerCron: '0 0 0 1 1 *' });
    const send = async (body: string): Promise<[number, string]> => {
      const reply = await home.json('/api/vault/maintenance', { method: 'POST', body });
      return [reply.status, (reply.body as { code: string }).code];
    };
    assert.deepEqual(await send('{"dryrun": true}'), [400, 'REQUEST_INVALID']);
    assert.deepEqual(await send('{'), [400, 'REQUEST_INVALID']);
    assert.deepEqual((await maintenance()).last, []);
    assert.deepEqual((await home.json('/api/vault/maintenance', { method: 'POST' })).status, 202);
    assert.deepEqual(await send('{}'), [409, 'MAINTENANCE_RUNNING']);
    await home.host.waitFor(MAINTAIN_INSTANCE_ID, { until: 'finished' });
    await home.host.advanceTo(home.clock.now() + 1000);
    const failed = await maintain({ dryRun: false, approve: 'yes' });
    assert.equal(failed.error?.code, 'REQUEST_INVALID');
  });

  it('tells each part that failed, whatever failed before it, and what the vault costs', async () => {
    const events: Attributes[] = [];
    const cost = new Map<string, number>();
    const telemetry: Telemetry = {
      ...silentTelemetry,
      event: (name, attributes) => { if (name === 'holdfast.job' && attributes['kind'] === 'maintenance') events.push(attributes); },
      measure: (name, value, of = {}) => { if (name.startsWith('holdfast.cost.')) cost.set(`${name} ${String(of['part'] ?? '')}`, value); },
    };
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), { schedulerCron: '0 0 0 1 1 *', telemetry });
    const job = await home.backUp('web01');
    const whole = await maintain({ dryRun: false });
    assert.deepEqual([whole.error, whole.failures], [null, []]);
    assert.deepEqual(PARTS.map((part) => events[0]?.[`${part}Code`]), ['', '', '', '']);
    const parts = [...cost].filter(([name]) => name.startsWith('holdfast.cost.month ') && !name.endsWith(' all'));
    assert.equal(parts.length, 7);
    assert.ok((cost.get('holdfast.cost.month storage') ?? 0) > 0 && (cost.get('holdfast.cost.azure_backup_month ') ?? 0) > 1, JSON.stringify([...cost]));
    assert.ok(Math.abs((cost.get('holdfast.cost.month all') ?? 0) - parts.reduce((sum, [, amount]) => sum + amount, 0)) < 1e-9);

    // The key that the app holds is another one, and a recovery point lost its manifest.
    Object.assign(home.services.others.maintenance, { keys: () => Promise.resolve([{ provider: keyFileProvider(Buffer.alloc(32, 9)), identityOf: ['maintenance'] }]) });
    const manifest = `recovery-points/${job.itemId}/${job.recoveryPoint?.slice(job.itemId.length + 1) ?? ''}`;
    await home.vault.store.delete(manifest);
    await home.host.advanceTo(home.clock.now() + 60_000);
    const failed = await maintain({ dryRun: false });
    assert.equal(failed.error?.code, 'KEY_TEST_FAILED', 'the first one, as ever');
    assert.deepEqual(failed.failures?.map(({ part, error }) => [part, error.code]), [['keys', 'KEY_TEST_FAILED'], ['collection', 'COLLECTION_REFUSED']]);
    assert.deepEqual([events[1]?.['code'], events[1]?.['keysCode'], events[1]?.['collectionCode'], events[1]?.['retentionCode']], ['KEY_TEST_FAILED', 'KEY_TEST_FAILED', 'COLLECTION_REFUSED', '']);
    assert.match(String(events[1]?.['collectionMessage']), /web01/);
  });
});
