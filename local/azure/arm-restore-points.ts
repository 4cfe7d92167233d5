import { randomUUID } from 'node:crypto';
import { openAccess } from './access';
import { completionPercent, copySource, plannedStall, stepStall } from './arm-snapshots';
import { sizeGB } from './arm-vms';
import { copyDisks, type CopyOrder } from './copies';
import { look } from './operations';
import type { CollectionRecord, DiskRestorePointRecord, RestorePointRecord } from './state';
import type { LocalDisk, LocalVm } from './subscription-folder';
import { ArmError, isObject, objectAt, stringAt, type ArmReply, type JsonObject } from './wire';
import { keyOf, notFound, sameId, type World } from './world';

const hourMs = 60 * 60 * 1000;
const modes = { application: 'ApplicationConsistent', 'file-system': 'FileSystemConsistent', crash: 'CrashConsistent' } as const;
const premiumV2 = ['UltraSSD_LRS', 'PremiumV2_LRS'];

/** PUT restorePoints/{name}: all disks of the VM but the excluded ones, as of one moment. */
export async function putRestorePoint(world: World, collection: CollectionRecord, id: string, body: JsonObject, apiVersion: string): Promise<ArmReply> {
  await look(world, id);
  const properties = objectAt(body, 'properties');
  const excluded = Array.isArray(properties['excludeDisks']) ? properties['excludeDisks'].flatMap((item) => (isObject(item) ? [stringAt(item, 'id') ?? ''] : [])) : [];
  const askedMode = stringAt(properties, 'consistencyMode') ?? null;
  if (askedMode !== null && askedMode !== modes.crash) {
    throw new ArmError(400, 'InvalidParameter', `The value '${askedMode}' of parameter consistencyMode is not valid: only CrashConsistent is accepted as input.`);
  }
  const vm = await world.findVm(collection.vmId);
  for (const earlier of world.restorePointsOf(collection.vmId)) await look(world, earlier.id);
  // From here to the record there is no await: of two requests at once, the second finds what the first one made.
  const existing = world.state.restorePoints[keyOf(id)];
  if (existing !== undefined) {
    const same = existing.askedMode === askedMode && [...existing.excludeDiskIds].map(keyOf).sort().join() === excluded.map(keyOf).sort().join();
    if (same) return { status: 200, body: restorePointJson(existing, false) };
    throw new ArmError(409, 'PropertyChangeNotAllowed', 'Updating properties of an existing restore point is not allowed.');
  }
  if (vm === undefined) throw notFound(collection.vmId);
  const disks = vm.disks.filter((disk) => !excluded.some((excludedId) => sameId(excludedId, world.diskResourceId(disk))));
  checkAllowed(world, vm, disks, askedMode);
  const record: RestorePointRecord = {
    id, name: id.split('/').at(-1) ?? '', collectionId: collection.id, vmId: world.vmResourceId(vm),
    excludeDiskIds: excluded, askedMode,
    sourceMetadata: { vmSize: vm.vmSize, vmId: vm.vmId, location: collection.location, hyperVGeneration: vm.hyperVGeneration, computerName: vm.name },
    reachedMode: askedMode ?? modes[vm.consistency],
    state: 'Creating', failure: null, createdAtMs: world.now(),
    disks: disks.map((disk) => newDiskRestorePoint(world, id, vm, disk)),
  };
  world.state.restorePoints[keyOf(id)] = record;
  const operation = await world.briefly(world.startOperation('createRestorePoint', id, { work: () => restorePointWork(world, record) }));
  return world.accepted(operation, apiVersion, 201, restorePointJson(record, false));
}

/** The copying behind a restore point, all disks in one pass; run again from the start when the stand-in was killed in it. */
export async function restorePointWork(world: World, record: RestorePointRecord): Promise<void> {
  const orders: CopyOrder[] = [];
  for (const disk of record.disks) orders.push({ source: await copySource(world, disk.diskId), owner: 'diskRestorePoint', incremental: true });
  record.createdAtMs = world.now();
  const copies = await copyDisks(world, orders);
  for (const [index, disk] of record.disks.entries()) disk.copy = copies[index] ?? null;
}

export async function getRestorePoint(world: World, id: string, withInstanceView: boolean): Promise<ArmReply> {
  await look(world, id);
  const record = world.state.restorePoints[keyOf(id)];
  if (record === undefined) throw notFound(id);
  if (withInstanceView) for (const disk of record.disks) disk.stall = stepStall(disk.stall);
  return { status: 200, body: restorePointJson(record, withInstanceView) };
}

