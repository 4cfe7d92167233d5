import type { AccessUrl, OpenSnapshotSource } from '../../activities/cloud';
import { HoldfastError, isHoldfastError, messageOf } from '../../errors/holdfast-error';
import type { BlockSource } from '../../vault/block-source';
import { type Patience, realWaiting, type Waiting } from './backoff';
import { createDataClient, type DataClient, type DataResponse } from './data-client';
import { dataPlaneError, serviceCodeOf, singleHeader } from './data-errors';
import { dataPatience, sendPatiently } from './patient-client';
import { redact } from './redact';

/** Large enough that latency matters little, small enough that a torn answer costs little to ask again. */
const pieceBytes = 4 * 1024 * 1024;
/** Pieces of one read that are under way at once. */
const parallelPieces = 4;
/** The version of the blob service that answers are written for; ranges are paged since 2020-10-02. */
export const serviceVersion = '2024-11-04';
/** An error body is short XML. */
const maxErrorBytes = 64 * 1024;

export interface SnapshotSourceOptions {
  readonly patience?: Patience;
  readonly waiting?: Waiting;
  /** A socket that is silent for so long is given up. */
  readonly idleTimeoutMs?: number;
}

/** Reads snapshots over HTTP. For what is checked, see SnapshotReader. */
export function createSnapshotOpener(options: SnapshotSourceOptions = {}): OpenSnapshotSource {
  return (access, renew) => new SnapshotReader(access, renew, options);
}

export const openSnapshotSource: OpenSnapshotSource = createSnapshotOpener();

/** One grant of access. Reads in parallel share it, so that its expiry is renewed once for all of them. */
interface Grant {
  readonly url: string;
  /** Set by the first answer; every later one must have the same. Null when the service sends none. */
  etag: string | null | undefined;
  /** False until an answer proved that the URL works: one that never worked is not renewed again. */
  worked: boolean;
}

/**
 * Every piece is a 206 with exactly the asked Content-Range, the whole length and the ETag of the first answer, or the
 * read fails: there are no short reads and no made-up zeros. A 403 asks `renew` for a new URL, once for each grant
 * that worked before, and the piece is asked again with it.
 */
class SnapshotReader implements BlockSource {
  readonly sizeBytes: number;
  private grant: Grant;
  private renewal: Promise<void> | undefined;
  private readonly client: DataClient;
  private readonly patience: Patience;
  private readonly waiting: Waiting;

  constructor(access: AccessUrl, private readonly renew: () => Promise<AccessUrl>, options: SnapshotSourceOptions) {
    this.sizeBytes = access.sizeBytes;
    // The first URL counts as one that worked: it may have expired between its grant and this activity's first read.
    this.grant = { url: access.url, etag: undefined, worked: true };
    this.client = createDataClient({ maxSockets: parallelPieces * 2, idleTimeoutMs: options.idleTimeoutMs ?? 60_000 });
    this.patience = options.patience ?? dataPatience;
    this.waiting = options.waiting ?? realWaiting;
  }

