import { LONGEST_DAYS_OF_MONTH, MONTHS, WEEKDAYS } from './calendar';
import { showValue } from './policy-issues';

/**
 * A cron expression taken apart. `null` stands for `*`: no restriction. Days of the month may hold 'L' (the last),
 * weekdays are 0 (Sunday) to 6, each with the weeks of the month it is meant in (0 for every one).
 * As in every cron, a day matches when either the day of the month or the weekday does, if both are restricted.
 */
export interface CronFields {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly daysOfMonth: readonly (number | 'L')[] | null;
  readonly months: readonly number[] | null;
  readonly weekdays: readonly { readonly day: number; readonly week: number }[] | null;
}

interface FieldRule {
  readonly label: string;
  readonly min: number;
  readonly max: number;
  /** Three-letter names from `min` on. */
  readonly names: readonly string[];
}

const short = (words: readonly string[]): string[] => words.map((word) => word.slice(0, 3));
const MINUTE: FieldRule = { label: 'minute', min: 0, max: 59, names: [] };
const HOUR: FieldRule = { label: 'hour', min: 0, max: 23, names: [] };
const DAY: FieldRule = { label: 'day of the month', min: 1, max: 31, names: [] };
const MONTH: FieldRule = { label: 'month', min: 1, max: 12, names: short(MONTHS) };
/** 7 is Sunday too, as in every cron, so that MON-SUN can be written. */
const WEEKDAY: FieldRule = { label: 'weekday', min: 0, max: 7, names: [...short(WEEKDAYS), 'sun'] };

/** Why a cron text is refused. Caught where a field is named; never seen by itself. */
export class CronSyntaxError extends Error {
  override readonly name = 'CronSyntaxError';
}

/**
 * Takes apart a 5-field cron expression (minute, hour, day of the month, month, weekday), stricter than most: no
 * seconds, no nicknames, no `?`, no wrapped ranges, no names or signs out of place. `L` is the last day of the month,
 * `MON#1` the first Monday. Throws CronSyntaxError with the reason, also for an expression that never comes true.
 */
export function parseCron(text: string): CronFields {
  const parts = text.trim().split(/[ \t]+/);
  const [minute, hour, day, month, weekday] = parts;
  if (parts.length !== 5 || minute === undefined || hour === undefined || day === undefined || month === undefined || weekday === undefined) {
    throw new CronSyntaxError(`expected 5 fields (minute hour day month weekday), found ${text.trim() === '' ? 0 : parts.length}`);
  }
  const fields: CronFields = {
    minutes: numbers(minute, MINUTE),
    hours: numbers(hour, HOUR),
    daysOfMonth: day === '*' ? null : daysOfMonth(day),
    months: month === '*' ? null : numbers(month, MONTH),
    weekdays: weekday === '*' ? null : weekdays(weekday),
  };
  if (fields.daysOfMonth !== null && fields.weekdays !== null && (day.startsWith('*') || weekday.startsWith('*'))) {
    throw new CronSyntaxError('a step of every day (*/n) together with the other day field means different things to different crons; list the days instead');
  }
  if (!everComesTrue(fields)) throw new CronSyntaxError('no such day ever comes');
  return fields;
}

/** The same schedule with every list written out, so that no reader of crons can take it differently. */
export function canonicalCron(fields: CronFields): string {
  const weekday = fields.weekdays?.map(({ day, week }) => (week === 0 ? String(day) : `${day}#${week}`)).join(',');
  return [fields.minutes.join(','), fields.hours.join(','), fields.daysOfMonth?.join(',') ?? '*', fields.months?.join(',') ?? '*', weekday ?? '*'].join(' ');
}

function daysOfMonth(text: string): (number | 'L')[] {
  const terms = text.split(',');
  const numeric = terms.filter((term) => term.toUpperCase() !== 'L');
  const days = numeric.length === 0 ? [] : numbers(numeric.join(','), DAY);
  return numeric.length === terms.length ? days : [...days, 'L'];
}

function weekdays(text: string): { day: number; week: number }[] {
  const found = new Map<string, { day: number; week: number }>();
  for (const term of text.split(',')) {
    const [range = '', week, ...rest] = term.split('#');
    if (week !== undefined && (rest.length > 0 || !/^[1-5]$/.test(week) || !/^[0-9a-z]+$/i.test(range))) {
      throw new CronSyntaxError(`weekday ${quoted(term)} is not a weekday with a week of the month from 1 to 5`);
    }
    for (const number of numbers(range, WEEKDAY)) {
      const entry = { day: number % 7, week: Number(week ?? 0) };
      found.set(`${entry.day}#${entry.week}`, entry);
    }
  }
  return [...found.values()].sort((a, b) => a.day - b.day || a.week - b.week);
}

function numbers(text: string, rule: FieldRule): number[] {
  const found = new Set<number>();
  for (const term of text.split(',')) {
    for (const number of expand(term, rule)) found.add(number);
  }
  return [...found].sort((a, b) => a - b);
}

/** The numbers of one term: `*`, a value, a range, either with a step. */
function expand(term: string, rule: FieldRule): number[] {
  const match = /^(?:(\*)|([0-9a-z]+)(?:-([0-9a-z]+))?)(?:\/([0-9]{1,2}))?$/i.exec(term);
  if (match === null) throw new CronSyntaxError(`${rule.label} ${quoted(term)} is not a value, a range or a step`);
  const [, star, low, high, stepText] = match;
  const from = star === undefined ? value(low ?? '', rule) : rule.min;
  // 7 is only another name of Sunday: a star must not count it twice, or its steps would be off.
  const to = star !== undefined ? (rule === WEEKDAY ? 6 : rule.max) : high === undefined ? from : value(high, rule, true);
  const step = Number(stepText ?? 1);
  if (stepText !== undefined && star === undefined && high === undefined) throw new CronSyntaxError(`${rule.label} ${quoted(term)} has a step without a range; write ${low}-${rule.max}/${stepText}`);
  if (to < from) throw new CronSyntaxError(`${rule.label} ${quoted(term)} ends before it begins`);
  if (step < 1 || (stepText !== undefined && step > to - from)) throw new CronSyntaxError(`${rule.label} ${quoted(term)} has a step that does not fit its range`);
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
}

function value(text: string, rule: FieldRule, isEnd = false): number {
  const lower = text.toLowerCase();
  // Sunday ends a range as 7 and begins one as 0.
  const named = isEnd ? rule.names.lastIndexOf(lower) : rule.names.indexOf(lower);
  const number = named >= 0 ? rule.min + named : /^[0-9]{1,2}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= rule.min && number <= rule.max)) throw new CronSyntaxError(`${rule.label} ${quoted(text)} is not between ${rule.min} and ${rule.max}`);
  return number;
}

function everComesTrue(fields: CronFields): boolean {
  const months = fields.months ?? LONGEST_DAYS_OF_MONTH.map((_, index) => index + 1);
  // A fifth weekday in February needs a leap day on that very weekday: once in 28 years is never, for a backup.
  const byWeekday = fields.weekdays?.some(({ week }) => week < 5 || months.some((month) => month !== 2)) ?? false;
  if (byWeekday || fields.daysOfMonth === null) return byWeekday || fields.weekdays === null;
  return fields.daysOfMonth.some((day) => day === 'L' || months.some((month) => day <= (LONGEST_DAYS_OF_MONTH[month - 1] ?? 0)));
}

const quoted = (text: string): string => showValue(text);
