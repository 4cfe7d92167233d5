import { type ErrorReport, HoldfastError, isHoldfastError } from '../../errors/holdfast-error';
import { ahead } from '../ahead';
import { addAlive, AliveSet, doubt } from './alive';
import { type Candidate, CollectPlanner, type CollectPlan, type Interval, timeOfToken, writtenBefore } from './collect-plan';
import { collectWork, type WorkRemoved } from './collect-work';
import { type HistoryContext, type ItemHistory, readItemHistory, recordReader } from './item-history';
import { MARGINS } from './margins';
import { namesDigests } from './names-digest';
import { type RunSurvey, surveyRuns } from './run-survey';
import { trustedNowMs } from '../server-clock';
import { withSmallHeap } from '../small-heap';
import type { VaultAccess } from '../format/tree';

export interface CollectOptions {
  /** This machine's clock, in milliseconds since 1970; it is compared with the store's (fault 29). */
  readonly localNowMs: () => number;
  /** For people: who has it collected. */
  readonly by: string;
  /** Only the plan: nothing is changed. */
  readonly dryRun?: boolean;
  /** The token of a plan that a person approved. */
  readonly approve?: string | undefined;
  /** It stops deleting after this long; the report says then that there is more. */
  readonly timeLimitMs?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (what: string) => void;
}

export interface CollectReport {
  readonly dryRun: boolean;
  /** By the clock of the store's server. */
  readonly at: string;
  readonly recoveryPoints: { readonly items: number; readonly live: number; readonly binned: number };
  /** What went, or would go, because its time in the bin was over. */
  readonly purged: readonly string[];
  /** What the bin holds, what goes first first. */
  readonly bin: ItemHistory['binned'];
  readonly runs: Pick<RunSurvey, 'open' | 'settled'>;
  readonly plan: Omit<CollectPlan, 'candidates'>;
  /** The time from which on the first of what waits may go, if nothing needs it by then; null when nothing waits. */
  readonly nextDueAt: string | null;
  readonly deleted: Deleted;
  /** Records of ended runs that were removed (in a dry run: would be). */
  readonly work: WorkRemoved;
  /** Damage that was met, and that does not make it uncertain what is needed. */
  readonly problems: readonly ErrorReport[];
}

export interface Deleted {
  packs: number;
  bytes: number;
  /** The store does not let go of them yet: an immutability policy. A later collection deletes them. */
  immutable: number;
  /** Not as they were when the plan was made, so they stay. */
  changed: number;
  /** Planned and not yet done. */
  left: number;
}

/** Packs that are deleted at once: enough to hide the time of a round trip. */
const PARALLEL_DELETES = 16;

/**
 * Deletes what nothing needs, in a plan and its execution; the dry run is the plan.
 *
 * What makes it safe beside everything else (I2). First every run whose time is over is given up, and every sealed one is committed; from then on those cannot come to need anything. The
 * horizon is the time, by the store's clock, at which the first of the runs that are still open began, or now. Such a run, or one that begins later, refers to packs that it wrote itself,
 * after the horizon, and to packs of recovery points that were live when it looked. Is one of those purged by now, then after the horizon; and what was purged after the horizon still counts as needed.
 * So no pack of the plan can become needed again, by such a run or by one that goes on from its recovery point; and pack ids are never used twice. Therefore two collectors, or one that wakes after a
 * week, delete nothing but what any collector would. That only packs go that were written a longest run before the horizon is one more margin, for what nobody thought of.
 * And each deletion is looked at afresh: the object must be the one of the plan, and no recovery point that was made, brought back or deleted since may need it.
 *
 * Throws COLLECTION_REFUSED for any doubt, COLLECTION_ABNORMAL for a plan that waits for a person, CLOCK_WRONG, and whatever the store throws; then nothing more is deleted.
 */
export const collect = (vault: VaultAccess, options: CollectOptions): Promise<CollectReport> => withSmallHeap(() => collectNow(vault, options));

