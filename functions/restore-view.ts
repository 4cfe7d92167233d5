import type { DurableClient, DurableOrchestrationStatus } from 'durable-functions';
import type { RestoredResult } from '../activities/restore-close';
import { catalogue } from '../errors/catalogue';
import { type ErrorReport, toReport } from '../errors/holdfast-error';
import { regionInstanceId, restoreDiskInstanceId } from '../orchestrations/names';
import type { RestoreResult, RestoreRun, RestoreStatus } from '../orchestrations/restore';
import type { RestoreDiskStatus } from '../orchestrations/restore-disk';
import type { RestoreRegionStatus } from '../orchestrations/restore-region';
import { REGION_BYTES, WINDOW_BYTES } from '../vault/format/format';
import { parseRecoveryPointId } from '../vault/format/manifest';
import { findStatus, isActive } from './durable-status';
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
  const bytes = await bytesDone(client, status.instanceId, custom, state === 'succeeded', deep && !ended);
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

async function bytesDone(client: DurableClient, jobId: string, custom: RestoreStatus | null, all: boolean, deep: boolean): Promise<{ done: number; total: number; disksDone: number }> {
  const disks = custom?.disks ?? [];
  const total = disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (all) return { done: total, total, disksDone: disks.length };
  let done = 0;
  let disksDone = 0;
  for (const { disk, sizeBytes } of deep ? disks : []) {
    const instanceId = restoreDiskInstanceId(jobId, disk);
    const status = await findStatus(client, instanceId);
    if (!status) continue;
    if (!isActive(status)) disksDone++;
    done += isActive(status) ? await diskBytesDone(client, instanceId, sizeBytes, status.customStatus as RestoreDiskStatus | null) : sizeBytes;
  }
  return { done: Math.min(done, total), total, disksDone };
}

/** Regions without data count as done from the start; of those that run, the windows that are written. */
async function diskBytesDone(client: DurableClient, instanceId: string, sizeBytes: number, disk: RestoreDiskStatus | null): Promise<number> {
  if (!disk) return 0;
  const regionBytes = Math.min(REGION_BYTES, sizeBytes);
  let left = (disk.regions - disk.regionsDone) * regionBytes;
  for (const region of disk.running) {
    const status = await findStatus(client, regionInstanceId(instanceId, region));
    const progress = status && isActive(status) ? status.customStatus as RestoreRegionStatus | null : null;
    if (progress) left -= regionBytes - Math.min(regionBytes, (progress.windows - progress.windowsDone) * WINDOW_BYTES);
  }
  return Math.max(0, sizeBytes - Math.max(0, left));
}
