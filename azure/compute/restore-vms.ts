import type { VirtualMachine } from '@azure/arm-compute';
import type { DataDiskToAttach, VmCreateRequest, VmState } from '../../activities/restore-cloud';
import { HoldfastError } from '../../errors/holdfast-error';
import { redact } from '../../errors/redact';
import { type ArmContext, askingIfThere, begin, beginDelete, type Submittable } from './context';
import { cloudError, isUnknownOutcome } from './errors';
import { isSameId } from './resource-id';
import { hasTags, isSameLocation } from './resource-match';
import { operationState } from './snapshots';
import { assertAtRest, mustFind, stateWrong } from './upload-disks';
import { attachedDisk, vmBody } from './vm-body';

/** Machines that restores make, and the exchange of their disks. */
export function restoreVmOperations(context: ArmContext) {
  const find = (vmId: string): Promise<VirtualMachine | undefined> => {
    const id = context.ids.parse(vmId, 'virtualMachines');
    return askingIfThere(`to read the machine ${vmId}`, () => context.clientFor(id.subscriptionId).virtualMachines.get(id.resourceGroup, id.name, { expand: 'instanceView' }));
  };
  const mustFindVm = async (vmId: string): Promise<VirtualMachine> => {
    const vm = await find(vmId);
    if (vm === undefined) throw new HoldfastError('CLOUD_NOT_FOUND', `There is no machine ${vmId}`, { data: { serviceCode: '' } });
    return vm;
  };
  /** Sends a change; where its fate is unknown, the machine says whether it took it. */
  const change = async (doing: string, vmId: string, submit: () => Submittable, isTaken: (vm: VirtualMachine) => boolean): Promise<'started'> => {
    try {
      await submit().submitted();
    } catch (error) {
      if (!isUnknownOutcome(error) || !isTaken(await mustFindVm(vmId))) throw cloudError(error, doing);
    }
    return 'started';
  };
  return {
    async startCreateVm(request: VmCreateRequest): Promise<'started' | 'exists'> {
      const id = context.ids.parse(request.id, 'virtualMachines');
      checkReferences(context, request);
      const existing = await find(request.id);
      if (existing !== undefined) return adopt(existing, request);
      for (const { diskId } of [request.osDisk, ...request.dataDisks]) assertAtRest(diskId, await mustFind(context, diskId));
      return begin(
        `to make the machine ${request.id}`,
        // A machine of that name that somebody makes meanwhile is never changed.
        () => context.clientFor(id.subscriptionId).virtualMachines.createOrUpdate(id.resourceGroup, id.name, vmBody(request), { ifNoneMatch: '*' }),
        async () => {
          const found = await find(request.id);
          return found !== undefined && adopt(found, request) === 'exists';
        },
      );
    },
    async getVmState(vmId: string): Promise<VmState | undefined> {
      const vm = await find(vmId);
      return vm === undefined ? undefined : stateOf(vmId, vm);
    },
    async startDeleteVm(vmId: string): Promise<'started' | 'absent'> {
      const id = context.ids.parse(vmId, 'virtualMachines');
      return beginDelete(
        `to delete the machine ${vmId}`,
        (onResponse) => context.clientFor(id.subscriptionId).virtualMachines.delete(id.resourceGroup, id.name, { onResponse }),
        async () => {
          const found = await find(vmId);
          return found !== undefined && !/^delet/i.test(found.provisioningState ?? '');
        },
      );
    },
    async startDeallocateVm(vmId: string): Promise<'started' | 'done'> {
      const id = context.ids.parse(vmId, 'virtualMachines');
      if (powerOf(await mustFindVm(vmId)) === 'deallocated') return 'done';
      return change(`to deallocate the machine ${vmId}`, vmId, () => context.clientFor(id.subscriptionId).virtualMachines.deallocate(id.resourceGroup, id.name), (vm) => powerOf(vm).startsWith('dealloc'));
    },
    async startStartVm(vmId: string): Promise<'started' | 'done'> {
      const id = context.ids.parse(vmId, 'virtualMachines');
      if (powerOf(await mustFindVm(vmId)) === 'running') return 'done';
      return change(`to start the machine ${vmId}`, vmId, () => context.clientFor(id.subscriptionId).virtualMachines.start(id.resourceGroup, id.name), (vm) => ['starting', 'running'].includes(powerOf(vm)));
    },
    async startSwapOsDisk(vmId: string, diskId: string): Promise<'started' | 'done'> {
      const id = context.ids.parse(vmId, 'virtualMachines');
      const disk = context.ids.parse(diskId, 'disks');
      const vm = await mustFindVm(vmId);
      const present = vm.storageProfile?.osDisk;
      if (isSameId(present?.managedDisk?.id, diskId)) return 'done';
      if (powerOf(vm) !== 'deallocated') throw stateWrong(`The machine ${vmId} is ${powerOf(vm)}: its OS disk is swapped only while it is deallocated`);
      if (present === undefined) throw stateWrong(`The machine ${vmId} has no OS disk`);
      assertAtRest(diskId, await mustFind(context, diskId));
      const osDisk = { createOption: present.createOption, name: disk.name, ...(present.caching === undefined ? {} : { caching: present.caching }), managedDisk: { id: diskId } };
      return change(
        `to swap the OS disk of ${vmId}`, vmId,
        // If-Match: whoever changed the machine since it was looked at is not overruled.
        () => context.clientFor(id.subscriptionId).virtualMachines.update(id.resourceGroup, id.name, { storageProfile: { osDisk } }, vm.etag === undefined ? {} : { ifMatch: vm.etag }),
        (found) => isSameId(found.storageProfile?.osDisk?.managedDisk?.id, diskId),
      );
    },
    async startDetachDataDisks(vmId: string, diskIds: readonly string[]): Promise<'started' | 'done'> {
      const id = context.ids.parse(vmId, 'virtualMachines');
      for (const diskId of diskIds) context.ids.parse(diskId, 'disks');
      const vm = await mustFindVm(vmId);
      const isOn = (machine: VirtualMachine, diskId: string): boolean => dataDisksOf(machine).some((one) => isSameId(one.diskId, diskId));
      const there = diskIds.filter((diskId) => isOn(vm, diskId));
      if (there.length === 0) return 'done';
      const body = { dataDisksToDetach: there.map((diskId) => ({ diskId })) };
      return change(`to detach disks from ${vmId}`, vmId, () => context.clientFor(id.subscriptionId).virtualMachines.attachDetachDataDisks(id.resourceGroup, id.name, body), (found) => there.every((diskId) => !isOn(found, diskId)));
    },
    async startAttachDataDisks(vmId: string, disks: readonly DataDiskToAttach[]): Promise<'started' | 'done'> {
      const id = context.ids.parse(vmId, 'virtualMachines');
      const vm = await mustFindVm(vmId);
      const isOn = (machine: VirtualMachine, disk: DataDiskToAttach): boolean => dataDisksOf(machine).some((one) => one.lun === disk.lun && isSameId(one.diskId, disk.diskId));
      const missing = disks.filter((disk) => !isOn(vm, disk));
      if (missing.length === 0) return 'done';
      for (const disk of missing) {
        const other = dataDisksOf(vm).find(({ lun }) => lun === disk.lun);
        if (other !== undefined) throw stateWrong(`LUN ${String(disk.lun)} of ${vmId} holds ${other.diskId}: it is detached first`);
        assertAtRest(disk.diskId, await mustFind(context, disk.diskId));
      }
      const body = { dataDisksToAttach: missing.map((disk) => ({ diskId: disk.diskId, ...attachedDisk(disk) })) };
      return change(`to attach disks to ${vmId}`, vmId, () => context.clientFor(id.subscriptionId).virtualMachines.attachDetachDataDisks(id.resourceGroup, id.name, body), (found) => missing.every((disk) => isOn(found, disk)));
    },
  };
}

