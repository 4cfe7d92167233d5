import type { BucketLimit, StandInLimits } from './limits';
import { ArmError } from './wire';

interface Bucket {
  readonly limit: BucketLimit;
  tokens: number;
  filledAtMs: number;
}

type BucketName = 'reads' | 'writes' | 'deletes';

/** Token buckets as Resource Manager has them: what is left travels in a header, and an empty one answers 429. */
export class ArmThrottle {
  private readonly buckets: Partial<Record<BucketName, Bucket>>;

  constructor(limits: StandInLimits['arm'], private readonly now: () => number) {
    const bucket = (limit: BucketLimit): Bucket => ({ limit, tokens: limit.capacity, filledAtMs: now() });
    this.buckets = limits === null ? {} : { reads: bucket(limits.reads), writes: bucket(limits.writes), deletes: bucket(limits.deletes) };
  }

  /** The header that says what is left. Throws the ArmError 429 with Retry-After when nothing is. */
  spend(method: string): Record<string, string> {
    const name: BucketName = method === 'DELETE' ? 'deletes' : method === 'GET' || method === 'HEAD' ? 'reads' : 'writes';
    const headerName = `x-ms-ratelimit-remaining-subscription-${name}`;
    const bucket = this.buckets[name];
    if (bucket === undefined) return { [headerName]: '11999' };
    const nowMs = this.now();
    bucket.tokens = Math.min(bucket.limit.capacity, bucket.tokens + ((nowMs - bucket.filledAtMs) / 1000) * bucket.limit.refillPerSecond);
    bucket.filledAtMs = nowMs;
    if (bucket.tokens < 1) {
      throw new ArmError(429, 'SubscriptionRequestsThrottled', `Number of ${name} requests for the subscription exceeded the limit. Please try again after some time.`, {
        'retry-after': String(Math.max(1, Math.ceil((1 - bucket.tokens) / bucket.limit.refillPerSecond))), [headerName]: '0',
      });
    }
    bucket.tokens -= 1;
    return { [headerName]: String(Math.floor(bucket.tokens)) };
  }
}
