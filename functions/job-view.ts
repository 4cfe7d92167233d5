import type { DurableClient, DurableOrchestrationStatus } from 'durable-functions';
import type { AuditDiskResult } from '../activities/types';
import { catalogue } from '../errors/catalogue';
import { type ErrorReport, toReport } from '../errors/holdfast-error';
import type { BackupVmInput, BackupVmResult, BackupVmStatus } from '../orchestrations/backup-vm';
import { diskInstanceId } from '../orchestrations/names';
import { runEnd } from '../vault/run';
import type { VaultAccess } from '../vault/format/tree';
import type { TransferStats } from '../vault/transfer/transfer-types';
import { bytesDone } from './disk-progress';
import { isActive } from './durable-status';

export const JOB_STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled', 'skipped'] as const;
export type JobState = (typeof JOB_STATES)[number];

export interface JobView {
  readonly id: string;
  readonly kind: 'backup';
  readonly itemId: string;
  readonly itemName: string | null;
  readonly policy: string | null;
  readonly slot: string | null;
  readonly state: JobState;
  readonly phase: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly progress: JobProgress;
  /** What the run read, found changed and stored; null until it is committed. */
  readonly figures: TransferStats | null;
  /** The sample of the source that was compared with the recovery point; null until it is committed. */
  readonly audit: AuditDiskResult | null;
  readonly recoveryPoint: string | null;
  readonly consistency: string | null;
  readonly warnings: readonly string[];
  readonly error: { readonly code: string; readonly cause: string; readonly message: string; readonly remedy: string } | null;
}

export interface JobProgress {
  readonly percent: number;
  /** Of the disks' address space: what needs no reading counts as done. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly disksDone: number;
  readonly disks: number;
  readonly bytesPerSecond: number | null;
  readonly secondsLeft: number | null;
}

/** A backup as people see it. With `deep`, running disks and regions are asked how far they are. */
export async function viewJob(client: DurableClient, vault: VaultAccess, status: DurableOrchestrationStatus, nowMs: number, deep: boolean): Promise<JobView> {
  const input = status.input as unknown as BackupVmInput;
  const custom = (status.customStatus ?? null) as BackupVmStatus | null;
  const result = status.runtimeStatus === 'Completed' ? status.output as unknown as BackupVmResult : await resultInVault(vault, status, input, custom);
  const ended = result !== null || !isActive(status);
  const startedAt = new Date(status.createdTime);
  const state = stateOf(status, result);
  const disks = (custom?.disks ?? []).map(({ sizeBytes }, index) => ({ instanceId: diskInstanceId(status.instanceId, index, 0), sizeBytes }));
  const bytes = await bytesDone(client, disks, { all: state === 'succeeded', deep: deep && !ended });
  const elapsedSeconds = Math.max(0.001, ((ended ? new Date(status.lastUpdatedTime).getTime() : nowMs) - startedAt.getTime()) / 1000);
  const rate = bytes.done > 0 ? Math.round(bytes.done / elapsedSeconds) : null;
  return {
    id: status.instanceId, kind: 'backup', itemId: input.itemId, itemName: custom?.vmName ?? null, policy: input.policy, slot: input.slot, state,
    phase: custom?.phase ?? 'queued', startedAt: startedAt.toISOString(), endedAt: ended ? new Date(status.lastUpdatedTime).toISOString() : null,
    progress: {
      percent: state === 'succeeded' ? 100 : bytes.total > 0 ? Math.floor((bytes.done / bytes.total) * 100) : 0, bytesDone: bytes.done, bytesTotal: bytes.total,
      disksDone: bytes.disksDone, disks: custom?.disks.length ?? 0, bytesPerSecond: rate,
      secondsLeft: ended || !rate ? (ended ? 0 : null) : Math.ceil((bytes.total - bytes.done) / rate),
    },
    figures: result?.committed?.stats ?? null, audit: result?.committed?.audit ?? null, recoveryPoint: result?.recoveryPoint ?? null, consistency: result?.committed?.consistency ?? null,
    warnings: result?.warnings ?? custom?.warnings ?? [], error: errorOf(status, result),
  };
}

/**
 * How a job ended whose orchestration does not tell: one that was terminated, or that is done but held by a step that never came back (faults 34 and
 * 35). The run's record in the vault is the truth; null while the run has not ended.
 */
async function resultInVault(vault: VaultAccess, status: DurableOrchestrationStatus, { itemId, stamp }: BackupVmInput, custom: BackupVmStatus | null): Promise<BackupVmResult | null> {
  if (custom === null || custom.sequence === null || (isActive(status) && custom.phase !== 'done')) return null;
  const end = await runEnd(vault, { itemId, stamp, sequence: custom.sequence });
  if (!end) return null;
  return { outcome: end.outcome === 'committed' ? 'committed' : 'failed', recoveryPoint: end.recoveryPoint, committed: null, error: end.error as ErrorReport | null, warnings: custom.warnings };
}

function stateOf(status: DurableOrchestrationStatus, result: BackupVmResult | null): JobState {
  if (result) return result.outcome === 'committed' ? 'succeeded' : result.outcome === 'skipped' ? 'skipped' : result.error?.code === 'CANCELLED' ? 'cancelled' : 'failed';
  if (status.runtimeStatus === 'Pending') return 'queued';
  return isActive(status) ? 'running' : 'failed';
}

function errorOf(status: DurableOrchestrationStatus, result: BackupVmResult | null): JobView['error'] {
  let report: ErrorReport | null = result?.error ?? null;
  if (!result && !isActive(status)) report = toReport(new Error(`The orchestration ended as ${status.runtimeStatus}`));
  return report && { code: report.code, cause: catalogue[report.code].title, message: report.message, remedy: report.remedy };
}
