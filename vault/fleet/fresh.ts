import { performance } from 'node:perf_hooks';

/** How old an answer may be, in milliseconds. */
export interface Freshness {
  /** Older than this it is loaded anew behind the scenes, and still handed out. */
  readonly softMs: number;
  /** Older than this it is not handed out: whoever asks waits for a new one. 0: every answer is of after the question. */
  readonly hardMs: number;
}

/** Loads take at most an eighth of the time: a vault that takes long to list is listed less often, and what is known of it may be older. */
const PAUSE_PER_LOAD = 7;

/**
 * A value that costs something to load, kept for a while. One load runs at a time, whoever asks. A load that fails leaves the value as it was until that is too old; then its failure is
 * thrown to everybody who asks, since a value of unknown age is none. `invalidate` says that something is known to have changed: nobody is handed what began to load before.
 */
export class Fresh<T> {
  #kept: { readonly value: T; readonly startedMs: number; readonly change: number } | undefined;
  #loading: Promise<void> | undefined;
  #change = 0;
  #lastLoadMs = 0;

  constructor(
    private readonly load: () => Promise<T>, private readonly freshness: Freshness, private readonly onLate: (error: unknown) => void, private readonly clock: () => number = () => performance.now(),
  ) {}

  /** Throws what `load` throws. */
  async get(): Promise<T> {
    const askedMs = this.clock();
    for (;;) {
      const kept = this.#kept;
      const { softMs, hardMs } = this.#limits();
      if (kept && kept.change === this.#change && kept.startedMs >= askedMs - hardMs) {
        if (kept.startedMs < askedMs - softMs) this.#begin().catch(this.onLate);
        return kept.value;
      }
      await this.#begin();
    }
  }

  invalidate(): void {
    this.#change++;
  }

  #limits(): Freshness {
    const { softMs, hardMs } = this.freshness;
    const pauseMs = hardMs === 0 ? 0 : this.#lastLoadMs * PAUSE_PER_LOAD;
    return { softMs: Math.max(softMs, pauseMs), hardMs: Math.max(hardMs, 2 * pauseMs) };
  }

  #begin(): Promise<void> {
    this.#loading ??= this.#run().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #run(): Promise<void> {
    const [startedMs, change] = [this.clock(), this.#change];
    const value = await this.load();
    this.#lastLoadMs = this.clock() - startedMs;
    this.#kept = { value, startedMs, change };
  }
}
