import assert from 'node:assert/strict';
import { rename, truncate, writeFile } from 'node:fs/promises';
import type { Fault } from '../../local/azure/faults';
import { addVm, halfDisk, type Home, imagePath, noise, readImage, startHome, writeDisk } from '../support/home';

const KiB = 1024;
const MiB = 1024 * KiB;

const web01 = (folder: string): Promise<void> => addVm(folder, 'web01', { os: halfDisk(4, 1) });

const plan = (home: Home, ...faults: Fault[]): void => faults.forEach((fault) => home.standIn.faults.add(fault));
const assertAllFired = (home: Home): void => assert.deepEqual(home.standIn.faults.unfired(), [], 'planned faults that never fired');
const putPolicy = (home: Home, name: string, changes: object): Promise<unknown> =>
  home.json(`/api/policies/${name}`, { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, ...changes }) });

/** The newest recovery point is the disk as it is now. */
async function assertLatestIs(home: Home, disk: string, image: Buffer): Promise<void> {
  const point = (await home.points()).at(-1);
  assert.ok((await home.restore(point?.id ?? '', disk)).equals(image), `${disk} differs`);
}

async function assertNextRunGood(home: Home): Promise<void> {
  home.standIn.faults.clear();
  await writeDisk(home, 'web01', 'os', noise(4 * KiB, 99), 512 * KiB);
  const job = await home.backUp('web01');
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
  await home.assertClean(1);
  await assertLatestIs(home, 'web01_os', await readImage(home, 'web01', 'os'));
}

