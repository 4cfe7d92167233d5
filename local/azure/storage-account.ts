import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { header, requestedRange, sendBlobError } from './blob-http';
import { guestState } from './guest-state';
import { answerLimit, markerOffset, markerText } from './page-list';
import { RangeIndex } from './range-index';
import { checkSignature, diskContainer, userDelegationKey } from './storage-access';
import { BlockBlobs } from './block-blobs';
import { deleteSnapshot, listVhdBlobs, openVhdBlob, snapshotKey, snapshotsOf, takeSnapshot, vhdBlobName, type OpenBlob } from './vhd-blobs';
import { ArmError, BlobError, escapeXml, readBody } from './wire';
import type { World } from './world';

const maxBodyBytes = 4 * 1024 * 1024;
const streamBytes = 1024 * 1024;

/** The blob service of the account in which unmanaged disks lie: their page blobs, with snapshots and diffs, and the small block blobs of the extension. */
export class StorageAccount {
  private readonly index: RangeIndex;
  private readonly blockBlobs: BlockBlobs;

  constructor(private readonly world: World) {
    this.index = new RangeIndex(world.limits.pageGranularityBytes);
    this.blockBlobs = new BlockBlobs(world);
  }

  async handle(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const requestId = randomUUID();
    response.setHeader('x-ms-request-id', requestId);
    response.setHeader('x-ms-version', header(request, 'x-ms-version') ?? '2022-11-02');
    try {
      await this.serve(request, response, url);
    } catch (error) {
      this.world.calls.data.refused++;
      if (response.headersSent) response.destroy();
      else sendBlobError(request, response, asBlobError(error), requestId);
    }
  }

  private async serve(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const [, , container = '', ...rest] = url.pathname.split('/');
    const blob = decodeURIComponent(rest.join('/'));
    const what = `${request.method ?? 'GET'} ${url.searchParams.get('restype') ?? ''} ${url.searchParams.get('comp') ?? ''}`.trim();
    if (container === '') {
      if (!/^POST service userdelegationkey$/.test(what)) throw unsupported();
      const body = (await readBody(request, maxBodyBytes)).toString('utf8');
      return send(response, 200, userDelegationKey(this.world, body, header(request, 'x-ms-version') ?? ''));
    }
    if (blob === '') return this.container(request, response, url, container, what);
    if (container === diskContainer) return this.pageBlob(request, response, url, blob);
    return this.blockBlobs.handle(request, response, url, container, blob);
  }

  private async container(request: IncomingMessage, response: ServerResponse, url: URL, container: string, what: string): Promise<void> {
    request.resume();
    const { containers } = guestState(this.world.state);
    const isThere = container === diskContainer || containers.includes(container);
    if (what === 'PUT container') {
      if (isThere) throw new BlobError(409, 'ContainerAlreadyExists', 'The specified container already exists.');
      containers.push(container);
      this.world.store.save();
      return send(response, 201, '');
    }
    if (what !== 'GET container list') throw unsupported();
    if (!isThere) throw new BlobError(404, 'ContainerNotFound', 'The specified container does not exist.');
    const prefix = url.searchParams.get('prefix') ?? '';
    const items = container === diskContainer ? await this.diskItems(url, prefix) : this.blockBlobs.items(container, prefix);
    const limit = answerLimit(url, 5000);
    const start = markerOffset(url);
    const next = start + limit < items.length ? `<NextMarker>${markerText(start + limit)}</NextMarker>` : '<NextMarker />';
    send(response, 200, `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="${container}"><Blobs>${items.slice(start, start + limit).join('')}</Blobs>${next}</EnumerationResults>`);
  }

