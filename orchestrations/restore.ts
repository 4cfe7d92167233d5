import type { OrchestrationContext, Task } from 'durable-functions';
import type { Outcome } from '../activities/outcome';
import type { AbandonRestoreResult, RestoredResult } from '../activities/restore-close';
import type { PlanRestoreResult, ProveRestoreResult } from '../activities/restore-plan';
import type { RestoreInput } from '../activities/restore-records';
import type { RestoreSliceResult } from '../activities/restore-slice';
import type { Leftover } from '../activities/restore-undo';
import type { ErrorReport } from '../errors/holdfast-error';
import { fromBitmap, toBitmap } from './bitmap';
import { parallelism } from './limits';
import { ACTIVITIES, ORCHESTRATIONS, restoreDiskInstanceId } from './names';
import type { RestoreDiskRun } from './restore-disk';
import { PhaseClock, reportJob } from './report';
import { untilReady } from './restore-poll';
import { NOTHING_RESTORED, sumSlices } from './restore-sums';
import { batches, firstFailure, persist, step, type Steps, steps } from './steps';

/** Regions that one step proves, and steps at once: a disk of 32 TiB has 64 such steps. */
const PROVED_REGIONS = 8;
const PARALLEL_PROOFS = 4;
const MAX_TRANSFERS = 4;
const MAX_STATUS_NAME_CHARS = 32;
/** A restore that is not closed keeps its disks from being cleaned up, so an outage of the vault is outlived. */
const CLOSING = { firstMs: 5_000, mostMs: 2 * 3_600_000, limitMs: 24 * 3_600_000 };
/** What cannot be removed within this is told as left behind. */
const UNDOING = { firstMs: 2_000, mostMs: 15 * 60_000, limitMs: 4 * 3_600_000 };

export interface RestoreRun extends RestoreInput {
  readonly recoveryPoint: string;
  readonly kind: PlanRestoreResult['kind'];
}

export type RestorePhase = 'planning' | 'proving' | 'transfer' | 'machine' | 'commit' | 'clean-up' | 'done';

/** What a restore says of itself while it runs. */
export interface RestoreStatus {
  readonly phase: RestorePhase;
  /** In the order of the plan: the instance of disk n is restoreDiskInstanceId(this instance, disk). */
  readonly disks: readonly { readonly disk: number; readonly name: string; readonly sizeBytes: number }[];
  readonly warnings: readonly string[];
}

export interface RestoreResult {
  readonly outcome: 'restored' | 'failed';
  readonly restored: RestoredResult | null;
  /** From the vault. */
  readonly writtenBytes: number;
  /** By Azure, out of the disks that were there. */
  readonly copiedBytes: number;
  readonly error: ErrorReport | null;
  readonly warnings: readonly string[];
  /** What could not be removed after a failure, in words. */
  readonly left: readonly string[];
}

/** Restores a recovery point, or disks of it, into Azure, and reports what that came to. */
export function* restore(context: OrchestrationContext): Steps<RestoreResult> {
  const { recoveryPoint, kind } = context.df.getInput() as RestoreRun;
  const clock = new PhaseClock(context);
  const result = yield* bringBackAndCleanUp(context, clock);
  yield* reportJob(context, clock, {
    kind: 'restore', outcome: result.outcome === 'restored' ? 'succeeded' : 'failed', itemId: recoveryPoint.split('.')[0] ?? null, policy: null, error: result.error,
    figures: { writtenBytes: result.writtenBytes, copiedBytes: result.copiedBytes, left: result.left.length, warnings: result.warnings.length }, details: { recoveryPoint, target: kind },
  });
  return result;
}

/**
 * 1. plan: every name, decided once
 * 2. prove that everything that is needed is there, before anything is made
 * 3. the disks, a few at once: make, write, read back, footer, end of access
 * 4. the machine: make it, or exchange the disks of one that is there
 * 5. commit: restored
 * 6. clean up: after a failure everything goes that was made; after success the old disks, where that was asked for
 */
