import { WEEKDAYS } from '../../policy/calendar';
import type { Schedule } from '../../policy/schedule-schema';

export const MINUTE_MS = 60_000;
export const DAY_MS = 24 * 60 * MINUTE_MS;

/** A cron as a rule on the parts of a date, beside its text. */
export interface CronModel {
  readonly text: string;
  matches(date: Date): boolean;
}

/**
 * Whether a whole minute is a slot, by looking at the date alone: slow, plain, and without anything of the code
 * that it judges.
 */
export function isSlot(schedule: Schedule | CronModel, date: Date): boolean {
  if ('matches' in schedule) return schedule.matches(date);
  const { daily, hourly, weekly, monthly, minutes } = schedule;
  const time = `${String(date.getUTCHours()).padStart(2, '0')}:${String(date.getUTCMinutes()).padStart(2, '0')}`;
  if (daily) return daily.at.includes(time);
  if (hourly) return date.getUTCMinutes() === hourly.minute && date.getUTCHours() % hourly.every === 0;
  if (weekly) return weekly.at.includes(time) && weekly.days.some((day) => WEEKDAYS[date.getUTCDay()] === day);
  if (monthly) return monthly.at.includes(time) && monthly.days.some((day) => date.getUTCDate() === Math.min(day === 'last' ? 31 : day, lastDay(date)));
  if (minutes) return date.getUTCMinutes() % minutes.every === 0;
  throw new Error('the model does not know this schedule');
}

/** The last day of the date's month: the day before the first of the next. */
export function lastDay(date: Date): number {
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
}

/** Every slot in [fromMs, toMs], minute by minute. */
export function slotsBetween(schedule: Schedule | CronModel, fromMs: number, toMs: number): number[] {
  const slots: number[] = [];
  for (let ms = Math.ceil(fromMs / MINUTE_MS) * MINUTE_MS; ms <= toMs; ms += MINUTE_MS) {
    if (isSlot(schedule, new Date(ms))) slots.push(ms);
  }
  return slots;
}
