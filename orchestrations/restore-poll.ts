import type { OrchestrationContext } from 'durable-functions';
import type { Outcome } from '../activities/outcome';
import type { TargetStatus } from '../activities/restore-records';
import { HoldfastError } from '../errors/holdfast-error';
import { step, type Steps, wait } from './steps';

const FIRST_POLL_MS = 2_000;
/** Each pause is half as long again as the one before, so that the history stays short however long Azure takes. */
const POLL_GROWTH = 1.5;
const MAX_POLL_MS = 60_000;
/** Making a disk or a machine, and exchanging disks, takes minutes; what is not done after this never will be. */
const POLL_LIMIT_MS = 3 * 3_600_000;

/** Calls a step until it says that it is ready, in durable time. */
export function* untilReady(context: OrchestrationContext, activity: string, input: object, deadlineMs: number): Steps<Outcome<TargetStatus>> {
  const limitMs = Math.min(deadlineMs, context.df.currentUtcDateTime.getTime() + POLL_LIMIT_MS);
  for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(pollMs * POLL_GROWTH, MAX_POLL_MS)) {
    const answer = yield* step<TargetStatus>(context, activity, input, deadlineMs);
    if (!answer.ok || answer.value.state === 'ready') return answer;
    if (context.df.currentUtcDateTime.getTime() + pollMs > limitMs) return { ok: false, error: new HoldfastError('STEP_TIMEOUT', `The step ${activity} was not ready in time`, { data: { step: activity } }).toJSON() };
    yield* wait(context, pollMs);
  }
}
