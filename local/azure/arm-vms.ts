import type { LocalDisk, LocalVm } from './subscription-folder';
import { localLocation } from './subscription-folder';
import type { JsonObject } from './wire';
import type { World } from './world';

const gibibyte = 1024 ** 3;

/** Azure gives sizes in whole GiB; an image of another size is given the next one up, and exactly in diskSizeBytes. */
export function sizeGB(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / gibibyte));
}

export function vmJson(world: World, vm: LocalVm, withInstanceView: boolean): JsonObject {
  const [osDisk, ...dataDisks] = vm.disks;
  return {
    name: vm.name,
    id: world.vmResourceId(vm),
    type: 'Microsoft.Compute/virtualMachines',
    location: localLocation,
    tags: { ...vm.tags },
    properties: {
      vmId: vm.vmId,
      provisioningState: 'Succeeded',
      timeCreated: new Date(vm.createdAtMs).toISOString(),
      hardwareProfile: { vmSize: vm.vmSize },
      storageProfile: {
        ...(osDisk === undefined ? {} : { osDisk: { osType: vm.osType, ...attachedDisk(world, osDisk) } }),
        dataDisks: dataDisks.map((disk) => ({ lun: Number(disk.lun), toBeDetached: false, ...attachedDisk(world, disk) })),
        diskControllerType: 'SCSI',
      },
      osProfile: { computerName: vm.name, adminUsername: 'local', secrets: [] },
      networkProfile: { networkInterfaces: [] },
      ...(withInstanceView ? { instanceView: instanceView(vm) } : {}),
    },
  };
}

function attachedDisk(world: World, disk: LocalDisk): JsonObject {
  return {
    name: disk.name,
    createOption: 'Attach',
    caching: disk.caching,
    writeAcceleratorEnabled: disk.writeAccelerated,
    deleteOption: 'Detach',
    diskSizeGB: sizeGB(disk.sizeBytes),
    ...(disk.ephemeral ? { diffDiskSettings: { option: 'Local' } } : {}),
    managedDisk: { id: world.diskResourceId(disk), storageAccountType: disk.sku },
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
      { code: 'ProvisioningState/succeeded', level: 'Info', displayStatus: 'Provisioning succeeded' },
      { code: 'PowerState/running', level: 'Info', displayStatus: 'VM running' },
    ],
  };
}

/** The managed disk behind an image in the folder: always attached to its VM. */
export function folderDiskJson(world: World, vm: LocalVm, disk: LocalDisk): JsonObject {
  return {
    name: disk.name,
    id: world.diskResourceId(disk),
    type: 'Microsoft.Compute/disks',
    location: localLocation,
    tags: {},
    managedBy: world.vmResourceId(vm),
    sku: { name: disk.sku, tier: disk.sku.split('_')[0] ?? disk.sku },
    properties: {
      ...(disk.lun === 'os' ? { osType: vm.osType, hyperVGeneration: vm.hyperVGeneration } : {}),
      creationData: { createOption: 'Import', logicalSectorSize: disk.logicalSectorSize },
      diskSizeGB: sizeGB(disk.sizeBytes),
      diskSizeBytes: disk.sizeBytes,
      uniqueId: disk.uniqueId,
      timeCreated: new Date(disk.createdAtMs).toISOString(),
      provisioningState: 'Succeeded',
      diskState: 'Attached',
      maxShares: disk.maxShares,
      networkAccessPolicy: disk.networkAccessPolicy,
      publicNetworkAccess: disk.networkAccessPolicy === 'AllowAll' ? 'Enabled' : 'Disabled',
      encryption: { type: 'EncryptionAtRestWithPlatformKey' },
    },
  };
}
