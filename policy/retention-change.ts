import type { Retention } from './retention-schema';

/**
 * The rules by which `after` promises less than `before`, in words: one that is gone, or a smaller number. Another day, month or weekday is no less in itself: what it
 * would let go shows in the plan. Nothing promised before, nothing is less. Pure.
 */
export function keepsLess(before: Retention, after: Retention): string[] {
  const less: string[] = [];
  const compare = (rule: string, was: number | undefined, is: number | undefined): void => {
    if (was !== undefined && (is ?? 0) < was) less.push(`${rule}: ${was} → ${is ?? 'none'}`);
  };
  compare('keepLast', before.keepLast, after.keepLast);
  compare('keepWithinDays', before.keepWithinDays, after.keepWithinDays);
  for (const kind of ['daily', 'weekly', 'monthly', 'yearly'] as const) compare(kind, before[kind]?.count, after[kind]?.count);
  return less;
}
