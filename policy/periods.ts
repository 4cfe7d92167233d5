import { HOUR_MS, MONTHS, WEEKDAYS, WEEKS_OF_MONTH } from './calendar';
import type { Retention } from './retention-schema';

export const DAY_MS = 24 * HOUR_MS;
export type PeriodKind = 'daily' | 'weekly' | 'monthly' | 'yearly';

/** A stretch of the calendar, in milliseconds since 1970, UTC: from the first instant on, up to and without the second. */
export interface Period {
  readonly startMs: number;
  readonly endMs: number;
}

const utcDay = (year: number, month: number, day: number): number => Date.UTC(year, month, day);

/** The day, week (Monday to Sunday, as in ISO 8601), month or year that an instant lies in. */
export function periodOf(kind: PeriodKind, atMs: number): Period {
  const at = new Date(atMs);
  const [year, month] = [at.getUTCFullYear(), at.getUTCMonth()];
  const dayStart = Math.floor(atMs / DAY_MS) * DAY_MS;
  switch (kind) {
    case 'daily': return { startMs: dayStart, endMs: dayStart + DAY_MS };
    case 'weekly': {
      const startMs = dayStart - ((at.getUTCDay() + 6) % 7) * DAY_MS;
      return { startMs, endMs: startMs + 7 * DAY_MS };
    }
    case 'monthly': return { startMs: utcDay(year, month, 1), endMs: utcDay(year, month + 1, 1) };
    case 'yearly': return { startMs: utcDay(year, 0, 1), endMs: utcDay(year + 1, 0, 1) };
  }
}

/** The start of the period that follows `count` periods after the one that `atMs` lies in. */
export function laterPeriodStart(kind: PeriodKind, atMs: number, count: number): number {
  const { startMs } = periodOf(kind, atMs);
  const start = new Date(startMs);
  const [year, month] = [start.getUTCFullYear(), start.getUTCMonth()];
  switch (kind) {
    case 'daily': return startMs + count * DAY_MS;
    case 'weekly': return startMs + count * 7 * DAY_MS;
    case 'monthly': return utcDay(year, month + count, 1);
    case 'yearly': return utcDay(year + count, 0, 1);
  }
}

/**
 * The part of a period that a rule names: a day, a month of a year, or all of it where the rule names nothing. A day that a month lacks is its last
 * (so 31 is 30 April, and 28 or 29 February), as in a schedule.
 */
export function namedPart(kind: PeriodKind, retention: Retention, period: Period): Period {
  switch (kind) {
    case 'daily': return period;
    case 'weekly': {
      const weekday = retention.weekly?.weekday;
      if (weekday === undefined) return period;
      return oneDay(period.startMs + ((WEEKDAYS.indexOf(weekday) + 6) % 7) * DAY_MS);
    }
    case 'monthly': return retention.monthly ? dayOfMonth(retention.monthly, period) : period;
    case 'yearly': {
      const rule = retention.yearly;
      if (rule?.month === undefined) return period;
      const month = MONTHS.indexOf(rule.month);
      return dayOfMonth(rule, periodOf('monthly', utcDay(new Date(period.startMs).getUTCFullYear(), month, 1)));
    }
  }
}

type DayRule = Pick<NonNullable<Retention['monthly']>, 'day' | 'week' | 'weekday'>;

function dayOfMonth({ day, week, weekday }: DayRule, month: Period): Period {
  const days = (month.endMs - month.startMs) / DAY_MS;
  if (day !== undefined) return oneDay(month.startMs + ((day === 'last' ? days : Math.min(day, days)) - 1) * DAY_MS);
  if (week === undefined || weekday === undefined) return month;
  const first = (WEEKDAYS.indexOf(weekday) - new Date(month.startMs).getUTCDay() + 7) % 7;
  const nth = week === 'last' ? Math.floor((days - 1 - first) / 7) : WEEKS_OF_MONTH.indexOf(week);
  return oneDay(month.startMs + (first + nth * 7) * DAY_MS);
}

const oneDay = (startMs: number): Period => ({ startMs, endMs: startMs + DAY_MS });

/** A period's name for people: `2026-11-23`, `week of 2026-11-23`, `2026-11`, `2026`. */
export function periodName(kind: PeriodKind, { startMs }: Period): string {
  const date = new Date(startMs).toISOString();
  const name = date.slice(0, kind === 'yearly' ? 4 : kind === 'monthly' ? 7 : 10);
  return kind === 'weekly' ? `week of ${name}` : name;
}
