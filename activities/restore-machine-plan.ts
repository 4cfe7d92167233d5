import { HoldfastError } from '../errors/holdfast-error';
import type { ManifestDisk } from '../vault/format/manifest';
import { planPresent } from './restore-present';
import type { PlannedRestoreDisk, RestorePlan, SwapPlan } from './restore-records';
import type { RestoreTarget } from './restore-request';
import { chosenDisks, isSameResource, newDiskName, placeOf, requireOffer, type RestorePlace, type RestorePlanning, uploadDisk } from './restore-planning';

/** A recorded key of the guest's own firmware cannot be brought back: what that means is told. */
const NEW_VTPM = 'The machine gets a new virtual TPM, because its content is in no recovery point: what was sealed to the old one (BitLocker keys, for instance) asks for its recovery key once';

/** A new machine from what was recorded. */
export async function planMachine(planning: RestorePlanning, target: Extract<RestoreTarget, { kind: 'vm' }>): Promise<Pick<RestorePlan, 'disks' | 'vm'>> {
  const { deps, manifest, machine, request, warnings } = planning;
  refuseConfidential(planning);
  const place = placeOf(planning, target);
  checkReferences(target, place);
  const chosen = chosenDisks(planning, target.disks);
  const os = chosen.find(({ lun }) => lun === 'os');
  if (!os) throw new HoldfastError('REQUEST_INVALID', `A machine needs its OS disk, and ${manifest.disks.some(({ lun }) => lun === 'os') ? 'it is not among the disks asked for' : `${manifest.id} has none`}`);
  const size = target.size ?? machine.size;
  if (!size || !machine.osType) throw new HoldfastError('REQUEST_INVALID', `${manifest.id} is not of a machine in Azure: what size and operating system it had is not recorded`);
  requireOffer(await deps.restoreCloud.findVmSize(place.subscriptionId, place.location, size), `machines of the size ${size}`, place);
  const id = `/subscriptions/${place.subscriptionId}/resourceGroups/${place.resourceGroup}/providers/Microsoft.Compute/virtualMachines/${target.name}`;
  const existing = await deps.restoreCloud.getVmState(id);
  if (existing && existing.tags['holdfast-restore'] !== request.restoreId) throw new HoldfastError('TARGET_EXISTS', `There is a machine ${id} already`, { data: { target: id } });
  const trusted = target.security === 'as-recorded' ? machine.trustedLaunch : null;
  if (trusted) warnings.push(NEW_VTPM);
  if (machine.trustedLaunch && !trusted) warnings.push('The machine was one of Trusted Launch and is restored as a standard one, as was asked');
  if (machine.encryptionAtHost) warnings.push('Encryption at host was on and is not switched on again: do that while the machine is deallocated');
  if (chosen.length < manifest.disks.length) warnings.push(`Disks that were not asked for are left out: ${manifest.disks.filter((disk) => !chosen.includes(disk)).map(({ name }) => name).join(', ')}`);
  const disks: PlannedRestoreDisk[] = [];
  for (const disk of chosen) disks.push(await uploadDisk(planning, disk, place, { name: newDiskName(`${target.name}-${disk.lun === 'os' ? 'os' : `lun${disk.lun}`}`, request.restoreId), sku: target.sku, generation: target.hyperVGeneration, trusted: trusted !== null }));
  const attached = (disk: ManifestDisk): { diskId: string; caching: string; writeAccelerated: boolean } => ({ diskId: idOf(disks, manifest.disks.indexOf(disk)), ...machine.attachmentOf(disk) });
  return {
    disks,
    vm: {
      id, location: place.location, zone: place.zone, availabilitySetId: availabilitySet(planning, target, place), size, osType: machine.osType, osDisk: attached(os),
      dataDisks: chosen.filter((disk) => disk !== os).map((disk) => ({ lun: Number(disk.lun), ...attached(disk) })),
      network: 'nicIds' in target.network ? { kind: 'existing', nicIds: target.network.nicIds }
        : { kind: 'new', nicName: target.network.nicName ?? `${target.name}-nic`, subnetId: target.network.subnetId, securityGroupId: target.network.securityGroupId ?? null },
      security: trusted && { type: 'TrustedLaunch', ...trusted }, diskController: machine.diskController, licenseType: machine.licenseType, plan: machine.plan, ultraDisks: machine.ultraDisks,
      tags: { ...machine.tags, ...planning.tags },
    },
  };
}

