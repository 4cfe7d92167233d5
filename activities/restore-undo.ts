import { isHoldfastError } from '../errors/holdfast-error';
import type { ActivityDeps } from './deps';
import { findDocument } from '../vault/format/documents';
import type { VaultAccess } from '../vault/format/tree';
import { type PlannedRestoreDisk, RESTORE_TAG, type RestorePlan, restoreRecords, restoreStepSchema } from './restore-records';
import { removePresent } from './restore-present';
import { driveSwap } from './restore-swap';

/** What is still there of what a restore made, and what cannot be taken back. */
export interface Leftover {
  /** Things whose removal is under way. */
  readonly pending: number;
  /** In words: what is left for a person. */
  readonly left: readonly string[];
}

const nothing: Leftover = { pending: 0, left: [] };

/** Takes back what a restore did to machines: one that it made is deleted, one whose disks it exchanged gets its old ones back. Never one of somebody else's. */
export async function undoMachine(deps: ActivityDeps, vault: VaultAccess, plan: RestorePlan): Promise<Leftover> {
  // A machine that the restore did not come to is as its owner left it.
  if (!await findDocument(vault, restoreRecords.machine(plan), restoreStepSchema)) return nothing;
  if (plan.swap) {
    try {
      return { pending: await driveSwap(deps, plan.swap, 'old') === 'ready' ? 0 : 1, left: [] };
    } catch (error) {
      if (!isHoldfastError(error, 'CLOUD_STATE_WRONG')) throw error;
      return { pending: 0, left: [`${plan.swap.vmId}: ${error.message}`] };
    }
  }
  if (!plan.vm) return nothing;
  const state = await deps.restoreCloud.getVmState(plan.vm.id);
  if (!state || state.tags[RESTORE_TAG] !== plan.restoreId) return nothing;
  return { pending: await deps.restoreCloud.startDeleteVm(plan.vm.id) === 'absent' ? 0 : 1, left: [] };
}

/** Ends access to a disk that the restore made, and to its snapshot of the present one, and deletes them. What was there before is left alone. */
export async function undoDisk(deps: ActivityDeps, plan: RestorePlan, disk: PlannedRestoreDisk): Promise<Leftover> {
  const { restoreCloud } = deps;
  const { target } = disk;
  if (target.kind === 'pageBlob') {
    const found = await restoreCloud.getPageBlob(target);
    if (!found) return nothing;
    if (target.differential) return { pending: 0, left: [`the page blob ${target.account}/${target.container}/${target.blob} is neither what it was nor restored; it has no VHD footer until a restore of it succeeds`] };
    if (found.metadata['holdfast_restore'] === plan.restoreId) await restoreCloud.deletePageBlob(target);
    return nothing;
  }
  const pending = await removePresent(deps, plan, disk);
  const found = await restoreCloud.getDisk(target.id);
  if (!found || found.tags[RESTORE_TAG] !== plan.restoreId) return { pending, left: [] };
  if (found.managedBy !== null) return { pending, left: [`the disk ${target.id} is attached to ${found.managedBy}`] };
  await restoreCloud.endDiskAccess(target.id);
  return { pending: pending + (await restoreCloud.startDeleteDisk(target.id) === 'absent' ? 0 : 1), left: [] };
}
