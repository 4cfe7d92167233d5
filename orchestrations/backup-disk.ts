import type { OrchestrationContext } from 'durable-functions';
import type { Outcome } from '../activities/outcome';
import type { AuditDiskResult, DiskInput, PlanDiskResult } from '../activities/types';
import type { TransferStats } from '../vault/transfer/transfer-types';
import { fromBitmap } from './bitmap';
import type { BackupRegionInput } from './backup-region';
import { type Parallelism, REGION_MARGIN_MS } from './limits';
import { ACTIVITIES, ORCHESTRATIONS, regionInstanceId } from './names';
import { batches, firstFailure, step, type Steps } from './steps';

/** After so many regions the orchestration continues as new, so that its history stays short for a disk of any size. */
const REGIONS_PER_GENERATION = 32;

export interface BackupDiskInput extends DiskInput {
  readonly parallel: Parallelism;
  readonly deadlineMs: number;
  /** Set when it continues as new. */
  readonly resume?: { readonly plan: PlanDiskResult; readonly regionsDone: number };
}

/** What a disk says of itself while it runs. */
export interface DiskStatus {
  readonly mode: PlanDiskResult['mode'];
  readonly sizeBytes: number;
  readonly regions: number;
  readonly regionsDone: number;
  /** Numbers of the regions that run now; see regionInstanceId. */
  readonly running: readonly number[];
}

export interface BackupDiskResult {
  readonly stats: TransferStats;
  readonly mode: PlanDiskResult['mode'];
  readonly audit: AuditDiskResult;
}

/**
 * Backs up one disk.
 * 1. plan: how (incremental, compared, full), and which regions of 64 GiB have to be looked at
 * 2. a sub-orchestration for each region, a few at once, continuing as new after a fixed number
 * 3. build the root
 * 4. audit: a sample of what the diff calls unchanged is read and compared
 */
export function* backupDisk(context: OrchestrationContext): Steps<Outcome<BackupDiskResult> | undefined> {
  const input = context.df.getInput() as BackupDiskInput;
  const { itemId, sequence, stamp, disk, pass, parallel, deadlineMs } = input;
  const diskInput: DiskInput = { itemId, sequence, stamp, disk, pass };

  // 1
  let plan = input.resume?.plan;
  if (!plan) {
    const planned = yield* step<PlanDiskResult>(context, ACTIVITIES.planDisk, diskInput, deadlineMs);
    if (!planned.ok) return planned;
    plan = planned.value;
  }

  // 2
  const { mode, sizeBytes } = plan;
  const regions = fromBitmap(plan.regions);
  let done = input.resume?.regionsDone ?? 0;
  const now = regions.slice(done, done + REGIONS_PER_GENERATION);
  const running: number[] = [];
  let finished = 0;
  const report = (): void => context.df.setCustomStatus({ mode, sizeBytes, regions: regions.length, regionsDone: done + finished, running: [...running] } satisfies DiskStatus);
  const start = (region: number) => (): ReturnType<typeof context.df.callSubOrchestrator> => {
    running.push(region);
    if (running.length > parallel.regions) running.shift();
    report();
    const regionInput: BackupRegionInput = { ...diskInput, region, parallelTransfers: parallel.transfers, sliceWindows: parallel.sliceWindows, deadlineMs };
    return context.df.callSubOrchestrator(ORCHESTRATIONS.backupRegion, regionInput, regionInstanceId(context.df.instanceId, region));
  };
  const limitMs = Math.max(0, deadlineMs - context.df.currentUtcDateTime.getTime()) + REGION_MARGIN_MS;
  const outcomes = yield* batches<TransferStats>(context, now.map(start), parallel.regions, () => { finished++; report(); }, limitMs);
  const failure = firstFailure(outcomes);
  if (failure) return { ok: false, error: failure };
  done += now.length;
  if (done < regions.length) {
    context.df.continueAsNew({ ...input, resume: { plan, regionsDone: done } } satisfies BackupDiskInput);
    return undefined;
  }

  // 3
  const built = yield* step<TransferStats>(context, ACTIVITIES.finishDisk, diskInput);
  if (!built.ok) return built;

  // 4
  const audit = yield* step<AuditDiskResult>(context, ACTIVITIES.auditDisk, diskInput, deadlineMs);
  if (!audit.ok) return audit;
  return { ok: true, value: { stats: built.value, mode, audit: audit.value } };
}
