import assert from 'node:assert/strict';
import { withoutSecrets } from '../../azure/compute/vm-model';
import { isHoldfastError } from '../../errors/holdfast-error';
import { type ArmScript, compute, ok, refusal, startArm, subscription } from './arm-script';

const second = '22222222-2222-3333-4444-555555555555';
const vmId = `${compute}/virtualMachines/web-1`;
const vm = (storageProfile: object, more: object = {}) => ({
  id: vmId,
  name: 'web-1',
  location: 'westeurope',
  tags: { env: 'prod' },
  properties: { vmId: 'unique-vm', storageProfile, ...more },
});

describe('machines', () => {
  let arm: ArmScript;
  beforeEach(async () => {
    arm = await startArm({ subscriptionIds: [subscription, second] });
  });
  afterEach(() => arm.close());

  it('are listed over all pages of all subscriptions', async () => {
    const list = (id: string) => `/subscriptions/${id}/providers/Microsoft.Compute/virtualMachines`;
    arm.on(`GET ${list(subscription)}`, (request) => (request.query.get('$skiptoken') === null
      ? ok({ value: [vm({})], nextLink: `${arm.server.url}${list(subscription)}?$skiptoken=2` })
      : ok({ value: [{ ...vm({}), name: 'web-2', tags: undefined }] })));
    arm.on(`GET ${list(second)}`, ok({ value: [{ ...vm({}), name: 'web-3' }] }));
    const found = await arm.cloud.listVms();
    assert.deepEqual(found.map((one) => one.name), ['web-1', 'web-2', 'web-3']);
    assert.deepEqual(found[0], { id: vmId, name: 'web-1', location: 'westeurope', tags: { env: 'prod' } });
    assert.deepEqual(found[1]?.tags, {});
    arm.on(`GET ${list(second)}`, refusal(403, 'AuthorizationFailed'));
    await assert.rejects(arm.cloud.listVms(), (error) => isHoldfastError(error, 'CLOUD_ACCESS_DENIED'), 'a part of the list is no list');
  });

  it('are described with every disk', async () => {
    arm.on(`GET ${vmId}`, ok(vm({
      osDisk: { osType: 'Windows', name: 'os', caching: 'ReadWrite', managedDisk: { id: `${compute}/disks/os` } },
      dataDisks: [
        { lun: 7, name: 'fast', caching: 'None', writeAcceleratorEnabled: true, managedDisk: { id: `${compute}/disks/fast` } },
        { lun: 8, name: 'old', diskSizeGB: 4, caching: 'ReadOnly', vhd: { uri: 'https://acc.blob.core.windows.net/vhds/old.vhd' } },
      ],
    })));
    arm.on(`GET ${compute}/disks/os`, ok({ sku: { name: 'Premium_LRS' }, properties: { uniqueId: 'u-os', diskSizeBytes: 137438953472, diskSizeGB: 128, hyperVGeneration: 'V2', networkAccessPolicy: 'DenyAll', dataAccessAuthMode: 'AzureActiveDirectory' } }));
    arm.on(`GET ${compute}/disks/fast`, ok({ sku: { name: 'UltraSSD_LRS' }, properties: { uniqueId: 'u-fast', diskSizeGB: 2, maxShares: 3, creationData: { logicalSectorSize: 4096 } } }));
    const described = await arm.cloud.getVm(vmId);
    assert.equal(described.uniqueId, 'unique-vm');
    assert.equal(described.osType, 'Windows');
    assert.deepEqual(described.disks, [
      { lun: 'os', name: 'os', id: `${compute}/disks/os`, managed: true, blobUrl: null, uniqueId: 'u-os', sizeBytes: 137438953472, sku: 'Premium_LRS', caching: 'ReadWrite', maxShares: 1, ephemeral: false, writeAccelerated: false, logicalSectorBytes: 512, networkAccessPolicy: 'DenyAll', needsEntraToRead: true, hyperVGeneration: 'V2' },
      { lun: '7', name: 'fast', id: `${compute}/disks/fast`, managed: true, blobUrl: null, uniqueId: 'u-fast', sizeBytes: 2 * 1024 ** 3, sku: 'UltraSSD_LRS', caching: 'None', maxShares: 3, ephemeral: false, writeAccelerated: true, logicalSectorBytes: 4096, networkAccessPolicy: 'AllowAll', needsEntraToRead: false, hyperVGeneration: null },
      { lun: '8', name: 'old', id: '', managed: false, blobUrl: 'https://acc.blob.core.windows.net/vhds/old.vhd', uniqueId: '', sizeBytes: 4 * 1024 ** 3, sku: '', caching: 'ReadOnly', maxShares: 1, ephemeral: false, writeAccelerated: false, logicalSectorBytes: 512, networkAccessPolicy: 'AllowAll', needsEntraToRead: false, hyperVGeneration: null },
    ]);
  });

  it('may have an ephemeral OS disk without a resource, but no other disk may be missing', async () => {
    const osDisk = { osType: 'Linux', name: 'os', diskSizeGB: 30, diffDiskSettings: { option: 'Local' }, managedDisk: { id: `${compute}/disks/os` } };
    arm.on(`GET ${vmId}`, ok(vm({ osDisk })));
    assert.deepEqual((await arm.cloud.getVm(vmId)).disks.map((disk) => [disk.ephemeral, disk.sizeBytes]), [[true, 30 * 1024 ** 3]]);
    arm.on(`GET ${vmId}`, ok(vm({ osDisk, dataDisks: [{ lun: 0, managedDisk: { id: `${compute}/disks/gone` } }] })));
    await assert.rejects(arm.cloud.getVm(vmId), (error) => isHoldfastError(error, 'CLOUD_NOT_FOUND') && error.message.includes('disks/gone'));
  });

  it('may not lead to a disk of a foreign subscription', async () => {
    arm.on(`GET ${vmId}`, ok(vm({ osDisk: { osType: 'Linux', managedDisk: { id: `${compute}/disks/os`.replace(subscription, '99999999-2222-3333-4444-555555555555') } } })));
    await assert.rejects(arm.cloud.getVm(vmId), (error) => isHoldfastError(error, 'CLOUD_ACCESS_DENIED'));
  });

  it('are gone only after 404, and of a known system only', async () => {
    await assert.rejects(arm.cloud.getVm(vmId), (error) => isHoldfastError(error, 'CLOUD_NOT_FOUND') && error.data['serviceCode'] === 'ResourceNotFound');
    arm.on(`GET ${vmId}`, ok(vm({ osDisk: { managedDisk: { id: `${compute}/disks/os` } } })));
    arm.on(`GET ${compute}/disks/os`, ok({ properties: {} }));
    await assert.rejects(arm.cloud.getVm(vmId), (error) => isHoldfastError(error, 'CLOUD_FAILED'));
  });

  it('keep the service\'s own JSON as their model, without secrets', async () => {
    const osProfile = { computerName: 'web-1', adminUsername: 'ops', adminPassword: 'P1', customData: 'P2', linuxConfiguration: { disablePasswordAuthentication: true, ssh: { publicKeys: [{ keyData: 'ssh-ed25519 AAAA' }] } } };
    arm.on(`GET ${vmId}`, ok({
      ...vm({ osDisk: { osType: 'Linux', managedDisk: { id: `${compute}/disks/os` } } }, { osProfile, userData: 'P3', someNewMember: { kept: 1 } }),
      resources: [{ properties: { protectedSettings: { x: 'P4' }, settings: { script: 'https://acc.blob.core.windows.net/s.sh?sig=P5' } } }],
    }));
    arm.on(`GET ${compute}/disks/os`, ok({ properties: {} }));
    const { model } = await arm.cloud.getVm(vmId);
    const text = JSON.stringify(model);
    assert.doesNotMatch(text, /P[1-5]/);
    assert.match(text, /"someNewMember":\{"kept":1\}/);
    assert.match(text, /"vmId":"unique-vm"/);
    assert.match(text, /ssh-ed25519 AAAA/);
    assert.match(text, /"disablePasswordAuthentication":true/);
  });

  it('lose secrets at any depth and in any case', () => {
    const deep = Array.from({ length: 100 }).reduce<object>((inner) => ({ a: inner }), { adminPassword: 'S' });
    assert.doesNotMatch(JSON.stringify(withoutSecrets({ list: [{ ADMINPASSWORD: 'S' }, { windowsConfiguration: { additionalUnattendContent: [{ content: 'S' }] } }], deep })), /"S"/);
    assert.deepEqual(withoutSecrets(null), {});
  });
});
