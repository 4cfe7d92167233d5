import type { OrchestrationContext } from 'durable-functions';
import type { Outcome } from '../activities/outcome';
import type { PlanRegionResult, RegionInput } from '../activities/types';
import type { TransferStats } from '../vault/transfer/transfer-types';
import { fromBitmap, toBitmap } from './bitmap';
import { ACTIVITIES } from './names';
import { firstFailure, step, type Steps, steps } from './steps';

/** A small disk is cut finer, so that it shows progress, but no finer than this. */
const MIN_SLICE_WINDOWS = 2;

export interface BackupRegionInput extends RegionInput {
  readonly parallelTransfers: number;
  readonly sliceWindows: number;
  readonly deadlineMs: number;
}

/** What a region says of itself while it runs. */
export interface RegionStatus {
  readonly windows: number;
  readonly windowsDone: number;
  readonly stats: TransferStats | null;
}

/**
 * Backs up one region (64 GiB) of a disk.
 * 1. plan: which of its 1,024 windows have to be looked at
 * 2. transfer them in slices, a few at once
 * 3. build the region's node
 */
export function* backupRegion(context: OrchestrationContext): Steps<Outcome<TransferStats>> {
  const input = context.df.getInput() as BackupRegionInput;

  // 1
  const plan = yield* step<PlanRegionResult>(context, ACTIVITIES.planRegion, input, input.deadlineMs);
  if (!plan.ok) return plan;
  const windows = fromBitmap(plan.value.windows);

  // 2
  const sliceWindows = Math.min(input.sliceWindows, Math.max(MIN_SLICE_WINDOWS, Math.ceil(windows.length / (2 * input.parallelTransfers))));
  const slices = Array.from({ length: Math.ceil(windows.length / sliceWindows) }, (_, index) => windows.slice(index * sliceWindows, (index + 1) * sliceWindows));
  let done = 0;
  const report = (): void => context.df.setCustomStatus({ windows: windows.length, windowsDone: Math.min(done * sliceWindows, windows.length), stats: null } satisfies RegionStatus);
  report();
  const transferred = yield* steps<TransferStats>(context, ACTIVITIES.transferSlice, slices.map((slice) => ({ ...input, windows: toBitmap(slice) })), {
    limit: input.parallelTransfers, deadlineMs: input.deadlineMs, onProgress: () => { done++; report(); },
  });
  const failure = firstFailure(transferred);
  if (failure) return { ok: false, error: failure };

  // 3
  return yield* step<TransferStats>(context, ACTIVITIES.finishRegion, input);
}