function* bringBackAndCleanUp(context: OrchestrationContext, clock: PhaseClock): Steps<RestoreResult> {
  const { restoreId } = context.df.getInput() as RestoreRun;
  const input: RestoreInput = { restoreId };
  let status: RestoreStatus = { phase: 'planning', disks: [], warnings: [] };
  const show = (change: Partial<RestoreStatus>): void => {
    status = { ...status, ...change };
    clock.enter(status.phase);
    context.df.setCustomStatus(status);
  };
  show({});

  // 1 to 5
  const done = yield* bringBack(context, input, show);

  // 6
  show({ phase: 'clean-up' });
  const closed: AbandonRestoreResult = done.ok ? { restored: done.value.restored, error: null } : yield* close(context, input, done.error);
  const { left, warnings } = yield* cleanUp(context, input, closed.restored !== null);
  show({ phase: 'done' });
  const sum = done.ok ? done.value.sum : NOTHING_RESTORED;
  return {
    outcome: closed.restored ? 'restored' : 'failed', restored: closed.restored, writtenBytes: sum.writtenBytes, copiedBytes: sum.copiedBytes, error: closed.error,
    warnings: [...status.warnings, ...refusal(sum), ...warnings], left,
  };
}

function* bringBack(context: OrchestrationContext, input: RestoreInput, show: (change: Partial<RestoreStatus>) => void): Steps<Outcome<{ restored: RestoredResult; sum: RestoreSliceResult }>> {
  // 1
  const plan = yield* step<PlanRestoreResult>(context, ACTIVITIES.planRestore, input);
  if (!plan.ok) return plan;
  const { disks, deadlineMs } = plan.value;
  show({ phase: 'proving', warnings: plan.value.warnings, disks: disks.map(({ disk, name, sizeBytes }) => ({ disk, name: name.slice(0, MAX_STATUS_NAME_CHARS), sizeBytes })) });

  // 2
  const proofs = disks.flatMap(({ disk, regions }) => {
    const all = fromBitmap(regions);
    return Array.from({ length: Math.ceil(all.length / PROVED_REGIONS) }, (_, index) => ({ ...input, disk, regions: toBitmap(all.slice(index * PROVED_REGIONS, (index + 1) * PROVED_REGIONS)) }));
  });
  const refused = firstFailure(yield* steps<ProveRestoreResult>(context, ACTIVITIES.proveRestore, proofs, { limit: PARALLEL_PROOFS }));
  if (refused) return { ok: false, error: refused };

  // 3
  show({ phase: 'transfer' });
  const parallel = parallelism(disks.length, MAX_TRANSFERS, null);
  const starts = disks.map(({ disk, regions, sizeBytes }) => (): Task => {
    const run: RestoreDiskRun = { ...input, disk, sizeBytes, regions, parallel, deadlineMs };
    return context.df.callSubOrchestrator(ORCHESTRATIONS.restoreDisk, run, restoreDiskInstanceId(context.df.instanceId, disk));
  });
  const written = yield* batches<RestoreSliceResult>(context, starts, parallel.disks, undefined, Math.max(0, deadlineMs - context.df.currentUtcDateTime.getTime()));
  const failure = firstFailure(written);
  if (failure) return { ok: false, error: failure };

  // 4
  if (plan.value.hasMachine) {
    show({ phase: 'machine' });
    const machine = yield* untilReady(context, ACTIVITIES.driveRestoredMachine, input, deadlineMs);
    if (!machine.ok) return machine;
  }

  // 5
  show({ phase: 'commit' });
  const committed = yield* step<RestoredResult>(context, ACTIVITIES.commitRestore, input);
  return committed.ok ? { ok: true, value: { restored: committed.value, sum: sumSlices(written) } } : committed;
}

const refusal = ({ refusedBytes }: RestoreSliceResult): string[] =>
  (refusedBytes === 0 ? [] : [`Azure refused to copy ${refusedBytes} bytes out of the present disks, which are equal there: they came from the vault like the others. The restored disks are the same`]);

/** Closes a restore that failed. One that turns out to be decided as restored is a success. */
function* close(context: OrchestrationContext, input: RestoreInput, reason: ErrorReport): Steps<AbandonRestoreResult> {
  const closed = yield* persist<AbandonRestoreResult>(context, ACTIVITIES.abandonRestore, { ...input, reason }, CLOSING);
  return closed.ok ? closed.value : { restored: null, error: reason };
}

function* cleanUp(context: OrchestrationContext, input: RestoreInput, isRestored: boolean): Steps<{ left: readonly string[]; warnings: readonly string[] }> {
  const name = isRestored ? ACTIVITIES.releaseRestore : ACTIVITIES.undoRestore;
  const cleaned = yield* persist<Leftover>(context, name, input, UNDOING, ({ pending }) => pending === 0);
  if (!cleaned.ok) return { left: [], warnings: [`Something may be left behind; look for the tag holdfast-restore = ${input.restoreId}: ${cleaned.error.message}`] };
  const late = cleaned.value.pending > 0 ? [`Removing takes long: look for the tag holdfast-restore = ${input.restoreId}`] : [];
  return { left: cleaned.value.left, warnings: late };
}
