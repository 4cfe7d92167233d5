import type { OrchestrationContext, Task } from 'durable-functions';
import type { Outcome } from '../activities/outcome';
import type { RestoreDiskInput } from '../activities/restore-records';
import type { RestoreSliceResult } from '../activities/restore-slice';
import { fromBitmap } from './bitmap';
import type { Parallelism } from './limits';
import { ACTIVITIES, ORCHESTRATIONS, regionInstanceId } from './names';
import { untilReady } from './restore-poll';
import type { RestoreRegionRun } from './restore-region';
import { addSlices, NOTHING_RESTORED, sumSlices } from './restore-sums';
import { batches, firstFailure, type Steps } from './steps';

/** After so many regions the orchestration continues as new, so that its history stays short for a disk of any size. */
const REGIONS_PER_GENERATION = 32;

export interface RestoreDiskRun extends RestoreDiskInput {
  readonly sizeBytes: number;
  /** Bitmap of the regions to restore. */
  readonly regions: string;
  readonly parallel: Parallelism;
  readonly deadlineMs: number;
  /** Set when it continues as new. */
  readonly resume?: RestoreSliceResult & { readonly regionsDone: number };
}

/** What a disk says of itself while it runs. */
export interface RestoreDiskStatus {
  readonly regions: number;
  readonly regionsDone: number;
  /** Numbers of the regions that run now; see regionInstanceId. */
  readonly running: readonly number[];
}

/**
 * Restores one disk.
 * 1. make what it is restored to, and wait until it can be written
 * 2. a sub-orchestration for each region that holds data, a few at once, continuing as new after a fixed number
 * 3. prove that all else is zeros, write the footer, end access
 */
export function* restoreDisk(context: OrchestrationContext): Steps<Outcome<RestoreSliceResult> | undefined> {
  const run = context.df.getInput() as RestoreDiskRun;
  const { restoreId, disk, parallel, deadlineMs } = run;
  const input: RestoreDiskInput = { restoreId, disk };
  const regions = fromBitmap(run.regions);
  let done = run.resume?.regionsDone ?? 0;
  let sum = addSlices(NOTHING_RESTORED, run.resume ?? NOTHING_RESTORED);

  // 1
  if (!run.resume) {
    const made = yield* untilReady(context, ACTIVITIES.startRestoreTarget, input, deadlineMs);
    if (!made.ok) return made;
  }

  // 2
  const now = regions.slice(done, done + REGIONS_PER_GENERATION);
  const running: number[] = [];
  let finished = 0;
  const report = (): void => context.df.setCustomStatus({ regions: regions.length, regionsDone: done + finished, running: [...running] } satisfies RestoreDiskStatus);
  const start = (region: number) => (): Task => {
    running.push(region);
    if (running.length > parallel.regions) running.shift();
    report();
    const regionRun: RestoreRegionRun = { ...input, region, parallelTransfers: parallel.transfers, sliceWindows: parallel.sliceWindows, deadlineMs };
    return context.df.callSubOrchestrator(ORCHESTRATIONS.restoreRegion, regionRun, regionInstanceId(context.df.instanceId, region));
  };
  report();
  const limitMs = Math.max(0, deadlineMs - context.df.currentUtcDateTime.getTime());
  const outcomes = yield* batches<RestoreSliceResult>(context, now.map(start), parallel.regions, () => { finished++; report(); }, limitMs);
  const failure = firstFailure(outcomes);
  if (failure) return { ok: false, error: failure };
  [done, sum] = [done + now.length, addSlices(sum, sumSlices(outcomes))];
  if (done < regions.length) {
    context.df.continueAsNew({ ...run, resume: { regionsDone: done, ...sum } } satisfies RestoreDiskRun);
    return undefined;
  }

  // 3
  const ready = yield* untilReady(context, ACTIVITIES.finishRestoreTarget, input, deadlineMs);
  return ready.ok ? { ok: true, value: sum } : ready;
}
