import { toBitmap } from '../orchestrations/bitmap';
import { isHoldfastError } from '../errors/holdfast-error';
import { chooseChampions } from '../vault/transfer/champions';
import { MAX_DISK_BYTES, REGION_BYTES } from '../vault/format/format';
import { HoldfastError } from '../errors/holdfast-error';
import { damagedPacks, recordDamage } from '../vault/proof/damage-ledger';
import { findDocument } from '../vault/format/documents';
import { diskTree, findManifest, type ManifestDisk, parseRecoveryPointId } from '../vault/format/manifest';
import { type ParentSurvey, surveyParent } from '../vault/transfer/parent-survey';
import type { VaultAccess } from '../vault/format/tree';
import type { DiskRange } from '../vault/transfer/block-source';
import { type Cloud, isSnapshotKind, type SnapshotHandle } from './cloud';
import type { ActivityDeps } from './deps';
import { ACCESS_SECONDS, openRanges } from './disk-access';
import { activity } from './outcome';
import type { DiskInput, PlanDiskResult } from './types';
import { assertRunOpen, auditSchema, type DiskPlan, diskPlanSchema, planSchema, recall, records, remember, type RunSnapshot, snapshotSchema } from './work';

/** Step 4a: how a disk is backed up, and which of its regions have to be looked at. */
export const createPlanDisk = (deps: ActivityDeps) => activity(async (input: DiskInput): Promise<PlanDiskResult> => {
  const vault = await deps.vault();
  await assertRunOpen(vault, input, deps.nowMs());
  const plan = await remember(vault, records.diskPlan(input), diskPlanSchema, () => planDisk(deps, vault, input));
  return { mode: plan.mode, sizeBytes: plan.sizeBytes, regions: plan.regions, why: plan.why };
});

/** Why a disk that has a recovery point is backed up as if it had none. */
export const TREE_DAMAGED = 'the tree of the recovery point before is damaged';

type SnapshotDisk = RunSnapshot['disks'][number];

async function planDisk(deps: ActivityDeps, vault: VaultAccess, input: DiskInput): Promise<DiskPlan> {
  const run = await recall(vault, records.plan(input), planSchema);
  const snapshot = await recall(vault, records.snapshot(input), snapshotSchema);
  const planned = run.disks[input.disk];
  const disk = snapshot.disks.find((candidate) => candidate.disk === input.disk);
  if (!planned || !disk) throw new HoldfastError('INTERNAL', `The run has no disk ${input.disk}`);
  // The size that counts is that of the data behind the access: a restore point says whole GiB only.
  const { sizeBytes } = await deps.cloud.grantRead(disk.handle, ACCESS_SECONDS);
  if (sizeBytes > MAX_DISK_BYTES) throw new HoldfastError('SOURCE_TOO_LARGE', `${planned.name} has ${sizeBytes} bytes, more than ${MAX_DISK_BYTES}`);
  const point = run.parent && (await findManifest(vault, input.itemId, run.parent.stamp))?.manifest;
  const before = point?.disks.find(({ lun, name }) => lun === planned.lun && name === planned.name);
  const survey = await lookOver(deps, vault, input, before);
  const parent = survey.usable ? before : undefined;
  const noParent = before ? TREE_DAMAGED : 'there is no recovery point of this disk yet';
  const readAll = input.pass > 0 && ((await findDocument(vault, records.audit({ ...input, pass: 0 }), auditSchema))?.mismatches ?? 0) > 0;
  const base = parent ? await usableBase(deps.cloud, planned.uniqueId, disk, sizeBytes, parent, input.pass) : { handle: null, why: noParent };
  const mode = base.handle ? 'incremental' : parent ? 'compared' : 'full';
  const common = {
    version: 1 as const, sizeBytes, handle: disk.handle, readAll, avoid: [...survey.avoid], forward: [...survey.forward], lenders: parent?.lenders ?? [],
    parent: point && parent ? { root: parent.root, sizeBytes: parent.sizeBytes, sequence: point.sequence, lineage: parent.tree.lineage } : null,
  };
  if (mode === 'incremental') {
    try {
      const regions = new Set([...await regionsWithRanges(deps, disk.handle, base.handle, sizeBytes), ...survey.regions]);
      return { ...common, mode, why: base.why, regions: toBitmap(regions), base: base.handle, champions: [] };
    } catch (error) {
      if (!isHoldfastError(error, 'CLOUD_DIFF_UNSUPPORTED')) throw error;
      return { ...common, mode: 'compared', why: `the service cannot compare the snapshots: ${error.message}`, regions: allRegions(sizeBytes), base: null, champions: [] };
    }
  }
  if (mode === 'compared') return { ...common, mode, why: base.why, regions: allRegions(sizeBytes), base: null, champions: [] };
  const chosen = await chooseChampionsFor(deps, vault, input.itemId, disk);
  // What of a damaged tree can still be read serves as a champion: its sound chunks need not be stored again.
  const own = before?.root && run.parent ? [{ id: run.parent.id, root: before.root, diskBytes: before.sizeBytes }] : [];
  return {
    ...common, mode, why: base.why, regions: readAll ? allRegions(sizeBytes) : toBitmap(await regionsWithRanges(deps, disk.handle, null, sizeBytes)), base: null, champions: [...own, ...chosen],
    lenders: [...new Set([...before?.lenders ?? [], ...chosen.map(({ id }) => parseRecoveryPointId(id).itemId)])],
  };
}

