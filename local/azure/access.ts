import { randomBytes, randomUUID } from 'node:crypto';
import { isHoldfastError } from '../../errors/holdfast-error';
import { openImage } from '../images/open-image';
import type { AccessRecord, CreatedDisk } from './state';
import { ArmError, BlobError, numberAt, stringAt, type ArmReply, type JsonObject } from './wire';
import { keyOf, notFound, sameId, type Snapshotlike, type World } from './world';

/** The storage service version in an access URL; a request without x-ms-version is served as of it. */
const signedVersion = '2018-03-28';

/** A secret: it opens the disk to whoever has it. */
export function accessUrl(world: World, access: AccessRecord): string {
  const query = new URLSearchParams({ sv: signedVersion, sr: 'b', si: access.policyId, sig: access.signature });
  return `${world.baseUrl}/disk/${access.container}/abcd?${query.toString()}`;
}

export function openAccess(world: World, resourceId: string): AccessRecord | undefined {
  return Object.values(world.state.accesses).find((access) => sameId(access.resourceId, resourceId) && isOpen(world, access));
}

export function isOpen(world: World, access: AccessRecord): boolean {
  return access.endedAtMs === null && world.now() < access.expiresAtMs;
}

/** Ends what is open on a resource, for every user of it. */
export async function endAccessOf(world: World, resourceId: string): Promise<void> {
  for (const access of Object.values(world.state.accesses)) {
    if (sameId(access.resourceId, resourceId) && access.endedAtMs === null) access.endedAtMs = world.now();
  }
  const disk = world.state.disks[keyOf(resourceId)];
  if (disk === undefined) return;
  if (disk.diskState === 'ActiveUpload') await reportUnusableUpload(world, disk);
  // A disk whose upload was never begun stays ready for it.
  if (disk.diskState !== 'ReadyToUpload') disk.diskState = 'Unattached';
}

/** POST …/beginGetAccess on a snapshot, a disk restore point or a disk. */
export async function beginGetAccess(world: World, id: string, body: JsonObject, apiVersion: string): Promise<ArmReply> {
  const mode = stringAt(body, 'access');
  const durationSeconds = numberAt(body, 'durationInSeconds');
  if (mode !== 'Read' && mode !== 'Write') throw new ArmError(400, 'InvalidParameter', `The value '${String(mode)}' of parameter access is not valid.`);
  if (durationSeconds === undefined || !Number.isInteger(durationSeconds) || durationSeconds <= 0) {
    throw new ArmError(400, 'InvalidParameter', `The value '${String(durationSeconds)}' of parameter durationInSeconds is not valid.`);
  }
  if (durationSeconds > world.limits.maxAccessSeconds) {
    throw new ArmError(400, 'InvalidParameter', `The value '${durationSeconds}' of parameter durationInSeconds is out of range. The maximum is ${world.limits.maxAccessSeconds} seconds.`);
  }
  const target = await grantTarget(world, id, mode);
  const until = world.now() + durationSeconds * 1000;
  const active = openAccess(world, id);
  if (active !== undefined && active.mode === mode) {
    active.expiresAtMs = Math.max(active.expiresAtMs, until);
    return world.accepted(world.startOperation('grant', id, { container: active.container }), apiVersion, 202);
  }
  if (active !== undefined) throw new ArmError(409, 'OperationNotAllowed', `There is an active shared access signature outstanding for ${id}.`);
  checkFamilyLimit(world, target.familyId);
  const access: AccessRecord = {
    container: randomBytes(6).toString('hex'), resourceId: id, familyId: target.familyId, mode,
    policyId: randomUUID(), signature: randomBytes(32).toString('base64'), expiresAtMs: until, endedAtMs: null,
  };
  world.state.accesses[access.container] = access;
  if (target.disk !== undefined) target.disk.diskState = mode === 'Write' ? 'ActiveUpload' : 'ActiveSAS';
  return world.accepted(world.startOperation('grant', id, { container: access.container }), apiVersion, 202);
}

/** POST …/endGetAccess: fine when nothing is open. */
export async function endGetAccess(world: World, id: string, apiVersion: string): Promise<ArmReply> {
  if (world.findSnapshotlike(id) === undefined && world.state.disks[keyOf(id)] === undefined && (await world.findFolderDisk(id)) === undefined) throw notFound(id);
  const operation = world.startOperation('revoke', id);
  if (operation.failure === null) await endAccessOf(world, id);
  world.store.save();
  return world.accepted(operation, apiVersion, 202);
}

