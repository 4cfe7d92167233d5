import type { CreatedDisk } from './state';
import type { AttachedDisk, VmRecord } from './vm-state';
import type { LocalDisk, LocalVm } from './subscription-folder';
import { keyOf, sameId, type World } from './world';

/** The machines of the folder, with what was changed of them, and those that were made through the API. */
export async function listMachines(world: World): Promise<readonly LocalVm[]> {
  const inFolder = await world.folder.list();
  const images = inFolder.flatMap(({ disks }) => disks);
  const records = Object.values(world.state.vms);
  return [
    ...inFolder.map((vm) => {
      const record = records.find((one) => one.made === null && sameId(one.id, world.vmResourceId(vm)));
      return record === undefined ? vm : changedMachine(world, vm, record, images);
    }),
    ...records.flatMap((record) => (record.made === null ? [] : [madeMachine(world, record, record.made, images)])),
  ];
}

function changedMachine(world: World, vm: LocalVm, record: VmRecord, images: readonly LocalDisk[]): LocalVm {
  const { os, detached, attached } = record.now;
  const own = vm.disks.filter((disk) => !(disk.lun === 'os' && os !== null) && !detached.some((id) => sameId(id, world.diskResourceId(disk))));
  return { ...vm, record, disks: inOrder([...own, ...found(world, os === null ? attached : [os, ...attached], images)]) };
}

function madeMachine(world: World, record: VmRecord, made: NonNullable<VmRecord['made']>, images: readonly LocalDisk[]): LocalVm {
  const { os, attached } = record.now;
  const osDisk = world.state.disks[keyOf(os?.diskId ?? '')];
  return {
    record, name: record.name, folderName: '', vmId: made.vmId, createdAtMs: made.createdAtMs, tags: record.tags, osType: made.osType, vmSize: made.vmSize,
    hyperVGeneration: osDisk?.hyperVGeneration === 'V1' ? 'V1' : 'V2',
    // Nothing runs in it that could be frozen.
    consistency: 'crash',
    unmanaged: false,
    disks: inOrder(found(world, os === null ? attached : [os, ...attached], images)),
  };
}

/** The disks behind what is attached. An image that was removed from the folder meanwhile is gone from its machine as well. */
function found(world: World, attached: readonly AttachedDisk[], images: readonly LocalDisk[]): LocalDisk[] {
  return attached.flatMap((one) => {
    const created = world.state.disks[keyOf(one.diskId)];
    const { lun, caching, writeAccelerated } = one;
    if (created !== undefined) return [createdDisk(world, created, one)];
    const image = images.find((candidate) => sameId(world.diskResourceId(candidate), one.diskId));
    return image === undefined ? [] : [{ ...image, lun, caching, writeAccelerated }];
  });
}

function createdDisk(world: World, record: CreatedDisk, { lun, caching, writeAccelerated }: AttachedDisk): LocalDisk {
  return {
    resourceId: record.id, lun, name: record.name, uniqueId: record.uniqueId, fileName: record.file, path: world.store.contentPath(record.file), sizeBytes: record.dataBytes, format: 'fixed-vhd',
    createdAtMs: record.createdAtMs, sku: record.sku, caching, maxShares: 1, ephemeral: false, writeAccelerated, logicalSectorSize: record.logicalSectorSize, networkAccessPolicy: 'AllowAll',
  };
}

/** The OS disk first, then data disks by LUN. */
const inOrder = (disks: readonly LocalDisk[]): LocalDisk[] => [...disks].sort((left, right) => numberOf(left) - numberOf(right));
const numberOf = ({ lun }: LocalDisk): number => (lun === 'os' ? -1 : lun);
