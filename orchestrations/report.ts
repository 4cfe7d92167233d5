import type { OrchestrationContext } from 'durable-functions';
import type { JobReport } from '../activities/report-job';
import { REPORTS } from './names';
import { once, type Steps } from './steps';

/** How long a job spent in each phase, by the orchestration's own clock: the same in every replay. */
export class PhaseClock {
  readonly startedAtMs: number;
  private readonly spentMs = new Map<string, number>();
  private phase: string | null = null;
  private sinceMs: number;

  /** @param startedAtMs when the job began, where that was in a generation before this one */
  constructor(private readonly context: OrchestrationContext, startedAtMs = context.df.currentUtcDateTime.getTime()) {
    this.startedAtMs = startedAtMs;
    this.sinceMs = startedAtMs;
  }

  /** The phase that begins now; what ran before it ends. 'done' is none. */
  enter(phase: string | null): void {
    const nowMs = this.context.df.currentUtcDateTime.getTime();
    if (this.phase !== null) this.spentMs.set(this.phase, (this.spentMs.get(this.phase) ?? 0) + nowMs - this.sinceMs);
    this.phase = phase === 'done' ? null : phase;
    this.sinceMs = nowMs;
  }

  /** Ends the phase that runs. */
  times(): Pick<JobReport, 'startedAtMs' | 'endedAtMs' | 'phases'> {
    this.enter(null);
    return { startedAtMs: this.startedAtMs, endedAtMs: this.sinceMs, phases: Object.fromEntries([...this.spentMs].map(([phase, ms]) => [phase, ms / 1000])) };
  }
}

/**
 * The last step of every job: says what it came to (activities/report-job.ts). It is tried once: what a job did does not hang on its being told.
 * Details and figures that are null are left out.
 */
export function* reportJob(context: OrchestrationContext, clock: PhaseClock, report: Omit<JobReport, 'jobId' | 'startedAtMs' | 'endedAtMs' | 'phases'>): Steps<void> {
  yield* once<null>(context, REPORTS.reportJob, { jobId: context.df.instanceId, ...clock.times(), ...report } satisfies JobReport);
}
