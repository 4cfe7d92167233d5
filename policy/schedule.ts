import { Cron } from 'croner';
import { HoldfastError } from '../errors/holdfast-error';
import { LONGEST_DAYS_OF_MONTH, MINUTE_MS, WEEKDAYS } from './calendar';
import { canonicalCron, parseCron } from './cron';
import { minuteOfDay, type Schedule } from './schedule-schema';

export type { Schedule } from './schedule-schema';

/**
 * The 5-field cron expressions, in UTC, that together are the schedule: one for each minute of the hour that occurs
 * in it, and for a monthly schedule with days after the 28th one for each length of month, where the last day
 * stands for a day that the month does not have.
 */
export function toCron(schedule: Schedule): readonly string[] {
  const { daily, hourly, weekly, monthly, minutes, cron } = schedule;
  if (daily !== undefined) return timesOf(daily.at).map((time) => `${time} * * *`);
  if (hourly !== undefined) return [`${hourly.minute} ${hourly.every === 1 ? '*' : `*/${hourly.every}`} * * *`];
  if (weekly !== undefined) {
    const days = weekly.days.map((day) => WEEKDAYS.indexOf(day)).sort((a, b) => a - b).join(',');
    return timesOf(weekly.at).map((time) => `${time} * * ${days}`);
  }
  if (monthly !== undefined) return timesOf(monthly.at).flatMap((time) => daysByMonth(monthly.days).map((days) => `${time} ${days} *`));
  if (minutes !== undefined) return [`*/${minutes.every} * * * *`];
  if (cron !== undefined) return [cron.trim()];
  throw new HoldfastError('INTERNAL', 'A schedule without a kind: it did not come from parsePolicy');
}

/** The greatest slot that is not after `atMs` (milliseconds since 1970), or null when there is none. */
export function latestSlot(schedule: Schedule, atMs: number): number | null {
  // Slots are whole minutes, so within a minute the answer is the same; croner looks strictly before its reference.
  const justAfter = new Date(minuteFloor(atMs) + 1000);
  const found = toCron(schedule).flatMap((expression) => compiled(expression).previousRuns(1, justAfter));
  return found.length === 0 ? null : Math.max(...found.map((date) => date.getTime()));
}

/** The first `count` slots after `afterMs`, ascending. Fewer only when the calendar of the library ends. */
export function nextSlots(schedule: Schedule, afterMs: number, count: number): readonly number[] {
  const reference = new Date(minuteFloor(afterMs));
  const found = toCron(schedule).flatMap((expression) => compiled(expression).nextRuns(count, reference));
  return [...new Set(found.map((date) => date.getTime()))].sort((a, b) => a - b).slice(0, count);
}

const MAX_COMPILED = 256;
const compiledByText = new Map<string, Cron>();

/** Taking an expression apart costs more than a question to it, and a timer asks for every item; same text, same answer. */
function compiled(expression: string): Cron {
  const known = compiledByText.get(expression);
  if (known !== undefined) return known;
  // Without a function to call, croner sets no timer: it only knows the calendar. An offset of 0 is UTC.
  const cron = new Cron(canonicalCron(parseCron(expression)), { mode: '5-part', utcOffset: 0 });
  if (compiledByText.size >= MAX_COMPILED) compiledByText.clear();
  compiledByText.set(expression, cron);
  return cron;
}

function minuteFloor(ms: number): number {
  if (!Number.isFinite(ms)) throw new HoldfastError('INTERNAL', `Not an instant: ${ms}`);
  return Math.floor(ms / MINUTE_MS) * MINUTE_MS;
}

/** `minute hours` of a list of times, one for each minute that occurs: cron cannot say 02:00 and 14:30 at once. */
function timesOf(at: readonly string[]): string[] {
  const hoursByMinute = groupBy(at.map(minuteOfDay).sort((a, b) => a - b), (time) => time % 60);
  return [...hoursByMinute].map(([minute, times]) => `${minute} ${times.map((time) => Math.floor(time / 60)).join(',')}`);
}

/** `days months`, one for each set of days that some months share; a day that a month lacks is its last. */
function daysByMonth(days: readonly (number | 'last')[]): string[] {
  const months = LONGEST_DAYS_OF_MONTH.map((longest, index) => {
    // In February the 29th is the last day or missing, so either way the last day stands for it.
    const always = longest === 29 ? 28 : longest;
    const numbers = days.filter((day) => day !== 'last').filter((day) => day <= always).sort((a, b) => a - b);
    const hasLast = days.some((day) => day === 'last' || day > always);
    return { month: index + 1, days: [...numbers, ...(hasLast ? ['L'] : [])].join(',') };
  });
  const groups = [...groupBy(months, (entry) => entry.days)];
  return groups.map(([text, entries]) => `${text} ${groups.length === 1 ? '*' : entries.map((entry) => entry.month).join(',')}`);
}

function groupBy<T, K>(list: readonly T[], keyOf: (element: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const element of list) groups.set(keyOf(element), [...(groups.get(keyOf(element)) ?? []), element]);
  return groups;
}
