import { createHash } from 'node:crypto';
import { type ErrorReport, HoldfastError, isHoldfastError, toReport } from '../errors/holdfast-error';
import { DAY_MS } from '../policy/periods';
import { lastGood, planItemRetention, type PointRetention, type Retentions } from '../policy/retention-plan';
import type { PolicyDocument } from '../policy/schema';
import { loadRecoveryPoint } from '../vault/catalog';
import { parseRecoveryPointId } from '../vault/format/manifest';
import { type Decider, markDeleted, markUndeleted } from '../vault/points/marks';
import type { VaultAccess } from '../vault/format/tree';
import { type ItemPoints, itemPoints } from './item-points';
import type { Qualities } from './point-quality';
import { listPolicies } from './policy-store';

/** The policies whose rules count: in force, enabled and readable. */
export interface PoliciesInForce {
  readonly retentions: Retentions;
  /** Names of those whose rules were changed, and the change confirmed, so lately that it may not have been applied yet. */
  readonly fresh: ReadonlySet<string>;
  /** Names of policies whose rules count for recovery points without a policy, whether or not they made others of the item. */
  readonly covering: readonly string[];
}

/** Retention runs daily. What should have gone this long ago and is still there shows that rules, clock or records changed, or that it did not run. */
const OVERDUE_MS = 3 * DAY_MS;
/** So many overdue ones of an item are let pass: a day's that was missed. */
const OVERDUE_COUNT = 10;
const OVERDUE_SHARE = 0.1;
/** Marks that are written at once. */
const PARALLEL_MARKS = 8;

/** The policies in force at `nowMs`. A policy that cannot be read lets nothing go, and is told to `onBroken`. */
export async function policiesInForce(vault: VaultAccess, nowMs: number, onBroken: (name: string, error: HoldfastError) => void): Promise<PoliciesInForce> {
  const stored = (await listPolicies(vault.store, onBroken)).filter(({ document }) => document.enabled);
  return {
    retentions: new Map(stored.map(({ document }) => [document.name, document.retention])),
    fresh: new Set(stored.filter(({ storedAtMs }) => nowMs - storedAtMs < OVERDUE_MS).map(({ document }) => document.name)), covering: [],
  };
}

/** The same with rules that count for recovery points without a policy, too. */
export const covering = (policies: PoliciesInForce, name: string): PoliciesInForce => ({ ...policies, covering: [...policies.covering, name] });

/** The same with another document in place of the one in force, to see what that would mean. */
export const withDocument = (policies: PoliciesInForce, { name, enabled, retention }: PolicyDocument): PoliciesInForce => {
  const retentions = new Map(policies.retentions);
  if (enabled) retentions.set(name, retention); else retentions.delete(name);
  return { ...policies, retentions, fresh: new Set([...policies.fresh].filter((one) => one !== name)) };
};

/** What retention says of an item now: the plan, and all that a dry run has to say. */
export interface ItemRetentionPlan {
  readonly itemId: string;
  /** Live recovery points, by time. */
  readonly points: readonly PointRetention[];
  /** Ids of those that go into the bin. */
  readonly goes: readonly string[];
  /** Ids of the last good ones, which stay. */
  readonly lastGood: readonly string[];
  /** Approves exactly this plan. */
  readonly token: string;
  /** Why it is not carried out without approval; null when it is. */
  readonly refused: ErrorReport | null;
}

/** Plans the retention of one item: reads only. */
export async function planRetention(vault: VaultAccess, itemId: string, policies: PoliciesInForce, nowMs: number, qualities?: Qualities): Promise<ItemRetentionPlan> {
  return planOf(itemId, await itemPoints(vault, itemId, qualities), policies, nowMs);
}

