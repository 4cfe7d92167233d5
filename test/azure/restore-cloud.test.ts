import assert from 'node:assert/strict';
import type { RestoreCloud, VmCreateRequest } from '../../activities/restore-cloud';
import { createRestoreCloud } from '../../azure/compute/cloud';
import type { ErrorCode } from '../../errors/catalogue';
import { isHoldfastError } from '../../errors/holdfast-error';
import { recordedWaiting } from '../support/wire-server';
import { type ArmScript, compute, group, ok, refusal, startArm, subscription } from './arm-script';

const mib = 1024 * 1024;
const diskId = `${compute}/disks/restored`;
const vmId = `${compute}/virtualMachines/web`;
const subnetId = `${group}/providers/Microsoft.Network/virtualNetworks/v/subnets/s`;
const securityGroupId = `${group}/providers/Microsoft.Network/networkSecurityGroups/sg`;
const diskRequest = { id: diskId, location: 'westeurope', zone: '2', sku: 'Premium_LRS', sizeBytes: 32 * mib, osType: 'Windows', hyperVGeneration: 'V2', logicalSectorBytes: null, securityType: 'TrustedLaunch', tags: { r: '1' } } as const;
const diskJson = (properties: object = {}, more: object = {}) => ({
  id: diskId.toUpperCase(), name: 'restored', location: 'westeurope', tags: { r: '1', other: 'x' }, ...more,
  properties: { creationData: { createOption: 'Upload', uploadSizeBytes: 32 * mib + 512 }, diskSizeBytes: 32 * mib, provisioningState: 'Succeeded', diskState: 'ReadyToUpload', ...properties },
});
const atRest = (id: string, properties: object = {}) => ok({ id, location: 'westeurope', properties: { provisioningState: 'Succeeded', diskState: 'Unattached', ...properties } });
const vmRequest: VmCreateRequest = {
  id: vmId, location: 'westeurope', zone: '2', availabilitySetId: null, size: 'Standard_D2s_v5', osType: 'Windows', osDisk: { diskId, caching: 'ReadWrite', writeAccelerated: false },
  dataDisks: [{ lun: 4, diskId: `${compute}/disks/data`, caching: 'None', writeAccelerated: true }], network: { kind: 'new', nicName: 'nic', subnetId, securityGroupId },
  security: { type: 'TrustedLaunch', secureBoot: true, vTpm: true }, diskController: 'SCSI', licenseType: 'Windows_Server', plan: { name: 'a', publisher: 'b', product: 'c' }, ultraDisks: true, tags: { r: '1' },
};
const vmJson = (more: object = {}, power = 'running', etag = '"7"') => ({
  id: vmId, name: 'web', location: 'westeurope', etag, tags: { r: '1' },
  properties: {
    provisioningState: 'Succeeded', hardwareProfile: { vmSize: 'Standard_D2s_v5' },
    storageProfile: { osDisk: { name: 'old', createOption: 'FromImage', caching: 'ReadOnly', managedDisk: { id: `${compute}/disks/old` } }, dataDisks: [{ lun: 4, createOption: 'Attach', managedDisk: { id: `${compute}/disks/data` } }] },
    instanceView: { statuses: [{ code: 'ProvisioningState/succeeded', level: 'Info' }, { code: `PowerState/${power}`, level: 'Info' }] }, ...more,
  },
});

