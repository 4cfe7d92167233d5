import { z } from 'zod';
import { LONGEST_DAYS_OF_MONTH, MONTHS, WEEKDAYS, WEEKS_OF_MONTH } from './calendar';
import { dayOfMonthSchema } from './day-schema';
import { MAX_KEEP_COUNT, MAX_KEEP_DAYS } from './limits';

const count = z.int().min(1).max(MAX_KEEP_COUNT);

/** Which day of a month stands for it: a day of the month, or a weekday in a week of it; nothing means the newest of the period. */
const dayOfMonth = {
  day: dayOfMonthSchema.optional(),
  week: z.enum(WEEKS_OF_MONTH).optional(),
  weekday: z.enum(WEEKDAYS).optional(),
};

interface DayChoice {
  readonly day?: number | 'last' | undefined;
  readonly week?: string | undefined;
  readonly weekday?: string | undefined;
}

function refineDayChoice(choice: DayChoice, context: z.RefinementCtx): void {
  if (choice.day !== undefined && (choice.week !== undefined || choice.weekday !== undefined)) {
    context.addIssue({ code: 'custom', path: ['day'], message: 'either day, or week with weekday, not both' });
  } else if ((choice.week === undefined) !== (choice.weekday === undefined)) {
    const missing = choice.week === undefined ? 'week' : 'weekday';
    context.addIssue({ code: 'custom', path: [missing], message: 'week and weekday only make sense together' });
  }
}

const daily = z.strictObject({ count });
const weekly = z.strictObject({ count, weekday: z.enum(WEEKDAYS).optional() });
const monthly = z.strictObject({ count, ...dayOfMonth }).superRefine(refineDayChoice);
const yearly = z.strictObject({ count, month: z.enum(MONTHS).optional(), ...dayOfMonth }).superRefine((rule, context) => {
  refineDayChoice(rule, context);
  if (rule.month === undefined && (rule.day !== undefined || rule.week !== undefined)) {
    context.addIssue({ code: 'custom', path: ['month'], message: 'a day of the year needs its month' });
  }
  const longest = rule.month === undefined ? 31 : (LONGEST_DAYS_OF_MONTH[MONTHS.indexOf(rule.month)] ?? 31);
  if (typeof rule.day === 'number' && rule.day > longest) {
    context.addIssue({ code: 'custom', path: ['day'], message: `${rule.month} has no such day` });
  }
});

/** What a policy keeps that says nothing of retention: every point of two weeks, then days, weeks and months of a year. */
export const DEFAULT_RETENTION = { keepLast: 3, keepWithinDays: 14, daily: { count: 30 }, weekly: { count: 8 }, monthly: { count: 12 } };

/**
 * Which recovery points are kept. A recovery point stays as long as any one rule keeps it; rules that are not given
 * keep nothing. At least one rule is given, so that no policy can say "keep nothing" (fault 41).
 */
export const retentionSchema = z.strictObject({
  keepLast: count.optional(),
  keepWithinDays: z.int().min(1).max(MAX_KEEP_DAYS).optional(),
  daily: daily.optional(),
  weekly: weekly.optional(),
  monthly: monthly.optional(),
  yearly: yearly.optional(),
}).superRefine((rules, context) => {
  if (Object.values(rules).every((rule) => rule === undefined)) {
    context.addIssue({ code: 'custom', message: 'at least one rule is needed: keepLast, keepWithinDays, daily, weekly, monthly or yearly' });
  }
}).meta({ minProperties: 1 });

export type Retention = z.output<typeof retentionSchema>;
