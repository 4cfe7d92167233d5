import type { AnyJobView } from '../functions/http-jobs';
import { showBytes, showSeconds } from '../cli/sizes';

const POLL_MS = 500;
/** Without a terminal a running job says how far it is this often. */
const PLAIN_LINE_MS = 5_000;

/** Asks the app for its jobs as any client would, and shows them: running ones on one redrawn line, each that ends on a line of its own. */
export function watchJobs(ask: (path: string) => Promise<unknown>, print: (line: string) => void): () => void {
  const ended = new Set<string>();
  const isTerminal = process.stdout.isTTY;
  let shownMs = 0;
  let first = true;
  let busy = false;
  const look = async (): Promise<void> => {
    const jobs = (await ask('/api/jobs') as { value: AnyJobView[] }).value;
    const news = jobs.filter(({ id, endedAt }) => endedAt !== null && !ended.has(id)).reverse();
    for (const job of news) {
      ended.add(job.id);
      // What ended before this start is no news.
      if (!first) print(`${isTerminal ? '\r\x1b[K' : ''}${describeEnd(job)}`);
    }
    first = false;
    const running = await Promise.all(jobs.filter(({ endedAt }) => endedAt === null).map(({ id }) => ask(`/api/jobs/${id}`) as Promise<AnyJobView>));
    if (running.length === 0) return;
    const line = running.map(describeProgress).join('   ');
    if (isTerminal) process.stdout.write(`\r\x1b[K${line.slice(0, Math.max(20, process.stdout.columns - 1))}`);
    else if (Date.now() - shownMs >= PLAIN_LINE_MS) {
      shownMs = Date.now();
      print(line);
    }
  };
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    // A look that fails (while the app stops, say) is made up for by the next one.
    look().catch(() => undefined).finally(() => { busy = false; });
  }, POLL_MS);
  return () => clearInterval(timer);
}

/** The machine or item that a job is of. */
function nameOf(job: AnyJobView): string {
  if (job.kind === 'scrub') return job.itemId === null ? 'scrub' : `scrub of ${job.itemId}`;
  return job.kind === 'backup' ? job.itemName ?? job.itemId : job.itemId;
}

function describeProgress(job: AnyJobView): string {
  const { percent, bytesDone, bytesTotal, bytesPerSecond, secondsLeft } = job.progress;
  const parts = [`${nameOf(job)}: ${job.phase}`];
  if (job.phase === 'transfer' || job.phase === 'reading') {
    parts.push(`${percent} %`, `${showBytes(bytesDone)}${bytesTotal === null ? '' : ` of ${showBytes(bytesTotal)}`}`);
    if (bytesPerSecond) parts.push(`${showBytes(bytesPerSecond)}/s`);
    if (secondsLeft) parts.push(`${showSeconds(secondsLeft)} left`);
  }
  return parts.join('  ');
}

export function describeEnd(job: AnyJobView): string {
  const name = nameOf(job);
  const seconds = (Date.parse(job.endedAt ?? job.startedAt) - Date.parse(job.startedAt)) / 1000;
  if (job.kind === 'backup' && job.state === 'succeeded' && job.figures) {
    const { readBytes, changedBytes, storedBytes } = job.figures;
    return `${name}: backed up in ${showSeconds(seconds)} (${job.consistency}): read ${showBytes(readBytes)}, changed ${showBytes(changedBytes)}, stored ${showBytes(storedBytes)}\n  ${job.recoveryPoint}`;
  }
  if (job.kind === 'scrub' && job.ok === false) return `${name}: found damage in ${job.damaged.map(({ recoveryPoint }) => recoveryPoint).join(', ')}`;
  return `${name}: ${job.state}${job.error ? `: ${job.error.message}\n  What to do: ${job.error.remedy}` : ''}`;
}