/** The access that a data-plane request shows, or a 403 that does not say what is wrong with it, as the service does. */
export function authenticate(world: World, container: string, query: URLSearchParams): AccessRecord {
  const access = world.state.accesses[container];
  if (access === undefined || !isOpen(world, access) || query.get('sig') !== access.signature || query.get('si') !== access.policyId) {
    throw new BlobError(403, 'AuthenticationFailed', 'Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.');
  }
  return access;
}

async function grantTarget(world: World, id: string, mode: 'Read' | 'Write'): Promise<{ readonly familyId: string | null; readonly disk?: CreatedDisk }> {
  const snapshot = world.findSnapshotlike(id);
  if (snapshot !== undefined) {
    if (mode !== 'Read') throw new ArmError(400, 'InvalidParameter', 'A snapshot gives read access only.');
    return { familyId: readableFamily(snapshot, id) };
  }
  const disk = world.state.disks[keyOf(id)];
  if (disk === undefined) {
    if ((await world.findFolderDisk(id)) === undefined) throw notFound(id);
    throw new ArmError(409, 'OperationNotAllowed', `The disk ${id} is an image in the folder: the stand-in gives access to snapshots of it only.`);
  }
  const owner = await world.ownerOf(id);
  if (owner !== undefined) throw new ArmError(409, 'OperationNotAllowed', `The disk ${id} is attached to ${world.vmResourceId(owner)}: access to its data is not allowed.`);
  if (disk.state !== 'Succeeded') throw new ArmError(409, 'OperationNotAllowed', `The disk ${id} is ${disk.state}.`);
  if (mode === 'Write' && disk.diskState !== 'ReadyToUpload' && disk.diskState !== 'ActiveUpload') {
    throw new ArmError(409, 'OperationNotAllowed', `Write access is given to a disk that is ready for upload; ${id} is ${disk.diskState}.`);
  }
  if (mode === 'Read') await checkReadableDisk(world, disk);
  return { familyId: null, disk };
}

function readableFamily(snapshot: Snapshotlike, id: string): string | null {
  const { record } = snapshot;
  if (snapshot.state !== 'Succeeded' || record.copy === null) throw new ArmError(409, 'OperationNotAllowed', `${id} is ${snapshot.state}: it cannot be read.`);
  if (record.stall !== null) {
    throw new ArmError(409, 'OperationNotAllowed', `The background copy of ${id} is at ${record.stall.percent} percent: it can be read when it is complete.`);
  }
  return record.copy.familyId;
}

/** Which code Azure gives is not documented; the limit is ("no more than five snapshots of a family with a SAS at once"). */
function checkFamilyLimit(world: World, familyId: string | null): void {
  if (familyId === null) return;
  const open = Object.values(world.state.accesses).filter((access) => access.familyId === familyId && isOpen(world, access));
  if (open.length >= world.limits.openAccessPerFamily) {
    throw new ArmError(409, 'OperationNotAllowed', `At most ${world.limits.openAccessPerFamily} snapshots of the same family may have an active shared access signature at a time. End access to another incremental snapshot of the family ${familyId} first.`);
  }
}

async function checkReadableDisk(world: World, disk: CreatedDisk): Promise<void> {
  if (disk.diskState === 'ReadyToUpload' || disk.diskState === 'ActiveUpload') throw new ArmError(409, 'OperationNotAllowed', `The disk ${disk.id} is ${disk.diskState}.`);
  await checkUploadedVhd(world, disk);
}

/** Throws when what was uploaded is no fixed VHD of the disk's size: such a disk can be neither read, copied nor attached. */
export async function checkUploadedVhd(world: World, disk: CreatedDisk): Promise<void> {
  try {
    const image = await openImage(world.store.contentPath(disk.file));
    await image.close();
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    throw new ArmError(409, 'InvalidVhd', `The content of the disk ${disk.name} is no valid VHD: ${error.message}`);
  }
}

/** Ending access always works, or an upload that was given up could never be cleaned away; later uses are refused instead. */
async function reportUnusableUpload(world: World, disk: CreatedDisk): Promise<void> {
  await checkUploadedVhd(world, disk).catch((error: unknown) => { world.log(error instanceof Error ? error.message : String(error)); });
}
