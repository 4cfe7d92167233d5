import type { ErrorCode } from '../../errors/catalogue';
import { HoldfastError } from '../../errors/holdfast-error';

/** What is known about a failed request, free of the request itself: its address holds the access signature. */
export interface BlobFailure {
  /** HTTP status, or undefined when no answer came. */
  readonly status: number | undefined;
  /** The service's error code (x-ms-error-code), or the system's (ECONNRESET), or the error's name. */
  readonly code: string;
  /** Worth another try: throttled, a server error, or no answer. */
  readonly isTransient: boolean;
  /** How long the service asked to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** The size of the object that a 416 answer names. */
  readonly sizeBytes: number | undefined;
  readonly cause: Error;
}

/** An answer that broke off or does not fit the request: as good as none, so worth another try. */
export class BrokenAnswer extends Error {
  override readonly name = 'BrokenAnswer';
}

/** Statuses that Azure Storage asks to retry (Status and error codes; 408 and 502 come from gateways on the way). */
const transientStatuses = new Set([408, 429, 500, 502, 503, 504]);
const credentialErrors = /^(CredentialUnavailableError|AuthenticationError|AuthenticationRequiredError|AggregateAuthenticationError|ChainedTokenCredentialAuthenticationError)$/;

interface ErrorShape {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly statusCode?: unknown;
  readonly response?: { readonly headers?: { get(name: string): string | undefined } };
}

/** Reads any error of the SDK, of the network or of a credential. Errors of this program (TypeError and the like) go through. */
export function failureOf(error: unknown, nowMs: number): BlobFailure {
  const shape = (typeof error === 'object' && error !== null ? error : {}) as ErrorShape;
  const status = typeof shape.statusCode === 'number' ? shape.statusCode : undefined;
  const isOwnBug = status === undefined && (error instanceof TypeError || error instanceof RangeError || error instanceof HoldfastError);
  if (isOwnBug || !(error instanceof Error)) throw error;
  const header = (name: string) => shape.response?.headers?.get(name);
  const isCredential = credentialErrors.test(error.name);
  const code = header('x-ms-error-code') ?? (typeof shape.code === 'string' && shape.code !== '' ? shape.code : error.name);
  return {
    status: isCredential ? 401 : status,
    code,
    isTransient: !isCredential && (status === undefined || isBroken(status, code) || transientStatuses.has(status)),
    retryAfterMs: retryAfterMs(header, nowMs),
    sizeBytes: sizeInContentRange(header('content-range')),
    cause: cleanCause(error, code, status),
  };
}

/** True when the service said that the name is taken (Put Blob with If-None-Match: *). */
export function saysTaken(failure: BlobFailure): boolean {
  return (
    (failure.status === 409 && failure.code === 'BlobAlreadyExists') ||
    failure.status === 412 ||
    // What else stands in the way only of an object that is there: a signature that may not overwrite, and a WORM policy.
    (failure.status === 403 && failure.code === 'UnauthorizedBlobOverwrite') ||
    saysHeld(failure)
  );
}

/** True when a WORM policy or a legal hold of the container or the blob stands against it. */
export const saysHeld = (failure: BlobFailure): boolean => failure.status === 409 && /Immutab/i.test(failure.code);

/** True only when the service itself said that this blob is not there: a 404 of a proxy or of a missing container proves nothing. */
export function saysAbsent(failure: BlobFailure): boolean {
  return failure.status === 404 && failure.code === 'BlobNotFound';
}

/** What the failure means to a user. */
export function blobError(failure: BlobFailure, action: string, description: string): HoldfastError {
  const answer = failure.status === undefined ? failure.code : `${failure.status} ${failure.code}`;
  const data = { status: failure.status ?? null, azureCode: failure.code };
  return new HoldfastError(codeOf(failure), `Could not ${action} in ${description}: ${answer}: ${failure.cause.message}`, { data, cause: failure.cause });
}

function codeOf(failure: BlobFailure): ErrorCode {
  if (failure.status === 429 || failure.status === 503) return 'STORE_THROTTLED';
  if (isBroken(failure.status, failure.code)) return 'STORE_FAILED';
  if (failure.isTransient || failure.status === 404) return 'STORE_UNREACHABLE';
  if (failure.status === 401 || failure.status === 403) return 'STORE_ACCESS_DENIED';
  if (saysHeld(failure)) return 'STORE_READ_ONLY';
  return 'STORE_FAILED';
}

/** Bytes were lost or changed on the way: our body (the service found another MD5), or its answer (a success that cannot be read). */
function isBroken(status: number | undefined, code: string): boolean {
  return code === 'Md5Mismatch' || code === 'BrokenAnswer' || (status !== undefined && status < 300);
}

/** Retry-After is in seconds or a date (RFC 9110, 10.2.3); x-ms-retry-after-ms is Azure's own. */
function retryAfterMs(header: (name: string) => string | undefined, nowMs: number): number | undefined {
  const exact = Number(header('x-ms-retry-after-ms') ?? header('retry-after-ms') ?? Number.NaN);
  if (exact >= 0) return exact;
  const text = header('retry-after');
  if (text === undefined) return undefined;
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isFinite(waitMs) ? Math.max(0, waitMs) : undefined;
}

function sizeInContentRange(text: string | undefined): number | undefined {
  const size = /\/(\d+)$/.exec(text ?? '')?.[1];
  return size === undefined ? undefined : Number(size);
}

/** The SDK's errors carry the request with its address and headers; this copy carries words alone, of them the first line, freed of queries. */
function cleanCause(error: Error, code: string, status: number | undefined): Error {
  const firstLine = error.message.split('\n', 1)[0] ?? '';
  const message = firstLine.replace(/(https?:\/\/[^\s?"']+)\?[^\s"']*/g, '$1').replace(/\bsig=[^&\s"']+/g, 'sig=…').slice(0, 500);
  return Object.assign(new Error(message), { name: error.name, code, ...(status !== undefined && { statusCode: status }) });
}
