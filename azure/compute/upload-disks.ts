import type { Disk, GrantAccessData } from '@azure/arm-compute';
import type { AccessUrl } from '../../activities/cloud';
import { type DiskStatus, MAX_UPLOAD_BYTES, MIN_UPLOAD_BYTES, UPLOAD_GRAIN_BYTES, type UploadDiskRequest } from '../../activities/restore-cloud';
import { HoldfastError } from '../../errors/holdfast-error';
import { footerBytes } from '../disk/ranges';
import { type AccessSettings, awaitAccess, blobSize, checkedUrl, endAccessWhole, sizesDisagree } from './access';
import { type ArmContext, askingIfThere, begin, beginDelete } from './context';
import { hasTags, isSameLocation } from './resource-match';
import { operationState } from './snapshots';

const gib = 1024 ** 3;

/** Disks that restores fill: made for upload, written through an access URL, and an ordinary disk once that is ended. */
export function uploadDiskOperations(context: ArmContext, settings: AccessSettings) {
  const find = (diskId: string): Promise<Disk | undefined> => findDisk(context, diskId);
  const grant = async (disk: Disk, diskId: string, access: GrantAccessData): Promise<AccessUrl> => {
    const id = context.ids.parse(diskId, 'disks');
    const doing = `${access.access === 'Write' ? 'write' : 'read'} access to ${diskId}`;
    const url = checkedUrl(await awaitAccess(context, doing, () => context.clientFor(id.subscriptionId).disks.grantAccess(id.resourceGroup, id.name, access)), settings, diskId);
    const blobBytes = await blobSize(context, settings.dataClient, url, diskId);
    if (disk.diskSizeBytes !== undefined && disk.diskSizeBytes !== blobBytes - footerBytes) throw sizesDisagree(diskId, blobBytes, `${String(disk.diskSizeBytes)} bytes`);
    return { url, sizeBytes: blobBytes - footerBytes };
  };
  return {
    async startCreateUploadDisk(request: UploadDiskRequest): Promise<'started' | 'exists'> {
      const id = context.ids.parse(request.id, 'disks');
      checkRequest(request);
      const existing = await find(request.id);
      if (existing !== undefined) return adopt(existing, request);
      return begin(
        `to make the disk ${request.id}`,
        () => context.clientFor(id.subscriptionId).disks.createOrUpdate(id.resourceGroup, id.name, bodyOf(request)),
        async () => {
          const found = await find(request.id);
          return found !== undefined && adopt(found, request) === 'exists';
        },
      );
    },
    async getDisk(diskId: string): Promise<DiskStatus | undefined> {
      const disk = await find(diskId);
      return disk === undefined ? undefined : statusOfDisk(diskId, disk);
    },
    async startDeleteDisk(diskId: string): Promise<'started' | 'absent'> {
      const id = context.ids.parse(diskId, 'disks');
      const disk = await find(diskId);
      if (disk === undefined) return 'absent';
      if (disk.managedBy !== undefined) throw stateWrong(`The disk ${diskId} is attached to ${disk.managedBy}, so it is not deleted`, disk);
      // Passes by itself where the end of access is still under way.
      if (/^(ActiveSAS|ActiveUpload)$/.test(disk.diskState ?? '')) throw new HoldfastError('CLOUD_CONFLICT', `Access to the disk ${diskId} is open (${String(disk.diskState)}): it is ended before the disk is deleted`, { data: { serviceCode: '' } });
      return beginDelete(
        `to delete the disk ${diskId}`,
        (onResponse) => context.clientFor(id.subscriptionId).disks.delete(id.resourceGroup, id.name, { onResponse }),
        async () => {
          const found = await find(diskId);
          return found !== undefined && !/^delet/i.test(found.provisioningState ?? '');
        },
      );
    },
    async grantDiskWrite(diskId: string, durationSeconds: number): Promise<AccessUrl> {
      const disk = await mustFind(context, diskId);
      // Asked first, because Azure's refusal does not say that no repetition will help.
      if (disk.diskState !== 'ReadyToUpload' && disk.diskState !== 'ActiveUpload') {
        throw stateWrong(`The disk ${diskId} is ${String(disk.diskState)}: write access is given to a disk in upload only`, disk);
      }
      return grant(disk, diskId, { access: 'Write', durationInSeconds: durationSeconds });
    },
    async grantDiskRead(diskId: string, durationSeconds: number): Promise<AccessUrl> {
      const disk = await mustFind(context, diskId);
      assertAtRest(diskId, disk);
      return grant(disk, diskId, { access: 'Read', durationInSeconds: durationSeconds });
    },
    async endDiskAccess(diskId: string): Promise<void> {
      const id = context.ids.parse(diskId, 'disks');
      await endAccessWhole(context, diskId, () => context.clientFor(id.subscriptionId).disks.revokeAccess(id.resourceGroup, id.name));
    },
  };
}