function checkReferences({ ids }: ArmContext, request: VmCreateRequest): void {
  for (const { diskId } of [request.osDisk, ...request.dataDisks]) ids.parse(diskId, 'disks');
  if (request.availabilitySetId !== null) ids.checkReference(request.availabilitySetId, 'Microsoft.Compute', ['availabilitySets']);
  const { network } = request;
  if (network.kind === 'existing') {
    for (const nicId of network.nicIds) ids.checkReference(nicId, 'Microsoft.Network', ['networkInterfaces']);
    return;
  }
  ids.checkReference(network.subnetId, 'Microsoft.Network', ['virtualNetworks', 'subnets']);
  if (network.securityGroupId !== null) ids.checkReference(network.securityGroupId, 'Microsoft.Network', ['networkSecurityGroups']);
}

function adopt(existing: VirtualMachine, request: VmCreateRequest): 'exists' {
  const present = dataDisksOf(existing);
  const isSame = isSameId(existing.storageProfile?.osDisk?.managedDisk?.id, request.osDisk.diskId) && isSameLocation(existing.location, request.location)
    && hasTags(existing.tags, request.tags) && present.length === request.dataDisks.length
    && request.dataDisks.every((disk) => present.some((one) => one.lun === disk.lun && isSameId(one.diskId, disk.diskId)));
  if (isSame) return 'exists';
  throw new HoldfastError('TARGET_EXISTS', `There is a machine ${request.id} already, and this restore did not make it`, { data: { serviceCode: '' } });
}

const dataDisksOf = (vm: VirtualMachine): { lun: number; diskId: string }[] =>
  (vm.storageProfile?.dataDisks ?? []).map((disk) => ({ lun: disk.lun, diskId: disk.managedDisk?.id ?? '' }));

const powers = ['starting', 'running', 'stopping', 'stopped', 'deallocating', 'deallocated'] as const;

function powerOf(vm: VirtualMachine): VmState['power'] {
  const told = vm.instanceView?.statuses?.map(({ code }) => /^PowerState\/(\w+)$/i.exec(code ?? '')?.[1]?.toLowerCase()).find((power) => power !== undefined);
  return powers.find((power) => power === told) ?? 'unknown';
}

function stateOf(vmId: string, vm: VirtualMachine): VmState {
  const state = operationState(vm.provisioningState);
  const failed = vm.instanceView?.statuses?.find(({ level, code }) => level === 'Error' || /^ProvisioningState\/failed/i.test(code ?? ''));
  return {
    id: vm.id ?? vmId,
    location: vm.location,
    zones: vm.zones ?? [],
    state,
    power: powerOf(vm),
    size: vm.hardwareProfile?.vmSize ?? '',
    osDiskId: vm.storageProfile?.osDisk?.managedDisk?.id ?? '',
    dataDisks: dataDisksOf(vm),
    tags: { ...vm.tags },
    failure: state === 'failed'
      ? { serviceCode: failed?.code?.split('/').at(-1) ?? 'ProvisioningFailed', message: redact(failed?.message ?? failed?.displayStatus ?? `The machine ended in the state ${vm.provisioningState ?? ''}`) }
      : null,
  };
}
