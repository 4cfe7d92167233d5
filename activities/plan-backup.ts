import { HoldfastError } from '../errors/holdfast-error';
import { parallelism } from '../orchestrations/limits';
import { excludedDisks } from '../policy/disk-filter';
import { parsePolicy, type PolicyDocument } from '../policy/schema';
import { parseVmResourceId } from '../policy/resource-id';
import type { RunInput } from './types';
import { recordItem } from '../vault/items';
import { findParent } from '../vault/proof/damaged-points';
import type { VaultAccess } from '../vault/format/tree';
import { lookAtBlobDisks } from './blob-snapshots';
import { unreadable, type VmDescription, type VmDisk } from './cloud';
import type { ActivityDeps } from './deps';
import { encryptionWarnings } from './disk-encryption';
import { activity } from './outcome';
import { loadPolicy } from './policy-store';
import type { PlanBackupInput, PlanBackupResult } from './types';
import { assertRunOpen, type MadeSnapshot, planSchema, records, remember, type RunPlan } from './work';

/** What a backup on demand goes by when no policy covers the item. */
export const DEFAULT_POLICY = parsePolicy({ name: 'on-demand', schedule: { daily: { at: ['00:00'] } }, items: { all: true } });

/** Step 2 of a backup: freezes the set of disks, chooses the driver, and says what cannot be protected and why. */
export const createPlanBackup = (deps: ActivityDeps) => activity(async (input: PlanBackupInput): Promise<PlanBackupResult> => {
  const vault = await deps.vault();
  await assertRunOpen(vault, input, deps.nowMs());
  // A part of the plan, not of the opening: what fails after a run was opened has to be cleaned up.
  await recordItem(vault, { itemId: input.itemId, kind: 'azure-vm', name: input.vmId.slice(input.vmId.lastIndexOf('/') + 1), resourceId: input.vmId }, deps.nowMs());
  const policy = input.policy === null ? DEFAULT_POLICY : (await loadPolicy(vault.store, input.policy))?.document;
  if (!policy) throw new HoldfastError('POLICY_NOT_FOUND', `There is no policy "${input.policy}"`);
  const plan = await remember(vault, records.plan(input), planSchema, async () => {
    const { point: parent, warnings } = await findParent(vault, input.itemId, { by: 'backup', nowMs: deps.nowMs() });
    const { vm, problems } = await lookAtBlobDisks(deps.cloud, await deps.cloud.getVm(input.vmId));
    const plan = planOf(vm, policy, input, vaultTagOf(vault), deps.nowMs(), problems);
    return { ...plan, warnings: [...warnings, ...plan.warnings], parent: parent ? { id: parent.manifest.id, stamp: parent.manifest.stamp, sequence: parent.manifest.sequence, digest: parent.digest } : null };
  });
  return {
    vmName: plan.vmName, driver: plan.driver, scripts: plan.scripts !== null, warnings: plan.warnings, parallel: parallelism(plan.disks.length, policy.limits.maxParallelTransfers, plan.bandwidthMiBPerSecond), maxRunHours: policy.maxRunHours,
    disks: plan.disks.map(({ disk, name, lun, sizeBytes }) => ({ disk, name, lun, sizeBytes })),
  };
});

/**
 * Pure: the plan for a VM as it is now. `vaultTag` is the beginning of the vault's id, for the names of snapshots; `problems` says by LUN what
 * is wrong with page blobs that were looked at.
 */
export function planOf(vm: VmDescription, policy: PolicyDocument, input: PlanBackupInput, vaultTag: string, nowMs: number, problems: ReadonlyMap<string, string> = new Map()): RunPlan {
  const excluded = new Map(excludedDisks(policy, vm.disks).map(({ disk, reason }) => [disk.lun, `excluded by the policy (${reason})`]));
  const crashConsistent = policy.consistency === 'crash';
  const wanted = vm.disks.filter(({ lun }) => !excluded.has(lun));
  const hasBlobs = wanted.some(({ blobUrl, lun }) => blobUrl !== null && !problems.has(lun));
  const unfit = new Map(wanted.map((disk) => [disk.lun, unfitForAny(disk, hasBlobs, problems)] as const).filter(([, why]) => why !== null));
  const protectable = wanted.filter(({ lun }) => !unfit.has(lun));
  const warnings = [...encryptionWarnings(vm), ...wanted.flatMap(({ lun, name }) => (unfit.has(lun) ? [`Disk ${name} is not protected: ${unfit.get(lun)}`] : []))];
  if (protectable.length === 0) {
    const why = vm.disks.map(({ lun, name }) => `${name}: ${excluded.get(lun) ?? unfit.get(lun)}`).join('; ');
    throw new HoldfastError('NOTHING_TO_PROTECT', `${vm.name} has no disk that can be protected (${why || 'it has no disks'})`, { data: { vm: vm.id } });
  }
  const driver = chooseDriver(vm, policy, protectable, warnings);
  const disks = protectable.map((disk, index) => ({
    disk: index, name: disk.name, lun: disk.lun, id: disk.id, uniqueId: disk.uniqueId, sizeBytes: disk.sizeBytes, logicalSectorBytes: disk.logicalSectorBytes,
    sku: disk.sku, caching: disk.caching, hyperVGeneration: disk.hyperVGeneration, snapshotId: driver === 'diskSnapshot' ? snapshotId(vm, input, vaultTag, disk.lun) : null,
  }));
  return {
    version: 1, vmId: vm.id, vmName: vm.name, location: vm.location, osType: vm.osType, model: { ...vm.model }, slot: input.slot, policy: input.policy,
    startedAt: new Date(nowMs).toISOString(), driver, crashConsistent, failOnWeaker: policy.onWeakerConsistency === 'fail', keepBase: policy.keepBase,
    bandwidthMiBPerSecond: policy.limits.bandwidthMiBPerSecond, scripts: scriptsFor(vm, policy, driver, warnings), disks, makes: makes(vm, input, vaultTag, driver, disks),
    excludedDiskIds: vm.disks.filter(({ lun, id }) => id !== '' && !protectable.some((disk) => disk.lun === lun)).map(({ id }) => id), warnings, parent: null,
  };
}

