import type { RestorePoint, RestorePointCollection } from '@azure/arm-compute';
import type { RestorePointDisk, RestorePointRef, RestorePointRequest, RestorePointStatus, SnapshotFailure } from '../../activities/cloud';
import { HoldfastError } from '../../errors/holdfast-error';
import { redact } from '../../errors/redact';
import { type ArmContext, asking, askingIfThere, begin, beginDelete } from './context';
import { isSameId } from './resource-id';
import { snapshotFailureCode } from './snapshot-failures';
import { operationState, readablePercent } from './snapshots';

const gib = 1024 ** 3;
/** Reads of a VM's disk restore points that are under way at once: Azure throttles reads per resource. */
const parallelReads = 4;

export function restorePointOperations(context: ArmContext) {
  const find = (ref: RestorePointRef): Promise<RestorePoint | undefined> => {
    context.ids.check(ref, [ref.collection, ref.name]);
    return askingIfThere(`to read the restore point ${shown(ref)}`, () =>
      context.clientFor(ref.subscriptionId).restorePoints.get(ref.resourceGroup, ref.collection, ref.name, { expand: 'instanceView' }));
  };
  const findCollection = (ref: Omit<RestorePointRef, 'name'>): Promise<RestorePointCollection | undefined> => {
    context.ids.check(ref, [ref.collection]);
    return askingIfThere(`to list the restore points of ${ref.resourceGroup}/${ref.collection}`, () =>
      context.clientFor(ref.subscriptionId).restorePointCollections.get(ref.resourceGroup, ref.collection, { expand: 'restorePoints' }));
  };
  return {
    async startRestorePoint(request: RestorePointRequest): Promise<'started' | 'exists'> {
      context.ids.check(request, [request.collection, request.name]);
      context.ids.parse(request.vmId, 'virtualMachines');
      for (const id of request.excludeDiskIds) context.ids.parse(id, 'disks');
      await ensureCollection(context, request);
      if ((await find(request)) !== undefined) return 'exists';
      const body = {
        ...(request.excludeDiskIds.length === 0 ? {} : { excludeDisks: request.excludeDiskIds.map((id) => ({ id })) }),
        // The other two levels are results and never requests: the service accepts only CrashConsistent, and nothing means "the best".
        ...(request.crashConsistent ? { consistencyMode: 'CrashConsistent' } : {}),
      };
      return begin(
        `to begin the restore point ${shown(request)}`,
        () => context.clientFor(request.subscriptionId).restorePoints.create(request.resourceGroup, request.collection, request.name, body),
        async () => (await find(request)) !== undefined,
      );
    },
    async getRestorePoint(ref: RestorePointRef): Promise<RestorePointStatus | undefined> {
      const point = await find(ref);
      return point === undefined ? undefined : statusOfPoint(context, point);
    },
    async listRestorePoints(ref: Omit<RestorePointRef, 'name'>): Promise<{ name: string; createdAt: string | null }[]> {
      const collection = await findCollection(ref);
      return (collection?.restorePoints ?? []).map(({ name, timeCreated }) => ({ name: name ?? '', createdAt: timeCreated?.toISOString() ?? null }));
    },
    async startDeleteEmptyCollection(ref: Omit<RestorePointRef, 'name'>): Promise<'started' | 'absent' | 'in use'> {
      const collection = await findCollection(ref);
      if (collection === undefined) return 'absent';
      // No word of what is in it is no word that nothing is.
      if (collection.restorePoints?.length !== 0) return 'in use';
      return beginDelete(
        `to delete the empty restore point collection ${ref.resourceGroup}/${ref.collection}`,
        (onResponse) => context.clientFor(ref.subscriptionId).restorePointCollections.delete(ref.resourceGroup, ref.collection, { onResponse }),
        async () => {
          const left = await findCollection(ref);
          return left !== undefined && !/^delet/i.test(left.provisioningState ?? '');
        },
      );
    },
    async startDeleteRestorePoint(ref: RestorePointRef): Promise<'started' | 'absent'> {
      context.ids.check(ref, [ref.collection, ref.name]);
      return beginDelete(
        `to delete the restore point ${shown(ref)}`,
        (onResponse) => context.clientFor(ref.subscriptionId).restorePoints.delete(ref.resourceGroup, ref.collection, ref.name, { onResponse }),
        async () => {
          const point = await find(ref);
          return point !== undefined && !/^delet/i.test(point.provisioningState ?? '');
        },
      );
    },
  };
}

function shown(ref: RestorePointRef): string {
  return `${ref.resourceGroup}/${ref.collection}/${ref.name}`;
}

