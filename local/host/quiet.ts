/** Tells when the host has come to rest, so that a test can go on, or virtual time leap, without sleeping or polling. */
import { VirtualClock, type Clock } from './clock';

export class Quiet {
  readonly #waiters = new Set<() => void>();
  readonly #changes = new Set<() => void>();
  #scheduled = false;

  /** @param load how much runs, and whether anything is ready to run */
  constructor(private readonly clock: Clock, private readonly load: () => { live: number; ready: boolean }) {
    if (clock instanceof VirtualClock) clock.onSleep = () => this.check();
  }

  get idle(): boolean {
    const { live, ready } = this.load();
    const asleep = this.clock instanceof VirtualClock ? this.clock.sleeping : 0;
    return !ready && live <= asleep;
  }

  /** Looks again, after the current turn: to be called whenever something began or ended. */
  check(): void {
    if (this.#scheduled || (this.#waiters.size === 0 && this.#changes.size === 0)) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const resolve of [...this.#changes]) resolve();
      this.#changes.clear();
      if (!this.idle) return;
      for (const resolve of [...this.#waiters]) resolve();
      this.#waiters.clear();
    });
  }

  /** Resolves at rest, or after `timeoutMs` of real time. */
  async untilIdle(timeoutMs?: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#waiters.add(resolve);
      if (timeoutMs !== undefined) timer = setTimeout(resolve, timeoutMs);
      this.check();
    });
    clearTimeout(timer);
  }

  /** Resolves when anything begins or ends. */
  nextChange(): Promise<void> {
    return new Promise((resolve) => this.#changes.add(resolve));
  }
}
