import { HoldfastError } from '../errors/holdfast-error';

const WINDOW_MS = 10 * 60_000;
const MOST_OF_ONE = 20;
const MOST_OF_ALL = 500;

/**
 * Counts refusals in windows of ten minutes, for each caller and action and in all. What is counted beyond the limit is not recorded: a caller who is refused on and on costs a few records and then nothing but
 * answers. Of this process alone: several instances of the app each have their own.
 */
export class RefusalLimit {
  private windowStartMs = 0;
  private all = 0;
  private readonly of = new Map<string, number>();

  /** Throws TOO_MANY_REFUSALS once the limit of the key is reached. */
  demand(key: string, action: string, nowMs: number): void {
    this.turn(nowMs);
    if (!this.isFull(key)) return;
    const retryAfterMs = this.windowStartMs + WINDOW_MS - nowMs;
    throw new HoldfastError('TOO_MANY_REFUSALS', `"${action.slice(0, 80)}" was refused ${MOST_OF_ONE} times within ${WINDOW_MS / 60_000} minutes`, { data: { retryAfterMs } });
  }

  /** Counts a refusal; false when it is beyond the limit. */
  count(key: string, nowMs: number): boolean {
    this.turn(nowMs);
    if (this.isFull(key)) return false;
    this.all++;
    this.of.set(key, (this.of.get(key) ?? 0) + 1);
    return true;
  }

  private isFull(key: string): boolean {
    return (this.of.get(key) ?? 0) >= MOST_OF_ONE || this.all >= MOST_OF_ALL;
  }

  private turn(nowMs: number): void {
    if (nowMs - this.windowStartMs < WINDOW_MS && nowMs >= this.windowStartMs) return;
    this.windowStartMs = nowMs;
    this.all = 0;
    this.of.clear();
  }
}