  private async diskItems(url: URL, prefix: string): Promise<string[]> {
    const include = (url.searchParams.get('include') ?? '').split(',');
    const blobs = (await listVhdBlobs(this.world)).map(({ disk }) => vhdBlobName(disk)).filter((name) => name.startsWith(prefix)).sort();
    return blobs.flatMap((name) => {
      const snapshots = include.includes('snapshots') ? snapshotsOf(this.world, name) : [];
      return [...snapshots.map((record) => itemXml(name, record.snapshot, include.includes('metadata') ? record.metadata : {})), itemXml(name, null, {})];
    });
  }

  private async pageBlob(request: IncomingMessage, response: ServerResponse, url: URL, blob: string): Promise<void> {
    const method = request.method ?? 'GET';
    const comp = url.searchParams.get('comp') ?? '';
    const snapshot = url.searchParams.get('snapshot');
    if (method === 'PUT' && comp === 'snapshot') {
      checkSignature(this.world, url, diskContainer, blob, ['c', 'w']);
      request.resume();
      const record = await takeSnapshot(this.world, blob, metadataOf(request));
      response.setHeader('x-ms-snapshot', record.snapshot);
      return send(response, 201, '');
    }
    if (method === 'DELETE' && snapshot !== null) {
      checkSignature(this.world, url, diskContainer, blob, ['d']);
      await deleteSnapshot(this.world, blob, snapshot);
      return send(response, 202, '');
    }
    if (method !== 'GET' && method !== 'HEAD') throw unsupported();
    checkSignature(this.world, url, diskContainer, blob, ['r']);
    const file = await openVhdBlob(this.world, blob, snapshot);
    try {
      if (comp === 'pagelist') await this.listPages(request, response, url, blob, file);
      else if (comp === '' || comp === 'metadata') await this.read(request, response, url, file, comp === 'metadata' || method === 'HEAD');
      else throw unsupported();
    } finally {
      await file.close();
    }
  }

  private async read(request: IncomingMessage, response: ServerResponse, url: URL, file: OpenBlob, headersOnly: boolean): Promise<void> {
    const asked = requestedRange(request, file.sizeBytes);
    const range = asked ?? { start: 0, end: file.sizeBytes };
    response.writeHead(asked === undefined ? 200 : 206, {
      ...blobHeaders(file), 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes',
      'content-length': String(headersOnly && request.method !== 'HEAD' ? 0 : range.end - range.start),
      ...(asked === undefined ? {} : { 'content-range': `bytes ${range.start}-${range.end - 1}/${file.sizeBytes}` }),
    });
    if (headersOnly) {
      response.end();
      return;
    }
    const cut = this.world.faults.take('cutBody', 'GET', [url.pathname]);
    this.world.calls.data.reads++;
    const end = cut === undefined ? range.end : Math.min(range.end, range.start + cut.afterBytes);
    for (let offset = range.start; offset < end && !response.destroyed; offset += streamBytes) {
      const buffer = Buffer.allocUnsafe(Math.min(streamBytes, end - offset));
      await file.readInto(buffer, offset);
      this.world.calls.data.bytesRead += buffer.length;
      await new Promise<void>((done) => response.write(buffer, () => done()));
    }
    if (cut === undefined) response.end();
    else response.destroy();
  }

