/**
 * How an item stands.
 * - protected: a policy covers it, and its newest recovery point is as new as that wants
 * - waiting: a policy covers it, and the first recovery point is not overdue yet. There is none
 * - overdue: a policy covers it, and there is no recovery point as new as that wants
 * - damaged: it would be protected, and its newest recovery point does not open or did not prove
 * - unprotected: a machine that no policy covers
 * - server: what the command line backs up by itself. No policy says how often
 * - gone: its machine is no longer there; its recovery points are
 */
export const ITEM_STATES = ['protected', 'waiting', 'overdue', 'damaged', 'unprotected', 'server', 'gone'] as const;
export type ItemState = (typeof ITEM_STATES)[number];

export interface ItemFacts {
  readonly hasMachine: boolean;
  readonly isServer: boolean;
  /** Of the strictest policy, in seconds; null when none covers it. */
  readonly objective: number | null;
  /** Of the newest recovery point that opens, in seconds; null when there is none. */
  readonly age: number | null;
  /** Since the policy is in force, in seconds: the age of what is not there yet. */
  readonly waiting: number | null;
  readonly isDamaged: boolean;
}

export const secondsSince = (thenMs: number, nowMs: number): number => Math.max(0, (nowMs - thenMs) / 1000);

export function itemState({ hasMachine, isServer, objective, age, waiting, isDamaged }: ItemFacts): ItemState {
  if (!hasMachine) return isDamaged ? 'damaged' : isServer ? 'server' : 'gone';
  if (objective !== null && (age ?? waiting ?? 0) > objective) return 'overdue';
  if (isDamaged) return 'damaged';
  if (objective === null) return 'unprotected';
  return age === null ? 'waiting' : 'protected';
}
