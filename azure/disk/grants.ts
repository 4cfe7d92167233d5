import type { AccessUrl } from '../../activities/cloud';
import { HoldfastError, isHoldfastError, messageOf } from '../../errors/holdfast-error';
import type { DataResponse } from './data-client';
import { serviceCodeOf } from './data-errors';
import { redact } from '../../errors/redact';

/** One grant of access. Requests in parallel share it, so that its expiry is renewed once for all of them. */
export interface Grant {
  readonly url: string;
  /** Set by the first answer of a reader; every later one must have the same. Null when the service sends none. */
  etag: string | null | undefined;
  /** False until an answer proved that the URL works: one that never worked is not renewed again. */
  worked: boolean;
}

/** The access by which a disk is read or written, renewed when the service refuses it. */
export class Grants {
  readonly sizeBytes: number;
  current: Grant;
  private renewal: Promise<void> | undefined;

  constructor(access: AccessUrl, private readonly renew: () => Promise<AccessUrl>) {
    this.sizeBytes = access.sizeBytes;
    // The first URL counts as one that worked: it may have expired between its grant and this activity's first request.
    this.current = { url: access.url, etag: undefined, worked: true };
  }

  /** Puts a new grant in place of `refused`, unless another request did so already. One renewal serves all that wait. Throws CLOUD_ACCESS_EXPIRED. */
  async renewAfter(refused: Grant, response: DataResponse, doing: string): Promise<void> {
    if (this.current !== refused) return;
    if (!refused.worked) {
      const serviceCode = serviceCodeOf(response);
      throw new HoldfastError('CLOUD_ACCESS_EXPIRED', `The disk service refused a renewed access URL (${String(response.status)} ${serviceCode}) when ${doing}`, { data: { httpStatus: response.status, serviceCode } });
    }
    this.renewal ??= this.renewed(refused).then((grant) => {
      // Set before the renewal is forgotten, so that no late refusal of the old URL starts a second one.
      this.current = grant;
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
