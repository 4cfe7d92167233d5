import { HoldfastError } from '../errors/holdfast-error';
import { fromBitmap, toBitmap } from '../orchestrations/bitmap';
import { addSlices, NOTHING_RESTORED } from '../orchestrations/restore-sums';
import { regionOf } from '../vault/transfer/backup-disk';
import { REGION_BYTES, REGION_WINDOWS, WINDOW_BYTES } from '../vault/format/format';
import { withLanes } from '../vault/transfer/lanes';
import { diskTree, loadManifest, type ManifestDisk } from '../vault/format/manifest';
import type { InnerNode } from '../vault/format/nodes';
import { refToJson } from '../vault/format/ref-json';
import { runLanes } from '../vault/transfer/transfer';
import type { Lane, LaneCompareJob } from '../vault/transfer/transfer-lane';
import { loadRoot, type VaultAccess } from '../vault/format/tree';
import { windowCount } from '../vault/transfer/window-blocks';
import type { ActivityDeps } from './deps';
import { laneStore } from './lane-store';
import { activity } from './outcome';
import { assertRestoreOpen, diskOf, type PlannedRestoreDisk, type RestorePlan, type RestoreRegionInput, restoreRecords, restoreSliceSchema } from './restore-records';
import { presentSource } from './restore-present';
import { targetSpec, withTarget } from './restore-target';
import { remember } from './work';

export interface PlanRestoreRegionResult { /** Bitmap of the region's windows that are written or compared. */ readonly windows: string }

/** Step 3b: which windows of a region have to be looked at: those that hold data in the recovery point and, where the target is not new, in the target. */
export const createPlanRestoreRegion = (deps: ActivityDeps) => activity(async (input: RestoreRegionInput): Promise<PlanRestoreRegionResult> => {
  const vault = await deps.vault();
  const plan = await assertRestoreOpen(vault, input, deps.nowMs());
  const disk = diskOf(plan, input.disk);
  const node = await nodeOf(vault, plan, disk, input.region);
  const windows = new Set(node?.children.keys() ?? []);
  if (isDifferential(disk)) {
    const start = input.region * REGION_BYTES;
    const length = Math.min(REGION_BYTES, disk.sizeBytes - start);
    await withTarget(deps, disk, async (target) => {
      for await (const range of target.listRanges({ offset: start, length })) {
        for (let at = range.offset; at < range.offset + range.length; at = (Math.floor(at / WINDOW_BYTES) + 1) * WINDOW_BYTES) windows.add(Math.floor(at / WINDOW_BYTES) - input.region * REGION_WINDOWS);
      }
    });
  }
  return { windows: toBitmap([...windows].sort((a, b) => a - b)) };
});

export interface RestoreSliceInput extends RestoreRegionInput { /** Bitmap of the region's windows of this slice. */ readonly windows: string }
export interface RestoreSliceResult {
  readonly windows: number;
  readonly writtenBytes: number;
  /** By Azure itself, out of the snapshot of the present disk. */
  readonly copiedBytes: number;
  /** Of the written ones what was equal, and what Azure refused to copy. */
  readonly refusedBytes: number;
}

/**
 * Step 3b: writes the windows of one slice, every chunk proved, zeros never written; then reads all of them back and compares them: chunks by their
 * ids, and zeros where zeros belong. Its record says that this was so.
 */
export const createRestoreSlice = (deps: ActivityDeps) => activity(async (input: RestoreSliceInput): Promise<RestoreSliceResult> => {
  const vault = await deps.vault();
  const plan = await assertRestoreOpen(vault, input, deps.nowMs());
  const disk = diskOf(plan, input.disk);
  const numbers = fromBitmap(input.windows);
  const done = await remember(vault, restoreRecords.slice(input, numbers[0] ?? 0), restoreSliceSchema, async () => {
    const node = await nodeOf(vault, plan, disk, input.region);
    const jobs = numbers.filter((number) => input.region * REGION_WINDOWS + number < windowCount(disk.sizeBytes)).map((number): LaneCompareJob => {
      const leaf = node?.children.get(number);
      return { window: input.region * REGION_WINDOWS + number, leaf: leaf ? refToJson(leaf) : null, diskBytes: disk.sizeBytes, patch: isDifferential(disk) };
    });
    const renewSink = async (): Promise<Record<string, unknown>> => ({ ...await targetSpec(deps, disk) });
    const present = await presentSource(deps, disk);
    const lanes = { factory: deps.transfer.factory, store: laneStore(deps), keys: vault.keys, sink: await renewSink(), renewSink, ...present, ...(deps.transfer.threads === undefined ? {} : { threads: deps.transfer.threads }) };
    const windows = await withLanes(lanes, (opened) => runLanes(opened, jobs, (lane, job) => fillWindow(lane, job, disk, present !== null)));
    return { version: 1 as const, ...windows.reduce(addSlices, NOTHING_RESTORED) };
  });
  return addSlices(NOTHING_RESTORED, done);
});

/** Makes a window of the target what the recovery point says, and compares it: each of the ways throws unless all of it reads back so. */
async function fillWindow(lane: Lane, job: LaneCompareJob, disk: PlannedRestoreDisk, hasPresent: boolean): Promise<RestoreSliceResult> {
  const { leaf } = job;
  const one = { windows: 1, copiedBytes: 0, refusedBytes: 0 };
  if (hasPresent) {
    const { writtenBytes, copiedBytes, refusedBytes } = await lane.assemble(job);
    return { windows: 1, writtenBytes, copiedBytes, refusedBytes };
  }
  if (job.patch) return { ...one, writtenBytes: (await lane.compare(job)).writtenBytes };
  const writtenBytes = leaf ? (await lane.read({ ...job, leaf })).plainBytes : 0;
  const { differingBytes } = await lane.compare(job);
  if (differingBytes > 0) throw new HoldfastError('TARGET_NOT_VERIFIED', `Window ${job.window} of ${disk.name} does not read back as it was written: ${differingBytes} bytes are others`, { data: { window: job.window } });
  return { ...one, writtenBytes };
}

const isDifferential = ({ target }: PlannedRestoreDisk): boolean => target.kind === 'pageBlob' && target.differential;

async function nodeOf(vault: VaultAccess, plan: RestorePlan, disk: PlannedRestoreDisk, region: number): Promise<InnerNode | null> {
  const { manifest } = await loadManifest(vault, plan.recoveryPoint);
  return regionOf(vault, await loadRoot(vault, diskTree(manifest.disks[disk.disk] as ManifestDisk)), region);
}
