import { recordItem } from '../vault/items';
import { openRun } from '../vault/run';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import { loadPolicy } from './policy-store';
import type { OpenRunInput, OpenRunResult } from './types';

const DEFAULT_RUN_HOURS = 24;

/** Step 1 of a backup: takes the item's next sequence number, and records who the item is when it is new. */
export const createOpenRun = (deps: ActivityDeps) => activity(async (input: OpenRunInput): Promise<OpenRunResult> => {
  const vault = await deps.vault();
  const nowMs = deps.nowMs();
  const hours = input.policy === null ? DEFAULT_RUN_HOURS : (await loadPolicy(vault.store, input.policy))?.document.maxRunHours ?? DEFAULT_RUN_HOURS;
  const run = await openRun(vault, {
    itemId: input.itemId, stamp: input.stamp, slot: input.slot, owner: input.owner, policy: input.policy, nowMs, maxRunMs: hours * 3_600_000,
  });
  const name = input.vmId.slice(input.vmId.lastIndexOf('/') + 1);
  await recordItem(vault, { itemId: input.itemId, kind: 'azure-vm', name, resourceId: input.vmId }, nowMs);
  return { sequence: run.sequence };
});
