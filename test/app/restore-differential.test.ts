import assert from 'node:assert/strict';
import { truncate } from 'node:fs/promises';
import type { Store } from '../../vault/store/store';
import { createRestoreSlice } from '../../activities/restore-slice';
import { toBitmap } from '../../orchestrations/bitmap';
import { createFaultStore, createHold, type FaultStore } from '../support/fault-store';
import { addVm, halfDisk, type Home, imagePath, noise, readImage, startHome, writeDisk } from '../support/home';
import { lookUntil } from '../support/upload-disk';
import { ask, asleep, assertDiskIs, assertLeft, diskIdOf, madeSnapshots, restoreAndWait, restoreJob, startRestore, stateOf, vmIdOf } from '../support/restores';

const MiB = 1024 * 1024;

async function backedUp(home: Home): Promise<string> {
  const job = await home.backUp('web01');
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
  return job.recoveryPoint ?? '';
}

describe('a restore in place by difference', () => {
  let home: Home;
  let packBytes = 0;
  afterEach(() => home.dispose());

  /** Counts what is read of data packs. */
  const counting = (store: Store): Store => ({
    description: store.description, create: (name, data) => store.create(name, data), stat: (name) => store.stat(name), list: (prefix) => store.list(prefix), delete: (name) => store.delete(name),
    serverTimeMs: () => store.serverTimeMs(), close: () => store.close(),
    async read(name, range) {
      const bytes = await store.read(name, range);
      if (name.startsWith('packs/data/')) packBytes += bytes.length;
      return bytes;
    },
  });

  it('has Azure copy what the disks still have, and takes from the vault what differs alone', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: 65 * MiB, odd: noise(3 * MiB + 512, 3), same: halfDisk(2, 4) }), { wrapStore: counting });
    for (const offset of [0, 64 * MiB - 4096]) await writeDisk(home, 'web01', 'data', noise(MiB, offset), offset);
    const point = await backedUp(home);
    const wanted = await Promise.all(['os', 'data', 'odd', 'same'].map((disk) => readImage(home, 'web01', disk)));
    await writeDisk(home, 'web01', 'os', noise(4096, 9), 65_536);
    await writeDisk(home, 'web01', 'os', noise(4096, 10), 1.5 * MiB);
    await writeDisk(home, 'web01', 'data', Buffer.alloc(70_000), 1000);
    await writeDisk(home, 'web01', 'odd', noise(512, 11), 3 * MiB);
    await backedUp(home);
    packBytes = 0;
    home.standIn.calls.clear();
    const job = await restoreAndWait(home, point, { id: 'diff', target: { kind: 'in-place', differential: true } });
    const { data } = home.standIn.calls;
    assert.equal(job.state, 'succeeded', JSON.stringify(job));
    const vm = await home.deps.restoreCloud.getVmState(vmIdOf(home, 'web01'));
    assert.equal(vm?.power, 'running');
    const inPlace = [vm.osDiskId, ...vm.dataDisks.map(({ diskId }) => diskId)];
    for (const [index, diskId] of inPlace.entries()) await assertDiskIs(home, diskId, wanted[index] as Buffer);
    const held = MiB + 2 * MiB + 3 * MiB + MiB;
    const differing = (job.writtenBytes ?? 0) - 4096;
    assert.ok(differing > 0 && differing < 1.5 * MiB, `${job.writtenBytes} written`);
    assert.ok((job.copiedBytes ?? 0) > held - 1.5 * MiB, `${job.copiedBytes} copied`);
    // Four footers were written, and the last block of an odd disk only as far as it goes.
    assert.deepEqual([data.bytesCopied, Math.abs(data.bytesWritten - 4 * 512 - (job.writtenBytes ?? 0)) <= 4096], [job.copiedBytes, true], JSON.stringify(data));
    assert.ok(packBytes < 2 * (job.writtenBytes ?? 0) + 4 * 32 * 1024, `${packBytes} bytes were read of data packs`);
    assert.deepEqual(job.warnings, []);
    await assertLeft(home, ['web01_data-diff', 'web01_odd-diff', 'web01_os-diff', 'web01_same-diff']);
    assert.equal((await home.deps.restoreCloud.getDisk(diskIdOf(home, 'web01_os')))?.managedBy, null, 'the old disk is kept');
  });

  it('compares with whatever is there: a smaller disk, a larger one, the disk of an earlier restore', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: noise(3 * MiB, 2) }));
    const point = await backedUp(home);
    const [os, data] = [await readImage(home, 'web01', 'os'), await readImage(home, 'web01', 'data')];
    await truncate(imagePath(home, 'web01', 'os'), 3 * MiB);
    await truncate(imagePath(home, 'web01', 'data'), MiB);
    for (const [id, least] of [['one', 1.5 * MiB], ['two', 4 * MiB]] as const) {
      const job = await restoreAndWait(home, point, { id, target: { kind: 'in-place', differential: true, keepOldDisks: id === 'one' } });
      assert.equal(job.state, 'succeeded', JSON.stringify(job));
      assert.ok((job.copiedBytes ?? 0) >= least, `${id}: ${job.copiedBytes} copied, ${job.writtenBytes} written`);
      await assertDiskIs(home, diskIdOf(home, `web01_os-${id}`), os);
      await assertDiskIs(home, diskIdOf(home, `web01_data-${id}`), data);
    }
    await assertLeft(home, ['web01_data-two', 'web01_os-two']);
  });
});

