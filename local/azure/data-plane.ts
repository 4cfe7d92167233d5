import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { authenticate } from './access';
import { BlobFile, etagOf } from './blob-file';
import { blobHeaders, header, requestedRange, sendBlobError, type ByteRange } from './blob-http';
import { listPages } from './page-list';
import { RangeIndex } from './range-index';
import type { AccessRecord } from './state';
import { ArmError, BlobError, readBody } from './wire';
import type { World } from './world';

const maxPageWriteBytes = 4 * 1024 * 1024;
const streamBytes = 4 * 1024 * 1024;
const maxHashedBytes = 4 * 1024 * 1024;

/** The page blobs behind access URLs: /disk/{container}/abcd. */
export class DataPlane {
  private readonly index: RangeIndex;
  /** Grows with each write to an upload disk's file: makes its ETag, and keeps old page lists from being taken for new. */
  private readonly versions = new Map<string, number>();

  constructor(private readonly world: World) {
    this.index = new RangeIndex(world.limits.pageGranularityBytes);
  }

  async handle(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const requestId = randomUUID();
    response.setHeader('x-ms-request-id', requestId);
    response.setHeader('x-ms-version', header(request, 'x-ms-version') ?? '2018-03-28');
    try {
      await this.serve(request, response, url);
    } catch (error) {
      this.world.calls.data.refused++;
      if (response.headersSent) {
        response.destroy();
        return;
      }
      sendBlobError(request, response, asBlobError(error), requestId);
    }
  }

  private async serve(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const [, , container, blob] = url.pathname.split('/');
    const method = request.method ?? 'GET';
    const known = this.world.state.accesses[container ?? ''];
    const subjects = [`${url.pathname}${url.searchParams.has('comp') ? `?comp=${url.searchParams.get('comp') ?? ''}` : ''}`, known?.resourceId ?? ''];
    if (known !== undefined && this.world.faults.take('expireAccess', method, subjects) !== undefined) {
      known.expiresAtMs = this.world.now();
      this.world.store.save();
    }
    const access = authenticate(this.world, container ?? '', url.searchParams);
    if (blob !== 'abcd') throw new BlobError(404, 'BlobNotFound', 'The specified blob does not exist.');
    const file = await BlobFile.open(this.world, access, this.versions);
    try {
      checkConditions(request, file);
      if (method === 'GET' && url.searchParams.get('comp') === 'pagelist') await listPages({ world: this.world, index: this.index, versions: this.versions }, request, response, url, file, access);
      else if ((method === 'GET' || method === 'HEAD') && !url.searchParams.has('comp')) await this.read(request, response, file, subjects);
      else if (method === 'PUT' && url.searchParams.get('comp') === 'page') await this.writePages(request, response, file, access);
      else throw new BlobError(403, 'AuthorizationPermissionMismatch', 'This request is not authorized to perform this operation using this permission.');
    } finally {
      await file.close();
    }
  }

  private async read(request: IncomingMessage, response: ServerResponse, file: BlobFile, subjects: readonly string[]): Promise<void> {
    const asked = requestedRange(request, file.sizeBytes);
    const range = asked ?? { start: 0, end: file.sizeBytes };
    const length = range.end - range.start;
    response.writeHead(asked === undefined ? 200 : 206, {
      ...blobHeaders(file),
      'content-type': 'application/octet-stream',
      'content-length': String(length),
      'accept-ranges': 'bytes',
      ...(asked === undefined ? {} : { 'content-range': `bytes ${range.start}-${range.end - 1}/${file.sizeBytes}` }),
    });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    const cut = this.world.faults.take('cutBody', 'GET', subjects);
    this.world.calls.data.reads++;
    const end = cut === undefined ? range.end : Math.min(range.end, range.start + cut.afterBytes);
    for (let offset = range.start; offset < end; offset += streamBytes) {
      const buffer = Buffer.allocUnsafe(Math.min(streamBytes, end - offset));
      await file.readInto(buffer, offset);
      this.world.calls.data.bytesRead += buffer.length;
      if (offset + buffer.length === range.end) response.end(buffer);
      else if (!response.write(buffer)) await drained(response);
      if (response.destroyed) return;
    }
    if (cut !== undefined) response.destroy();
  }

  private async writePages(request: IncomingMessage, response: ServerResponse, file: BlobFile, access: AccessRecord): Promise<void> {
    if (access.mode !== 'Write') throw new BlobError(403, 'AuthorizationPermissionMismatch', 'This request is not authorized to perform this operation using this permission.');
    const range = pageRange(request, file.sizeBytes);
    const kind = header(request, 'x-ms-page-write');
    const body = await readBody(request, maxPageWriteBytes);
    const copySource = header(request, 'x-ms-copy-source');
    if (copySource !== undefined) return this.copyPages(request, response, { file, range, kind, copySource, resourceId: access.resourceId });
    if (kind !== 'update' && kind !== 'clear') throw new BlobError(400, 'InvalidHeaderValue', 'The value for one of the HTTP headers is not in the correct format.', { 'x-ms-header': 'x-ms-page-write' });
    if (body.length !== (kind === 'update' ? range.end - range.start : 0)) throw new BlobError(400, 'InvalidHeaderValue', 'The body does not have the length of the range.');
    const md5 = header(request, 'content-md5');
    if (md5 !== undefined && createHash('md5').update(body).digest('base64') !== md5) throw new BlobError(400, 'Md5Mismatch', 'The MD5 value specified in the request did not match with the MD5 value calculated by the server.');
    if (kind === 'update') await file.write(body, range.start);
    else await clearRange(file, range);
    const { data } = this.world.calls;
    data.bytesWritten += range.end - range.start;
    this.wrote(response, file);
  }

