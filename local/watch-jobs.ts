import type { JobView } from '../functions/job-view';
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
    const jobs = (await ask('/api/jobs')) as JobView[];
    const news = jobs.filter(({ id, endedAt }) => endedAt !== null && !ended.has(id)).reverse();
    for (const job of news) {
      ended.add(job.id);
      // What ended before this start is no news.
      if (!first) print(`${isTerminal ? '\r\x1b[K' : ''}${describeEnd(job)}`);
    }
    first = false;
    const running = await Promise.all(jobs.filter(({ endedAt }) => endedAt === null).map(({ id }) => ask(`/api/jobs/${id}`) as Promise<JobView>));
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

function describeProgress({ itemName, itemId, phase, progress }: JobView): string {
  const { percent, bytesDone, bytesTotal, bytesPerSecond, secondsLeft } = progress;
  const parts = [`${itemName ?? itemId}: ${phase}`];
  if (phase === 'transfer') {
    parts.push(`${percent} %`, `${showBytes(bytesDone)} of ${showBytes(bytesTotal)}`);
    if (bytesPerSecond) parts.push(`${showBytes(bytesPerSecond)}/s`);
    if (secondsLeft) parts.push(`${showSeconds(secondsLeft)} left`);
  }
  return parts.join('  ');
}

export function describeEnd(job: JobView): string {
  const name = job.itemName ?? job.itemId;
  const seconds = (Date.parse(job.endedAt ?? job.startedAt) - Date.parse(job.startedAt)) / 1000;
  if (job.state === 'succeeded' && job.figures) {
    const { readBytes, changedBytes, storedBytes } = job.figures;
    return `${name}: backed up in ${showSeconds(seconds)} (${job.consistency}): read ${showBytes(readBytes)}, changed ${showBytes(changedBytes)}, stored ${showBytes(storedBytes)}\n  ${job.recoveryPoint}`;
  }
  return `${name}: ${job.state}${job.error ? `: ${job.error.message}\n  What to do: ${job.error.remedy}` : ''}`;
}