describe('restores on Azure, by the wire', () => {
  let arm: ArmScript;
  let restores: RestoreCloud;
  beforeEach(async () => {
    arm = await startArm();
    restores = createRestoreCloud({ subscriptionIds: [subscription], armEndpoint: arm.server.url, waiting: recordedWaiting(), credential: { getToken: () => Promise.reject(new Error('no token is asked for over http')) } });
  });
  afterEach(() => arm.close());

  const sent = (method: string) => arm.server.requests.filter((one) => one.method === method);
  const bodyOf = (method: string): unknown => JSON.parse(sent(method).at(-1)?.body ?? 'null');
  const rejects = async (promise: Promise<unknown>, code: ErrorCode, words?: RegExp) => {
    const error = await promise.then(() => undefined, (reason: unknown) => reason);
    assert.ok(isHoldfastError(error, code), `wanted ${code}, got ${String(error)}`);
    if (words !== undefined) assert.match(error.message, words);
    assert.doesNotMatch(JSON.stringify(error), /sig=/);
  };
  const accepted = () => ({ status: 202, headers: { location: `${arm.server.url}/operations/1` }, body: {} });

  it('make an upload disk of the data and its footer, and do not wait', async () => {
    arm.on(`PUT ${diskId}`, accepted);
    assert.equal(await restores.startCreateUploadDisk(diskRequest), 'started');
    assert.deepEqual(bodyOf('PUT'), {
      location: 'westeurope', tags: { r: '1' }, sku: { name: 'Premium_LRS' }, zones: ['2'],
      properties: { osType: 'Windows', hyperVGeneration: 'V2', securityProfile: { securityType: 'TrustedLaunch' }, creationData: { createOption: 'Upload', uploadSizeBytes: 32 * mib + 512 } },
    });
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    assert.deepEqual(arm.server.log, [`GET ${diskId}`, `PUT ${diskId}`]);
    arm.on(`GET ${diskId}`, ok(diskJson()));
    assert.equal(await restores.startCreateUploadDisk({ ...diskRequest, location: 'West Europe' }), 'exists');
  });

  it('read a disk back after a lost answer (fault 8), and take none that is not theirs', async () => {
    arm.on(`PUT ${diskId}`, 'reset');
    arm.on(`GET ${diskId}`, refusal(404, 'ResourceNotFound'), ok(diskJson()));
    assert.equal(await restores.startCreateUploadDisk(diskRequest), 'started');
    for (const other of [diskJson({ diskSizeBytes: 33 * mib }), diskJson({ creationData: { createOption: 'Empty' } }), diskJson({}, { tags: {} }), diskJson({}, { location: 'northeurope' })]) {
      arm.on(`GET ${diskId}`, refusal(404, 'ResourceNotFound'), ok(other));
      await rejects(restores.startCreateUploadDisk(diskRequest), 'TARGET_EXISTS');
    }
  });

  it('tell a region that has no room from a quota and from a conflict', async () => {
    for (const [status, code, wanted] of [[409, 'SkuNotAvailable', 'CLOUD_SKU_UNAVAILABLE'], [409, 'ZonalAllocationFailed', 'CLOUD_SKU_UNAVAILABLE'], [400, 'AvailabilityZoneNotSupported', 'CLOUD_SKU_UNAVAILABLE'], [409, 'ConflictingUserInput', 'CLOUD_STATE_WRONG'], [409, 'AnotherOperationInProgress', 'CLOUD_CONFLICT'], [409, 'QuotaExceeded', 'CLOUD_QUOTA']] as const) {
      arm.on(`PUT ${diskId}`, refusal(status, code));
      await rejects(restores.startCreateUploadDisk(diskRequest), wanted);
    }
  });

  it('ask for write access to disks in upload alone, and hold the blob\'s size against the disk\'s', async () => {
    const sas = `${arm.server.url}/md-1/abcd?sv=1&sig=TopSecret`;
    arm.on(`GET ${diskId}`, ok(diskJson({ diskState: 'ActiveUpload' })));
    arm.on(`POST ${diskId}/beginGetAccess`, (request) => {
      assert.deepEqual(JSON.parse(request.body), { access: 'Write', durationInSeconds: 900 });
      return ok({ accessSAS: sas });
    });
    arm.on('HEAD /md-1/abcd', { status: 200, headers: { 'content-length': String(32 * mib + 512) } });
    assert.deepEqual(await restores.grantDiskWrite(diskId, 900), { url: sas, sizeBytes: 32 * mib });
    arm.on('HEAD /md-1/abcd', { status: 200, headers: { 'content-length': String(64 * mib + 512) } });
    await rejects(restores.grantDiskWrite(diskId, 900), 'CLOUD_FAILED', /67109376 bytes/);
    arm.on(`POST ${diskId}/beginGetAccess`, ok({ accessSAS: 'https://example.org/x?sig=TopSecret' }));
    await rejects(restores.grantDiskWrite(diskId, 900), 'CLOUD_FAILED', /example\.org/);
    arm.on(`GET ${diskId}`, ok(diskJson({ diskState: 'Unattached' })));
    await rejects(restores.grantDiskWrite(diskId, 900), 'CLOUD_STATE_WRONG', /Unattached/);
    arm.on(`POST ${diskId}/endGetAccess`, refusal(409, 'AccessNotGranted'));
    await restores.endDiskAccess(diskId);
    await restores.endDiskAccess(`${compute}/disks/gone`);
    arm.on(`POST ${diskId}/endGetAccess`, () => ({ status: 202, headers: { location: `${arm.server.url}/operations/9`, 'retry-after': '4' } }));
    arm.on('GET /operations/9', () => ({ status: 202, headers: { location: `${arm.server.url}/operations/9`, 'retry-after': '4' } }), { status: 200 });
    await restores.endDiskAccess(diskId);
    assert.equal(arm.server.log.filter((line) => line === 'GET /operations/9').length, 2, 'the upload is over when it resolves');
  });

  it('make a machine around its disks, once, and never change one that is there', async () => {
    arm.on(`GET ${diskId}`, atRest(diskId));
    arm.on(`GET ${compute}/disks/data`, atRest(`${compute}/disks/data`));
    arm.on(`PUT ${vmId}`, accepted);
    assert.equal(await restores.startCreateVm(vmRequest), 'started');
    assert.equal(sent('PUT').at(-1)?.headers['if-none-match'], '*');
    assert.deepEqual(bodyOf('PUT'), {
      location: 'westeurope', tags: { r: '1' }, zones: ['2'], plan: { name: 'a', publisher: 'b', product: 'c' },
      properties: {
        licenseType: 'Windows_Server', additionalCapabilities: { ultraSSDEnabled: true }, hardwareProfile: { vmSize: 'Standard_D2s_v5' },
        securityProfile: { securityType: 'TrustedLaunch', uefiSettings: { secureBootEnabled: true, vTpmEnabled: true } },
        storageProfile: {
          diskControllerType: 'SCSI', osDisk: { osType: 'Windows', createOption: 'Attach', managedDisk: { id: diskId }, deleteOption: 'Detach', caching: 'ReadWrite' },
          dataDisks: [{ createOption: 'Attach', managedDisk: { id: `${compute}/disks/data` }, lun: 4, deleteOption: 'Detach', caching: 'None', writeAcceleratorEnabled: true }],
        },
        networkProfile: {
          networkApiVersion: '2022-11-01',
          networkInterfaceConfigurations: [{ name: 'nic', properties: { primary: true, deleteOption: 'Delete', networkSecurityGroup: { id: securityGroupId }, ipConfigurations: [{ name: 'primary', properties: { primary: true, subnet: { id: subnetId } } }] } }],
        },
      },
    });
    const taken = refusal(412, 'PreconditionFailed');
    arm.on(`PUT ${vmId}`, taken);
    arm.on(`GET ${vmId}`, refusal(404, 'ResourceNotFound'), ok(vmJson()));
    await rejects(restores.startCreateVm(vmRequest), 'TARGET_EXISTS');
    const ours = vmJson({ storageProfile: { osDisk: { createOption: 'Attach', managedDisk: { id: diskId.toUpperCase() } }, dataDisks: [{ lun: 4, createOption: 'Attach', managedDisk: { id: `${compute}/disks/data` } }] } });
    arm.on(`GET ${vmId}`, refusal(404, 'ResourceNotFound'), ok(ours));
    assert.equal(await restores.startCreateVm(vmRequest), 'exists');
  });

  it('say how a machine is, and why it failed', async () => {
    arm.on(`GET ${vmId}`, ok(vmJson({ provisioningState: 'Updating' }, 'deallocating')));
    const running = await restores.getVmState(vmId);
    assert.deepEqual([running?.state, running?.power, running?.failure], ['running', 'deallocating', null]);
    assert.equal(sent('GET').at(-1)?.query.get('$expand'), 'instanceView');
    arm.on(`GET ${vmId}`, ok(vmJson({ provisioningState: 'Failed', instanceView: { statuses: [{ code: 'ProvisioningState/failed/AllocationFailed', level: 'Error', message: 'No room at https://x/y?sig=abc' }] } })));
    const failed = await restores.getVmState(vmId);
    assert.deepEqual([failed?.state, failed?.power, failed?.failure], ['failed', 'unknown', { serviceCode: 'AllocationFailed', message: 'No room at https://x/y?[redacted]' }]);
    assert.equal(await restores.getVmState(`${vmId}2`), undefined);
  });

  it('swap an OS disk by a PATCH of that alone, unless somebody changed the machine meanwhile', async () => {
    arm.on(`GET ${diskId}`, atRest(diskId));
    arm.on(`GET ${vmId}`, ok(vmJson({}, 'deallocated')));
    arm.on(`PATCH ${vmId}`, accepted);
    assert.equal(await restores.startSwapOsDisk(vmId, diskId), 'started');
    assert.equal(sent('PATCH').at(-1)?.headers['if-match'], '"7"');
    assert.deepEqual(bodyOf('PATCH'), { properties: { storageProfile: { osDisk: { createOption: 'FromImage', name: 'restored', caching: 'ReadOnly', managedDisk: { id: diskId } } } } });
    arm.on(`PATCH ${vmId}`, refusal(412, 'PreconditionFailed'));
    await rejects(restores.startSwapOsDisk(vmId, diskId), 'CLOUD_CONFLICT');
    arm.on(`GET ${diskId}`, atRest(diskId, { diskState: 'ActiveUpload' }));
    await rejects(restores.startSwapOsDisk(vmId, diskId), 'CLOUD_STATE_WRONG', /upload was not ended/);
    arm.on(`GET ${vmId}`, ok(vmJson({}, 'stopped')));
    await rejects(restores.startSwapOsDisk(vmId, diskId), 'CLOUD_STATE_WRONG', /stopped/);
  });

  it('attach and detach by the action for it, which touches no other disk', async () => {
    arm.on(`GET ${vmId}`, ok(vmJson()));
    arm.on(`POST ${vmId}/attachDetachDataDisks`, accepted);
    assert.equal(await restores.startDetachDataDisks(vmId, [`${compute}/disks/data`.toUpperCase().replace('/SUBSCRIPTIONS', '/subscriptions'), diskId]), 'started');
    assert.equal((bodyOf('POST') as { dataDisksToDetach: unknown[] }).dataDisksToDetach.length, 1);
    arm.on(`GET ${diskId}`, atRest(diskId));
    assert.equal(await restores.startAttachDataDisks(vmId, [{ lun: 5, diskId, caching: 'ReadOnly', writeAccelerated: false }]), 'started');
    assert.deepEqual(bodyOf('POST'), { dataDisksToAttach: [{ diskId, lun: 5, caching: 'ReadOnly', deleteOption: 'Detach' }] });
    await rejects(restores.startAttachDataDisks(vmId, [{ lun: 4, diskId, caching: 'None', writeAccelerated: false }]), 'CLOUD_STATE_WRONG', /LUN 4/);
    arm.on(`POST ${vmId}/attachDetachDataDisks`, refusal(500, 'InternalServerError'));
    await rejects(restores.startAttachDataDisks(vmId, [{ lun: 5, diskId, caching: 'None', writeAccelerated: false }]), 'CLOUD_FAILED');
    assert.equal(sent('POST').length, 3, 'no change is sent a second time');
  });

  it('read every page of what a subscription holds, and keep what carries the tag', async () => {
    const list = `/subscriptions/${subscription}/providers/Microsoft.Compute/snapshots`;
    const snapshot = (name: string, tags: object) => ({ id: `${compute}/snapshots/${name}`, name, location: 'westeurope', tags, properties: { timeCreated: '2026-01-01T00:00:00Z', diskState: 'Unattached', creationData: { createOption: 'Copy' } } });
    arm.on(`GET ${list}`, (request) => (request.query.get('page') === '2'
      ? ok({ value: [snapshot('b', { 'holdfast-run': '2' })] })
      : ok({ value: [snapshot('a', { 'Holdfast-Run': '1' }), snapshot('theirs', {})], nextLink: `${arm.server.url}${list}?page=2&api-version=2026-03-02` })));
    assert.deepEqual((await restores.listOwned('snapshot', 'holdfast-run')).map(({ name, createdAt, diskState }) => [name, createdAt, diskState]), [['a', '2026-01-01T00:00:00.000Z', 'Unattached'], ['b', '2026-01-01T00:00:00.000Z', 'Unattached']]);
    arm.on(`GET ${list}`, refusal(403, 'AuthorizationFailed'));
    await rejects(restores.listOwned('snapshot', 'holdfast-run'), 'CLOUD_ACCESS_DENIED');
  });
});
