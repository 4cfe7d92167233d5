import type { OrchestrationContext, Task } from 'durable-functions';
import type { SelectItemsResult } from '../activities/types';
import type { ErrorReport } from '../errors/holdfast-error';
import type { BackupVmInput, BackupVmResult } from './backup-vm';
import { ACTIVITIES, backupInstanceId, ORCHESTRATIONS } from './names';
import { step, type Steps } from './steps';

export interface RunPolicyInput {
  readonly policy: string;
  readonly stamp: string;
  readonly slot: string;
  /** 'new' takes only items that no run was ever opened for. */
  readonly only: 'all' | 'new';
  /** Set when it continues as new. */
  readonly resume?: { readonly after: string; readonly counts: RunPolicyCounts };
}

export interface RunPolicyCounts { readonly committed: number; readonly failed: number; readonly skipped: number }
export interface RunPolicyResult extends RunPolicyCounts { readonly error: ErrorReport | null }

/**
 * Backs up every item of a policy for one slot.
 * 1. a page of items
 * 2. a sub-orchestration for each, as many at once as the policy allows; one that fails does not concern the others
 * 3. continue as new with the next page, so that the history is bounded by the page
 */
export function* runPolicy(context: OrchestrationContext): Steps<RunPolicyResult | undefined> {
  const input = context.df.getInput() as RunPolicyInput;
  const counts = { ...(input.resume?.counts ?? { committed: 0, failed: 0, skipped: 0 }) };

  // 1
  const page = yield* step<SelectItemsResult>(context, ACTIVITIES.selectItems, { policy: input.policy, only: input.only, after: input.resume?.after ?? null });
  if (!page.ok) return { ...counts, error: page.error };

  // 2
  const { items, next, maxParallelVms } = page.value;
  const waiting = [...items];
  const pending = new Set<Task>();
  while (waiting.length > 0 || pending.size > 0) {
    while (pending.size < maxParallelVms && waiting.length > 0) {
      const { itemId, vmId } = waiting.shift() as SelectItemsResult['items'][number];
      const backup: BackupVmInput = { itemId, vmId, stamp: input.stamp, slot: input.slot, policy: input.policy };
      pending.add(context.df.callSubOrchestrator(ORCHESTRATIONS.backupVm, backup, backupInstanceId(itemId, input.stamp)));
    }
    const done = [...pending].find((task) => task.isCompleted) ?? (yield context.df.Task.any([...pending])) as Task;
    pending.delete(done);
    if (done.isFaulted) counts.failed++; else counts[(done.result as BackupVmResult).outcome]++;
    context.df.setCustomStatus({ ...counts, running: pending.size, waiting: waiting.length });
  }

  // 3
  if (next !== null) {
    context.df.continueAsNew({ policy: input.policy, stamp: input.stamp, slot: input.slot, only: input.only, resume: { after: next, counts } } satisfies RunPolicyInput);
    return undefined;
  }
  return { ...counts, error: null };
}
