import type { AccessUrl } from '../../activities/cloud';
import type { PageTarget } from '../../activities/restore-cloud';
import { HoldfastError } from '../../errors/holdfast-error';
import type { BlockSource, DiskRange } from '../../vault/transfer/block-source';
import { buildFixedFooter } from '../../vault/format/vhd-footer';
import { type Patience, realWaiting, type Waiting } from './backoff';
import { createDataClient, type DataClient, type DataResponse } from './data-client';
import { dataPlaneError, serviceCodeOf } from './data-errors';
import { type Grant, Grants } from './grants';
import { eachPiece, type PagePiece, paddedPages, wholePageBytes } from './page-pieces';
import { dataPatience, sendPatiently } from './patient-client';
import { createRangeLister } from './ranges';
import { serviceVersion, SnapshotReader } from './snapshot-source';

/** Requests of one call that are under way at once. */
const parallelPieces = 4;
/** An error body is short XML. */
const maxErrorBytes = 64 * 1024;

export interface DiskTargetOptions {
  readonly patience?: Patience;
  readonly waiting?: Waiting;
  readonly idleTimeoutMs?: number;
}

/**
 * A managed disk in upload, behind its write access URL: Put Page, Clear Pages, Get Page Ranges and reads (REST reference of Blob Storage).
 * Writes carry no MD5: uploads to managed disks do not support it (AzCopy refuses it there). What was written is read back instead.
 */
export function openDiskTarget(access: AccessUrl, renew: () => Promise<AccessUrl>, options: DiskTargetOptions = {}): PageTarget {
  return new DiskTarget(new Grants(access, renew), options);
}

class DiskTarget implements PageTarget {
  readonly sizeBytes: number;
  private readonly client: DataClient;
  private readonly reader: SnapshotReader;
  private readonly patience: Patience;
  private readonly waiting: Waiting;
  /** What was refused once is not asked for again. */
  private isCopyRefused = false;

  constructor(private readonly grants: Grants, options: DiskTargetOptions) {
    this.sizeBytes = grants.sizeBytes;
    this.client = createDataClient({ maxSockets: parallelPieces * 2, idleTimeoutMs: options.idleTimeoutMs ?? 60_000 });
    this.reader = new SnapshotReader(grants, { ...options, isWrittenTo: true });
    this.patience = options.patience ?? dataPatience;
    this.waiting = options.waiting ?? realWaiting;
  }

  async write(data: Buffer, offsetBytes: number): Promise<void> {
    const pages = paddedPages(data, offsetBytes, this.sizeBytes);
    await eachPiece([{ offset: offsetBytes, length: pages.length }], parallelPieces, (piece) =>
      this.put(piece, 'writing', { 'x-ms-page-write': 'update' }, pages.subarray(piece.offset - offsetBytes, piece.offset - offsetBytes + piece.length)));
  }

  async clear(offsetBytes: number, lengthBytes: number): Promise<void> {
    const length = wholePageBytes(offsetBytes, lengthBytes, this.sizeBytes);
    await eachPiece([{ offset: offsetBytes, length }], parallelPieces, (piece) => this.put(piece, 'clearing', { 'x-ms-page-write': 'clear' }));
  }

  async copyFrom(source: BlockSource, ranges: readonly DiskRange[]): Promise<boolean> {
    if (!(source instanceof SnapshotReader)) throw new HoldfastError('INTERNAL', 'Azure copies pages out of what has an access URL, and this source has none');
    for (const { offset, length } of ranges) {
      if (offset + length > Math.min(source.sizeBytes, this.sizeBytes)) throw new HoldfastError('INTERNAL', `Bytes ${String(offset)} to ${String(offset + length)} are not within a source of ${String(source.sizeBytes)} bytes and this disk`);
    }
    await eachPiece(ranges, parallelPieces, async (piece) => {
      if (!this.isCopyRefused && !await this.copyPiece(source, piece)) this.isCopyRefused = true;
    });
    return !this.isCopyRefused;
  }

  readInto(buffer: Buffer, offsetBytes: number): Promise<void> {
    return this.reader.readInto(buffer, offsetBytes);
  }

  listRanges(range: DiskRange): AsyncIterable<DiskRange> {
    const lister = createRangeLister({ patience: this.patience, waiting: this.waiting });
    return lister.listRanges({ url: this.grants.current.url, sizeBytes: this.sizeBytes }, range);
  }

  async writeFooter(identity: { readonly uniqueId: string; readonly createdAtMs: number }): Promise<void> {
    const footer = buildFixedFooter(this.sizeBytes, { uniqueId: identity.uniqueId, createdAt: identity.createdAtMs });
    await this.put({ offset: this.sizeBytes, length: footer.length }, 'writing', { 'x-ms-page-write': 'update' }, footer);
  }

  verifyUnchanged(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.client.close();
    await this.reader.close();
  }

  /** Whether the service copied it. Access to the source that expired is renewed once; any other refusal stands for good, but for one to come back later. */
  private async copyPiece(source: SnapshotReader, piece: PagePiece): Promise<boolean> {
    const doing = `copying ${String(piece.length)} bytes at ${String(piece.offset)} of a disk out of a snapshot`;
    for (let isRenewed = false; ; isRenewed = true) {
      const { current } = source.grants;
      const response = await this.answerTo(piece, { 'x-ms-page-write': 'update', 'x-ms-copy-source': current.url, 'x-ms-source-range': headerRange(piece) }, undefined, doing);
      if (response.status === 201) {
        current.worked = true;
        return true;
      }
      if (response.status === 429 || response.status === 503) throw dataPlaneError(response, doing);
      if (isRenewed || !isOfSource(response)) return false;
      await source.grants.renewAfter(current, response, doing);
    }
  }

  private async put(piece: PagePiece, verb: string, headers: Readonly<Record<string, string>>, payload?: Buffer): Promise<void> {
    const doing = `${verb} ${String(piece.length)} bytes at ${String(piece.offset)} of a disk`;
    const response = await this.answerTo(piece, headers, payload, doing);
    if (response.status !== 201) throw dataPlaneError(response, doing);
  }

  /** What the service says to a write, with access to this disk renewed where it expired. */
  private async answerTo(piece: PagePiece, headers: Readonly<Record<string, string>>, payload: Buffer | undefined, doing: string): Promise<DataResponse> {
    for (;;) {
      const grant = this.grants.current;
      const response = await this.send(grant, piece, headers, payload, doing);
      if (response.status === 201) grant.worked = true;
      if ((response.status !== 403 && response.status !== 401) || isOfSource(response)) return response;
      await this.grants.renewAfter(grant, response, doing);
    }
  }

  private send(grant: Grant, piece: PagePiece, headers: Readonly<Record<string, string>>, payload: Buffer | undefined, doing: string): Promise<DataResponse> {
    return sendPatiently(this.client, {
      method: 'PUT',
      url: `${grant.url}${grant.url.includes('?') ? '&' : '?'}comp=page`,
      headers: { 'x-ms-version': serviceVersion, 'x-ms-range': headerRange(piece), ...headers },
      ...(payload === undefined ? {} : { payload }),
      maxBodyBytes: maxErrorBytes,
    }, doing, this.patience, this.waiting);
  }
}

/** The source of a copy refuses, which says nothing about the access to the disk that is written. */
const isOfSource = (response: DataResponse): boolean => /CopySource/i.test(serviceCodeOf(response));

const headerRange = ({ offset, length }: DiskRange): string => `bytes=${String(offset)}-${String(offset + length - 1)}`;
