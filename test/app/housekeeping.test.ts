import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { backupInstanceId, RECONCILE_INSTANCE_ID } from '../../orchestrations/names';
import type { ReconcileJobResult } from '../../orchestrations/reconcile';
import type { SweepJobResult } from '../../orchestrations/sweep';
import { closeLostRun, openRun } from '../../vault/run';
import { addVm, halfDisk, type Home, noise, readImage, startHome, writeDisk } from '../support/home';
import { asleep, assertLeft, diskIdOf, madeDisks, madeSnapshots, startRestore, stateOf } from '../support/restores';
import { createHold } from '../support/fault-store';
import { createStartRestoreTarget } from '../../activities/restore-target';
import { lookUntil } from '../support/upload-disk';

const HOUR_MS = 3_600_000;
const VERSION = 'api-version=2025-01-02';
const twoDisks = (folder: string): Promise<void> => addVm(folder, 'web01', { os: halfDisk(2, 1), data: halfDisk(2, 2) });
const putPolicy = (home: Home, name: string, changes: object): Promise<unknown> =>
  home.json(`/api/policies/${name}`, { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, ...changes }) });
const phaseIs = (phase: string) => ({ customStatus }: { customStatus: unknown }): boolean => (customStatus as { phase?: string } | null)?.phase === phase;
const start = async (home: Home, body?: object): Promise<string> =>
  ((await home.json('/api/items/web01/backups', { method: 'POST', ...(body ? { body: JSON.stringify(body) } : {}) })).body as { id: string }).id;

async function sweep(home: Home, dryRun: boolean): Promise<SweepJobResult & { state: string }> {
  const reply = await home.json('/api/vault/sweeps', { method: 'POST', body: JSON.stringify({ dryRun }) });
  assert.equal(reply.status, 202, reply.text);
  const { id, location } = reply.body as { id: string; location: string };
  await home.host.waitFor(id, { until: 'finished' });
  await home.host.advanceTo(home.clock.now() + 1000);
  return (await home.json(location)).body as SweepJobResult & { state: string };
}

async function reconcile(home: Home): Promise<ReconcileJobResult> {
  await home.host.runTimer('reconciler');
  return (await home.host.waitFor(RECONCILE_INSTANCE_ID, { until: 'finished' })).output as ReconcileJobResult;
}

const later = (home: Home, hours: number): Promise<void> => home.host.advanceTo(home.clock.now() + hours * HOUR_MS);

/** Lets an orchestration vanish in a phase of a run, and the reconciler close its run in the vault; what it made stays behind. */
async function loseRun(home: Home, phase: string, policy: string): Promise<void> {
  const id = await start(home, { policy });
  await home.host.waitFor(id, { until: phaseIs(phase) });
  home.host.client.terminate(id, 'lost');
  await home.host.waitFor(id, { until: 'finished' });
  const item = (await home.job(id)).itemId;
  // What a part that was under way still finishes is over before.
  await home.host.runUntilIdle();
  assert.equal((await closeLostRun(home.vault, item, () => Promise.resolve(true), home.clock.now())).state, 'closed');
}

