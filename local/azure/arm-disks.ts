import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, open, rm, truncate } from 'node:fs/promises';
import { vhdFooterBytes } from '../../vault/format/vhd-footer';
import { openAccess } from './access';
import { checkDiskOffer } from './arm-skus';
import { attachment, folderDiskJson, sizeGB } from './arm-vms';
import { appendFooter } from './copies';
import { look } from './operations';
import type { CreatedDisk } from './state';
import type { LocalVm } from './subscription-folder';
import { ArmError, numberAt, objectAt, stringAt, tagsOf, zoneOf, type ArmReply, type JsonObject } from './wire';
import { keyOf, notFound, sameId, type Snapshotlike, type World } from './world';

const gibibyte = 1024 ** 3;

/** PUT disks/{name}: an upload disk, an empty one, or one made from a snapshot or disk restore point. */
export async function putDisk(world: World, id: string, body: JsonObject, apiVersion: string): Promise<ArmReply> {
  await look(world, id);
  if ((await world.findFolderDisk(id)) !== undefined) throw new ArmError(409, 'OperationNotAllowed', `The disk ${id} is an image in the folder: the stand-in never writes to it.`);
  const properties = objectAt(body, 'properties');
  const creation = objectAt(properties, 'creationData');
  const createOption = stringAt(creation, 'createOption') ?? '';
  const existing = world.state.disks[keyOf(id)];
  if (existing !== undefined) return updateExisting(world, existing, createOption, body);
  const source = sourceOf(world, createOption, creation);
  const dataBytes = dataBytesOf(world, createOption, creation, properties, source);
  checkDiskOffer(stringAt(body, 'location') ?? 'local', stringAt(objectAt(body, 'sku'), 'name') ?? 'Standard_LRS', zoneOf(body));
  const record: CreatedDisk = {
    id, name: id.split('/').at(-1) ?? '', location: stringAt(body, 'location') ?? 'local', uniqueId: randomUUID(), createOption,
    sourceResourceId: source?.record.id ?? null, dataBytes, sku: stringAt(objectAt(body, 'sku'), 'name') ?? 'Standard_LRS',
    osType: stringAt(properties, 'osType') ?? null, hyperVGeneration: stringAt(properties, 'hyperVGeneration') ?? null,
    logicalSectorSize: numberAt(creation, 'logicalSectorSize') ?? 512, createdAtMs: world.now(), file: `disk-${randomUUID()}.vhd`,
    tags: tagsOf(body), state: 'Creating', failure: null, zone: zoneOf(body), securityType: stringAt(objectAt(properties, 'securityProfile'), 'securityType') ?? null, diskState: createOption === 'Upload' ? 'ReadyToUpload' : 'Unattached',
  };
  world.state.disks[keyOf(id)] = record;
  const operation = await world.briefly(world.startOperation('createDisk', id, { work: () => diskWork(world, record) }));
  return world.accepted(operation, apiVersion, 202, createdDiskJson(world, record));
}

/** Makes the file of a disk; run again from the start when the stand-in was killed in it. */
export async function diskWork(world: World, record: CreatedDisk): Promise<void> {
  const path = world.store.contentPath(record.file);
  const source = record.sourceResourceId === null ? undefined : world.findSnapshotlike(record.sourceResourceId);
  if (record.sourceResourceId !== null) {
    const copy = source?.record.copy;
    if (copy === null || copy === undefined) throw notFound(record.sourceResourceId);
    await rm(path, { force: true });
    await copyFile(world.store.contentPath(`${copy.id}.vhd`), path, constants.COPYFILE_FICLONE);
    await truncate(path, copy.dataBytes);
  }
  const file = await open(path, source === undefined ? 'w' : 'r+', 0o600);
  try {
    await file.truncate(record.dataBytes + vhdFooterBytes);
  } finally {
    await file.close();
  }
  // The footer of an upload disk is the client's to write: without it the disk is no VHD.
  if (record.createOption !== 'Upload') await appendFooter(path, record.dataBytes, record.uniqueId);
}

