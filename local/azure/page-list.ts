import type { IncomingMessage, ServerResponse } from 'node:http';
import { authenticate } from './access';
import { BlobFile } from './blob-file';
import { blobHeaders, header, requestedRange } from './blob-http';
import type { RangeIndex } from './range-index';
import type { AccessRecord, DiskCopy } from './state';
import { BlobError } from './wire';
import { keyOf, type World } from './world';

/** Service versions: the diff against a managed-disk snapshot, and answers that come in pages. */
const diffSince = '2019-07-07';
const pagingSince = '2020-10-02';

export interface PageListDeps {
  readonly world: World;
  readonly index: RangeIndex;
  readonly versions: ReadonlyMap<string, number>;
}

/** GET ?comp=pagelist: the ranges that hold data, or with x-ms-previous-snapshot-url those that differ from that snapshot. */
export async function listPages(deps: PageListDeps, request: IncomingMessage, response: ServerResponse, url: URL, file: BlobFile, access: AccessRecord): Promise<void> {
  const { world } = deps;
  const version = header(request, 'x-ms-version') ?? url.searchParams.get('sv') ?? '';
  if (url.searchParams.has('prevsnapshot')) {
    throw new BlobError(400, 'InvalidQueryParameterValue', 'A managed disk takes the previous snapshot by x-ms-previous-snapshot-url.');
  }
  const previous = header(request, 'x-ms-previous-snapshot-url');
  const paged = version >= pagingSince;
  const limit = paged ? answerLimit(url, world.limits.pageRangesPerAnswer) : Number.MAX_SAFE_INTEGER;
  const range = requestedRange(request, file.sizeBytes) ?? { start: 0, end: file.sizeBytes };
  const start = paged ? Math.max(range.start, markerOffset(url)) : range.start;
  const base = previous === undefined ? undefined : await openBase(deps, previous, version, access);
  try {
    const { ranges, next } = await deps.index.ranges(base, file, start, range.end, limit);
    if (base === undefined) world.calls.data.pageLists++;
    else world.calls.data.diffs++;
    const omitted = world.faults.take(base === undefined ? 'omitData' : 'omitRanges', 'GET', [url.pathname, access.resourceId]);
    const items = ranges.slice(omitted?.count ?? 0).map((found) => {
      const element = found.kind === 'cleared' ? 'ClearRange' : 'PageRange';
      return `<${element}><Start>${found.offset}</Start><End>${found.offset + found.length - 1}</End></${element}>`;
    });
    const marker = next === null ? '<NextMarker />' : `<NextMarker>${markerText(next)}</NextMarker>`;
    const xml = Buffer.from(`<?xml version="1.0" encoding="utf-8"?><PageList>${items.join('')}${paged ? marker : ''}</PageList>`);
    response.writeHead(200, { ...blobHeaders(file), 'content-type': 'application/xml', 'content-length': String(xml.length), 'x-ms-blob-content-length': String(file.sizeBytes) });
    response.end(xml);
  } finally {
    await base?.close();
  }
}

async function openBase(deps: PageListDeps, previousUrl: string, version: string, access: AccessRecord): Promise<BlobFile> {
  const { world } = deps;
  if (version < diffSince) throw new BlobError(400, 'UnsupportedHeader', 'One of the HTTP headers specified in the request is not supported.', { 'x-ms-header': 'x-ms-previous-snapshot-url' });
  const parsed = parseUrl(previousUrl);
  const container = parsed.pathname.split('/')[2] ?? '';
  const known = world.state.accesses[container];
  const baseCopy = known === undefined ? undefined : world.findSnapshotlike(known.resourceId)?.record.copy;
  if (known === undefined || baseCopy === undefined || baseCopy === null) throw new BlobError(409, 'PreviousSnapshotNotFound', 'The previous snapshot is not found.');
  const baseAccess = authenticate(world, container, parsed.searchParams);
  checkComparable(world, baseCopy, world.findSnapshotlike(access.resourceId)?.record.copy ?? null);
  return BlobFile.open(world, baseAccess, deps.versions);
}

function checkComparable(world: World, base: DiskCopy, now: DiskCopy | null): void {
  const unsupported = new BlobError(409, 'PreviousSnapshotOperationNotSupported', 'Differential Get Page Ranges is not supported on the previous snapshot.');
  if (now === null || now.familyId === null || base.familyId === null || keyOf(now.familyId) !== keyOf(base.familyId)) throw unsupported;
  if (!world.limits.diffBetweenRestorePoints && (now.owner === 'diskRestorePoint' || base.owner === 'diskRestorePoint')) throw unsupported;
  if (base.sequence > now.sequence) {
    throw new BlobError(400, 'PreviousSnapshotCannotBeNewer', 'The prevsnapshot query parameter value cannot be newer than snapshot query parameter value.');
  }
}

function parseUrl(text: string): URL {
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  if (parsed === undefined) throw new BlobError(400, 'InvalidHeaderValue', 'The value for one of the HTTP headers is not in the correct format.', { 'x-ms-header': 'x-ms-previous-snapshot-url' });
  return parsed;
}

export function answerLimit(url: URL, serverLimit: number): number {
  const text = url.searchParams.get('maxresults');
  if (text === null) return serverLimit;
  const asked = Number(text);
  if (!Number.isInteger(asked) || asked <= 0) throw new BlobError(400, 'OutOfRangeQueryParameterValue', 'One of the query parameters specified in the request URI is outside the permissible range.');
  return Math.min(asked, serverLimit);
}

/** Opaque to clients, as the service's is. */
export function markerText(offset: number): string {
  return Buffer.from(`next:${offset}`).toString('base64');
}

export function markerOffset(url: URL): number {
  const text = url.searchParams.get('marker');
  if (text === null || text === '') return 0;
  const match = /^next:(\d+)$/.exec(Buffer.from(text, 'base64').toString('latin1'));
  if (match === null) throw new BlobError(400, 'InvalidQueryParameterValue', 'Value for one of the query parameters specified in the request URI is invalid.');
  return Number(match[1]);
}
