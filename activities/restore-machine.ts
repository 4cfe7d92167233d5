import { HoldfastError } from '../errors/holdfast-error';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import { assertRestoreOpen, RESTORE_TAG, type RestoreInput, type RestorePlan, restoreRecords, type TargetStatus, undoIfGivenUp } from './restore-records';
import { driveSwap } from './restore-swap';
import { undoMachine } from './restore-undo';
import { createDocument } from '../vault/format/documents';

/** Step 4: makes the machine, or exchanges the disks of one that is there. Called until it is ready: each call takes the next step that is open. */
export const createDriveRestoredMachine = (deps: ActivityDeps) => activity(async (input: RestoreInput): Promise<TargetStatus> => {
  const vault = await deps.vault();
  const plan = await assertRestoreOpen(vault, input, deps.nowMs());
  // Before anything is done to a machine: without this record there is nothing to take back.
  await createDocument(vault, restoreRecords.machine(input), { version: 1, at: new Date(deps.nowMs()).toISOString() });
  const state = plan.vm ? await driveNewVm(deps, plan.vm) : plan.swap ? await driveSwap(deps, plan.swap, 'new') : 'ready';
  await undoIfGivenUp(vault, input, () => undoMachine(deps, vault, plan));
  return { state };
});

async function driveNewVm(deps: ActivityDeps, request: NonNullable<RestorePlan['vm']>): Promise<TargetStatus['state']> {
  // Of two steps that ask at once Azure may refuse one for what the other made: the machine itself says whether it is there.
  const refused = await deps.restoreCloud.startCreateVm(request).then(() => null, (error: unknown) => error);
  const state = await deps.restoreCloud.getVmState(request.id);
  if (refused && state?.tags[RESTORE_TAG] !== request.tags[RESTORE_TAG]) throw refused;
  if (state && state.tags[RESTORE_TAG] !== request.tags[RESTORE_TAG]) throw new HoldfastError('TARGET_EXISTS', `The machine ${request.id} was made by someone else meanwhile`);
  if (state?.state === 'failed') throw new HoldfastError('CLOUD_FAILED', `The machine ${request.id} could not be made: ${state.failure?.message ?? 'Azure gives no reason'}`, { data: { serviceCode: state.failure?.serviceCode ?? '' } });
  return state?.state === 'succeeded' ? 'ready' : 'running';
}
