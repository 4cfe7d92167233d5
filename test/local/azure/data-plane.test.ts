import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { buildFixedFooter } from '../../../vault/format/vhd-footer';
import { Bench, blobClient, noise, pageList } from './bench';

const page = 4096;

describe('stand-in: reading snapshots', () => {
  let bench: Bench;
  const image = Buffer.concat([noise(page, 1), Buffer.alloc(3 * page), noise(2 * page, 2), Buffer.alloc(256 * 1024)]);
  before(async () => {
    bench = await Bench.start({ 'web/os.img': image });
    await bench.snapshot('s1', 'web_os');
  });
  after(() => bench.stop());

  it('serves ranges with their place, whole reads, heads, and the footer at the end', async () => {
    const url = await bench.grant('s1');
    const part = await fetch(url, { headers: { 'x-ms-range': 'bytes=4000-4199' } });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get('content-range'), `bytes 4000-4199/${image.length + 512}`);
    assert.ok(Buffer.from(await part.arrayBuffer()).equals(image.subarray(4000, 4200)));
    const head = await fetch(url, { method: 'HEAD' });
    assert.equal(head.headers.get('content-length'), String(image.length + 512));
    assert.equal(head.headers.get('x-ms-blob-type'), 'PageBlob');
    assert.equal(head.headers.get('etag'), part.headers.get('etag'));
    const whole = Buffer.from(await (await fetch(url)).arrayBuffer());
    assert.ok(whole.subarray(0, image.length).equals(image));
    const beyond = await fetch(url, { headers: { range: `bytes=${image.length + 512}-` } });
    assert.equal(beyond.status, 416);
    assert.equal(beyond.headers.get('x-ms-error-code'), 'InvalidRange');
    const tail = await fetch(url, { headers: { range: `bytes=${image.length}-${image.length + 9999}` } });
    assert.equal((await tail.arrayBuffer()).byteLength, 512);
    assert.equal((await fetch(url, { headers: { range: 'bytes=9-3' } })).status, 400);
    assert.equal((await fetch(url, { headers: { 'if-match': '"other"' } })).status, 412);
    assert.equal((await fetch(url, { method: 'PUT', body: 'x' })).status, 403);
  });

  it('lists what holds data to the genuine client and by pages', async () => {
    const client = blobClient(await bench.grant('s1'));
    const found = [];
    for await (const range of client.listPageRanges(0, image.length)) found.push([range.start, range.end]);
    assert.deepEqual(found, [[0, page - 1], [4 * page, 6 * page - 1]]);
    const url = await bench.grant('s1');
    const first = await pageList(url, { maxResults: 1 });
    assert.deepEqual(first.pages, [[0, page - 1]]);
    const rest = await pageList(url, { marker: first.marker });
    assert.deepEqual(rest.pages, [[4 * page, 6 * page - 1], [image.length, image.length + 511]]);
    assert.equal(rest.marker, '');
    assert.deepEqual((await pageList(url, { range: 'bytes=1000-20479' })).pages, [[1000, page - 1], [4 * page, 20479]]);
    assert.equal((await pageList(url, { maxResults: 0 })).status, 400);
    assert.equal((await pageList(url, { marker: 'nonsense' })).status, 400);
    assert.equal((await pageList(url, { version: '2019-12-12', maxResults: 1 })).pages.length, 3);
  });
});

