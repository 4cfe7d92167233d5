import { z } from 'zod';
import { MINUTES_A_DAY, WEEKDAYS } from './calendar';
import { CronSyntaxError, parseCron } from './cron';
import { dayOfMonthSchema } from './day-schema';
import { MAX_TIMES_A_DAY, MIN_SLOT_GAP_MINUTES } from './limits';

const oneOf = (values: readonly number[]): string => `expected one of ${values.join(', ')}`;

const timeOfDay = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, { error: 'expected a UTC time of day from "00:00" to "23:59"' });

/** Minutes since midnight of a time of day that passed `timeOfDay`. */
export function minuteOfDay(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}

const times = z.array(timeOfDay).min(1).max(MAX_TIMES_A_DAY)
  .superRefine((at, context) => {
    for (const [index, time] of at.entries()) {
      const close = at.slice(0, index).find((other) => gapMinutes(minuteOfDay(time), minuteOfDay(other)) < MIN_SLOT_GAP_MINUTES);
      if (close === undefined) continue;
      const problem = close === time ? 'the same time twice' : `less than ${MIN_SLOT_GAP_MINUTES} minutes from "${close}"`;
      context.addIssue({ code: 'custom', path: [index], message: problem });
    }
  })
  .meta({ description: 'UTC times of day, at least 5 minutes apart (over midnight too)', uniqueItems: true });

function distinct<T extends string | number>(list: readonly T[], context: z.RefinementCtx<T[]>): void {
  for (const [index, element] of list.entries()) {
    if (list.indexOf(element) < index) context.addIssue({ code: 'custom', path: [index], message: 'the same day twice' });
  }
}

const EVERY_HOURS = [1, 2, 3, 4, 6, 8, 12] as const;
const EVERY_MINUTES = [5, 10, 15, 20, 30] as const;

const daily = z.strictObject({ at: times });
const hourly = z.strictObject({
  every: z.literal(EVERY_HOURS, { error: oneOf(EVERY_HOURS) }),
  minute: z.int().min(0).max(59).default(0),
});
const weekly = z.strictObject({
  days: z.array(z.enum(WEEKDAYS)).min(1).max(7).superRefine(distinct).meta({ uniqueItems: true }),
  at: times,
});
const monthly = z.strictObject({
  days: z.array(dayOfMonthSchema).min(1).max(32).superRefine(distinct)
    .meta({ uniqueItems: true, description: 'In a month without the day, the last day counts' }),
  at: times,
});
const minutes = z.strictObject({ every: z.literal(EVERY_MINUTES, { error: oneOf(EVERY_MINUTES) }) });
const cron = z.string().max(200).superRefine((text, context) => {
  const problem = cronProblem(text);
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
}).meta({ description: '5-field cron expression in UTC; L is the last day of the month, MON#1 the first Monday' });

const kinds = { daily, hourly, weekly, monthly, minutes, cron };
const KIND_NAMES = Object.keys(kinds).join(', ');

/** Exactly one kind of schedule. All times are UTC, so daylight saving never moves, skips or doubles a slot. */
export const scheduleSchema = z.strictObject({
  daily: daily.optional(), hourly: hourly.optional(), weekly: weekly.optional(),
  monthly: monthly.optional(), minutes: minutes.optional(), cron: cron.optional(),
}).superRefine((schedule, context) => {
  const given = Object.keys(schedule).filter((key) => key in kinds);
  if (given.length !== 1) {
    context.addIssue({ code: 'custom', message: `expected exactly one of ${KIND_NAMES}; found ${given.length === 0 ? 'none' : given.join(', ')}` });
  }
}).meta({ minProperties: 1, maxProperties: 1 });

export type Schedule = z.output<typeof scheduleSchema>;

function cronProblem(text: string): string | null {
  try {
    const { minutes, hours } = parseCron(text);
    const slots = hours.flatMap((hour) => minutes.map((minute) => hour * 60 + minute));
    // Slots of different days are close over midnight only: the last of one and the first of the next.
    const tooClose = slots.some((slot, index) => slots.length > 1 && gapMinutes(slot, slots[(index + 1) % slots.length] ?? slot) < MIN_SLOT_GAP_MINUTES);
    return tooClose ? `more than one slot in ${MIN_SLOT_GAP_MINUTES} minutes` : null;
  } catch (error) {
    if (error instanceof CronSyntaxError) return error.message;
    throw error;
  }
}

/** Minutes between two times of day, over midnight when that is shorter. */
function gapMinutes(one: number, other: number): number {
  const apart = Math.abs(one - other);
  return Math.min(apart, MINUTES_A_DAY - apart);
}
