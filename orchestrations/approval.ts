import type { OrchestrationContext } from 'durable-functions';
import type { SettleApprovalResult } from '../activities/approval-settle';
import { APPROVALS } from './names';
import { persist, type Steps } from './steps';

export interface ApprovalRun {
  readonly id: string;
  /** When it expires, or is due: milliseconds since 1970. */
  readonly wakeAtMs: number;
}

/** It expires, is due, and is over: more often nothing has to be looked at. */
const MAX_LOOKS = 5;
/** Through an outage of the vault or of Azure; who asked for it looks at it a day later at the latest. */
const SETTLING = { firstMs: 5_000, mostMs: 10 * 60_000, limitMs: 24 * 3_600_000 };

/**
 * Waits until an approval expires or is due, and has it settled then. One instance begins when it is asked for, and another one when it is agreed to: whichever comes first does what is to be done, once, because
 * the vault's records decide.
 */
export function* approval(context: OrchestrationContext): Steps<SettleApprovalResult> {
  const { id, wakeAtMs } = context.df.getInput() as ApprovalRun;
  let wakeMs: number | null = wakeAtMs;
  let state = 'waiting';
  for (let look = 0; look < MAX_LOOKS && wakeMs !== null; look++) {
    if (wakeMs > context.df.currentUtcDateTime.getTime()) yield context.df.createTimer(new Date(wakeMs));
    const settled = yield* persist<SettleApprovalResult>(context, APPROVALS.settleApproval, { id }, SETTLING);
    if (!settled.ok) return { state: `failed: ${settled.error.code}`, wakeAtMs: null };
    ({ state, wakeAtMs: wakeMs } = settled.value);
  }
  return { state, wakeAtMs: wakeMs };
}
