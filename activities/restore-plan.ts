import { HoldfastError } from '../errors/holdfast-error';
import { fromBitmap, toBitmap } from '../orchestrations/bitmap';
import { findDisk, loadRecoveryPoint } from '../vault/catalog';
import { damagedPacks } from '../vault/proof/damage-ledger';
import { loadManifest, diskTree, type ManifestDisk } from '../vault/format/manifest';
import { addNeeds, needsOfRegion, noNeeds, refuseMissing, regionsToRestore } from '../vault/transfer/restore-plan';
import { loadRoot, type VaultAccess } from '../vault/format/tree';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import { recordedMachine } from './restore-model';
import { planMachine, planSwap } from './restore-machine-plan';
import { placeOf, refuseSharedTargets, type RestorePlanning, uploadDisk } from './restore-planning';
import { assertRestoreOpen, assertUndecided, requestSchema, type RestoreDiskInput, type RestoreInput, type RestorePlan, restorePlanSchema, restoreRecords, type RestoreRequest, restoreTags } from './restore-records';
import type { RestoreTarget } from './restore-request';
import { recall, remember } from './work';

/** A restore that takes longer is given up: what it made is removed. Below six days, above which the host splits a timer. */
export const RESTORE_LIMIT_MS = 5 * 24 * 3_600_000;

/** Source: Scalability and performance targets for Blob Storage. */
const MAX_PAGE_BLOB_BYTES = 8 * 1024 ** 4;
const FOOTER_BYTES = 512;

/** What the orchestration has to know of a plan; the rest of it stays in the vault. */
export interface PlanRestoreResult {
  readonly kind: RestorePlan['kind'];
  readonly deadlineMs: number;
  readonly disks: readonly { readonly disk: number; readonly name: string; readonly sizeBytes: number; /** Bitmap of the regions that hold data. */ readonly regions: string }[];
  readonly hasMachine: boolean;
  readonly deletesOldDisks: boolean;
  readonly warnings: readonly string[];
}

/** Step 1: what is made, under which names, decided once. What runs again finds the same plan. */
export const createPlanRestore = (deps: ActivityDeps) => activity(async (input: RestoreInput): Promise<PlanRestoreResult> => {
  const vault = await deps.vault();
  await assertUndecided(vault, input);
  const plan = await remember(vault, restoreRecords.plan(input), restorePlanSchema, async () => planRestore(deps, vault, await recall(vault, restoreRecords.request(input), requestSchema)));
  const { manifest } = await loadManifest(vault, plan.recoveryPoint);
  const disks: PlanRestoreResult['disks'][number][] = [];
  for (const { disk, name, sizeBytes } of plan.disks) {
    const tree = diskTree(manifest.disks[disk] as ManifestDisk);
    const { regions, needs } = await regionsToRestore(vault, tree);
    await refuseMissing(vault, manifest, needs.missing);
    disks.push({ disk, name, sizeBytes, regions: toBitmap(regions.keys()) });
  }
  return { kind: plan.kind, deadlineMs: Date.parse(plan.deadline), disks, hasMachine: (plan.vm ?? plan.swap) !== null, deletesOldDisks: plan.swap?.keepOldDisks === false, warnings: plan.warnings };
});

export interface ProveRestoreInput extends RestoreDiskInput { /** Bitmap of the regions to look at. */ readonly regions: string }
export interface ProveRestoreResult { readonly windows: number; readonly dataBytes: number }

/** Step 2: everything that some regions of a disk need is there, before anything is made. Throws RESTORE_DAMAGED. */
export const createProveRestore = (deps: ActivityDeps) => activity(async (input: ProveRestoreInput): Promise<ProveRestoreResult> => {
  const vault = await deps.vault();
  const plan = await assertRestoreOpen(vault, input, deps.nowMs());
  return proveRegions(vault, plan.recoveryPoint, input.disk, fromBitmap(input.regions));
});

/** Throws RESTORE_DAMAGED unless everything is there that these regions of a disk need. */
export async function proveRegions(vault: VaultAccess, recoveryPoint: string, disk: number, regions: readonly number[]): Promise<ProveRestoreResult> {
  const { manifest } = await loadManifest(vault, recoveryPoint);
  const tree = diskTree(manifest.disks[disk] as ManifestDisk);
  const root = await loadRoot(vault, tree);
  const suspects = await damagedPacks(vault);
  const needs = noNeeds();
  for (const region of regions) {
    const ref = root?.children.get(region);
    if (ref) addNeeds(needs, await needsOfRegion(vault, ref, region, tree.sizeBytes, { suspects }));
  }
  await refuseMissing(vault, manifest, needs.missing);
  return { windows: needs.windows, dataBytes: needs.dataBytes };
}

