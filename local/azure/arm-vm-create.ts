import { randomUUID } from 'node:crypto';
import { offeredSize } from './arm-skus';
import { vmJson } from './arm-vms';
import { look } from './operations';
import type { CreatedDisk } from './state';
import type { AttachedDisk, VmRecord } from './vm-state';
import { attachedDisk, checkAttachable, checkLuns, listAt, lunOf } from './vm-disk-checks';
import { ArmError, objectAt, stringAt, tagsOf, zoneOf, type ArmReply, type JsonObject } from './wire';
import { keyOf, sameId, type World } from './world';

/** Members of properties that the stand-in keeps and gives back, and does nothing with. */
const keptMembers = ['availabilitySet', 'licenseType', 'additionalCapabilities', 'securityProfile', 'diagnosticsProfile'];

/** PUT virtualMachines/{name}: a machine around disks that are there already, with the checks that Azure makes. It is never changed so. */
export async function putVm(world: World, id: string, body: JsonObject, apiVersion: string, ifNoneMatch: string | undefined): Promise<ArmReply> {
  await look(world, id);
  if ((await world.findVm(id)) !== undefined) throw taken(id, ifNoneMatch);
  const properties = objectAt(body, 'properties');
  const storage = objectAt(properties, 'storageProfile');
  const place = { vmId: id, location: stringAt(body, 'location') ?? '', zone: zoneOf(body) };
  const vmSize = stringAt(objectAt(properties, 'hardwareProfile'), 'vmSize') ?? '';
  const size = await offeredSize(world, place.location, vmSize, place.zone);
  if (properties['osProfile'] !== undefined) throw new ArmError(400, 'InvalidParameter', "Parameter 'osProfile' is not allowed.");
  if (place.zone !== null && properties['availabilitySet'] !== undefined) throw new ArmError(400, 'BadRequest', 'Virtual Machine cannot be created because both Availability Zone and Availability Set were specified.');
  const os = attachedDisk(objectAt(storage, 'osDisk'), 'os');
  const attached = listAt(storage, 'dataDisks').map((entry): AttachedDisk => attachedDisk(entry, lunOf(entry)));
  checkLuns(attached, size.dataDisks);
  const osDisk = await checkAttachable(world, os.diskId, place);
  for (const { diskId } of attached) await checkAttachable(world, diskId, place);
  const osType = stringAt(objectAt(storage, 'osDisk'), 'osType');
  if (osType !== 'Linux' && osType !== 'Windows') throw new ArmError(400, 'InvalidParameter', "Required parameter 'osDisk.osType' is missing (null).");
  if (osDisk !== undefined) checkBoot(osDisk, objectAt(properties, 'securityProfile'), size.generations);
  const nicIds = interfacesOf(world, id, objectAt(properties, 'networkProfile'));
  checkQuota(world);
  // From here to the record there is no await: of two requests at once, the second finds what the first one made.
  if (world.state.vms[keyOf(id)] !== undefined) throw taken(id, ifNoneMatch);
  const plan = objectAt(body, 'plan');
  const record: VmRecord = {
    id, name: id.split('/').at(-1) ?? '', tags: tagsOf(body), state: 'Creating', failure: null, version: 1, before: null,
    now: { power: 'running', os, detached: [], attached },
    made: {
      location: place.location, zone: place.zone, vmId: randomUUID(), vmSize, osType, createdAtMs: world.now(), nicIds,
      plan: Object.keys(plan).length === 0 ? null : plan, properties: Object.fromEntries(keptMembers.flatMap((member) => (properties[member] === undefined ? [] : [[member, properties[member]]]))),
    },
  };
  world.state.vms[keyOf(id)] = record;
  const operation = world.startOperation('changeVm', id);
  return world.accepted(operation, apiVersion, 201, await jsonOf(world, id));
}

export async function jsonOf(world: World, id: string): Promise<JsonObject> {
  const vm = await world.findVm(id);
  return vm === undefined ? {} : vmJson(world, vm, false);
}

function taken(id: string, ifNoneMatch: string | undefined): ArmError {
  if (ifNoneMatch === '*') return new ArmError(412, 'PreconditionFailed', `The VM ${id} exists.`);
  return new ArmError(409, 'PropertyChangeNotAllowed', `The VM ${id} exists: the stand-in changes machines by PATCH and by its actions only.`);
}

/** What must fit for a machine to start from a disk. */
function checkBoot(osDisk: CreatedDisk, security: JsonObject, generations: string): void {
  if (osDisk.osType === null) throw new ArmError(400, 'BadRequest', `Disk ${osDisk.name} has no osType: it cannot be an OS disk.`);
  const generation = osDisk.hyperVGeneration ?? 'V1';
  if (!generations.split(',').includes(generation)) throw new ArmError(400, 'BadRequest', `The selected VM size cannot boot Hypervisor Generation '${generation}'.`);
  const wanted = stringAt(security, 'securityType') ?? null;
  if (wanted === (osDisk.securityType ?? null)) return;
  throw new ArmError(400, 'BadRequest', `Security type '${wanted ?? 'Standard'}' of the VM does not match that of its OS disk, '${osDisk.securityType ?? 'Standard'}'.`);
}

function interfacesOf(world: World, vmId: string, network: JsonObject): string[] {
  const existing = listAt(network, 'networkInterfaces').map((one) => stringAt(one, 'id') ?? '');
  const made = listAt(network, 'networkInterfaceConfigurations');
  if ((existing.length > 0) === (made.length > 0)) throw new ArmError(400, 'InvalidParameter', "Virtual machine needs either 'networkInterfaces' or 'networkInterfaceConfigurations'.");
  if (made.length > 0 && stringAt(network, 'networkApiVersion') === undefined) throw new ArmError(400, 'InvalidParameter', "Required parameter 'networkApiVersion' is missing (null).");
  const group = vmId.slice(0, vmId.toLowerCase().indexOf('/providers/'));
  const ids = [...existing, ...made.map((one) => {
    const subnet = listAt(objectAt(one, 'properties'), 'ipConfigurations').map((address) => stringAt(objectAt(objectAt(address, 'properties'), 'subnet'), 'id'));
    if (subnet.length === 0 || subnet.includes(undefined)) throw new ArmError(400, 'InvalidParameter', "Required parameter 'ipConfiguration.subnet' is missing (null).");
    return `${group}/providers/Microsoft.Network/networkInterfaces/${stringAt(one, 'name') ?? ''}`;
  })];
  const used = Object.values(world.state.vms).find((vm) => vm.made?.nicIds.some((nic) => ids.some((id) => sameId(id, nic))));
  if (used !== undefined) throw new ArmError(400, 'NicInUse', `Network Interface is used by existing VM ${used.id}.`);
  return ids;
}

function checkQuota(world: World): void {
  const made = Object.values(world.state.vms).filter((vm) => vm.made !== null).length;
  if (world.limits.machinesMade === null || made < world.limits.machinesMade) return;
  throw new ArmError(409, 'OperationNotAllowed', `Operation could not be completed as it results in exceeding approved Total Regional Cores quota. Current limit: ${world.limits.machinesMade} machines.`);
}
