import type { DurableOrchestrationStatus } from 'durable-functions';
import type { ScrubScope } from '../activities/scrub';
import { catalogue } from '../errors/catalogue';
import { type ErrorReport, HoldfastError, toReport } from '../errors/holdfast-error';
import type { ScrubJobInput, ScrubJobResult, ScrubProgress } from '../orchestrations/scrub';
import { parseRecoveryPointId } from '../vault/format/manifest';
import { isActive } from './durable-status';
import type { JobProgress, JobState } from './job-view';

/** A scrub as people see it. What it shares with a backup has the same names. */
export interface ScrubJobView {
  readonly id: string;
  readonly kind: 'scrub';
  /** null when it is of the whole vault. */
  readonly itemId: string | null;
  readonly state: JobState;
  readonly phase: 'queued' | 'planning' | 'reading' | 'done';
  readonly startedAt: string;
  readonly endedAt: string | null;
  /** Bytes of packs that were read, of the share that is to be read; `bytesTotal` is null where there is no bound but the scope. */
  readonly progress: Pick<JobProgress, 'percent' | 'bytesDone' | 'bytesPerSecond' | 'secondsLeft'> & { readonly bytesTotal: number | null; readonly itemsDone: number; readonly items: number };
  readonly scope: ScrubScope | null;
  /** True when everything that it read is whole; null until it has ended well. */
  readonly ok: boolean | null;
  /** Recovery points whose proof was finished. */
  readonly proved: number;
  readonly damaged: ScrubProgress['damaged'];
  readonly error: { readonly code: string; readonly cause: string; readonly message: string; readonly remedy: string } | null;
}

/** What a scrub says of itself, or came to; null before it has said anything. */
export const progressOf = (status: DurableOrchestrationStatus): ScrubProgress | null => resultOf(status) ?? status.customStatus as ScrubProgress | null;

const resultOf = (status: DurableOrchestrationStatus): ScrubJobResult | null => (status.runtimeStatus === 'Completed' ? status.output : null) as unknown as ScrubJobResult | null;

export function viewScrub(status: DurableOrchestrationStatus, nowMs: number): ScrubJobView {
  const result = resultOf(status);
  const progress = progressOf(status);
  const input = status.input as unknown as ScrubJobInput | null;
  const ended = !isActive(status);
  const startedMs = input?.resume?.startedAtMs ?? new Date(status.createdTime).getTime();
  const state = stateOf(status, result);
  const elapsedSeconds = Math.max(0.001, ((ended ? new Date(status.lastUpdatedTime).getTime() : nowMs) - startedMs) / 1000);
  const bytesDone = progress?.storedBytes ?? 0;
  const rate = bytesDone > 0 ? Math.round(bytesDone / elapsedSeconds) : null;
  const bytesTotal = progress?.budgetBytes ?? null;
  return {
    id: status.instanceId, kind: 'scrub', itemId: itemOf(input?.scope), state, phase: ended ? 'done' : state === 'queued' ? 'queued' : progress ? 'reading' : 'planning',
    startedAt: new Date(startedMs).toISOString(), endedAt: ended ? new Date(status.lastUpdatedTime).toISOString() : null,
    progress: {
      percent: percentOf(state, progress), bytesDone, bytesTotal, itemsDone: progress?.itemsDone ?? 0, items: progress?.items ?? 0, bytesPerSecond: rate,
      secondsLeft: ended ? 0 : rate && bytesTotal !== null ? Math.ceil(Math.max(0, bytesTotal - bytesDone) / rate) : null,
    },
    scope: input?.scope ?? null, ok: result && !result.error ? result.damaged.length === 0 : null, proved: progress?.proved ?? 0, damaged: progress?.damaged ?? [], error: errorOf(status, result),
  };
}

function itemOf(scope: ScrubScope | undefined): string | null {
  if (scope?.kind === 'item') return scope.itemId;
  return scope?.kind === 'recovery-point' ? parseRecoveryPointId(scope.id).itemId : null;
}

function stateOf(status: DurableOrchestrationStatus, result: ScrubJobResult | null): JobState {
  if (result) return result.error ? 'failed' : 'succeeded';
  if (status.runtimeStatus === 'Terminated') return 'cancelled';
  if (status.runtimeStatus === 'Pending') return 'queued';
  return isActive(status) ? 'running' : 'failed';
}

function percentOf(state: JobState, progress: ScrubProgress | null): number {
  if (state === 'succeeded') return 100;
  if (!progress || progress.items === 0) return 0;
  const ofItems = progress.itemsDone / progress.items;
  const ofBytes = progress.budgetBytes ? progress.storedBytes / progress.budgetBytes : 0;
  return Math.min(99, Math.floor(100 * Math.max(ofItems, ofBytes)));
}

function errorOf(status: DurableOrchestrationStatus, result: ScrubJobResult | null): ScrubJobView['error'] {
  const report: ErrorReport | null = result ? result.error : isActive(status) ? null
    : status.runtimeStatus === 'Terminated' ? new HoldfastError('CANCELLED', 'The scrub was cancelled by a person. What it had read stays proved').toJSON()
      : toReport(new Error(`The orchestration ended as ${status.runtimeStatus}`));
  return report && { code: report.code, cause: catalogue[report.code].title, message: report.message, remedy: report.remedy };
}
