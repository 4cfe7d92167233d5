import { HoldfastError } from '../errors/holdfast-error';
import { fromBitmap } from '../orchestrations/bitmap';
import { finishDisk } from '../vault/transfer/backup-disk';
import type { BlobRef } from '../vault/format/blob';
import { notingDamage } from '../vault/proof/damage-ledger';
import { parseDocument } from '../vault/format/documents';
import { REGION_WINDOWS } from '../vault/format/format';
import { refFromJson, refToJson } from '../vault/format/ref-json';
import { recordReferences, type RecordEntry, type ReferencesPlace, referencesPlace, regionName } from '../vault/points/references';
import { finishRegion } from '../vault/transfer/transfer';
import type { LaneResult } from '../vault/transfer/transfer-lane';
import { addStats, emptyStats, type TransferStats } from '../vault/transfer/transfer-types';
import { loadRoot, type VaultAccess } from '../vault/format/tree';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import { isFresh, parentRegion } from './plan-region';
import type { DiskInput, RegionInput } from './types';
import { assertRunOpen, diskDoneSchema, type DiskPlan, diskPlanSchema, recall, records as recordNames, regionDoneSchema, regionPlanSchema, remember, sliceSchema } from './work';

/** References are recorded for each pass apart: the pass that is committed is the one the manifest's roots come from. */
export const placeOf = (input: DiskInput, disk: DiskPlan): ReferencesPlace => referencesPlace(input, input.disk, input.pass, disk.parent);

/** Step 4d: builds a region's node from its slices' records. Fails loudly when a window of the plan is in none of them. */
export const createFinishRegion = (deps: ActivityDeps) => activity(async (input: RegionInput): Promise<TransferStats> => {
  const vault = await deps.vault();
  await assertRunOpen(vault, input, deps.nowMs());
  const done = await notingDamage(vault, deps.nowMs, () => remember(vault, recordNames.regionDone(input), regionDoneSchema, async () => {
    const disk = await recall(vault, recordNames.diskPlan(input), diskPlanSchema);
    const plan = await recall(vault, recordNames.regionPlan(input), regionPlanSchema);
    const { windows, stats } = await collectSlices(vault, input);
    assertComplete(input, fromBitmap(plan.windows), windows);
    const built = await finishRegion(vault, input.region, disk.sizeBytes, await parentRegion(vault, disk, input.region), isFresh(disk), windows);
    const { ref, record } = await recordReferences(vault, placeOf(input, disk), regionName(input.region), built);
    stats.storedBytes += built.storedBytes;
    return { version: 1 as const, stats, record, ref: ref === null || ref === 'same' ? ref : refToJson(ref) };
  }));
  return done.stats;
});

async function collectSlices(vault: VaultAccess, input: RegionInput): Promise<{ windows: LaneResult[]; stats: TransferStats }> {
  const windows: LaneResult[] = [];
  const stats = emptyStats();
  for await (const { name } of vault.store.list(`${recordNames.regionFolder(input)}/s`)) {
    const slice = parseDocument(vault, name, await vault.store.read(name), sliceSchema);
    windows.push(...slice.windows);
    addStats(stats, slice.stats);
  }
  return { windows, stats };
}

function assertComplete(input: RegionInput, planned: readonly number[], windows: readonly LaneResult[]): void {
  const found = windows.map(({ window }) => window - input.region * REGION_WINDOWS).sort((a, b) => a - b);
  const same = found.length === planned.length && found.every((window, index) => window === planned[index]);
  if (!same) throw new HoldfastError('INTERNAL', `Region ${input.region} of disk ${input.disk} has ${found.length} windows transferred, ${planned.length} planned`);
}

/** Step 4e: builds the root from the regions' records. */
export const createFinishDisk = (deps: ActivityDeps) => activity(async (input: DiskInput): Promise<TransferStats> => {
  const vault = await deps.vault();
  await assertRunOpen(vault, input, deps.nowMs());
  const done = await notingDamage(vault, deps.nowMs, () => remember(vault, recordNames.diskDone(input), diskDoneSchema, async () => {
    const disk = await recall(vault, recordNames.diskPlan(input), diskPlanSchema);
    const stats = emptyStats();
    const regions = new Map<number, BlobRef | 'same' | null>();
    const records: RecordEntry[] = [];
    for (const region of fromBitmap(disk.regions)) {
      const built = await recall(vault, recordNames.regionDone({ ...input, region }), regionDoneSchema);
      addStats(stats, built.stats);
      regions.set(region, built.ref === null || built.ref === 'same' ? built.ref : refFromJson(built.ref));
      if (built.record) records.push(built.record);
    }
    const parent = disk.parent && { root: disk.parent.root && refFromJson(disk.parent.root), sizeBytes: disk.parent.sizeBytes };
    const root = await finishDisk(vault, disk.sizeBytes, parent, parent && await loadRoot(vault, parent), regions, placeOf(input, disk));
    stats.storedBytes += root.storedBytes;
    return { version: 1 as const, mode: disk.mode, stats, records: [...records, ...root.records], root: root.ref && refToJson(root.ref) };
  }));
  return done.stats;
});