/** What there is to heal and to copy forward, and whether the parent's tree can be built on. Damage that shows now is entered in the ledger. */
async function lookOver(deps: ActivityDeps, vault: VaultAccess, input: DiskInput, before: ManifestDisk | null | undefined): Promise<ParentSurvey> {
  const avoid = await damagedPacks(vault);
  if (!before) return { usable: true, avoid: [...avoid], forward: [], regions: [], found: [] };
  const survey = await surveyParent(vault, diskTree(before), { avoid, turn: input.sequence, lenders: before.lenders ?? [], thorough: input.pass > 0 });
  await recordDamage(vault, survey.found, { by: 'backup', nowMs: deps.nowMs() });
  return survey;
}

/** The snapshot that the parent's tree was made from, if it is still there and of the same disk, and why it is not used otherwise. */
async function usableBase(cloud: Cloud, uniqueId: string, disk: SnapshotDisk, sizeBytes: number, parent: ManifestDisk, pass: number): Promise<{ handle: SnapshotHandle | null; why: string }> {
  const no = (why: string): { handle: null; why: string } => ({ handle: null, why });
  if (pass > 0) return no('its first pass was refused');
  const { kind, snapshotId, familyId, uniqueId: parentUniqueId } = parent.source;
  if (!isSnapshotKind(kind) || typeof snapshotId !== 'string') return no('the recovery point before kept no base snapshot');
  if (parentUniqueId !== uniqueId) return no('the disk was replaced');
  if (parent.sizeBytes !== sizeBytes) return no(`the disk was resized from ${parent.sizeBytes} to ${sizeBytes} bytes`);
  if (typeof familyId !== 'string' || familyId !== disk.familyId) return no('the snapshots are of different families');
  if (kind === 'snapshot' && !await cloud.getSnapshot(snapshotId)) return no('the base snapshot is gone');
  return { handle: { kind, id: snapshotId }, why: 'changed since the base snapshot' };
}

/** Regions with at least one range, found without reading more than one range of each. */
async function regionsWithRanges(deps: ActivityDeps, handle: SnapshotHandle, base: SnapshotHandle | null, sizeBytes: number): Promise<number[]> {
  const rangesIn = await openRanges(deps.cloud, handle, base);
  const regions: number[] = [];
  for (let region = 0; region * REGION_BYTES < sizeBytes; region++) {
    const range: DiskRange = { offset: region * REGION_BYTES, length: Math.min(REGION_BYTES, sizeBytes - region * REGION_BYTES) };
    for await (const found of rangesIn(range)) {
      if (found.length > 0) regions.push(region);
      break;
    }
  }
  return regions;
}

const allRegions = (sizeBytes: number): string => toBitmap(Array.from({ length: Math.ceil(sizeBytes / REGION_BYTES) }, (_, region) => region));

async function chooseChampionsFor(deps: ActivityDeps, vault: VaultAccess, itemId: string, disk: SnapshotDisk): Promise<DiskPlan['champions']> {
  const renew = (): ReturnType<Cloud['grantRead']> => deps.cloud.grantRead(disk.handle, ACCESS_SECONDS);
  const source = deps.openSnapshotSource(await renew(), renew);
  try {
    return await chooseChampions(vault, source, itemId);
  } finally {
    await source.close();
  }
}