  /** Put Page From URL: the service reads the pages itself. It takes sources that show access of their own, which are this stand-in's alone. */
  private async copyPages(request: IncomingMessage, response: ServerResponse, copy: { readonly file: BlobFile; readonly range: ByteRange; readonly kind: string | undefined; readonly copySource: string; readonly resourceId: string }): Promise<void> {
    const { file, range, kind, copySource } = copy;
    const refused = this.world.faults.take('refuseCopy', 'PUT', [copy.resourceId]);
    if (refused !== undefined) throw new BlobError(409, refused.code, 'The pages were not copied.');
    if (kind !== 'update') throw new BlobError(400, 'InvalidHeaderValue', 'The value for one of the HTTP headers is not in the correct format.', { 'x-ms-header': 'x-ms-page-write' });
    const asked = /^bytes=(\d+)-(\d+)$/.exec(header(request, 'x-ms-source-range') ?? '');
    const start = Number(asked?.[1]);
    if (asked === null || Number(asked[2]) + 1 - start !== range.end - range.start) throw new BlobError(400, 'InvalidHeaderValue', 'The source range does not have the length of the range.', { 'x-ms-header': 'x-ms-source-range' });
    const source = await this.openCopySource(copySource);
    try {
      if (start + range.end - range.start > source.sizeBytes) throw new BlobError(416, 'InvalidRange', 'The source range is beyond the source.');
      const pages = Buffer.alloc(range.end - range.start);
      await source.readInto(pages, start);
      await file.write(pages, range.start);
    } finally {
      await source.close();
    }
    this.world.calls.data.bytesCopied += range.end - range.start;
    this.wrote(response, file);
  }

  private async openCopySource(address: string): Promise<BlobFile> {
    const url = URL.parse(address);
    const refused = new BlobError(403, 'CannotVerifyCopySource', 'The copy source could not be verified.');
    if (url === null || url.origin !== this.world.baseUrl) throw refused;
    try {
      return await BlobFile.open(this.world, authenticate(this.world, url.pathname.split('/')[2] ?? '', url.searchParams), this.versions);
    } catch (error) {
      throw error instanceof BlobError ? refused : error;
    }
  }

  private wrote(response: ServerResponse, file: BlobFile): void {
    this.world.calls.data.writes++;
    const version = (this.versions.get(file.fileName) ?? this.world.firstBlobVersion) + 1;
    this.versions.set(file.fileName, version);
    response.writeHead(201, { etag: etagOf(file.fileName, version), 'last-modified': new Date().toUTCString(), 'x-ms-blob-sequence-number': '0', 'x-ms-request-server-encrypted': 'true', 'content-length': '0' });
    response.end();
  }
}

function pageRange(request: IncomingMessage, sizeBytes: number): ByteRange {
  const match = /^bytes=(\d+)-(\d+)$/.exec(header(request, 'x-ms-range') ?? header(request, 'range') ?? '');
  const range = { start: Number(match?.[1]), end: Number(match?.[2]) + 1 };
  if (match === null || range.start % 512 !== 0 || range.end % 512 !== 0 || range.end <= range.start || range.end > sizeBytes) {
    throw new BlobError(416, 'InvalidPageRange', 'The page range specified is invalid.');
  }
  if (header(request, 'x-ms-page-write') === 'update' && range.end - range.start > maxPageWriteBytes) {
    throw new BlobError(413, 'RequestBodyTooLarge', 'The request body is too large and exceeds the maximum permissible limit.', { 'x-ms-max-bytes': String(maxPageWriteBytes) });
  }
  return range;
}

function checkConditions(request: IncomingMessage, file: BlobFile): void {
  const ifMatch = header(request, 'if-match');
  if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== file.etag) {
    throw new BlobError(412, 'ConditionNotMet', 'The condition specified using HTTP conditional header(s) is not met.');
  }
}

async function clearRange(file: BlobFile, range: ByteRange): Promise<void> {
  const zeros = Buffer.alloc(Math.min(maxHashedBytes, range.end - range.start));
  for (let offset = range.start; offset < range.end; offset += zeros.length) await file.write(zeros.subarray(0, Math.min(zeros.length, range.end - offset)), offset);
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once('drain', resolve);
    response.once('close', resolve);
  });
}

function asBlobError(error: unknown): BlobError {
  if (error instanceof BlobError) return error;
  if (error instanceof ArmError && error.status === 413) return new BlobError(413, 'RequestBodyTooLarge', error.message);
  return new BlobError(500, 'InternalError', error instanceof Error ? error.message : 'Server encountered an internal error.');
}
