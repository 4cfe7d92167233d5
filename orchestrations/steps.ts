import type { OrchestrationContext, Task } from 'durable-functions';
import { RetryOptions } from 'durable-functions';
import { type Outcome, reportOfFailedTask } from '../activities/outcome';
import type { ErrorReport } from '../errors/holdfast-error';

/** Everything that runs as an orchestration yields tasks and gets their values back untyped. */
export type Steps<T> = Generator<Task, T, unknown>;

const FIRST_RETRY_MS = 5_000;
const MAX_ATTEMPTS = 5;

function retries(): RetryOptions {
  const options = new RetryOptions(FIRST_RETRY_MS, MAX_ATTEMPTS);
  options.backoffCoefficient = 2;
  return options;
}

/** Calls an activity, repeating it while it throws (only transients and bugs do), and brings back its outcome. Never throws. */
export function* step<T>(context: OrchestrationContext, name: string, input: object): Steps<Outcome<T>> {
  try {
    return (yield activityTask(context, name, input)) as Outcome<T>;
  } catch (error) {
    return { ok: false, error: reportOfFailedTask(error) };
  }
}

export const activityTask = (context: OrchestrationContext, name: string, input: object): Task => context.df.callActivityWithRetry(name, retries(), input);

/** Waits in durable time. The clock is copied: the context's is shared and mutable. */
export function* wait(context: OrchestrationContext, ms: number): Steps<void> {
  yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + ms));
}

/**
 * Runs tasks, at most `limit` at once, and gives their outcomes in the order of `starts`. After the first failure nothing new is
 * started, but what is under way is waited for: Task.all would lose the siblings' results.
 */
export function* boundedAll<T>(starts: readonly (() => Task)[], limit: number, any: (tasks: Task[]) => Task, onProgress?: () => void): Steps<Outcome<T>[]> {
  const outcomes: (Outcome<T> | undefined)[] = starts.map(() => undefined);
  const pending = new Map<Task, number>();
  let next = 0;
  let failed = false;
  while (pending.size > 0 || (next < starts.length && !failed)) {
    while (pending.size < limit && next < starts.length && !failed) {
      pending.set((starts[next] as () => Task)(), next);
      next++;
    }
    // A task that completed in the same episode would never wake a new Task.any.
    const done = [...pending.keys()].find((task) => task.isCompleted) ?? (yield any([...pending.keys()])) as Task;
    const index = pending.get(done) as number;
    pending.delete(done);
    const outcome: Outcome<T> = done.isFaulted ? { ok: false, error: reportOfFailedTask(done.result) } : done.result as Outcome<T>;
    outcomes[index] = outcome;
    failed ||= !outcome.ok;
    onProgress?.();
  }
  return outcomes.map((outcome) => outcome ?? { ok: false, error: NOT_STARTED });
}

const NOT_STARTED: ErrorReport = { code: 'CANCELLED', message: 'It was not started, because something before it failed', remedy: '', data: {} };

/** The failure that explains the others: the first that is no consequence. */
export const firstFailure = <T>(outcomes: readonly Outcome<T>[]): ErrorReport | undefined =>
  outcomes.map((outcome) => (outcome.ok ? undefined : outcome.error)).find((error) => error !== undefined && error !== NOT_STARTED);