describe('a restore in place by difference, when things go wrong', () => {
  let home: Home;
  let store: FaultStore;
  let point: string;
  let data: Buffer;
  const target = { kind: 'in-place', disks: ['0'], differential: true };
  const newDisk = (id: string): string => diskIdOf(home, `web01_data-${id}`);
  beforeEach(async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: noise(3 * MiB, 2) }), { wrapStore: (plain) => (store = createFaultStore(plain)) });
    point = await backedUp(home);
    data = await readImage(home, 'web01', 'data');
    await writeDisk(home, 'web01', 'data', noise(4096, 9), MiB);
  });
  afterEach(() => home.dispose());

  it('18: access that expires in the middle, to the new disk and to the snapshot, is renewed', async () => {
    home.standIn.faults.add({ kind: 'expireAccess', method: 'PUT', path: 'comp=page', times: 1 });
    home.standIn.faults.add({ kind: 'expireAccess', method: 'GET', path: 'snapshots/web01_data-one', times: 1 });
    const job = await restoreAndWait(home, point, { id: 'one', target });
    assert.equal(job.state, 'succeeded', JSON.stringify(job));
    assert.deepEqual(home.standIn.faults.unfired(), []);
    await assertDiskIs(home, newDisk('one'), data);
    await assertLeft(home, ['web01_data-one']);
  });

  it('takes all of it from the vault where Azure refuses to copy, and says so', async () => {
    home.standIn.faults.add({ kind: 'refuseCopy', code: 'CannotVerifyCopySource', times: 100 });
    const job = await restoreAndWait(home, point, { id: 'one', target });
    assert.equal(job.state, 'succeeded', JSON.stringify(job));
    assert.deepEqual([job.writtenBytes, job.copiedBytes, home.standIn.calls.data.bytesCopied], [3 * MiB, 0, 0]);
    assert.match(job.warnings.join(), /Azure refused to copy \d{7} bytes/);
    await assertDiskIs(home, newDisk('one'), data);
    await assertLeft(home, ['web01_data-one']);
  });

  it('26: waits until the snapshot can be read; one that fails ends the restore before anything is written', async () => {
    home.standIn.faults.add({ kind: 'stallCopy', percent: 40, looks: 5, path: 'snapshots/web01_data-slow' });
    const slow = await restoreAndWait(home, point, { id: 'slow', target });
    assert.equal(slow.state, 'succeeded', JSON.stringify(slow));
    await assertDiskIs(home, newDisk('slow'), data);
    home.standIn.faults.add({ kind: 'failOperation', code: 'SnapshotFailed', message: 'no', path: 'snapshots/web01_data-bad$' });
    home.standIn.calls.clear();
    const bad = await restoreAndWait(home, point, { id: 'bad', target: { ...target, disks: ['0'] } });
    assert.deepEqual(home.standIn.faults.unfired(), []);
    assert.deepEqual([bad.state, bad.error?.code, bad.left], ['failed', 'SNAPSHOT_FAILED', []], JSON.stringify(bad));
    assert.equal(home.standIn.calls.data.writes, 0);
    await assertLeft(home, ['web01_data-slow']);
  });

  it('19: where five snapshots of the disk are open it queues, and nobody else loses access', async () => {
    const others: string[] = [];
    for (let n = 0; n < 5; n++) {
      const id = diskIdOf(home, `other-${n}`).replace('/disks/', '/snapshots/');
      await home.deps.cloud.startSnapshot({ id, diskId: diskIdOf(home, 'web01_data'), location: 'local', tags: {} });
      await lookUntil(() => home.deps.cloud.getSnapshot(id), (snapshot) => snapshot?.state === 'succeeded');
      await home.deps.cloud.grantRead({ kind: 'snapshot', id }, 10 * 86_400);
      others.push(id);
    }
    const id = await startRestore(home, point, { id: 'one', target });
    await home.host.advanceTo(home.clock.now() + 6 * 3_600_000);
    assert.deepEqual([(await restoreJob(home, id)).state, (await home.leftovers()).open.length], ['running', 5]);
    await home.deps.cloud.endAccess({ kind: 'snapshot', id: others[0] ?? '' });
    await home.host.waitFor(id, { until: 'finished' });
    const job = await restoreJob(home, id);
    assert.equal(job.state, 'succeeded', JSON.stringify(job));
    await assertDiskIs(home, newDisk('one'), data);
    assert.equal((await home.leftovers()).open.length, 4);
    assert.deepEqual(await madeSnapshots(home), []);
  });

  it('cancelled at any step, the machine is as it was, and neither disk nor snapshot nor access is left', async () => {
    for (const [index, matching] of [/\/plan$/, /\/s0000$/, /\/footer$/, /\/done$/, /\/machine$/].entries()) {
      const hold = createHold();
      store.plan({ operation: 'create', matching: new RegExp(`^restores/c${index}.*${matching.source}`), fault: { kind: 'hold', hold } });
      const id = await startRestore(home, point, { id: `c${index}`, target });
      const finished = home.host.waitFor(id, { until: 'finished' });
      await hold.reached;
      if (index === 1) assert.deepEqual(await madeSnapshots(home), ['web01_data-c1']);
      const cancelled = await home.json(`/api/jobs/${id}/cancel`, { method: 'POST' });
      assert.equal(cancelled.status, 202, cancelled.text);
      hold.release();
      await finished;
      const job = await restoreJob(home, id);
      assert.deepEqual([job.state, job.error?.code, job.left], ['cancelled', 'CANCELLED', []], String(matching));
      await assertLeft(home, []);
      const vm = await home.deps.restoreCloud.getVmState(vmIdOf(home, 'web01'));
      assert.deepEqual([vm?.power, vm?.dataDisks.map(({ diskId }) => diskId)], ['running', [diskIdOf(home, 'web01_data')]]);
    }
  });

  it('7: a slice that wakes after the restore is done writes nothing, and leaves no access', async () => {
    const [holdSlice, holdStep] = [createHold(), createHold()];
    store.plan({ operation: 'create', matching: /^restores\/one\/d1\/r0000\/s0000$/, fault: { kind: 'hold', hold: holdStep } });
    const id = await startRestore(home, point, { id: 'one', target });
    const finished = home.host.waitFor(id, { until: 'finished' });
    await holdStep.reached;
    const late = createRestoreSlice(asleep(home, holdSlice, 'restoreCloud', 'grantDiskWrite'))({ restoreId: 'one', disk: 1, region: 0, windows: toBitmap([0]) });
    await holdSlice.reached;
    holdStep.release();
    await finished;
    home.standIn.calls.clear();
    holdSlice.release();
    const outcome = await late;
    assert.equal(outcome.ok ? '' : outcome.error.code, 'CLOUD_STATE_WRONG');
    assert.deepEqual([home.standIn.calls.data.writes, (await restoreJob(home, id)).state], [0, 'succeeded']);
    await assertDiskIs(home, newDisk('one'), data);
    await assertLeft(home, ['web01_data-one']);
  });

  it('40: a snapshot of its name that is not its own is refused, before or while it is made, and stays', async () => {
    const snapshotId = (id: string): string => newDisk(id).replace('/disks/', '/snapshots/');
    const put = (id: string): Promise<unknown> => home.deps.cloud.startSnapshot({ id: snapshotId(id), diskId: diskIdOf(home, 'web01_data'), location: 'local', tags: { mine: 'yes' } });
    await put('early');
    const early = await ask(home, point, { id: 'early', target });
    assert.deepEqual([early.status, (early.body as { code: string }).code], [409, 'TARGET_EXISTS'], early.text);
    const hold = createHold();
    store.plan({ operation: 'create', matching: /^restores\/late\/plan$/, fault: { kind: 'hold', hold } });
    const id = await startRestore(home, point, { id: 'late', target });
    const finished = home.host.waitFor(id, { until: 'finished' });
    await hold.reached;
    await put('late');
    hold.release();
    await finished;
    const late = await restoreJob(home, id);
    assert.deepEqual([late.state, late.error?.code], ['failed', 'TARGET_EXISTS'], JSON.stringify(late));
    await assertLeft(home, []);
    assert.deepEqual(Object.values((await stateOf(home)).snapshots).map(({ name }) => name).sort(), ['web01_data-early', 'web01_data-late']);
  });

  it('I7: no access signature in histories, answers or logs', async () => {
    home.standIn.faults.add({ kind: 'refuseCopy', code: 'CannotVerifyCopySource', times: 100 });
    const answers = [JSON.stringify(await restoreAndWait(home, point, { id: 'a', target }))];
    const histories = home.host.client.list().map(({ instanceId }) => JSON.stringify([home.host.client.getStatus(instanceId, { showHistory: true, showHistoryOutput: true }), home.host.client.history(instanceId)]));
    for (const text of [...histories, ...answers, ...home.logs]) assert.equal(text.search(/sig=|sv=20/i), -1);
  });
});
