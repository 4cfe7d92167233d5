import type { AccessUrl } from '../../activities/cloud';
import { HoldfastError } from '../../errors/holdfast-error';
import type { DiskRange } from '../../vault/transfer/block-source';
import { type Patience, realWaiting, type Waiting } from './backoff';
import { createDataClient, type DataClient, type DataResponse } from './data-client';
import { dataPlaneError, serviceCodeOf, singleHeader } from './data-errors';
import { type PageList, parsePageList } from './page-list';
import { dataPatience, sendPatiently } from './patient-client';
import { serviceVersion } from './snapshot-source';

/** The protocol's grain. */
const pageBytes = 512;
/** The VHD footer after the data. */
export const footerBytes = 512;
/** Asked about at once. A quiet 32 TiB disk takes 512 requests, a busy window is split. */
const windowBytes = 64 * 1024 ** 3;
/** The service sends at most so many ranges a page (REST reference of Get Page Ranges). */
const mostRangesPerPage = 10_000;
/** So many pages of one window are held in memory, to be sorted, before the window is split instead. */
const mostPagesPerWindow = 8;
/** 10,000 ranges of the longest spelling take about 1.1 MB. */
const maxListBytes = 16 * 1024 * 1024;

export interface RangeListerOptions {
  readonly patience?: Patience;
  readonly waiting?: Waiting;
  readonly idleTimeoutMs?: number;
  /** The service's cap, 10,000; tests use a smaller one. */
  readonly mostRangesPerPage?: number;
  /** How much of the disk one request asks about, a multiple of 512; tests use a smaller one. */
  readonly windowBytes?: number;
}

export interface RangeLister {
  listRanges(access: AccessUrl, range: DiskRange): AsyncIterable<DiskRange>;
  listChangedRanges(access: AccessUrl, base: AccessUrl, range: DiskRange): AsyncIterable<DiskRange>;
}

/**
 * Lists the page ranges of a snapshot such that none is lost, whatever the service does about long lists: it is asked
 * window by window; a list that goes on is followed by its marker; where the service refuses the marker, repeats
 * itself, or stops at its cap without a word, the window is halved and each half is asked anew. A window's pages are
 * sorted before they are passed on, so nothing depends on the order in which the service tells them.
 */
export function createRangeLister(options: RangeListerOptions = {}): RangeLister {
  const asker = new PageListAsker(options);
  return {
    listRanges: (access, range) => walk(asker, access, undefined, range, options),
    listChangedRanges: (access, base, range) => walk(asker, access, base, range, options),
  };
}

async function* walk(asker: PageListAsker, access: AccessUrl, base: AccessUrl | undefined, range: DiskRange, options: RangeListerOptions): AsyncGenerator<DiskRange> {
  const wanted = { offset: range.offset, length: Math.min(range.length, access.sizeBytes - range.offset) };
  // Windows lie on the protocol's grain, so that halving one always ends at a single page.
  const end = ceilToPage(wanted.offset + wanted.length);
  const step = options.windowBytes ?? windowBytes;
  let pending: { offset: number; length: number } | undefined;
  for (let start = floorToPage(wanted.offset); start < end; start += step) {
    const window = { offset: start, length: Math.min(step, end - start) };
    for await (const listed of listWindow(asker, access, base, window)) {
      const found = clip(listed, wanted);
      if (found === undefined) continue;
      if (pending !== undefined && found.offset <= pending.offset + pending.length) {
        pending.length = Math.max(pending.length, found.offset + found.length - pending.offset);
      } else {
        if (pending !== undefined) yield pending;
        pending = { ...found };
      }
    }
  }
  if (pending !== undefined) yield pending;
}

/** Every range of the window, ascending, clipped to it. */
async function* listWindow(asker: PageListAsker, access: AccessUrl, base: AccessUrl | undefined, window: DiskRange): AsyncGenerator<DiskRange> {
  const ranges = await completeWindow(asker, access, base, window);
  if (ranges !== undefined) {
    yield* ranges;
    return;
  }
  const pages = Math.ceil(window.length / pageBytes);
  if (pages < 2) throw new HoldfastError('CLOUD_FAILED', `The disk service does not end its list of the ranges within ${String(window.length)} bytes at ${String(window.offset)}`, { data: { serviceCode: '' } });
  const half = Math.floor(pages / 2) * pageBytes;
  yield* listWindow(asker, access, base, { offset: window.offset, length: half });
  yield* listWindow(asker, access, base, { offset: window.offset + half, length: window.length - half });
}

/** The ranges of a window, or undefined when the service did not tell all of them. */
async function completeWindow(asker: PageListAsker, access: AccessUrl, base: AccessUrl | undefined, window: DiskRange): Promise<DiskRange[] | undefined> {
  const found: DiskRange[] = [];
  const markers = new Set<string>();
  let marker = '';
  for (let page = 1; page <= mostPagesPerWindow; page += 1) {
    const list = await asker.ask(access, base, window, marker);
    if (list === 'marker refused') return undefined;
    for (const listed of [...list.pageRanges, ...list.clearRanges]) {
      const inside = clip(listed, window);
      if (inside !== undefined) found.push(inside);
    }
    if (list.nextMarker === '') {
      // A page filled to the cap that claims to be the last is what a service looks like that truncates in silence.
      const isFull = list.pageRanges.length + list.clearRanges.length === asker.mostRangesPerPage;
      return isFull && window.length > pageBytes ? undefined : found.sort((left, right) => left.offset - right.offset);
    }
    if (markers.has(list.nextMarker)) return undefined;
    markers.add(list.nextMarker);
    marker = list.nextMarker;
  }
  return undefined;
}

