import assert from 'node:assert/strict';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Bench, blobClient, mib, noise } from './bench';

describe('stand-in: snapshots and access', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await Bench.start({ 'web/os.img': noise(mib, 1), 'db/os.img': noise(mib, 2) });
  });
  afterEach(() => bench.stop());
  const snapshotId = (name: string): string => bench.id('rg', `snapshots/${name}`);
  const grantCall = (name: string, body: object = { access: 'Read', durationInSeconds: 600 }) => bench.arm('POST', `${snapshotId(name)}/beginGetAccess`, body);

  it('makes an incremental snapshot with its family, lists, tags and deletes it', async () => {
    await bench.snapshot('s1', 'web_os');
    const first = await bench.compute.snapshots.get('rg', 's1');
    assert.equal(first.provisioningState, 'Succeeded');
    assert.equal(first.incremental, true);
    assert.equal(first.diskSizeBytes, mib);
    assert.equal(first.completionPercent, 100);
    assert.equal(first.creationData?.sourceUniqueId, (await bench.compute.disks.get('local', 'web_os')).uniqueId);
    await bench.snapshot('s2', 'web_os');
    await bench.snapshot('other', 'db_os');
    assert.equal((await bench.compute.snapshots.get('rg', 's2')).incrementalSnapshotFamilyId, first.incrementalSnapshotFamilyId);
    assert.notEqual((await bench.compute.snapshots.get('rg', 'other')).incrementalSnapshotFamilyId, first.incrementalSnapshotFamilyId);
    await bench.compute.snapshots.update('rg', 's1', { tags: { run: '7' } });
    const listed = [];
    for await (const snapshot of bench.compute.snapshots.list()) listed.push([snapshot.name, snapshot.tags?.['run']]);
    assert.deepEqual(listed, [['s1', '7'], ['s2', undefined], ['other', undefined]]);
    await bench.compute.snapshots.delete('rg', 's1');
    assert.equal((await bench.arm('GET', snapshotId('s1'))).status, 404);
    assert.equal((await readdir(join(bench.stateFolder, 'content'))).length, 2);
  });

  it('lets a look wait for the copying where the clock is a test\'s: hours could pass on it meanwhile', async () => {
    await bench.stop();
    bench = await Bench.start({ 'web/os.img': noise(mib, 1), 'web/data.img': noise(64 * mib, 3) }, { limits: { answerWaitMs: 0 } });
    const stateOf = ({ body }: Awaited<ReturnType<Bench['arm']>>): unknown => (body['properties'] as { provisioningState?: string } | undefined)?.provisioningState;
    const body = { location: 'local', properties: { incremental: true, creationData: { createOption: 'Copy', sourceResourceId: bench.diskId('web_data') } } };
    assert.equal(stateOf(await bench.arm('PUT', snapshotId('large'), body)), 'Creating');
    bench.nowMs += 24 * 3_600_000;
    assert.equal(stateOf(await bench.arm('GET', snapshotId('large'))), 'Succeeded');
  });

  it('takes a repeated PUT for the same disk as one snapshot, also when both come at once', async () => {
    const body = { location: 'local', properties: { incremental: true, creationData: { createOption: 'Copy', sourceResourceId: bench.diskId('web_os') } } };
    const answers = await Promise.all([bench.arm('PUT', snapshotId('s1'), body), bench.arm('PUT', snapshotId('s1'), body)]);
    assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 201]);
    assert.equal((await readdir(join(bench.stateFolder, 'content'))).length, 1);
    const other = { ...body, properties: { ...body.properties, creationData: { createOption: 'Copy', sourceResourceId: bench.diskId('db_os') } } };
    assert.equal((await bench.arm('PUT', snapshotId('s1'), other)).body.error?.code, 'PropertyChangeNotAllowed');
    const missing = { ...body, properties: { ...body.properties, creationData: { createOption: 'Copy', sourceResourceId: bench.diskId('none') } } };
    assert.equal((await bench.arm('PUT', snapshotId('s2'), missing)).status, 404);
  });

  it('gives the same URL again while access is active, and prolongs it', async () => {
    await bench.snapshot('s1', 'web_os');
    const first = await bench.grant('s1', 100);
    bench.nowMs += 60_000;
    assert.equal(await bench.grant('s1', 100), first);
    bench.nowMs += 60_000;
    assert.equal((await fetch(first, { headers: { range: 'bytes=0-511' } })).status, 206);
    bench.nowMs += 60_000;
    const refused = await fetch(first, { headers: { range: 'bytes=0-511' } });
    assert.equal(refused.status, 403);
    assert.equal(refused.headers.get('x-ms-error-code'), 'AuthenticationFailed');
    assert.match(await refused.text(), /<Error><Code>AuthenticationFailed<\/Code>/);
    assert.notEqual(await bench.grant('s1', 100), first);
  });

  it('cuts every user off with one revoke', async () => {
    await bench.snapshot('s1', 'web_os');
    const [one, two] = [await bench.grant('s1'), await bench.grant('s1')];
    assert.equal(one, two);
    await bench.compute.snapshots.revokeAccess('rg', 's1');
    await assert.rejects(blobClient(one).getProperties(), (error: { statusCode?: number }) => error.statusCode === 403);
    await bench.compute.snapshots.revokeAccess('rg', 's1');
  });

  it('refuses a wrong, a missing and a foreign signature', async () => {
    await bench.snapshot('s1', 'web_os');
    await bench.snapshot('s2', 'web_os');
    const url = new URL(await bench.grant('s1'));
    const other = new URL(await bench.grant('s2'));
    for (const change of [(query: URLSearchParams) => query.delete('sig'), (query: URLSearchParams) => query.set('sig', 'x'), (query: URLSearchParams) => query.set('sig', other.searchParams.get('sig') ?? '')]) {
      const wrong = new URL(url);
      change(wrong.searchParams);
      assert.equal((await fetch(wrong)).status, 403);
    }
    assert.equal((await fetch(url, { method: 'HEAD' })).status, 200);
  });

  it('lets at most five snapshots of a family be open, restore points included', async () => {
    for (let n = 1; n <= 5; n++) {
      await bench.snapshot(`s${n}`, 'web_os');
      await bench.grant(`s${n}`);
    }
    await bench.compute.restorePointCollections.createOrUpdate('rg', 'rpc', { location: 'local', source: { id: bench.vmId('web') } });
    const point = await bench.compute.restorePoints.create('rg', 'rpc', 'rp', {});
    const handle = point.sourceMetadata?.storageProfile?.osDisk?.diskRestorePoint?.id ?? '';
    const refused = await bench.arm('POST', `${handle}/beginGetAccess`, { access: 'Read', durationInSeconds: 600 });
    assert.equal(refused.status, 409);
    assert.equal(refused.body.error?.code, 'OperationNotAllowed');
    assert.match(refused.body.error?.message ?? '', /At most 5 snapshots of the same family/);
    await bench.snapshot('other', 'db_os');
    await bench.grant('other');
    await bench.compute.snapshots.revokeAccess('rg', 's3');
    assert.equal((await bench.arm('POST', `${handle}/beginGetAccess`, { access: 'Read', durationInSeconds: 600 })).status, 202);
  });

  it('refuses access for too long, for no time, for writing, and to what is not there', async () => {
    await bench.snapshot('s1', 'web_os');
    assert.equal((await grantCall('s1', { access: 'Read', durationInSeconds: 5_184_001 })).status, 400);
    assert.equal((await grantCall('s1', { access: 'Read', durationInSeconds: 5_184_000 })).status, 202);
    assert.equal((await grantCall('s1', { access: 'Read', durationInSeconds: 0 })).status, 400);
    assert.equal((await grantCall('s1', { access: 'Write', durationInSeconds: 60 })).status, 400);
    assert.equal((await grantCall('none')).status, 404);
    assert.equal((await bench.arm('POST', `${bench.diskId('web_os')}/beginGetAccess`, { access: 'Read', durationInSeconds: 60 })).status, 409);
  });

  it('does not delete what is open', async () => {
    await bench.snapshot('s1', 'web_os');
    await bench.grant('s1');
    await assert.rejects(bench.compute.snapshots.delete('rg', 's1'), /active shared access signature/);
  });

  it('holds a snapshot below 100 percent and unreadable while its background copy is stalled', async () => {
    const id = bench.standIn.faults.add({ kind: 'stallCopy', percent: 40, looks: 2, path: '/snapshots/slow$' });
    await bench.snapshot('slow', 'web_os');
    const looks = bench.standIn.calls.matching('GET', /snapshots\/slow$/).length;
    const percents = [];
    for (let look = looks; look < 3; look++) {
      if (look < 2) assert.equal((await grantCall('slow')).status, 409);
      percents.push((await bench.compute.snapshots.get('rg', 'slow')).completionPercent);
    }
    assert.equal(percents.at(-1), 100);
    assert.ok(percents.slice(0, -1).every((percent) => percent === 40));
    assert.equal((await grantCall('slow')).status, 202);
    assert.equal(bench.standIn.faults.fired(id), 1);
  });

  it('starts a new family when a disk is resized over the boundary', async () => {
    await bench.standIn.stop();
    await bench.open({ familyBoundaryBytes: 2 * mib });
    await bench.snapshot('before', 'web_os');
    await bench.put('web/os.img', noise(3 * mib, 1));
    await bench.snapshot('after', 'web_os');
    const [before, after] = [await bench.compute.snapshots.get('rg', 'before'), await bench.compute.snapshots.get('rg', 'after')];
    assert.notEqual(before.incrementalSnapshotFamilyId, after.incrementalSnapshotFamilyId);
    assert.equal(before.creationData?.sourceUniqueId, after.creationData?.sourceUniqueId);
  });

  it('keeps the numbers of snapshots of a disk, in all and in five minutes', async () => {
    await bench.standIn.stop();
    await bench.open({ snapshotsPerDisk: 3, snapshotsPerDiskPer5Minutes: 2 });
    await bench.snapshot('s1', 'web_os');
    await bench.snapshot('s2', 'web_os');
    await assert.rejects(bench.snapshot('s3', 'web_os'), (error: { statusCode?: number }) => error.statusCode === 429);
    bench.nowMs += 301_000;
    await bench.snapshot('s3', 'web_os');
    bench.nowMs += 301_000;
    await assert.rejects(bench.snapshot('s4', 'web_os'), (error: { statusCode?: number }) => error.statusCode === 409);
  });

  it('fails a snapshot of an image that never stops changing, rather than keep a torn copy', async () => {
    const path = join(bench.disksFolder, 'web/os.img');
    await bench.put('web/os.img', Buffer.alloc(64 * mib, 7));
    const file = await open(path, 'r+');
    let writing = true;
    const writer = (async () => {
      for (let n = 0; writing; n++) {
        await file.write(Buffer.from([n & 0xff]), 0, 1, (n * 4096) % (64 * mib));
        await new Promise((next) => setImmediate(next));
      }
    })();
    try {
      await assert.rejects(bench.snapshot('torn', 'web_os'), /DiskImageInUse|kept changing/);
    } finally {
      writing = false;
      await writer;
      await file.close();
    }
    const failed = await bench.arm('GET', snapshotId('torn'));
    const properties = failed.body['properties'] as { provisioningState: string; copyCompletionError: { errorCode: string } };
    assert.equal(properties.provisioningState, 'Failed');
    assert.equal(properties.copyCompletionError.errorCode, 'DiskImageInUse');
    assert.equal((await grantCall('torn')).status, 409);
    assert.deepEqual(await readdir(join(bench.stateFolder, 'content')), []);
    assert.equal((await bench.arm('DELETE', snapshotId('torn'))).status, 202);
  });
});