/** Scripts are for Linux, whose file systems alone say nothing of an application: Windows has VSS, and the extension scripts of its own. */
function scriptsFor(vm: VmDescription, policy: PolicyDocument, driver: RunPlan['driver'], warnings: string[]): RunPlan['scripts'] {
  if (!policy.scripts || vm.osType !== 'Linux') return null;
  if (driver !== 'vmSnapshotExtension') return policy.scripts;
  warnings.push('The policy\'s scripts are not run: a machine with unmanaged disks has the scripts of its snapshot extension (docs/policies.md)');
  return null;
}

/** The best driver that applies, or the policy's. Says in `warnings` where it is not the best. */
function chooseDriver(vm: VmDescription, policy: PolicyDocument, disks: readonly VmDisk[], warnings: string[]): RunPlan['driver'] {
  const refuse = (why: string): HoldfastError => new HoldfastError('NOTHING_TO_PROTECT', `${vm.name} cannot be backed up with the driver ${policy.driver}: ${why}`, { data: { vm: vm.id } });
  if (disks.some(({ managed }) => !managed)) {
    if (policy.driver !== 'auto' && policy.driver !== 'vmSnapshotExtension') throw refuse('its disks are unmanaged page blobs; set driver to "auto" or "vmSnapshotExtension"');
    return 'vmSnapshotExtension';
  }
  if (policy.driver === 'vmSnapshotExtension') throw refuse('its disks are managed; set driver to "auto" or "restorePoint", with which Azure drives the same extension');
  const obstacle = disks.map((disk) => unfitForRestorePoint(disk, policy.consistency === 'crash')).find((why) => why !== null);
  if (policy.driver === 'restorePoint' && obstacle) throw refuse(obstacle);
  if (policy.driver === 'auto' && obstacle) warnings.push(`Snapshots disk by disk instead of a restore point: ${obstacle}`);
  return policy.driver === 'diskSnapshot' || obstacle ? 'diskSnapshot' : 'restorePoint';
}

/** Disks that no driver can take (azure-facts §1 and §2), or not together with the machine's others. */
function unfitForAny(disk: VmDisk, hasBlobs: boolean, problems: ReadonlyMap<string, string>): string | null {
  const problem = problems.get(disk.lun);
  if (problem !== undefined) return problem;
  if (!disk.managed && disk.blobUrl === null) return 'it is an unmanaged disk whose page blob is not known';
  if (disk.managed && hasBlobs) return 'the machine has unmanaged disks too, and no snapshot takes both';
  const why = unreadable(disk);
  if (why !== null) return why;
  if (disk.ephemeral) return 'it is ephemeral: its content lives on the host only';
  if (disk.maxShares > 1) return 'it is shared by several machines; back it up on one of them with its own tools';
  return null;
}

/** Crash-consistent restore points leave out these kinds (azure-facts §1). */
function unfitForRestorePoint(disk: VmDisk, crashConsistent: boolean): string | null {
  if (!crashConsistent) return null;
  if (disk.writeAccelerated) return `${disk.name} is write-accelerated, which a crash-consistent restore point does not take`;
  if (/^(UltraSSD|PremiumV2)/.test(disk.sku)) return `${disk.name} is of kind ${disk.sku}, which a crash-consistent restore point does not take`;
  return null;
}

/** The beginning of the vault's id, for the names of snapshots. */
export const vaultTagOf = (vault: VaultAccess): string => vault.keys.vaultId.toString('hex').slice(0, 8);

/** What the snapshots of a run are called; a snapshot's name goes on with the LUN. The sweep knows ours by them. */
export const madeNames = (itemId: string, stamp: string, vaultTag: string): { snapshotPrefix: string; collection: string; restorePoint: string } =>
  ({ snapshotPrefix: `hf-${vaultTag}-${itemId}-${stamp}-`, collection: `holdfast-${vaultTag}-${itemId}`, restorePoint: `hf-${stamp}` });

/**
 * Names follow from the vault, the item and the run's stamp alone, so that a step that runs again finds what the first one made
 * (fault 1), and never adopts what another vault or an earlier run made.
 */
const snapshotId = (vm: VmDescription, run: RunInput, vaultTag: string, lun: string): string => {
  const { subscriptionId, resourceGroup } = placeOf(vm);
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/snapshots/${madeNames(run.itemId, run.stamp, vaultTag).snapshotPrefix}${lun}`;
};

function makes(vm: VmDescription, run: RunInput, vaultTag: string, driver: RunPlan['driver'], disks: RunPlan['disks']): MadeSnapshot {
  if (driver === 'vmSnapshotExtension') return { kind: 'blobSnapshots', blobs: disks.map(({ id }) => id) };
  const { collection, restorePoint } = madeNames(run.itemId, run.stamp, vaultTag);
  if (driver === 'diskSnapshot') return { kind: 'snapshots', ids: disks.map(({ snapshotId: id }) => id ?? '') };
  return { kind: 'restorePoint', ref: { ...placeOf(vm), collection, name: restorePoint } };
}

function placeOf(vm: VmDescription): { subscriptionId: string; resourceGroup: string } {
  const place = parseVmResourceId(vm.id);
  if (!place) throw new HoldfastError('REQUEST_INVALID', `${vm.id} is not the resource id of a virtual machine`);
  return { subscriptionId: place.subscriptionId, resourceGroup: place.resourceGroup };
}
