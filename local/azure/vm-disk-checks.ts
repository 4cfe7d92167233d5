import { checkUploadedVhd, openAccess } from './access';
import type { CreatedDisk, Lun } from './state';
import type { AttachedDisk } from './vm-state';
import { ArmError, isObject, numberAt, objectAt, stringAt, type Json, type JsonObject } from './wire';
import { keyOf, notFound, sameId, type World } from './world';

/** What a disk is attached to, as far as it matters for whether that works. */
export interface AttachPlace {
  readonly vmId: string;
  readonly location: string;
  readonly zone: string | null;
}

/** Throws what Azure answers when the disk cannot be attached there. Returns its record; undefined for an image of the folder. */
export async function checkAttachable(world: World, diskId: string, place: AttachPlace): Promise<CreatedDisk | undefined> {
  const record = world.state.disks[keyOf(diskId)];
  if (record === undefined && (await world.findFolderDisk(diskId)) === undefined) throw notFound(diskId);
  const owner = await world.ownerOf(diskId);
  if (owner !== undefined && !sameId(world.vmResourceId(owner), place.vmId)) {
    throw new ArmError(409, 'ConflictingUserInput', `Disk '${diskId}' cannot be attached as the disk is already owned by VM '${world.vmResourceId(owner)}'.`);
  }
  if (owner !== undefined) throw new ArmError(409, 'ConflictingUserInput', `Disk '${diskId}' is attached to this VM already.`);
  if (record === undefined) return undefined;
  if (record.state !== 'Succeeded') throw new ArmError(409, 'OperationNotAllowed', `The disk ${record.name} is ${record.state}.`);
  if (record.diskState === 'ReadyToUpload' || record.diskState === 'ActiveUpload') {
    throw new ArmError(409, 'OperationNotAllowed', `Cannot attach disk ${record.name} while it is in state ${record.diskState}: end its upload first.`);
  }
  if (openAccess(world, record.id) !== undefined) throw new ArmError(409, 'OperationNotAllowed', `Cannot attach disk ${record.name} while there is an active shared access signature outstanding for it. Call EndGetAccess first.`);
  await checkUploadedVhd(world, record);
  if (record.location !== place.location) throw new ArmError(400, 'BadRequest', `Disk ${record.name} is in ${record.location}, the VM in ${place.location}: both must be in one location.`);
  const isZonal = !record.sku.endsWith('_ZRS');
  if (isZonal && (record.zone ?? null) !== place.zone) throw new ArmError(400, 'BadRequest', `Disk ${record.name} cannot be attached to the VM because it is not in zone '${place.zone ?? ''}'.`);
  return record;
}

/** The disk that an entry of a storage profile names. Only disks that are there already are attached. */
export function attachedDisk(entry: JsonObject, lun: Lun): AttachedDisk {
  const createOption = stringAt(entry, 'createOption');
  const diskId = stringAt(objectAt(entry, 'managedDisk'), 'id');
  if (createOption !== 'Attach' || diskId === undefined) throw new ArmError(400, 'InvalidParameter', "The stand-in attaches managed disks that are there: createOption 'Attach' with a managedDisk.id.");
  return { lun, diskId, ...attachOptions(entry) };
}

export function attachOptions(entry: JsonObject): { readonly caching: string; readonly writeAccelerated: boolean } {
  const caching = stringAt(entry, 'caching') ?? 'None';
  if (!['None', 'ReadOnly', 'ReadWrite'].includes(caching)) throw new ArmError(400, 'InvalidParameter', `The value '${caching}' of parameter caching is not valid.`);
  return { caching, writeAccelerated: entry['writeAcceleratorEnabled'] === true };
}

export function lunOf(entry: JsonObject): number {
  const lun = numberAt(entry, 'lun');
  if (lun === undefined || !Number.isInteger(lun) || lun < 0 || lun > 63) throw new ArmError(400, 'InvalidParameter', `The value '${String(lun)}' of parameter dataDisk.lun is not valid.`);
  return lun;
}

/** A list of objects at a member; anything else in it is a mistake. */
export function listAt(value: JsonObject, member: string): JsonObject[] {
  const found: Json | undefined = value[member];
  if (found === undefined) return [];
  if (!Array.isArray(found) || !found.every(isObject)) throw new ArmError(400, 'InvalidParameter', `The value of parameter ${member} is not valid.`);
  return found;
}

export function checkLuns(disks: readonly { readonly lun: Lun }[], most: number): void {
  const luns = disks.map(({ lun }) => lun);
  const twice = luns.find((lun, index) => luns.indexOf(lun) !== index);
  if (twice !== undefined) throw new ArmError(400, 'InvalidParameter', `The value '${twice}' of parameter dataDisk.lun is not unique: a data disk is attached at that LUN.`);
  if (luns.length > most) throw new ArmError(409, 'OperationNotAllowed', `The maximum number of data disks allowed to be attached to a VM of this size is ${most}.`);
}