export async function deleteRestorePoint(world: World, id: string, apiVersion: string): Promise<ArmReply> {
  await look(world, id);
  const record = world.state.restorePoints[keyOf(id)];
  if (record === undefined) return { status: 204 };
  refuseWhileOpen(world, record);
  if (record.state === 'Creating') throw new ArmError(409, 'OperationNotAllowed', `The restore point ${record.name} is still being created.`);
  record.state = 'Deleting';
  return world.accepted(world.startOperation('delete', id), apiVersion, 202);
}

export function refuseWhileOpen(world: World, record: RestorePointRecord): void {
  if (record.disks.some((disk) => openAccess(world, disk.id) !== undefined)) {
    throw new ArmError(409, 'DiskRestorePointUsedByCustomer', 'There is an active shared access signature outstanding for disk restore point. Call EndGetAccess before deleting the restore point.');
  }
}

export async function getDiskRestorePoint(world: World, restorePointId: string, id: string): Promise<ArmReply> {
  await look(world, restorePointId);
  const point = world.state.restorePoints[keyOf(restorePointId)];
  const disk = point?.disks.find((candidate) => sameId(candidate.id, id));
  if (point === undefined || disk === undefined) throw notFound(id);
  disk.stall = stepStall(disk.stall);
  return { status: 200, body: diskRestorePointJson(point, disk) };
}

export async function listDiskRestorePoints(world: World, restorePointId: string): Promise<ArmReply> {
  await look(world, restorePointId);
  const point = world.state.restorePoints[keyOf(restorePointId)];
  if (point === undefined) throw notFound(restorePointId);
  return { status: 200, body: { value: point.disks.map((disk) => diskRestorePointJson(point, disk)) } };
}

export function restorePointJson(record: RestorePointRecord, withInstanceView: boolean): JsonObject {
  const { sourceMetadata } = record;
  const osDisk = record.disks.find((disk) => disk.lun === 'os');
  return {
    name: record.name,
    id: record.id,
    type: 'Microsoft.Compute/restorePointCollections/restorePoints',
    properties: {
      provisioningState: record.state,
      timeCreated: new Date(record.createdAtMs).toISOString(),
      consistencyMode: record.reachedMode,
      excludeDisks: record.excludeDiskIds.map((id) => ({ id })),
      sourceMetadata: {
        vmId: sourceMetadata['vmId'] ?? null,
        location: sourceMetadata['location'] ?? null,
        hyperVGeneration: sourceMetadata['hyperVGeneration'] ?? null,
        hardwareProfile: { vmSize: sourceMetadata['vmSize'] ?? null },
        osProfile: { computerName: sourceMetadata['computerName'] ?? null },
        storageProfile: {
          ...(osDisk === undefined ? {} : { osDisk: { osType: osDisk.osType, ...sourceDisk(osDisk) } }),
          dataDisks: record.disks.filter((disk) => disk.lun !== 'os').map((disk) => ({ lun: disk.lun, ...sourceDisk(disk) })),
          diskControllerType: 'SCSI',
        },
      },
      ...(withInstanceView ? { instanceView: restorePointView(record) } : {}),
    },
  };
}

function sourceDisk(disk: DiskRestorePointRecord): JsonObject {
  return {
    name: disk.diskName,
    caching: disk.caching,
    diskSizeGB: sizeGB(disk.sizeBytes),
    writeAcceleratorEnabled: disk.writeAccelerated,
    managedDisk: { id: disk.diskId, storageAccountType: disk.sku },
    diskRestorePoint: { id: disk.id },
  };
}

function restorePointView(record: RestorePointRecord): JsonObject {
  const failed = record.failure;
  return {
    diskRestorePoints: record.disks.map((disk) => {
      const percent = completionPercent(disk);
      const done = percent === 100;
      return {
        id: disk.id,
        snapshotAccessState: done ? 'Available' : 'Pending',
        replicationStatus: {
          status: { code: done ? 'ReplicationState/succeeded' : 'ReplicationState/inProgress', level: 'Info', displayStatus: done ? 'Succeeded' : 'In progress' },
          completionPercent: percent,
        },
      };
    }),
    statuses: failed === null ? [] : [{ code: `ProvisioningState/failed/${failed.code}`, level: 'Error', displayStatus: 'Provisioning failed', message: failed.message }],
  };
}

