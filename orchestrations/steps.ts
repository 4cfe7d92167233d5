import type { OrchestrationContext, Task, TimerTask } from 'durable-functions';
import { isBug, isTransient, type Outcome, reportOfFailedTask } from '../activities/outcome';
import { type ErrorReport, HoldfastError } from '../errors/holdfast-error';
import { STEP_RACE_MS } from './limits';

/** Everything that runs as an orchestration yields tasks and gets their values back untyped. */
export type Steps<T> = Generator<Task, T, unknown>;

const FIRST_RETRY_MS = 5_000;
const MAX_ATTEMPTS = 5;
/** A step that did not come back took most of an hour: it is tried twice, where others are tried five times. */
const TIMEOUT_WEIGHT = 3;
/** Azure may ask for a longer pause than ours; up to this it gets what it asks for. */
const MAX_ASKED_MS = 15 * 60_000;
/** Too many snapshots of a disk are open for reading: the step queues. The pauses double, so half a day of queueing is some thirty looks. */
const FIRST_QUEUE_MS = 15_000;
const MAX_QUEUE_MS = 30 * 60_000;
/** A bug is no outage: it is tried a few times, because a worker that crashed looks like one, and then the job goes on without. */
const MAX_BUG_TRIES = 5;

/** Calls an activity, repeating it as `steps` does, and brings back its outcome. Never throws. */
export function* step<T>(context: OrchestrationContext, name: string, input: object, deadlineMs?: number): Steps<Outcome<T>> {
  const [outcome] = yield* steps<T>(context, name, [input], { limit: 1, deadlineMs });
  return outcome as Outcome<T>;
}

export interface StepsOptions {
  /** How many run at once. */
  readonly limit: number;
  /** Until when a step queues for access to a snapshot; without one it does not queue. */
  readonly deadlineMs?: number | undefined;
  /** Called for each input that is done for good. */
  readonly onProgress?: () => void;
}

/**
 * Calls an activity for each input, some at once, and gives the outcomes in the order of the inputs. What failed for a reason that may be gone
 * in a minute is repeated, up to five tries with growing pauses; where too many snapshots of a disk are open, it queues in durable time until the
 * deadline (fault 19): nobody else's access is ever ended for it. After a failure for good no further inputs are begun. Never throws.
 *
 * The repeating is done here and not by the host's retry policy: the host gives numbers to its retries as they come, a cancelled timer
 * lets a replay run ahead of them, and the two together may make a replay differ from what it replays (docs/decisions/batches.md).
 */
export function* steps<T>(context: OrchestrationContext, name: string, inputs: readonly object[], options: StepsOptions): Steps<Outcome<T>[]> {
  const outcomes: Outcome<T>[] = [];
  for (let next = 0; next < inputs.length; next += options.limit) {
    const tries = new Tries(options.deadlineMs ?? 0);
    let open = inputs.slice(next, next + options.limit).map((input, index) => ({ input, at: next + index }));
    while (open.length > 0) {
      const ended = yield* raceAll<T>(context, name, open.map(({ input }) => context.df.callActivity(name, input)), STEP_RACE_MS);
      open.forEach(({ at }, index) => { outcomes[at] = ended[index] as Outcome<T>; });
      for (const { ok } of ended) if (ok) options.onProgress?.();
      open = open.filter(({ at }) => outcomes[at]?.ok === false);
      const pauseMs = open.length === 0 ? null : tries.pauseAfter(failuresOf(ended), context.df.currentUtcDateTime.getTime());
      if (pauseMs === null) break;
      yield* wait(context, pauseMs);
    }
    if (open.length > 0) break;
  }
  return outcomes;
}

/** How often a step was tried, and what that means for the next try. */
class Tries {
  private failures = 0;
  private queueMs = FIRST_QUEUE_MS;
  constructor(private readonly deadlineMs: number) {}
  /** How long to wait before the next try, or null when there is none. */
  pauseAfter(errors: readonly ErrorReport[], nowMs: number): number | null {
    if (errors.some((error) => !isTransient(error) && error.code !== 'CLOUD_ACCESS_LIMIT')) return null;
    if (errors.every(({ code }) => code === 'CLOUD_ACCESS_LIMIT')) {
      const pauseMs = this.queueMs;
      this.queueMs = Math.min(pauseMs * 2, MAX_QUEUE_MS);
      return nowMs + pauseMs < this.deadlineMs ? pauseMs : null;
    }
    this.failures += errors.some(({ code }) => code === 'STEP_TIMEOUT') ? TIMEOUT_WEIGHT : 1;
    if (this.failures >= MAX_ATTEMPTS) return null;
    const askedMs = Math.max(0, ...errors.map(({ data }) => (typeof data?.['retryAfterMs'] === 'number' ? data['retryAfterMs'] : 0)));
    return Math.max(FIRST_RETRY_MS * 2 ** (this.failures - 1), Math.min(askedMs, MAX_ASKED_MS));
  }
}

const failuresOf = (outcomes: readonly Outcome<unknown>[]): ErrorReport[] => outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.error]));

