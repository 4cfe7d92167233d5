import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { addVm, halfDisk, type Home, noise, readImage, startHome, writeDisk } from '../support/home';
import { ask, assertDiskIs, assertLeft, diskIdOf, restoreAndWait, restoreJob, startRestore, stateOf, vmIdOf } from '../support/restores';

const MiB = 1024 * 1024;

async function backedUp(home: Home): Promise<string> {
  const job = await home.backUp('web01');
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
  return job.recoveryPoint ?? '';
}

const subnetId = (home: Home): string => `/subscriptions/${home.standIn.subscriptionId}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s`;

describe('a restore to a new disk', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('brings each recovery point back byte for byte, with its footer, and leaves nothing open', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(22, 1), data: noise(3 * MiB + 512, 2) }));
    const first = await backedUp(home);
    const before = await readImage(home, 'web01', 'data');
    await writeDisk(home, 'web01', 'data', noise(8192, 5), 65536);
    await writeDisk(home, 'web01', 'os', Buffer.alloc(4 * MiB), MiB);
    const second = await backedUp(home);
    const old = await restoreAndWait(home, first, { id: 'old', target: { kind: 'disk', disk: 'web01_data', name: 'old-data' } });
    assert.equal(old.state, 'succeeded', JSON.stringify(old));
    assert.deepEqual([old.kind, old.recoveryPoint, old.target, old.progress.percent, old.restored], ['restore', first, 'disk', 100, { made: [diskIdOf(home, 'old-data')], oldDisks: [] }]);
    await assertDiskIs(home, diskIdOf(home, 'old-data'), before);
    const os = await restoreAndWait(home, second, { target: { kind: 'disk', disk: 'os', name: 'new-os' } });
    assert.equal(os.state, 'succeeded', JSON.stringify(os));
    await assertDiskIs(home, diskIdOf(home, 'new-os'), await readImage(home, 'web01', 'os'));
    await assertLeft(home, ['new-os', 'old-data']);
    assert.ok((os.writtenBytes ?? 0) < 12 * MiB, 'zeros are not written');
  });

  it('40: asked twice it is one job, also by the header; another body under its id is refused', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }));
    const point = await backedUp(home);
    const target = { kind: 'disk', name: 'back' };
    const ids = await Promise.all([startRestore(home, point, { id: 'mine', target }), startRestore(home, point, { id: 'mine', target })]);
    assert.deepEqual(ids, ['restore.mine', 'restore.mine']);
    await home.host.waitFor('restore.mine', { until: 'finished' });
    assert.equal((await restoreJob(home, 'restore.mine')).state, 'succeeded');
    assert.equal(await startRestore(home, point, { id: 'mine', target }), 'restore.mine', 'also when it is over');
    const other = await ask(home, point, { id: 'mine', target: { ...target, name: 'other' } });
    assert.deepEqual([other.status, (other.body as { code: string }).code], [409, 'RESTORE_ID_TAKEN']);
    const keyed = await Promise.all([1, 2].map(() => ask(home, point, { target: { ...target, name: 'keyed' } }, { 'idempotency-key': 'k-1' })));
    assert.equal((keyed[0]?.body as { id: string }).id, (keyed[1]?.body as { id: string }).id);
    const jobs = await home.list<{ kind: string }>('/api/jobs');
    assert.deepEqual(jobs.map(({ kind }) => kind).sort(), ['backup', 'restore', 'restore']);
  });
});

describe('a restore to a machine', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('20: makes a new one from what was recorded, although the old one is deleted', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: noise(MiB, 2), more: noise(MiB, 3) }, { vmSize: 'Standard_D4s_v5', tags: { team: 'a' }, disks: { 'data.img': { caching: 'ReadOnly' } } }));
    const point = await backedUp(home);
    const [os, data, more] = await Promise.all(['os', 'data', 'more'].map((disk) => readImage(home, 'web01', disk)));
    await rename(path.join(home.disksFolder, 'web01'), path.join(home.folder, 'web01-gone'));
    const job = await restoreAndWait(home, point, { id: 'again', target: { kind: 'vm', name: 'web02', network: { subnetId: subnetId(home) } } });
    assert.equal(job.state, 'succeeded', JSON.stringify(job));
    const vm = (await stateOf(home)).vms[vmIdOf(home, 'web02').toLowerCase()];
    assert.ok(vm?.made);
    assert.deepEqual([vm.made.vmSize, vm.made.osType, vm.tags['team'], vm.now.power], ['Standard_D4s_v5', 'Linux', 'a', 'running']);
    assert.deepEqual(vm.now.attached.map(({ lun, caching }) => [lun, caching]), [[0, 'ReadOnly'], [1, 'None']]);
    await assertDiskIs(home, vm.now.os?.diskId ?? '', os as Buffer);
    await assertDiskIs(home, vm.now.attached[0]?.diskId ?? '', data as Buffer);
    await assertDiskIs(home, vm.now.attached[1]?.diskId ?? '', more as Buffer);
    await assertLeft(home, ['web02-lun0-again', 'web02-lun1-again', 'web02-os-again']);
  });

  it('exchanges the disks of one that is there, and keeps the old ones until told otherwise', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: noise(MiB, 2) }));
    const point = await backedUp(home);
    const images = [await readImage(home, 'web01', 'os'), await readImage(home, 'web01', 'data')] as const;
    await writeDisk(home, 'web01', 'os', noise(MiB, 77), 0);
    const job = await restoreAndWait(home, point, { id: 'back', target: { kind: 'in-place' } });
    assert.equal(job.state, 'succeeded', JSON.stringify(job));
    assert.deepEqual(job.restored?.oldDisks, [diskIdOf(home, 'web01_os'), diskIdOf(home, 'web01_data')]);
    const vm = await home.deps.restoreCloud.getVmState(vmIdOf(home, 'web01'));
    assert.equal(vm?.power, 'running');
    await assertDiskIs(home, vm?.osDiskId ?? '', images[0]);
    await assertDiskIs(home, vm?.dataDisks[0]?.diskId ?? '', images[1]);
    for (const name of ['web01_os', 'web01_data']) assert.equal((await home.deps.restoreCloud.getDisk(diskIdOf(home, name)))?.managedBy, null, `${name} is kept, attached to nothing`);
    await assertLeft(home, ['web01_data-back', 'web01_os-back']);

    // The next backup sees other disks in the old places (fault 22), and is right.
    const next = await backedUp(home);
    assert.notEqual(next, point);
    assert.ok((await home.restore(next, 'web01_os-back')).subarray(0, images[0].length).equals(images[0]));

    const again = await restoreAndWait(home, point, { id: 'third', target: { kind: 'in-place', disks: ['0'], keepOldDisks: false } });
    assert.equal(again.state, 'succeeded', JSON.stringify(again));
    await assertLeft(home, ['web01_data-third', 'web01_os-back']);
  });
});
