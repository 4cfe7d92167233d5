import assert from 'node:assert/strict';
import { ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import type { PageBlobRequest, PageTarget } from '../../activities/restore-cloud';
import { openPageBlobTarget, PageBlob } from '../../azure/blob/page-blob';
import { pageBlobOperations } from '../../azure/compute/page-blobs';
import { openPageTarget } from '../../azure/page-target';
import type { ErrorCode } from '../../errors/catalogue';
import { isHoldfastError } from '../../errors/holdfast-error';
import { parseFooter } from '../../vault/format/vhd-footer';
import { type Azurite, startAzurite } from '../support/azurite';
import { startWireServer } from '../support/wire-server';

const mib = 1024 * 1024;
const size = 8 * mib;
const footer = { uniqueId: '00112233-4455-6677-8899-aabbccddeeff', createdAtMs: Date.UTC(2026, 0, 1) };
const credential = { getToken: () => Promise.reject(new Error('no token is needed for an emulator')) };
const bytes = (length: number, value: number): Buffer => Buffer.alloc(length, value);
const noRenewal = () => Promise.reject(new Error('page blobs are never renewed'));

describe('page blobs as targets of a restore, in Azurite', () => {
  let azurite: Azurite;
  let containerUrl: string;
  let container: string;
  before(async () => {
    azurite = await startAzurite();
  });
  beforeEach(async () => {
    containerUrl = azurite.newContainerUrl();
    container = containerUrl.split('/').at(-1) ?? '';
    await new ContainerClient(containerUrl, new StorageSharedKeyCredential(azurite.accountName, azurite.accountKey)).create();
  });

  const operations = (restoreContainers: readonly string[] = [containerUrl]) => pageBlobOperations({ credential, restoreContainers, env: {} });
  const request = (changes: Partial<PageBlobRequest> = {}): PageBlobRequest => ({ account: azurite.accountName, container, blob: 'disks/web-os.vhd', sizeBytes: size, metadata: { holdfast_restore: 'r1' }, ...changes });
  const open = (): Promise<PageTarget> => openPageTarget(operations().locatePageBlob(request(), size), noRenewal);
  const rejects = async (promise: Promise<unknown> | (() => unknown), code: ErrorCode) =>
    assert.rejects(typeof promise === 'function' ? async () => promise() : promise, (error) => isHoldfastError(error, code) || assert.fail(`wanted ${code}, got ${String(error)}`));
  const content = async (target: PageTarget): Promise<Buffer> => {
    const read = Buffer.alloc(size, 9);
    await target.readInto(read, 0);
    return read;
  };

  it('are made, written, cleared and read back, and are then fixed VHDs', async () => {
    const { createPageBlob, getPageBlob, deletePageBlob } = operations();
    assert.equal(await getPageBlob(request()), undefined);
    assert.equal(await createPageBlob(request()), 'created');
    assert.equal(await createPageBlob(request()), 'exists');
    assert.deepEqual(await getPageBlob(request()), { sizeBytes: size, metadata: { holdfast_restore: 'r1' } });
    const target = await open();
    await target.write(bytes(5 * mib, 1), 512);
    await target.clear(mib, 2 * mib);
    await target.write(bytes(100, 2), size - 512);
    await target.writeFooter(footer);
    const wanted = Buffer.concat([bytes(512, 0), bytes(mib - 512, 1), bytes(2 * mib, 0), bytes(2 * mib + 512, 1), bytes(3 * mib - 1024, 0), bytes(100, 2), bytes(412, 0)]);
    assert.ok((await content(target)).equals(wanted));
    const ranges: [number, number][] = [];
    for await (const { offset, length } of target.listRanges({ offset: 4096, length: size - 4096 })) ranges.push([offset, length]);
    assert.deepEqual(ranges, [[4096, mib - 4096], [3 * mib, 2 * mib + 512], [size - 512, 512]]);
    await target.close();
    const blob = new PageBlob({ containerUrl, blob: request().blob }, { env: {}, credential });
    const last = Buffer.alloc(512);
    await blob.read(last, size);
    const parsed = parseFooter(last);
    assert.ok('footer' in parsed && parsed.footer.currentSizeBytes === size && parsed.footer.diskType === 'fixed');
    assert.equal(await deletePageBlob(request()), 'deleted');
    assert.equal(await deletePageBlob(request()), 'absent');
  });

  it('take a differential restore: what differs is written, and nothing else is touched', async () => {
    await operations().createPageBlob(request());
    const target = await open();
    await target.write(bytes(size, 1), 0);
    await target.write(bytes(4096, 2), 3 * mib);
    await target.clear(5 * mib, 4096);
    assert.ok((await content(target)).equals(Buffer.concat([bytes(3 * mib, 1), bytes(4096, 2), bytes(2 * mib - 4096, 1), bytes(4096, 0), bytes(3 * mib - 4096, 1)])));
  });

  it('are refused where the settings do not allow them, whatever the name says (threat 13)', async () => {
    for (const changes of [{ container: 'other' }, { account: 'evil' }, { account: '127.0.0.1' }]) await rejects(operations().createPageBlob(request(changes)), 'TARGET_NOT_ALLOWED');
    await rejects(operations([]).createPageBlob(request()), 'TARGET_NOT_ALLOWED');
    await rejects(() => operations([]).locatePageBlob(request(), size), 'TARGET_NOT_ALLOWED');
    for (const blob of ['../other/x', 'a/../x', 'a//b', '/a', '', 'a?b', 'a b', 'a#b', '%2e%2e/x', '.x']) await rejects(operations().createPageBlob(request({ blob })), 'CLOUD_ID_INVALID');
  });

  it('are never taken from somebody else: another size, another restore, another kind of blob', async () => {
    const { createPageBlob, getPageBlob } = operations();
    await createPageBlob(request());
    await rejects(createPageBlob(request({ sizeBytes: size + mib })), 'TARGET_EXISTS');
    await rejects(createPageBlob(request({ metadata: { holdfast_restore: 'r2' } })), 'TARGET_EXISTS');
    await new ContainerClient(containerUrl, new StorageSharedKeyCredential(azurite.accountName, azurite.accountKey)).getBlockBlobClient('block').upload('x', 1);
    assert.equal(await getPageBlob(request({ blob: 'block' })), undefined);
    await rejects(createPageBlob(request({ blob: 'block' })), 'TARGET_EXISTS');
    const missing = containerUrl.replace(/[^/]+$/, 'not-there');
    await rejects(operations([missing]).getPageBlob(request({ container: 'not-there' })), 'CLOUD_NOT_FOUND');
  });

  it('say what failed, try again what may pass, and give up in bounds', async () => {
    const answers = [{ status: 503, body: '' }, 'reset' as const, { status: 201, headers: { etag: '"1"' }, body: '' }];
    const server = await startWireServer(() => answers.shift() ?? { status: 500, body: '' });
    const place = { containerUrl: `${server.url}/devstoreaccount1/container`, blob: 'b' };
    const target = openPageBlobTarget(place, size, { env: {}, credential, retry: { sleep: () => Promise.resolve(), tries: 3 } });
    await target.write(bytes(512, 1), 0);
    assert.equal(server.requests.length, 3);
    await rejects(target.write(bytes(512, 1), 0), 'CLOUD_UNREACHABLE');
    assert.equal(server.requests.length, 6);
    for (const [length, offset] of [[512, 1], [512, size], [1024, size - 512]] as const) await rejects(target.write(bytes(length, 1), offset), 'INTERNAL');
    await rejects(target.clear(0, size + 512), 'INTERNAL');
    await server.close();
  });
});
