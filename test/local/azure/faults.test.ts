import assert from 'node:assert/strict';
import { Bench, blobClient, mib, noise, pageList } from './bench';

describe('stand-in: faults', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await Bench.start({ 'web/os.img': noise(mib, 1) });
  });
  afterEach(() => bench.stop());
  const snapshotId = (name: string): string => bench.id('rg', `snapshots/${name}`);
  const createBody = (): object => ({ location: 'local', properties: { incremental: true, creationData: { createOption: 'Copy', sourceResourceId: bench.diskId('web_os') } } });

  it('refuses the next calls that match, with Retry-After, and counts them', async () => {
    const id = bench.standIn.faults.add({ kind: 'respond', status: 429, method: 'GET', path: '/virtualMachines/web$', times: 2, retryAfterSeconds: 7 });
    assert.equal((await bench.arm('GET', '/subscriptions')).status, 200);
    for (let n = 0; n < 2; n++) {
      const answer = await bench.arm('GET', bench.vmId('web'));
      assert.equal(answer.status, 429);
      assert.equal(answer.headers.get('retry-after'), '7');
      assert.equal(answer.body.error?.code, 'TooManyRequests');
    }
    assert.equal((await bench.arm('GET', bench.vmId('web'))).status, 200);
    assert.equal(bench.standIn.faults.fired(id), 2);
    assert.deepEqual(bench.standIn.faults.unfired(), []);
  });

  it('says which planned faults never happened', async () => {
    const id = bench.standIn.faults.add({ kind: 'reset', path: '/nothing' });
    await bench.arm('GET', bench.vmId('web'));
    assert.deepEqual(bench.standIn.faults.unfired().map((fault) => fault.id), [id]);
  });

  it('carries a call out and loses its answer', async () => {
    bench.standIn.faults.add({ kind: 'loseAnswer', method: 'PUT', path: '/snapshots/s1$' });
    await assert.rejects(bench.arm('PUT', snapshotId('s1'), createBody()));
    assert.equal((await bench.arm('GET', snapshotId('s1'))).status, 200);
    assert.equal(bench.standIn.calls.matching('PUT', /snapshots/)[0]?.status, 0);
  });

  it('resets a connection before anything is carried out', async () => {
    bench.standIn.faults.add({ kind: 'reset', method: 'PUT' });
    await assert.rejects(bench.arm('PUT', snapshotId('s1'), createBody()));
    assert.equal((await bench.arm('GET', snapshotId('s1'))).status, 404);
  });

  it('fails an operation after it was accepted, with code and message', async () => {
    bench.standIn.faults.add({ kind: 'failOperation', path: '/snapshots/s1$', code: 'QuotaExceeded', message: 'no more snapshots' });
    await assert.rejects(bench.snapshot('s1', 'web_os'), /QuotaExceeded|no more snapshots/);
    const properties = (await bench.arm('GET', snapshotId('s1'))).body['properties'] as { provisioningState: string; copyCompletionError: object };
    assert.equal(properties.provisioningState, 'Failed');
    assert.deepEqual(properties.copyCompletionError, { errorCode: 'QuotaExceeded', errorMessage: 'no more snapshots' });
  });

  it('fails a restore point and says why in its instance view', async () => {
    bench.standIn.faults.add({ kind: 'failOperation', path: '/restorePoints/rp$', code: 'VMRestorePointInternalError', message: 'VSS is in a bad state' });
    await bench.compute.restorePointCollections.createOrUpdate('rg', 'rpc', { location: 'local', source: { id: bench.vmId('web') } });
    await assert.rejects(bench.compute.restorePoints.create('rg', 'rpc', 'rp', {}), /VMRestorePointInternalError|bad state/);
    const point = await bench.compute.restorePoints.get('rg', 'rpc', 'rp', { expand: 'instanceView' });
    assert.equal(point.provisioningState, 'Failed');
    assert.equal(point.instanceView?.statuses?.[0]?.message, 'VSS is in a bad state');
    await bench.compute.restorePoints.delete('rg', 'rpc', 'rp');
  });

  it('fails a deletion and leaves the snapshot as it was', async () => {
    await bench.snapshot('s1', 'web_os');
    bench.standIn.faults.add({ kind: 'failOperation', path: '/snapshots/s1$', code: 'Conflict', message: 'locked' });
    await assert.rejects(bench.compute.snapshots.delete('rg', 's1'));
    assert.equal((await bench.compute.snapshots.get('rg', 's1')).provisioningState, 'Succeeded');
  });

  it('fails a grant and leaves nothing open', async () => {
    await bench.snapshot('s1', 'web_os');
    bench.standIn.faults.add({ kind: 'failOperation', path: '/snapshots/s1$', code: 'InternalError', message: 'again' });
    await assert.rejects(bench.grant('s1'));
    assert.equal((await bench.compute.snapshots.get('rg', 's1')).diskState, 'Unattached');
  });

  it('lets access expire after some reads, and on command', async () => {
    await bench.snapshot('s1', 'web_os');
    const url = await bench.grant('s1');
    const id = bench.standIn.faults.add({ kind: 'expireAccess', skip: 2, path: '/snapshots/s1$' });
    const statuses = [];
    for (let n = 0; n < 4; n++) statuses.push((await fetch(url, { headers: { range: 'bytes=0-511' } })).status);
    assert.deepEqual(statuses, [206, 206, 403, 403]);
    assert.equal(bench.standIn.faults.fired(id), 1);
    const again = await bench.grant('s1');
    assert.equal(bench.standIn.faults.fired(bench.standIn.faults.add({ kind: 'expireAllAccess' })), 1);
    assert.equal((await fetch(again)).status, 403);
    assert.equal(bench.standIn.faults.fired(bench.standIn.faults.add({ kind: 'expireAllAccess' })), 0);
  });

  it('breaks a read off in its middle', async () => {
    await bench.snapshot('s1', 'web_os');
    const url = await bench.grant('s1');
    bench.standIn.faults.add({ kind: 'cutBody', afterBytes: 1000 });
    await assert.rejects(async () => (await fetch(url, { headers: { range: 'bytes=0-99999' } })).arrayBuffer());
    assert.equal((await (await fetch(url, { headers: { range: 'bytes=0-99999' } })).arrayBuffer()).byteLength, 100_000);
  });

  it('lets the data plane be busy in its own words', async () => {
    await bench.snapshot('s1', 'web_os');
    const url = await bench.grant('s1');
    bench.standIn.faults.add({ kind: 'respond', status: 503, path: '^/disk/' });
    const answer = await fetch(url);
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get('x-ms-error-code'), 'ServerBusy');
    await blobClient(url).getProperties();
  });

  it('leaves ranges out of a diff, as a service that lies would', async () => {
    await bench.snapshot('s1', 'web_os');
    await bench.put('web/os.img', noise(mib, 2));
    await bench.snapshot('s2', 'web_os');
    const [base, url] = [await bench.grant('s1'), await bench.grant('s2')];
    const id = bench.standIn.faults.add({ kind: 'omitRanges', count: 1 });
    assert.equal((await pageList(url, { base })).pages.length, 0);
    assert.equal((await pageList(url, { base })).pages.length, 1);
    assert.equal(bench.standIn.faults.fired(id), 1);
  });

  it('replaces a disk under the same name and deletes a VM, at once', async () => {
    const before = await bench.compute.disks.get('local', 'web_os');
    bench.standIn.faults.add({ kind: 'replaceDisk', vm: 'web', disk: 'os.img' });
    assert.notEqual((await bench.compute.disks.get('local', 'web_os')).uniqueId, before.uniqueId);
    bench.standIn.faults.add({ kind: 'deleteVm', vm: 'web' });
    assert.equal((await bench.arm('GET', bench.vmId('web'))).status, 404);
  });

  it('takes faults over HTTP and refuses those it does not know', async () => {
    const admin = async (method: string, what: string, body?: object): Promise<Response> => fetch(`${bench.standIn.url}/_standin/${what}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const made = await admin('POST', 'faults', [{ kind: 'respond', status: 503, path: 'virtualMachines' }]);
    assert.equal(made.status, 201);
    assert.equal((await bench.arm('GET', bench.vmId('web'))).status, 503);
    const listed = await (await admin('GET', 'faults')).json() as { faults: { fired: number }[] };
    assert.deepEqual(listed.faults.map((fault) => fault.fired), [1]);
    assert.equal((await admin('POST', 'faults', { kind: 'explode' })).status, 400);
    assert.equal((await admin('POST', 'faults', { kind: 'reset', path: '(' })).status, 400);
    assert.equal((await admin('DELETE', 'faults')).status, 204);
    assert.equal(bench.standIn.faults.list().length, 0);
    const calls = await (await admin('GET', 'calls')).json() as { calls: { status: number }[] };
    assert.deepEqual(calls.calls.map((call) => call.status), [503]);
    assert.equal((await admin('DELETE', 'calls')).status, 204);
    assert.equal((await admin('GET', 'nothing')).status, 404);
  });

  it('can be given faults before it starts', async () => {
    const other = await Bench.start({ 'web/os.img': noise(mib, 1) }, { faults: [{ kind: 'respond', status: 503 }] });
    try {
      assert.equal((await other.arm('GET', '/subscriptions')).status, 503);
      assert.deepEqual(other.standIn.faults.unfired(), []);
    } finally {
      await other.stop();
    }
  });

  it('throttles by token buckets when told to, with the headers that say so', async () => {
    await bench.standIn.stop();
    await bench.open({ arm: { reads: { capacity: 2, refillPerSecond: 1 }, writes: { capacity: 1, refillPerSecond: 1 }, deletes: { capacity: 1, refillPerSecond: 1 } } });
    assert.equal((await bench.arm('GET', '/subscriptions')).headers.get('x-ms-ratelimit-remaining-subscription-reads'), '1');
    await bench.arm('GET', '/subscriptions');
    const refused = await bench.arm('GET', '/subscriptions');
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get('retry-after'), '1');
    bench.nowMs += 1000;
    assert.equal((await bench.arm('GET', '/subscriptions')).status, 200);
  });
});
