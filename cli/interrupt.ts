import { constants } from 'node:os';
import { HoldfastError } from '../errors/holdfast-error';

/**
 * A signal often comes twice at once: from the terminal to the whole group, and passed on by a parent. Only one that
 * comes later than this means "now".
 */
const SAME_SIGNAL_MS = 1000;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

let received: (typeof SIGNALS)[number] | undefined;
const lastMinute = new Set<() => void>();

/** 130 for Ctrl-C and so on, as shells have it, when a signal ended the command; else undefined. */
export const signalExitCode = (): number | undefined => received && 128 + constants.signals[received];

/**
 * Runs work that cleans up after itself when `signal` aborts. The first Ctrl-C or termination aborts; another one,
 * a moment later, ends the process at once.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let firstMs = 0;
  const handlers = SIGNALS.map((name) => ({
    name,
    handler: (): void => {
      const nowMs = Date.now();
      if (received === undefined) {
        received = name;
        firstMs = nowMs;
        controller.abort();
      } else if (nowMs - firstMs > SAME_SIGNAL_MS) {
        for (const clean of lastMinute) clean();
        process.exit(signalExitCode());
      }
    },
  }));
  for (const { name, handler } of handlers) process.on(name, handler);
  try {
    return await work(controller.signal);
  } finally {
    for (const { name, handler } of handlers) process.off(name, handler);
  }
}

/** Waits for `work` or for the signal, whichever is first, and throws CANCELLED for the latter: work in threads need not be waited for. */
export async function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(new HoldfastError('CANCELLED', 'It was stopped by a signal'));
    if (signal.aborted) stop(); else signal.addEventListener('abort', stop, { once: true });
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Something synchronous to do when the process is ended at once. Answers how to take it back. */
export function atLastMinute(clean: () => void): () => void {
  lastMinute.add(clean);
  return () => lastMinute.delete(clean);
}
