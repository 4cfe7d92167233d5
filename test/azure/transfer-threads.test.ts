import assert from 'node:assert/strict';
import path from 'node:path';
import { diskTargetSpec, MIN_UPLOAD_BYTES } from '../../activities/restore-cloud';
import { createCloud, createRestoreCloud } from '../../azure/compute/cloud';
import { openSnapshotSource } from '../../azure/disk/snapshot-source';
import { backupDisk } from '../../vault/transfer/backup-disk';
import { withLanes } from '../../vault/transfer/lanes';
import { readDisk } from '../../vault/transfer/read-disk';
import { openFolderStore } from '../../vault/store/folder-store';
import { Bench, mib, noise } from '../local/azure/bench';
import { makeTempFolder } from '../support/temp-folder';
import { readyDisk } from '../support/upload-disk';
import { makeVault } from '../support/vault-kit';

const factory = path.join(__dirname, '../../azure/transfer-factory.js');
const noRenewal = () => Promise.reject(new Error('renewal was not expected'));

describe('transfer threads of the app', () => {
  it('back up a snapshot and restore it to a disk in upload, with new access where theirs expires (fault 18)', async () => {
    const folder = await makeTempFolder();
    const image = Buffer.concat([noise(5 * mib, 1), Buffer.alloc(9 * mib), noise(6 * mib, 2)]);
    assert.equal(image.length, MIN_UPLOAD_BYTES);
    const bench = await Bench.start({ 'web/os.img': image });
    const storePath = path.join(folder.path, 'vault');
    const vault = makeVault(await openFolderStore(storePath, { create: true }));
    try {
      await vault.store.create('items/any', Buffer.from('a folder that is bare is taken for one that is not mounted'));
      const settings = { subscriptionIds: [bench.standIn.subscriptionId], armEndpoint: bench.standIn.url, credential: { getToken: () => Promise.reject(new Error('no token')) } };
      const [cloud, restores] = [createCloud(settings), createRestoreCloud(settings)];
      const plan = { factory, store: { kind: 'folder', path: storePath }, keys: vault.keys, threads: 2 };
      const snapshot = { kind: 'snapshot', id: await bench.snapshot('s', 'web_os') } as const;
      const { root } = await withLanes({ ...plan, source: { ...await cloud.grantRead(snapshot, 600) } }, (lanes) => backupDisk(vault, lanes, { sizeBytes: image.length, parent: null, changed: null, references: { folder: 'references/item/1/0-0', lineage: '1.0', parentSequence: null } }));

      const id = bench.id('rg', 'disks/restored');
      await readyDisk(restores, { id, location: 'local', zone: null, sku: 'Premium_LRS', sizeBytes: image.length, osType: null, hyperVGeneration: null, logicalSectorBytes: null, securityType: null, tags: {} });
      const grant = async () => ({ ...diskTargetSpec(await restores.grantDiskWrite(id, 600)) });
      const expired = bench.standIn.faults.add({ kind: 'expireAccess', method: 'PUT', skip: 2 });
      let renewals = 0;
      const renewSink = () => {
        renewals += 1;
        return grant();
      };
      await withLanes({ ...plan, sink: await grant(), renewSink }, (lanes) => readDisk(vault, lanes, { root, sizeBytes: image.length }));
      assert.equal(bench.standIn.faults.fired(expired), 1);
      assert.ok(renewals >= 1);
      assert.equal(bench.standIn.calls.data.bytesWritten, 11 * mib, 'zeros are never written');
      const source = openSnapshotSource(await restores.grantDiskWrite(id, 600), noRenewal);
      const read = Buffer.alloc(image.length);
      await source.readInto(read, 0);
      await source.close();
      assert.ok(read.equals(image));
    } finally {
      await vault.store.close();
      await bench.stop();
      await folder.remove();
    }
  });
});