/**
 * Makes the collection when it is not there. One that belongs to another VM is refused: a restore point in it would be
 * one of that VM. Making it again with the same content changes nothing, so a lost answer is no harm.
 */
async function ensureCollection(context: ArmContext, request: RestorePointRequest): Promise<void> {
  const { restorePointCollections } = context.clientFor(request.subscriptionId);
  const doing = `the restore point collection ${request.resourceGroup}/${request.collection}`;
  const find = () => askingIfThere(`to read ${doing}`, () => restorePointCollections.get(request.resourceGroup, request.collection));
  let collection = await find();
  if (collection === undefined) {
    const body = { location: request.location, tags: { ...request.tags }, source: { id: request.vmId } };
    try {
      collection = await restorePointCollections.createOrUpdate(request.resourceGroup, request.collection, body);
    } catch (error) {
      collection = await find();
      if (collection === undefined) await asking(`to make ${doing}`, () => Promise.reject(error as Error));
    }
  }
  if (!isSameId(collection?.source?.id, request.vmId)) {
    throw new HoldfastError('CLOUD_CONFLICT', `The restore point collection ${request.collection} is of ${collection?.source?.id ?? 'no machine'}, where one of ${request.vmId} is needed`, { data: { serviceCode: '' } });
  }
}

const levels: Readonly<Record<string, 'application' | 'file-system' | 'crash'>> = {
  ApplicationConsistent: 'application',
  FileSystemConsistent: 'file-system',
  CrashConsistent: 'crash',
};

async function statusOfPoint(context: ArmContext, point: RestorePoint): Promise<RestorePointStatus> {
  const state = operationState(point.provisioningState);
  return {
    state,
    consistency: state === 'succeeded' ? (levels[point.consistencyMode ?? ''] ?? 'crash') : null,
    createdAt: point.timeCreated?.toISOString() ?? null,
    disks: state === 'succeeded' ? await describeDisks(context, point) : [],
    failure: state === 'failed' ? failureOf(point) : null,
  };
}

/** The service leaves the reason of a failed restore point in its instance view, if anywhere. */
function failureOf(point: RestorePoint): SnapshotFailure {
  const status = point.instanceView?.statuses?.find((candidate) => candidate.level === 'Error' || /failed/i.test(candidate.code ?? ''));
  const serviceCode = status?.code?.split('/').at(-1) ?? 'RestorePointFailed';
  const message = redact(status?.message ?? status?.displayStatus ?? `The restore point ended in the state ${point.provisioningState ?? ''}`);
  return { serviceCode, message, code: snapshotFailureCode(serviceCode, message) };
}

interface PointDisk {
  readonly lun: string;
  readonly sourceDiskId: string;
  readonly id: string;
  readonly sizeBytes: number;
}

async function describeDisks(context: ArmContext, point: RestorePoint): Promise<RestorePointDisk[]> {
  const profile = point.sourceMetadata?.storageProfile;
  const disks: PointDisk[] = [
    ...(profile?.osDisk === undefined ? [] : [{ lun: 'os', disk: profile.osDisk }]),
    ...(profile?.dataDisks ?? []).map((disk) => ({ lun: String(disk.lun ?? ''), disk })),
  ].flatMap(({ lun, disk }) => {
    // An excluded disk is listed without a disk restore point.
    const id = disk.diskRestorePoint?.id;
    return id === undefined ? [] : [{ lun, id, sourceDiskId: disk.managedDisk?.id ?? '', sizeBytes: (disk.diskSizeGB ?? 0) * gib }];
  });
  const described: RestorePointDisk[] = [];
  for (let start = 0; start < disks.length; start += parallelReads) {
    described.push(...(await Promise.all(disks.slice(start, start + parallelReads).map((disk) => describeDisk(context, disk)))));
  }
  return described;
}

async function describeDisk(context: ArmContext, disk: PointDisk): Promise<RestorePointDisk> {
  const id = context.ids.parseDiskRestorePoint(disk.id);
  const found = await asking(`to read the disk restore point ${disk.id}`, () =>
    context.clientFor(id.subscriptionId).diskRestorePoint.get(id.resourceGroup, id.collection, id.restorePoint, id.name));
  return {
    lun: disk.lun,
    sourceDiskId: disk.sourceDiskId === '' ? (found.sourceResourceId ?? '') : disk.sourceDiskId,
    handle: { kind: 'diskRestorePoint', id: disk.id },
    completionPercent: readablePercent('succeeded', found.completionPercent, found.snapshotAccessState),
    sizeBytes: disk.sizeBytes,
    familyId: found.familyId ?? null,
    sourceUniqueId: found.sourceUniqueId ?? null,
  };
}