/** Pure: the plan for an item with these recovery points. */
export function planOf(itemId: string, { points, unreadable }: ItemPoints, { retentions, fresh, covering: names }: PoliciesInForce, nowMs: number): ItemRetentionPlan {
  const planned = planItemRetention(points, retentions, nowMs, names);
  const goes = planned.filter(({ keeps }) => keeps.length === 0).map(({ id }) => id);
  const token = createHash('sha256').update(JSON.stringify([itemId, [...goes].sort()])).digest('hex').slice(0, 16);
  const whole = [...planned, ...unreadable.map(keptUnread)].sort((a, b) => (stampOf(a.id) < stampOf(b.id) ? -1 : 1));
  const overdue = new Set(planItemRetention(points.filter(({ createdAtMs }) => createdAtMs <= nowMs - OVERDUE_MS), retentions, nowMs - OVERDUE_MS, names).filter(({ keeps }) => keeps.length === 0).map(({ id }) => id));
  const going = new Set(goes);
  const anyFresh = points.some(({ policy }) => policy !== null && fresh.has(policy));
  const late = points.filter(({ id, policy }) => overdue.has(id) && going.has(id) && !(policy === null ? anyFresh : fresh.has(policy))).length;
  let refused: HoldfastError | null = null;
  const data = { itemId, goes: goes.length, of: whole.length, approve: token };
  if (goes.length > 0 && goes.length >= whole.length) {
    refused = new HoldfastError('RETENTION_REFUSED', `Retention would delete every recovery point of ${itemId}`, { data });
  } else if (late > Math.max(OVERDUE_COUNT, OVERDUE_SHARE * whole.length)) {
    refused = new HoldfastError('RETENTION_REFUSED',
      `Retention would delete ${goes.length} of ${whole.length} recovery points of ${itemId}, and ${late} of them should have gone days ago: rules or records changed, or it has not run. The token is ${token}`, { data });
  }
  return { itemId, points: whole, goes, lastGood: lastGood(points, nowMs), token, refused: refused && refused.toJSON() };
}

const stampOf = (id: string): string => parseRecoveryPointId(id).stamp;
const keptUnread = (id: string): PointRetention =>
  ({ id, keeps: [{ rule: 'unreadable', policy: null, period: null, untilAt: null, exact: false, until: 'somebody deletes it: its manifest does not open, so no rule speaks for it' }], atLeastUntilAt: null });

export interface AppliedRetention {
  readonly itemId: string;
  readonly kept: number;
  /** Ids of those that were put into the bin. */
  readonly binned: readonly string[];
  /** Those that were to go and stayed, for instance because a hold was put on them meanwhile. */
  readonly stayed: readonly { readonly id: string; readonly error: ErrorReport }[];
  /** Why nothing was done. */
  readonly refused: ErrorReport | null;
}

/**
 * Carries a plan out: puts what goes into the bin. Safe to run twice. A plan that is refused is carried out only with its own token. If what was to stay of
 * the last good ones is gone when it is done, because somebody deleted them meanwhile, everything is taken out of the bin again.
 */
export async function executeRetention(vault: VaultAccess, plan: ItemRetentionPlan, decider: Decider, approve: string | null = null): Promise<AppliedRetention> {
  const { itemId, goes } = plan;
  const nothing = { itemId, kept: plan.points.length, binned: [], stayed: [] };
  if (plan.refused && (approve !== plan.token || goes.length >= plan.points.length)) return { ...nothing, refused: plan.refused };
  if (goes.length === 0) return { ...nothing, refused: null };
  const binned: string[] = [];
  const stayed: { id: string; error: ErrorReport }[] = [];
  await inLanes(goes, async (id) => {
    try {
      await markDeleted(vault, id, decider, { reason: 'retention', policy: null });
      binned.push(id);
    } catch (error) {
      if (!isHoldfastError(error) || !['RECOVERY_POINT_HELD', 'RECOVERY_POINT_DELETED', 'RECOVERY_POINT_NOT_FOUND', 'DOCUMENT_DAMAGED'].includes(error.code)) throw error;
      stayed.push({ id, error: toReport(error) });
    }
  });
  const left = await Promise.all(plan.lastGood.map((id) => isStillGood(vault, id)));
  if (left.every((one) => one)) return { itemId, kept: plan.points.length - binned.length, binned: binned.sort(), stayed, refused: null };
  await inLanes(binned, async (id) => void await markUndeleted(vault, id, decider));
  return { ...nothing, refused: new HoldfastError('LAST_RECOVERY_POINT', `A last good recovery point of ${itemId} was deleted while retention ran; what it had deleted is back`, { data: { itemId } }).toJSON() };
}

const NOT_GOOD: readonly string[] = ['RECOVERY_POINT_DELETED', 'RECOVERY_POINT_NOT_FOUND', 'DOCUMENT_DAMAGED', 'VAULT_NEWER_FORMAT'];

/** True while the recovery point is live and opens. */
async function isStillGood(vault: VaultAccess, id: string): Promise<boolean> {
  try {
    await loadRecoveryPoint(vault, id);
    return true;
  } catch (error) {
    if (!isHoldfastError(error) || !NOT_GOOD.includes(error.code)) throw error;
    return false;
  }
}

async function inLanes<T>(list: readonly T[], work: (element: T) => Promise<void>): Promise<void> {
  const queue = list.values();
  await Promise.all(Array.from({ length: Math.min(PARALLEL_MARKS, list.length) }, async () => {
    for (const element of queue) await work(element);
  }));
}
