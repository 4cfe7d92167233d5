import assert from 'node:assert/strict';
import { Bench, blobClient, mib, noise } from './bench';

const os = noise(2 * mib, 1);
const data = noise(mib, 2);

describe('stand-in: restore points', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await Bench.start({ 'web/os.img': os, 'web/data.img': data });
  });
  afterEach(() => bench.stop());

  const collection = (vm = 'web'): Promise<unknown> => bench.compute.restorePointCollections.createOrUpdate('rg', 'rpc', { location: 'local', source: { id: bench.vmId(vm) }, tags: { made: 'test' } });
  const point = (name: string, options: object = {}) => bench.compute.restorePoints.create('rg', 'rpc', name, options);
  const pointId = (name: string): string => bench.id('rg', `restorePointCollections/rpc/restorePoints/${name}`);

  it('captures all disks of a VM, as the genuine client sees it', async () => {
    await collection();
    const made = await point('rp1');
    assert.equal(made.provisioningState, 'Succeeded');
    const profile = made.sourceMetadata?.storageProfile;
    assert.equal(profile?.osDisk?.managedDisk?.id, bench.diskId('web_os'));
    assert.match(profile?.osDisk?.diskRestorePoint?.id ?? '', /diskRestorePoints\/web_os_[0-9a-f-]{36}$/);
    assert.deepEqual(profile?.dataDisks?.map((disk) => [disk.lun, disk.name]), [[0, 'web_data']]);
    const read = await bench.compute.restorePoints.get('rg', 'rpc', 'rp1', { expand: 'instanceView' });
    assert.deepEqual(read.instanceView?.diskRestorePoints?.map((disk) => disk.replicationStatus?.completionPercent), [100, 100]);
    const disks = [];
    for await (const disk of bench.compute.diskRestorePoint.listByRestorePoint('rg', 'rpc', 'rp1')) disks.push(disk);
    assert.equal(disks.length, 2);
    const osDisk = await bench.compute.disks.get('local', 'web_os');
    const one = await bench.compute.diskRestorePoint.get('rg', 'rpc', 'rp1', disks[0]?.name ?? '');
    assert.equal(one.sourceUniqueId, osDisk.uniqueId);
    assert.match(one.familyId ?? '', /^[0-9a-f-]{36}$/);
    assert.equal(one.completionPercent, 100);
  });

  it('gives the bytes of that moment, whatever is written later', async () => {
    await collection();
    const made = await point('rp1');
    await bench.put('web/os.img', noise(2 * mib, 99));
    const name = made.sourceMetadata?.storageProfile?.osDisk?.diskRestorePoint?.id?.split('/').at(-1) ?? '';
    const { accessSAS } = await bench.compute.diskRestorePoint.grantAccess('rg', 'rpc', 'rp1', name, { access: 'Read', durationInSeconds: 600 });
    const bytes = await blobClient(accessSAS ?? '').downloadToBuffer();
    assert.equal(bytes.length, os.length + 512);
    assert.ok(bytes.subarray(0, os.length).equals(os));
    assert.equal(bytes.toString('latin1', os.length, os.length + 8), 'conectix');
    await assert.rejects(bench.compute.restorePoints.delete('rg', 'rpc', 'rp1'), (error: { code?: string }) => error.code === 'DiskRestorePointUsedByCustomer');
    await bench.compute.diskRestorePoint.revokeAccess('rg', 'rpc', 'rp1', name);
    await bench.compute.restorePoints.delete('rg', 'rpc', 'rp1');
    assert.equal((await bench.arm('GET', pointId('rp1'))).status, 404);
    assert.equal((await bench.arm('DELETE', pointId('rp1'))).status, 204);
  });

  it('answers 201 with both polling headers and goes from Creating to Succeeded', async () => {
    await bench.standIn.stop();
    await bench.open({ operationPolls: 2 });
    await collection();
    const put = await bench.arm('PUT', pointId('rp1'), { properties: {} });
    assert.equal(put.status, 201);
    assert.equal((put.body['properties'] as { provisioningState: string }).provisioningState, 'Creating');
    assert.ok(put.headers.get('retry-after'));
    assert.match(put.headers.get('location') ?? '', /monitor=true/);
    const states = [];
    for (let poll = 0; poll < 3; poll++) states.push(((await (await fetch(put.headers.get('azure-asyncoperation') ?? '')).json()) as { status: string }).status);
    assert.deepEqual(states, ['InProgress', 'InProgress', 'Succeeded']);
    assert.equal((await fetch(put.headers.get('location') ?? '')).status, 200);
  });

  it('ends an operation also for a client that polls the resource alone', async () => {
    await bench.standIn.stop();
    await bench.open({ operationPolls: 1 });
    await collection();
    await bench.arm('PUT', pointId('rp1'), { properties: {} });
    const states = [];
    for (let poll = 0; poll < 2; poll++) states.push(((await bench.arm('GET', pointId('rp1'))).body['properties'] as { provisioningState: string }).provisioningState);
    assert.deepEqual(states, ['Creating', 'Succeeded']);
  });

  it('claims no more consistency than the folder earns', async () => {
    await collection();
    assert.equal((await point('plain')).consistencyMode, 'CrashConsistent');
    await bench.put('web/vm.json', JSON.stringify({ consistency: 'application' }));
    assert.equal((await point('app')).consistencyMode, 'ApplicationConsistent');
    assert.equal((await point('asked', { consistencyMode: 'CrashConsistent' })).consistencyMode, 'CrashConsistent');
    await bench.put('web/vm.json', JSON.stringify({ consistency: 'file-system' }));
    assert.equal((await point('fs')).consistencyMode, 'FileSystemConsistent');
    await assert.rejects(point('bad', { consistencyMode: 'ApplicationConsistent' }), (error: { code?: string }) => error.code === 'InvalidParameter');
  });

  it('leaves excluded disks out and refuses shared ones that are not', async () => {
    await bench.put('web/vm.json', JSON.stringify({ disks: { 'data.img': { maxShares: 2 } } }));
    await collection();
    await assert.rejects(point('all'), (error: { code?: string }) => error.code === 'VMRestorePointClientError');
    const made = await point('some', { excludeDisks: [{ id: bench.diskId('WEB_data') }] });
    assert.deepEqual(made.sourceMetadata?.storageProfile?.dataDisks, []);
    await assert.rejects(point('none', { excludeDisks: [{ id: bench.diskId('web_data') }, { id: bench.diskId('web_os') }] }), /at least one disk/);
  });

  it('refuses crash-consistent points of disks that cannot have them', async () => {
    await bench.put('web/vm.json', JSON.stringify({ disks: { 'data.img': { sku: 'UltraSSD_LRS' } } }));
    await collection();
    await assert.rejects(point('crash', { consistencyMode: 'CrashConsistent' }), (error: { code?: string }) => error.code === 'OperationNotAllowed');
  });

  it('takes one restore point of a VM at a time', async () => {
    await bench.standIn.stop();
    await bench.open({ operationPolls: 5 });
    await collection();
    assert.equal((await bench.arm('PUT', pointId('one'), { properties: {} })).status, 201);
    const second = await bench.arm('PUT', pointId('two'), { properties: {} });
    assert.equal(second.status, 409);
    assert.match(second.body.error?.message ?? '', /concurrent/);
  });

  it('answers a repeated PUT with what is there and refuses one that differs', async () => {
    await collection();
    await point('rp1');
    assert.equal((await bench.arm('PUT', pointId('rp1'), { properties: {} })).status, 200);
    const differs = await bench.arm('PUT', pointId('rp1'), { properties: { consistencyMode: 'CrashConsistent' } });
    assert.equal(differs.body.error?.code, 'PropertyChangeNotAllowed');
  });

  it('keeps collections: tags, lists, expansion, and deletion with all that is in them', async () => {
    await collection();
    await point('rp1');
    await bench.compute.restorePointCollections.update('rg', 'rpc', { tags: { changed: 'yes' } });
    const read = await bench.compute.restorePointCollections.get('rg', 'rpc', { expand: 'restorePoints' });
    assert.deepEqual(read.tags, { changed: 'yes' });
    assert.deepEqual(read.restorePoints?.map((item) => item.name), ['rp1']);
    const listed = [];
    for await (const item of bench.compute.restorePointCollections.listAll()) listed.push(item.name);
    for await (const item of bench.compute.restorePointCollections.list('rg')) listed.push(item.name);
    for await (const item of bench.compute.restorePointCollections.list('other')) listed.push(item.name);
    assert.deepEqual(listed, ['rpc', 'rpc']);
    await bench.compute.restorePointCollections.delete('rg', 'rpc');
    assert.equal((await bench.arm('GET', pointId('rp1'))).status, 404);
    assert.equal((await bench.arm('GET', bench.id('rg', 'restorePointCollections/rpc'))).status, 404);
  });

  it('needs a VM that is there: 404 for the collection of none, and for a point after it went', async () => {
    await assert.rejects(collection('nobody'), (error: { statusCode?: number }) => error.statusCode === 404);
    await collection();
    const id = bench.standIn.faults.add({ kind: 'deleteVm', vm: 'web' });
    await assert.rejects(point('rp1'), (error: { statusCode?: number }) => error.statusCode === 404);
    assert.equal(bench.standIn.faults.fired(id), 1);
  });

  it('keeps the numbers of restore points, in all and by the hour', async () => {
    await bench.standIn.stop();
    await bench.open({ restorePointsPerVm: 3, restorePointsPerVmPerHour: 2 });
    await collection();
    await point('one');
    await point('two');
    const third = await bench.arm('PUT', pointId('three'), { properties: {} });
    assert.equal(third.status, 429);
    assert.ok(third.headers.get('retry-after'));
    bench.nowMs += 61 * 60 * 1000;
    await point('three');
    bench.nowMs += 61 * 60 * 1000;
    assert.match((await bench.arm('PUT', pointId('four'), { properties: {} })).body.error?.message ?? '', /maximum/);
  });
});
