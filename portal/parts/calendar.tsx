import type { JSX } from 'preact';
import { counted, utcDay } from '../format';
import type { ItemHistory } from '../model';

type Point = ItemHistory['points'][number];

const DAY_MS = 86_400_000;
const DAYS = ['Mo', 'Tu', 'We', 'Th', 'Fr', 'Sa', 'Su'];
const NAMES = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const MONTHS_SHOWN = 6;

interface CalendarProps {
  readonly points: readonly Point[];
  /** The day that is picked, `2026-11-25`; empty for none. */
  readonly day: string;
  readonly onPick: (day: string) => void;
  readonly nowMs: number;
}

/** The days of the last months with their recovery points, by UTC; a day that has some can be picked. */
export function Calendar({ points, day, onPick, nowMs }: CalendarProps): JSX.Element {
  const byDay = new Map<string, Point[]>();
  for (const point of points) {
    const key = point.createdAt?.slice(0, 10);
    if (key === undefined) continue;
    byDay.set(key, [...(byDay.get(key) ?? []), point]);
  }
  const oldest = Math.min(nowMs, ...points.flatMap(({ createdAt }) => (createdAt === null ? [] : [Date.parse(createdAt)])));
  return (
    <div class="calendar">
      {monthsBetween(oldest, nowMs).map((month) => (
        <table key={month}>
          <caption>{monthName(month)}</caption>
          <thead><tr>{DAYS.map((name, index) => <th scope="col" key={name} abbr={NAMES[index]}>{name}</th>)}</tr></thead>
          <tbody>{weeksOf(month).map((week, row) => (
            <tr key={row}>{week.map((ms, column) => {
              if (ms === null) return <td key={column} />;
              const key = utcDay(ms);
              const own = byDay.get(key) ?? [];
              return <td key={column}>{own.length === 0 ? <span class="day">{new Date(ms).getUTCDate()}</span>
                : <button type="button" class={`day has ${toneOf(own)}`} aria-pressed={day === key} onClick={() => onPick(day === key ? '' : key)} aria-label={`${key}: ${counted(own.length, 'recovery point')}`} title={`${key}: ${counted(own.length, 'recovery point')}`}>{new Date(ms).getUTCDate()}</button>}</td>;
            })}</tr>
          ))}</tbody>
        </table>
      ))}
    </div>
  );
}

/** The worst that is known of a day, and green only where something of it was proved. */
function toneOf(points: readonly Point[]): string {
  if (points.some(({ proved, damage }) => damage !== null || proved?.ok === false)) return 'bad';
  if (points.every(({ state }) => state !== 'live')) return 'binned';
  return points.some(({ proved }) => proved?.ok === true) ? 'good' : 'plain';
}

const monthName = (month: string): string => new Date(`${month}-01T00:00:00Z`).toLocaleDateString('en', { month: 'long', year: 'numeric', timeZone: 'UTC' });

/** The months as `2026-11`, oldest first, at most as many as are shown. */
function monthsBetween(fromMs: number, toMs: number): readonly string[] {
  const months: string[] = [];
  for (let at = new Date(toMs); months.length < MONTHS_SHOWN; at = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() - 1, 1))) {
    months.unshift(at.toISOString().slice(0, 7));
    if (at.toISOString().slice(0, 7) <= new Date(fromMs).toISOString().slice(0, 7)) break;
  }
  return months;
}

/** The weeks of a month, from Monday on; null for days of its neighbours. */
function weeksOf(month: string): readonly (readonly (number | null)[])[] {
  const first = Date.parse(`${month}-01T00:00:00Z`);
  const before = (new Date(first).getUTCDay() + 6) % 7;
  const days = new Date(Date.UTC(new Date(first).getUTCFullYear(), new Date(first).getUTCMonth() + 1, 0)).getUTCDate();
  return Array.from({ length: Math.ceil((before + days) / 7) }, (_, week) => Array.from({ length: 7 }, (__, column) => {
    const day = week * 7 + column - before;
    return day < 0 || day >= days ? null : first + day * DAY_MS;
  }));
}
