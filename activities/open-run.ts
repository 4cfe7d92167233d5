<<<<<<< HEAD
import { recordItem } from '../vault/items';
import { openRun } from '../vault/run';
=======
import { z } from 'zod';
import { type ErrorReport, HoldfastError } from '../errors/holdfast-error';
import { createDocument } from '../vault/documents';
import { openRun, runEnd } from '../vault/run';
import type { VaultAccess } from '../vault/tree';
>>>>>>> apptest
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import { loadPolicy } from './policy-store';
import type { OpenRunInput, OpenRunResult } from './types';

const DEFAULT_RUN_HOURS = 24;

<<<<<<< HEAD
/** Step 1 of a backup: takes the item's next sequence number, and records who the item is when it is new. */
=======
export const itemSchema = z.object({ version: z.literal(1), itemId: z.string(), kind: z.enum(['azure-vm', 'image']), name: z.string(), resourceId: z.string().nullable(), firstSeenAt: z.string() });
export type ItemDocument = z.infer<typeof itemSchema>;
export const itemName = (itemId: string): string => `items/${itemId}`;

/** Records who the item is when it is new. A part of the plan, not of the opening: what fails after a run was opened has to be cleaned up. */
export async function recordItem(vault: VaultAccess, input: { readonly itemId: string; readonly vmId: string }, nowMs: number): Promise<void> {
  const item: ItemDocument = {
    version: 1, itemId: input.itemId, kind: 'azure-vm', name: input.vmId.slice(input.vmId.lastIndexOf('/') + 1), resourceId: input.vmId, firstSeenAt: new Date(nowMs).toISOString(),
  };
  await createDocument(vault, itemName(input.itemId), item);
}

/** Step 1 of a backup: takes the item's next sequence number. */
>>>>>>> apptest
export const createOpenRun = (deps: ActivityDeps) => activity(async (input: OpenRunInput): Promise<OpenRunResult> => {
  const vault = await deps.vault();
  const nowMs = deps.nowMs();
  const hours = input.policy === null ? DEFAULT_RUN_HOURS : (await loadPolicy(vault.store, input.policy))?.document.maxRunHours ?? DEFAULT_RUN_HOURS;
  const run = await openRun(vault, {
    itemId: input.itemId, stamp: input.stamp, slot: input.slot, owner: input.owner, policy: input.policy, nowMs, maxRunMs: hours * 3_600_000,
  });
<<<<<<< HEAD
  const name = input.vmId.slice(input.vmId.lastIndexOf('/') + 1);
  await recordItem(vault, { itemId: input.itemId, kind: 'azure-vm', name, resourceId: input.vmId }, nowMs);
  return { sequence: run.sequence };
=======
  const end = await runEnd(vault, run);
  if (!end) return { sequence: run.sequence, ended: null };
  const given = new HoldfastError('RUN_ABANDONED', `Run ${run.sequence} of ${input.itemId} was given up`).toJSON();
  return { sequence: run.sequence, ended: { error: end.outcome === 'committed' ? null : (end.error as ErrorReport | null) ?? given } };
>>>>>>> apptest
});
