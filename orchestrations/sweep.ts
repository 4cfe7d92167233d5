import type { OrchestrationContext } from 'durable-functions';
import type { Outcome } from '../activities/outcome';
import type { SweepCounts, SweepResult } from '../activities/sweep';
import type { ErrorReport } from '../errors/holdfast-error';
import { HOUSEKEEPING } from './names';
import { PhaseClock, reportJob } from './report';
import { persist, step, type Steps } from './steps';

/** Ten thousand items; tomorrow's sweep begins again from the first. */
const MAX_PAGES = 100;
const MAX_SHOWN = 100;
/** Deletions take minutes; what takes longer is found again by the next sweep. */
const DELETING = { firstMs: 10_000, mostMs: 5 * 60_000, limitMs: 30 * 60_000 };

export interface SweepJobInput { readonly dryRun: boolean }
export interface SweepJobResult extends SweepCounts {
  readonly dryRun: boolean;
  readonly shown: SweepResult['shown'];
  readonly error: ErrorReport | null;
}

/** Sweeps, and reports what that came to, unless it was a dry run. */
export function* sweep(context: OrchestrationContext): Steps<SweepJobResult> {
  const clock = new PhaseClock(context);
  const result = yield* sweepAll(context);
  const { dryRun, orphans, accessEnded, kept, unknown, failed, error } = result;
  if (!dryRun) yield* reportJob(context, clock, { kind: 'sweep', outcome: error ? 'failed' : 'succeeded', itemId: null, policy: null, error, figures: { orphans, accessEnded, kept, unknown, failed }, details: {} });
  return result;
}

/**
 * Finds and deletes what Holdfast left behind in the cloud.
 * 1. what carries the vault's tag in the subscriptions, and what restores made
 * 2. snapshots of page blobs, which are found through the vault's records alone
 */
function* sweepAll(context: OrchestrationContext): Steps<SweepJobResult> {
  const { dryRun } = context.df.getInput() as SweepJobInput;
  let total: SweepJobResult = { dryRun, orphans: 0, accessEnded: 0, kept: 0, unknown: 0, failed: 0, shown: [], error: null };
  for (const activity of [HOUSEKEEPING.sweepItems, HOUSEKEEPING.sweepBlobs]) {
    total = yield* sweepPages(context, activity, total);
    if (total.error) break;
  }
  return total;
}

/**
 * 1. a page of items: look, plan, and unless it is a dry run execute
 * 2. the same page again until its deletions are through: each time on what is there then
 */
function* sweepPages(context: OrchestrationContext, activity: string, before: SweepJobResult): Steps<SweepJobResult> {
  const { dryRun } = before;
  let total = before;
  let after: string | null = null;
  for (let page = 0; page < MAX_PAGES; page++) {
    // 1
    const first: Outcome<SweepResult> = yield* step<SweepResult>(context, activity, { dryRun, after });
    if (!first.ok) return { ...total, error: first.error };
    const value: SweepResult = first.value;
    total = {
      dryRun, orphans: total.orphans + value.orphans, accessEnded: total.accessEnded + value.accessEnded, kept: total.kept + value.kept,
      unknown: total.unknown + value.unknown, failed: total.failed + value.failed, shown: [...total.shown, ...value.shown].slice(0, MAX_SHOWN), error: null,
    };
    context.df.setCustomStatus({ ...total, shown: [] });
    // 2
    if (value.pending > 0) yield* persist<SweepResult>(context, activity, { dryRun, after }, DELETING, ({ pending }) => pending === 0);
    if (value.next === null) break;
    after = value.next;
  }
  return total;
}
