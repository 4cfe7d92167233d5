import { setTimeout as delay } from 'node:timers/promises';
import type { AnyJobView } from '../functions/http-jobs';
import type { JobView } from '../functions/job-view';
import type { ScrubJobView } from '../functions/scrub-view';
import { isErrorCode } from '../errors/catalogue';
import { HoldfastError } from '../errors/holdfast-error';
import { type AppClient, appNeeded } from './app-client';
import type { CommonOptions } from './command-options';
import { interruptible, signalExitCode } from './interrupt';
import type { Output } from './output';
import { type Progress, startProgress } from './progress';
import { showBytes, table } from './sizes';

const FIRST_POLL_MS = 250;
const MAX_POLL_MS = 5_000;
/** Times that an app may not answer, one after another, before following it is given up. */
const MAX_FAILURES = 10;

interface Job {
  readonly id: string;
  readonly state: string;
  readonly phase: string;
  readonly endedAt: string | null;
  readonly progress: { readonly bytesDone: number; readonly bytesTotal: number | null };
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** The job when it has ended, or null when the person stopped watching. An app that does not answer for a while is asked again. */
async function untilEnded<T extends Job>(app: AppClient, id: string, progress: Progress, signal: AbortSignal): Promise<T | null> {
  let shown = 0;
  let failures = 0;
  for (let pollMs = FIRST_POLL_MS; !signal.aborted; pollMs = Math.min(pollMs * 1.5, MAX_POLL_MS)) {
    try {
      const job = await app.send('GET', `/api/jobs/${encodeURIComponent(id)}`) as T;
      failures = 0;
      if (job.endedAt !== null) return job;
      progress.describe(`${id}: ${job.phase}`, job.progress.bytesTotal ?? 0);
      progress.advance(job.progress.bytesDone - shown, job.progress.bytesDone - shown);
      shown = job.progress.bytesDone;
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'APP_UNREACHABLE' || ++failures >= MAX_FAILURES) throw error;
    }
    await delay(pollMs, undefined, { signal }).catch(() => undefined);
  }
  return null;
}

/** The error that a job failed with. */
export function failureOf({ id, state, error }: Pick<Job, 'id' | 'state' | 'error'>): HoldfastError {
  if (error && isErrorCode(error.code)) return new HoldfastError(error.code, `${id} ${state === 'cancelled' ? 'was cancelled' : 'failed'}: ${error.message}`);
  return new HoldfastError('INTERNAL', `${id} ended as ${state}`);
}

/** Follows a job to its end; null, with `goesOn`, a word on how to go on, when the person stopped watching: it goes on in the app. */
export async function followed<T extends Job>(app: AppClient, id: string, out: Output, goesOn = jobGoesOn(app, id)): Promise<T | null> {
  return interruptible(async (signal) => {
    const progress = startProgress(id, 0, out.quiet);
    try {
      const job = await untilEnded<T>(app, id, progress, signal);
      if (job === null) {
        out.result({ id, state: 'running', detached: true }, () => []);
        process.stderr.write(`holdfast: ${goesOn}\n`);
      }
      return job;
    } finally {
      progress.end();
    }
  });
}

const jobGoesOn = ({ origin }: AppClient, id: string): string => `the job goes on in the app. \`holdfast jobs ${id} --url ${origin}\` shows it, \`holdfast cancel ${id} --url ${origin}\` stops it`;

/** Has the app back an item up, now, and follows the job. */
export async function runAppBackup(app: AppClient, item: string, out: Output): Promise<number> {
  const { id } = await app.send('POST', `/api/items/${encodeURIComponent(item)}/backups`) as { id: string };
  const job = await followed<JobView>(app, id, out);
  if (job === null) return signalExitCode() ?? 0;
  for (const warning of job.warnings) out.warn(warning);
  if (job.state !== 'succeeded') throw failureOf(job);
  const { figures } = job;
  out.result(job, () => [
    `Backed up ${job.itemName ?? job.itemId}: ${job.recoveryPoint ?? '-'} (${job.consistency ?? '-'})`,
    ...(figures ? [`  read ${showBytes(figures.readBytes)}, changed ${showBytes(figures.changedBytes)}, stored ${showBytes(figures.storedBytes)}, reused ${showBytes(figures.reusedBytes)}`] : []),
  ]);
  return 0;
}

/** Has the app prove the whole vault, and follows it. 4 when anything is damaged. */
export async function runAppScrub(app: AppClient, out: Output): Promise<number> {
  const { id } = await app.send('POST', '/api/vault/scrubs', {}) as { id: string };
  const job = await followed<ScrubJobView>(app, id, out);
  if (job === null) return signalExitCode() ?? 0;
  if (job.state !== 'succeeded') throw failureOf(job);
  const ok = job.ok === true;
  (ok ? out.result : out.answer).call(out, job, () => [
    ...job.damaged.map(({ recoveryPoint }) => `DAMAGED   ${recoveryPoint}`),
    `read and proved ${job.proved} recovery point${job.proved === 1 ? '' : 's'} (${showBytes(job.progress.bytesDone)} stored)`,
  ]);
  if (!ok) out.warn('the scrub found damage', 'run `holdfast check` for all that it touches. The next backup stores anew what is damaged, where the source still has it.');
  return ok ? 0 : 4;
}

export interface JobsOptions extends CommonOptions {
  readonly item?: string;
  readonly running?: boolean;
}

/** Jobs of the app, the newest first; or one in full. */
export async function runJobs(id: string | undefined, options: JobsOptions, out: Output): Promise<number> {
  const app = appNeeded(options, 'Listing jobs');
  if (id !== undefined) {
    const job = await app.send('GET', `/api/jobs/${encodeURIComponent(id)}`) as AnyJobView;
    out.answer(job, () => [
      `${job.id}`, `  state     ${job.state}, ${job.phase}, ${job.progress.percent} %`, `  started   ${job.startedAt}`, `  ended     ${job.endedAt ?? '-'}`,
      ...(job.error ? [`  failed    ${job.error.message}`, `  to do     ${job.error.remedy}`] : []),
    ]);
    return 0;
  }
  const item = options.item === undefined ? '' : `?item=${encodeURIComponent(options.item)}`;
  const jobs = (await app.all<AnyJobView>(`/api/jobs${item}`)).filter(({ endedAt }) => options.running !== true || endedAt === null);
  out.answer(jobs, () => (jobs.length === 0 ? ['There is no such job.'] : table([
    ['JOB', 'STATE', 'PHASE', '%', 'STARTED', 'ENDED'], ...jobs.map((job) => [job.id, job.state, job.phase, String(job.progress.percent), job.startedAt, job.endedAt ?? '-']),
  ])));
  return 0;
}

/** Asks the app to stop a job. */
export async function runCancel(id: string, options: CommonOptions, out: Output): Promise<number> {
  const answer = await appNeeded(options, 'Cancelling a job').send('POST', `/api/jobs/${encodeURIComponent(id)}/cancel`, {});
  out.result(answer, () => [`${id} is being cancelled.`]);
  return 0;
}
