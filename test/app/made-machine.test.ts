import assert from 'node:assert/strict';
import { diskTargetSpec, MIN_UPLOAD_BYTES } from '../../activities/restore-cloud';
import { createRestoreCloud } from '../../azure/compute/cloud';
import { openPageTarget } from '../../azure/page-target';
import { addVm, halfDisk, type Home, noise, startHome } from '../support/home';
import { readyDisk } from '../support/upload-disk';

const MiB = 1024 * 1024;

describe('a machine that was made from uploaded disks', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('is backed up like any other, first whole and then by what changed, and its disks restore bit-identical', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }));
    const { subscriptionId, url } = home.standIn;
    const restores = createRestoreCloud({ subscriptionIds: [subscriptionId], armEndpoint: url, credential: { getToken: () => Promise.reject(new Error('no token is needed on loopback')) } });
    const compute = `/subscriptions/${subscriptionId}/resourceGroups/restored/providers/Microsoft.Compute`;
    const content = Buffer.concat([noise(MiB, 5), Buffer.alloc(MIN_UPLOAD_BYTES - 2 * MiB), noise(MiB, 6)]);
    const uploaded = async (name: string): Promise<string> => {
      const id = `${compute}/disks/${name}`;
      await readyDisk(restores, { id, location: 'local', zone: null, sku: 'Premium_LRS', sizeBytes: content.length, osType: 'Linux', hyperVGeneration: 'V2', logicalSectorBytes: null, securityType: null, tags: {} });
      const target = await openPageTarget(diskTargetSpec(await restores.grantDiskWrite(id, 600)), () => Promise.reject(new Error('no renewal')));
      await target.write(content.subarray(0, MiB), 0);
      await target.write(content.subarray(-MiB), content.length - MiB);
      await target.writeFooter({ uniqueId: '00112233-4455-6677-8899-aabbccddeeff', createdAtMs: 0 });
      await target.close();
      await restores.endDiskAccess(id);
      return id;
    };
    const vmId = `${compute}/virtualMachines/web02`;
    const nic = `/subscriptions/${subscriptionId}/resourceGroups/net/providers/Microsoft.Network/networkInterfaces/n`;
    await restores.startCreateVm({
      id: vmId, location: 'local', zone: null, availabilitySetId: null, size: 'Standard_B2s', osType: 'Linux', osDisk: { diskId: await uploaded('os'), caching: 'None', writeAccelerated: false }, dataDisks: [],
      network: { kind: 'existing', nicIds: [nic] }, security: null, diskController: null, licenseType: null, plan: null, ultraDisks: false, tags: {},
    });
    assert.equal((await home.backUp('web02')).state, 'succeeded');
    const second = await home.backUp('web02');
    assert.equal(second.state, 'succeeded');
    assert.equal(second.figures?.newBytes, 0);
    const points = await home.points();
    assert.deepEqual(points.map(({ disks }) => disks.map(({ name, mode, sizeBytes }) => [name, mode, sizeBytes])), [[['os', 'full', content.length]], [['os', 'incremental', content.length]]]);
    assert.ok((await home.restore(points[1]?.id ?? '')).equals(content));
  });
});
