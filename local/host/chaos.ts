/**
 * Planned misfortune, drawn from a seed: activities that run twice, crashes at the edges of steps, results that arrive late
 * or in another order. Everything it does may also happen in Azure.
 */
export interface ChaosOptions {
  /** Every draw follows from it; it is printed with every failure. */
  readonly seed: number;
  /** Probability that an activity is executed twice; the first result counts. */
  readonly duplicateActivity?: number;
  /** Probability of a crash at each edge of a step: before and after an activity's result or an episode is committed. */
  readonly crashBeforeCommit?: number;
  /** Probability that a completion waits for a moment, so that others overtake it. */
  readonly delay?: number;
  /** Runs every activity twice, one after the other, whatever the dice say. */
  readonly runEveryActivityTwice?: boolean;
}

export type DuplicateStyle = 'none' | 'afterwards' | 'atOnce';

/** How long an overtaken completion waits, at most. */
const longestDelayMs = 2000;

export class Chaos {
  #state: number;
  readonly seed: number;
  /** What really happened, so that a test can prove that its plan was carried out. */
  readonly counts = { duplicates: 0, crashes: 0, delays: 0, shuffles: 0 };

  constructor(private readonly options: ChaosOptions) {
    this.seed = options.seed;
    this.#state = (options.seed ^ 0x9e3779b9) >>> 0;
  }

  duplicate(): DuplicateStyle {
    if (this.options.runEveryActivityTwice) {
      this.counts.duplicates++;
      return 'afterwards';
    }
    if (!this.#happens(this.options.duplicateActivity)) return 'none';
    this.counts.duplicates++;
    return this.#draw() < 0.5 ? 'afterwards' : 'atOnce';
  }

  crash(): boolean {
    const happens = this.#happens(this.options.crashBeforeCommit);
    if (happens) this.counts.crashes++;
    return happens;
  }

  delayMs(): number {
    if (!this.#happens(this.options.delay)) return 0;
    this.counts.delays++;
    return 1 + Math.floor(this.#draw() * longestDelayMs);
  }

  /** Reorders completions that arrived together. */
  shuffle<T>(items: readonly T[]): T[] {
    const shuffled = [...items];
    if (shuffled.length < 2 || this.options.delay === undefined) return shuffled;
    for (let last = shuffled.length - 1; last > 0; last--) {
      const other = Math.floor(this.#draw() * (last + 1));
      [shuffled[last], shuffled[other]] = [shuffled[other] as T, shuffled[last] as T];
    }
    this.counts.shuffles++;
    return shuffled;
  }

  #happens(probability: number | undefined): boolean {
    return probability !== undefined && probability > 0 && this.#draw() < probability;
  }

  /** Mulberry32: 32 bits of state, uniform in [0, 1). */
  #draw(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let bits = this.#state;
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296;
  }
}