export async function getDisk(world: World, id: string): Promise<ArmReply> {
  const found = await world.findFolderDisk(id);
  if (found !== undefined) return { status: 200, body: folderDiskJson(world, found.vm, found.disk, await world.ownerOf(id)) };
  await look(world, id);
  const record = world.state.disks[keyOf(id)];
  if (record === undefined) throw notFound(id);
  return { status: 200, body: createdDiskJson(world, record, await world.ownerOf(id)) };
}

export async function listDisks(world: World, underId: string): Promise<ArmReply> {
  const value: JsonObject[] = [];
  const owners = await world.vms();
  const ownerOf = (diskId: string): LocalVm | undefined => owners.find((one) => one.disks.some((disk) => sameId(world.diskResourceId(disk), diskId)));
  for (const vm of await world.folder.list()) {
    for (const disk of vm.unmanaged ? [] : vm.disks) if (keyOf(world.diskResourceId(disk)).startsWith(`${keyOf(underId)}/`)) value.push(folderDiskJson(world, vm, disk, ownerOf(world.diskResourceId(disk))));
  }
  for (const record of Object.values(world.state.disks)) {
    if (!keyOf(record.id).startsWith(`${keyOf(underId)}/`)) continue;
    await look(world, record.id);
    if (world.state.disks[keyOf(record.id)] !== undefined) value.push(createdDiskJson(world, record, ownerOf(record.id)));
  }
  return { status: 200, body: { value } };
}

export async function patchDisk(world: World, id: string, body: JsonObject): Promise<ArmReply> {
  const record = world.state.disks[keyOf(id)];
  if (record === undefined) throw (await world.findFolderDisk(id)) === undefined ? notFound(id) : new ArmError(409, 'OperationNotAllowed', `The disk ${id} is an image in the folder.`);
  record.tags = tagsOf(body);
  world.store.save();
  return { status: 200, body: createdDiskJson(world, record, await world.ownerOf(id)) };
}

export async function deleteDisk(world: World, id: string, apiVersion: string): Promise<ArmReply> {
  if ((await world.findFolderDisk(id)) !== undefined) throw new ArmError(409, 'OperationNotAllowed', `The disk ${id} is an image in the folder: the stand-in never deletes it.`);
  await look(world, id);
  const record = world.state.disks[keyOf(id)];
  if (record === undefined) return { status: 204 };
  if (record.state === 'Creating') throw new ArmError(409, 'OperationNotAllowed', `The disk ${record.name} is still being created.`);
  const owner = await world.ownerOf(id);
  if (owner !== undefined) throw new ArmError(409, 'OperationNotAllowed', `Disk ${record.name} is attached to VM ${world.vmResourceId(owner)}.`);
  if (openAccess(world, id) !== undefined) {
    throw new ArmError(409, 'OperationNotAllowed', `There is an active shared access signature outstanding for disk ${record.name}. Call EndGetAccess before deleting the disk.`);
  }
  record.state = 'Deleting';
  return world.accepted(world.startOperation('delete', id), apiVersion, 202);
}

function createdDiskJson(world: World, record: CreatedDisk, owner?: LocalVm): JsonObject {
  const { diskState, ...managed } = attachment(world, owner);
  return {
    name: record.name,
    id: record.id,
    type: 'Microsoft.Compute/disks',
    location: record.location,
    tags: record.tags,
    ...managed,
    ...(record.zone ? { zones: [record.zone] } : {}),
    sku: { name: record.sku, tier: record.sku.split('_')[0] ?? record.sku },
    properties: {
      ...(record.osType === null ? {} : { osType: record.osType }),
      ...(record.hyperVGeneration === null ? {} : { hyperVGeneration: record.hyperVGeneration }),
      ...(record.securityType ? { securityProfile: { securityType: record.securityType } } : {}),
      creationData: {
        createOption: record.createOption,
        logicalSectorSize: record.logicalSectorSize,
        ...(record.createOption === 'Upload' ? { uploadSizeBytes: record.dataBytes + vhdFooterBytes } : {}),
        ...(record.sourceResourceId === null ? {} : { sourceResourceId: record.sourceResourceId }),
      },
      diskSizeGB: sizeGB(record.dataBytes),
      diskSizeBytes: record.dataBytes,
      uniqueId: record.uniqueId,
      timeCreated: new Date(record.createdAtMs).toISOString(),
      provisioningState: record.state,
      diskState: diskState ?? currentDiskState(world, record),
      maxShares: 1,
      networkAccessPolicy: 'AllowAll',
      publicNetworkAccess: 'Enabled',
      encryption: { type: 'EncryptionAtRestWithPlatformKey' },
    },
  };
}

