import { type ErrorReport, HoldfastError } from '../errors/holdfast-error';
import { openRun, runDeadlineMs, runEnd } from '../vault/run';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import { loadPolicy } from './policy-store';
import type { OpenRunInput, OpenRunResult } from './types';

const DEFAULT_RUN_HOURS = 24;

/**
 * Step 1 of a backup: takes the item's next sequence number. `isOwnerGone` tells whether a
 * backup certainly runs no more: when the vault was lost in the middle of one, not even its end could be written down, and without a look
 * at its owner the item would stay without backups until that run's time is over.
 */
export const createOpenRun = (deps: ActivityDeps, isOwnerGone: (owner: string) => Promise<boolean>) => activity(async (input: OpenRunInput): Promise<OpenRunResult> => {
  const vault = await deps.vault();
  const nowMs = deps.nowMs();
  const hours = input.policy === null ? DEFAULT_RUN_HOURS : (await loadPolicy(vault.store, input.policy))?.document.maxRunHours ?? DEFAULT_RUN_HOURS;
  const run = await openRun(vault, {
    itemId: input.itemId, stamp: input.stamp, slot: input.slot, owner: input.owner, app: deps.appName, policy: input.policy, nowMs, maxRunMs: hours * 3_600_000, isOwnerGone,
  });
  const end = await runEnd(vault, run);
  const opened = { sequence: run.sequence, deadlineMs: await runDeadlineMs(vault, run) };
  if (!end) return { ...opened, ended: null };
  const given = new HoldfastError('RUN_ABANDONED', `Run ${run.sequence} of ${input.itemId} was given up`).toJSON();
  return { ...opened, ended: { error: end.outcome === 'committed' ? null : (end.error as ErrorReport | null) ?? given } };
});