describe('a backup when Azure misbehaves', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('17: a storm of 429 that ends by itself is outlived, with one restore point', async () => {
    home = await startHome(web01);
    plan(home, { kind: 'respond', status: 429, times: 18, retryAfterSeconds: 1, path: 'virtualMachines/web01$' }, { kind: 'respond', status: 429, times: 12, method: 'PUT', path: '/restorePoints/' },
      { kind: 'respond', status: 503, times: 12, path: 'beginGetAccess' });
    const job = await home.backUp('web01');
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assertAllFired(home);
    assert.equal(home.standIn.calls.matching('PUT', /\/restorePoints\/hf-/).filter(({ status }) => status === 201).length, 1);
    await home.assertClean(1);
    await assertLatestIs(home, 'web01_os', await readImage(home, 'web01', 'os'));
  });

  it('17: a storm of 429 without end fails with CLOUD_THROTTLED and what to do, and leaves nothing behind', async () => {
    home = await startHome(web01);
    plan(home, { kind: 'respond', status: 429, times: 100_000, path: 'diskRestorePoints/.*beginGetAccess' });
    const job = await home.backUp('web01');
    assert.equal(job.state, 'failed');
    assert.equal(job.error?.code, 'CLOUD_THROTTLED');
    assert.match(job.error?.remedy ?? '', /maxParallelVms/);
    assert.deepEqual(await home.points(), []);
    await home.assertClean(0);
    await assertNextRunGood(home);
  });

  it('18: access that expires in the middle is renewed', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: noise(8 * MiB, 1) }));
    plan(home, { kind: 'expireAccess', method: 'GET', path: 'abcd$', skip: 1, times: 2 }, { kind: 'expireAccess', method: 'GET', path: 'comp=pagelist' });
    const job = await home.backUp('web01');
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assertAllFired(home);
    await assertLatestIs(home, 'web01_os', await readImage(home, 'web01', 'os'));
    await home.assertClean(1);
  });

  it('15: an answer that breaks off is read again', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: noise(4 * MiB, 1) }));
    plan(home, { kind: 'cutBody', afterBytes: 70_000, times: 3 });
    assert.equal((await home.backUp('web01')).state, 'succeeded');
    assertAllFired(home);
    await assertLatestIs(home, 'web01_os', await readImage(home, 'web01', 'os'));
  });

  it('1, 8: a restore point whose answer was lost is adopted, not made twice', async () => {
    home = await startHome(web01);
    plan(home, { kind: 'loseAnswer', method: 'PUT', path: '/restorePoints/' }, { kind: 'loseAnswer', method: 'PUT', path: '/restorePointCollections/[^/]+$' });
    assert.equal((await home.backUp('web01')).state, 'succeeded');
    assertAllFired(home);
    await home.assertClean(1);
  });

  it('1, 8: snapshots whose answers were lost are adopted, and so are deletions', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: halfDisk(2, 2) }));
    await putPolicy(home, 'disks', { driver: 'diskSnapshot' });
    plan(home, { kind: 'loseAnswer', method: 'PUT', path: '/snapshots/', times: 2 });
    assert.equal((await home.backUp('web01', { policy: 'disks' })).state, 'succeeded');
    assertAllFired(home);
    plan(home, { kind: 'loseAnswer', method: 'DELETE', path: '/snapshots/', times: 2 });
    assert.equal((await home.backUp('web01', { policy: 'disks' })).state, 'succeeded');
    assertAllFired(home);
    await home.assertClean(2);
  });

  it('a snapshot that Azure cannot make fails the run with its reason', async () => {
    home = await startHome(web01);
    plan(home, { kind: 'failOperation', code: 'VMAgentNotReady', message: 'The VM agent does not answer.', path: '/restorePoints/' });
    const job = await home.backUp('web01');
    assert.equal(job.error?.code, 'SNAPSHOT_FAILED');
    assert.match(job.error?.message ?? '', /web01/);
    await home.assertClean(0);
    await assertNextRunGood(home);
  });

  for (const [serviceCode, message, code] of [
    ['VMAgentStatusCommunicationError', 'VM has not reported status for VM agent or extensions.', 'GUEST_AGENT_NOT_READY'],
    ['VMRestorePointClientError', 'Restore Point creation failed due to VSS Writers in bad state.', 'GUEST_VSS_FAILED'],
    ['OperationNotAllowed', 'Changes were made to the Virtual Machine while the operation was in progress.', 'MACHINE_CHANGED'],
  ] as const) {
    it(`fault 21: a restore point that fails with ${serviceCode} is told as ${code}, with what to do`, async () => {
      home = await startHome(web01);
      plan(home, { kind: 'failOperation', code: serviceCode, message, path: '/restorePoints/' });
      const job = await home.backUp('web01');
      assert.equal(job.error?.code, code, JSON.stringify(job.error));
      await home.assertClean(0);
      await assertNextRunGood(home);
    });
  }

  it('26: a snapshot that is still being copied is waited for, and its percentage is shown', async () => {
    home = await startHome(web01);
    plan(home, { kind: 'stallCopy', percent: 40, looks: 30, path: 'diskRestorePoints' });
    const started = await home.json('/api/items/web01/backups', { method: 'POST' });
    const { id } = started.body as { id: string };
    await home.host.waitFor(id, { until: ({ customStatus }) => (customStatus as { snapshotPercent: number | null } | null)?.snapshotPercent === 40 });
    await home.host.waitFor(id, { until: 'finished' });
    assert.equal((await home.job(id)).state, 'succeeded');
    assertAllFired(home);
    await assertLatestIs(home, 'web01_os', await readImage(home, 'web01', 'os'));
  });

  it('26: a copy that never ends fails the run in the end, and is cleaned up', async () => {
    home = await startHome(web01);
    plan(home, { kind: 'stallCopy', percent: 40, looks: 1_000_000, path: 'diskRestorePoints' });
    const job = await home.backUp('web01');
    assert.equal(job.error?.code, 'SNAPSHOT_TIMEOUT');
    await home.assertClean(0);
  });

  it('20: the VM is deleted when its snapshots exist: the run finishes', async () => {
    home = await startHome(web01);
    const image = await readImage(home, 'web01', 'os');
    plan(home, { kind: 'stallCopy', percent: 10, looks: 6, path: 'diskRestorePoints' });
    const { id } = (await home.json('/api/items/web01/backups', { method: 'POST' })).body as { id: string };
    await home.host.waitFor(id, { until: ({ customStatus }) => (customStatus as { snapshotPercent: number | null } | null)?.snapshotPercent === 10 });
    plan(home, { kind: 'deleteVm', vm: 'web01' });
    await home.host.waitFor(id, { until: 'finished' });
    assert.equal((await home.job(id)).state, 'succeeded');
    await assertLatestIs(home, 'web01_os', image);
    const items = await home.list<{ resourceId: string | null; recoveryPoints: number }>('/api/items');
    assert.deepEqual(items.map(({ resourceId, recoveryPoints }) => [resourceId, recoveryPoints]), [[null, 1]], 'the item stays, its machine is gone');
    const gone = await home.json(`/api/items/${(await home.points())[0]?.itemId}/backups`, { method: 'POST' });
    assert.equal(gone.status, 404);
    assert.equal((gone.body as { code: string }).code, 'CLOUD_NOT_FOUND');
  });

  it('20: the VM is gone before the snapshot: the run fails cleanly, and the old recovery points stay', async () => {
    home = await startHome(web01);
    await home.backUp('web01');
    plan(home, { kind: 'respond', status: 404, code: 'ResourceNotFound', message: 'gone', path: 'virtualMachines/web01$', times: 10 });
    const job = await home.backUp('web01');
    assert.equal(job.error?.code, 'CLOUD_NOT_FOUND');
    assert.equal((await home.points()).length, 1);
    await home.assertClean(1);
  });

  it('22: a disk that was replaced under its name is read whole and compared', async () => {
    home = await startHome(web01);
    await home.backUp('web01');
    await writeFile(`${home.folder}/new.img`, halfDisk(4, 77));
    await rename(`${home.folder}/new.img`, imagePath(home, 'web01', 'os'));
    assert.equal((await home.backUp('web01')).state, 'succeeded');
    const point = (await home.points()).at(-1);
    assert.equal(point?.disks[0]?.mode, 'compared');
    assert.match(String(point?.disks[0]?.source['modeBecause']), /replaced/);
    await assertLatestIs(home, 'web01_os', await readImage(home, 'web01', 'os'));
    await home.assertClean(1);
  });

  it('22: a disk that is replaced between plan and snapshot fails the run, which says so', async () => {
    home = await startHome(web01);
    plan(home, { kind: 'stallCopy', percent: 10, looks: 4, path: 'diskRestorePoints' });
    let replaced = false;
    home.host.onStatusChange(({ customStatus }) => {
      if (replaced || (customStatus as { phase?: string } | null)?.phase !== 'snapshot') return;
      replaced = true;
      plan(home, { kind: 'replaceDisk', vm: 'web01', disk: 'os.img' });
    });
    const job = await home.backUp('web01');
    assert.equal(job.error?.code, 'DISK_REPLACED', JSON.stringify(job));
    await home.assertClean(0);
  });

  it('23: a disk that grew is compared and has its new size', async () => {
    home = await startHome(web01);
    await home.backUp('web01');
    await truncate(imagePath(home, 'web01', 'os'), 6 * MiB);
    await writeDisk(home, 'web01', 'os', noise(64 * KiB, 5), 6 * MiB - 64 * KiB);
    assert.equal((await home.backUp('web01')).state, 'succeeded');
    const point = (await home.points()).at(-1);
    assert.equal(point?.disks[0]?.sizeBytes, 6 * MiB);
    assert.match(String(point?.disks[0]?.source['modeBecause']), /resized/);
    await assertLatestIs(home, 'web01_os', await readImage(home, 'web01', 'os'));
  });

  for (const driver of ['restorePoint', 'diskSnapshot']) {
    it(`24: a base ${driver} that someone deleted means a comparison, never "no changes"`, async () => {
      home = await startHome(web01);
      await putPolicy(home, 'p', { driver });
      await home.backUp('web01', { policy: 'p' });
      await deleteBases(home);
      await writeDisk(home, 'web01', 'os', noise(4 * KiB, 5), 3 * MiB);
      const job = await home.backUp('web01', { policy: 'p' });
      assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
      assert.equal((await home.points()).at(-1)?.disks[0]?.mode, 'compared');
      await assertLatestIs(home, 'web01_os', await readImage(home, 'web01', 'os'));
      await home.assertClean(1);
    });
  }

  it('24: a base that is deleted in the middle of the run means a comparison too', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(4, 1), data: halfDisk(2, 2) }));
    const first = await home.backUp('web01');
    await writeDisk(home, 'web01', 'os', noise(4 * KiB, 5), 3 * MiB);
    await writeDisk(home, 'web01', 'data', noise(4 * KiB, 5), MiB + 512 * KiB);
    const stamp = first.id.split('.')[2];
    // The plan of each disk still finds the base; what comes after it does not.
    plan(home, { kind: 'respond', status: 404, code: 'ResourceNotFound', message: 'gone', times: 50, skip: 2, path: `/hf-${stamp}/.*beginGetAccess` });
    const job = await home.backUp('web01');
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assert.match(job.warnings.join('\n'), /base snapshot/);
    for (const disk of ['os', 'data']) await assertLatestIs(home, `web01_${disk}`, await readImage(home, 'web01', disk));
    await home.assertClean(1);
  });

  it('24: a service that does not compare restore points means a comparison, and so may another driver', async () => {
    home = await startHome(web01, { standIn: { limits: { diffBetweenRestorePoints: false } } });
    for (const policy of [undefined, undefined, 'disks', 'disks']) {
      if (policy) await putPolicy(home, policy, { driver: 'diskSnapshot' });
      await writeDisk(home, 'web01', 'os', noise(4 * KiB, (await home.points()).length), 3 * MiB);
      const job = await home.backUp('web01', policy === undefined ? undefined : { policy });
      assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
      await home.assertClean(1);
      await assertLatestIs(home, 'web01_os', await readImage(home, 'web01', 'os'));
    }
    assert.deepEqual((await home.points()).map(({ disks }) => disks[0]?.mode), ['full', 'compared', 'compared', 'incremental']);
  });

  it('19: other readers of the same disk are waited for, and keep their access', async () => {
    home = await startHome(web01);
    await home.backUp('web01');
    // A service that refuses as Azure does when five snapshots of a disk are open, for more than one round of attempts.
    plan(home, { kind: 'respond', status: 409, code: 'OperationNotAllowed', message: 'At most 5 snapshots of the same family may have an active shared access signature at a time.', times: 3, path: 'diskRestorePoints/.*beginGetAccess' });
    const job = await home.backUp('web01');
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assertAllFired(home);
    await home.assertClean(1);
  });

  it('25: a diff that comes in many small pages is read to its end', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: noise(4 * MiB, 1) }), { standIn: { limits: { pageRangesPerAnswer: 3 } } });
    await home.backUp('web01');
    for (let n = 0; n < 40; n++) await writeDisk(home, 'web01', 'os', n % 3 === 0 ? Buffer.alloc(4096) : noise(4096, n), n * 24 * 4096);
    assert.equal((await home.backUp('web01')).state, 'succeeded');
    assert.equal((await home.points()).at(-1)?.disks[0]?.mode, 'incremental');
    await assertLatestIs(home, 'web01_os', await readImage(home, 'web01', 'os'));
  });

  it('25: a list of what holds data that leaves something out is caught by the audit of a first backup too; then no list is believed, and the job and the recovery point say so', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: noise(8 * MiB, 1) }));
    plan(home, { kind: 'omitData', count: 1, path: 'web01_data', times: 1 });
    const job = await home.backUp('web01');
    assertAllFired(home);
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assert.match(job.warnings.join('\n'), /Ranges of web01_data were left out/);
    assert.ok((job.audit?.samples ?? 0) > 30 && (job.audit?.mismatches ?? 0) > 0, JSON.stringify(job.audit));
    const source = (await home.points()).at(-1)?.disks[1]?.source;
    assert.match(String(source?.['auditSeed']), /:1:1$/, 'the seed of the second pass, which stands');
    for (const disk of ['os', 'data']) await assertLatestIs(home, `web01_${disk}`, await readImage(home, 'web01', disk));
    await home.assertClean(1);
  });

  for (const [what, before, at, length] of [['data', noise(4 * MiB, 1), 0, 4 * MiB], ['zeros', Buffer.concat([noise(64 * KiB, 1), Buffer.alloc(24 * MiB - 64 * KiB)]), 2 * MiB, 22 * MiB]] as const) {
    it(`25: a diff that leaves out changes of what was ${what} is caught by the audit: the disk is compared whole, and the job says so`, async () => {
      home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: before }));
      await home.backUp('web01');
      await writeDisk(home, 'web01', 'data', Buffer.alloc(length, 'changed '), at);
      plan(home, { kind: 'omitRanges', count: 1, path: 'web01_data', times: 1 });
      const job = await home.backUp('web01');
      assertAllFired(home);
      assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
      assert.match(job.warnings.join('\n'), /Ranges of web01_data were left out/);
      assert.deepEqual((await home.points()).at(-1)?.disks.map(({ mode }) => mode), ['incremental', 'compared']);
      for (const disk of ['os', 'data']) await assertLatestIs(home, `web01_${disk}`, await readImage(home, 'web01', disk));
      await home.assertClean(1);
    });
  }
});

/** Deletes what is there of restore points and snapshots, as a tidy person would. */
async function deleteBases(home: Home): Promise<void> {
  const { calls, url } = home.standIn;
  const made = calls.all().filter(({ method, path, status }) => method === 'PUT' && status === 201 && /\/(restorePoints|snapshots)\/[^/]+$/i.test(path)).map(({ path }) => path);
  assert.ok(made.length > 0);
  for (const path of made) {
    await fetch(`${url}${path}?api-version=2025-04-01`, { method: 'DELETE' });
    await fetch(`${url}${path}?api-version=2025-04-01`);
  }
}
