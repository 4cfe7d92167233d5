import assert from 'node:assert/strict';
import type { Cloud } from '../../../activities/cloud';
import { diskTargetSpec, type RestoreCloud, type UploadDiskRequest, type VmCreateRequest, type VmState } from '../../../activities/restore-cloud';
import { createCloud, createRestoreCloud } from '../../../azure/compute/cloud';
import { openSnapshotSource } from '../../../azure/disk/snapshot-source';
import { openPageTarget } from '../../../azure/page-target';
import type { ErrorCode } from '../../../errors/catalogue';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { lookUntil, readyDisk } from '../../support/upload-disk';
import { recordedWaiting } from '../../support/wire-server';
import { Bench, blobClient, mib, noise } from './bench';

const size = 20 * mib;
const images = { 'web/os.img': noise(64 * 1024, 1), 'web/data1.img': noise(32 * 1024, 2), 'web/data2.img': noise(32 * 1024, 3) };

describe('stand-in: machines that a restore makes or changes, through the Azure adapter', () => {
  let bench: Bench;
  let restores: RestoreCloud;
  let cloud: Cloud;
  const start = async (options: Parameters<typeof Bench.start>[1] = {}): Promise<void> => {
    bench = await Bench.start(images, options);
    connect();
  };
  const connect = (): void => {
    const settings = {
      subscriptionIds: [bench.standIn.subscriptionId], armEndpoint: bench.standIn.url, waiting: recordedWaiting(),
      credential: { getToken: () => Promise.reject(new Error('no token is needed on loopback')) },
    };
    restores = createRestoreCloud(settings);
    cloud = createCloud(settings);
  };
  beforeEach(() => start());
  afterEach(() => bench.stop());

  const diskId = (name: string): string => bench.id('rg', `disks/${name}`);
  const vmId = (name = 'restored'): string => bench.id('rg', `virtualMachines/${name}`);
  const network = (name: string): string => `/subscriptions/${bench.standIn.subscriptionId}/resourceGroups/net/providers/Microsoft.Network/${name}`;
  /** An upload that was ended, with this in its first bytes. */
  const restoredDisk = async (name: string, content: Buffer, changes: Partial<UploadDiskRequest> = {}): Promise<string> => {
    await readyDisk(restores, {
      id: diskId(name), location: 'local', zone: null, sku: 'Premium_LRS', sizeBytes: size, osType: 'Linux', hyperVGeneration: 'V2', logicalSectorBytes: null, securityType: null, tags: {}, ...changes,
    });
    const target = await openPageTarget(diskTargetSpec(await restores.grantDiskWrite(diskId(name), 600)), () => Promise.reject(new Error('no renewal')));
    await target.write(content, 0);
    await target.writeFooter({ uniqueId: '00112233-4455-6677-8899-aabbccddeeff', createdAtMs: 0 });
    await target.close();
    await restores.endDiskAccess(diskId(name));
    return diskId(name);
  };
  const request = (changes: Partial<VmCreateRequest> = {}): VmCreateRequest => ({
    id: vmId(), location: 'local', zone: null, availabilitySetId: null, size: 'Standard_D2s_v5', osType: 'Linux',
    osDisk: { diskId: diskId('os'), caching: 'ReadWrite', writeAccelerated: false }, dataDisks: [], network: { kind: 'existing', nicIds: [network('networkInterfaces/nic1')] },
    security: null, diskController: null, licenseType: null, plan: null, ultraDisks: false, tags: { 'holdfast-restore': 'r1' }, ...changes,
  });
  const data = (lun: number, name: string) => ({ lun, diskId: diskId(name), caching: 'None', writeAccelerated: false });
  const rejects = async (promise: Promise<unknown>, code: ErrorCode, words?: RegExp) => {
    const error = await promise.then(() => undefined, (reason: unknown) => reason);
    assert.ok(isHoldfastError(error, code), `wanted ${code}, got ${String(error)}`);
    if (words !== undefined) assert.match(error.message, words);
  };
  const state = async (id = vmId()): Promise<VmState> => {
    const found = await restores.getVmState(id);
    assert.ok(found);
    return found;
  };
  const diskState = async (name: string): Promise<unknown> => {
    const found = await restores.getDisk(name.startsWith('/') ? name : diskId(name));
    return [found?.diskState, found?.managedBy?.split('/').at(-1) ?? null];
  };

  it('is made of restored disks, and is backed up like any other (restore points and snapshots read its disks)', async () => {
    const content = noise(mib, 7);
    await restoredDisk('os', content);
    await restoredDisk('data', noise(mib, 8), { osType: null, hyperVGeneration: null });
    const wanted = request({ dataDisks: [data(3, 'data')], network: { kind: 'new', nicName: 'nic-restored', subnetId: network('virtualNetworks/v/subnets/s'), securityGroupId: null } });
    assert.equal(await restores.startCreateVm(wanted), 'started');
    assert.equal(await restores.startCreateVm(wanted), 'exists');
    const made = await state();
    assert.deepEqual([made.state, made.power, made.size, made.osDiskId, made.dataDisks, made.tags], ['succeeded', 'running', 'Standard_D2s_v5', diskId('os'), [{ lun: 3, diskId: diskId('data') }], { 'holdfast-restore': 'r1' }]);
    assert.deepEqual(await diskState('os'), ['Attached', 'restored']);
    assert.deepEqual((await cloud.listVms()).map(({ name }) => name), ['web', 'restored']);
    const described = await cloud.getVm(vmId());
    assert.deepEqual(described.disks.map(({ lun, name, sizeBytes, managed }) => [lun, name, sizeBytes, managed]), [['os', 'os', size, true], ['3', 'data', size, true]]);
    assert.match(JSON.stringify(described.model), /networkInterfaces\/nic-restored/);
    const ref = { subscriptionId: bench.standIn.subscriptionId, resourceGroup: 'rg', collection: 'c', name: 'p' };
    await cloud.startRestorePoint({ ...ref, vmId: vmId(), location: 'local', excludeDiskIds: [], crashConsistent: true, tags: {} });
    const point = await lookUntil(() => cloud.getRestorePoint(ref), (found) => found?.state === 'succeeded');
    const handle = point?.disks.find(({ lun }) => lun === 'os')?.handle;
    assert.ok(handle);
    const source = openSnapshotSource(await cloud.grantRead(handle, 600), () => Promise.reject(new Error('no renewal')));
    const read = Buffer.alloc(mib);
    await source.readInto(read, 0);
    await source.close();
    assert.ok(read.equals(content));
  });

  it('is refused where Azure refuses it: disks that are taken, in upload, elsewhere, or of another kind; NICs in use', async () => {
    await restoredDisk('os', noise(mib, 7));
    await restoredDisk('second', noise(mib, 7));
    await restoredDisk('data', noise(mib, 8), { osType: null, hyperVGeneration: null });
    await restoredDisk('far', noise(mib, 8), { location: 'elsewhere' });
    await restoredDisk('zonal', noise(mib, 8), { zone: '1' });
    await restoredDisk('old', noise(mib, 8), { hyperVGeneration: 'V1' });
    await restoredDisk('trusted', noise(mib, 8), { securityType: 'TrustedLaunch' });
    await readyDisk(restores, { id: diskId('open'), location: 'local', zone: null, sku: 'Premium_LRS', sizeBytes: size, osType: 'Linux', hyperVGeneration: 'V2', logicalSectorBytes: null, securityType: null, tags: {} });
    const os = (name: string) => ({ osDisk: { diskId: diskId(name), caching: 'None', writeAccelerated: false } });
    await rejects(restores.startCreateVm(request(os('open'))), 'CLOUD_STATE_WRONG', /upload was not ended/);
    await rejects(restores.startCreateVm(request(os('nothing'))), 'CLOUD_NOT_FOUND');
    await rejects(restores.startCreateVm(request(os('far'))), 'CLOUD_FAILED', /one location/);
    await rejects(restores.startCreateVm(request(os('zonal'))), 'CLOUD_FAILED', /not in zone/);
    await rejects(restores.startCreateVm(request(os('data'))), 'CLOUD_FAILED', /no osType/);
    await rejects(restores.startCreateVm(request({ ...os('old'), size: 'Standard_D2_v2', security: { type: 'TrustedLaunch', secureBoot: true, vTpm: true } })), 'CLOUD_FAILED', /Security type/);
    await rejects(restores.startCreateVm(request({ size: 'Standard_D2_v2' })), 'CLOUD_FAILED', /Generation 'V2'/);
    await rejects(restores.startCreateVm(request(os('trusted'))), 'CLOUD_FAILED', /Security type/);
    await rejects(restores.startCreateVm(request({ dataDisks: [data(0, 'data'), data(0, 'second')] })), 'CLOUD_FAILED', /not unique/);
    await rejects(restores.startCreateVm(request({ id: vmId('web').replace('/rg/', '/local/') })), 'TARGET_EXISTS');
    await rejects(restores.startCreateVm(request({ network: { kind: 'existing', nicIds: ['/subscriptions/99999999-2222-3333-4444-555555555555/resourceGroups/n/providers/Microsoft.Network/networkInterfaces/x'] } })), 'CLOUD_ACCESS_DENIED');
    await rejects(restores.startCreateVm(request({ network: { kind: 'new', nicName: 'n', subnetId: 'https://example.org/', securityGroupId: null } })), 'CLOUD_ID_INVALID');
    assert.equal(await restores.getVmState(vmId()), undefined, 'nothing was made');
    await restores.startCreateVm(request());
    await rejects(restores.startCreateVm(request({ ...os('second') })), 'TARGET_EXISTS');
    await rejects(restores.startCreateVm(request({ tags: { 'holdfast-restore': 'r2' } })), 'TARGET_EXISTS');
    await rejects(restores.startCreateVm(request({ id: vmId('other') })), 'CLOUD_STATE_WRONG', /attached to .*restored/);
    await rejects(restores.startCreateVm(request({ id: vmId('other'), ...os('second') })), 'CLOUD_FAILED', /used by existing VM/);
    await rejects(restores.startDeleteDisk(diskId('os')), 'CLOUD_STATE_WRONG');
    await rejects(restores.grantDiskRead(diskId('os'), 60), 'CLOUD_STATE_WRONG');
  });

  it('is refused by the stand-in itself as well, whatever a client looked at before', async () => {
    await restoredDisk('os', noise(mib, 7));
    const machine = (name: string, os: string, more: object = {}): Promise<unknown> => bench.arm('PUT', vmId(name), {
      location: 'local', properties: {
        hardwareProfile: { vmSize: 'Standard_B2s' }, networkProfile: { networkInterfaces: [{ id: network(`networkInterfaces/${name}`) }] },
        storageProfile: { osDisk: { osType: 'Linux', createOption: 'Attach', managedDisk: { id: diskId(os) } } }, ...more,
      },
    }).then(({ status, body }) => [status, body.error?.code]);
    const upload = (name: string): Promise<unknown> => readyDisk(restores, { id: diskId(name), location: 'local', zone: null, sku: 'Premium_LRS', sizeBytes: size, osType: 'Linux', hyperVGeneration: 'V2', logicalSectorBytes: null, securityType: null, tags: {} });
    await upload('ready');
    assert.deepEqual(await machine('m', 'ready'), [409, 'OperationNotAllowed']);
    await restores.grantDiskWrite(diskId('ready'), 600);
    assert.deepEqual(await machine('m', 'ready'), [409, 'OperationNotAllowed']);
    await restores.endDiskAccess(diskId('ready'));
    assert.deepEqual(await machine('m', 'ready'), [409, 'InvalidVhd'], 'an upload without its footer');
    await restores.grantDiskRead(diskId('os'), 600);
    assert.deepEqual(await machine('m', 'os'), [409, 'OperationNotAllowed'], 'access is open');
    await restores.endDiskAccess(diskId('os'));
    assert.deepEqual(await machine('m', 'os', { osProfile: { adminPassword: 'x' } }), [400, 'InvalidParameter']);
    assert.deepEqual(await machine('m', 'os', { networkProfile: {} }), [400, 'InvalidParameter']);
    assert.deepEqual(await machine('m', 'os', { hardwareProfile: { vmSize: 'Standard_D2_v2' } }), [400, 'BadRequest']);
    assert.deepEqual(await machine('m', 'os'), [201, undefined]);
    assert.deepEqual(await machine('m', 'os'), [409, 'PropertyChangeNotAllowed']);
    await state(vmId('m'));
    assert.deepEqual(await machine('n', 'os'), [409, 'ConflictingUserInput']);
    const other = async (method: string, id: string, body?: object): Promise<unknown> => {
      const answer = await bench.arm(method, id, body);
      return [answer.status, answer.body.error?.code];
    };
    assert.deepEqual(await other('POST', `${diskId('os')}/beginGetAccess`, { access: 'Write', durationInSeconds: 60 }), [409, 'OperationNotAllowed']);
    assert.deepEqual(await other('POST', `${diskId('os')}/beginGetAccess`, { access: 'Read', durationInSeconds: 60 }), [409, 'OperationNotAllowed']);
    assert.deepEqual(await other('DELETE', diskId('os')), [409, 'OperationNotAllowed']);
    assert.deepEqual(await other('PATCH', vmId('m'), { properties: { hardwareProfile: { vmSize: 'Standard_D4s_v5' } } }), [400, 'InvalidParameter']);
    assert.deepEqual(await other('POST', `${vmId('m')}/attachDetachDataDisks`, { dataDisksToDetach: [{ diskId: diskId('os') }] }), [400, 'InvalidParameter']);
  });

  it('is refused in sizes and zones that the region does not offer, and the offers say so beforehand', async () => {
    await restoredDisk('os', noise(mib, 7));
    const { subscriptionId } = bench.standIn;
    assert.deepEqual((await restores.findVmSize(subscriptionId, 'Local', 'standard_d2s_v5'))?.zones, ['1', '2', '3']);
    assert.deepEqual((await restores.findVmSize(subscriptionId, 'local', 'Standard_E2s_v5'))?.zones, ['1']);
    assert.equal((await restores.findVmSize(subscriptionId, 'local', 'Standard_NC24'))?.restriction, 'NotAvailableForSubscription');
    assert.equal((await restores.findVmSize(subscriptionId, 'local', 'Standard_D4s_v5'))?.capabilities['MaxDataDiskCount'], '8');
    assert.equal(await restores.findVmSize(subscriptionId, 'elsewhere', 'Standard_D2s_v5'), undefined);
    assert.equal(await restores.findVmSize(subscriptionId, 'nowhere', 'Standard_D2s_v5'), undefined);
    assert.ok(await restores.findDiskSku(subscriptionId, 'local', 'PremiumV2_LRS'));
    assert.equal(await restores.findDiskSku(subscriptionId, 'elsewhere', 'PremiumV2_LRS'), undefined);
    await rejects(restores.findVmSize(subscriptionId, "x' or '1'", 'y'), 'CLOUD_ID_INVALID');
    for (const changes of [{ size: 'Standard_NC24' }, { size: 'Standard_M416' }, { size: 'Standard_E2s_v5', zone: '2' }]) await rejects(restores.startCreateVm(request(changes)), 'CLOUD_SKU_UNAVAILABLE');
    await rejects(restoredDisk('v2', noise(mib, 1), { location: 'elsewhere', sku: 'PremiumV2_LRS' }), 'CLOUD_SKU_UNAVAILABLE');
    await rejects(restoredDisk('z', noise(mib, 1), { location: 'elsewhere', zone: '1' }), 'CLOUD_SKU_UNAVAILABLE');
  });

  it('has its OS disk swapped while it is deallocated, and the old one stays', async () => {
    const old = bench.diskId('web_os');
    const web = bench.vmId('web');
    await restoredDisk('fresh', noise(mib, 9));
    await rejects(restores.startSwapOsDisk(web, diskId('fresh')), 'CLOUD_STATE_WRONG', /running/);
    const running = await bench.arm('PATCH', web, { properties: { storageProfile: { osDisk: { createOption: 'Attach', managedDisk: { id: diskId('fresh') } } } } });
    assert.deepEqual([running.status, running.body.error?.code], [409, 'OperationNotAllowed']);
    assert.equal(await restores.startDeallocateVm(web), 'started');
    assert.equal((await state(web)).power, 'deallocated');
    assert.equal(await restores.startDeallocateVm(web), 'done');
    assert.deepEqual(await diskState(old), ['Reserved', 'web']);
    assert.equal(await restores.startSwapOsDisk(web, diskId('fresh')), 'started');
    assert.equal((await state(web)).osDiskId, diskId('fresh'));
    assert.equal(await restores.startSwapOsDisk(web, diskId('fresh')), 'done');
    assert.deepEqual(await diskState(old), ['Unattached', null]);
    assert.equal(await restores.startStartVm(web), 'started');
    assert.equal((await state(web)).power, 'running');
    assert.equal(await restores.startStartVm(web), 'done');
    assert.deepEqual((await cloud.getVm(web)).disks.map(({ lun, name }) => [lun, name]), [['os', 'fresh'], ['0', 'web_data1'], ['1', 'web_data2']]);
    await restores.startDeallocateVm(web);
    await state(web);
    assert.equal(await restores.startSwapOsDisk(web, old), 'started', 'and back again');
    assert.equal((await state(web)).osDiskId, old);
    assert.deepEqual(await diskState('fresh'), ['Unattached', null]);
  });

  it('has data disks exchanged LUN by LUN: detached, kept, attached', async () => {
    const web = bench.vmId('web');
    await restoredDisk('fresh', noise(mib, 9), { osType: null, hyperVGeneration: null });
    await rejects(restores.startAttachDataDisks(web, [data(0, 'fresh')]), 'CLOUD_STATE_WRONG', /LUN 0/);
    assert.equal(await restores.startDetachDataDisks(web, [bench.diskId('web_data1')]), 'started');
    assert.deepEqual((await state(web)).dataDisks, [{ lun: 1, diskId: bench.diskId('web_data2') }]);
    assert.equal(await restores.startDetachDataDisks(web, [bench.diskId('web_data1')]), 'done');
    assert.equal(await restores.startAttachDataDisks(web, [data(0, 'fresh')]), 'started');
    assert.deepEqual((await state(web)).dataDisks, [{ lun: 0, diskId: diskId('fresh') }, { lun: 1, diskId: bench.diskId('web_data2') }]);
    assert.equal(await restores.startAttachDataDisks(web, [data(0, 'fresh')]), 'done');
    assert.deepEqual(await diskState(bench.diskId('web_data1')), ['Unattached', null]);
    const raw = await bench.arm('POST', `${web}/attachDetachDataDisks`, { dataDisksToAttach: [{ diskId: bench.diskId('web_data1'), lun: 1 }] });
    assert.deepEqual([raw.status, raw.body.error?.code], [400, 'InvalidParameter'], 'the stand-in looks at LUNs itself');
    await rejects(restores.startAttachDataDisks(web, [data(2, 'nothing')]), 'CLOUD_NOT_FOUND');
  });

  it('takes nothing back and nothing on when the change fails, and says why', async () => {
    const web = bench.vmId('web');
    await restoredDisk('fresh', noise(mib, 9));
    await restores.startDeallocateVm(web);
    await state(web);
    bench.standIn.faults.add({ kind: 'failOperation', code: 'OSProvisioningInternalError', message: 'The swap did not work', path: 'virtualMachines/web$' });
    await restores.startSwapOsDisk(web, diskId('fresh'));
    const failed = await state(web);
    assert.deepEqual([failed.state, failed.osDiskId, failed.failure], ['failed', bench.diskId('web_os'), { serviceCode: 'OSProvisioningInternalError', message: 'The swap did not work' }]);
    assert.equal(await restores.startSwapOsDisk(web, diskId('fresh')), 'started', 'a failed machine can be tried again');
    assert.equal((await state(web)).osDiskId, diskId('fresh'));
  });

  it('is found again after a lost answer, and never changed twice (fault 8)', async () => {
    await restoredDisk('os', noise(mib, 7));
    await restoredDisk('data', noise(mib, 8), { osType: null, hyperVGeneration: null });
    const lost = (method: string, path: string) => bench.standIn.faults.add({ kind: 'loseAnswer', method, path });
    const faults = [lost('PUT', 'virtualMachines/restored$'), lost('POST', 'attachDetachDataDisks$'), lost('POST', 'deallocate$'), lost('POST', 'start$')];
    assert.equal(await restores.startCreateVm(request()), 'started');
    assert.equal(await restores.startAttachDataDisks(vmId(), [data(0, 'data')]), 'started');
    assert.equal(await restores.startDeallocateVm(vmId()), 'started');
    assert.equal((await state()).power, 'deallocated');
    assert.equal(await restores.startStartVm(vmId()), 'started');
    assert.deepEqual([(await state()).power, (await state()).dataDisks.length], ['running', 1]);
    assert.deepEqual(faults.map((fault) => bench.standIn.faults.fired(fault)), [1, 1, 1, 1]);
    assert.equal(bench.standIn.calls.matching('PUT', /virtualMachines\/restored$/).length, 1);
  });

  it('stays as it is when another change is under way, and when somebody changed it meanwhile', async () => {
    await bench.stop();
    await start({ limits: { operationPolls: 3 } });
    const web = bench.vmId('web');
    await restores.startDeallocateVm(web);
    assert.equal((await state(web)).power, 'deallocating');
    await rejects(restores.startDetachDataDisks(web, [bench.diskId('web_data1')]), 'CLOUD_CONFLICT');
    for (let looks = 0; (await state(web)).state === 'running'; looks += 1) assert.ok(looks < 10);
    const stale = await fetch(`${bench.standIn.url}${web}?api-version=2026-04-01`, { method: 'PATCH', headers: { 'if-match': '"17"' }, body: '{}' });
    assert.equal(stale.status, 412);
  });

  it('is deleted without its disks; a machine of the folder never is', async () => {
    await restoredDisk('os', noise(mib, 7));
    await restores.startCreateVm(request());
    await state();
    assert.equal(await restores.startDeleteVm(vmId()), 'started');
    assert.equal(await restores.getVmState(vmId()), undefined);
    assert.equal(await restores.startDeleteVm(vmId()), 'absent');
    assert.deepEqual(await diskState('os'), ['Unattached', null]);
    await rejects(restores.startDeleteVm(bench.vmId('web')), 'CLOUD_CONFLICT');
    assert.equal(await restores.startDeleteDisk(diskId('os')), 'started');
  });

  it('counts against a quota, and is still there after a restart', async () => {
    await bench.stop();
    await start({ limits: { machinesMade: 1 } });
    await restoredDisk('os', noise(mib, 7));
    await restoredDisk('second', noise(mib, 8));
    await restores.startCreateVm(request());
    await state();
    const other = request({ id: vmId('other'), osDisk: { diskId: diskId('second'), caching: 'None', writeAccelerated: false }, network: { kind: 'existing', nicIds: [network('networkInterfaces/nic2')] } });
    await rejects(restores.startCreateVm(other), 'CLOUD_QUOTA', /quota/);
    await bench.standIn.stop();
    await bench.open();
    connect();
    assert.deepEqual([(await state()).osDiskId, await diskState('os')], [diskId('os'), ['Attached', 'restored']]);
    const { accessSAS } = await bench.compute.disks.grantAccess('rg', 'second', { access: 'Read', durationInSeconds: 60 });
    assert.ok((await blobClient(accessSAS ?? '').downloadToBuffer(0, mib)).equals(noise(mib, 8)));
  });
});
