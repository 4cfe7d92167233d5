import type { OrchestrationContext } from 'durable-functions';
import type { Outcome } from '../activities/outcome';
import type { RestoreRegionInput } from '../activities/restore-records';
import type { PlanRestoreRegionResult, RestoreSliceResult } from '../activities/restore-slice';
import { fromBitmap, toBitmap } from './bitmap';
import { ACTIVITIES } from './names';
import { sumSlices } from './restore-sums';
import { firstFailure, step, type Steps, steps } from './steps';

/** A small disk is cut finer, so that it shows progress, but no finer than this. */
const MIN_SLICE_WINDOWS = 2;

export interface RestoreRegionRun extends RestoreRegionInput {
  readonly parallelTransfers: number;
  readonly sliceWindows: number;
  /** Until when a slice queues for access to the snapshot of a present disk; regions that were begun by older code have none, and no such snapshot. */
  readonly deadlineMs?: number;
}

/** What a region says of itself while it runs. */
export interface RestoreRegionStatus { readonly windows: number; readonly windowsDone: number }

/**
 * Restores one region (64 GiB) of a disk.
 * 1. which of its 1,024 windows hold data
 * 2. write them in slices, a few at once, each read back and compared
 */
export function* restoreRegion(context: OrchestrationContext): Steps<Outcome<RestoreSliceResult>> {
  const { restoreId, disk, region, parallelTransfers, sliceWindows, deadlineMs } = context.df.getInput() as RestoreRegionRun;
  const input: RestoreRegionInput = { restoreId, disk, region };

  // 1
  const plan = yield* step<PlanRestoreRegionResult>(context, ACTIVITIES.planRestoreRegion, input);
  if (!plan.ok) return plan;
  const windows = fromBitmap(plan.value.windows);

  // 2
  const size = Math.min(sliceWindows, Math.max(MIN_SLICE_WINDOWS, Math.ceil(windows.length / (2 * parallelTransfers))));
  const slices = Array.from({ length: Math.ceil(windows.length / size) }, (_, index) => windows.slice(index * size, (index + 1) * size));
  let done = 0;
  const report = (): void => context.df.setCustomStatus({ windows: windows.length, windowsDone: Math.min(done * size, windows.length) } satisfies RestoreRegionStatus);
  report();
  const written = yield* steps<RestoreSliceResult>(context, ACTIVITIES.restoreSlice, slices.map((slice) => ({ ...input, windows: toBitmap(slice) })), { limit: parallelTransfers, deadlineMs, onProgress: () => { done++; report(); } });
  const failure = firstFailure(written);
  if (failure) return { ok: false, error: failure };
  return { ok: true, value: sumSlices(written) };
}
