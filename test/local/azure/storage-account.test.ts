import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { createCloud } from '../../../azure/compute/cloud';
import { type AzureStandIn, createAzureStandIn } from '../../../local/azure/stand-in';
import { addVm, noise } from '../../support/home';
import { makeTempFolder } from '../../support/temp-folder';

const KiB = 1024;

describe('the stand-in\'s storage account of unmanaged disks', () => {
  let standIn: AzureStandIn;
  let nowMs = Date.UTC(2026, 0, 1);
  let temp: Awaited<ReturnType<typeof makeTempFolder>>;
  beforeEach(async () => {
    temp = await makeTempFolder();
    await mkdir(path.join(temp.path, 'disks'));
    await addVm(path.join(temp.path, 'disks'), 'old01', { os: noise(64 * KiB, 1) }, { unmanaged: true });
    standIn = createAzureStandIn({ disksFolder: path.join(temp.path, 'disks'), stateFolder: path.join(temp.path, 'azure'), port: 0, clock: () => nowMs });
    await standIn.start();
  });
  afterEach(async () => {
    await standIn.stop();
    await temp.remove();
  });
  const cloud = () => createCloud({
    subscriptionIds: [standIn.subscriptionId], armEndpoint: standIn.url, credential: { getToken: () => Promise.reject(new Error('none on loopback')) },
    waiting: { wait: () => Promise.resolve(), random: () => 0.5, now: () => nowMs },
  });
  const blob = (): string => `${standIn.url}/localvhds/vhds/old01_os.vhd`;
  const answer = async (url: string, init?: RequestInit): Promise<[number, string | null]> => {
    const response = await fetch(url, init);
    await response.arrayBuffer();
    return [response.status, response.headers.get('x-ms-error-code')];
  };

  it('gives a signature for reading a snapshot that does that, no more, and only until it ends', async () => {
    const { id } = await cloud().takeBlobSnapshot(blob(), { holdfastrun: '1' });
    const { url, sizeBytes } = await cloud().grantRead({ kind: 'blobSnapshot', id }, 86_400);
    assert.equal(sizeBytes, 64 * KiB);
    assert.deepEqual(await answer(url, { headers: { range: 'bytes=0-511' } }), [206, null]);
    assert.deepEqual(await answer(url, { method: 'DELETE' }), [403, 'AuthorizationPermissionMismatch']);
    assert.deepEqual(await answer(`${url}&comp=snapshot`, { method: 'PUT' }), [403, 'AuthorizationPermissionMismatch']);
    assert.deepEqual(await answer(url.replace(/snapshot=[^&]+&/, '')), [403, 'AuthenticationFailed'], 'the disk itself is not open');
    assert.deepEqual(await answer(url.replace(/sig=[^&]+/, 'sig=AAAA')), [403, 'AuthenticationFailed']);
    nowMs += 3_600_000;
    assert.deepEqual(await answer(url, { headers: { range: 'bytes=0-511' } }), [403, 'AuthenticationFailed'], 'an hour is the most');
  });

  it('keeps a snapshot as it was, lists it with its tags, and adopts it when it is asked for again', async () => {
    const first = await cloud().takeBlobSnapshot(blob(), { holdfastrun: '1' });
    assert.equal((await cloud().takeBlobSnapshot(blob(), { holdfastrun: '1' })).id, first.id);
    const second = await cloud().takeBlobSnapshot(blob(), { holdfastrun: '2' });
    assert.deepEqual((await cloud().listBlobSnapshots(blob(), {})).map(({ id }) => id), [first.id, second.id]);
    assert.deepEqual((await cloud().listBlobSnapshots(blob(), { holdfastrun: '2' })).map(({ tags }) => tags), [{ holdfastrun: '2' }]);
    assert.equal(await cloud().deleteBlobSnapshot(first.id), 'deleted');
    assert.equal(await cloud().deleteBlobSnapshot(first.id), 'absent');
    assert.equal((await cloud().getBlobDisk(blob())).sizeBytes, 64 * KiB);
  });

  it('has neither managed disks nor restore points of such a machine', async () => {
    const [vm] = await cloud().listVms();
    const { disks } = await cloud().getVm(vm?.id ?? '');
    assert.deepEqual(disks.map(({ managed, blobUrl, id }) => [managed, blobUrl, id]), [[false, blob(), '']]);
  });
});
