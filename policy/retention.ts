import { DAY_MS, laterPeriodStart, namedPart, type Period, type PeriodKind, periodName, periodOf } from './periods';
import type { Retention } from './retention-schema';

/** A recovery point as retention sees it. */
export interface RetentionPoint {
  readonly id: string;
  /** When it belongs to: its slot, or the time of the request for one on demand. Milliseconds since 1970. */
  readonly atMs: number;
  /** The instant that it shows; later than `atMs` for a slot that was caught up. */
  readonly createdAtMs: number;
  readonly scheduled: boolean;
  /** `good` was proved by reading it back, `damaged` is known to be, `unproven` is neither. */
  readonly quality: 'good' | 'unproven' | 'damaged';
}

export type RetentionRule = 'keepLast' | 'keepWithinDays' | PeriodKind;

/** One rule that keeps a recovery point. */
export interface RuleKeep {
  readonly rule: RetentionRule;
  /** The day, week, month or year that the recovery point stands for; null for the other rules. */
  readonly period: string | null;
  /** The first instant at which this rule may let it go; null where that depends on what is backed up by then. */
  readonly untilMs: number | null;
  /** True when `untilMs` is when it will, and not just the earliest that it can. */
  readonly exact: boolean;
  /** In words, what lets it go. */
  readonly until: string;
}

/** What is dated later than this much after now was made by a clock that was wrong: it is kept, and takes no other's place. */
const FUTURE_MS = 5 * 60_000;
export const isFuture = (point: RetentionPoint, nowMs: number): boolean => point.atMs > nowMs + FUTURE_MS;

const PERIODS: readonly PeriodKind[] = ['daily', 'weekly', 'monthly', 'yearly'];

/**
 * How good a recovery point is for a place that one of several can have. Each competes only with those that are at least as good: so damaged ones push
 * no whole one out, and ones on demand (which anybody with that right can make any number of) no scheduled one (fault 41).
 */
const rank = ({ quality, scheduled }: RetentionPoint): number => (quality === 'damaged' ? 2 : scheduled ? 0 : 1);

/**
 * Which of the rules keep which of the recovery points at `nowMs`: an entry for each id, without keeps for one that no rule keeps. Pure.
 * What a rule keeps now was kept by it at every moment since it was made, as long as the rules and the qualities stay the same: applying retention
 * every day leaves what applying it once at the end would have.
 */
export function keepsByRule(points: readonly RetentionPoint[], retention: Retention, nowMs: number): ReadonlyMap<string, readonly RuleKeep[]> {
  const keeps = new Map<string, RuleKeep[]>(points.map(({ id }) => [id, []]));
  const past = points.filter((point) => !isFuture(point, nowMs)).sort(newestFirst);
  const add = (id: string, keep: RuleKeep): void => void keeps.get(id)?.push(keep);
  if (retention.keepLast !== undefined) keepLast(past, retention.keepLast, add);
  if (retention.keepWithinDays !== undefined) {
    for (const point of past) {
      const untilMs = Math.max(point.atMs, point.createdAtMs) + retention.keepWithinDays * DAY_MS;
      if (untilMs > nowMs) add(point.id, { rule: 'keepWithinDays', period: null, untilMs, exact: true, until: `it is ${plural(retention.keepWithinDays, 'day')} old` });
    }
  }
  for (const kind of PERIODS) keepByPeriod(kind, past, retention, nowMs, add);
  return keeps;
}

type Add = (id: string, keep: RuleKeep) => void;

function keepLast(newest: readonly RetentionPoint[], count: number, add: Add): void {
  const before = [0, 0, 0];
  for (const point of newest) {
    const own = rank(point);
    const newer = before[own] ?? 0;
    if (newer < count) add(point.id, { rule: 'keepLast', period: null, untilMs: null, exact: false, until: `there are ${count - newer} newer ones more` });
    for (let worse = own; worse < before.length; worse++) before[worse] = (before[worse] ?? 0) + 1;
  }
}

/** One recovery point for each of the last periods that have one: the one that fits the rule's day best. */
function keepByPeriod(kind: PeriodKind, newest: readonly RetentionPoint[], retention: Retention, nowMs: number, add: Add): void {
  const count = retention[kind]?.count;
  if (count === undefined) return;
  const filled = new Map<number, { readonly period: Period; best: RetentionPoint }>();
  for (const point of newest) {
    const period = periodOf(kind, point.atMs);
    const there = filled.get(period.startMs);
    if (!there) filled.set(period.startMs, { period, best: point });
    else if (fitsBetter(point, there.best, namedPart(kind, retention, there.period))) there.best = point;
  }
  const current = periodOf(kind, nowMs);
  const before = [0, 0, 0];
  // Newest first, as the points were.
  for (const { period, best } of filled.values()) {
    const own = rank(best);
    const newer = before[own] ?? 0;
    const currentIsFilled = rank(filled.get(current.startMs)?.best ?? best) <= own && filled.has(current.startMs);
    if (newer < count) add(best.id, periodKeep(kind, period, count - newer, current, currentIsFilled, nowMs));
    for (let worse = own; worse < before.length; worse++) before[worse] = (before[worse] ?? 0) + 1;
  }
}

function periodKeep(kind: PeriodKind, period: Period, needed: number, current: Period, currentIsFilled: boolean, nowMs: number): RuleKeep {
  const name = periodName(kind, period);
  const word = { daily: 'day', weekly: 'week', monthly: 'month', yearly: 'year' }[kind];
  if (period.startMs >= current.startMs) {
    return { rule: kind, period: name, untilMs: null, exact: false, until: `another one stands for this ${word}, or there are ones of ${plural(needed, `later ${word}`)}` };
  }
  // The soonest is when every period from now on gets its own, the current one too where it has none yet.
  const untilMs = Math.max(nowMs, laterPeriodStart(kind, current.startMs, currentIsFilled ? needed : needed - 1));
  return { rule: kind, period: name, untilMs, exact: false, until: `there are ones of ${plural(needed, `later ${word}`)}` };
}

/**
 * Whether `a` stands for a period rather than `b`. A total order, in which nothing but the points themselves counts: so who is the best of all that a period will ever have
 * was the best from its first moment on, and is never dropped in between. Better kinds first; then one within the named part, then the first day after it,
 * then the last one before it; of one day the newest.
 */
function fitsBetter(a: RetentionPoint, b: RetentionPoint, part: Period): boolean {
  if (rank(a) !== rank(b)) return rank(a) < rank(b);
  const [placeA, placeB] = [daysFrom(a, part), daysFrom(b, part)];
  if (placeA !== placeB) return placeA < placeB;
  return newestFirst(a, b) < 0;
}

/** 0 within the part; after it the days since; before it more than any of those, and less the nearer it is. */
function daysFrom({ atMs }: RetentionPoint, { startMs, endMs }: Period): number {
  if (atMs >= endMs) return 1 + Math.floor((atMs - endMs) / DAY_MS);
  return atMs >= startMs ? 0 : 1000 + Math.ceil((startMs - atMs) / DAY_MS);
}

/** By time, then by id, so that the order is one whatever the order they came in. */
export const newestFirst = (a: RetentionPoint, b: RetentionPoint): number => b.atMs - a.atMs || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);

const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;