const NETWORK = '/providers/Microsoft.Network';

/** What the machine is connected to lies in its own subscription (Azure demands it), so nothing of a subscription that is not the app's is ever named. */
function checkReferences(target: Extract<RestoreTarget, { kind: 'vm' }>, { subscriptionId }: RestorePlace): void {
  const check = (field: string, id: string, type: RegExp): void => {
    const [, , of = '', , , ...rest] = id.split('/');
    if (of.toLowerCase() !== subscriptionId.toLowerCase()) throw new HoldfastError('REQUEST_INVALID', `${field}: ${id} is not in the subscription ${subscriptionId} of the machine`);
    if (!type.test(`/${rest.join('/')}`)) throw new HoldfastError('REQUEST_INVALID', `${field}: ${id} is not the id of such a resource`);
  };
  const { network, availabilitySetId } = target;
  if ('nicIds' in network) network.nicIds.forEach((id) => check('network.nicIds', id, new RegExp(`^${NETWORK}/networkInterfaces/[^/]+$`, 'i')));
  else {
    check('network.subnetId', network.subnetId, new RegExp(`^${NETWORK}/virtualNetworks/[^/]+/subnets/[^/]+$`, 'i'));
    if (network.securityGroupId) check('network.securityGroupId', network.securityGroupId, new RegExp(`^${NETWORK}/networkSecurityGroups/[^/]+$`, 'i'));
  }
  if (availabilitySetId !== undefined) check('availabilitySetId', availabilitySetId, /^\/providers\/Microsoft\.Compute\/availabilitySets\/[^/]+$/i);
}

/** As recorded where the machine comes back to its own place; elsewhere the set is another, or none. */
function availabilitySet({ machine, warnings }: RestorePlanning, target: Extract<RestoreTarget, { kind: 'vm' }>, place: RestorePlace): string | null {
  if (target.availabilitySetId !== undefined) {
    if (place.zone !== null) throw new HoldfastError('REQUEST_INVALID', `A machine is in an availability set or in a zone, not in both: say "zone": null with the set`);
    return target.availabilitySetId;
  }
  const moved = (target.subscriptionId ?? target.resourceGroup ?? target.location) !== undefined;
  if (machine.availabilitySetId !== null && (moved || place.zone !== null)) warnings.push('The availability set of the machine is left out: it belongs to its old place');
  return moved || place.zone !== null ? null : machine.availabilitySetId;
}

