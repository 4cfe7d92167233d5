import { fromBitmap } from '../orchestrations/bitmap';
import { parallelism } from '../orchestrations/limits';
import type { DiskRange } from '../vault/transfer/block-source';
import { REGION_WINDOWS, WINDOW_BYTES } from '../vault/format/format';
import { notingDamage, recordDamage } from '../vault/proof/damage-ledger';
import { withLanes } from '../vault/transfer/lanes';
import { damageOfLanes } from '../vault/transfer/parent-survey';
import { transferSlice, windowJobs, windowsOf } from '../vault/transfer/transfer';
import type { Spec } from '../vault/transfer/transfer-factory';
import type { LaneJob } from '../vault/transfer/transfer-lane';
import type { TransferStats } from '../vault/transfer/transfer-types';
import type { VaultAccess } from '../vault/format/tree';
import type { AccessUrl } from './cloud';
import type { ActivityDeps } from './deps';
import { ACCESS_SECONDS, openRanges } from './disk-access';
import { laneStore } from './lane-store';
import { activity } from './outcome';
import { isFresh, parentRegion } from './plan-region';
import type { TransferSliceInput } from './types';
import { assertRunOpen, type DiskPlan, diskPlanSchema, planSchema, recall, records, remember, sliceSchema } from './work';

/** A slice that changes less than this is done by one thread: starting more costs more than it gains. */
const ONE_THREAD_BYTES = 32 * 1024 * 1024;

/**
 * Step 4c: reads, cuts, compresses, encrypts and stores the windows of one slice. Asks for access itself, and again when it expires.
 * Its references go into the slice's record; only counts go back.
 */
export const createTransferSlice = (deps: ActivityDeps) => activity(async (input: TransferSliceInput): Promise<TransferStats> => {
  const vault = await deps.vault();
  await assertRunOpen(vault, input, deps.nowMs());
  const windows = fromBitmap(input.windows).map((window) => input.region * REGION_WINDOWS + window);
  const name = records.slice(input, (windows[0] ?? 0) % REGION_WINDOWS);
  const record = await notingDamage(vault, deps.nowMs, () => remember(vault, name, sliceSchema, async () => {
    const disk = await recall(vault, records.diskPlan(input), diskPlanSchema);
    const jobs = await planJobs(deps, vault, disk, input.region, windows);
    const grant = (): Promise<AccessUrl> => deps.cloud.grantRead(disk.handle, ACCESS_SECONDS);
    const toSpec = ({ url, sizeBytes }: AccessUrl): Spec => ({ kind: 'snapshot', url, sizeBytes });
    const known = jobs.every(({ ranges }) => ranges !== null) ? jobs.reduce((sum, { ranges }) => sum + (ranges ?? []).reduce((bytes, { length }) => bytes + length, 0), 0) : Infinity;
    const outcome = await withLanes({
      factory: deps.transfer.factory, store: laneStore(deps), keys: vault.keys, source: toSpec(await grant()), renew: async () => toSpec(await grant()),
      champions: disk.champions, avoid: disk.avoid, forward: disk.forward, readBytesPerSecond: await bandwidthShare(vault, input), ...threadsFor(deps, known),
    }, (lanes) => transferSlice(lanes, jobs));
    await recordDamage(vault, damageOfLanes(outcome.windows), { by: 'backup', nowMs: deps.nowMs() });
    deps.telemetry.measure('holdfast.transfer.read', outcome.stats.readBytes, { item: input.itemId });
    deps.telemetry.measure('holdfast.transfer.stored', outcome.stats.storedBytes, { item: input.itemId });
    return { version: 1 as const, stats: outcome.stats, windows: outcome.windows.map(({ window, leaf, usage, hooks, stats, parentLost }) => ({ window, leaf, usage: [...usage], hooks: [...hooks], stats, parentLost })) };
  }));
  return record.stats;
});

/**
 * This transfer's share of the run's bandwidth. All that may run at once share it evenly, so the limit holds wherever they run; when fewer run
 * than could, some of it is left unused.
 */
async function bandwidthShare(vault: VaultAccess, input: TransferSliceInput): Promise<number | null> {
  const { bandwidthMiBPerSecond, disks } = await recall(vault, records.plan(input), planSchema);
  if (bandwidthMiBPerSecond === null) return null;
  const atOnce = parallelism(disks.length, input.parallelTransfers, bandwidthMiBPerSecond);
  return (bandwidthMiBPerSecond * 1024 * 1024) / (atOnce.disks * atOnce.regions * atOnce.transfers);
}

function threadsFor(deps: ActivityDeps, changedBytes: number): { threads?: number } {
  if (deps.transfer.threads === 0) return { threads: 0 };
  if (changedBytes <= ONE_THREAD_BYTES) return { threads: 1 };
  return deps.transfer.threads === undefined ? {} : { threads: deps.transfer.threads };
}

/** The slice's windows with their ranges. In a comparison everything is read; else the ranges of the diff, or of the data. */
async function planJobs(deps: ActivityDeps, vault: VaultAccess, disk: DiskPlan, region: number, windows: readonly number[]): Promise<LaneJob[]> {
  const parent = await parentRegion(vault, disk, region);
  const fresh = isFresh(disk);
  if (disk.mode === 'compared' || disk.readAll) return windowJobs(parent, disk.sizeBytes, fresh, windows, () => null);
  const [first, last] = [windows[0] ?? 0, windows[windows.length - 1] ?? 0];
  const byWindow = new Map<number, DiskRange[]>(windows.map((window) => [window, []]));
  const offset = first * WINDOW_BYTES;
  const end = Math.min((last + 1) * WINDOW_BYTES, disk.sizeBytes);
  const rangesIn = await openRanges(deps.cloud, disk.handle, disk.base);
  for await (const range of rangesIn({ offset, length: end - offset })) {
    if (range.length === 0) continue;
    const touched = windowsOf(disk.sizeBytes, range);
    for (let window = touched.first; window <= touched.last; window++) byWindow.get(window)?.push(range);
  }
  return windowJobs(parent, disk.sizeBytes, fresh, windows, (window) => byWindow.get(window) ?? []);
}
