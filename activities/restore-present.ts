import { HoldfastError } from '../errors/holdfast-error';
import type { Spec } from '../vault/transfer/transfer-factory';
import { type SnapshotHandle, type VmDisk, unreadable } from './cloud';
import type { ActivityDeps } from './deps';
import { ACCESS_SECONDS } from './disk-access';
import { type RestorePlace, type RestorePlanning } from './restore-planning';
import { type PlannedRestoreDisk, type PresentDisk, RESTORE_TAG, type RestorePlan } from './restore-records';
import { assertNotFailed } from './snapshot';

/**
 * The present disk of a machine, as a differential restore uses it: a snapshot of it, which is the restore's own and goes with it, is compared with
 * the recovery point, and the service copies out of it what is equal (docs/decisions/differential-restore.md).
 */
const handleOf = ({ snapshotId }: PresentDisk): SnapshotHandle => ({ kind: 'snapshot', id: snapshotId });

export const presentOf = ({ target }: PlannedRestoreDisk): PresentDisk | null => (target.kind === 'disk' ? target.present : null);

/** Plans the snapshot, under the name that the new disk has. Throws RESTORE_UNSUPPORTED for a disk that cannot be read so, TARGET_EXISTS where the snapshot's name is taken. */
export async function planPresent({ deps, request }: RestorePlanning, disk: VmDisk, place: RestorePlace, name: string): Promise<PresentDisk> {
  const why = unreadable(disk) ?? (/^(UltraSSD|PremiumV2)/.test(disk.sku) ? `a snapshot of a disk of the kind ${disk.sku} can be read only after hours` : null);
  if (why !== null) throw new HoldfastError('RESTORE_UNSUPPORTED', `${disk.name} cannot be compared with a recovery point: ${why}. Ask without differential: then all of it comes from the vault`);
  const snapshotId = `/subscriptions/${place.subscriptionId}/resourceGroups/${place.resourceGroup}/providers/Microsoft.Compute/snapshots/${name}`;
  const existing = await deps.cloud.getSnapshot(snapshotId);
  if (existing && existing.tags[RESTORE_TAG] !== request.restoreId) throw taken(snapshotId);
  return { diskId: disk.id, uniqueId: disk.uniqueId, snapshotId };
}

const taken = (id: string): HoldfastError => new HoldfastError('TARGET_EXISTS', `There is a snapshot ${id} already`, { data: { target: id } });

/** Begins the snapshot, where one is to be made and is not there. */
export async function startPresent(deps: ActivityDeps, { target }: PlannedRestoreDisk): Promise<void> {
  if (target.kind !== 'disk' || !target.present) return;
  await deps.cloud.startSnapshot({ id: target.present.snapshotId, diskId: target.present.diskId, location: target.location, tags: target.tags });
}

/** True when the snapshot can be read, and where there is none to be made. Throws TARGET_EXISTS for one that the restore did not make, or why it failed. */
export async function isPresentReady(deps: ActivityDeps, plan: RestorePlan, disk: PlannedRestoreDisk): Promise<boolean> {
  const present = presentOf(disk);
  if (!present) return true;
  const status = await deps.cloud.getSnapshot(present.snapshotId);
  if (status && status.tags[RESTORE_TAG] !== plan.restoreId) throw taken(present.snapshotId);
  assertNotFailed(status, `The snapshot of the present disk ${present.diskId}`);
  return status?.state === 'succeeded' && status.completionPercent === 100;
}

/** Access to the snapshot for lanes, which compare it and have the service copy out of it; null where all comes from the vault. A secret. */
export async function presentSource(deps: ActivityDeps, disk: PlannedRestoreDisk): Promise<{ readonly source: Spec; readonly renew: () => Promise<Spec> } | null> {
  const present = presentOf(disk);
  if (!present) return null;
  const renew = async (): Promise<Spec> => ({ kind: 'snapshot', ...await deps.cloud.grantRead(handleOf(present), ACCESS_SECONDS) });
  return { source: await renew(), renew };
}

/** Ends access to the snapshot, for everybody, and deletes it. 1 while that is under way, 0 when it is gone. One that the restore did not make stays. */
export async function removePresent(deps: ActivityDeps, plan: RestorePlan, disk: PlannedRestoreDisk): Promise<0 | 1> {
  const present = presentOf(disk);
  const found = present && await deps.cloud.getSnapshot(present.snapshotId);
  if (!found || found.tags[RESTORE_TAG] !== plan.restoreId) return 0;
  await deps.cloud.endAccess(handleOf(present));
  return await deps.cloud.startDeleteSnapshot(present.snapshotId) === 'absent' ? 0 : 1;
}
