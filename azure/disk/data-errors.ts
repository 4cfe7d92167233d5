import type { IncomingHttpHeaders } from 'node:http';
import type { ErrorCode } from '../../errors/catalogue';
import { HoldfastError } from '../../errors/holdfast-error';
import type { DataResponse, TransportError } from './data-client';
import { redact } from '../../errors/redact';

/**
 * The service's codes for "these two are not compared". Source: Get Page Ranges, REST reference of Blob Storage.
 * Anything else that goes wrong in a comparison is an error of its own and never a reason to think nothing changed.
 */
const diffUnsupportedCodes = new Set([
  'PreviousSnapshotNotFound',
  'PreviousSnapshotOperationNotSupported',
  'PreviousSnapshotCannotBeNewer',
  'BlobGenerationMismatch',
  // The blob was written anew under its name since the older snapshot.
  'BlobOverwritten',
]);

export function singleHeader(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** The service's own code: in a header, or in the XML body of an older answer. */
export function serviceCodeOf(response: DataResponse): string {
  return singleHeader(response.headers, 'x-ms-error-code') ?? /<Code>([A-Za-z0-9]{1,100})<\/Code>/.exec(response.body.toString('utf8', 0, 4096))?.[1] ?? '';
}

function codeFor(status: number, serviceCode: string): ErrorCode {
  if (diffUnsupportedCodes.has(serviceCode)) return 'CLOUD_DIFF_UNSUPPORTED';
  if (status === 401 || status === 403) return 'CLOUD_ACCESS_EXPIRED';
  if (status === 404 || status === 410) return 'CLOUD_NOT_FOUND';
  if (status === 412) return 'CLOUD_SNAPSHOT_CHANGED';
  if (status === 429 || status === 503) return 'CLOUD_THROTTLED';
  return 'CLOUD_FAILED';
}

/** What an answer that is not the wanted one means to a person. `doing` says what was being done, for instance "reading 512 bytes at 0". */
export function dataPlaneError(response: DataResponse, doing: string): HoldfastError {
  const serviceCode = serviceCodeOf(response);
  const named = serviceCode === '' ? '' : ` (${serviceCode})`;
  return new HoldfastError(codeFor(response.status, serviceCode), `The disk service answered ${String(response.status)}${named} when ${doing}`, {
    data: { httpStatus: response.status, serviceCode, requestId: singleHeader(response.headers, 'x-ms-request-id') ?? '' },
  });
}

export function transportFailure(error: TransportError, doing: string): HoldfastError {
  return new HoldfastError('CLOUD_UNREACHABLE', `The disk service could not be reached when ${doing}: ${redact(error.message)}`, { data: { networkCode: error.code } });
}
