import { AnonymousCredential, newPipeline, PageBlobClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import type { TokenCredential } from '@azure/identity';
import type { PageBlobStatus, PageTarget } from '../../activities/restore-cloud';
import { HoldfastError, isHoldfastError } from '../../errors/holdfast-error';
import type { ErrorCode } from '../../errors/catalogue';
import type { DiskRange } from '../../vault/transfer/block-source';
import { parseContainerUrl } from '../../vault/store/store-spec';
import { buildFixedFooter, vhdFooterBytes } from '../../vault/format/vhd-footer';
import { eachPiece, paddedPages, wholePageBytes } from '../disk/page-pieces';
import { type Environment, findBlobAccess } from './blob-access';
import { BrokenAnswer, failureOf } from './blob-errors';
import { defaultRetryPolicy, retrying, type RetryPolicy } from './retry';

/** Azure serves 60 MiB/s to one page blob: more at once only makes it refuse. */
const parallelPieces = 4;
const tryTimeoutMs = 60_000;
/** Names of blobs that people choose: parts of plain characters, so that no name can lead out of its container. */
const blobName = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/;

export interface PageBlobPlace {
  readonly containerUrl: string;
  readonly blob: string;
}

export interface PageBlobOptions {
  readonly env: Environment;
  /** Used where neither the address nor the environment has a signature or key. */
  readonly credential: TokenCredential;
  readonly retry?: Partial<RetryPolicy>;
  readonly userAgent?: string;
}

/** A page blob that holds, or is to hold, a fixed VHD. */
export class PageBlob {
  private readonly client: PageBlobClient;
  private readonly policy: RetryPolicy;
  private readonly shown: string;

  constructor(place: PageBlobPlace, options: PageBlobOptions) {
    if (place.blob.length > 1000 || !blobName.test(place.blob)) throw new HoldfastError('CLOUD_ID_INVALID', `${JSON.stringify(place.blob.slice(0, 300))} is not a name for a blob: use letters, digits, _, - and . in parts with / between them`);
    const { publicUrl } = parseContainerUrl(place.containerUrl);
    const access = findBlobAccess(place.containerUrl, options.env);
    const key = access?.sharedKey;
    const anonymousOrToken = access === undefined ? options.credential : new AnonymousCredential();
    const credential = key === undefined ? anonymousOrToken : new StorageSharedKeyCredential(key.accountName, key.accountKey);
    const url = new URL(access?.containerUrl ?? place.containerUrl);
    url.pathname = `${url.pathname.replace(/\/+$/, '')}/${place.blob}`;
    // The retries are this class's own, as in the blob store.
    this.client = new PageBlobClient(url.toString(), newPipeline(credential, { retryOptions: { maxTries: 1 }, userAgentOptions: { userAgentPrefix: options.userAgent ?? 'holdfast' } }));
    this.policy = { ...defaultRetryPolicy, ...options.retry };
    this.shown = publicUrl;
  }

  /** A create whose answer was lost finds its own blob when it is tried again, and says 'exists' as any other would. */
  async create(sizeBytes: number, metadata: Readonly<Record<string, string>>): Promise<'created' | 'exists'> {
    return this.trying('create the page blob', async () => {
      try {
        await this.client.create(sizeBytes + vhdFooterBytes, { metadata: { ...metadata }, conditions: { ifNoneMatch: '*' }, abortSignal: AbortSignal.timeout(tryTimeoutMs) });
        return 'created';
      } catch (error) {
        const { status, code } = failureOf(error, this.policy.clock());
        if (status === 409 && code === 'BlobAlreadyExists' || status === 412) return 'exists';
        throw error;
      }
    });
  }

  async status(): Promise<(PageBlobStatus & { readonly isPageBlob: boolean }) | undefined> {
    return this.unlessAbsent('look at the blob', async () => {
      const found = await this.client.getProperties({ abortSignal: AbortSignal.timeout(tryTimeoutMs) });
      return { isPageBlob: found.blobType === 'PageBlob', sizeBytes: (found.contentLength ?? 0) - vhdFooterBytes, metadata: found.metadata ?? {} };
    });
  }

  async delete(): Promise<'deleted' | 'absent'> {
    const deleted = await this.unlessAbsent('delete the page blob', async () => {
      await this.client.delete({ abortSignal: AbortSignal.timeout(tryTimeoutMs) });
      return true;
    });
    return deleted === true ? 'deleted' : 'absent';
  }

  async put(bytes: Buffer, offset: number): Promise<void> {
    await this.trying(`write at ${String(offset)} of`, () => this.client.uploadPages(bytes, offset, bytes.length, { abortSignal: AbortSignal.timeout(tryTimeoutMs) }));
  }

  async clear({ offset, length }: DiskRange): Promise<void> {
    await this.trying(`clear at ${String(offset)} of`, () => this.client.clearPages(offset, length, { abortSignal: AbortSignal.timeout(tryTimeoutMs) }));
  }

  async read(into: Buffer, offset: number): Promise<void> {
    await this.trying(`read at ${String(offset)} of`, async () => {
      const answer = await this.client.download(offset, into.length, { maxRetryRequests: 0, abortSignal: AbortSignal.timeout(tryTimeoutMs) });
      const wanted = `bytes ${String(offset)}-${String(offset + into.length - 1)}/`;
      if (answer.contentRange?.startsWith(wanted) !== true || answer.readableStreamBody === undefined) throw new BrokenAnswer(`the answer has the range ${String(answer.contentRange)}`);
      let filled = 0;
      for await (const part of answer.readableStreamBody) {
        const bytes = part as Buffer;
        if (filled + bytes.length > into.length) throw new BrokenAnswer('the answer is too long');
        bytes.copy(into, filled);
        filled += bytes.length;
      }
      if (filled !== into.length) throw new BrokenAnswer(`the answer ended after ${String(filled)} of ${String(into.length)} bytes`);
    });
  }

  async pageRanges(range: DiskRange): Promise<DiskRange[]> {
    return this.trying('list the pages of', async () => {
      const found: DiskRange[] = [];
      for await (const { start, end, isClear } of this.client.listPageRanges(range.offset, range.length, { abortSignal: AbortSignal.timeout(tryTimeoutMs) })) {
        // The SDK's start and end are the wire's, both inclusive.
        if (isClear !== true) found.push({ offset: start, length: end - start + 1 });
      }
      return found;
    });
  }

  private async unlessAbsent<T>(action: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await this.trying(action, work);
    } catch (error) {
      // A container that is not there has a code of its own and is a mistake in the settings, so it does not pass for an absent blob.
      if (isHoldfastError(error, 'CLOUD_NOT_FOUND') && error.data['serviceCode'] !== 'ContainerNotFound') return undefined;
      throw error;
    }
  }

  private async trying<T>(action: string, work: () => Promise<T>): Promise<T> {
    try {
      return await retrying(this.policy, action, this.shown, work);
    } catch (error) {
      throw isHoldfastError(error) ? targetError(error) : error;
    }
  }
}

