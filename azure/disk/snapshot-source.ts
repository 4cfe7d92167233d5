import type { OpenSnapshotSource } from '../../activities/cloud';
import { HoldfastError } from '../../errors/holdfast-error';
import type { BlockSource } from '../../vault/transfer/block-source';
import { type Patience, realWaiting, type Waiting } from './backoff';
import { createDataClient, type DataClient, type DataResponse } from './data-client';
import { dataPlaneError, singleHeader } from './data-errors';
import { type Grant, Grants } from './grants';
import { dataPatience, sendPatiently } from './patient-client';

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
  /** True for a disk that is being written to: its ETag changes all the time and proves nothing. */
  readonly isWrittenTo?: boolean;
}

/** Reads snapshots over HTTP. For what is checked, see SnapshotReader. */
export function createSnapshotOpener(options: SnapshotSourceOptions = {}): OpenSnapshotSource {
  return (access, renew) => new SnapshotReader(new Grants(access, renew), options);
}

export const openSnapshotSource: OpenSnapshotSource = createSnapshotOpener();

/**
 * Every piece is a 206 with exactly the asked Content-Range, the whole length and the ETag of the first answer, or the
 * read fails: there are no short reads and no made-up zeros. A 403 asks `renew` for a new URL, once for each grant
 * that worked before, and the piece is asked again with it.
 */
export class SnapshotReader implements BlockSource {
  readonly sizeBytes: number;
  private readonly client: DataClient;
  private readonly patience: Patience;
  private readonly waiting: Waiting;

  /** `grants` are for whoever has the service read the snapshot itself: a copy out of it. */
  constructor(readonly grants: Grants, private readonly options: SnapshotSourceOptions) {
    this.sizeBytes = grants.sizeBytes;
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
      const grant = this.grants.current;
      const response = await this.request(grant, piece, offsetBytes, doing);
      if (response.status === 403 || response.status === 401) {
        await this.grants.renewAfter(grant, response, doing);
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
    if (this.options.isWrittenTo === true) return;
    const etag = singleHeader(response.headers, 'etag') ?? null;
    if (grant.etag === undefined) grant.etag = etag;
    if (grant.etag !== etag) {
      throw new HoldfastError('CLOUD_SNAPSHOT_CHANGED', `The ETag of the snapshot was ${String(grant.etag)} and is ${String(etag)} when ${doing}`, { data: { serviceCode: '' } });
    }
  }
}
