import { jsonOf } from './arm-vm-create';
import { offeredSize } from './arm-skus';
import { etagOf } from './arm-vms';
import { look } from './operations';
import type { AttachedDisk, VmRecord, VmSetting } from './vm-state';
import { localLocation, type LocalVm } from './subscription-folder';
import { attachOptions, checkAttachable, checkLuns, listAt, lunOf } from './vm-disk-checks';
import { ArmError, isObject, objectAt, stringAt, tagsOf, type ArmReply, type JsonObject } from './wire';
import { keyOf, notFound, sameId, type World } from './world';

/** PATCH: tags, and another OS disk while the machine is deallocated. Anything else is refused, not passed over. */
export async function patchVm(world: World, id: string, body: JsonObject, apiVersion: string, ifMatch: string | undefined): Promise<ArmReply> {
  const { vm, record } = await settled(world, id);
  if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== etagOf(record)) throw new ArmError(412, 'ConditionNotMet', `The VM ${id} has changed: its ETag is ${etagOf(record)}.`);
  const storage = objectAt(objectAt(body, 'properties'), 'storageProfile');
  const osDisk = objectAt(storage, 'osDisk');
  const others = [...Object.keys(objectAt(body, 'properties')).filter((name) => name !== 'storageProfile'), ...Object.keys(storage).filter((name) => name !== 'osDisk')];
  if (others.length > 0) throw new ArmError(400, 'InvalidParameter', `The stand-in does not change ${others.join(', ')} of a machine.`);
  const diskId = stringAt(objectAt(osDisk, 'managedDisk'), 'id');
  const present = vm.disks.find((disk) => disk.lun === 'os');
  if (isObject(body['tags']) && record.made === null) throw new ArmError(409, 'OperationNotAllowed', `The tags of ${vm.name} stand in its vm.json.`);
  if (isObject(body['tags'])) record.tags = tagsOf(body);
  if (diskId === undefined || (present !== undefined && sameId(world.diskResourceId(present), diskId))) {
    record.version += 1;
    keep(world, record);
    return { status: 200, body: await jsonOf(world, id) };
  }
  refuseUnmanaged(vm);
  if (record.now.power !== 'deallocated') throw new ArmError(409, 'OperationNotAllowed', `The OS disk of VM ${vm.name} can be swapped only while it is deallocated.`);
  const disk = await checkAttachable(world, diskId, placeOf(id, record));
  const name = stringAt(osDisk, 'name');
  if (name !== undefined && keyOf(name) !== keyOf(diskId.split('/').at(-1) ?? '')) throw new ArmError(400, 'InvalidParameter', `The name '${name}' is not that of the disk ${diskId}.`);
  if (disk !== undefined && disk.osType !== vm.osType) throw new ArmError(409, 'OperationNotAllowed', `The OS type of disk ${disk.name}, '${disk.osType ?? 'none'}', is not that of VM ${vm.name}, '${vm.osType}'.`);
  if (disk !== undefined && (disk.hyperVGeneration ?? 'V1') !== vm.hyperVGeneration) throw new ArmError(409, 'OperationNotAllowed', `The Hypervisor Generation of disk ${disk.name} is not that of VM ${vm.name}.`);
  const os: AttachedDisk = { lun: 'os', diskId, ...attachOptions({ caching: present?.caching ?? 'None', ...osDisk }) };
  return change(world, record, { os }, apiVersion, 200);
}

/** POST deallocate or start. */
export async function setPower(world: World, id: string, power: VmSetting['power'], apiVersion: string): Promise<ArmReply> {
  const { record } = await settled(world, id);
  return change(world, record, { power }, apiVersion, 202);
}

