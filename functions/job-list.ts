import type { DurableClient, DurableOrchestrationStatus } from 'durable-functions';
import { findStatus, isActive } from './durable-status';

/** An instance and its place in lists. */
export interface ListedStatus { readonly key: string; readonly status: DurableOrchestrationStatus }

/** What began shortly before the last look may have been written down after it, and engines' clocks differ. */
const OVERLAP_MS = 2 * 60_000;
/** After so long everything is asked for again: somebody may have purged or restarted instances. */
const WHOLE_MS = 5 * 60_000;
/** More that are at work than this are asked for with all that began since the oldest of them, and not one by one. */
const ONE_BY_ONE = 40;

/**
 * The instances that are jobs, newest first. A week of a thousand machines is ten thousands of instances with their parts, and asking the engine for them takes it seconds; but what has ended
 * does not change any more. So those that ended are kept, and only what began since and what is at work is asked for. Every answer is of after the question.
 */
export class JobList {
  #jobs = new Map<string, DurableOrchestrationStatus>();
  #sorted: readonly ListedStatus[] = [];
  #fromMs = Infinity;
  #lookedMs = -Infinity;
  #wholeMs = -Infinity;
  #turn: Promise<void> = Promise.resolve();
  #waiting: { readonly done: Promise<void>; sinceMs: number; nowMs: number } | undefined;

  constructor(private readonly isJob: (instanceId: string) => boolean) {}

  /** Jobs that began at or after `sinceMs`. Throws what the engine's client throws. */
  async list(client: DurableClient, sinceMs: number, nowMs: number): Promise<readonly ListedStatus[]> {
    await this.#looked(client, sinceMs, nowMs);
    // Keys begin with the time, and the newest are first.
    const since = new Date(sinceMs).toISOString();
    let [from, to] = [0, this.#sorted.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#sorted[middle] as ListedStatus).key >= since) from = middle + 1;
      else to = middle;
    }
    return this.#sorted.slice(0, from);
  }

  /** One look at a time; whoever asks while one is under way shares the next. */
  #looked(client: DurableClient, sinceMs: number, nowMs: number): Promise<void> {
    if (this.#waiting) {
      this.#waiting.sinceMs = Math.min(this.#waiting.sinceMs, sinceMs);
      this.#waiting.nowMs = Math.max(this.#waiting.nowMs, nowMs);
      return this.#waiting.done;
    }
    const next = { sinceMs, nowMs, done: Promise.resolve() };
    const done = this.#turn.then(() => {
      this.#waiting = undefined;
      return this.#look(client, next.sinceMs, next.nowMs);
    });
    this.#turn = done.catch(() => undefined);
    next.done = done;
    this.#waiting = next;
    return done;
  }

  async #look(client: DurableClient, sinceMs: number, nowMs: number): Promise<void> {
    const isWhole = sinceMs < this.#fromMs || nowMs - this.#wholeMs > WHOLE_MS || nowMs < this.#lookedMs;
    const active = isWhole ? [] : [...this.#jobs.values()].filter(isActive);
    const oldestMs = active.length > ONE_BY_ONE ? Math.min(...active.map(({ createdTime }) => new Date(createdTime).getTime())) : Infinity;
    const fromMs = isWhole ? sinceMs : Math.min(this.#lookedMs - OVERLAP_MS, oldestMs);
    const found = (await client.getStatusBy({ createdTimeFrom: new Date(fromMs), createdTimeTo: new Date(nowMs + OVERLAP_MS), runtimeStatus: [] })).filter(({ instanceId }) => this.isJob(instanceId));
    const seen = new Set(found.map(({ instanceId }) => instanceId));
    const rest = await Promise.all(active.filter(({ instanceId }) => !seen.has(instanceId)).map(async ({ instanceId }) => [instanceId, await findStatus(client, instanceId)] as const));
    const jobs = isWhole ? new Map<string, DurableOrchestrationStatus>() : new Map(this.#jobs);
    for (const [id, status] of rest) {
      if (status) jobs.set(id, status);
      else jobs.delete(id);
    }
    for (const status of found) {
      const known = this.#jobs.get(status.instanceId);
      // The same object as before where nothing changed, for those who keep something beside it.
      const isSame = known !== undefined && !isActive(known) && String(known.lastUpdatedTime) === String(status.lastUpdatedTime) && known.runtimeStatus === status.runtimeStatus;
      jobs.set(status.instanceId, isSame ? known : status);
    }
    const isChanged = jobs.size !== this.#jobs.size || [...jobs].some(([id, status]) => this.#jobs.get(id) !== status);
    if (isChanged) this.#sorted = [...jobs.values()].map((status): ListedStatus => ({ key: `${new Date(status.createdTime).toISOString()} ${status.instanceId}`, status })).sort((a, b) => (a.key < b.key ? 1 : -1));
    this.#jobs = jobs;
    this.#lookedMs = nowMs;
    if (isWhole) [this.#wholeMs, this.#fromMs] = [nowMs, sinceMs];
  }
}