/** Calls an activity once: for loops that call it again themselves, in their own time. Never throws. */
export function* once<T>(context: OrchestrationContext, name: string, input: object): Steps<Outcome<T>> {
  const [outcome] = yield* raceAll<T>(context, name, [context.df.callActivity(name, input)], STEP_RACE_MS);
  return outcome as Outcome<T>;
}

export interface Patience { readonly firstMs: number; readonly mostMs: number; readonly limitMs: number }

/**
 * Calls an activity until it answers, or fails for good, or `limitMs` of durable time are over: for what must be done however long an
 * outage takes. The pauses double, so the history stays short. A bug gets a few tries only: it will not be gone tomorrow. The last outcome.
 */
export function* persist<T>(context: OrchestrationContext, name: string, input: object, patience: Patience, isDone: (value: T) => boolean = () => true): Steps<Outcome<T>> {
  let waitedMs = 0;
  let bugs = 0;
  for (let pauseMs = patience.firstMs; ; pauseMs = Math.min(pauseMs * 2, patience.mostMs)) {
    const outcome = yield* once<T>(context, name, input);
    if (outcome.ok ? isDone(outcome.value) : !isTransient(outcome.error)) return outcome;
    if (!outcome.ok && isBug(outcome.error) && ++bugs >= MAX_BUG_TRIES) return outcome;
    if (waitedMs >= patience.limitMs) return outcome;
    yield* wait(context, pauseMs);
    waitedMs += pauseMs;
  }
}

/** Waits in durable time. The clock is copied: the context's is shared and mutable. */
export function* wait(context: OrchestrationContext, ms: number): Steps<void> {
  yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + ms));
}

/**
 * Runs tasks in batches of `limit` and gives their outcomes in the order of `starts`. After a failure no further batch is started.
 * With `limitMs`, one that does not end within it counts as failed with STEP_TIMEOUT (fault 34).
 */
export function* batches<T>(context: OrchestrationContext, starts: readonly (() => Task)[], limit: number, onProgress?: () => void, limitMs?: number): Steps<Outcome<T>[]> {
  const outcomes: Outcome<T>[] = [];
  for (let next = 0; next < starts.length; next += limit) {
    const tasks = starts.slice(next, next + limit).map((start) => start());
    outcomes.push(...yield* raceAll<T>(context, 'of a part of the job', tasks, limitMs, onProgress));
    if (outcomes.some(({ ok }) => !ok)) break;
  }
  return outcomes;
}

/**
 * Waits for every one of some new tasks, each raced with a timer of its own where there is a limit. All are scheduled by one Task.any and then
 * waited for by themselves: a pending task in a second Task.any would be scheduled again (durable-functions 3.5.0), and Task.all fails at the
 * first error and loses the siblings' results. Every timer that is still open is cancelled: an open one keeps the instance from completing.
 */
function* raceAll<T>(context: OrchestrationContext, what: string, tasks: readonly Task[], limitMs: number | undefined, onProgress?: () => void): Steps<Outcome<T>[]> {
  const races = tasks.map((task) => race(context, task, limitMs));
  yield context.df.Task.any(races.map(({ any }) => any));
  const outcomes: Outcome<T>[] = [];
  for (const { task, timer, any } of races) {
    if (!timer) {
      outcomes.push(yield* outcomeOf<T>(task));
    } else {
      yield any;
      const isOver = task.isCompleted || task.isFaulted;
      if (isOver && !timer.isCompleted) timer.cancel();
      outcomes.push(isOver ? yield* outcomeOf<T>(task) : { ok: false, error: lost(what, limitMs ?? 0) });
    }
    onProgress?.();
  }
  return outcomes;
}

/** The value of one task whose result is no Outcome, or why there is none: it failed, or did not end within the limit. Never throws. */
export function* within<T>(context: OrchestrationContext, task: Task, limitMs: number): Steps<Outcome<T>> {
  const [outcome] = yield* raceAll<T>(context, 'of a part of the job', [task], limitMs);
  return outcome && 'ok' in outcome ? outcome : { ok: true, value: outcome as T };
}

interface Race { readonly task: Task; readonly timer: TimerTask | null; readonly any: Task }

function race(context: OrchestrationContext, task: Task, limitMs: number | undefined): Race {
  if (limitMs === undefined) return { task, timer: null, any: task };
  const timer = context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + limitMs));
  return { task, timer, any: context.df.Task.any([task, timer]) };
}

const lost = (what: string, limitMs: number): ErrorReport =>
  new HoldfastError('STEP_TIMEOUT', `The step ${what} did not come back within ${Math.round(limitMs / 60_000)} minutes`, { data: { step: what } }).toJSON();

/** What a task, already scheduled or not, came to. Never throws. */
export function* outcomeOf<T>(task: Task): Steps<Outcome<T>> {
  try {
    return (yield task) as Outcome<T>;
  } catch (error) {
    return { ok: false, error: reportOfFailedTask(error) };
  }
}

/** The first failure, which explains the others. */
export const firstFailure = <T>(outcomes: readonly Outcome<T>[]): ErrorReport | undefined => failuresOf(outcomes)[0];
