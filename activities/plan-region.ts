import { toBitmap } from '../orchestrations/bitmap';
import { REGION_BYTES, REGION_WINDOWS, WINDOW_BYTES } from '../vault/format/format';
import { refFromJson } from '../vault/format/ref-json';
import { regionOf } from '../vault/transfer/backup-disk';
import { notingDamage } from '../vault/proof/damage-ledger';
import type { InnerNode } from '../vault/format/nodes';
import { windowsInNeed } from '../vault/transfer/parent-survey';
import { loadRoot, type VaultAccess } from '../vault/format/tree';
import { windowsOf } from '../vault/transfer/transfer';
import { windowCount } from '../vault/transfer/window-blocks';
import type { ActivityDeps } from './deps';
import { openRanges } from './disk-access';
import { activity } from './outcome';
import type { PlanRegionResult, RegionInput } from './types';
import { assertRunOpen, type DiskPlan, diskPlanSchema, recall, records, regionPlanSchema, remember } from './work';

/** Step 4b: which windows of a region have to be looked at: every page of the diff, cleared ranges too. */
export const createPlanRegion = (deps: ActivityDeps) => activity(async (input: RegionInput): Promise<PlanRegionResult> => {
  const vault = await deps.vault();
  await assertRunOpen(vault, input, deps.nowMs());
  const plan = await notingDamage(vault, deps.nowMs, () => remember(vault, records.regionPlan(input), regionPlanSchema, async () => {
    const disk = await recall(vault, records.diskPlan(input), diskPlanSchema);
    return { version: 1 as const, windows: toBitmap(await windowsToRead(deps, vault, disk, input.region)) };
  }));
  return { windows: plan.windows };
});

async function windowsToRead(deps: ActivityDeps, vault: VaultAccess, disk: DiskPlan, region: number): Promise<Iterable<number>> {
  const first = region * REGION_WINDOWS;
  if (disk.readAll) return Array.from({ length: Math.min(REGION_WINDOWS, windowCount(disk.sizeBytes) - first) }, (_, window) => window);
  const windows = new Set<number>();
  const offset = region * REGION_BYTES;
  const rangesIn = await openRanges(deps.cloud, disk.handle, disk.base);
  for await (const range of rangesIn({ offset, length: Math.min(REGION_BYTES, disk.sizeBytes - offset) })) {
    if (range.length === 0) continue;
    const touched = windowsOf(disk.sizeBytes, range);
    for (let window = touched.first; window <= touched.last; window++) windows.add(window - first);
  }
  if (disk.mode === 'compared') {
    // What the parent held and the disk no longer holds has to become zeros.
    const parent = await parentRegion(vault, disk, region);
    const end = Math.ceil(disk.sizeBytes / WINDOW_BYTES) - first;
    for (const window of parent?.children.keys() ?? []) if (window < end) windows.add(window);
  } else if (disk.mode === 'incremental' && disk.avoid.length + disk.forward.length > 0) {
    // Unchanged or not: what was damaged is healed, and what little is left of a sparse pack is copied forward.
    const needy = await windowsInNeed(vault, await parentRegion(vault, disk, region), new Set([...disk.avoid, ...disk.forward]));
    for (const window of needy) windows.add(window - first);
  }
  return windows;
}

/** The parent's node of a region, or null when the parent has none there or there is no parent. */
export async function parentRegion(vault: VaultAccess, disk: DiskPlan, region: number): Promise<InnerNode | null> {
  if (!disk.parent) return null;
  const tree = { root: disk.parent.root && refFromJson(disk.parent.root), sizeBytes: disk.parent.sizeBytes };
  return regionOf(vault, await loadRoot(vault, tree), region);
}

/** True when the tree is built anew because the disk's size is not its parent's. */
export const isFresh = (disk: DiskPlan): boolean => disk.parent !== null && disk.parent.sizeBytes !== disk.sizeBytes;
