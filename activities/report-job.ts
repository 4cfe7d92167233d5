import type { ErrorReport } from '../errors/holdfast-error';
import type { ActivityDeps } from './deps';
import { activity } from './outcome';
import type { Attributes, Telemetry } from './telemetry';

export type JobKind = 'backup' | 'restore' | 'policy' | 'scrub' | 'maintenance' | 'sweep';

/** What a job came to, as its orchestration knows it. Small, whatever the job. */
export interface JobReport {
  /** The instance id of the orchestration. */
  readonly jobId: string;
  readonly kind: JobKind;
  /** 'skipped': nothing was to be done, as for a slot that another run has done. */
  readonly outcome: 'succeeded' | 'failed' | 'skipped';
  readonly itemId: string | null;
  readonly policy: string | null;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** Seconds in each phase, by its name. */
  readonly phases: Readonly<Record<string, number>>;
  readonly error: ErrorReport | null;
  /** The job's own figures: for a backup those of its recovery point. */
  readonly figures: Readonly<Record<string, number>>;
  /** A few words more, such as the recovery point's id. */
  readonly details: Readonly<Record<string, string>>;
}

const MAX_MESSAGE_CHARS = 500;

/** Hands a report to the workflow that decides what people are told of it. */
export type Announce = (report: JobReport) => Promise<void>;

/**
 * The last step of a job: tells the outside what it came to. It neither reads nor writes the vault, so it can be told of an outage of everything else. At least once:
 * a step whose worker dies after it emitted runs again, and then the counters count the job twice, while the event can be told apart by its jobId,
 * which is what queries and alert rules go by.
 */
export const createReportJob = (deps: Pick<ActivityDeps, 'telemetry'>, announce: Announce = () => Promise.resolve()) => activity(async (report: JobReport): Promise<null> => {
  const { telemetry } = deps;
  const { kind, outcome } = report;
  telemetry.event('holdfast.job', {
    jobId: report.jobId, kind, outcome, item: report.itemId ?? '', policy: report.policy ?? '', code: report.error?.code ?? '', message: (report.error?.message ?? '').slice(0, MAX_MESSAGE_CHARS),
    remedy: report.error?.remedy ?? '', startedAt: new Date(report.startedAtMs).toISOString(), seconds: secondsOf(report),
    ...Object.fromEntries(Object.entries(report.phases).map(([phase, seconds]) => [`phase.${phase}`, seconds])), ...report.figures,
    // Queries read these of every scrub.
    ...(kind === 'scrub' ? { damagedPoint: '', damageCode: '' } : {}), ...report.details,
  });
  telemetry.measure('holdfast.jobs', 1, { kind, outcome, code: report.error?.code ?? '' });
  telemetry.measure('holdfast.job.duration', secondsOf(report), { kind, outcome, phase: 'all' });
  for (const [phase, seconds] of Object.entries(report.phases)) telemetry.measure('holdfast.job.duration', seconds, { kind, outcome, phase });
  if (kind === 'backup' && outcome === 'succeeded') measureBackup(telemetry, report);
  if (kind === 'sweep' && outcome === 'succeeded') for (const state of ['orphans', 'unknown', 'failed'] as const) telemetry.measure('holdfast.orphans', report.figures[state] ?? 0, { state });
  if (kind === 'maintenance' && report.figures.allBytes !== undefined) measureVault(telemetry, report.figures);
  await announce(report);
  return null;
});

const secondsOf = ({ startedAtMs, endedAtMs }: JobReport): number => (endedAtMs - startedAtMs) / 1000;

function measureBackup(telemetry: Telemetry, { itemId, policy, figures }: JobReport): void {
  const of: Attributes = { item: itemId ?? '', policy: policy ?? '' };
  const figure = (name: string): number => figures[name] ?? 0;
  telemetry.measure('holdfast.backup.read', figure('readBytes'), of);
  telemetry.measure('holdfast.backup.changed', figure('changedBytes'), of);
  telemetry.measure('holdfast.backup.stored', figure('storedBytes'), of);
  telemetry.measure('holdfast.backup.chunks_new', figure('newChunks'), of);
  telemetry.measure('holdfast.backup.chunks_reused', figure('reusedChunks'), of);
  // Where nothing new was stored there is no ratio.
  if (figure('newBytes') === 0) return;
  telemetry.measure('holdfast.backup.deduplication_ratio', figure('changedBytes') / figure('newBytes'), of);
  if (figure('storedBytes') > 0) telemetry.measure('holdfast.backup.compression_ratio', figure('newBytes') / figure('storedBytes'), of);
}

/** What the collection counted. It is what the vault costs, but for the small objects, and for the tiers that a lifecycle rule may have moved packs to. */
function measureVault(telemetry: Telemetry, figures: JobReport['figures']): void {
  telemetry.measure('holdfast.vault.stored', figures.allBytes ?? 0, { state: 'all' });
  telemetry.measure('holdfast.vault.stored', figures.unneededBytes ?? 0, { state: 'unneeded' });
  telemetry.measure('holdfast.vault.packs', figures.allPacks ?? 0, { state: 'all' });
  telemetry.measure('holdfast.vault.packs', figures.unneededPacks ?? 0, { state: 'unneeded' });
}
