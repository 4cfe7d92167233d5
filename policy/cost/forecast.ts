import { DAY_MS } from '../periods';
import { keepsByRule, type RetentionPoint } from '../retention';
import type { Retention } from '../retention-schema';
import { nextSlots, type Schedule } from '../schedule';
import { type Cost, monthlyCost, type MonthlyUsage, noTier } from './cost';
import type { Prices } from './prices';

/** How an item behaves: measured from its recovery points, or assumed. */
export interface ItemHabit {
  readonly itemId: string;
  /** What of the disks is in use. */
  readonly usedBytes: number;
  /** Plain bytes that change in a day. */
  readonly changedBytesPerDay: number;
  /** Stored bytes for each used byte of a first backup. */
  readonly firstFactor: number;
  /** Stored bytes for each changed byte: chunks are larger than most changes, and compress. */
  readonly changeFactor: number;
  /** False when too little was measured and the defaults were taken. */
  readonly measured: boolean;
}

/** Where nothing was measured: the benchmark's image (docs/benchmarks.md) and a common daily change. Told as assumed wherever it is used. */
export const ASSUMED = { firstFactor: 0.4, changeFactor: 0.9, dailyChange: 0.02 } as const;

export interface ForecastMonth {
  /** The first instant after the month. ISO 8601. */
  readonly endsAt: string;
  readonly recoveryPoints: number;
  readonly storedBytes: number;
  readonly cost: Cost;
}

export interface Forecast {
  readonly items: number;
  /** Items whose behaviour is assumed and not measured. */
  readonly assumed: number;
  readonly months: readonly ForecastMonth[];
  /** Recovery points of one item that are there at the end, oldest first, without those in the bin. */
  readonly keptAt: readonly string[];
}

export interface ForecastRequest {
  readonly schedule: Schedule;
  readonly retention: Retention;
  readonly keepBase: 'newest' | 'none';
  readonly items: readonly ItemHabit[];
  /** When the policy begins, without any recovery point. */
  readonly startMs: number;
  readonly months: number;
  /** Days of one round of the scrub, in which all that is stored is read once. */
  readonly scrubDays: number;
}

/** What is deleted stays in the bin for 14 days, and its packs for about a week more. */
const LEAVES_AFTER_MS = 22 * DAY_MS;
const MONTH_MS = (365.25 / 12) * DAY_MS;
const PACK_BYTES = 8 * 1024 * 1024;
/** Small objects of one recovery point with one disk that changed (docs/cost-model.md). */
const SMALL_WRITES = 16;
/** Steps of one backup, each an execution, and looks of the timers at the clock. */
const STEPS = 30;
const LOOKS_A_DAY = 24 * 60;
/** Bytes a second that one transfer reads, for the time of execution: a careful figure for one core (docs/benchmarks.md). */
const READ_BYTES_PER_SECOND = 100 * 1024 * 1024;
const SLOTS_A_BATCH = 1_000;

/**
 * Pure: what a policy comes to, month by month, from nothing. Every slot is one recovery point, made on time; retention is the real one, so it keeps what it will keep.
 * How much a recovery point needs depends on its distance from the one before it that is still there: what changed twice in between is needed once.
 */
export function forecast(request: ForecastRequest, prices: Prices): Forecast {
  const ends = Array.from({ length: request.months }, (_, month) => request.startMs + (month + 1) * MONTH_MS);
  const slots = slotsBetween(request.schedule, request.startMs, ends.at(-1) ?? request.startMs);
  const keptAt = keptAtTimes(slots, request.retention, ends.flatMap((atMs) => [atMs - LEAVES_AFTER_MS, atMs]));
  const kept = (atMs: number): readonly number[] => keptAt.get(atMs) ?? [];
  const months = ends.map((atMs, month): ForecastMonth => {
    // In the bin, or on the way out: what was kept three weeks ago, and what was made since then.
    const there = new Set([...kept(atMs), ...kept(atMs - LEAVES_AFTER_MS), ...slots.filter((slot) => slot > atMs - LEAVES_AFTER_MS && slot <= atMs)]);
    const made = slots.filter((slot) => slot > atMs - MONTH_MS && slot <= atMs).length;
    const times = [...there].sort(ascending);
    const storedBytes = request.items.reduce((sum, item) => sum + storedOf(item, times), 0);
    const usage = usageOf(request, storedBytes, made, month === 0);
    return { endsAt: new Date(Math.round(atMs)).toISOString(), recoveryPoints: kept(atMs).length * request.items.length, storedBytes, cost: monthlyCost(usage, prices) };
  });
  return {
    items: request.items.length, assumed: request.items.filter(({ measured }) => !measured).length, months,
    keptAt: kept(ends.at(-1) ?? 0).map((atMs) => new Date(atMs).toISOString()),
  };
}

