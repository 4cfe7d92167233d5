import { openAccess } from './access';
import { sizeGB } from './arm-vms';
import { copyDisks, type CopySource } from './copies';
import { look } from './operations';
import type { CopyOrder } from './copies';
import type { SnapshotRecord, Stall } from './state';
import { ArmError, objectAt, stringAt, tagsOf, type ArmReply, type JsonObject } from './wire';
import { keyOf, notFound, sameId, type World } from './world';

const rateWindowMs = 5 * 60 * 1000;

/** PUT snapshots/{name}: an incremental or a full copy of a disk as it is now. */
export async function putSnapshot(world: World, id: string, body: JsonObject, apiVersion: string): Promise<ArmReply> {
  await look(world, id);
  const properties = objectAt(body, 'properties');
  const creation = objectAt(properties, 'creationData');
  const sourceId = stringAt(creation, 'sourceResourceId') ?? stringAt(creation, 'sourceUri');
  if (stringAt(creation, 'createOption') !== 'Copy' || sourceId === undefined) {
    throw new ArmError(400, 'InvalidParameter', "The stand-in makes snapshots of managed disks: creationData.createOption 'Copy' with a sourceResourceId.");
  }
  const known = world.state.snapshots[keyOf(id)];
  if (known !== undefined) return updateExisting(world, known, sourceId, body);
  const source = await copySource(world, sourceId);
  // From here to the record there is no await: of two requests at once, the second finds what the first one made.
  const existing = world.state.snapshots[keyOf(id)];
  if (existing !== undefined) return updateExisting(world, existing, sourceId, body);
  const incremental = properties['incremental'] === true;
  checkRates(world, sourceId);
  const record: SnapshotRecord = {
    id, name: id.split('/').at(-1) ?? '', location: stringAt(body, 'location') ?? 'local',
    sourceDiskId: source.diskId, incremental, sku: stringAt(objectAt(body, 'sku'), 'name') ?? 'Standard_LRS',
    tags: tagsOf(body), state: 'Creating', failure: null, createdAtMs: world.now(), copy: null,
    stall: plannedStall(world, id),
  };
  world.state.snapshots[keyOf(id)] = record;
  const operation = await world.briefly(world.startOperation('createSnapshot', id, { work: () => snapshotWork(world, record) }));
  return world.accepted(operation, apiVersion, 201, snapshotJson(world, record));
}

/** The copying behind a snapshot; run again from the start when the stand-in was killed in it. */
export async function snapshotWork(world: World, record: SnapshotRecord): Promise<void> {
  const order: CopyOrder = { source: await copySource(world, record.sourceDiskId), owner: 'snapshot', incremental: record.incremental };
  record.createdAtMs = world.now();
  record.copy = (await copyDisks(world, [order]))[0] ?? null;
}

export async function getSnapshot(world: World, id: string): Promise<ArmReply> {
  await look(world, id);
  const record = world.state.snapshots[keyOf(id)];
  if (record === undefined) throw notFound(id);
  record.stall = stepStall(record.stall);
  return { status: 200, body: snapshotJson(world, record) };
}

export async function listSnapshots(world: World, underId: string): Promise<ArmReply> {
  const records = Object.values(world.state.snapshots).filter((record) => keyOf(record.id).startsWith(`${keyOf(underId)}/`));
  for (const record of records) await look(world, record.id);
  return { status: 200, body: { value: records.filter((record) => world.state.snapshots[keyOf(record.id)] !== undefined).map((record) => snapshotJson(world, record)) } };
}

export async function patchSnapshot(world: World, id: string, body: JsonObject): Promise<ArmReply> {
  const record = world.state.snapshots[keyOf(id)];
  if (record === undefined) throw notFound(id);
  record.tags = tagsOf(body);
  world.store.save();
  return { status: 200, body: snapshotJson(world, record) };
}

export async function deleteSnapshot(world: World, id: string, apiVersion: string): Promise<ArmReply> {
  await look(world, id);
  const record = world.state.snapshots[keyOf(id)];
  if (record === undefined) return { status: 204 };
  if (record.state === 'Creating') throw new ArmError(409, 'OperationNotAllowed', `The snapshot ${record.name} is still being created.`);
  if (openAccess(world, id) !== undefined) {
    throw new ArmError(409, 'OperationNotAllowed', `There is an active shared access signature outstanding for snapshot ${record.name}. Call EndGetAccess before deleting the snapshot.`);
  }
  record.state = 'Deleting';
  return world.accepted(world.startOperation('delete', id), apiVersion, 202);
}

