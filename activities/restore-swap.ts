import { HoldfastError } from '../errors/holdfast-error';
import { resourceIdKey } from '../policy/resource-id';
import type { ActivityDeps } from './deps';
import type { VmState } from './restore-cloud';
import type { SwapPlan, TargetStatus } from './restore-records';

const isSameResource = (a: string, b: string): boolean => resourceIdKey(a) === resourceIdKey(b);

/**
 * Takes a machine one step towards its new disks, or back to its old ones: deallocate, exchange the OS disk, take data disks off, put the others on, start again if
 * it ran. Looks at the machine each time, so it may run twice and be broken off anywhere. Throws CLOUD_STATE_WRONG when the
 * machine has a disk in place that is neither the old nor the new one: somebody else works on it.
 */
export async function driveSwap(deps: ActivityDeps, swap: SwapPlan, towards: 'new' | 'old'): Promise<TargetStatus['state']> {
  const { restoreCloud } = deps;
  const state = await restoreCloud.getVmState(swap.vmId);
  if (!state) {
    if (towards === 'old') return 'ready';
    throw new HoldfastError('CLOUD_NOT_FOUND', `The machine ${swap.vmId} is gone: it was deleted while its disks were restored`, { data: { vm: swap.vmId } });
  }
  if (state.state === 'running' || ['starting', 'stopping', 'deallocating'].includes(state.power)) return 'running';
  const wantedOs = swap.os && (towards === 'new' ? swap.os.newDiskId : swap.os.oldDiskId);
  const data = swap.data.map((disk) => ({ lun: disk.lun, caching: disk.caching, writeAccelerated: disk.writeAccelerated, diskId: towards === 'new' ? disk.diskId : disk.oldDiskId, other: towards === 'new' ? disk.oldDiskId : disk.diskId }));
  const present = (lun: number): string | undefined => state.dataDisks.find((one) => one.lun === lun)?.diskId;
  refuseForeign(swap, state);
  const osOpen = wantedOs !== null && !isSameResource(state.osDiskId, wantedOs);
  const leaving = data.filter(({ lun, other }) => isSameResource(present(lun) ?? '', other));
  const coming = data.filter(({ lun, diskId }) => !isSameResource(present(lun) ?? '', diskId));
  if (!osOpen && coming.length === 0) {
    if (!swap.wasRunning || state.power === 'running') return 'ready';
    return await restoreCloud.startStartVm(swap.vmId) === 'done' ? 'ready' : 'running';
  }
  if (state.power !== 'deallocated') await restoreCloud.startDeallocateVm(swap.vmId);
  else if (osOpen) await restoreCloud.startSwapOsDisk(swap.vmId, wantedOs);
  else if (leaving.length > 0) await restoreCloud.startDetachDataDisks(swap.vmId, leaving.map(({ other }) => other));
  else await restoreCloud.startAttachDataDisks(swap.vmId, coming.map(({ lun, diskId, caching, writeAccelerated }) => ({ lun, diskId, caching, writeAccelerated })));
  return 'running';
}

function refuseForeign(swap: SwapPlan, state: VmState): void {
  const places = [
    ...(swap.os ? [{ what: 'OS disk', present: state.osDiskId, ours: [swap.os.newDiskId, swap.os.oldDiskId] }] : []),
    ...swap.data.map(({ lun, diskId, oldDiskId }) => ({ what: `disk at lun ${lun}`, present: state.dataDisks.find((one) => one.lun === lun)?.diskId ?? diskId, ours: [diskId, oldDiskId] })),
  ];
  for (const { what, present, ours } of places) {
    if (!ours.some((id) => isSameResource(id, present))) throw new HoldfastError('CLOUD_STATE_WRONG', `The ${what} of ${swap.vmId} is ${present}, which is neither the old nor the restored one: somebody else works on the machine`, { data: { vm: swap.vmId } });
  }
}
