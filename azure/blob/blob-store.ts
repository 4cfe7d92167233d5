import { createHash, randomUUID } from 'node:crypto';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { TokenCredential } from '@azure/identity';
import { AnonymousCredential, type BlobItem, ContainerClient, newPipeline, StorageSharedKeyCredential } from '@azure/storage-blob';
import { HoldfastError } from '../../errors/holdfast-error';
import { assertByteRange, assertNamePrefix, assertObjectName, isObjectName } from '../../vault/store/object-names';
import type { ByteRange, ObjectInfo, ObjectRetention, Store } from '../../vault/store/store';
import { objectHeld, objectNotFound, rangePastEnd } from '../../vault/store/store-errors';
import { parseContainerUrl } from '../../vault/store/store-spec';
import { BrokenAnswer, failureOf, saysAbsent, saysHeld, saysTaken } from './blob-errors';
import { infoOf } from './blob-info';
import { createBlobRetention } from './blob-retention';
import { defaultRetryPolicy, retrying, type RetryPolicy } from './retry';

export interface BlobStoreOptions {
  /** https://ACCOUNT.blob.core.windows.net/CONTAINER or http://127.0.0.1:10000/devstoreaccount1/CONTAINER, with or without an access signature. */
  readonly containerUrl: string;
  /** Used where neither a signature nor a key is given. */
  readonly credential?: TokenCredential;
  readonly sharedKey?: { readonly accountName: string; readonly accountKey: string };
  /** Make the container, without public access, when it is not there. */
  readonly createContainer?: boolean;
  readonly retry?: Partial<RetryPolicy>;
  readonly userAgent?: string;
  /** Names a page of a listing has, at most 5,000 (List Blobs, maxresults). */
  readonly pageSize?: number;
  /** A try that takes longer than this, and 4 seconds for each MiB that it carries, counts as lost. */
  readonly tryTimeoutMs?: number;
}

/** The metadata entry by which a writer knows its own write again after it lost the answer. */
const writeMarker = 'hfwrite';

/** A try may be as slow as 256 KiB a second before it counts as lost. */
const slowestBytesPerMs = 262.144;

/** A vault in a container of Azure Blob Storage: an object is a block blob of the same name. Throws VAULT_ADDRESS, or a STORE_ error where the container cannot be made. */
export async function openBlobStore(options: BlobStoreOptions): Promise<Store> {
  const { publicUrl } = parseContainerUrl(options.containerUrl);
  const policy = { ...defaultRetryPolicy, ...options.retry };
  // The retries are this store's own: the SDK's would resend a write whose outcome is unknown without a look at it.
  const pipeline = newPipeline(credentialOf(options), { retryOptions: { maxTries: 1 }, userAgentOptions: { userAgentPrefix: options.userAgent ?? 'holdfast' } });
  const client = new ContainerClient(options.containerUrl, pipeline);
  const timeoutMs = options.tryTimeoutMs ?? 60_000;
  if (options.createContainer === true && !await isThere(client, policy, publicUrl, timeoutMs)) {
    await retrying(policy, 'create the container', publicUrl, () => client.createIfNotExists({ abortSignal: AbortSignal.timeout(timeoutMs) }));
  }
  return new BlobStore(client, publicUrl, policy, options.pageSize ?? 5000, timeoutMs);
}

/** Looks into the container: whoever makes a vault in one that a deployment has made need not have the right to make containers, nor to read their properties. */
async function isThere(client: ContainerClient, policy: RetryPolicy, publicUrl: string, timeoutMs: number): Promise<boolean> {
  return retrying(policy, 'look for the container', publicUrl, async () => {
    try {
      await client.listBlobsFlat({ abortSignal: AbortSignal.timeout(timeoutMs) }).byPage({ maxPageSize: 1 }).next();
      return true;
    } catch (error) {
      if (failureOf(error, policy.clock()).code === 'ContainerNotFound') return false;
      throw error;
    }
  });
}

