import { setTimeout as sleep } from 'node:timers/promises';
import type { BlockSource } from './block-source';

/** Time as the limit sees it; a test brings its own. */
export interface Pace {
  nowMs(): number;
  sleep(ms: number): Promise<void>;
}

const realPace: Pace = { nowMs: () => performance.now(), sleep: (ms) => sleep(ms) };

/**
 * A source that gives at most so many bytes a second on average. A read waits until what was read before has had its time; a pause in reading
 * saves up nothing beyond one second, so that a limit is never overrun by more than that.
 */
export function throttledSource(source: BlockSource, bytesPerSecond: number, pace: Pace = realPace): BlockSource {
  let freeAtMs = pace.nowMs();
  return {
    sizeBytes: source.sizeBytes,
    async readInto(buffer, offsetBytes) {
      const nowMs = pace.nowMs();
      const startMs = Math.max(freeAtMs, nowMs - 1000);
      freeAtMs = startMs + (buffer.length / bytesPerSecond) * 1000;
      if (startMs > nowMs) await pace.sleep(startMs - nowMs);
      await source.readInto(buffer, offsetBytes);
    },
    verifyUnchanged: () => source.verifyUnchanged(),
    close: () => source.close(),
  };
}
