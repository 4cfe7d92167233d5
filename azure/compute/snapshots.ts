import type { Snapshot } from '@azure/arm-compute';
import type { OperationState, SnapshotRequest, SnapshotStatus } from '../../activities/cloud';
import { HoldfastError } from '../../errors/holdfast-error';
import { redact } from '../../errors/redact';
import { type ArmContext, askingIfThere, begin, beginDelete } from './context';
import { isSameId } from './resource-id';

const gib = 1024 ** 3;

/** Incremental snapshots of single disks, for what restore points do not cover. */
export function snapshotOperations(context: ArmContext) {
  const find = async (snapshotId: string): Promise<Snapshot | undefined> => {
    const id = context.ids.parse(snapshotId, 'snapshots');
    return askingIfThere(`to read the snapshot ${snapshotId}`, () => context.clientFor(id.subscriptionId).snapshots.get(id.resourceGroup, id.name));
  };
  return {
    async startSnapshot(request: SnapshotRequest): Promise<'started' | 'exists'> {
      const id = context.ids.parse(request.id, 'snapshots');
      context.ids.parse(request.diskId, 'disks');
      const existing = await find(request.id);
      if (existing !== undefined) return adopt(existing, request);
      const body = {
        location: request.location,
        tags: { ...request.tags },
        // Incremental is what makes a comparison with the next one possible, and what is billed by the change.
        incremental: true,
        creationData: { createOption: 'Copy', sourceResourceId: request.diskId },
      };
      return begin(
        `to begin the snapshot ${request.id}`,
        () => context.clientFor(id.subscriptionId).snapshots.createOrUpdate(id.resourceGroup, id.name, body),
        async () => {
          const found = await find(request.id);
          return found !== undefined && adopt(found, request) === 'exists';
        },
      );
    },
    async getSnapshot(snapshotId: string): Promise<SnapshotStatus | undefined> {
      const snapshot = await find(snapshotId);
      return snapshot === undefined ? undefined : statusOfSnapshot(snapshot);
    },
    async startDeleteSnapshot(snapshotId: string): Promise<'started' | 'absent'> {
      const id = context.ids.parse(snapshotId, 'snapshots');
      return beginDelete(
        `to delete the snapshot ${snapshotId}`,
        (onResponse) => context.clientFor(id.subscriptionId).snapshots.delete(id.resourceGroup, id.name, { onResponse }),
        async () => {
          const found = await find(snapshotId);
          return found !== undefined && !/^delet/i.test(found.provisioningState ?? '');
        },
      );
    },
  };
}

/** A snapshot of that name that is of another disk, or whole, is not the one that was asked for: using it would be a backup of the wrong disk. */
function adopt(existing: Snapshot, request: SnapshotRequest): 'exists' {
  const source = existing.creationData?.sourceResourceId;
  if (!isSameId(source, request.diskId) || existing.incremental !== true) {
    throw new HoldfastError('CLOUD_CONFLICT', `The snapshot ${request.id} is there already, of ${source ?? 'an unknown disk'}${existing.incremental === true ? '' : ' and not incremental'}, where one of ${request.diskId} was to be made`, { data: { serviceCode: '' } });
  }
  return 'exists';
}

function statusOfSnapshot(snapshot: Snapshot): SnapshotStatus {
  const state = operationState(snapshot.provisioningState);
  const copyError = snapshot.copyCompletionError;
  const isFailed = state === 'failed' || copyError !== undefined;
  return {
    state: isFailed ? 'failed' : state,
    createdAt: snapshot.timeCreated?.toISOString() ?? null,
    sizeBytes: snapshot.diskSizeBytes ?? (snapshot.diskSizeGB ?? 0) * gib,
    completionPercent: readablePercent(state, snapshot.completionPercent, snapshot.snapshotAccessState),
    familyId: snapshot.incrementalSnapshotFamilyId ?? null,
    sourceUniqueId: snapshot.creationData?.sourceUniqueId ?? null,
    tags: { ...snapshot.tags },
    failure: isFailed
      ? { serviceCode: copyError?.errorCode ?? `ProvisioningState/${snapshot.provisioningState ?? ''}`, message: redact(copyError?.errorMessage ?? `The snapshot ended in the state ${snapshot.provisioningState ?? ''}`) }
      : null,
  };
}

export function operationState(provisioningState: string | undefined): OperationState {
  if (provisioningState === undefined) return 'running';
  if (/^succeeded$/i.test(provisioningState)) return 'succeeded';
  return /^(failed|cancell?ed)$/i.test(provisioningState) ? 'failed' : 'running';
}

/**
 * How far a snapshot can be read, 100 meaning wholly. Most have no background copy and tell no percentage; where one
 * runs, the access state says when downloads may begin, and it outweighs a percentage (arm-compute SnapshotAccessState).
 */
export function readablePercent(state: OperationState, percent: number | undefined, accessState: string | undefined): number {
  if (state !== 'succeeded') return Math.min(percent ?? 0, 99);
  const isHeldBack = accessState === 'Pending' || accessState === 'InstantAccess';
  const told = percent ?? (isHeldBack ? 0 : 100);
  return isHeldBack ? Math.min(told, 99) : told;
}
