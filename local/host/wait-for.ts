/** Waiting for an instance by condition: never by sleeping and looking again. */
import type { HoldfastError } from '../../errors/holdfast-error';
import type { InstanceStatus } from './status-json';

export interface WaitOptions {
  /**
   * 'completed' (the default) fails at once when the instance fails or is terminated; 'finished' takes any end; a function
   * says itself.
   */
  readonly until?: 'completed' | 'finished' | ((status: InstanceStatus) => boolean);
  /** Real time after which the wait fails, in ms. */
  readonly timeoutMs?: number;
}

interface Surroundings {
  readonly status: () => InstanceStatus | undefined;
  readonly settle: () => Promise<void>;
  /** Moves virtual time; undefined when the clock is real, false when nothing will ever come. */
  readonly leap: () => boolean | undefined;
  readonly onChange: (listener: () => void) => () => void;
  readonly failure: (message: string) => HoldfastError;
}

const ends: readonly string[] = ['Completed', 'Failed', 'Terminated'];
const defaultTimeoutMs = 60_000;

export async function waitForInstance(instanceId: string, options: WaitOptions, around: Surroundings): Promise<InstanceStatus> {
  const until = options.until ?? 'completed';
  const look = (): InstanceStatus | undefined => {
    const status = around.status();
    if (!status) return undefined;
    const ended = ends.includes(status.runtimeStatus);
    const wanted = typeof until === 'function' ? until(status) : until === 'finished' ? ended : status.runtimeStatus === 'Completed';
    if (wanted) return status;
    if (ended) throw around.failure(`Instance ${instanceId} ended as ${status.runtimeStatus}: ${JSON.stringify(status.output)}`);
    return undefined;
  };
  const deadlineMs = Date.now() + (options.timeoutMs ?? defaultTimeoutMs);
  for (;;) {
    const found = look();
    if (found) return found;
    const leftMs = deadlineMs - Date.now();
    if (leftMs <= 0) throw around.failure(`Instance ${instanceId} was not as wanted after ${String(options.timeoutMs ?? defaultTimeoutMs)} ms: ${JSON.stringify(around.status())}`);
    await changed(around, leftMs, instanceId, look);
  }
}

async function changed(around: Surroundings, leftMs: number, instanceId: string, look: () => InstanceStatus | undefined): Promise<void> {
  let stop: () => void = () => undefined;
  const change = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, leftMs);
    const unsubscribe = around.onChange(() => resolve());
    stop = () => {
      clearTimeout(timer);
      unsubscribe();
    };
  });
  try {
    // Something may have happened between the last look and the subscription.
    if (look()) return;
    const virtual = await Promise.race([change.then(() => undefined), around.settle().then(() => around)]);
    if (!virtual || look()) return;
    const leapt = around.leap();
    if (leapt === undefined) await change;
    else if (!leapt) throw around.failure(`Instance ${instanceId} waits for something that will never come: ${JSON.stringify(around.status() ?? 'no such instance')}`);
  } finally {
    stop();
  }
}
