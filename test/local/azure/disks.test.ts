import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { buildFixedFooter } from '../../../vault/format/vhd-footer';
import { Bench, blobClient, mib, noise, pageList } from './bench';

const footer = (bytes: number): Buffer => buildFixedFooter(bytes, { uniqueId: '00112233-4455-6677-8899-aabbccddeeff', createdAt: Date.UTC(2026, 0, 1) });

describe('stand-in: disks made through the API', () => {
  let bench: Bench;
  const source = Buffer.concat([noise(64 * 1024, 1), Buffer.alloc(mib), noise(64 * 1024, 2)]);
  beforeEach(async () => {
    bench = await Bench.start({ 'web/os.img': source });
  });
  afterEach(() => bench.stop());

  const upload = (name: string, dataBytes: number) => bench.compute.disks.createOrUpdate('rg', name, {
    location: 'local', osType: 'Linux', hyperVGeneration: 'V2', creationData: { createOption: 'Upload', uploadSizeBytes: dataBytes + 512 },
  });
  const write = async (name: string): Promise<string> => (await bench.compute.disks.grantAccess('rg', name, { access: 'Write', durationInSeconds: 600 })).accessSAS ?? '';

  it('takes an upload byte for byte, through every state', async () => {
    const made = await upload('restored', source.length);
    assert.equal(made.diskState, 'ReadyToUpload');
    assert.equal(made.diskSizeBytes, source.length);
    const url = await write('restored');
    assert.equal((await bench.compute.disks.get('rg', 'restored')).diskState, 'ActiveUpload');
    const client = blobClient(url);
    await client.uploadPages(source.subarray(0, 64 * 1024), 0, 64 * 1024);
    await client.uploadPages(source.subarray(0, 64 * 1024), 512 * 1024, 64 * 1024);
    await client.clearPages(512 * 1024, 64 * 1024);
    await client.uploadPages(source.subarray(source.length - 64 * 1024), source.length - 64 * 1024, 64 * 1024);
    assert.deepEqual((await pageList(url)).pages, [[0, 64 * 1024 - 1], [source.length - 64 * 1024, source.length - 1]]);
    await client.uploadPages(footer(source.length), source.length, 512);
    assert.deepEqual((await pageList(url)).pages.at(-1), [source.length - 64 * 1024, source.length + 511], 'a write is seen by the next list');
    await bench.compute.disks.revokeAccess('rg', 'restored');
    assert.equal((await bench.compute.disks.get('rg', 'restored')).diskState, 'Unattached');
    await assert.rejects(client.uploadPages(footer(source.length), source.length, 512), (error: { statusCode?: number }) => error.statusCode === 403);
    const { accessSAS } = await bench.compute.disks.grantAccess('rg', 'restored', { access: 'Read', durationInSeconds: 600 });
    const bytes = await blobClient(accessSAS ?? '').downloadToBuffer();
    assert.ok(bytes.equals(Buffer.concat([source, footer(source.length)])));
    await assert.rejects(blobClient(accessSAS ?? '').uploadPages(footer(source.length), 0, 512), (error: { statusCode?: number }) => error.statusCode === 403);
    await assert.rejects(bench.compute.disks.grantAccess('rg', 'restored', { access: 'Write', durationInSeconds: 600 }), /ready for upload/);
    await bench.compute.disks.revokeAccess('rg', 'restored');
    await bench.compute.disks.delete('rg', 'restored');
    assert.equal((await bench.arm('GET', bench.id('rg', 'disks/restored'))).status, 404);
  });

  it('refuses page writes that no page blob takes', async () => {
    await upload('d', mib);
    const url = await write('d');
    const put = async (range: string, body: Buffer, headers: Record<string, string> = {}): Promise<unknown> => {
      const answer = await fetch(`${url}&comp=page`, { method: 'PUT', body: new Uint8Array(body), headers: { 'x-ms-page-write': 'update', 'x-ms-range': range, ...headers } });
      return [answer.status, answer.headers.get('x-ms-error-code')];
    };
    assert.deepEqual(await put('bytes=1-512', noise(512, 1)), [416, 'InvalidPageRange']);
    assert.deepEqual(await put('bytes=0-510', noise(511, 1)), [416, 'InvalidPageRange']);
    assert.deepEqual(await put(`bytes=${mib + 512}-${mib + 1023}`, noise(512, 1)), [416, 'InvalidPageRange']);
    assert.deepEqual(await put('bytes=0-1023', noise(512, 1)), [400, 'InvalidHeaderValue']);
    assert.deepEqual(await put('bytes=0-511', noise(512, 1), { 'x-ms-page-write': 'erase' }), [400, 'InvalidHeaderValue']);
    assert.deepEqual(await put('bytes=0-511', noise(512, 1), { 'content-md5': createHash('md5').update('other').digest('base64') }), [400, 'Md5Mismatch']);
    assert.deepEqual(await put('bytes=0-511', noise(512, 1), { 'content-md5': createHash('md5').update(noise(512, 1)).digest('base64') }), [201, null]);
    await upload('big', 8 * mib);
    const bigUrl = await write('big');
    const tooMuch = await fetch(`${bigUrl}&comp=page`, { method: 'PUT', body: new Uint8Array(5 * mib), headers: { 'x-ms-page-write': 'update', 'x-ms-range': `bytes=0-${5 * mib - 1}` } });
    assert.equal(tooMuch.status, 413);
  });

  it('shows an upload without a footer for what it is, but lets its access be ended', async () => {
    await upload('d', mib);
    await blobClient(await write('d')).uploadPages(noise(512, 1), 0, 512);
    await bench.compute.disks.revokeAccess('rg', 'd');
    await assert.rejects(bench.compute.disks.grantAccess('rg', 'd', { access: 'Read', durationInSeconds: 60 }), (error: { code?: string }) => error.code === 'InvalidVhd');
    assert.match(bench.logged.join('\n'), /no valid VHD/);
  });

  it('makes a disk from a snapshot, independent of it', async () => {
    const snapshotId = await bench.snapshot('s1', 'web_os');
    await bench.compute.disks.createOrUpdate('rg', 'copy', { location: 'local', creationData: { createOption: 'Copy', sourceResourceId: snapshotId } });
    await bench.compute.snapshots.delete('rg', 's1');
    const { accessSAS } = await bench.compute.disks.grantAccess('rg', 'copy', { access: 'Read', durationInSeconds: 60 });
    assert.ok((await blobClient(accessSAS ?? '').downloadToBuffer(0, source.length)).equals(source));
    await assert.rejects(bench.compute.disks.createOrUpdate('rg', 'other', { location: 'local', creationData: { createOption: 'Copy', sourceResourceId: snapshotId } }), (error: { statusCode?: number }) => error.statusCode === 404);
  });

  it('makes empty disks that read as zeros', async () => {
    await bench.compute.disks.createOrUpdate('rg', 'empty', { location: 'local', diskSizeGB: 1, creationData: { createOption: 'Empty' } });
    const { accessSAS } = await bench.compute.disks.grantAccess('rg', 'empty', { access: 'Read', durationInSeconds: 60 });
    const client = blobClient(accessSAS ?? '');
    assert.equal((await client.getProperties()).contentLength, 1024 ** 3 + 512);
    assert.ok((await client.downloadToBuffer(1024 ** 3 - mib, mib)).equals(Buffer.alloc(mib)));
    assert.deepEqual((await pageList(accessSAS ?? '', { range: `bytes=${1024 ** 3 - mib}-` })).pages, [[1024 ** 3, 1024 ** 3 + 511]]);
  });

  it('never writes to an image in the folder, and refuses sizes that no upload has', async () => {
    const refused = async (path: string, method: string, body?: object): Promise<number> => (await bench.arm(method, path, body)).status;
    assert.equal(await refused(bench.diskId('web_os'), 'PUT', { location: 'local', properties: { creationData: { createOption: 'Empty' }, diskSizeGB: 1 } }), 409);
    assert.equal(await refused(bench.diskId('web_os'), 'DELETE'), 409);
    assert.equal(await refused(bench.diskId('web_os'), 'PATCH', { tags: {} }), 409);
    const create = (uploadSizeBytes: number): object => ({ location: 'local', properties: { creationData: { createOption: 'Upload', uploadSizeBytes } } });
    assert.equal(await refused(bench.id('rg', 'disks/x'), 'PUT', create(1000)), 400);
    assert.equal(await refused(bench.id('rg', 'disks/x'), 'PUT', create(512)), 400);
    assert.equal(await refused(bench.id('rg', 'disks/x'), 'PUT', { location: 'local', properties: { creationData: { createOption: 'Import' } } }), 400);
    await bench.standIn.stop();
    await bench.open({ minUploadBytes: 20_972_032 });
    assert.equal(await refused(bench.id('rg', 'disks/x'), 'PUT', create(mib + 512)), 400);
  });
});