function credentialOf(options: BlobStoreOptions): StorageSharedKeyCredential | AnonymousCredential | TokenCredential {
  if (parseContainerUrl(options.containerUrl).hasSignature) return new AnonymousCredential();
  if (options.sharedKey !== undefined) return new StorageSharedKeyCredential(options.sharedKey.accountName, options.sharedKey.accountKey);
  return options.credential ?? new AnonymousCredential();
}

class BlobStore implements Store {
  readonly description: string;
  readonly retention: ObjectRetention;
  readonly #client: ContainerClient;
  readonly #policy: RetryPolicy;
  readonly #pageSize: number;
  readonly #timeoutMs: number;

  constructor(client: ContainerClient, description: string, policy: RetryPolicy, pageSize: number, timeoutMs: number) {
    this.#client = client;
    this.description = description;
    this.#policy = policy;
    this.#pageSize = pageSize;
    this.#timeoutMs = timeoutMs;
    this.retention = createBlobRetention({
      client, description, clock: policy.clock,
      retrying: (action, attempt) => this.#retrying(action, attempt), deadline: () => this.#deadline(0), list: (prefix) => this.#list(prefix, true),
    });
  }

  /**
   * One Put Blob, whatever the size (the service takes 5,000 MiB), with If-None-Match: * and the MD5 of the body, which
   * the service checks before it stores and keeps as Content-MD5. MD5 runs at about 720 MiB/s on a 2020s server core,
   * several times what one connection carries.
   */
  async create(name: string, data: Uint8Array): Promise<'created' | 'exists'> {
    assertObjectName(name);
    const body = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const md5 = await md5Of(body);
    const marker = randomUUID();
    return this.#retrying(`create ${name}`, async (triesBefore) => {
      if (triesBefore > 0) {
        const whose = await this.#whoseWrite(name, body, md5, marker);
        if (whose !== undefined) return whose;
      }
      try {
        await this.#client.getBlockBlobClient(name).upload(body, body.length, {
          abortSignal: this.#deadline(body.length),
          conditions: { ifNoneMatch: '*' },
          transactionalContentMD5: md5,
          metadata: { [writeMarker]: marker },
        });
        return 'created';
      } catch (error) {
        if (!saysTaken(failureOf(error, this.#policy.clock()))) throw error;
        const whose = await this.#whoseWrite(name, body, md5, marker);
        if (whose === undefined) throw error;
        return whose;
      }
    });
  }

  async read(name: string, range?: ByteRange): Promise<Buffer> {
    assertObjectName(name);
    if (range !== undefined) assertByteRange(range);
    if (range?.length === 0) return this.#readNothing(name, range);
    return this.#retrying(`read ${name}`, async () => {
      try {
        return await this.#download(name, range);
      } catch (error) {
        const failure = failureOf(error, this.#policy.clock());
        if (saysAbsent(failure)) throw objectNotFound(this.description, name, failure.cause);
        if (range === undefined || failure.status !== 416) throw error;
        const sizeBytes = failure.sizeBytes ?? (await this.#properties(name))?.contentLength ?? 0;
        throw rangePastEnd(this.description, name, range, sizeBytes);
      }
    });
  }

  async stat(name: string): Promise<ObjectInfo | undefined> {
    assertObjectName(name);
    return this.#retrying(`look at ${name}`, async () => {
      const found = await this.#properties(name);
      return found && infoOf(name, found.contentLength, found.lastModified, found.accessTier);
    });
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    assertNamePrefix(prefix);
    for await (const { name, properties } of this.#list(prefix, false)) yield infoOf(name, properties.contentLength, properties.lastModified, properties.accessTier);
  }

  async *#list(prefix: string, withRetention: boolean): AsyncGenerator<BlobItem> {
    let continuationToken: string | undefined;
    let last = '';
    do {
      const page = await this.#retrying(`list ${prefix}`, () => this.#page(prefix, continuationToken, withRetention));
      for (const item of page.items) {
        // The callers' merges rely on the order; an account with a hierarchical namespace lists by folders, in another.
        if (item.name <= last) throw new HoldfastError('STORE_FAILED', `${this.description} listed ${item.name} after ${last}; accounts with a hierarchical namespace cannot hold a vault`);
        last = item.name;
        if (isObjectName(item.name)) yield item;
      }
      continuationToken = page.continuationToken;
    } while (continuationToken !== undefined);
  }

  async delete(name: string): Promise<'deleted' | 'absent'> {
    assertObjectName(name);
    return this.#retrying(`delete ${name}`, async (triesBefore) => {
      try {
        await this.#client.getBlobClient(name).delete({ abortSignal: this.#deadline(0), deleteSnapshots: 'include' });
        return 'deleted';
      } catch (error) {
        const failure = failureOf(error, this.#policy.clock());
        if (saysAbsent(failure)) return triesBefore > 0 ? 'deleted' : 'absent';
        if (saysHeld(failure)) throw objectHeld(this.description, name, await this.#heldUntil(name), failure.cause);
        throw error;
      }
    });
  }

  /** The Date header, which every answer of the service has (Common REST API response headers). The cheapest question that any access signature may ask is a list of one. */
  async serverTimeMs(): Promise<number> {
    return this.#retrying('ask for the time', async () => {
      const pages = this.#client.listBlobsFlat({ abortSignal: this.#deadline(0) }).byPage({ maxPageSize: 1 });
      const time = (await pages.next()).value?.date?.getTime();
      if (time === undefined || Number.isNaN(time)) throw new BrokenAnswer('the answer has no date');
      return time;
    });
  }

  /** The connections are the SDK's, shared by all stores of the process; idle ones keep nothing alive. */
  async close(): Promise<void> {}

  #retrying<T>(action: string, attempt: (triesBefore: number) => Promise<T>): Promise<T> {
    return retrying(this.#policy, action, this.description, attempt);
  }

  #deadline(sizeBytes: number): AbortSignal {
    return AbortSignal.timeout(this.#timeoutMs + Math.ceil(sizeBytes / slowestBytesPerMs));
  }

  /** The blob's properties, or undefined when the service says that there is none. One try. */
  async #properties(name: string) {
    try {
      return await this.#client.getBlobClient(name).getProperties({ abortSignal: this.#deadline(0) });
    } catch (error) {
      if (saysAbsent(failureOf(error, this.#policy.clock()))) return undefined;
      throw error;
    }
  }

  /** Only for the message of a delete that was refused: the refusal stands whatever becomes of this question. */
  async #heldUntil(name: string): Promise<number | null> {
    const found = await this.#properties(name).catch(() => undefined);
    return found?.immutabilityPolicyExpiresOn?.getTime() ?? null;
  }

  /** Who made the object that has the name: this write (by its marker, and its content as the proof), another, or nobody. */
  async #whoseWrite(name: string, body: Buffer, md5: Buffer, marker: string): Promise<'created' | 'exists' | undefined> {
    const found = await this.#properties(name);
    if (found === undefined) return undefined;
    if (found.metadata?.[writeMarker] !== marker) return 'exists';
    const same = found.contentLength === body.length && found.contentMD5 !== undefined ? md5.equals(found.contentMD5) : body.equals(await this.#download(name, undefined));
    if (!same) throw new HoldfastError('STORE_FAILED', `${this.description} holds other content for ${name} than this write sent`);
    return 'created';
  }

  async #readNothing(name: string, range: ByteRange): Promise<Buffer> {
    const info = await this.stat(name);
    if (info === undefined) throw objectNotFound(this.description, name);
    if (range.offset > info.sizeBytes) throw rangePastEnd(this.description, name, range, info.sizeBytes);
    return Buffer.alloc(0);
  }

  /** One GET into one buffer. Throws STORE_RANGE when the object ends within the range, BrokenAnswer when the body is not what its headers say. */
  async #download(name: string, range: ByteRange | undefined): Promise<Buffer> {
    const abortSignal = this.#deadline(range?.length ?? 0);
    const answer = await this.#client.getBlobClient(name).download(range?.offset ?? 0, range?.length, { abortSignal, maxRetryRequests: 0 });
    const body = answer.readableStreamBody;
    if (body === undefined) throw new BrokenAnswer(`the answer for ${name} has no body`);
    // Without a listener an error after this function threw would end the process.
    body.on('error', () => undefined);
    try {
      if (range !== undefined) this.#assertRange(name, range, answer.contentRange);
      const wanted = range?.length ?? answer.contentLength;
      if (wanted === undefined || answer.contentLength !== wanted) throw new BrokenAnswer(`the answer for ${name} announces ${answer.contentLength} bytes instead of ${wanted}`);
      return await collectExactly(body, wanted, name);
    } finally {
      if ('destroy' in body && typeof body.destroy === 'function') body.destroy();
    }
  }

  #assertRange(name: string, range: ByteRange, contentRange: string | undefined): void {
    // Azurite answers a range of an empty blob with "bytes 0--1/0", where the service answers 416.
    const [, first, last, size] = (/^bytes (\d+)-(-?\d+)\/(\d+)$/.exec(contentRange ?? '') ?? []).map(Number);
    if (first === undefined || last === undefined || size === undefined) throw new BrokenAnswer(`the answer for a range of ${name} names the range ${String(contentRange)}`);
    if (range.offset + range.length > size) throw rangePastEnd(this.description, name, range, size);
    if (first !== range.offset || last !== range.offset + range.length - 1) throw new BrokenAnswer(`the answer for a range of ${name} is another range: ${String(contentRange)}`);
  }

  async #page(prefix: string, continuationToken: string | undefined, includeImmutabilityPolicy: boolean): Promise<{ items: readonly BlobItem[]; continuationToken: string | undefined }> {
    const pages = this.#client
      .listBlobsFlat({ abortSignal: this.#deadline(0), ...(prefix !== '' && { prefix }), ...(includeImmutabilityPolicy && { includeImmutabilityPolicy }) })
      .byPage({ maxPageSize: this.#pageSize, ...(continuationToken !== undefined && { continuationToken }) });
    const { value, done } = await pages.next().catch((error: unknown) => {
      // The SDK reads a listing out of any answer, such as the sign-in page of a network, and stumbles over what is missing in it.
      throw error instanceof TypeError ? new BrokenAnswer('the answer is no listing', { cause: error }) : error;
    });
    if (done === true) throw new BrokenAnswer('there is no answer');
    // An empty NextMarker is the end (List Blobs).
    return { items: value.segment.blobItems, continuationToken: value.continuationToken || undefined };
  }
}

async function collectExactly(body: NodeJS.ReadableStream, length: number, name: string): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  for await (const part of body) {
    const bytes = typeof part === 'string' ? Buffer.from(part, 'binary') : part;
    if (filled + bytes.length > length) throw new BrokenAnswer(`the answer for ${name} is longer than the ${length} bytes it announced`);
    buffer.set(bytes, filled);
    filled += bytes.length;
  }
  if (filled < length) throw new BrokenAnswer(`the answer for ${name} ended after ${filled} of ${length} bytes`);
  return buffer;
}

/** In slices, so that the hash of a pack does not hold up the other transfers of the process for tens of milliseconds. */
async function md5Of(body: Buffer): Promise<Buffer> {
  const sliceBytes = 4 * 1024 * 1024;
  const hash = createHash('md5');
  for (let start = 0; start < body.length; start += sliceBytes) {
    hash.update(body.subarray(start, start + sliceBytes));
    if (start + sliceBytes < body.length) await yieldToOthers();
  }
  return hash.digest();
}
