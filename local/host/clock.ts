/**
 * Time as the host sees it. Everything in the host that waits, waits through a Clock, so that a test can live through a
 * month in a second.
 */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  /** Calls `fire` once at or after `atMs`; the returned function cancels it. */
  setTimer(atMs: number, fire: () => void): () => void;
}

/** Node's timers overflow above 2^31-1 ms; longer waits are cut into pieces of a day. */
const longestTimeoutMs = 86_400_000;

export const realClock: Clock = {
  now: () => Date.now(),
  setTimer(atMs, fire) {
    let handle: NodeJS.Timeout;
    const arm = (): void => {
      handle = setTimeout(look, Math.min(Math.max(0, atMs - Date.now()), longestTimeoutMs));
    };
    // A timeout may come a millisecond early, and nobody may be woken before the time.
    const look = (): void => (Date.now() >= atMs ? fire() : arm());
    arm();
    return () => clearTimeout(handle);
  },
};

interface VirtualTimer {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/**
 * A clock that stands still until it is told to leap. The host leaps it only when nothing is running; work that sleeps
 * through `sleep` counts as waiting, not as running.
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  #order = 0;
  #sleeping = 0;
  readonly #timers = new Set<VirtualTimer>();
  /** Called when a caller falls asleep: the host may be at rest now. */
  onSleep: (() => void) | undefined;

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  setTimer(atMs: number, fire: () => void): () => void {
    const timer: VirtualTimer = { atMs, order: this.#order++, fire };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** For work under test that has to wait: resolves when virtual time has moved on by `ms`. */
  sleep(ms: number): Promise<void> {
    this.#sleeping++;
    this.onSleep?.();
    return new Promise((resolve) => {
      this.setTimer(this.#nowMs + ms, () => {
        this.#sleeping--;
        resolve();
      });
    });
  }

  /** How many callers are inside `sleep`. */
  get sleeping(): number {
    return this.#sleeping;
  }

  /** When the next timer is due, in ms; undefined when there is none. */
  nextTimerAt(): number | undefined {
    return this.#next()?.atMs;
  }

  /**
   * Moves to the earliest timer that is due by `toMs` and fires all of that instant together. False when none is due; the
   * time is `toMs` then. Time never goes back.
   */
  leapTo(toMs: number): boolean {
    const next = this.#next();
    if (!next || next.atMs > toMs) {
      this.#nowMs = Math.max(this.#nowMs, toMs);
      return false;
    }
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    const together = [...this.#timers].filter(({ atMs }) => atMs === next.atMs).sort((left, right) => left.order - right.order);
    for (const timer of together) if (this.#timers.delete(timer)) timer.fire();
    return true;
  }

  #next(): VirtualTimer | undefined {
    let best: VirtualTimer | undefined;
    for (const timer of this.#timers) {
      if (!best || timer.atMs < best.atMs || (timer.atMs === best.atMs && timer.order < best.order)) best = timer;
    }
    return best;
  }
}