export function findDisk(context: ArmContext, diskId: string): Promise<Disk | undefined> {
  const id = context.ids.parse(diskId, 'disks');
  return askingIfThere(`to read the disk ${diskId}`, () => context.clientFor(id.subscriptionId).disks.get(id.resourceGroup, id.name));
}

export async function mustFind(context: ArmContext, diskId: string): Promise<Disk> {
  const disk = await findDisk(context, diskId);
  if (disk === undefined) throw new HoldfastError('CLOUD_NOT_FOUND', `There is no disk ${diskId}`, { data: { serviceCode: '' } });
  return disk;
}

/** Throws CLOUD_STATE_WRONG for a disk that a machine has or that is being uploaded to. */
export function assertAtRest(diskId: string, disk: Disk): void {
  if (disk.managedBy !== undefined) throw stateWrong(`The disk ${diskId} is attached to ${disk.managedBy}`, disk);
  if (disk.diskState === 'ReadyToUpload' || disk.diskState === 'ActiveUpload') throw stateWrong(`The disk ${diskId} is ${disk.diskState}: its upload was not ended`, disk);
}

export const stateWrong = (message: string, disk?: Disk): HoldfastError =>
  new HoldfastError('CLOUD_STATE_WRONG', message, { data: { serviceCode: '', ...(disk === undefined ? {} : { diskState: disk.diskState ?? null }) } });

function checkRequest(request: UploadDiskRequest): void {
  const { sizeBytes } = request;
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes % UPLOAD_GRAIN_BYTES !== 0 || sizeBytes < MIN_UPLOAD_BYTES || sizeBytes > MAX_UPLOAD_BYTES) {
    throw new HoldfastError('INTERNAL', `${String(sizeBytes)} bytes is no size for an upload disk`);
  }
  if (request.logicalSectorBytes !== null && request.logicalSectorBytes !== 512) {
    throw stateWrong(`A disk with sectors of ${String(request.logicalSectorBytes)} bytes is uploaded as a VHDX, which Holdfast does not write: restore it with sectors of 512 bytes, or as a file`);
  }
}

function bodyOf(request: UploadDiskRequest): Disk {
  return {
    location: request.location,
    tags: { ...request.tags },
    sku: { name: request.sku },
    ...(request.zone === null ? {} : { zones: [request.zone] }),
    ...(request.osType === null ? {} : { osType: request.osType }),
    ...(request.hyperVGeneration === null ? {} : { hyperVGeneration: request.hyperVGeneration }),
    ...(request.securityType === null ? {} : { securityProfile: { securityType: request.securityType } }),
    creationData: {
      createOption: 'Upload',
      uploadSizeBytes: request.sizeBytes + footerBytes,
      ...(request.logicalSectorBytes === null ? {} : { logicalSectorSize: request.logicalSectorBytes }),
    },
  };
}

/** A disk of that name counts as the one that was asked for only if it cannot be anybody else's. */
function adopt(existing: Disk, request: UploadDiskRequest): 'exists' {
  const isSame = existing.creationData?.createOption === 'Upload' && sizeOf(existing) === request.sizeBytes
    && isSameLocation(existing.location, request.location) && hasTags(existing.tags, request.tags);
  if (isSame) return 'exists';
  throw new HoldfastError('TARGET_EXISTS', `There is a disk ${request.id} already, of ${String(sizeOf(existing))} bytes in ${existing.location}, and this restore did not make it`, { data: { serviceCode: '' } });
}

const sizeOf = (disk: Disk): number => disk.diskSizeBytes ?? (disk.creationData?.uploadSizeBytes === undefined ? (disk.diskSizeGB ?? 0) * gib : disk.creationData.uploadSizeBytes - footerBytes);

function statusOfDisk(diskId: string, disk: Disk): DiskStatus {
  const state = operationState(disk.provisioningState);
  return {
    id: disk.id ?? diskId,
    location: disk.location,
    zones: disk.zones ?? [],
    state,
    diskState: disk.diskState ?? '',
    sizeBytes: sizeOf(disk),
    uniqueId: disk.uniqueId ?? '',
    sku: disk.sku?.name ?? '',
    managedBy: disk.managedBy ?? null,
    osType: disk.osType === 'Windows' || disk.osType === 'Linux' ? disk.osType : null,
    hyperVGeneration: disk.hyperVGeneration ?? null,
    createdAt: disk.timeCreated?.toISOString() ?? null,
    tags: { ...disk.tags },
    failure: state === 'failed' ? { serviceCode: `ProvisioningState/${disk.provisioningState ?? ''}`, message: `The disk ended in the state ${disk.provisioningState ?? ''}` } : null,
  };
}
