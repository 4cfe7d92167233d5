/** How often and how patiently a request is tried again: one policy for the control plane and for the data plane. */
export interface Patience {
  /** Attempts in all, the first one included. */
  readonly attempts: number;
  readonly baseMs: number;
  readonly capMs: number;
  /** A service that asks for a longer pause is not waited for: the caller has better means than a sleeping step. */
  readonly longestPauseMs: number;
}

/** The clock and the dice of waiting, injected so that no test waits. */
export interface Waiting {
  wait(delayMs: number): Promise<void>;
  /** Uniform in [0, 1). */
  random(): number;
  /** Milliseconds since the epoch, for Retry-After given as a date. */
  now(): number;
}

export const realWaiting: Waiting = {
  wait: (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs)),
  random: Math.random,
  now: Date.now,
};

/**
 * The pause that a Retry-After header asks for, in milliseconds; undefined when there is none or it makes no sense.
 * Seconds or an HTTP date (RFC 9110, section 10.2.3).
 */
export function retryAfterMs(header: string | undefined | null, nowMs: number): number | undefined {
  if (header === undefined || header === null || header.trim() === '') return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header.trim()) * 1000;
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}

/**
 * The pause before attempt number `attempt` + 1 (attempts count from 1): exponential with half of it left to chance, so
 * that many workers do not return together, and never less than what the service asked for.
 */
export function pauseMs(patience: Patience, attempt: number, askedMs: number | undefined, random: () => number): number {
  const ceilingMs = Math.min(patience.capMs, patience.baseMs * 2 ** (attempt - 1));
  const jitteredMs = ceilingMs / 2 + (ceilingMs / 2) * random();
  return Math.round(askedMs === undefined ? jitteredMs : askedMs + jitteredMs * 0.1);
}
