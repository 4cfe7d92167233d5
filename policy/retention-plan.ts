import { isFuture, keepsByRule, newestFirst, type RetentionPoint, type RetentionRule } from './retention';
import type { Retention } from './retention-schema';

/** A recovery point with what the plan needs beside the rules. */
export interface PlannedPoint extends RetentionPoint {
  /** True when a legal hold is on it, or may be. */
  readonly held: boolean;
  /** True when a person took it out of the bin: retention does not put it there again. */
  readonly undeleted: boolean;
  /** The policy that made it; null for one on demand without a policy. */
  readonly policy: string | null;
}

export type KeepReason = RetentionRule | 'hold' | 'last-good' | 'no-policy' | 'future' | 'undeleted' | 'unreadable';

/** Why a recovery point stays, and until when as far as that can be known. */
export interface Keep {
  readonly rule: KeepReason;
  /** The policy whose rule it is; null for what holds for every policy. */
  readonly policy: string | null;
  readonly period: string | null;
  /** ISO 8601: the first instant at which this may let it go; null where that depends on what happens by then. */
  readonly untilAt: string | null;
  readonly exact: boolean;
  readonly until: string;
}

export interface PointRetention {
  readonly id: string;
  /** Empty for one that goes. */
  readonly keeps: readonly Keep[];
  /** ISO 8601: it stays until then at least, unless a rule or a hold is changed; null when that is not known, or when it goes. */
  readonly atLeastUntilAt: string | null;
}

/** The retention of the policies in force, by name. What is not in it (deleted, disabled, unreadable) lets nothing go. */
export type Retentions = ReadonlyMap<string, Retention>;

/**
 * What keeps each live recovery point of one item, in the order given. Pure. A policy's rules count over the recovery points that it made;
 * those without a policy are counted with each policy that made others of the item, or that is named in `covering`, and stay when any of them keeps them. Whatever the rules say,
 * these stay: what is held, what a person took out of the bin, the newest that was proved good, the newest that is not known to be damaged, what no policy in force speaks for, and what is dated in the future.
 */
export function planItemRetention(points: readonly PlannedPoint[], policies: Retentions, nowMs: number, covering: readonly string[] = []): PointRetention[] {
  const keeps = new Map<string, Keep[]>(points.map(({ id }) => [id, []]));
  const add = (id: string, rule: KeepReason, until: string): void => void keeps.get(id)?.push({ rule, policy: null, period: null, untilAt: null, exact: false, until });
  for (const point of points) {
    if (point.held) add(point.id, 'hold', 'every hold on it is released');
    if (point.undeleted) add(point.id, 'undeleted', 'somebody deletes it again: it was taken out of the bin');
    if (isFuture(point, nowMs)) add(point.id, 'future', 'its date has come: the clock that made it was wrong');
  }
  for (const id of lastGood(points, nowMs)) add(id, 'last-good', 'there is a newer good one');
  const names = new Set([...points.flatMap(({ policy }) => (policy === null ? [] : [policy])), ...covering]);
  const inForce = [...names].filter((name) => policies.has(name));
  for (const { id, policy } of points) {
    if (policy === null ? inForce.length === 0 : !policies.has(policy)) add(id, 'no-policy', policy === null ? 'a policy covers it' : `the policy "${policy}" is in force again`);
  }
  for (const name of inForce) {
    const own = points.filter(({ policy }) => policy === name || policy === null);
    for (const [id, rules] of keepsByRule(own, policies.get(name) as Retention, nowMs)) {
      for (const { rule, period, untilMs, exact, until } of rules) keeps.get(id)?.push({ rule, policy: name, period, untilAt: untilMs === null ? null : new Date(untilMs).toISOString(), exact, until });
    }
  }
  return points.map(({ id }) => ({ id, keeps: keeps.get(id) ?? [], atLeastUntilAt: latest(keeps.get(id) ?? []) }));
}

/** The newest that was proved, and the newest that is not known to be damaged; where all are damaged, the newest of them. One of the future is the last to be taken for it. */
export function lastGood(points: readonly RetentionPoint[], nowMs: number): string[] {
  const newest = [...points].sort((a, b) => Number(isFuture(a, nowMs)) - Number(isFuture(b, nowMs)) || newestFirst(a, b));
  const proved = newest.find(({ quality }) => quality === 'good');
  const whole = newest.find(({ quality }) => quality !== 'damaged') ?? newest[0];
  return [...new Set([proved, whole].flatMap((point) => (point ? [point.id] : [])))];
}

/** Any one rule is enough to stay, so the latest of what each promises. */
function latest(keeps: readonly Keep[]): string | null {
  const times = keeps.flatMap(({ untilAt }) => (untilAt === null ? [] : [untilAt])).sort();
  return times.at(-1) ?? null;
}