function clip(range: DiskRange, within: DiskRange): DiskRange | undefined {
  const start = Math.max(range.offset, within.offset);
  const end = Math.min(range.offset + range.length, within.offset + within.length);
  return start < end ? { offset: start, length: end - start } : undefined;
}

/**
 * Sends Get Page Ranges itself, because the SDK's methods cannot do it right: getPageRangesDiffForManagedDisks takes no
 * marker though its answer may be cut, and listPageRangesDiff sends `prevsnapshot`, which access URLs of managed disks refuse.
 */
class PageListAsker {
  readonly mostRangesPerPage: number;
  private readonly client: DataClient;

  constructor(private readonly options: RangeListerOptions) {
    this.mostRangesPerPage = options.mostRangesPerPage ?? mostRangesPerPage;
    this.client = createDataClient({ maxSockets: 8, idleTimeoutMs: options.idleTimeoutMs ?? 60_000 });
  }

  async ask(access: AccessUrl, base: AccessUrl | undefined, window: DiskRange, marker: string): Promise<PageList | 'marker refused'> {
    assertComparable(access, base);
    const doing = `${base === undefined ? 'listing' : 'comparing'} the ranges of ${String(window.length)} bytes at ${String(window.offset)}`;
    const response = await sendPatiently(this.client, {
      method: 'GET',
      url: this.urlOf(access, marker, base?.blobSnapshot),
      headers: {
        'x-ms-version': serviceVersion,
        'x-ms-range': `bytes=${String(window.offset)}-${String(window.offset + window.length - 1)}`,
        ...(base === undefined || base.blobSnapshot !== undefined ? {} : { 'x-ms-previous-snapshot-url': base.url }),
      },
      maxBodyBytes: maxListBytes,
    }, doing, this.options.patience ?? dataPatience, this.options.waiting ?? realWaiting);
    if (response.status !== 200) {
      if (marker !== '' && response.status === 400 && isAboutParameters(response)) return 'marker refused';
      throw dataPlaneError(response, doing);
    }
    checkBlobSize(response, access, doing);
    return parsePageList(response.body.toString('utf8'));
  }

  private urlOf(access: AccessUrl, marker: string, previous: string | undefined): string {
    const url = new URL(access.url);
    // Appended as text, because URLSearchParams would spell the signature anew.
    const parameters = ['comp=pagelist'];
    if (previous !== undefined) parameters.push(`prevsnapshot=${encodeURIComponent(previous)}`);
    if (marker !== '') parameters.push(`marker=${encodeURIComponent(marker)}`);
    url.search = `${url.search === '' ? '?' : `${url.search}&`}${parameters.join('&')}`;
    return url.toString();
  }
}

/**
 * Snapshots of a plain page blob are compared by their times (`prevsnapshot`), and only with others of the same blob; managed disks' by their
 * URLs. Of two that do not go together nothing is asked: the answer would be of something else.
 */
function assertComparable(access: AccessUrl, base: AccessUrl | undefined): void {
  if (base === undefined) return;
  const addressOf = (url: string): string => url.split('?')[0] ?? '';
  const isPair = access.blobSnapshot === undefined ? base.blobSnapshot === undefined : base.blobSnapshot !== undefined && addressOf(access.url) === addressOf(base.url);
  if (!isPair) throw new HoldfastError('CLOUD_DIFF_UNSUPPORTED', 'The two snapshots are not of the same blob', { data: { serviceCode: '' } });
}

function isAboutParameters(response: DataResponse): boolean {
  return ['InvalidQueryParameterValue', 'UnsupportedQueryParameter', 'OutOfRangeQueryParameterValue', 'InvalidUri', 'InvalidInput', ''].includes(serviceCodeOf(response));
}

/** The list must be of the blob that the access was granted for: another size means another snapshot behind the URL. */
function checkBlobSize(response: DataResponse, access: AccessUrl, doing: string): void {
  const told = singleHeader(response.headers, 'x-ms-blob-content-length');
  if (told === undefined || Number(told) === access.sizeBytes + footerBytes || Number(told) === access.sizeBytes) return;
  throw new HoldfastError('CLOUD_SNAPSHOT_CHANGED', `The blob has ${told} bytes where ${String(access.sizeBytes)} bytes of data and a footer were expected when ${doing}`, { data: { serviceCode: '' } });
}

const floorToPage = (offset: number): number => Math.floor(offset / pageBytes) * pageBytes;
const ceilToPage = (offset: number): number => Math.ceil(offset / pageBytes) * pageBytes;
