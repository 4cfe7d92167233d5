import type { OrchestrationContext, Task } from 'durable-functions';
import { RetryOptions } from 'durable-functions';
import { isTransient, type Outcome, reportOfFailedTask } from '../activities/outcome';
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
  return yield* outcomeOf<T>(activityTask(context, name, input));
}

/** Calls an activity once: for loops that call it again themselves, in their own time. Never throws. */
export function* once<T>(context: OrchestrationContext, name: string, input: object): Steps<Outcome<T>> {
  return yield* outcomeOf<T>(context.df.callActivity(name, input));
}

export interface Patience { readonly firstMs: number; readonly mostMs: number; readonly limitMs: number }

/**
 * Calls an activity until it answers, or fails for good, or `limitMs` of durable time are over: for what must be done however long an
 * outage takes. The pauses double, so the history stays short. The last outcome.
 */
export function* persist<T>(context: OrchestrationContext, name: string, input: object, patience: Patience, isDone: (value: T) => boolean = () => true): Steps<Outcome<T>> {
  let waitedMs = 0;
  for (let pauseMs = patience.firstMs; ; pauseMs = Math.min(pauseMs * 2, patience.mostMs)) {
    const outcome = yield* once<T>(context, name, input);
    if (outcome.ok ? isDone(outcome.value) : !isTransient(outcome.error)) return outcome;
    if (waitedMs >= patience.limitMs) return outcome;
    yield* wait(context, pauseMs);
    waitedMs += pauseMs;
  }
}

export const activityTask = (context: OrchestrationContext, name: string, input: object): Task => context.df.callActivityWithRetry(name, retries(), input);

/** Waits in durable time. The clock is copied: the context's is shared and mutable. */
export function* wait(context: OrchestrationContext, ms: number): Steps<void> {
  yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + ms));
}

/**
 * Runs tasks in batches of `limit` and gives their outcomes in the order of `starts`. After a failure no further batch is started.
 * A batch is scheduled by one Task.any of new tasks only, and then every task is waited for by itself: a pending task in a second Task.any
 * would be scheduled again (durable-functions 3.5.0), and Task.all fails at the first error and loses the siblings' results.
 */
export function* batches<T>(context: OrchestrationContext, starts: readonly (() => Task)[], limit: number, onProgress?: () => void): Steps<Outcome<T>[]> {
  const outcomes: Outcome<T>[] = [];
  for (let next = 0; next < starts.length; next += limit) {
    const tasks = starts.slice(next, next + limit).map((start) => start());
    yield context.df.Task.any(tasks);
    for (const task of tasks) {
      outcomes.push(yield* outcomeOf<T>(task));
      onProgress?.();
    }
    if (outcomes.some(({ ok }) => !ok)) break;
  }
  return outcomes;
}

/** What a task, already scheduled or not, came to. Never throws. */
export function* outcomeOf<T>(task: Task): Steps<Outcome<T>> {
  try {
    return (yield task) as Outcome<T>;
  } catch (error) {
    return { ok: false, error: reportOfFailedTask(error) };
  }
}

/** The first failure, which explains the others. */
export const firstFailure = <T>(outcomes: readonly Outcome<T>[]): ErrorReport | undefined => {
  const failed = outcomes.find((outcome) => !outcome.ok);
  return failed?.ok === false ? failed.error : undefined;
};
