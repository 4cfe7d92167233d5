import type { OrchestrationContext } from 'durable-functions';
import type { SendNoticeInput, SendNoticeResult } from '../activities/tell';
import type { NoticeOutcome } from '../activities/notice';
import { NOTICES } from './names';
import { persist, step, type Steps, wait } from './steps';

const MINUTE_MS = 60_000;
/** Pauses between the tries: seven within 18 hours. A receiver that was away overnight is told in the morning. */
const PAUSES_MS = [5_000, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * 60 * MINUTE_MS, 5 * 60 * MINUTE_MS, 10 * 60 * MINUTE_MS];
/** A receiver may ask for a longer pause, up to this. */
const MAX_ASKED_MS = 6 * 60 * MINUTE_MS;
const CONCLUDING = { firstMs: 5_000, mostMs: 15 * MINUTE_MS, limitMs: 24 * 60 * MINUTE_MS };

export interface TellInput { readonly id: string }
/** What telling says of itself while it goes on. */
export interface TellStatus { readonly attempts: number; readonly nextAt: string | null; readonly targets: readonly TargetTold[] }
type TargetTold = NoticeOutcome['targets'][number] & { readonly open?: boolean };

/**
 * Brings an event to every target that wants it.
 * 1. a try at each target that has not got it
 * 2. a pause, and again, until every target has it, has refused it for good, or was tried often enough
 * 3. write down what became of it; what was given up is a dead letter
 */
export function* tell(context: OrchestrationContext): Steps<NoticeOutcome> {
  const { id } = context.df.getInput() as TellInput;
  const told = new Map<string, TargetTold>();
  for (let attempt = 1; ; attempt++) {
    // 1
    const settled = [...told.values()].filter(({ open }) => !open).map(({ target }) => target);
    const sent = yield* step<SendNoticeResult>(context, NOTICES.sendNotice, { id, settled } satisfies SendNoticeInput);
    // What is open and was not tried any more is no target any more.
    if (sent.ok) for (const [target, { open }] of told) if (open && !sent.value.tries.some((one) => one.target === target)) told.delete(target);
    for (const { target, outcome, status, reason, at } of sent.ok ? sent.value.tries : []) {
      told.set(target, { target, state: outcome === 'delivered' ? 'delivered' : 'dead', attempts: (told.get(target)?.attempts ?? 0) + 1, status, reason, at, ...(outcome === 'retry' ? { open: true } : {}) });
    }
    const isOver = sent.ok ? ![...told.values()].some(({ open }) => open) : sent.error.code === 'NOTIFICATION_NOT_FOUND';
    const pauseMs = PAUSES_MS[attempt - 1];
    if (isOver || pauseMs === undefined) break;
    // 2
    const askedMs = Math.max(0, ...(sent.ok ? sent.value.tries : []).map(({ retryAfterMs }) => retryAfterMs ?? 0));
    const waitMs = Math.max(pauseMs, Math.min(askedMs, MAX_ASKED_MS));
    context.df.setCustomStatus({ attempts: attempt, nextAt: new Date(context.df.currentUtcDateTime.getTime() + waitMs).toISOString(), targets: [...told.values()] } satisfies TellStatus);
    yield* wait(context, waitMs);
  }
  // 3
  const targets = [...told.values()].map(({ target, state, attempts, status, reason, at }) => ({ target, state, attempts, status, reason, at }));
  const outcome: NoticeOutcome = { version: 1, id, endedAt: new Date(context.df.currentUtcDateTime.getTime()).toISOString(), targets };
  yield* persist<null>(context, NOTICES.concludeNotice, outcome, CONCLUDING);
  return outcome;
}
