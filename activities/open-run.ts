import { z } from 'zod';
import { createDocument } from '../vault/documents';
import { openRun } from '../vault/run';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import { loadPolicy } from './policy-store';
import type { OpenRunInput, OpenRunResult } from './types';

const DEFAULT_RUN_HOURS = 24;

export const itemSchema = z.object({ version: z.literal(1), itemId: z.string(), kind: z.enum(['azure-vm', 'image']), name: z.string(), resourceId: z.string().nullable(), firstSeenAt: z.string() });
export type ItemDocument = z.infer<typeof itemSchema>;
export const itemName = (itemId: string): string => `items/${itemId}`;

/**
 * Step 1 of a backup: takes the item's next sequence number, and records who the item is when it is new. `isOwnerGone` tells whether a
 * backup certainly runs no more: when the vault was lost in the middle of one, not even its end could be written down, and without a look
 * at its owner the item would stay without backups until that run's time is over.
 */
export const createOpenRun = (deps: ActivityDeps, isOwnerGone: (owner: string) => Promise<boolean>) => activity(async (input: OpenRunInput): Promise<OpenRunResult> => {
  const vault = await deps.vault();
  const nowMs = deps.nowMs();
  const hours = input.policy === null ? DEFAULT_RUN_HOURS : (await loadPolicy(vault.store, input.policy))?.document.maxRunHours ?? DEFAULT_RUN_HOURS;
  const run = await openRun(vault, {
    itemId: input.itemId, stamp: input.stamp, slot: input.slot, owner: input.owner, policy: input.policy, nowMs, maxRunMs: hours * 3_600_000, isOwnerGone,
  });
  const item: ItemDocument = {
    version: 1, itemId: input.itemId, kind: 'azure-vm', name: input.vmId.slice(input.vmId.lastIndexOf('/') + 1), resourceId: input.vmId, firstSeenAt: new Date(nowMs).toISOString(),
  };
  await createDocument(vault, itemName(input.itemId), item);
  return { sequence: run.sequence };
});
