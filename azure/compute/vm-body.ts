import type { CachingTypes, NetworkProfile, VirtualMachine } from '@azure/arm-compute';
import type { VmCreateRequest, VmNetwork } from '../../activities/restore-cloud';
import { HoldfastError } from '../../errors/holdfast-error';

/** The version of Microsoft.Network that Compute makes an interface with (NetworkApiVersion). */
const networkApiVersion = '2022-11-01';

/**
 * A machine around disks that are there already: no image, no osProfile (Azure refuses one beside an attached OS disk), so no password and no
 * script. Disks are kept when the machine is deleted; an interface that was made with it goes with it.
 */
export function vmBody(request: VmCreateRequest): VirtualMachine {
  if (request.zone !== null && request.availabilitySetId !== null) throw new HoldfastError('INTERNAL', 'A machine is in a zone or in an availability set, not in both');
  const { security } = request;
  return {
    location: request.location,
    tags: { ...request.tags },
    ...(request.zone === null ? {} : { zones: [request.zone] }),
    ...(request.plan === null ? {} : { plan: request.plan }),
    ...(request.availabilitySetId === null ? {} : { availabilitySet: { id: request.availabilitySetId } }),
    ...(request.licenseType === null ? {} : { licenseType: request.licenseType }),
    ...(request.ultraDisks ? { additionalCapabilities: { ultraSSDEnabled: true } } : {}),
    ...(security === null ? {} : { securityProfile: { securityType: security.type, uefiSettings: { secureBootEnabled: security.secureBoot, vTpmEnabled: security.vTpm } } }),
    hardwareProfile: { vmSize: request.size },
    storageProfile: {
      ...(request.diskController === null ? {} : { diskControllerType: request.diskController }),
      osDisk: { osType: request.osType, createOption: 'Attach', managedDisk: { id: request.osDisk.diskId }, deleteOption: 'Detach', ...cachingOf(request.osDisk) },
      dataDisks: request.dataDisks.map((disk) => ({ createOption: 'Attach', managedDisk: { id: disk.diskId }, ...attachedDisk(disk) })),
    },
    networkProfile: networkProfile(request.network),
  };
}

/** How a data disk is attached, whether with its machine or later. */
export const attachedDisk = (disk: { readonly lun: number; readonly caching: string; readonly writeAccelerated: boolean }) => ({
  lun: disk.lun, deleteOption: 'Detach' as const, ...cachingOf(disk),
});

function cachingOf(disk: { readonly caching: string; readonly writeAccelerated: boolean }): { caching: CachingTypes; writeAcceleratorEnabled?: true } {
  const caching = (['None', 'ReadOnly', 'ReadWrite'] as const).find((known) => known === disk.caching);
  if (caching === undefined) throw new HoldfastError('INTERNAL', `There is no caching ${JSON.stringify(disk.caching)}`);
  return { caching, ...(disk.writeAccelerated ? { writeAcceleratorEnabled: true as const } : {}) };
}

function networkProfile(network: VmNetwork): NetworkProfile {
  if (network.kind === 'existing') return { networkInterfaces: network.nicIds.map((id, index) => ({ id, primary: index === 0, deleteOption: 'Detach' })) };
  return {
    networkApiVersion,
    networkInterfaceConfigurations: [{
      name: network.nicName,
      primary: true,
      deleteOption: 'Delete',
      ...(network.securityGroupId === null ? {} : { networkSecurityGroup: { id: network.securityGroupId } }),
      ipConfigurations: [{ name: 'primary', primary: true, subnet: { id: network.subnetId } }],
    }],
  };
}
