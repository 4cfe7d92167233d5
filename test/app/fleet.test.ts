import assert from 'node:assert/strict';
import type { ItemView } from '../../activities/fleet-items';
import type { Overview } from '../../activities/overview';
import type { ItemHistoryView, ServerView, VaultHistory, VaultView } from '../../activities/vault-view';
import { manifestName } from '../../vault/format/manifest';
import { recordItem } from '../../vault/items';
import { recordProof } from '../../vault/proof/proofs';
import { commitRun, openRun, sealRun } from '../../vault/run';
import { formatStamp } from '../../policy/slot';
import { addVm, halfDisk, type Home, startHome } from '../support/home';
import { makeManifest } from '../support/vault-manifests';

const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;
const DAILY = { schedule: { daily: { at: ['02:00'] } }, items: { tags: { env: 'prod' } }, firstBackup: 'next-slot', retention: { keepLast: 10 } };

describe('what the portal shows of the whole', () => {
  let home: Home;
  const get = async <T>(address: string): Promise<T> => {
    const { status, body, text } = await home.json(address);
    assert.equal(status, 200, text);
    return body as T;
  };
  const itemOf = async (name: string): Promise<ItemView> => get<ItemView>(`/api/items/${name}`);

  before(async () => {
    home = await startHome(async (folder) => {
      await addVm(folder, 'web01', { os: halfDisk(8, 1) }, { tags: { env: 'prod' } });
      await addVm(folder, 'lab', { os: halfDisk(2, 3) }, { tags: { env: 'lab' } });
    }, { schedulerCron: '0 0 0 1 1 *' });
  });
  after(() => home.dispose());

  it('of a new vault: what no policy covers is unprotected, what waits for its first recovery point is not green, nothing is made up', async () => {
    assert.equal((await home.json('/api/policies/prod', { method: 'PUT', body: JSON.stringify(DAILY) })).status, 201);
    const { items, storage, oldest, attention, jobs, proved } = await get<Overview>('/api/overview');
    assert.deepEqual([items.protected, items.waiting, items.unprotected, items.total], [0, 1, 1, 2]);
    assert.deepEqual([storage.storedBytes, storage.source, storage.deduplicationRatio, storage.compressionRatio], [0, 'recovery-points', null, null]);
    assert.equal(oldest?.recoveryPoint, null);
    assert.deepEqual(attention.map(({ code, itemName }) => [code, itemName]), [['ITEM_UNPROTECTED', 'lab']]);
    assert.equal(jobs.succeeded + jobs.failed + jobs.running, 0);
    assert.deepEqual([proved.inRound, proved.never, proved.failed], [0, 0, 0]);
    const vault = await get<VaultView>('/api/vault');
    assert.deepEqual([vault.maintenance, vault.recoveryPoints.live, vault.keys.length, vault.keys[0]?.tested], [null, 0, 1, null]);
  });

  it('after a backup: protected, and not yet proved, which it says', async () => {
    const job = await home.backUp('web01');
    assert.equal(job.state, 'succeeded');
    const seen = await get<Overview>('/api/overview');
    assert.deepEqual([seen.items.protected, seen.items.waiting, seen.jobs.succeeded, seen.proved.never, seen.proved.inRound], [1, 0, 1, 1, 0]);
    assert.equal(seen.oldest?.recoveryPoint, job.recoveryPoint);
    assert.equal(seen.storage.logicalBytes, 8 * MIB);
    assert.ok(seen.storage.storedBytes > 0 && seen.cost.azureBackup > 0);
    assert.equal((await get<VaultView>('/api/vault')).recoveryPoints.proved, 0);
    await recordProof(home.vault, { recoveryPoint: job.recoveryPoint as string, by: 'scrub', cycle: null, state: 'whole', cursor: null, against: null, chunks: 1, plainBytes: 1, storedBytes: 1, damage: [] }, home.clock.now());
    const proved = await get<Overview>('/api/overview');
    assert.deepEqual([proved.proved.inRound, proved.proved.never], [1, 0]);
    assert.equal((await get<VaultView>('/api/vault')).recoveryPoints.proved, 1);
  });

  it('when backups stay away: overdue, with what to do', async () => {
    await home.host.advanceTo(home.clock.now() + 4 * DAY_MS);
    const { items, attention, oldest } = await get<Overview>('/api/overview');
    assert.deepEqual([items.protected, items.overdue], [0, 1]);
    const overdue = attention.find(({ code }) => code === 'ITEM_OVERDUE');
    assert.ok(overdue && overdue.severity === 'critical' && overdue.itemName === 'web01' && overdue.remedy.length > 20);
    assert.ok((oldest?.ageSeconds ?? 0) > (oldest?.objectiveSeconds ?? Infinity));
    await home.backUp('web01');
    assert.equal((await itemOf('web01')).state, 'protected');
  });

  it('a proof that found damage, and a manifest that does not open: never green', async () => {
    const { latest } = await itemOf('web01');
    await recordProof(home.vault, { recoveryPoint: latest?.id as string, by: 'scrub', cycle: null, state: 'damaged', cursor: null, against: null, chunks: 1, plainBytes: 1, storedBytes: 1, damage: [{ code: 'PACK_DAMAGED', message: 'm', pack: null, disk: null, windows: 1 }] }, home.clock.now());
    assert.equal((await itemOf('web01')).state, 'damaged');
    assert.equal((await get<Overview>('/api/overview')).items.protected, 0);
    await home.backUp('web01');
    assert.equal((await itemOf('web01')).state, 'protected');
    const newest = (await itemOf('web01')).latest?.id as string;
    const name = manifestName(newest.slice(0, newest.lastIndexOf('.')), newest.slice(newest.lastIndexOf('.') + 1));
    const bytes = await home.vault.store.read(name);
    bytes[40] = (bytes[40] ?? 0) ^ 1;
    await home.vault.store.delete(name);
    await home.vault.store.create(name, bytes);
    const item = await itemOf('web01');
    assert.deepEqual([item.state, item.damaged], ['damaged', 1]);
    const history = await get<ItemHistoryView>('/api/items/web01/history?days=14');
    assert.deepEqual([history.points.at(-1)?.id, history.points.at(-1)?.damage?.code, history.points.at(-1)?.createdAt], [newest, 'DOCUMENT_DAMAGED', null]);
    assert.equal((await get<VaultView>('/api/vault')).recoveryPoints.damaged, 1);
    const { attention } = await get<Overview>('/api/overview');
    assert.ok(attention.some(({ code, severity, itemName }) => code === 'DOCUMENT_DAMAGED' && severity === 'critical' && itemName === 'web01'));
  });

  it('by day: what changed, what was stored, how backups ended', async () => {
    const { days, storage } = await get<VaultHistory>('/api/vault/history?days=10');
    assert.equal(days.length, 10);
    assert.equal(days.at(-1)?.day, new Date(home.clock.now()).toISOString().slice(0, 10));
    assert.equal(days.reduce((sum, { succeeded }) => sum + succeeded, 0), 3);
    assert.ok(days.reduce((sum, { changedBytes }) => sum + changedBytes, 0) >= 4 * MIB);
    assert.deepEqual(storage, [], 'nothing was counted yet');
    for (const wrong of ['0', '367', 'x', '-1']) assert.equal((await home.json(`/api/vault/history?days=${wrong}`)).status, 400, wrong);
    const { runs, points } = await get<ItemHistoryView>('/api/items/web01/history');
    assert.deepEqual([runs.length, points.length, runs[0]?.outcome], [3, 3, 'succeeded']);
  });

  it('servers outside Azure, by what their command line wrote', async () => {
    const now = home.clock.now();
    const run = await openRun(home.vault, { itemId: 'db', stamp: formatStamp(now), slot: null, owner: 'process:db.example.net:7:1:boot:1:machine', policy: null, nowMs: now, maxRunMs: DAY_MS });
    await recordItem(home.vault, { itemId: 'db', kind: 'image', name: 'db', resourceId: null }, now);
    await sealRun(home.vault, run, { ...makeManifest(run, 'db'), createdAt: new Date(now).toISOString() });
    await commitRun(home.vault, run, now);
    const { value } = await get<{ value: ServerView[] }>('/api/servers');
    assert.deepEqual(value.map(({ itemId, host, recoveryPoints, lastRun }) => [itemId, host, recoveryPoints, lastRun?.outcome]), [['db', 'db.example.net', 1, 'succeeded']]);
    const { items } = await get<Overview>('/api/overview');
    assert.deepEqual([items.server, items.gone], [1, 0]);
  });

  it('after a maintenance: what it counted, and that its key opens the vault', async () => {
    assert.equal((await home.json('/api/vault/maintenance', { method: 'POST', body: JSON.stringify({ dryRun: false }) })).status, 202);
    await home.host.waitFor('maintain', { until: 'finished' });
    const { storage, maintenance, keys } = await get<VaultView>('/api/vault');
    // What the manifest that does not open needs, its run still says.
    assert.deepEqual([maintenance?.error, maintenance?.overdue, storage.source, storage.countedAt], [null, false, 'collection', maintenance?.endedAt]);
    assert.equal(keys[0]?.tested, maintenance?.endedAt);
    await home.host.advanceTo(home.clock.now() + 3 * DAY_MS);
    assert.ok((await get<Overview>('/api/overview')).attention.some(({ code }) => code === 'MAINTENANCE_OVERDUE'));
  });
});