/** POST attachDetachDataDisks: what is to go first, then what is to come. */
export async function attachDetach(world: World, id: string, body: JsonObject, apiVersion: string): Promise<ArmReply> {
  const { vm, record } = await settled(world, id);
  refuseUnmanaged(vm);
  const going = listAt(body, 'dataDisksToDetach').map((entry) => stringAt(entry, 'diskId') ?? '');
  for (const diskId of going) {
    if (!vm.disks.some((disk) => disk.lun !== 'os' && sameId(world.diskResourceId(disk), diskId))) throw new ArmError(400, 'InvalidParameter', `The disk '${diskId}' is no data disk of VM ${vm.name}.`);
  }
  const coming = listAt(body, 'dataDisksToAttach').map((entry): AttachedDisk => ({ lun: lunOf(entry), diskId: stringAt(entry, 'diskId') ?? '', ...attachOptions(entry) }));
  const isGoing = (diskId: string): boolean => going.some((one) => sameId(one, diskId));
  const staying = vm.disks.filter((disk) => disk.lun !== 'os' && !isGoing(world.diskResourceId(disk)));
  const place = placeOf(id, record);
  checkLuns([...staying, ...coming], (await offeredSize(world, place.location, vm.vmSize, null)).dataDisks);
  for (const { diskId } of coming) await checkAttachable(world, diskId, place);
  const { now } = record;
  return change(world, record, {
    attached: [...now.attached.filter(({ diskId }) => !isGoing(diskId)), ...coming],
    // Only an image that was attached as one of its own folder counts as taken off; one that came by request is simply gone from the list.
    detached: [...now.detached, ...going.filter((diskId) => !now.attached.some((one) => sameId(one.diskId, diskId)))],
  }, apiVersion, 202);
}

/** DELETE: of a machine that was made through the API. Its disks stay. */
export async function deleteVm(world: World, id: string, apiVersion: string): Promise<ArmReply> {
  await look(world, id);
  const record = world.state.vms[keyOf(id)];
  if (record === undefined || record.made === null) {
    if ((await world.findVm(id)) === undefined) return { status: 204 };
    throw new ArmError(409, 'OperationNotAllowed', `The machine ${id} is a folder of images: the stand-in never deletes it.`);
  }
  if (record.state === 'Updating' || record.state === 'Creating') throw busy(record);
  record.state = 'Deleting';
  return world.accepted(world.startOperation('delete', id), apiVersion, 202);
}

/** The machine and its record, when nothing else is being done to it. A machine of the folder gets its record with its first change. */
async function settled(world: World, id: string): Promise<{ readonly vm: LocalVm; readonly record: VmRecord }> {
  await look(world, id);
  const vm = await world.findVm(id);
  if (vm === undefined) throw notFound(id);
  if (vm.record !== null && vm.record.state !== 'Succeeded' && vm.record.state !== 'Failed') throw busy(vm.record);
  const record = vm.record ?? {
    id: world.vmResourceId(vm), name: vm.name, made: null, tags: {}, state: 'Succeeded', failure: null, before: null, version: 0,
    now: { power: 'running', os: null, detached: [], attached: [] },
  };
  return { vm, record };
}

function refuseUnmanaged(vm: LocalVm): void {
  if (vm.unmanaged) throw new ArmError(409, 'OperationNotAllowed', `VM ${vm.name} has unmanaged disks: managed disks do not mix with them.`);
}

const busy = (record: VmRecord): ArmError => new ArmError(409, 'AnotherOperationInProgress', `Another operation on the VM ${record.name} is in progress.`);

const placeOf = (vmId: string, record: VmRecord): { vmId: string; location: string; zone: string | null } =>
  ({ vmId, location: record.made?.location ?? localLocation, zone: record.made?.zone ?? null });

function keep(world: World, record: VmRecord): void {
  world.state.vms[keyOf(record.id)] = record;
  world.store.save();
}

/** Begins a change. It shows at once, as it does on Azure, and is taken back when the operation fails. */
async function change(world: World, record: VmRecord, changes: Partial<VmSetting>, apiVersion: string, status: number): Promise<ArmReply> {
  // Two requests at once: the checks above waited for files, so the second looks again.
  const present = world.state.vms[keyOf(record.id)];
  if (record.state === 'Updating' || (present !== undefined && present !== record)) throw busy(record);
  record.before = record.now;
  record.now = { ...record.now, ...changes };
  record.state = 'Updating';
  record.failure = null;
  record.version += 1;
  keep(world, record);
  const operation = world.startOperation('changeVm', record.id);
  return status === 200 ? world.accepted(operation, apiVersion, 202, await jsonOf(world, record.id)) : world.accepted(operation, apiVersion, status);
}
