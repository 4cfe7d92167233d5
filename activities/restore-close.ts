import type { ErrorReport } from '../errors/holdfast-error';
import { createDocument, findDocument } from '../vault/format/documents';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import { assertRestoreOpen, decideRestore, type RestoreInput, restorePlanSchema, restoreRecords, restoreStepSchema } from './restore-records';
import { HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import { removePresent } from './restore-present';
import { type Leftover, undoDisk, undoMachine } from './restore-undo';

/** What a restore brought, for people. */
export interface RestoredResult {
  /** Resource ids of new disks and machines, or account/container/blob. */
  readonly made: readonly string[];
  /** Disks that were exchanged and are kept. */
  readonly oldDisks: readonly string[];
}

/** Step 5: it is restored, and can no longer be cancelled. Only when every disk was read back and finished. */
export const createCommitRestore = (deps: ActivityDeps) => activity(async (input: RestoreInput): Promise<RestoredResult> => {
  const vault = await deps.vault();
  const done = await resultOf(deps, input);
  const verdict = await findDocument(vault, restoreRecords.verdict(input), restoreStepSchema);
  if (!verdict) {
    const plan = await assertRestoreOpen(vault, input, deps.nowMs());
    for (const { disk, name } of plan.disks) {
      if (!await findDocument(vault, restoreRecords.done({ ...input, disk }), restoreStepSchema)) throw new HoldfastError('INTERNAL', `Disk ${name} was not read back to its end`);
    }
  }
  const decided = await decideRestore(vault, input, { verdict: 'restored' }, deps.nowMs());
  if (decided.verdict === 'abandoned') throw new HoldfastError('RESTORE_ABANDONED', `The restore ${input.restoreId} was given up before it was done`);
  return done;
});

async function resultOf(deps: ActivityDeps, input: RestoreInput): Promise<RestoredResult> {
  const plan = await findDocument(await deps.vault(), restoreRecords.plan(input), restorePlanSchema);
  const targets = (plan?.disks ?? []).map(({ target }) => (target.kind === 'disk' ? target.id : `${target.account}/${target.container}/${target.blob}`));
  const old = plan?.swap?.keepOldDisks ? [...(plan.swap.os ? [plan.swap.os.oldDiskId] : []), ...plan.swap.data.map(({ oldDiskId }) => oldDiskId)] : [];
  return { made: [...(plan?.vm ? [plan.vm.id] : []), ...targets], oldDisks: old };
}

export interface AbandonRestoreInput extends RestoreInput { readonly reason: ErrorReport }
export interface AbandonRestoreResult {
  /** Set when it turns out to be restored: whatever failed after that. */
  readonly restored: RestoredResult | null;
  readonly error: ErrorReport | null;
}

/** Closes a restore that failed, with its cause. When someone gave it up before (a cancel), their reason is the one that counts. */
export const createAbandonRestore = (deps: ActivityDeps) => activity(async (input: AbandonRestoreInput): Promise<AbandonRestoreResult> => {
  const decided = await decideRestore(await deps.vault(), input, { verdict: 'abandoned', reason: input.reason }, deps.nowMs());
  if (decided.verdict === 'restored') return { restored: await resultOf(deps, input), error: null };
  return { restored: null, error: decided.reason as ErrorReport };
});

/** Step 6 after a failure: everything that the restore made goes, access first (I5). Run until nothing is pending. */
export const createUndoRestore = (deps: ActivityDeps) => activity(async (input: RestoreInput): Promise<Leftover> => {
  const vault = await deps.vault();
  const plan = await findDocument(vault, restoreRecords.plan(input), restorePlanSchema);
  if (!plan) return { pending: 0, left: [] };
  const machine = await undoMachine(deps, vault, plan);
  // Disks go when nothing holds them any more.
  if (machine.pending > 0) return machine;
  const disks: Leftover[] = [];
  for (const disk of plan.disks) disks.push(await undoDisk(deps, plan, disk));
  const left = { pending: disks.reduce((sum, { pending }) => sum + pending, 0), left: [...machine.left, ...disks.flatMap((one) => one.left)] };
  if (left.pending === 0) await createDocument(vault, restoreRecords.end(input), { version: 1, at: new Date(deps.nowMs()).toISOString(), outcome: 'abandoned', left: left.left });
  return left;
});

/** Step 6 after success: snapshots of what was there go, and old disks that are not to be kept, and that all is over is written down. Run until nothing is pending. */
export const createReleaseRestore = (deps: ActivityDeps) => activity(async (input: RestoreInput): Promise<Leftover> => {
  const vault = await deps.vault();
  const plan = await findDocument(vault, restoreRecords.plan(input), restorePlanSchema);
  let pending = 0;
  const left: string[] = [];
  const failures: unknown[] = [];
  // One that cannot be removed does not keep the others from it.
  const attempt = async (remove: () => Promise<0 | 1>): Promise<void> => { pending += await remove().catch((error: unknown) => { failures.push(error); return 0; }); };
  if (plan) for (const disk of plan.disks) await attempt(() => removePresent(deps, plan, disk));
  const { swap } = plan ?? {};
  for (const id of swap && !swap.keepOldDisks ? [...(swap.os ? [swap.os.oldDiskId] : []), ...swap.data.map(({ oldDiskId }) => oldDiskId)] : []) {
    await attempt(async () => {
      try {
        return await deps.restoreCloud.startDeleteDisk(id) === 'absent' ? 0 : 1;
      } catch (error) {
        if (!isHoldfastError(error, 'CLOUD_STATE_WRONG')) throw error;
        left.push(`${id}: ${error.message}`);
        return 0;
      }
    });
  }
  if (failures.length > 0) throw failures[0];
  if (pending === 0) await createDocument(vault, restoreRecords.end(input), { version: 1, at: new Date(deps.nowMs()).toISOString(), outcome: 'restored', left });
  return { pending, left };
});