/** Access that ran out by itself leaves an upload disk waiting for a new grant, and any other disk unattached. */
function currentDiskState(world: World, record: CreatedDisk): string {
  return record.diskState === 'ActiveSAS' && openAccess(world, record.id) === undefined ? 'Unattached' : record.diskState;
}

function sourceOf(world: World, createOption: string, creation: JsonObject): Snapshotlike | undefined {
  if (createOption !== 'Copy' && createOption !== 'Restore') return undefined;
  const sourceId = stringAt(creation, 'sourceResourceId');
  const source = sourceId === undefined ? undefined : world.findSnapshotlike(sourceId);
  if (sourceId === undefined || source === undefined) throw notFound(sourceId ?? 'creationData/sourceResourceId');
  if (source.state !== 'Succeeded' || source.record.copy === null || source.record.stall !== null) {
    throw new ArmError(409, 'OperationNotAllowed', `${sourceId} is not complete: no disk can be made from it yet.`);
  }
  return source;
}

function dataBytesOf(world: World, createOption: string, creation: JsonObject, properties: JsonObject, source: Snapshotlike | undefined): number {
  if (source?.record.copy !== null && source?.record.copy !== undefined) return source.record.copy.dataBytes;
  if (createOption === 'Empty') {
    const sizeGb = numberAt(properties, 'diskSizeGB');
    if (sizeGb === undefined || !Number.isInteger(sizeGb) || sizeGb < 1) throw new ArmError(400, 'InvalidParameter', `The value '${String(sizeGb)}' of parameter diskSizeGB is not valid.`);
    return sizeGb * gibibyte;
  }
  if (createOption !== 'Upload') throw new ArmError(400, 'InvalidParameter', `The stand-in knows the create options Upload, Empty, Copy and Restore, not '${createOption}'.`);
  const uploadBytes = numberAt(creation, 'uploadSizeBytes');
  if (uploadBytes === undefined || !Number.isSafeInteger(uploadBytes) || uploadBytes % 512 !== 0 || uploadBytes < world.limits.minUploadBytes || uploadBytes > 35_183_298_347_520) {
    throw new ArmError(400, 'InvalidParameter', `The value '${String(uploadBytes)}' of parameter disk.creationData.uploadSizeBytes is out of range. The value must be between '${world.limits.minUploadBytes}' and '35183298347520' bytes, inclusive, and be a multiple of 512.`);
  }
  return uploadBytes - vhdFooterBytes;
}

function updateExisting(world: World, existing: CreatedDisk, createOption: string, body: JsonObject): ArmReply {
  const sourceId = stringAt(objectAt(objectAt(body, 'properties'), 'creationData'), 'sourceResourceId');
  const uploadBytes = numberAt(objectAt(objectAt(body, 'properties'), 'creationData'), 'uploadSizeBytes');
  if ((uploadBytes !== undefined && uploadBytes !== existing.dataBytes + vhdFooterBytes) || (stringAt(body, 'location') ?? existing.location) !== existing.location) {
    throw new ArmError(409, 'PropertyChangeNotAllowed', "Changing property 'creationData' or 'location' is not allowed for existing disk.");
  }
  if (existing.createOption !== createOption || (sourceId !== undefined && !sameId(sourceId, existing.sourceResourceId ?? ''))) {
    throw new ArmError(409, 'PropertyChangeNotAllowed', "Changing property 'creationData' is not allowed for existing disk.");
  }
  existing.tags = tagsOf(body);
  world.store.save();
  return { status: 200, body: createdDiskJson(world, existing) };
}