async function collectNow(vault: VaultAccess, options: CollectOptions): Promise<CollectReport> {
  const dryRun = options.dryRun === true;
  const serverNowMs = await trustedNowMs(vault.store, options.localNowMs);
  const startedMs = options.localNowMs();
  options.onProgress?.('looking at the runs');
  const survey = await surveyRuns(vault, serverNowMs, dryRun);
  const horizonMs = horizonOf(survey, serverNowMs, options);
  const context: HistoryContext = { serverNowMs, horizonMs, by: options.by, dryRun };
  const marked = await mark(vault, survey, context, options);
  const planner = new CollectPlanner(marked.alive, horizonMs, marked.abandoned);
  options.onProgress?.('looking at the packs');
  for (const prefix of ['packs/data/', 'packs/meta/']) for await (const info of vault.store.list(prefix)) planner.offer(info);
  const { candidates, ...plan } = planner.finish();
  const deleted: Deleted = { packs: 0, bytes: 0, immutable: 0, changed: 0, left: plan.unneeded.packs };
  if (!dryRun && candidates.length > 0) {
    if (plan.abnormal !== null && options.approve !== plan.token) throw abnormalError(plan);
    await lookAgain(vault, survey, context, marked.names, candidates);
    options.onProgress?.(`deleting ${candidates.length} packs`);
    const untilMs = startedMs + Math.min(options.timeLimitMs ?? Number.POSITIVE_INFINITY, MARGINS.planLifeMs);
    await deletePacks(vault, candidates, writtenBefore(horizonMs), deleted, () => options.signal?.aborted !== true && options.localNowMs() < untilMs);
  }
  const work = await collectWork(vault, survey, marked, serverNowMs, writtenBefore(horizonMs), dryRun);
  return {
    dryRun, at: iso(serverNowMs), recoveryPoints: marked.counts, purged: marked.purged, bin: marked.bin, runs: { open: survey.open, settled: survey.settled }, plan,
    nextDueAt: plan.oldestWaitingMs === null ? null : iso(plan.oldestWaitingMs + MARGINS.longestRunMs + MARGINS.afterRunMs), deleted, work, problems: marked.problems,
  };
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** When the first run began that may still be at work, or now; not after the time of an approved plan. Throws REQUEST_INVALID for what is no token. */
function horizonOf({ open, settled }: RunSurvey, serverNowMs: number, { approve, dryRun }: CollectOptions): number {
  const approvedMs = approve === undefined ? serverNowMs : timeOfToken(approve);
  if (approvedMs === null) throw new HoldfastError('REQUEST_INVALID', `"${approve?.slice(0, 60)}" is not the token of a plan: those read 20261123T010000000Z-0123456789abcdef`);
  // A dry run commits nothing, so for it a sealed run is still open.
  const runs = [...open, ...(dryRun ? settled.filter(({ outcome }) => outcome === 'committed') : [])];
  return runs.reduce((horizonMs, { openedAtMs }) => Math.min(horizonMs, openedAtMs - MARGINS.beforeRunMs), Math.min(serverNowMs, approvedMs));
}

interface Marked {
  readonly alive: AliveSet;
  readonly abandoned: Interval[];
  readonly abandonedRuns: Map<string, ItemHistory['abandoned']>;
  readonly tombs: Set<string>;
  /** By item: what its names come to (names-digest.ts) once it was looked at. */
  readonly names: Map<string, string>;
  readonly counts: { items: number; live: number; binned: number };
  readonly purged: string[];
  readonly bin: ItemHistory['binned'][number][];
  readonly problems: ErrorReport[];
}

/** Goes through the items one after another, so that memory holds the histories of two items, one read ahead, beside the set of needed packs. */
async function mark(vault: VaultAccess, survey: RunSurvey, context: HistoryContext, options: CollectOptions): Promise<Marked> {
  const marked: Marked = { alive: new AliveSet(), abandoned: [], abandonedRuns: new Map(), tombs: new Set(), names: new Map(), counts: { items: 0, live: 0, binned: 0 }, purged: [], bin: [], problems: [] };
  const items = [...new Set([...survey.items.keys(), ...(await namesDigests(vault)).keys()])].sort();
  const read = (itemId: string, index: number): Promise<ItemHistory> => {
    options.onProgress?.(`looking at item ${index + 1} of ${items.length}`);
    return readItemHistory(vault, itemId, survey.items.get(itemId) ?? [], context);
  };
  for await (const [itemId, history] of ahead(items, read)) {
    if (options.signal?.aborted) throw new HoldfastError('CANCELLED', 'The collection was stopped before anything was deleted');
    await addAlive(marked.alive, itemId, history.points, recordReader(vault, itemId));
    marked.counts.items++;
    marked.counts.live += history.live;
    marked.counts.binned += history.binned.length;
    marked.purged.push(...history.purged);
    marked.bin.push(...history.binned);
    marked.problems.push(...history.problems);
    marked.abandonedRuns.set(itemId, history.abandoned);
    for (const id of history.tombs) marked.tombs.add(id);
    for (const { openedAtMs, endedAtMs } of history.abandoned) if (openedAtMs !== null) marked.abandoned.push({ fromMs: openedAtMs - MARGINS.beforeRunMs, toMs: (endedAtMs ?? openedAtMs) + MARGINS.afterRunMs });
    marked.names.set(itemId, history.names);
  }
  marked.bin.sort((a, b) => (a.binUntil < b.binUntil ? -1 : 1));
  return marked;
}

/** The fresh look before anything is deleted: items in which something was decided since are walked once more, and no pack of the plan may be needed by them. */
async function lookAgain(vault: VaultAccess, survey: RunSurvey, context: HistoryContext, before: ReadonlyMap<string, string>, candidates: readonly Candidate[]): Promise<void> {
  const alive = new AliveSet();
  for (const [itemId, now] of await namesDigests(vault)) {
    if (before.get(itemId) === now) continue;
    const history = await readItemHistory(vault, itemId, survey.items.get(itemId) ?? [], { ...context, dryRun: true });
    await addAlive(alive, itemId, history.points, recordReader(vault, itemId));
  }
  for (const { kind, name } of candidates) if (alive.of(kind).isAlive(name.slice(-32))) throw doubt(`${name} came to be needed while the plan was made`, { name });
}

async function deletePacks(vault: VaultAccess, candidates: readonly Candidate[], beforeMs: number, deleted: Deleted, goesOn: () => boolean): Promise<void> {
  const queue = candidates.values();
  const failures: unknown[] = [];
  await Promise.all(Array.from({ length: Math.min(PARALLEL_DELETES, candidates.length) }, async () => {
    for (const candidate of queue) {
      if (failures.length > 0 || !goesOn()) return;
      try {
        await deletePack(vault, candidate, beforeMs, deleted);
        deleted.left--;
      } catch (error) {
        failures.push(error);
      }
    }
  }));
  if (failures.length > 0) throw failures[0];
}

async function deletePack(vault: VaultAccess, { name, sizeBytes }: Candidate, beforeMs: number, deleted: Deleted): Promise<void> {
  const there = await vault.store.stat(name);
  if (!there) return;
  if (there.sizeBytes !== sizeBytes || there.modifiedAtMs >= beforeMs) {
    deleted.changed++;
    return;
  }
  try {
    await vault.store.delete(name);
    deleted.packs++;
    deleted.bytes += sizeBytes;
  } catch (error) {
    if (!isHoldfastError(error, 'STORE_IMMUTABLE')) throw error;
    deleted.immutable++;
  }
}

const abnormalError = ({ abnormal, token, unneeded }: Pick<CollectPlan, 'abnormal' | 'token' | 'unneeded'>): HoldfastError =>
  new HoldfastError('COLLECTION_ABNORMAL', `Nothing was deleted, because the plan is not a normal one: ${abnormal}. The token of this plan is ${token}`, { data: { token, packs: unneeded.packs, bytes: unneeded.bytes } });