  async readInto(buffer: Buffer, offsetBytes: number): Promise<void> {
    if (!Number.isSafeInteger(offsetBytes) || offsetBytes < 0 || offsetBytes + buffer.length > this.sizeBytes) {
      throw new HoldfastError('INTERNAL', `Bytes ${String(offsetBytes)} to ${String(offsetBytes + buffer.length)} are not within a snapshot of ${String(this.sizeBytes)} bytes`);
    }
    let nextByte = 0;
    let isFailed = false;
    const reader = async (): Promise<void> => {
      while (nextByte < buffer.length && !isFailed) {
        const start = nextByte;
        nextByte += pieceBytes;
        try {
          await this.readPiece(buffer.subarray(start, Math.min(start + pieceBytes, buffer.length)), offsetBytes + start);
        } catch (error) {
          isFailed = true;
          throw error;
        }
      }
    };
    // Settled, not raced: the caller may reuse its buffer after a failure, and no other piece may still write to it then.
    const outcomes = await Promise.allSettled(Array.from({ length: parallelPieces }, reader));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  verifyUnchanged(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.client.close();
    return Promise.resolve();
  }

  private async readPiece(piece: Buffer, offsetBytes: number): Promise<void> {
    const doing = `reading ${String(piece.length)} bytes at ${String(offsetBytes)} of a snapshot`;
    for (;;) {
      const grant = this.grant;
      const response = await this.request(grant, piece, offsetBytes, doing);
      if (response.status === 403 || response.status === 401) {
        await this.renewAfter(grant, response, doing);
        continue;
      }
      this.checkAnswer(grant, response, doing);
      grant.worked = true;
      return;
    }
  }

  private request(grant: Grant, piece: Buffer, offsetBytes: number, doing: string): Promise<DataResponse> {
    const lastByte = offsetBytes + piece.length - 1;
    const wantedRange = new RegExp(`^bytes ${String(offsetBytes)}-${String(lastByte)}/(\\d+|\\*)$`);
    return sendPatiently(this.client, {
      method: 'GET',
      url: grant.url,
      headers: {
        'x-ms-version': serviceVersion,
        range: `bytes=${String(offsetBytes)}-${String(lastByte)}`,
        ...(typeof grant.etag === 'string' ? { 'if-match': grant.etag } : {}),
      },
      into: piece,
      accept: (status, headers) => status === 206 && wantedRange.test(singleHeader(headers, 'content-range') ?? ''),
      maxBodyBytes: maxErrorBytes,
    }, doing, this.patience, this.waiting);
  }

  private checkAnswer(grant: Grant, response: DataResponse, doing: string): void {
    if (response.status !== 206 && response.status !== 200) throw dataPlaneError(response, doing);
    if (!response.filled) {
      const got = singleHeader(response.headers, 'content-range') ?? 'no Content-Range';
      throw new HoldfastError('CLOUD_FAILED', `The disk service answered ${String(response.status)} with "${got}" when ${doing}`, { data: { httpStatus: response.status, serviceCode: '' } });
    }
    const etag = singleHeader(response.headers, 'etag') ?? null;
    if (grant.etag === undefined) grant.etag = etag;
    if (grant.etag !== etag) {
      throw new HoldfastError('CLOUD_SNAPSHOT_CHANGED', `The ETag of the snapshot was ${String(grant.etag)} and is ${String(etag)} when ${doing}`, { data: { serviceCode: '' } });
    }
  }

  /** Puts a new grant in place of `refused`, unless another piece did so already. One renewal serves all that wait. */
  private async renewAfter(refused: Grant, response: DataResponse, doing: string): Promise<void> {
    if (this.grant !== refused) return;
    if (!refused.worked) {
      const serviceCode = serviceCodeOf(response);
      throw new HoldfastError('CLOUD_ACCESS_EXPIRED', `The disk service refused a renewed access URL (${String(response.status)} ${serviceCode}) when ${doing}`, { data: { httpStatus: response.status, serviceCode } });
    }
    this.renewal ??= this.renewed(refused).then((grant) => {
      // Set before the renewal is forgotten, so that no late refusal of the old URL starts a second one.
      this.grant = grant;
    }).finally(() => {
      this.renewal = undefined;
    });
    await this.renewal;
  }

  private async renewed(refused: Grant): Promise<Grant> {
    const access = await this.renew().catch((error: unknown) => {
      // What passes by itself keeps its name; whatever else stands in the way, access is gone for this run.
      for (const code of ['CLOUD_THROTTLED', 'CLOUD_UNREACHABLE', 'CLOUD_CONFLICT', 'CLOUD_ACCESS_LIMIT'] as const) {
        if (isHoldfastError(error, code)) throw error;
      }
      throw new HoldfastError('CLOUD_ACCESS_EXPIRED', `Access to a snapshot expired and was not renewed: ${redact(messageOf(error))}`, { data: { serviceCode: '' } });
    });
    if (access.sizeBytes !== this.sizeBytes) {
      throw new HoldfastError('CLOUD_SNAPSHOT_CHANGED', `A renewed access URL is for ${String(access.sizeBytes)} bytes and the old one was for ${String(this.sizeBytes)}`, { data: { serviceCode: '' } });
    }
    // The same blob keeps its ETag. Azure may put a new grant on another address, whose ETag says nothing about the old one's.
    const isSameBlob = sameAddress(access.url, refused.url);
    return { url: access.url, etag: isSameBlob ? refused.etag : undefined, worked: false };
  }
}

function sameAddress(left: string, right: string): boolean {
  return left.split('?')[0] === right.split('?')[0];
}