/** Disks of a machine that is there are exchanged for restored ones. */
export async function planSwap(planning: RestorePlanning, target: Extract<RestoreTarget, { kind: 'in-place' }>): Promise<Pick<RestorePlan, 'disks' | 'swap'>> {
  const { deps, manifest, machine, request, warnings } = planning;
  refuseConfidential(planning);
  const vmId = target.vmId ?? manifest.source.resourceId;
  if (!vmId) throw new HoldfastError('REQUEST_INVALID', `${manifest.id} is not of a machine in Azure: name one with vmId`);
  const state = await deps.restoreCloud.getVmState(vmId);
  if (!state) throw new HoldfastError('CLOUD_NOT_FOUND', `There is no machine ${vmId} whose disks could be exchanged; restore it as a new machine`, { data: { vm: vmId } });
  const present = await deps.cloud.getVm(vmId);
  const { subscriptionId, resourceGroup } = placeOfId(vmId);
  const place: RestorePlace = { subscriptionId, resourceGroup, location: present.location, zone: state.zones[0] ?? null };
  const trusted = securityOf(present.model) === 'TrustedLaunch';
  const chosen = chosenDisks(planning, target.disks);
  const disks: PlannedRestoreDisk[] = [];
  let os: SwapPlan['os'] = null;
  const data: SwapPlan['data'] = [];
  for (const disk of chosen) {
    const old = present.disks.find(({ lun }) => lun === disk.lun);
    if (!old) throw new HoldfastError('CLOUD_STATE_WRONG', `${vmId} has no disk at lun ${disk.lun} that ${disk.name} could take the place of`, { data: { vm: vmId, lun: disk.lun } });
    if (!old.managed || old.ephemeral || old.maxShares > 1) throw new HoldfastError('RESTORE_UNSUPPORTED', `${old.name} of ${vmId} is ${old.ephemeral ? 'ephemeral' : old.managed ? 'shared' : 'not a managed disk'}: it cannot be exchanged`);
    const generation = target.hyperVGeneration ?? machine.generationOf(disk) ?? (old.hyperVGeneration === 'V1' || old.hyperVGeneration === 'V2' ? old.hyperVGeneration : undefined);
    if (disk.lun === 'os' && old.hyperVGeneration && generation && old.hyperVGeneration !== generation) throw new HoldfastError('RESTORE_UNSUPPORTED', `${disk.name} is of generation ${generation} and ${vmId} of ${old.hyperVGeneration}: restore it as a new machine`);
    const name = newDiskName(disk.name, request.restoreId);
    const compared = target.differential ? await planPresent(planning, old, place, name) : undefined;
    const planned = await uploadDisk(planning, disk, place, { name, sku: target.sku ?? (old.sku || undefined), generation, trusted, present: compared });
    disks.push(planned);
    const newDiskId = idOf(disks, planned.disk);
    // A second look at a restore that is under way finds its own new disk attached: then nobody knows the old one any more.
    if (isSameResource(old.id, newDiskId)) throw new HoldfastError('CLOUD_STATE_WRONG', `${newDiskId} is attached to ${vmId} already`);
    if (disk.lun === 'os') os = { newDiskId, oldDiskId: old.id };
    else data.push({ lun: Number(disk.lun), diskId: newDiskId, oldDiskId: old.id, caching: old.caching, writeAccelerated: old.writeAccelerated });
  }
  if (trusted && os) warnings.push('The machine keeps its virtual TPM, and the restored disk was sealed to what that was then: BitLocker may ask for its recovery key once');
  if (!target.keepOldDisks) warnings.push('The disks that are exchanged are deleted once the machine runs with the restored ones');
  return { disks, swap: { vmId, wasRunning: state.power === 'running' || state.power === 'starting', os, data, keepOldDisks: target.keepOldDisks } };
}

function refuseConfidential({ machine, manifest }: RestorePlanning): void {
  if (machine.confidential) throw new HoldfastError('RESTORE_UNSUPPORTED', `${manifest.id} is of a confidential VM, whose guest state is in no recovery point: its disks can be restored as disks or files, not as a machine`);
}

function idOf(disks: readonly PlannedRestoreDisk[], disk: number): string {
  const target = disks.find((one) => one.disk === disk)?.target;
  if (target?.kind !== 'disk') throw new HoldfastError('INTERNAL', `Disk ${disk} has no new disk`);
  return target.id;
}

function placeOfId(vmId: string): { subscriptionId: string; resourceGroup: string } {
  const [, , subscriptionId = '', , resourceGroup = ''] = vmId.split('/');
  return { subscriptionId, resourceGroup };
}

function securityOf(model: Readonly<Record<string, unknown>>): string | null {
  const properties = model['properties'];
  const security = typeof properties === 'object' && properties !== null && 'securityProfile' in properties ? properties.securityProfile : null;
  return typeof security === 'object' && security !== null && 'securityType' in security && typeof security.securityType === 'string' ? security.securityType : null;
}
