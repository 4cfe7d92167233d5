import type { OrchestrationContext, Task } from 'durable-functions';
import type { Outcome } from '../activities/outcome';
import type { SelectItemsResult } from '../activities/types';
import type { ErrorReport } from '../errors/holdfast-error';
import type { BackupVmInput, BackupVmResult } from './backup-vm';
import { LANE_LIMIT_MS } from './limits';
import { ACTIVITIES, backupInstanceId, laneInstanceId, ORCHESTRATIONS } from './names';
import { PhaseClock, reportJob } from './report';
import { batches, persist, type Steps, within } from './steps';

/** A slot is all that its machines get until the next one: an outage at its moment is waited out. */
const SELECTING = { firstMs: 5_000, mostMs: 15 * 60_000, limitMs: 6 * 3_600_000 };

export interface RunPolicyInput {
  readonly policy: string;
  readonly stamp: string;
  readonly slot: string;
  /** 'new' takes only items that no run was ever opened for. */
  readonly only: 'all' | 'new';
  /** Set when it continues as new. */
  readonly resume?: { readonly after: string; readonly page: number; readonly counts: RunPolicyCounts; readonly error: ErrorReport | null; readonly startedAtMs?: number };
}

export interface RunPolicyCounts { readonly committed: number; readonly failed: number; readonly skipped: number }
export interface RunPolicyResult extends RunPolicyCounts { readonly error: ErrorReport | null }

/** A share of a policy's items, backed up one after another. */
export interface PolicyLaneInput extends Pick<RunPolicyInput, 'policy' | 'stamp' | 'slot'> {
  readonly items: SelectItemsResult['items'];
}

/** Backs up every item of a policy for one slot, and reports what that came to after the last page. */
export function* runPolicy(context: OrchestrationContext): Steps<RunPolicyResult | undefined> {
  const { policy, resume } = context.df.getInput() as RunPolicyInput;
  const clock = new PhaseClock(context, resume?.startedAtMs);
  const result = yield* runPages(context, clock.startedAtMs);
  if (!result) return undefined;
  const { error, ...counts } = result;
  yield* reportJob(context, clock, { kind: 'policy', outcome: error ? 'failed' : 'succeeded', itemId: null, policy, error, figures: counts, details: {} });
  return result;
}

/**
 * 1. a page of items
 * 2. as many lanes as the policy allows machines at once, each a sub-orchestration that takes its share one after another; so a large machine
 *    holds up its own lane only
 * 3. continue as new with the next page, so that the history is bounded by the page
 */
function* runPages(context: OrchestrationContext, startedAtMs: number): Steps<RunPolicyResult | undefined> {
  const input = context.df.getInput() as RunPolicyInput;
  const { policy, stamp, slot, only } = input;
  const counts = { ...(input.resume?.counts ?? NO_COUNTS) };
  const pageNumber = input.resume?.page ?? 0;
  let error = input.resume?.error ?? null;

  // 1
  const page = yield* persist<SelectItemsResult>(context, ACTIVITIES.selectItems, { policy, only, after: input.resume?.after ?? null }, SELECTING);
  if (!page.ok) return { ...counts, error: page.error };

  // 2
  const { items, next, maxParallelVms } = page.value;
  const shares = Array.from({ length: Math.min(maxParallelVms, items.length) }, (_, lane) => items.filter((_item, index) => index % maxParallelVms === lane));
  const starts = shares.map((share, lane) => (): Task =>
    context.df.callSubOrchestrator(ORCHESTRATIONS.policyLane, { policy, stamp, slot, items: share } satisfies PolicyLaneInput, laneInstanceId(context.df.instanceId, pageNumber, lane)));
  const lanes = yield* batches<RunPolicyCounts>(context, starts, maxParallelVms);
  for (const lane of lanes) {
    if (!lane.ok) {
      // A lane that broke off concerns its own items: those of the other pages are still backed up.
      error ??= lane.error;
      continue;
    }
    for (const key of ['committed', 'failed', 'skipped'] as const) counts[key] += lane.value[key];
  }

  // 3
  if (next !== null) {
    context.df.continueAsNew({ policy, stamp, slot, only, resume: { after: next, page: pageNumber + 1, counts, error, startedAtMs } } satisfies RunPolicyInput);
    return undefined;
  }
  return { ...counts, error };
}

const NO_COUNTS: RunPolicyCounts = { committed: 0, failed: 0, skipped: 0 };

/** One lane: its items one after another. One that fails does not concern the others. */
export function* policyLane(context: OrchestrationContext): Steps<Outcome<RunPolicyCounts>> {
  const { policy, stamp, slot, items } = context.df.getInput() as PolicyLaneInput;
  const counts = { ...NO_COUNTS };
  for (const { itemId, vmId } of items) {
    const backup: BackupVmInput = { itemId, vmId, stamp, slot, policy };
    const result = yield* within<BackupVmResult>(context, context.df.callSubOrchestrator(ORCHESTRATIONS.backupVm, backup, backupInstanceId(itemId, stamp, policy)), LANE_LIMIT_MS);
    // Of one that failed its own job says why; the lane goes on with the next item.
    counts[result.ok ? result.value.outcome : 'failed']++;
  }
  return { ok: true, value: counts };
}
