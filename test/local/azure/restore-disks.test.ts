import assert from 'node:assert/strict';
import type { AccessUrl, Cloud } from '../../../activities/cloud';
import { diskTargetSpec, type RestoreCloud, type UploadDiskRequest, uploadDiskBytes } from '../../../activities/restore-cloud';
import { createCloud, createRestoreCloud } from '../../../azure/compute/cloud';
import { openDiskTarget } from '../../../azure/disk/disk-target';
import { openSnapshotSource } from '../../../azure/disk/snapshot-source';
import { openPageTarget } from '../../../azure/page-target';
import type { ErrorCode } from '../../../errors/catalogue';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { readyDisk } from '../../support/upload-disk';
import { recordedWaiting } from '../../support/wire-server';
import { Bench, mib, noise } from './bench';

const footer = { uniqueId: '00112233-4455-6677-8899-aabbccddeeff', createdAtMs: Date.UTC(2026, 0, 1) };
const size = 20 * mib;

describe('stand-in: disks that a restore fills, through the Azure adapter', () => {
  let bench: Bench;
  let restores: RestoreCloud;
  let cloud: Cloud;
  const image = Buffer.concat([noise(6 * mib, 1), Buffer.alloc(8 * mib), noise(3 * mib + 512, 2)]);
  beforeEach(async () => {
    bench = await Bench.start({ 'web/os.img': noise(64 * 1024, 3) }, { limits: { minUploadBytes: 20_972_032 } });
    const settings = {
      subscriptionIds: [bench.standIn.subscriptionId], armEndpoint: bench.standIn.url, waiting: recordedWaiting(),
      credential: { getToken: () => Promise.reject(new Error('no token is needed on loopback')) },
    };
    restores = createRestoreCloud(settings);
    cloud = createCloud(settings);
  });
  afterEach(() => bench.stop());

  const request = (name = 'restored', changes: Partial<UploadDiskRequest> = {}): UploadDiskRequest => ({
    id: bench.id('rg', `disks/${name}`), location: 'local', zone: null, sku: 'Premium_LRS', sizeBytes: uploadDiskBytes(image.length), osType: 'Linux', hyperVGeneration: 'V2',
    logicalSectorBytes: null, securityType: null, tags: { 'holdfast-restore': 'r1' }, ...changes,
  });
  const rejects = async (promise: Promise<unknown>, code: ErrorCode) => {
    const error = await promise.then(() => undefined, (reason: unknown) => reason);
    assert.ok(isHoldfastError(error, code), `wanted ${code}, got ${String(error)}`);
    assert.doesNotMatch(JSON.stringify(error), /sig=/);
  };
  const noRenewal = () => Promise.reject(new Error('renewal was not expected'));
  const upload = async (id: string, renew: () => Promise<AccessUrl> = noRenewal): Promise<void> => {
    const target = openDiskTarget(await restores.grantDiskWrite(id, 600), renew, { waiting: recordedWaiting() });
    await target.write(image.subarray(0, 6 * mib), 0);
    await target.write(image.subarray(14 * mib), 14 * mib);
    await target.writeFooter(footer);
    await target.close();
  };

  it('are written, read back through the same access, ended, and read again as any other disk', async () => {
    const { id } = request();
    assert.equal(await restores.startCreateUploadDisk(request()), 'started');
    assert.equal(await restores.startCreateUploadDisk(request()), 'exists');
    await readyDisk(restores, request());
    const made = await restores.getDisk(id);
    assert.deepEqual([made?.state, made?.diskState, made?.sizeBytes, made?.managedBy, made?.osType, made?.tags], ['succeeded', 'ReadyToUpload', size, null, 'Linux', { 'holdfast-restore': 'r1' }]);
    const access = await restores.grantDiskWrite(id, 600);
    assert.deepEqual(await restores.grantDiskWrite(id, 600), access, 'asking again prolongs it');
    const target = await openPageTarget(diskTargetSpec(access), noRenewal);
    await target.write(image.subarray(0, 6 * mib), 0);
    await target.write(noise(mib, 9), 8 * mib);
    await target.clear(8 * mib, mib);
    await target.write(image.subarray(14 * mib), 14 * mib);
    await target.writeFooter(footer);
    const ranges: unknown[] = [];
    for await (const range of target.listRanges({ offset: 0, length: size })) ranges.push(range);
    assert.deepEqual(ranges, [{ offset: 0, length: 6 * mib }, { offset: 14 * mib, length: 3 * mib + 4096 }], 'to the stand-in\'s grain of 4 KiB');
    const read = Buffer.alloc(size);
    await target.readInto(read, 0);
    assert.ok(read.equals(Buffer.concat([image, Buffer.alloc(size - image.length)])));
    await target.close();
    await rejects(restores.grantDiskRead(id, 600), 'CLOUD_STATE_WRONG');
    await restores.endDiskAccess(id);
    await restores.endDiskAccess(id);
    assert.equal((await restores.getDisk(id))?.diskState, 'Unattached');
    await rejects(restores.grantDiskWrite(id, 600), 'CLOUD_STATE_WRONG');
    const source = openSnapshotSource(await restores.grantDiskRead(id, 600), noRenewal);
    read.fill(1);
    await source.readInto(read, 0);
    await source.close();
    assert.ok(read.subarray(0, image.length).equals(image));
    await restores.endDiskAccess(id);
    assert.equal(await restores.startDeleteDisk(id), 'started');
    assert.equal(await restores.getDisk(id), undefined);
    assert.equal(await restores.startDeleteDisk(id), 'absent');
    await restores.endDiskAccess(id);
  });

  it('go on where access expired in the middle, with one renewal for all (fault 18)', async () => {
    const { id } = request();
    await readyDisk(restores, request());
    const fault = bench.standIn.faults.add({ kind: 'expireAccess', method: 'PUT', skip: 1 });
    let renewals = 0;
    await upload(id, () => {
      renewals += 1;
      return restores.grantDiskWrite(id, 600);
    });
    assert.deepEqual([bench.standIn.faults.fired(fault), renewals], [1, 1]);
    await restores.endDiskAccess(id);
    const source = openSnapshotSource(await restores.grantDiskRead(id, 600), noRenewal);
    const read = Buffer.alloc(image.length);
    await source.readInto(read, 0);
    await source.close();
    assert.ok(read.equals(image));
  });

  it('are written through throttling, lost answers and broken connections (faults 8 and 17)', async () => {
    const { id } = request();
    await readyDisk(restores, request());
    const faults = [
      bench.standIn.faults.add({ kind: 'respond', status: 503, code: 'ServerBusy', method: 'PUT', path: 'comp=page', retryAfterSeconds: 1 }),
      bench.standIn.faults.add({ kind: 'loseAnswer', method: 'PUT', path: 'comp=page', skip: 1 }),
      bench.standIn.faults.add({ kind: 'reset', method: 'PUT', path: 'comp=page', skip: 2 }),
    ];
    await upload(id);
    assert.deepEqual(faults.map((fault) => bench.standIn.faults.fired(fault)), [1, 1, 1]);
    await restores.endDiskAccess(id);
    const source = openSnapshotSource(await restores.grantDiskRead(id, 600), noRenewal);
    const read = Buffer.alloc(image.length);
    await source.readInto(read, 0);
    await source.close();
    assert.ok(read.equals(image));
  });

  it('take what did not change out of a snapshot, without its bytes passing through here', async () => {
    const present = Buffer.concat([noise(16 * mib, 5), Buffer.alloc(4 * mib)]);
    await bench.put('app/os.img', present);
    const snapshotId = await bench.snapshot('now', 'app_os');
    const open = () => cloud.grantRead({ kind: 'snapshot', id: snapshotId }, 600);
    const source = openSnapshotSource(await open(), open);
    await readyDisk(restores, request());
    const renew = () => restores.grantDiskWrite(request().id, 600);
    const target = openDiskTarget(await renew(), renew, { waiting: recordedWaiting() });
    bench.standIn.calls.clear();
    assert.equal(await target.copyFrom?.(source, [{ offset: mib, length: 5 * mib }, { offset: 6 * mib, length: 4 * mib }]), true);
    assert.equal(bench.standIn.calls.data.reads, 0);
    const read = Buffer.alloc(11 * mib);
    await target.readInto(read, 0);
    assert.ok(read.equals(Buffer.concat([Buffer.alloc(mib), present.subarray(mib, 10 * mib), Buffer.alloc(mib)])));
    await rejects(target.copyFrom?.(source, [{ offset: 16 * mib, length: 5 * mib }]) ?? Promise.resolve(), 'INTERNAL');

    bench.standIn.faults.add({ kind: 'expireAllAccess' });
    bench.standIn.faults.add({ kind: 'respond', status: 503, code: 'ServerBusy', method: 'PUT', path: 'comp=page' });
    assert.equal(await target.copyFrom?.(source, [{ offset: 0, length: mib }]), true, 'access to both is renewed, and a busy service asked again');
    assert.deepEqual(bench.standIn.faults.unfired(), []);
    await target.readInto(read, 0);
    assert.ok(read.equals(Buffer.concat([present.subarray(0, 10 * mib), Buffer.alloc(mib)])));
    await source.close();
    await target.close();
  });

  it('say where the service does not copy, and write what is handed to them instead', async () => {
    await bench.put('app/os.img', noise(20 * mib, 5));
    const handle = { kind: 'snapshot' as const, id: await bench.snapshot('now', 'app_os') };
    const access = await cloud.grantRead(handle, 600);
    await readyDisk(restores, request());
    const open = async () => openDiskTarget(await restores.grantDiskWrite(request().id, 600), noRenewal, { waiting: recordedWaiting() });
    const range = [{ offset: 0, length: 8 * mib }];
    for (const code of ['CannotVerifyCopySource', 'FeatureVersionMismatch']) {
      const target = await open();
      const source = openSnapshotSource(access, () => Promise.resolve(access));
      bench.standIn.faults.add({ kind: 'refuseCopy', code, times: 8 });
      assert.equal(await target.copyFrom?.(source, range), false, code);
      bench.standIn.faults.clear();
      assert.equal(await target.copyFrom?.(source, range), false, 'what was refused once is not asked for again');
      await target.write(noise(512, 9), 0);
      await source.close();
      await target.close();
    }
    await cloud.endAccess(handle);
    const [target, source] = [await open(), openSnapshotSource(access, noRenewal)];
    await rejects(target.copyFrom?.(source, range) ?? Promise.resolve(), 'CLOUD_ACCESS_EXPIRED');
    assert.equal(bench.standIn.calls.data.bytesCopied, 0);
    await rejects(target.copyFrom?.(target, range) ?? Promise.resolve(), 'INTERNAL');
    await source.close();
    await target.close();
  });

  it('are refused in a name that is taken, in a size that no upload has, and for disks that are no uploads', async () => {
    await readyDisk(restores, request());
    for (const other of [{ sizeBytes: 21 * mib }, { tags: { 'holdfast-restore': 'r2' } }, { location: 'elsewhere' }]) await rejects(restores.startCreateUploadDisk(request('restored', other)), 'TARGET_EXISTS');
    for (const sizeBytes of [image.length, 19 * mib, 0]) await rejects(restores.startCreateUploadDisk(request('odd', { sizeBytes })), 'INTERNAL');
    await rejects(restores.startCreateUploadDisk(request('odd', { logicalSectorBytes: 4096 })), 'CLOUD_STATE_WRONG');
    await rejects(restores.startCreateUploadDisk({ ...request(), id: request().id.replace(bench.standIn.subscriptionId, '99999999-2222-3333-4444-555555555555') }), 'CLOUD_ACCESS_DENIED');
    await rejects(restores.startCreateUploadDisk({ ...request(), id: '/subscriptions/../disks/x' }), 'CLOUD_ID_INVALID');
    await rejects(restores.grantDiskWrite(bench.diskId('web_os'), 600), 'CLOUD_STATE_WRONG');
    await rejects(restores.grantDiskRead(bench.diskId('web_os'), 600), 'CLOUD_STATE_WRONG');
    await rejects(restores.startDeleteDisk(bench.diskId('web_os')), 'CLOUD_STATE_WRONG');
    await rejects(restores.grantDiskWrite(bench.id('rg', 'disks/nothing'), 600), 'CLOUD_NOT_FOUND');
    await restores.grantDiskWrite(request().id, 600);
    await rejects(restores.startDeleteDisk(request().id), 'CLOUD_CONFLICT');
  });

  it('refuse pages that are not whole, and those beyond the data', async () => {
    await readyDisk(restores, request());
    const target = openDiskTarget(await restores.grantDiskWrite(request().id, 600), noRenewal, { waiting: recordedWaiting() });
    for (const [bytes, offset] of [[512, 100], [512, size], [1024, size - 512], [512, -512]] as const) await rejects(target.write(Buffer.alloc(bytes), offset), 'INTERNAL');
    await rejects(target.clear(0, 0), 'INTERNAL');
    await target.write(Buffer.from('odd'), 512);
    const read = Buffer.alloc(1024, 1);
    await target.readInto(read, 0);
    assert.ok(read.equals(Buffer.concat([Buffer.alloc(512), Buffer.from('odd'), Buffer.alloc(509)])));
    await target.close();
  });

  it('are listed by their tag, as snapshots are', async () => {
    await readyDisk(restores, request());
    await readyDisk(restores, request('other', { tags: { team: 'x' } }));
    await bench.compute.snapshots.createOrUpdate('rg', 's', { location: 'local', incremental: true, tags: { 'Holdfast-Run': '7' }, creationData: { createOption: 'Copy', sourceResourceId: bench.diskId('web_os') } });
    const disks = await restores.listOwned('disk', 'holdfast-restore');
    assert.deepEqual(disks.map(({ name, diskState, managedBy, tags }) => [name, diskState, managedBy, tags]), [['restored', 'ReadyToUpload', null, { 'holdfast-restore': 'r1' }]]);
    assert.deepEqual((await restores.listOwned('snapshot', 'holdfast-run')).map(({ kind, name }) => [kind, name]), [['snapshot', 's']]);
    assert.deepEqual(await restores.listOwned('restorePointCollection', 'holdfast-run'), []);
  });
});
