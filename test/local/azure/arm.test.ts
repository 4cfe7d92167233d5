import assert from 'node:assert/strict';
import { writeFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Bench, blobClient, mib, noise } from './bench';

describe('stand-in: virtual machines and disks', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await Bench.start({
      'web/os.img': noise(2 * mib, 1), 'web/data.raw': noise(mib, 2), 'web/a-archive.img': noise(mib, 3), 'web/notes.txt': 'hello\n'.repeat(300),
      'web/vm.json': JSON.stringify({ tags: { env: 'test' }, osType: 'Windows', disks: { 'data.raw': { caching: 'ReadOnly', sku: 'StandardSSD_LRS' } } }),
      'db/first.img': noise(mib, 4),
    });
  });
  afterEach(() => bench.stop());

  it('shows each folder as a VM to the genuine client, the OS disk first and the others by LUN', async () => {
    const vms = [];
    for await (const vm of bench.compute.virtualMachines.listAll()) vms.push(vm);
    assert.deepEqual(vms.map((vm) => vm.name), ['db', 'web']);
    const web = await bench.compute.virtualMachines.get('local', 'WEB', { expand: 'instanceView' });
    assert.equal(web.storageProfile?.osDisk?.name, 'web_os');
    assert.equal(web.storageProfile?.osDisk?.osType, 'Windows');
    assert.deepEqual(web.storageProfile?.dataDisks?.map((disk) => [disk.lun, disk.name, disk.caching]), [[0, 'web_a-archive', 'None'], [1, 'web_data', 'ReadOnly']]);
    assert.deepEqual(web.tags, { env: 'test' });
    assert.equal(web.instanceView?.statuses?.some((status) => status.code === 'PowerState/running'), true);
    assert.equal(web.id, bench.vmId('web'));
    const disk = await bench.compute.disks.get('local', 'web_data');
    assert.equal(disk.diskSizeBytes, mib);
    assert.equal(disk.sku?.name, 'StandardSSD_LRS');
    assert.equal(disk.managedBy, bench.vmId('web'));
  });

  it('lists disks of the subscription and of a resource group', async () => {
    const names = [];
    for await (const disk of bench.compute.disks.list()) names.push(disk.name);
    assert.deepEqual(names, ['db_first', 'web_os', 'web_a-archive', 'web_data']);
    const none = [];
    for await (const disk of bench.compute.disks.listByResourceGroup('other')) none.push(disk.name);
    assert.deepEqual(none, []);
  });

  it('says once that a file is no disk image, and leaves it out', async () => {
    await bench.arm('GET', bench.vmId('web'));
    await bench.arm('GET', bench.vmId('web'));
    assert.equal(bench.logged.filter((line) => line.includes('notes.txt')).length, 1);
  });

  it('sees new machines, new disks and a resize at the next request', async () => {
    await bench.put('new/os.img', noise(mib, 9));
    await bench.put('db/second.img', noise(mib, 9));
    await bench.put('db/first.img', noise(3 * mib, 9));
    assert.equal((await bench.compute.virtualMachines.get('local', 'new')).name, 'new');
    assert.equal((await bench.compute.virtualMachines.get('local', 'db')).storageProfile?.dataDisks?.length, 1);
    assert.equal((await bench.compute.disks.get('local', 'db_first')).diskSizeBytes, 3 * mib);
  });

  it('keeps a disk its unique id while it is written in place, and gives a file that takes its place another', async () => {
    const before = await bench.compute.disks.get('local', 'db_first');
    await writeFile(join(bench.disksFolder, 'db/first.img'), noise(mib, 77), { flag: 'r+' });
    assert.equal((await bench.compute.disks.get('local', 'db_first')).uniqueId, before.uniqueId);
    await writeFile(join(bench.disksFolder, 'replacement'), noise(mib, 78));
    await rename(join(bench.disksFolder, 'replacement'), join(bench.disksFolder, 'db/first.img'));
    assert.notEqual((await bench.compute.disks.get('local', 'db_first')).uniqueId, before.uniqueId);
  });

  it('gives disks different names where the plain rule would give them one', async () => {
    await bench.put('a_b/c.img', noise(mib, 1));
    await bench.put('a/b_c.img', noise(mib, 1));
    await bench.put('a/b_c.raw', noise(mib, 1));
    const names = [];
    for await (const disk of bench.compute.disks.list()) names.push(disk.name?.toLowerCase());
    assert.equal(new Set(names).size, names.length);
    assert.equal(names.length, 7);
  });

  it('ignores a broken vm.json with a warning that names what is wrong', async () => {
    await bench.put('db/vm.json', JSON.stringify({ osTyp: 'Linux' }));
    assert.equal((await bench.arm('GET', bench.vmId('db'))).status, 200);
    assert.match(bench.logged.join('\n'), /db\/vm\.json is ignored:.*osTyp/);
  });

  it('refuses in the words of Resource Manager', async () => {
    const missing = await bench.arm('GET', bench.vmId('nobody'));
    assert.equal(missing.status, 404);
    assert.equal(missing.body.error?.code, 'ResourceNotFound');
    await assert.rejects(bench.compute.virtualMachines.get('local', 'nobody'), (error: { statusCode?: number; code?: string }) => error.statusCode === 404 && error.code === 'ResourceNotFound');
    assert.equal((await bench.arm('GET', '/subscriptions/00000000-0000-0000-0000-000000000000')).body.error?.code, 'SubscriptionNotFound');
    assert.equal((await bench.arm('POST', bench.vmId('web'))).status, 405);
    assert.deepEqual([(await bench.arm('DELETE', bench.vmId('web'))).status, (await bench.arm('PUT', bench.vmId('web'), { location: 'local' })).status], [409, 409], 'a folder of images is never deleted or made anew');
    assert.equal((await bench.arm('GET', bench.id('local', 'galleries/x'))).body.error?.code, 'InvalidResourceType');
    assert.equal((await (await fetch(`${bench.standIn.url}${bench.vmId('web')}`)).json() as { error: { code: string } }).error.code, 'MissingApiVersionParameter');
    const broken = await fetch(`${bench.standIn.url}${bench.id('rg', 'snapshots/s')}?api-version=2026-03-02`, { method: 'PUT', body: '{' });
    assert.equal(broken.status, 400);
  });

  it('does not answer pages of other sites or foreign host names', async () => {
    const foreign = await fetch(`${bench.standIn.url}/subscriptions?api-version=2022-12-01`, { headers: { 'sec-fetch-site': 'cross-site' } });
    assert.equal(foreign.status, 403);
    assert.equal((await fetch(`${bench.standIn.url}/subscriptions?api-version=2022-12-01`)).status, 200);
  });

  it('records every call with its body and api-version, without secrets', async () => {
    await bench.snapshot('s1', 'db_first');
    const url = await bench.grant('s1');
    await blobClient(url).downloadToBuffer(Buffer.alloc(512), 0, 512);
    const puts = bench.standIn.calls.matching('PUT', /snapshots\/s1$/);
    assert.equal(puts.length, 1);
    assert.equal(puts[0]?.apiVersion, '2026-03-02');
    assert.equal(puts[0]?.status, 201);
    assert.match(JSON.stringify(puts[0]?.body), /"incremental":true/);
    assert.doesNotMatch(JSON.stringify(bench.standIn.calls.all()), /sig=/);
    assert.equal(bench.standIn.calls.data.bytesRead, 512);
  });
});
