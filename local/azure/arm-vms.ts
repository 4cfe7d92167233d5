import type { LocalDisk, LocalVm } from './subscription-folder';
import type { VmRecord } from './vm-state';
import { localLocation } from './subscription-folder';
import type { JsonObject } from './wire';
import { vhdBlobUrl } from './vhd-blobs';
import type { World } from './world';

const gibibyte = 1024 ** 3;

/** Azure gives sizes in whole GiB; an image of another size is given the next one up, and exactly in diskSizeBytes. */
export function sizeGB(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / gibibyte));
}

export function vmJson(world: World, vm: LocalVm, withInstanceView: boolean): JsonObject {
  const osDisk = vm.disks.find((disk) => disk.lun === 'os');
  const dataDisks = vm.disks.filter((disk) => disk.lun !== 'os');
  const made = vm.record?.made ?? undefined;
  return {
    name: vm.name,
    id: world.vmResourceId(vm),
    type: 'Microsoft.Compute/virtualMachines',
    location: made?.location ?? localLocation,
    tags: { ...vm.tags },
    etag: etagOf(vm.record),
    ...(made?.zone ? { zones: [made.zone] } : {}),
    ...(made?.plan ? { plan: made.plan } : {}),
    properties: {
      vmId: vm.vmId,
      provisioningState: vm.record?.state ?? 'Succeeded',
      timeCreated: new Date(vm.createdAtMs).toISOString(),
      hardwareProfile: { vmSize: vm.vmSize },
      storageProfile: {
        ...(osDisk === undefined ? {} : { osDisk: { osType: vm.osType, ...attachedDisk(world, vm, osDisk) } }),
        dataDisks: dataDisks.map((disk) => ({ lun: Number(disk.lun), toBeDetached: false, ...attachedDisk(world, vm, disk) })),
        diskControllerType: 'SCSI',
      },
      ...(made === undefined
        ? { osProfile: { computerName: vm.name, adminUsername: 'local', secrets: [] }, networkProfile: { networkInterfaces: [] } }
        : { ...made.properties, networkProfile: { networkInterfaces: made.nicIds.map((id, index) => ({ id, properties: { primary: index === 0 } })) } }),
      ...(withInstanceView ? { instanceView: instanceView(vm) } : {}),
    },
  };
}

function attachedDisk(world: World, vm: LocalVm, disk: LocalDisk): JsonObject {
  return {
    name: disk.name,
    createOption: 'Attach',
    caching: disk.caching,
    writeAcceleratorEnabled: disk.writeAccelerated,
    deleteOption: 'Detach',
    diskSizeGB: sizeGB(disk.sizeBytes),
    ...(disk.ephemeral ? { diffDiskSettings: { option: 'Local' } } : {}),
    ...(vm.unmanaged ? { vhd: { uri: vhdBlobUrl(world, disk) } } : { managedDisk: { id: world.diskResourceId(disk), storageAccountType: disk.sku } }),
  };
}

/** Only a VM that vm.json says can be frozen has an agent that could do it. */
function instanceView(vm: LocalVm): JsonObject {
  const ready = vm.consistency !== 'crash';
  return {
    computerName: vm.name,
    osName: vm.osType,
    hyperVGeneration: vm.hyperVGeneration,
    ...(ready ? { vmAgent: { vmAgentVersion: '1.0', statuses: [{ code: 'ProvisioningState/succeeded', level: 'Info', displayStatus: 'Ready' }], extensionHandlers: [] } } : {}),
    statuses: [
      provisioningStatus(vm.record),
      { code: `PowerState/${powerOf(vm.record)}`, level: 'Info', displayStatus: `VM ${powerOf(vm.record)}` },
    ],
  };
}

/** Names the state of a machine's JSON, for If-Match. */
export const etagOf = (record: VmRecord | null): string => `"${String(record?.version ?? 0)}"`;

function provisioningStatus(record: VmRecord | null): JsonObject {
  const failure = record?.failure ?? null;
  if (failure !== null) return { code: `ProvisioningState/failed/${failure.code}`, level: 'Error', displayStatus: 'Provisioning failed', message: failure.message };
  if (record?.state === 'Updating' || record?.state === 'Creating') return { code: 'ProvisioningState/updating', level: 'Info', displayStatus: 'Updating' };
  return { code: 'ProvisioningState/succeeded', level: 'Info', displayStatus: 'Provisioning succeeded' };
}

export function powerOf(record: VmRecord | null): 'running' | 'deallocated' | 'starting' | 'deallocating' {
  if (record === null) return 'running';
  const { power } = record.now;
  const isChanging = record.state === 'Creating' || (record.before !== null && record.before.power !== power);
  if (!isChanging) return power;
  return power === 'running' ? 'starting' : 'deallocating';
}

/** What a disk tells of the machine that has it: Reserved is what Azure calls a disk of a deallocated one. */
export function attachment(world: World, owner: LocalVm | undefined): { readonly managedBy?: string; readonly diskState: string | null } {
  if (owner === undefined) return { diskState: null };
  return { managedBy: world.vmResourceId(owner), diskState: powerOf(owner.record) === 'deallocated' ? 'Reserved' : 'Attached' };
}

/** The managed disk behind an image in the folder: attached to its VM, unless it was taken off it through the API. */
export function folderDiskJson(world: World, vm: LocalVm, disk: LocalDisk, owner: LocalVm | undefined): JsonObject {
  const { diskState, ...managed } = attachment(world, owner);
  return {
    name: disk.name,
    id: world.diskResourceId(disk),
    type: 'Microsoft.Compute/disks',
    location: localLocation,
    tags: {},
    ...managed,
    sku: { name: disk.sku, tier: disk.sku.split('_')[0] ?? disk.sku },
    properties: {
      ...(disk.lun === 'os' ? { osType: vm.osType, hyperVGeneration: vm.hyperVGeneration } : {}),
      creationData: { createOption: 'Import', logicalSectorSize: disk.logicalSectorSize },
      diskSizeGB: sizeGB(disk.sizeBytes),
      diskSizeBytes: disk.sizeBytes,
      uniqueId: disk.uniqueId,
      timeCreated: new Date(disk.createdAtMs).toISOString(),
      provisioningState: 'Succeeded',
      diskState: diskState ?? 'Unattached',
      maxShares: disk.maxShares,
      networkAccessPolicy: disk.networkAccessPolicy,
      publicNetworkAccess: disk.networkAccessPolicy === 'AllowAll' ? 'Enabled' : 'Disabled',
      encryption: { type: 'EncryptionAtRestWithPlatformKey' },
    },
  };
}
