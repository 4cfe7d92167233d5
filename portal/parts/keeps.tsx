import type { JSX } from 'preact';
import { words } from '../format';
import type { Keep, RecoveryPoint, RetentionPlan } from '../model';
import { Time } from './basics';

const RULES: Readonly<Record<string, string>> = {
  keepLast: 'one of the last ones', keepWithinDays: 'young enough', daily: 'the one of the day', weekly: 'the one of the week', monthly: 'the one of the month', yearly: 'the one of the year',
  hold: 'a legal hold', 'last-good': 'the last good one', 'no-policy': 'no policy speaks for it', future: 'its date is in the future', undeleted: 'a person took it out of the bin', unreadable: 'it cannot be read',
};

/** Why a recovery point stays, in words. */
export const reason = ({ rule, period, policy }: Keep): string => `${RULES[rule] ?? words(rule)}${period === null ? '' : ` ${period}`}${policy === null ? '' : ` (${policy})`}`;

/** Until when a recovery point is kept, and by what. */
export function KeptUntil({ point, plan }: { point: RecoveryPoint; plan: RetentionPlan | undefined }): JSX.Element {
  if (point.state === 'binned') return <span>in the bin until <Time at={point.binUntil} /></span>;
  const own = plan?.points.find(({ id }) => id === point.id);
  if (own === undefined) return <span class="dim">—</span>;
  // The rule that the date shown comes from stands first.
  const [first, ...others] = [...own.keeps].sort((a, b) => Number(b.untilAt === own.atLeastUntilAt) - Number(a.untilAt === own.atLeastUntilAt));
  if (first === undefined) return <span>goes into the bin next</span>;
  const all = own.keeps.map((keep) => `${reason(keep)}, until ${keep.until}`).join('\n');
  return (
    <span title={all}>
      {own.atLeastUntilAt === null ? `until ${first.until}` : <Time at={own.atLeastUntilAt} />}
      <span class="sub">{reason(first)}{others.length > 0 && ` and ${others.length} more`}</span>
    </span>
  );
}
