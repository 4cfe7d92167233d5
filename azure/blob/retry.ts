import { type BlobFailure, blobError, failureOf } from './blob-errors';

export interface RetryPolicy {
  /** Tries in all, the first included. */
  readonly tries: number;
  /** The wait before the second try is at most this; it doubles from there. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** The longest wait that the service may ask for. */
  readonly maxRetryAfterMs: number;
  readonly sleep: (ms: number) => Promise<void>;
  /** From 0 to 1, so that many workers that were refused together do not come back together. */
  readonly random: () => number;
  readonly clock: () => number;
}

/** Together at most about a minute, without what the service asks for: the activity that runs this is retried by its orchestration. */
export const defaultRetryPolicy: RetryPolicy = {
  tries: 7,
  firstDelayMs: 500,
  maxDelayMs: 20_000,
  maxRetryAfterMs: 60_000,
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  random: Math.random,
  clock: Date.now,
};

/**
 * Runs `attempt` until it answers, gives up for a reason that no retry mends, or has had its tries; then throws what
 * the last failure means. `attempt` hears how many tries came before: their outcomes are unknown, not failed.
 */
export async function retrying<T>(policy: RetryPolicy, action: string, description: string, attempt: (triesBefore: number) => Promise<T>): Promise<T> {
  for (let triesBefore = 0; ; triesBefore += 1) {
    let failure: BlobFailure;
    try {
      return await attempt(triesBefore);
    } catch (error) {
      failure = failureOf(error, policy.clock());
    }
    if (!failure.isTransient || triesBefore + 1 >= policy.tries) throw blobError(failure, action, description);
    await policy.sleep(delayMs(policy, failure, triesBefore));
  }
}

/** At least what the service asked for; otherwise between half of a doubling delay and all of it. */
function delayMs(policy: RetryPolicy, failure: BlobFailure, triesBefore: number): number {
  const ceilingMs = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** triesBefore);
  const jitteredMs = ceilingMs * (0.5 + policy.random() / 2);
  return Math.max(jitteredMs, Math.min(failure.retryAfterMs ?? 0, policy.maxRetryAfterMs));
}