describe('the sweep', () => {
  let home: Home;
  afterEach(() => home.dispose());

  for (const driver of ['restorePoint', 'diskSnapshot']) {
    it(`fault 28: what a lost run left of ${driver}s is found and deleted, open access included, for an item that is never backed up again`, async () => {
      home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *' });
      await putPolicy(home, 'p', { driver });
      await home.backUp('web01', { policy: 'p' });
      const [good] = await home.points();
      await loseRun(home, 'transfer', 'p');
      const left = await home.leftovers();
      assert.equal(left.snapshots.length + left.restorePoints.length, driver === 'restorePoint' ? 2 : 4);

      const early = await sweep(home, false);
      assert.deepEqual([early.orphans, early.state], [0, 'succeeded'], 'too young');
      await later(home, 5);
      const dry = await sweep(home, true);
      assert.equal(dry.orphans, driver === 'restorePoint' ? 1 : 2, JSON.stringify(dry));
      assert.ok(dry.shown.every(({ why }) => /left behind by run 2/.test(why)), JSON.stringify(dry.shown));
      assert.deepEqual(await home.leftovers(), { ...left, open: (await home.leftovers()).open }, 'a dry run changes nothing');

      const real = await sweep(home, false);
      assert.deepEqual([real.failed, real.error], [0, null], JSON.stringify(real));
      await home.assertClean(driver === 'restorePoint' ? 1 : 2);
      const again = await sweep(home, false);
      assert.deepEqual([again.orphans, again.accessEnded, again.unknown], [0, 0, 0]);

      await writeDisk(home, 'web01', 'os', noise(4096, 5), 0);
      assert.equal((await home.backUp('web01', { policy: 'p' })).state, 'succeeded');
      assert.deepEqual((await home.points()).at(-1)?.disks.map(({ mode }) => mode), ['incremental', 'incremental'], 'the base was kept');
      assert.ok((await home.restore(good?.id ?? '', 'web01_data')).equals(await readImage(home, 'web01', 'data')));
    });
  }

  it('never touches what is not of this vault, by tag and by record', async () => {
    home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *' });
    await putPolicy(home, 'p', { driver: 'diskSnapshot' });
    await home.backUp('web01', { policy: 'p' });
    const ours = home.vault.keys.vaultId.toString('hex');
    const itemId = (await home.points())[0]?.itemId ?? '';
    const source = (await home.points())[0]?.disks[0]?.source;
    const group = String(source?.['diskId']).split('/providers/')[0];
    const stamp = (await home.points())[0]?.stamp;
    const tag8 = ours.slice(0, 8);
    const foreign: [string, Record<string, string>][] = [
      ['someones', {}],
      [`hf-${tag8}-${itemId}-${stamp}-9`, {}],
      ['other-vault', { 'holdfast-vault': 'f'.repeat(32), 'holdfast-item': itemId, 'holdfast-run': '1' }],
      ['copied-tags', { 'holdfast-vault': ours, 'holdfast-item': itemId, 'holdfast-run': '1' }],
      [`hf-${tag8}-${itemId}-20200101T000000Z-os`, { 'holdfast-vault': ours, 'holdfast-item': itemId, 'holdfast-run': '99' }],
      ['no-run', { 'holdfast-vault': ours, 'holdfast-item': itemId, 'holdfast-run': 'x' }],
      ['no-item', { 'holdfast-vault': ours, 'holdfast-item': '../x' }],
    ];
    for (const [name, tags] of foreign) {
      const response = await fetch(`${home.standIn.url}${group}/providers/Microsoft.Compute/snapshots/${name}?${VERSION}`, {
        method: 'PUT', headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ location: 'local', tags, properties: { incremental: true, creationData: { createOption: 'Copy', sourceResourceId: source?.['diskId'] } } }),
      });
      assert.ok(response.status < 300, await response.text());
    }
    await later(home, 48);
    const before = (await home.leftovers()).snapshots.sort();
    const result = await sweep(home, false);
    assert.deepEqual((await home.leftovers()).snapshots.sort(), before);
    assert.deepEqual([result.orphans, result.unknown, result.kept], [0, 3, 2], JSON.stringify(result));
  });

  it('fault 13: a list that fails, or a machine list that does, deletes nothing and says so', async () => {
    home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *' });
    await putPolicy(home, 'p', { driver: 'diskSnapshot' });
    await loseRun(home, 'transfer', 'p');
    await later(home, 5);
    for (const list of ['Microsoft.Compute/restorePointCollections$', 'Microsoft.Compute/virtualMachines$']) {
      home.standIn.faults.add({ kind: 'respond', status: 403, code: 'AuthorizationFailed', message: 'no', method: 'GET', path: list, times: 5 });
      const result = await sweep(home, false);
      assert.deepEqual([result.state, result.error?.code], ['failed', 'CLOUD_ACCESS_DENIED'], JSON.stringify(result));
      home.standIn.faults.clear();
    }
    assert.equal((await home.leftovers()).snapshots.length, 2);
    assert.equal((await sweep(home, false)).orphans, 2);
    await home.assertClean(0);
  });

  it('one that cannot be deleted does not keep the others, and is told', async () => {
    home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *' });
    await putPolicy(home, 'p', { driver: 'diskSnapshot' });
    await loseRun(home, 'transfer', 'p');
    await later(home, 5);
    home.standIn.faults.add({ kind: 'respond', status: 409, code: 'ScopeLocked', message: 'The scope is locked.', method: 'DELETE', path: '-os$', times: 1000 });
    home.standIn.faults.add({ kind: 'respond', status: 403, code: 'AuthorizationFailed', message: 'no', method: 'DELETE', path: '-os$', times: 1000 });
    const result = await sweep(home, false);
    assert.equal(result.orphans, 2);
    assert.deepEqual((await home.leftovers()).snapshots.map((name) => name.split('-').at(-1)), ['os']);
  });

  for (const [what, change, mode] of [
    ['that was changed to keep none', (home: Home) => putPolicy(home, 'p', { driver: 'diskSnapshot', keepBase: 'none' }), 'compared'],
    ['that was deleted', (home: Home) => home.json('/api/policies/p', { method: 'DELETE' }), 'compared'],
  ] as const) {
    it(`the base of a policy ${what} goes with the next sweep, and the next backup compares`, async () => {
      home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *' });
      await putPolicy(home, 'p', { driver: 'diskSnapshot' });
      await home.backUp('web01', { policy: 'p' });
      await later(home, 5);
      assert.deepEqual([(await sweep(home, false)).orphans, (await home.leftovers()).snapshots.length], [0, 2]);
      await change(home);
      const result = await sweep(home, false);
      assert.equal(result.orphans, 2, JSON.stringify(result));
      await home.assertClean(0);
      await writeDisk(home, 'web01', 'os', noise(4096, 5), 0);
      await putPolicy(home, 'again', { driver: 'diskSnapshot' });
      assert.equal((await home.backUp('web01', { policy: 'again' })).state, 'succeeded');
      const point = (await home.points()).at(-1);
      assert.equal(point?.disks[0]?.mode, mode);
      assert.ok((await home.restore(point?.id ?? '', 'web01_os')).equals(await readImage(home, 'web01', 'os')));
    });
  }

  it('fault 20: the base of a machine that is gone goes; its recovery points stay', async () => {
    home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *' });
    await home.backUp('web01');
    const image = await readImage(home, 'web01', 'os');
    await later(home, 5);
    await rm(path.join(home.disksFolder, 'web01'), { recursive: true });
    const result = await sweep(home, false);
    assert.equal(result.orphans, 1, JSON.stringify(result));
    await home.assertClean(0);
    assert.deepEqual((await stateOf(home)).collections, {}, 'what held its restore points goes when it is empty');
    assert.equal((await sweep(home, false)).orphans, 0);
    assert.ok((await home.restore((await home.points())[0]?.id ?? '', 'web01_os')).equals(image));
  });

  it('fault 1: a restore point that was made and whose run crashed before it was recorded is found by its name', async () => {
    home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *' });
    await putPolicy(home, 'p', {});
    home.standIn.faults.add({ kind: 'stallCopy', percent: 10, looks: 100_000, path: 'diskRestorePoints' });
    await loseRun(home, 'snapshot', 'p');
    home.standIn.faults.clear();
    assert.equal((await home.leftovers()).restorePoints.length, 1);
    await later(home, 5);
    assert.equal((await sweep(home, false)).orphans, 1);
    await home.assertClean(0);
  });

  it('fault 28: a disk that a given-up restore could not delete goes; what a restore brought back, and what is not of this vault, stays', async () => {
    home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *' });
    const point = (await home.backUp('web01')).recoveryPoint ?? '';
    const good = await startRestore(home, point, { id: 'good', target: { kind: 'disk', disk: 'web01_data', name: 'good-disk' } });
    await home.host.waitFor(good, { until: 'finished' });
    const bad = await startRestore(home, point, { id: 'bad', target: { kind: 'disk', disk: 'web01_data', name: 'bad-disk' } });
    await home.host.waitFor(bad, { until: phaseIs('transfer') });
    const made = await home.deps.restoreCloud.getDisk(diskIdOf(home, 'good-disk'));
    assert.ok(made);
    await home.json(`/api/jobs/${bad}/cancel`, { method: 'POST' });
    await home.host.waitFor(bad, { until: 'finished' });
    const put = (name: string, restoreId: string, vaultId = home.vault.keys.vaultId.toString('hex')): Promise<unknown> => home.deps.restoreCloud.startCreateUploadDisk({
      id: diskIdOf(home, name), location: made.location, zone: null, sku: 'Standard_LRS', sizeBytes: 20 * 1024 * 1024, osType: null, hyperVGeneration: null, logicalSectorBytes: null, securityType: null,
      tags: { 'holdfast-vault': vaultId, 'holdfast-restore': restoreId },
    });
    // What a deletion that was lost, a person, and another vault leave.
    await put('bad-disk', 'bad');
    await put('copy-of-tags', 'bad');
    await put('other-vault', 'bad', 'f'.repeat(32));
    assert.equal((await sweep(home, false)).orphans, 0, 'too young');
    await later(home, 5);
    const result = await sweep(home, false);
    assert.deepEqual([result.orphans, result.unknown, result.failed], [1, 1, 0], JSON.stringify(result));
    assert.deepEqual(await madeDisks(home), ['copy-of-tags', 'good-disk', 'other-vault']);
  });

  it('fault 28: a snapshot of a present disk that a late step of a restore made again goes, and one that only has the tags stays', async () => {
    home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *' });
    const point = (await home.backUp('web01')).recoveryPoint ?? '';
    const late: Promise<unknown>[] = [];
    const snapshots = (name: string): string => diskIdOf(home, name).replace('/disks/', '/snapshots/');
    for (const [id, cancels] of [['good', false], ['bad', true]] as const) {
      const job = await startRestore(home, point, { id, target: { kind: 'in-place', disks: ['0'], differential: true } });
      await home.host.waitFor(job, { until: phaseIs('transfer') });
      const hold = createHold();
      late.push(createStartRestoreTarget(asleep(home, hold, 'cloud', 'startSnapshot'))({ restoreId: id, disk: 1 }).catch((error: Error) => assert.match(error.message, /CLOUD_CONFLICT/)));
      await hold.reached;
      if (cancels) await home.json(`/api/jobs/${job}/cancel`, { method: 'POST' });
      await home.host.waitFor(job, { until: 'finished' });
      assert.deepEqual([await madeDisks(home), await madeSnapshots(home)], [['web01_data-good'], cancels ? ['web01_data-good'] : []]);
      hold.release();
      await late.at(-1);
      await lookUntil(() => home.deps.cloud.getSnapshot(snapshots(`web01_data-${id}`)), (snapshot) => snapshot?.state !== 'running');
    }
    const made = await home.deps.cloud.getSnapshot(snapshots('web01_data-good'));
    await home.deps.cloud.startSnapshot({ id: snapshots('web01_data-copy'), diskId: diskIdOf(home, 'web01_data'), location: 'local', tags: made?.tags ?? {} });
    await home.deps.cloud.grantRead({ kind: 'snapshot', id: snapshots('web01_data-good') }, 7 * 86_400);
    const left = await madeSnapshots(home);
    assert.ok(left.includes('web01_data-good') && left.includes('web01_data-copy'), left.join());
    assert.equal((await sweep(home, false)).orphans, 0, 'too young');
    await later(home, 5);
    const result = await sweep(home, false);
    assert.deepEqual([result.orphans, result.unknown, result.failed], [left.length - 1, 1, 0], JSON.stringify(result));
    assert.deepEqual([await madeSnapshots(home), await madeDisks(home), (await home.leftovers()).open], [['web01_data-copy'], ['web01_data-good'], []]);
  });

  it('runs by its timer, and refuses a body that is not understood', async () => {
    home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *', housekeeping: { sweepCron: '0 0 3 * * *' } });
    await putPolicy(home, 'p', {});
    await loseRun(home, 'transfer', 'p');
    await later(home, 30);
    await home.assertClean(0);
    for (const body of ['{"dryRun":"yes"}', '{"dry":true}', '[]']) assert.equal((await home.json('/api/vault/sweeps', { method: 'POST', body })).status, 400, body);
    assert.equal((await home.json('/api/vault/sweeps/backup.x.y')).status, 404);
    const byDefault = await home.json('/api/vault/sweeps', { method: 'POST' });
    assert.equal((byDefault.body as { dryRun: boolean }).dryRun, true, 'a dry run unless told otherwise');
  });
});

