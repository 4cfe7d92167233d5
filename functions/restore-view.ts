import type { DurableClient, DurableOrchestrationStatus } from 'durable-functions';
import type { RestoredResult } from '../activities/restore-close';
import { catalogue } from '../errors/catalogue';
import { type ErrorReport, toReport } from '../errors/holdfast-error';
import { restoreDiskInstanceId } from '../orchestrations/names';
import type { RestoreResult, RestoreRun, RestoreStatus } from '../orchestrations/restore';
import { parseRecoveryPointId } from '../vault/format/manifest';
import { bytesDone } from './disk-progress';
import { isActive } from './durable-status';
import type { JobProgress, JobState } from './job-view';

/** A restore as people see it. What it shares with a backup has the same names. */
export interface RestoreJobView {
  readonly id: string;
  readonly kind: 'restore';
  readonly itemId: string;
  readonly state: JobState;
  readonly phase: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly progress: JobProgress;
  /** The recovery point that is restored. */
  readonly recoveryPoint: string;
  readonly target: RestoreRun['kind'];
  readonly restored: RestoredResult | null;
  /** From the vault; null until it is over. */
  readonly writtenBytes: number | null;
  /** By Azure, out of the disks that were there: a differential restore in place. */
  readonly copiedBytes: number | null;
  readonly warnings: readonly string[];
  /** What could not be removed after a failure. */
  readonly left: readonly string[];
  readonly error: { readonly code: string; readonly cause: string; readonly message: string; readonly remedy: string } | null;
}

/** With `deep`, running disks and regions are asked how far they are. */
export async function viewRestore(client: DurableClient, status: DurableOrchestrationStatus, nowMs: number, deep: boolean): Promise<RestoreJobView> {
  const run = status.input as unknown as RestoreRun;
  const custom = (status.customStatus ?? null) as RestoreStatus | null;
  const result = status.runtimeStatus === 'Completed' ? status.output as unknown as RestoreResult : null;
  const ended = !isActive(status);
  const startedAt = new Date(status.createdTime);
  const state = stateOf(status, result);
  const disks = (custom?.disks ?? []).map(({ disk, sizeBytes }) => ({ instanceId: restoreDiskInstanceId(status.instanceId, disk), sizeBytes }));
  const bytes = await bytesDone(client, disks, { all: state === 'succeeded', deep: deep && !ended });
  const elapsedSeconds = Math.max(0.001, ((ended ? new Date(status.lastUpdatedTime).getTime() : nowMs) - startedAt.getTime()) / 1000);
  const rate = bytes.done > 0 ? Math.round(bytes.done / elapsedSeconds) : null;
  return {
    id: status.instanceId, kind: 'restore', itemId: parseRecoveryPointId(run.recoveryPoint).itemId, state, phase: custom?.phase ?? 'queued', startedAt: startedAt.toISOString(),
    endedAt: ended ? new Date(status.lastUpdatedTime).toISOString() : null,
    progress: {
      percent: state === 'succeeded' ? 100 : bytes.total > 0 ? Math.floor((bytes.done / bytes.total) * 100) : 0, bytesDone: bytes.done, bytesTotal: bytes.total,
      disksDone: bytes.disksDone, disks: custom?.disks.length ?? 0, bytesPerSecond: rate, secondsLeft: ended ? 0 : rate ? Math.ceil((bytes.total - bytes.done) / rate) : null,
    },
    recoveryPoint: run.recoveryPoint, target: run.kind, restored: result?.restored ?? null, writtenBytes: result?.writtenBytes ?? null, copiedBytes: result?.copiedBytes ?? null,
    warnings: result?.warnings ?? custom?.warnings ?? [], left: result?.left ?? [], error: errorOf(status, result),
  };
}

function stateOf(status: DurableOrchestrationStatus, result: RestoreResult | null): JobState {
  if (result) return result.outcome === 'restored' ? 'succeeded' : result.error?.code === 'CANCELLED' ? 'cancelled' : 'failed';
  if (status.runtimeStatus === 'Pending') return 'queued';
  return isActive(status) ? 'running' : 'failed';
}

function errorOf(status: DurableOrchestrationStatus, result: RestoreResult | null): RestoreJobView['error'] {
  const report: ErrorReport | null = result?.error ?? (!result && !isActive(status) ? toReport(new Error(`The orchestration ended as ${status.runtimeStatus}`)) : null);
  return report && { code: report.code, cause: catalogue[report.code].title, message: report.message, remedy: report.remedy };
}