/**
 * The plan of a restore: every name of what will be made, and everything looked up that could refuse it. Reads only, so it is the dry run as well.
 * Throws RECOVERY_POINT_NOT_FOUND, RECOVERY_POINT_DELETED, DISK_NOT_FOUND, DISK_AMBIGUOUS, REQUEST_INVALID, TARGET_EXISTS, TARGET_TOO_SMALL, TARGET_NOT_ALLOWED, CLOUD_SKU_UNAVAILABLE,
 * CLOUD_ACCESS_DENIED (a subscription that is not the app's), CLOUD_NOT_FOUND, CLOUD_STATE_WRONG, RESTORE_UNSUPPORTED.
 */
export async function planRestore(deps: ActivityDeps, vault: VaultAccess, request: RestoreRequest): Promise<RestorePlan> {
  const { manifest } = await loadRecoveryPoint(vault, request.recoveryPoint);
  const planning: RestorePlanning = { deps, vault, request, manifest, machine: recordedMachine(manifest), tags: restoreTags(vault, request), warnings: [] };
  const nowMs = deps.nowMs();
  const made = await planTarget(planning, request.target);
  refuseSharedTargets(made.disks);
  return {
    version: 1, restoreId: request.restoreId, recoveryPoint: manifest.id, itemId: manifest.itemId, stamp: manifest.stamp, kind: request.target.kind, plannedAt: new Date(nowMs).toISOString(),
    deadline: new Date(nowMs + RESTORE_LIMIT_MS).toISOString(), vm: null, swap: null, ...made, warnings: planning.warnings,
  };
}

type Planned = Pick<RestorePlan, 'disks'> & Partial<Pick<RestorePlan, 'vm' | 'swap'>>;

function planTarget(planning: RestorePlanning, target: RestoreTarget): Promise<Planned> {
  switch (target.kind) {
    case 'disk': return planDisk(planning, target);
    case 'vm': return planMachine(planning, target);
    case 'in-place': return planSwap(planning, target);
    case 'page-blob': return planPageBlob(planning, target);
  }
}

async function planDisk(planning: RestorePlanning, target: Extract<RestoreTarget, { kind: 'disk' }>): Promise<Planned> {
  const disk = findDisk(planning.manifest, target.disk);
  const place = placeOf(planning, target);
  return { disks: [await uploadDisk(planning, disk, place, { name: target.name, sku: target.sku, generation: target.hyperVGeneration, trusted: planning.machine.trustedLaunch !== null })] };
}

async function planPageBlob(planning: RestorePlanning, target: Extract<RestoreTarget, { kind: 'page-blob' }>): Promise<Planned> {
  const { deps, manifest, request } = planning;
  const disk = findDisk(manifest, target.disk);
  const { account, container, blob, differential } = target;
  const metadata = { holdfast_restore: request.restoreId, holdfast_recovery_point: manifest.id.replace(/[^\x20-\x7e]/g, '_') };
  const found = await deps.restoreCloud.getPageBlob({ account, container, blob });
  // A fixed VHD that Azure takes as a disk has whole MiB; one that is there keeps the size it has.
  const sizeBytes = differential && found ? found.sizeBytes : Math.ceil(disk.sizeBytes / 1024 ** 2) * 1024 ** 2;
  const where = `${account}/${container}/${blob}`;
  if (differential && !found) throw new HoldfastError('CLOUD_NOT_FOUND', `There is no page blob ${where} that could be compared; leave differential out to make it`);
  if (!differential && found && found.metadata['holdfast_restore'] !== request.restoreId) throw new HoldfastError('TARGET_EXISTS', `There is a blob ${where} already; with differential it is made equal to the recovery point`, { data: { target: where } });
  if (sizeBytes + FOOTER_BYTES > MAX_PAGE_BLOB_BYTES) throw new HoldfastError('RESTORE_UNSUPPORTED', `${disk.name} has ${disk.sizeBytes} bytes, and a page blob ${MAX_PAGE_BLOB_BYTES} at most: restore it to a disk or a file`);
  if (sizeBytes < disk.sizeBytes) throw new HoldfastError('TARGET_TOO_SMALL', `The page blob ${where} has ${sizeBytes} bytes before its footer; the disk has ${disk.sizeBytes}`, { data: { sizeBytes, neededBytes: disk.sizeBytes } });
  return { disks: [{ disk: manifest.disks.indexOf(disk), name: disk.name, lun: disk.lun, sizeBytes: disk.sizeBytes, target: { kind: 'pageBlob', account, container, blob, sizeBytes, metadata, differential } }] };
}