describe('the reconciler', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('fault 35: closes a run whose orchestration was terminated, and releases its snapshots', async () => {
    home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *' });
    const id = await start(home);
    await home.host.waitFor(id, { until: phaseIs('transfer') });
    assert.deepEqual([(await reconcile(home)).alive], [1], 'a run under way is left alone');
    home.host.client.terminate(id, 'lost');
    await home.host.waitFor(id, { until: 'finished' });
    await home.host.runUntilIdle();
    const result = await reconcile(home);
    assert.deepEqual([result.abandoned, result.committed, result.closed.map(({ sequence }) => sequence)], [1, 0, [1]], JSON.stringify(result));
    await home.assertClean(0);
    const job = await home.job(id);
    assert.deepEqual([job.state, job.error?.code], ['failed', 'RUN_ABANDONED'], 'the job says what the vault says');
    assert.equal((await reconcile(home)).closed.length, 0);
  });

  it('fault 35: a task hub that was wiped: what is sealed is committed, the rest is given up, and restores work all the while', async () => {
    home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *' });
    await home.backUp('web01');
    const [good] = await home.points();
    const id = await start(home);
    await home.host.waitFor(id, { until: phaseIs('transfer') });
    home.host.client.terminate(id, 'wiped');
    await home.host.waitFor(id, { until: 'finished' });
    await home.host.runUntilIdle();
    assert.equal((await home.host.fetch(`/runtime/webhooks/durabletask/instances/${id}?code=${home.host.keys.system}`, { method: 'DELETE' })).status, 200);
    assert.equal((await reconcile(home)).alive, 1, 'an owner that is not known is given a while');
    assert.ok((await home.restore(good?.id ?? '', 'web01_os')).equals(await readImage(home, 'web01', 'os')));
    await later(home, 1);
    const result = await reconcile(home);
    assert.equal(result.abandoned, 1, JSON.stringify(result));
    await home.assertClean(1);
    assert.equal((await home.backUp('web01')).state, 'succeeded');
  });

  it('fault 35: a restore whose orchestration is gone is given up and what it made is removed; one that was decided as restored is kept', async () => {
    home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *' });
    const point = (await home.backUp('web01')).recoveryPoint ?? '';
    const lose = async (id: string, phase: string): Promise<void> => {
      const job = await startRestore(home, point, { id, target: { kind: 'disk', disk: 'web01_data', name: `${id}-disk` } });
      await home.host.waitFor(job, { until: phaseIs(phase) });
      home.host.client.terminate(job, 'lost');
      await home.host.waitFor(job, { until: 'finished' });
      await home.host.runUntilIdle();
    };
    await lose('one', 'transfer');
    await assertLeft(home, ['one-disk']);
    const result = await reconcile(home);
    assert.deepEqual([result.restores, result.error], [['one'], null], JSON.stringify(result));
    await assertLeft(home, []);
    await lose('two', 'commit');
    assert.deepEqual((await reconcile(home)).restores, ['two']);
    await assertLeft(home, ['two-disk']);
    assert.deepEqual((await reconcile(home)).restores, [], 'what is closed stays closed');
    const job = await startRestore(home, point, { id: 'three', target: { kind: 'disk', disk: 'web01_data', name: 'three-disk' } });
    assert.equal((await reconcile(home)).alive, 1, 'one that runs is left alone');
    await home.host.waitFor(job, { until: 'finished' });
    await assertLeft(home, ['three-disk', 'two-disk']);
  });

  it('leaves a run of the command line, or of another app on the same vault, alone until its time is over', async () => {
    home = await startHome(twoDisks, { schedulerCron: '0 0 0 1 1 *' });
    const itemId = (await home.list<{ id: string }>('/api/items'))[0]?.id ?? '';
    await openRun(home.vault, { itemId, stamp: '20261123T100000Z', slot: null, owner: 'cli:host:1234', policy: null, nowMs: home.clock.now(), maxRunMs: 2 * HOUR_MS });
    assert.equal((await reconcile(home)).alive, 1);
    await later(home, 3);
    assert.equal((await reconcile(home)).abandoned, 1);
    await openRun(home.vault, { itemId, stamp: '20261123T110000Z', slot: null, owner: backupInstanceId(itemId, '20261123T110000Z'), app: 'another', policy: null, nowMs: home.clock.now(), maxRunMs: 2 * HOUR_MS });
    await later(home, 1);
    assert.equal((await reconcile(home)).alive, 1, 'its orchestration is in another task hub');
    await later(home, 2);
    assert.equal((await reconcile(home)).abandoned, 1);
  });
});