function diskRestorePointJson(point: RestorePointRecord, disk: DiskRestorePointRecord): JsonObject {
  return {
    name: disk.name,
    id: disk.id,
    type: 'Microsoft.Compute/restorePointCollections/restorePoints/diskRestorePoints',
    properties: {
      timeCreated: new Date(point.createdAtMs).toISOString(),
      sourceResourceId: disk.diskId,
      sourceResourceLocation: point.sourceMetadata['location'] ?? null,
      ...(disk.osType === null ? {} : { osType: disk.osType, hyperVGeneration: disk.hyperVGeneration }),
      ...(disk.copy === null ? {} : { familyId: disk.copy.familyId, sourceUniqueId: disk.copy.sourceUniqueId }),
      completionPercent: completionPercent(disk),
      replicationState: completionPercent(disk) === 100 ? 'Succeeded' : 'InProgress',
      snapshotAccessState: completionPercent(disk) === 100 ? 'Available' : 'Pending',
      networkAccessPolicy: disk.networkAccessPolicy,
      publicNetworkAccess: 'Enabled',
      logicalSectorSize: disk.logicalSectorSize,
      encryption: { type: 'EncryptionAtRestWithPlatformKey' },
    },
  };
}

function newDiskRestorePoint(world: World, restorePointId: string, vm: LocalVm, disk: LocalDisk): DiskRestorePointRecord {
  const name = `${disk.name}_${randomUUID()}`;
  const id = `${restorePointId}/diskRestorePoints/${name}`;
  return {
    id, name, lun: disk.lun, diskId: world.diskResourceId(disk), diskName: disk.name, sizeBytes: disk.sizeBytes,
    caching: disk.caching, sku: disk.sku, osType: disk.lun === 'os' ? vm.osType : null,
    hyperVGeneration: disk.lun === 'os' ? vm.hyperVGeneration : null, logicalSectorSize: disk.logicalSectorSize,
    networkAccessPolicy: disk.networkAccessPolicy, writeAccelerated: disk.writeAccelerated, copy: null, stall: plannedStall(world, id),
  };
}

function checkAllowed(world: World, vm: LocalVm, disks: readonly LocalDisk[], askedMode: string | null): void {
  const ofVm = world.restorePointsOf(world.vmResourceId(vm));
  if (ofVm.some((point) => point.state === 'Creating')) {
    throw new ArmError(409, 'VMRestorePointClientError', "RestorePoint creation failed since a concurrent 'Create RestorePoint' operation was triggered on the VM.");
  }
  if (vm.unmanaged) throw new ArmError(409, 'OperationNotAllowed', 'Creation of Restore Point of a Virtual Machine with unmanaged disks is not supported.');
  if (disks.length === 0) throw new ArmError(400, 'InvalidParameter', 'A restore point needs at least one disk.');
  if (disks.some((disk) => disk.maxShares > 1)) {
    throw new ArmError(409, 'VMRestorePointClientError', 'Creation of Restore Point of a Virtual Machine with Shared disks is not supported. You may exclude this disk from the restore point via excludeDisks property.');
  }
  if (disks.some((disk) => disk.ephemeral)) throw new ArmError(409, 'OperationNotAllowed', 'Creation of Restore Point of a Virtual Machine with an ephemeral OS disk is not supported.');
  if (askedMode !== null && disks.some((disk) => disk.writeAccelerated || premiumV2.includes(disk.sku))) {
    throw new ArmError(409, 'OperationNotAllowed', 'Crash consistent restore points do not support Ultra, Premium SSD v2 or write accelerated disks. Exclude them via excludeDisks property.');
  }
  if (ofVm.length >= world.limits.restorePointsPerVm) {
    throw new ArmError(409, 'VMRestorePointClientError', `The VM has ${ofVm.length} restore points; ${world.limits.restorePointsPerVm} is the maximum. Please delete some existing restore points of this VM and then retry.`);
  }
  const recent = ofVm.filter((point) => point.createdAtMs > world.now() - hourMs);
  if (world.limits.restorePointsPerVmPerHour !== null && recent.length >= world.limits.restorePointsPerVmPerHour) {
    throw new ArmError(429, 'TooManyRequests', `At most ${world.limits.restorePointsPerVmPerHour} restore points of a VM may be created in an hour.`, { 'retry-after': '600' });
  }
}