const ascending = (a: number, b: number): number => a - b;

function slotsBetween(schedule: Schedule, fromMs: number, toMs: number): number[] {
  const slots: number[] = [];
  for (let after = fromMs; ;) {
    const batch = nextSlots(schedule, after, SLOTS_A_BATCH);
    slots.push(...batch.filter((slot) => slot <= toMs));
    const last = batch.at(-1);
    if (last === undefined || last > toMs || batch.length < SLOTS_A_BATCH) return slots;
    after = last;
  }
}

/** Which slots' recovery points are kept at each of the times. What is not kept at one time is not kept later, so each look has only those of the look before and what is new. */
function keptAtTimes(slots: readonly number[], retention: Retention, times: readonly number[]): ReadonlyMap<number, readonly number[]> {
  const result = new Map<number, readonly number[]>();
  let kept: readonly number[] = [];
  let taken = 0;
  for (const atMs of [...times].sort(ascending)) {
    const before = taken;
    while (taken < slots.length && (slots[taken] ?? 0) <= atMs) taken++;
    const candidates = [...kept, ...slots.slice(before, taken)];
    const points = candidates.map((slot): RetentionPoint => ({ id: String(slot), atMs: slot, createdAtMs: slot, scheduled: true, quality: 'good' }));
    const keeps = keepsByRule(points, retention, atMs);
    // The last good one always stays.
    kept = candidates.filter((slot, index) => index === candidates.length - 1 || (keeps.get(String(slot))?.length ?? 0) > 0);
    result.set(atMs, kept);
  }
  return result;
}

/** What recovery points at these times need together. Changes fall evenly on what is in use, so over a long gap they meet each other: used × (1 − e^(−changed/used)) differs. */
export function storedOf(item: ItemHabit, times: readonly number[]): number {
  if (times.length === 0) return 0;
  let bytes = item.usedBytes * item.firstFactor;
  for (const [index, time] of times.entries()) {
    const before = times[index - 1];
    if (before !== undefined) bytes += differing(item, time - before) * item.changeFactor;
  }
  return bytes;
}

function differing({ usedBytes, changedBytesPerDay }: ItemHabit, gapMs: number): number {
  return usedBytes <= 0 ? 0 : usedBytes * (1 - Math.exp(-(changedBytesPerDay * (gapMs / DAY_MS)) / usedBytes));
}

function usageOf({ items, keepBase, scrubDays }: ForecastRequest, storedBytes: number, made: number, first: boolean): MonthlyUsage {
  const sum = (of: (item: ItemHabit) => number): number => items.reduce((total, item) => total + of(item), 0);
  const gapMs = made === 0 ? MONTH_MS : MONTH_MS / made;
  const usedBytes = sum((item) => item.usedBytes);
  const changes = (item: ItemHabit): number => differing(item, gapMs) * made;
  const operations = monthsOperations({
    newBytes: sum((item) => changes(item) * item.changeFactor + (first ? item.usedBytes * item.firstFactor : 0)),
    readBytes: (keepBase === 'none' ? usedBytes * made : sum(changes)) + (first ? usedBytes : 0),
    recoveryPoints: made * items.length, scrubbedBytes: scrubReads(storedBytes, scrubDays),
  });
  return { ...operations, storedBytes: { ...noTier, hot: storedBytes }, retrievedBytes: noTier, snapshotBytes: keepBase === 'none' ? 0 : sum((item) => item.changedBytesPerDay) * Math.min(1, gapMs / DAY_MS) };
}

/** Bytes that scrubs read in a month when they go through all of it once in `scrubDays`. */
export const scrubReads = (storedBytes: number, scrubDays: number): number => storedBytes * (MONTH_MS / DAY_MS / scrubDays);

export interface MonthsWork {
  /** Bytes that were added to the vault. */
  readonly newBytes: number;
  /** Bytes that were read from disks. */
  readonly readBytes: number;
  readonly recoveryPoints: number;
  readonly scrubbedBytes: number;
}

/** Pure: the operations and the time that a month's work comes to (docs/cost-model.md has the counts). */
export function monthsOperations({ newBytes, readBytes, recoveryPoints, scrubbedBytes }: MonthsWork): Pick<MonthlyUsage, 'writes' | 'reads' | 'executionSeconds' | 'executions'> {
  return {
    writes: { ...noTier, hot: newBytes / PACK_BYTES + SMALL_WRITES * recoveryPoints }, reads: { ...noTier, hot: scrubbedBytes / PACK_BYTES },
    executionSeconds: (readBytes + scrubbedBytes) / READ_BYTES_PER_SECOND, executions: STEPS * recoveryPoints + (MONTH_MS / DAY_MS) * LOOKS_A_DAY,
  };
}
