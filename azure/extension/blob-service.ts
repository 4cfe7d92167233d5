import type { BlobServiceClient, PageBlobClient, UserDelegationKey } from '@azure/storage-blob';
import type { TokenCredential } from '@azure/identity';
import type { ErrorCode } from '../../errors/catalogue';
import { HoldfastError } from '../../errors/holdfast-error';
import { type BlobFailure, failureOf } from '../blob/blob-errors';
import type { Credential } from '../compute/arm-client';
import { pauseMs, type Waiting } from '../disk/backoff';
import { dataPatience } from '../disk/patient-client';
import type { BlobAddress } from './blob-address';

/** Pinned, so that what is signed is known whatever the SDK's newest version: user delegation signatures of this one have no optional parts. */
const signedVersion = '2022-11-02';
/** Clocks differ; a key that begins a little earlier is valid for both. */
const keyLeadMs = 5 * 60_000;
const keyLifeMs = 6 * 3_600_000;
const tryTimeoutMs = 60_000;

/** The storage accounts of disks, reached with the app's own identity. The SDK's retries are off: what may be sent again is decided here. */
export class BlobServices {
  private readonly clients = new Map<string, BlobServiceClient>();
  private readonly keys = new Map<string, { readonly key: UserDelegationKey; readonly untilMs: number }>();

  constructor(private readonly credential: Credential, private readonly waiting: Waiting, private readonly userAgent: string) {}

  async service(address: BlobAddress): Promise<BlobServiceClient> {
    const known = this.clients.get(address.serviceUrl);
    if (known) return known;
    // Loaded here: the storage client takes most of a cold start, and few machines have such disks.
    const { AnonymousCredential, BlobServiceClient } = await import('./storage-sdk.js');
    // Over http, which is this machine alone, the SDK refuses to send a token.
    const credential = address.serviceUrl.startsWith('http:') ? new AnonymousCredential() : (this.credential as TokenCredential);
    const made = new BlobServiceClient(address.serviceUrl, credential, { retryOptions: { maxTries: 1 }, userAgentOptions: { userAgentPrefix: this.userAgent } });
    this.clients.set(address.serviceUrl, made);
    return made;
  }

  /** The page blob, or the snapshot that the address names. */
  async pageBlob(address: BlobAddress): Promise<PageBlobClient> {
    const blob = (await this.service(address)).getContainerClient(address.container).getPageBlobClient(address.blob);
    return address.snapshot === null ? blob : blob.withSnapshot(address.snapshot);
  }

  /**
   * A secret: the address with an access signature made of the app's identity (user delegation), so no account key is ever read. `permissions`
   * in the letters of the service: r read, c create (which allows to take a snapshot, and not to overwrite), w write.
   */
  async signedUrl(address: BlobAddress, permissions: string, seconds: number): Promise<string> {
    const key = await this.key(address, seconds);
    const { BlobSASPermissions, generateBlobSASQueryParameters, SASProtocol } = await import('./storage-sdk.js');
    const query = generateBlobSASQueryParameters({
      containerName: address.container, blobName: address.blob, ...(address.snapshot === null ? {} : { snapshotTime: address.snapshot }),
      permissions: BlobSASPermissions.parse(permissions), expiresOn: new Date(this.waiting.now() + seconds * 1000), version: signedVersion,
      ...(address.serviceUrl.startsWith('https:') ? { protocol: SASProtocol.Https } : {}),
    }, key, address.account).toString();
    return `${address.url}?${address.snapshot === null ? '' : `snapshot=${address.snapshot}&`}${query}`;
  }

  private async key(address: BlobAddress, seconds: number): Promise<UserDelegationKey> {
    const nowMs = this.waiting.now();
    const known = this.keys.get(address.serviceUrl);
    if (known && known.untilMs > nowMs + seconds * 1000) return known.key;
    const untilMs = nowMs + keyLifeMs;
    const service = await this.service(address);
    const key = await this.asking(`a key for access to ${address.serviceUrl}`, () =>
      service.getUserDelegationKey(new Date(nowMs - keyLeadMs), new Date(untilMs), { abortSignal: AbortSignal.timeout(tryTimeoutMs) }));
    this.keys.set(address.serviceUrl, { key, untilMs });
    return key;
  }

  /** Sends what may be sent again, again, while its failure looks temporary. Throws CLOUD_ errors and SNAPSHOT_LIMIT, without an address in them. */
  async asking<T>(doing: string, request: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.once(request);
      if ('value' in outcome) return outcome.value;
      const { failure } = outcome;
      const isTooLong = (failure.retryAfterMs ?? 0) > dataPatience.longestPauseMs;
      if (!failure.isTransient || attempt >= dataPatience.attempts || isTooLong) throw blobDiskError(failure, doing);
      await this.waiting.wait(pauseMs(dataPatience, attempt, failure.retryAfterMs, this.waiting.random));
    }
  }

  /** The same, with undefined for the service's own word that the blob, snapshot or container is not there. */
  async askingIfThere<T>(doing: string, request: () => Promise<T>): Promise<T | undefined> {
    try {
      return await this.asking(doing, request);
    } catch (error) {
      if (error instanceof HoldfastError && error.code === 'CLOUD_NOT_FOUND') return undefined;
      throw error;
    }
  }

  async once<T>(request: () => Promise<T>): Promise<{ readonly value: T } | { readonly failure: BlobFailure }> {
    try {
      return { value: await request() };
    } catch (error) {
      return { failure: failureOf(error, this.waiting.now()) };
    }
  }
}

export function blobDiskError(failure: BlobFailure, doing: string): HoldfastError {
  const answer = failure.status === undefined ? failure.code : `${failure.status} ${failure.code}`;
  return new HoldfastError(codeOf(failure), `The storage account answered ${answer} to ${doing}: ${failure.cause.message}`, { data: { httpStatus: failure.status ?? 0, serviceCode: failure.code } });
}

/** Only codes by which the service itself says that something is not there: a 404 of a gateway proves nothing. */
const absent = new Set(['BlobNotFound', 'ContainerNotFound', 'ResourceNotFound']);

function codeOf({ status, code }: BlobFailure): ErrorCode {
  if (code === 'SnapshotCountExceeded') return 'SNAPSHOT_LIMIT';
  if (status === 429 || status === 503 || code === 'SnapshotOperationRateExceeded') return 'CLOUD_THROTTLED';
  if (status === 401 || status === 403) return 'CLOUD_ACCESS_DENIED';
  if (absent.has(code)) return 'CLOUD_NOT_FOUND';
  if (status === 409 || status === 412) return 'CLOUD_CONFLICT';
  return status === undefined ? 'CLOUD_UNREACHABLE' : 'CLOUD_FAILED';
}
