import { showBytes, showRate, showSeconds } from './sizes';

/** Redrawing more often is only flicker. */
const REDRAW_MS = 200;

export interface Progress {
  /** Adds work that is done: its share of the total, and the bytes that went by for the rate. */
  advance(units: number, bytes: number): void;
  /** Changes the label and, when it became known only now, the total. */
  describe(label: string, totalUnits?: number): void;
  /** Takes the line away, so that what comes next starts on a clean one. */
  end(): void;
}

/**
 * One line on stderr, redrawn: what, how far, how fast, how long still. Only on a terminal and not with --quiet; scripts
 * and logs get nothing. `totalUnits` of 0 means that the total is not known, so there is no share and no time left.
 */
export function startProgress(label: string, totalUnits: number, quiet: boolean): Progress {
  const stream = process.stderr;
  if (quiet || !stream.isTTY) return { advance: () => undefined, describe: () => undefined, end: () => undefined };
  const startedMs = Date.now();
  let shownMs = 0;
  let [what, total, units, bytes] = [label, totalUnits, 0, 0];
  const draw = (): void => {
    const nowMs = Date.now();
    if (nowMs - shownMs < REDRAW_MS) return;
    shownMs = nowMs;
    const seconds = (nowMs - startedMs) / 1000;
    const share = total > 0 ? Math.min(1, units / total) : 0;
    const parts = [`${what}:`, ...(total > 0 ? [`${Math.floor(share * 100)} %`] : []), showBytes(bytes), showRate(bytes, seconds)];
    if (share > 0 && share < 1) parts.push(`${showSeconds(seconds / share - seconds)} left`);
    stream.write(`\r\x1b[K${parts.join('  ').slice(0, Math.max(20, (stream.columns ?? 80) - 1))}`);
  };
  draw();
  return {
    advance(moreUnits, moreBytes) {
      units += moreUnits;
      bytes += moreBytes;
      draw();
    },
    describe(newLabel, newTotal) {
      what = newLabel;
      total = newTotal ?? total;
      draw();
    },
    end: () => void stream.write('\r\x1b[K'),
  };
}
