import { HOUR_MS } from './calendar';
import { latestSlot, type Schedule } from './schedule';

/** What is known when a timer asks for one item of one policy whether a backup is due. Instants are milliseconds since 1970. */
export interface DueQuestion {
  readonly schedule: Schedule;
  readonly firstBackup: 'now' | 'next-slot';
  /**
   * When the policy took effect for this item: the later of when the document was stored or enabled with this schedule,
   * and when the item was first seen under it.
   */
  readonly policyEffectiveAtMs: number;
  /** The latest slot of this policy that a run of the item was started for, whatever came of it; null for none. */
  readonly lastSlotMs: number | null;
  /** Whether the item has a recovery point, of whatever policy. */
  readonly hasRecoveryPoint: boolean;
  readonly nowMs: number;
  /** A slot missed by more than this waits for the next one; null catches up however late. Never holds back a first backup. */
  readonly maxAgeHours: number | null;
}

export type DueAnswer =
  | { readonly slotMs: number; readonly reason: 'slot' | 'first-backup' }
  | { readonly slotMs: null; readonly reason: NotDueReason };

/**
 * - no-slot-yet: the schedule has no slot up to now
 * - already-started: the latest slot had its run
 * - clock-behind: a run was started for a slot later than now, so the clock went back; nothing is due until it has caught up
 * - before-policy: the latest slot is older than the policy
 * - too-late: the latest slot was missed by more than maxAgeHours
 */
export type NotDueReason = 'no-slot-yet' | 'already-started' | 'clock-behind' | 'before-policy' | 'too-late';

/**
 * The one slot that is due now, if any (fault 30): only ever the latest, so that a host that was down for a week
 * makes one backup and not seven; never one that had its run, so that a doubled timer changes nothing.
 */
export function dueSlot(question: DueQuestion): DueAnswer {
  const { lastSlotMs, nowMs, maxAgeHours } = question;
  const slotMs = latestSlot(question.schedule, nowMs);
  if (lastSlotMs !== null && lastSlotMs > nowMs) return { slotMs: null, reason: 'clock-behind' };
  if (slotMs === null) return { slotMs: null, reason: 'no-slot-yet' };
  if (lastSlotMs !== null && slotMs <= lastSlotMs) return { slotMs: null, reason: 'already-started' };
  if (question.firstBackup === 'now' && !question.hasRecoveryPoint) return { slotMs, reason: 'first-backup' };
  if (slotMs < question.policyEffectiveAtMs) return { slotMs: null, reason: 'before-policy' };
  if (maxAgeHours !== null && nowMs - slotMs > maxAgeHours * HOUR_MS) return { slotMs: null, reason: 'too-late' };
  return { slotMs, reason: 'slot' };
}