export function snapshotJson(world: World, record: SnapshotRecord): JsonObject {
  const { copy } = record;
  return {
    name: record.name,
    id: record.id,
    type: 'Microsoft.Compute/snapshots',
    location: record.location,
    tags: record.tags,
    sku: { name: record.sku, tier: 'Standard' },
    properties: {
      creationData: { createOption: 'Copy', sourceResourceId: record.sourceDiskId, ...(copy === null ? {} : { sourceUniqueId: copy.sourceUniqueId }) },
      incremental: record.incremental,
      provisioningState: record.state,
      timeCreated: new Date(record.createdAtMs).toISOString(),
      diskState: openAccess(world, record.id) === undefined ? 'Unattached' : 'ActiveSAS',
      completionPercent: completionPercent(record),
      networkAccessPolicy: 'AllowAll',
      publicNetworkAccess: 'Enabled',
      encryption: { type: 'EncryptionAtRestWithPlatformKey' },
      ...(copy === null ? {} : {
        uniqueId: copy.id,
        diskSizeBytes: copy.dataBytes,
        diskSizeGB: sizeGB(copy.dataBytes),
        snapshotAccessState: record.stall === null ? 'Available' : 'Pending',
        ...(copy.familyId === null ? {} : { incrementalSnapshotFamilyId: copy.familyId }),
      }),
      ...(record.failure === null ? {} : { copyCompletionError: { errorCode: record.failure.code, errorMessage: record.failure.message } }),
    },
  };
}

/** A disk to copy from: an image in the folder, or one made through the API that is whole. */
export async function copySource(world: World, diskId: string): Promise<CopySource> {
  const found = await world.findFolderDisk(diskId);
  if (found !== undefined) return { diskId: world.diskResourceId(found.disk), uniqueId: found.disk.uniqueId, path: found.disk.path };
  const created = world.state.disks[keyOf(diskId)];
  if (created === undefined) throw notFound(diskId);
  if (created.state !== 'Succeeded' || created.diskState === 'ReadyToUpload' || created.diskState === 'ActiveUpload') {
    throw new ArmError(409, 'OperationNotAllowed', `The disk ${diskId} is ${created.diskState}: it cannot be copied.`);
  }
  return { diskId: created.id, uniqueId: created.uniqueId, path: world.store.contentPath(created.file) };
}

export function plannedStall(world: World, id: string): Stall | null {
  const fault = world.faults.take('stallCopy', '', [id]);
  return fault === undefined ? null : { looksLeft: fault.looks, percent: fault.percent };
}

export function stepStall(stall: Stall | null): Stall | null {
  if (stall === null || stall.looksLeft <= 0) return null;
  stall.looksLeft--;
  return stall;
}

export function completionPercent(record: { readonly copy: unknown; readonly stall: Stall | null }): number {
  if (record.copy === null) return 0;
  return record.stall?.percent ?? 100;
}

function updateExisting(world: World, existing: SnapshotRecord, sourceId: string, body: JsonObject): ArmReply {
  if (!sameId(existing.sourceDiskId, sourceId)) throw new ArmError(409, 'PropertyChangeNotAllowed', "Changing property 'creationData.sourceResourceId' is not allowed for existing snapshot.");
  existing.tags = tagsOf(body);
  world.store.save();
  return { status: 200, body: snapshotJson(world, existing) };
}

function checkRates(world: World, diskId: string): void {
  const ofDisk = Object.values(world.state.snapshots).filter((snapshot) => sameId(snapshot.sourceDiskId, diskId));
  if (ofDisk.length >= world.limits.snapshotsPerDisk) {
    throw new ArmError(409, 'OperationNotAllowed', `The disk has ${ofDisk.length} snapshots; ${world.limits.snapshotsPerDisk} is the maximum.`);
  }
  const recent = ofDisk.filter((snapshot) => snapshot.createdAtMs > world.now() - rateWindowMs);
  if (world.limits.snapshotsPerDiskPer5Minutes !== null && recent.length >= world.limits.snapshotsPerDiskPer5Minutes) {
    throw new ArmError(429, 'OperationNotAllowed', `At most ${world.limits.snapshotsPerDiskPer5Minutes} snapshots of a disk may be created in five minutes.`, { 'retry-after': '60' });
  }
}
