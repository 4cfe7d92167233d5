// The rules of retention as docs/policies.md tells them, slowly and plainly: it walks the calendar day by day and shares no code with policy/.
import type { RetentionPoint } from '../../policy/retention';
import type { Retention } from '../../policy/retention-schema';

const DAY = 86_400_000;
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const MONTHS = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december'];
const WEEKS = ['first', 'second', 'third', 'fourth'];
type Kind = 'daily' | 'weekly' | 'monthly' | 'yearly';

const dayText = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
const whole = (point: RetentionPoint): boolean => point.quality !== 'damaged';
/** Each sees itself and what is at least as good. */
const audienceOf = (point: RetentionPoint, all: readonly RetentionPoint[]): RetentionPoint[] =>
  all.filter((other) => (!whole(point) ? true : !point.scheduled ? whole(other) : whole(other) && other.scheduled));

function keyOf(kind: Kind, ms: number): string {
  const text = dayText(ms);
  if (kind === 'daily') return text;
  if (kind === 'monthly') return text.slice(0, 7);
  if (kind === 'yearly') return text.slice(0, 4);
  let monday = ms;
  while (WEEKDAYS[new Date(monday).getUTCDay()] !== 'monday') monday -= DAY;
  return dayText(monday);
}

/** The days that the rule names in the period of this day, in order; all of the period's when it names none. */
function namedDays(kind: Kind, rule: Retention[Kind], days: readonly number[]): number[] {
  const weekdayOf = (ms: number): string => WEEKDAYS[new Date(ms).getUTCDay()] as string;
  const choice = rule as { weekday?: string; week?: string; day?: number | 'last'; month?: string };
  if (kind === 'weekly') return choice.weekday === undefined ? [...days] : days.filter((ms) => weekdayOf(ms) === choice.weekday);
  if (kind === 'daily') return [...days];
  const inMonth = kind === 'yearly' && choice.month !== undefined ? days.filter((ms) => MONTHS[new Date(ms).getUTCMonth()] === choice.month) : [...days];
  if (choice.day !== undefined) {
    const last = inMonth.at(-1) as number;
    return [inMonth.find((ms) => new Date(ms).getUTCDate() === choice.day) ?? last];
  }
  if (choice.week !== undefined) {
    const such = inMonth.filter((ms) => weekdayOf(ms) === choice.weekday);
    return [(choice.week === 'last' ? such.at(-1) : such[WEEKS.indexOf(choice.week)]) as number];
  }
  return inMonth;
}

function allDaysOf(kind: Kind, ms: number): number[] {
  const midnight = Date.parse(`${dayText(ms)}T00:00:00Z`);
  const days: number[] = [];
  for (let day = midnight; keyOf(kind, day) === keyOf(kind, ms); day -= DAY) days.unshift(day);
  for (let day = midnight + DAY; keyOf(kind, day) === keyOf(kind, ms); day += DAY) days.push(day);
  return days;
}

const newest = (points: readonly RetentionPoint[]): RetentionPoint | undefined =>
  points.reduce<RetentionPoint | undefined>((best, one) => (best === undefined || one.atMs > best.atMs || (one.atMs === best.atMs && one.id > best.id) ? one : best), undefined);

/** Who stands for a period, of all that lie in it. */
function standsFor(kind: Kind, rule: Retention[Kind], inPeriod: readonly RetentionPoint[]): RetentionPoint {
  const groups = [inPeriod.filter((point) => whole(point) && point.scheduled), inPeriod.filter(whole), inPeriod];
  const candidates = groups.find((group) => group.length > 0) as RetentionPoint[];
  const days = allDaysOf(kind, (candidates[0] as RetentionPoint).atMs);
  const named = namedDays(kind, rule, days);
  const on = (day: number): RetentionPoint[] => candidates.filter((point) => dayText(point.atMs) === dayText(day));
  const best = newest(named.flatMap(on));
  if (best) return best;
  for (const day of days.filter((one) => one > (named.at(-1) as number))) if (on(day).length > 0) return newest(on(day)) as RetentionPoint;
  for (const day of days.filter((one) => one < (named[0] as number)).reverse()) if (on(day).length > 0) return newest(on(day)) as RetentionPoint;
  throw new Error('a point lies on no day of its period');
}

/** Ids that the rules keep. */
export function modelKeeps(points: readonly RetentionPoint[], retention: Retention, nowMs: number): Set<string> {
  const kept = new Set<string>();
  const past = points.filter(({ atMs }) => atMs <= nowMs + 5 * 60_000);
  for (const point of past) {
    const newer = audienceOf(point, past).filter((other) => other.atMs > point.atMs || (other.atMs === point.atMs && other.id > point.id));
    if (retention.keepLast !== undefined && newer.length < retention.keepLast) kept.add(point.id);
    if (retention.keepWithinDays !== undefined && nowMs - Math.max(point.atMs, point.createdAtMs) < retention.keepWithinDays * DAY) kept.add(point.id);
    for (const kind of ['daily', 'weekly', 'monthly', 'yearly'] as const) {
      const rule = retention[kind];
      if (!rule) continue;
      const key = keyOf(kind, point.atMs);
      if (standsFor(kind, rule, past.filter((other) => keyOf(kind, other.atMs) === key)).id !== point.id) continue;
      const laterPeriods = new Set(audienceOf(point, past).map((other) => keyOf(kind, other.atMs)).filter((other) => other > key));
      if (laterPeriods.size < rule.count) kept.add(point.id);
    }
  }
  return kept;
}