const codes: Readonly<Partial<Record<ErrorCode, ErrorCode>>> = {
  STORE_THROTTLED: 'CLOUD_THROTTLED', STORE_UNREACHABLE: 'CLOUD_UNREACHABLE', STORE_ACCESS_DENIED: 'CLOUD_ACCESS_DENIED', STORE_READ_ONLY: 'TARGET_NOT_ALLOWED', STORE_FAILED: 'CLOUD_FAILED',
};

/** The same failure as one of a target: the words for a vault would send people looking in the wrong place. */
function targetError(error: HoldfastError): HoldfastError {
  const code = error.data['status'] === 404 ? 'CLOUD_NOT_FOUND' : codes[error.code];
  const serviceCode = error.data['azureCode'] ?? '';
  return code === undefined ? error : new HoldfastError(code, error.message, { data: { httpStatus: error.data['status'] ?? null, serviceCode }, cause: error.cause });
}

/** A page blob as the target of a restore. Writing in place is what page blobs are for: a differential restore writes just what differs. */
export function openPageBlobTarget(place: PageBlobPlace, sizeBytes: number, options: PageBlobOptions): PageTarget {
  const blob = new PageBlob(place, options);
  return {
    sizeBytes,
    async write(data, offsetBytes) {
      const pages = paddedPages(data, offsetBytes, sizeBytes);
      await eachPiece([{ offset: offsetBytes, length: pages.length }], parallelPieces, ({ offset, length }) => blob.put(pages.subarray(offset - offsetBytes, offset - offsetBytes + length), offset));
    },
    async clear(offsetBytes, lengthBytes) {
      const length = wholePageBytes(offsetBytes, lengthBytes, sizeBytes);
      await eachPiece([{ offset: offsetBytes, length }], parallelPieces, (piece) => blob.clear(piece));
    },
    async readInto(buffer, offsetBytes) {
      await eachPiece([{ offset: offsetBytes, length: buffer.length }], parallelPieces, ({ offset, length }) => blob.read(buffer.subarray(offset - offsetBytes, offset - offsetBytes + length), offset));
    },
    async *listRanges(range) {
      const rangeEnd = range.offset + range.length;
      let pending: { start: number; end: number } | undefined;
      for (const found of await blob.pageRanges(range)) {
        const start = Math.max(found.offset, range.offset);
        const end = Math.min(found.offset + found.length, rangeEnd);
        if (end <= start) continue;
        if (pending?.end === start) {
          pending.end = end;
          continue;
        }
        if (pending !== undefined) yield { offset: pending.start, length: pending.end - pending.start };
        pending = { start, end };
      }
      if (pending !== undefined) yield { offset: pending.start, length: pending.end - pending.start };
    },
    writeFooter: ({ uniqueId, createdAtMs }) => blob.put(buildFixedFooter(sizeBytes, { uniqueId, createdAt: createdAtMs }), sizeBytes),
    verifyUnchanged: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}