describe('stand-in: page-range diffs', () => {
  let bench: Bench;
  const imagePath = (): string => join(bench.disksFolder, 'web/os.img');
  beforeEach(async () => {
    bench = await Bench.start({ 'web/os.img': noise(16 * page, 1), 'db/os.img': noise(16 * page, 1) });
  });
  afterEach(() => bench.stop());

  async function writeAt(offset: number, bytes: Buffer): Promise<void> {
    const file = await open(imagePath(), 'r+');
    await file.write(bytes, 0, bytes.length, offset);
    await file.close();
  }

  it('says what was written and what was cleared, to the genuine client too', async () => {
    await bench.snapshot('s1', 'web_os');
    await writeAt(2 * page, noise(page, 5));
    await writeAt(5 * page, Buffer.alloc(2 * page));
    await bench.snapshot('s2', 'web_os');
    const [base, url] = [await bench.grant('s1'), await bench.grant('s2')];
    const diff = await pageList(url, { base });
    assert.deepEqual(diff.pages, [[2 * page, 3 * page - 1]]);
    assert.deepEqual(diff.clears, [[5 * page, 7 * page - 1]]);
    const answer = await blobClient(url).getPageRangesDiffForManagedDisks(0, 16 * page, base);
    assert.deepEqual(answer.pageRange, [{ offset: 2 * page, count: page - 1 }], 'the client is off by one, which the app must know');
    assert.deepEqual(answer.clearRange, [{ offset: 5 * page, count: 2 * page - 1 }]);
    assert.equal(bench.standIn.calls.data.diffs, 2);
  });

  it('truncates at its cap and says so with a marker, as the service does', async () => {
    await bench.standIn.stop();
    await bench.open({ pageRangesPerAnswer: 2 });
    await bench.snapshot('s1', 'web_os');
    for (const at of [1, 3, 5, 7, 9]) await writeAt(at * page, at === 5 ? Buffer.alloc(page) : noise(page, at));
    await bench.snapshot('s2', 'web_os');
    const [base, url] = [await bench.grant('s1'), await bench.grant('s2')];
    const sdk = await blobClient(url).getPageRangesDiffForManagedDisks(0, 16 * page, base);
    assert.equal((sdk.pageRange?.length ?? 0) + (sdk.clearRange?.length ?? 0), 2);
    assert.ok((sdk as { continuationToken?: string }).continuationToken);
    const starts: number[] = [];
    let marker: string | undefined;
    do {
      const answer = await pageList(url, { base, ...(marker === undefined ? {} : { marker }) });
      starts.push(...answer.pages.map(([start]) => start), ...answer.clears.map(([start]) => start));
      marker = answer.marker;
    } while (marker !== '');
    assert.deepEqual(starts.sort((left, right) => left - right), [1, 3, 5, 7, 9].map((at) => at * page));
    assert.equal((await pageList(url, { base, version: '2020-04-08' })).pages.length, 4, 'older versions know no pages');
  });

  it('refuses what it cannot compare, each with its own code', async () => {
    await bench.snapshot('s1', 'web_os');
    await bench.snapshot('s2', 'web_os');
    await bench.snapshot('other', 'db_os');
    await bench.compute.snapshots.createOrUpdate('rg', 'full', { location: 'local', incremental: false, creationData: { createOption: 'Copy', sourceResourceId: bench.diskId('web_os') } });
    const [s1, s2, other, full] = [await bench.grant('s1'), await bench.grant('s2'), await bench.grant('other'), await bench.grant('full')];
    const refused = async (url: string, base: string, version?: string): Promise<unknown> => {
      const { status, code } = await pageList(url, { base, ...(version === undefined ? {} : { version }) });
      return [status, code];
    };
    assert.deepEqual(await refused(s2, other), [409, 'PreviousSnapshotOperationNotSupported']);
    assert.deepEqual(await refused(full, s1), [409, 'PreviousSnapshotOperationNotSupported']);
    assert.deepEqual(await refused(s1, s2), [400, 'PreviousSnapshotCannotBeNewer']);
    assert.deepEqual(await refused(s2, s1, '2019-02-02'), [400, 'UnsupportedHeader']);
    assert.deepEqual(await refused(s2, 'nonsense'), [400, 'InvalidHeaderValue']);
    assert.deepEqual(await refused(s2, s1.replace(/sig=[^&]+/, 'sig=x')), [403, 'AuthenticationFailed']);
    await bench.compute.snapshots.revokeAccess('rg', 's1');
    assert.deepEqual(await refused(s2, s1), [403, 'AuthenticationFailed']);
    await bench.compute.snapshots.delete('rg', 's1');
    assert.deepEqual(await refused(s2, s1), [409, 'PreviousSnapshotNotFound']);
  });

  it('can be told to refuse diffs between disk restore points', async () => {
    await bench.compute.restorePointCollections.createOrUpdate('rg', 'rpc', { location: 'local', source: { id: bench.vmId('web') } });
    const urls = async (): Promise<string[]> => {
      const found = [];
      for (const name of ['rp1', 'rp2']) {
        const point = await bench.compute.restorePoints.create('rg', 'rpc', name, {});
        const drp = point.sourceMetadata?.storageProfile?.osDisk?.diskRestorePoint?.id?.split('/').at(-1) ?? '';
        found.push((await bench.compute.diskRestorePoint.grantAccess('rg', 'rpc', name, drp, { access: 'Read', durationInSeconds: 60 })).accessSAS ?? '');
      }
      return found;
    };
    const [first, second] = await urls();
    assert.deepEqual((await pageList(second ?? '', { base: first ?? '' })).pages, []);
    await bench.standIn.stop();
    await bench.open({ diffBetweenRestorePoints: false });
    const [one, two] = await urls();
    assert.equal((await pageList(two ?? '', { base: one ?? '' })).code, 'PreviousSnapshotOperationNotSupported');
  });

  it('agrees with a comparison byte by byte after any writes, clears and resizes, whatever the cap', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('write' as const), at: fc.nat(40), length: fc.integer({ min: 1, max: 3 * page }) }),
      fc.record({ kind: fc.constant('clear' as const), at: fc.nat(40), length: fc.integer({ min: 1, max: 6 * page }) }),
      fc.record({ kind: fc.constant('resize' as const), sectors: fc.integer({ min: 9, max: 400 }) }),
    );
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 6 }), fc.array(step, { maxLength: 6 }), fc.integer({ min: 1, max: 4 }), fc.nat(100), async (before, after, cap, startSector) => {
      const small = await Bench.start({ 'web/os.img': noise(20 * page, 1) }, { limits: { pageRangesPerAnswer: cap } });
      try {
        const apply = async (steps: typeof before): Promise<void> => {
          const path = join(small.disksFolder, 'web/os.img');
          for (const change of steps) {
            if (change.kind === 'resize') await truncate(path, change.sectors * 512);
            else {
              const file = await open(path, 'r+');
              const size = (await file.stat()).size;
              const bytes = change.kind === 'clear' ? Buffer.alloc(change.length) : randomBytes(change.length);
              const length = Math.min(bytes.length, Math.max(0, size - change.at * 2000));
              if (length > 0) await file.write(bytes, 0, length, change.at * 2000);
              await file.close();
            }
          }
        };
        await apply(before);
        await small.snapshot('s1', 'web_os');
        await apply(after);
        await small.snapshot('s2', 'web_os');
        const [base, url] = [await small.grant('s1'), await small.grant('s2')];
        const [old, now] = [await blobClient(base).downloadToBuffer(), await blobClient(url).downloadToBuffer()];
        const start = Math.min(startSector * 512, now.length - 512);
        const rebuilt = Buffer.alloc(now.length);
        old.copy(rebuilt, 0, 0, Math.min(old.length, now.length));
        let marker = '';
        do {
          const answer = await pageList(url, { base, range: `bytes=${start}-${now.length - 1}`, ...(marker === '' ? {} : { marker }) });
          assert.equal(answer.status, 200);
          assert.ok(answer.pages.length + answer.clears.length <= cap);
          for (const [first, last] of answer.pages) now.copy(rebuilt, first, first, last + 1);
          for (const [first, last] of answer.clears) rebuilt.fill(0, first, last + 1);
          marker = answer.marker;
        } while (marker !== '');
        assert.ok(rebuilt.subarray(start).equals(now.subarray(start)));
      } finally {
        await small.stop();
      }
    }), { numRuns: 25 });
  });

  it('serves the disk in a fixed VHD, with one footer and not two', async () => {
    const content = noise(8 * page, 3);
    await bench.put('vhd/os.vhd', Buffer.concat([content, buildFixedFooter(content.length, { uniqueId: '00112233-4455-6677-8899-aabbccddeeff', createdAt: Date.UTC(2020, 0, 1) })]));
    await bench.snapshot('s', 'vhd_os');
    const bytes = await blobClient(await bench.grant('s')).downloadToBuffer();
    assert.equal(bytes.length, content.length + 512);
    assert.ok(bytes.subarray(0, content.length).equals(content));
  });
});
