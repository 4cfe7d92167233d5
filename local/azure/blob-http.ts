import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BlobFile } from './blob-file';
import { BlobError, escapeXml } from './wire';

export interface ByteRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

export function blobHeaders(file: BlobFile): Record<string, string> {
  return { etag: file.etag, 'last-modified': new Date(file.modifiedAtMs).toUTCString(), 'x-ms-blob-type': 'PageBlob', 'x-ms-blob-sequence-number': '0' };
}

export function header(request: IncomingMessage, name: string): string | undefined {
  const found = request.headers[name];
  return Array.isArray(found) ? found[0] : found;
}

/** The range asked for, cut at the end of the blob; undefined when none is asked for. */
export function requestedRange(request: IncomingMessage, sizeBytes: number): ByteRange | undefined {
  const text = header(request, 'x-ms-range') ?? header(request, 'range');
  if (text === undefined) return undefined;
  const match = /^bytes=(\d+)-(\d*)$/.exec(text);
  const start = Number(match?.[1]);
  const last = match?.[2] === undefined || match[2] === '' ? sizeBytes - 1 : Number(match[2]);
  const malformed = match === null || (match[2] !== '' && last < start);
  if (malformed) throw new BlobError(400, 'InvalidHeaderValue', 'The value for one of the HTTP headers is not in the correct format.', { 'x-ms-header': 'Range' });
  if (start >= sizeBytes) throw new BlobError(416, 'InvalidRange', 'The range specified is invalid for the current size of the resource.', { 'content-range': `bytes */${sizeBytes}` });
  return { start, end: Math.min(last + 1, sizeBytes) };
}

export function sendBlobError(request: IncomingMessage, response: ServerResponse, error: BlobError, requestId: string): void {
  const message = `${error.message}\nRequestId:${requestId}\nTime:${new Date().toISOString()}`;
  const xml = Buffer.from(`<?xml version="1.0" encoding="utf-8"?><Error><Code>${escapeXml(error.code)}</Code><Message>${escapeXml(message)}</Message></Error>`);
  response.writeHead(error.status, { 'content-type': 'application/xml', 'content-length': String(xml.length), 'x-ms-error-code': error.code, ...error.headers });
  response.end(request.method === 'HEAD' ? undefined : xml);
}