  /** GET ?comp=pagelist, with prevsnapshot what differs from that. Source: REST reference of Get Page Ranges. */
  private async listPages(request: IncomingMessage, response: ServerResponse, url: URL, blob: string, file: OpenBlob): Promise<void> {
    const previous = url.searchParams.get('prevsnapshot');
    if (header(request, 'x-ms-previous-snapshot-url') !== undefined) throw new BlobError(400, 'UnsupportedHeader', 'One of the HTTP headers specified in the request is not supported.', { 'x-ms-header': 'x-ms-previous-snapshot-url' });
    if (previous !== null) this.checkComparable(blob, previous, url.searchParams.get('snapshot'));
    const range = requestedRange(request, file.sizeBytes) ?? { start: 0, end: file.sizeBytes };
    const base = previous === null ? undefined : await openVhdBlob(this.world, blob, previous);
    try {
      const { ranges, next } = await this.index.ranges(base, file, Math.max(range.start, markerOffset(url)), range.end, answerLimit(url, this.world.limits.pageRangesPerAnswer));
      if (base === undefined) this.world.calls.data.pageLists++;
      else this.world.calls.data.diffs++;
      const omitted = base === undefined ? undefined : this.world.faults.take('omitRanges', 'GET', [url.pathname]);
      const items = ranges.slice(omitted?.count ?? 0).map(({ kind, offset, length }) => {
        const element = kind === 'cleared' ? 'ClearRange' : 'PageRange';
        return `<${element}><Start>${offset}</Start><End>${offset + length - 1}</End></${element}>`;
      });
      response.setHeader('x-ms-blob-content-length', String(file.sizeBytes));
      send(response, 200, `<?xml version="1.0" encoding="utf-8"?><PageList>${items.join('')}${next === null ? '<NextMarker />' : `<NextMarker>${markerText(next)}</NextMarker>`}</PageList>`, blobHeaders(file));
    } finally {
      await base?.close();
    }
  }

  private checkComparable(blob: string, previous: string, snapshot: string | null): void {
    const { snapshots } = guestState(this.world.state);
    const base = snapshots[snapshotKey(blob, previous)];
    if (base === undefined) throw new BlobError(409, 'PreviousSnapshotNotFound', 'The previous snapshot is not found.');
    const now = snapshot === null ? undefined : snapshots[snapshotKey(blob, snapshot)];
    if (now !== undefined && now.copy.sourceUniqueId !== base.copy.sourceUniqueId) throw new BlobError(409, 'BlobOverwritten', 'The blob has been recreated since the previous snapshot was taken.');
    if (now !== undefined && base.copy.sequence > now.copy.sequence) throw new BlobError(400, 'PreviousSnapshotCannotBeNewer', 'The prevsnapshot query parameter value cannot be newer than snapshot query parameter value.');
  }
}

const unsupported = (): BlobError => new BlobError(400, 'UnsupportedQueryParameter', 'The stand-in does not know this operation.');

function blobHeaders(file: OpenBlob): Record<string, string> {
  return { etag: file.etag, 'last-modified': file.createdAt.toUTCString(), 'x-ms-creation-time': file.createdAt.toUTCString(), 'x-ms-blob-type': 'PageBlob', 'x-ms-blob-sequence-number': '0' };
}

function metadataOf(request: IncomingMessage): Record<string, string> {
  const prefix = 'x-ms-meta-';
  return Object.fromEntries(Object.entries(request.headers).filter(([name]) => name.startsWith(prefix)).map(([name, value]) => [name.slice(prefix.length), String(value)]));
}

function itemXml(name: string, snapshot: string | null, metadata: Readonly<Record<string, string>>): string {
  const tags = Object.entries(metadata).map(([key, value]) => `<${key}>${escapeXml(value)}</${key}>`).join('');
  return `<Blob><Name>${escapeXml(name)}</Name>${snapshot === null ? '' : `<Snapshot>${snapshot}</Snapshot>`}<Properties><BlobType>PageBlob</BlobType><Etag>0x1</Etag><Last-Modified>${new Date(0).toUTCString()}</Last-Modified></Properties><Metadata>${tags}</Metadata></Blob>`;
}

function send(response: ServerResponse, status: number, xml: string, headers: Readonly<Record<string, string>> = {}): void {
  const body = Buffer.from(xml);
  response.writeHead(status, { ...(body.length === 0 ? {} : { 'content-type': 'application/xml' }), 'content-length': String(body.length), ...headers });
  response.end(body);
}

function asBlobError(error: unknown): BlobError {
  if (error instanceof BlobError) return error;
  if (error instanceof ArmError) return new BlobError(error.status, error.code, error.message);
  return new BlobError(500, 'InternalError', error instanceof Error ? error.message : 'Server encountered an internal error.');
}
