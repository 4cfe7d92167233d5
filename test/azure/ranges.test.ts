import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createRangeLister } from '../../azure/disk/ranges';
import { isHoldfastError } from '../../errors/holdfast-error';
import type { DiskRange } from '../../vault/transfer/block-source';
import { type PageKind, pageListService, type Truncation } from '../support/page-list-service';
import { recordedWaiting, startWireServer, type WireHandler, type WireServer } from '../support/wire-server';

const page = 512;
const truncations: readonly Truncation[] = ['marker', 'marker, data first', 'marker refused', 'marker ignored', 'silent'];

describe('ranges of a snapshot', () => {
  let server: WireServer;
  let handler: WireHandler = () => ({ status: 500 });
  before(async () => {
    server = await startWireServer((request) => handler(request));
  });
  after(() => server.close());
  beforeEach(() => {
    server.log.length = 0;
    server.requests.length = 0;
  });

  const accessOf = (sizeBytes: number, name = 'now') => ({ url: `${server.url}/disk/${name}?sv=1&sig=${name}Secret%2B%3D`, sizeBytes });
  const collect = async (ranges: AsyncIterable<DiskRange>): Promise<DiskRange[]> => {
    const found: DiskRange[] = [];
    for await (const range of ranges) found.push(range);
    return found;
  };
  const failureOf = async (status: number, serviceCode: string): Promise<unknown> => {
    handler = () => ({ status, headers: { 'x-ms-error-code': serviceCode } });
    const lister = createRangeLister({ waiting: recordedWaiting() });
    return collect(lister.listChangedRanges(accessOf(page * 8), accessOf(page * 8, 'before'), { offset: 0, length: page * 8 })).then(() => 'no error', (error: unknown) => error);
  };

  /** The bytes of pages of the given kinds within a range, as ascending coalesced ranges. */
  const modelOf = (pages: readonly PageKind[], kinds: readonly PageKind[], range: DiskRange): DiskRange[] => {
    const found: { offset: number; length: number }[] = [];
    const end = Math.min(range.offset + range.length, pages.length * page);
    for (const [index, kind] of pages.entries()) {
      const start = Math.max(index * page, range.offset);
      const stop = Math.min((index + 1) * page, end);
      if (!kinds.includes(kind) || start >= stop) continue;
      const last = found.at(-1);
      if (last !== undefined && last.offset + last.length === start) last.length += stop - start;
      else found.push({ offset: start, length: stop - start });
    }
    return found;
  };

  const scenario = fc.record({
    pages: fc.array(fc.constantFrom<PageKind>('same', 'data', 'cleared'), { minLength: 1, maxLength: 60 }),
    cap: fc.integer({ min: 1, max: 7 }),
    truncation: fc.constantFrom(...truncations),
    offset: fc.integer({ min: 0, max: 59 * page }),
    length: fc.integer({ min: 1, max: 70 * page }),
    windowPages: fc.integer({ min: 1, max: 64 }),
  });

  for (const isDiff of [true, false]) {
    it(`loses none, whatever the cap, the window and the service's way to cut a list (${isDiff ? 'changes' : 'data'})`, async () => {
      await fc.assert(fc.asyncProperty(scenario, async ({ pages, cap, truncation, offset, length, windowPages }) => {
        handler = pageListService(pages, { cap, truncation, isDiff });
        const lister = createRangeLister({ waiting: recordedWaiting(), mostRangesPerPage: cap, windowBytes: windowPages * page });
        const access = accessOf(pages.length * page);
        const range = { offset, length };
        const found = await collect(isDiff ? lister.listChangedRanges(access, accessOf(access.sizeBytes, 'before'), range) : lister.listRanges(access, range));
        assert.deepEqual(found, modelOf(pages, isDiff ? ['data', 'cleared'] : ['data'], range));
      }), { numRuns: 150 });
    }).timeout(60_000);
  }

  it('counts the last byte of a range, which the SDK leaves out', async () => {
    handler = pageListService(['same', 'data', 'data', 'same'], { cap: 10, truncation: 'marker', isDiff: false });
    const found = await collect(createRangeLister().listRanges(accessOf(4 * page), { offset: 0, length: 4 * page }));
    assert.deepEqual(found, [{ offset: 512, length: 1024 }]);
  });

  it('joins what touches across pages and windows', async () => {
    handler = pageListService(['data', 'cleared', 'data', 'cleared'], { cap: 1, truncation: 'marker', isDiff: true });
    const lister = createRangeLister({ windowBytes: 2 * page });
    const found = await collect(lister.listChangedRanges(accessOf(4 * page), accessOf(4 * page, 'before'), { offset: 0, length: 4 * page }));
    assert.deepEqual(found, [{ offset: 0, length: 2048 }]);
  });

  it('splits a window with more pages than it is ready to hold', async () => {
    const pages = Array.from({ length: 64 }, (_, index): PageKind => (index % 2 === 0 ? 'data' : 'same'));
    handler = pageListService(pages, { cap: 2, truncation: 'marker', isDiff: false });
    const found = await collect(createRangeLister().listRanges(accessOf(64 * page), { offset: 0, length: 64 * page }));
    assert.equal(found.length, 32);
    const firstTargets = server.requests.map((request) => String(request.headers['x-ms-range']));
    assert.ok(firstTargets.includes(`bytes=0-${String(32 * page - 1)}`), 'the first half was asked on its own');
  });

  it('sends the base as a header and the version that pages long lists', async () => {
    handler = pageListService(['same'], { cap: 10, truncation: 'marker', isDiff: true });
    await collect(createRangeLister().listChangedRanges(accessOf(page), accessOf(page, 'before'), { offset: 0, length: page }));
    const request = server.requests[0];
    assert.equal(request?.headers['x-ms-previous-snapshot-url'], accessOf(page, 'before').url);
    assert.ok(String(request?.headers['x-ms-version']) >= '2020-10-02');
    assert.equal(request?.target, '/disk/now?sv=1&sig=nowSecret%2B%3D&comp=pagelist', 'the signature is passed on as it was spelt');
    assert.equal(request?.query.get('prevsnapshot'), null);
  });

  it('never reads an unreadable list as an empty one', async () => {
    for (const body of ['', 'no xml', '<Error/>', '<PageList><PageRange><Start>0</Start>', '<PageList><PageRange><Start>9</Start><End>4</End></PageRange></PageList>', '<PageList><PageRange><Start>-1</Start><End>511</End></PageRange></PageList>', '<PageList><PageRange/></PageList>', '<PageList><Pages/></PageList>']) {
      handler = () => ({ status: 200, body });
      const listed = collect(createRangeLister().listRanges(accessOf(page), { offset: 0, length: page }));
      await assert.rejects(listed, (error) => isHoldfastError(error, 'CLOUD_FAILED'), `accepted ${JSON.stringify(body)}`);
    }
  });

  it('reads an empty list as empty', async () => {
    for (const body of ['<PageList/>', '<PageList></PageList>', '<PageList>\n</PageList>', '<PageList><NextMarker/></PageList>']) {
      handler = () => ({ status: 200, body });
      assert.deepEqual(await collect(createRangeLister().listRanges(accessOf(page), { offset: 0, length: page })), [], body);
    }
  });

  it('refuses the list of a blob of another size', async () => {
    handler = () => ({ status: 200, headers: { 'x-ms-blob-content-length': '4096' }, body: '<PageList/>' });
    const listed = collect(createRangeLister().listRanges(accessOf(page), { offset: 0, length: page }));
    await assert.rejects(listed, (error) => isHoldfastError(error, 'CLOUD_SNAPSHOT_CHANGED'));
  });

  it('says that two snapshots are not compared, by each of the service\'s codes', async () => {
    const codes = { PreviousSnapshotNotFound: 409, PreviousSnapshotOperationNotSupported: 409, BlobGenerationMismatch: 409, PreviousSnapshotCannotBeNewer: 400 };
    for (const [serviceCode, status] of Object.entries(codes)) {
      const error = await failureOf(status, serviceCode);
      assert.ok(isHoldfastError(error, 'CLOUD_DIFF_UNSUPPORTED'), serviceCode);
      assert.equal(error.data['serviceCode'], serviceCode);
    }
  });

  it('takes no other failure for that', async () => {
    const wanted = { 400: 'CLOUD_FAILED', 403: 'CLOUD_ACCESS_EXPIRED', 404: 'CLOUD_NOT_FOUND', 409: 'CLOUD_FAILED', 500: 'CLOUD_FAILED', 503: 'CLOUD_THROTTLED' } as const;
    for (const [status, code] of Object.entries(wanted)) {
      const error = await failureOf(Number(status), 'SomethingElse');
      assert.ok(isHoldfastError(error, code), `${status}: ${String(error)}`);
    }
  });

  it('finds the service\'s code in the body of an answer without the header', async () => {
    handler = () => ({ status: 409, body: '<?xml version="1.0"?><Error><Code>BlobGenerationMismatch</Code><Message>no</Message></Error>' });
    const listed = collect(createRangeLister().listChangedRanges(accessOf(page), accessOf(page, 'before'), { offset: 0, length: page }));
    await assert.rejects(listed, (error) => isHoldfastError(error, 'CLOUD_DIFF_UNSUPPORTED'));
  });

  it('asks again after 503 and after a torn list', async () => {
    const whole = pageListService(['data', 'same', 'data'], { cap: 10, truncation: 'marker', isDiff: false });
    const script: WireHandler[] = [() => ({ status: 503, headers: { 'retry-after': '3' } }), (request) => ({ ...(whole(request) as { status: number }), tornAfter: 40 }), () => 'reset'];
    handler = (request) => (script.shift() ?? whole)(request);
    const waiting = recordedWaiting();
    const found = await collect(createRangeLister({ waiting }).listRanges(accessOf(3 * page), { offset: 0, length: 3 * page }));
    assert.deepEqual(found, [{ offset: 0, length: 512 }, { offset: 1024, length: 512 }]);
    assert.equal(waiting.pausesMs.length, 3);
    assert.ok((waiting.pausesMs[0] ?? 0) >= 3000, 'Retry-After is the least');
  });
});
