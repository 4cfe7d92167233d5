import { HoldfastError } from '../errors/holdfast-error';

/** Callers that are remembered; whoever called longest ago is forgotten first, and begins anew. */
const MAX_CALLERS = 10_000;

interface Bucket { left: number; atMs: number }

/**
 * What each caller may still ask: a bucket that holds a minute's share and fills up again evenly. It is kept in memory, so each instance of the app counts for itself: with many instances the limit is as many
 * times higher. It is there against a loop that runs wild and a stolen session, not to the last request.
 */
export class RequestLimits {
  readonly #buckets = new Map<string, Bucket>();

  constructor(private readonly perMinute: number, private readonly nowMs: () => number) {}

  /** Takes `cost` from the caller's share, or throws REQUEST_LIMIT with the seconds until there is enough. */
  take(callerId: string, callerName: string, cost: number): void {
    const nowMs = this.nowMs();
    const bucket = this.#buckets.get(callerId) ?? { left: this.perMinute, atMs: nowMs };
    const elapsedMs = Math.max(0, nowMs - bucket.atMs);
    const left = Math.min(this.perMinute, bucket.left + (elapsedMs * this.perMinute) / 60_000);
    const enough = left >= cost;
    // Taken out and put in again: the order of a map is that of its insertions.
    this.#buckets.delete(callerId);
    this.#buckets.set(callerId, { left: enough ? left - cost : left, atMs: nowMs });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > MAX_CALLERS && oldest !== undefined) this.#buckets.delete(oldest);
    if (enough) return;
    const retryAfterSeconds = Math.max(1, Math.ceil(((cost - left) * 60) / this.perMinute));
    throw new HoldfastError('REQUEST_LIMIT', `${callerName.slice(0, 120)} asked more than ${this.perMinute} times in a minute (a change counts as 10)`, { data: { retryAfterSeconds, requestsPerMinute: this.perMinute } });
  }
}
