import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

const WORK_MS = 20;
const PAUSE_MS = 5;

/**
 * Lets the rest of the process have its turn while much is read: after each 20 ms of work everybody who works pauses for 5. Giving way once in between would not do: what others wait for often takes them
 * hundreds of small steps, one for each time that this gives way.
 */
export class Breath {
  #sinceMs = performance.now();
  #pause: Promise<void> | undefined;

  async take(): Promise<void> {
    if (!this.#pause && performance.now() - this.#sinceMs < WORK_MS) return;
    this.#pause ??= delay(PAUSE_MS).then(() => {
      this.#sinceMs = performance.now();
      this.#pause = undefined;
    });
    await this.#pause;
  }
}
