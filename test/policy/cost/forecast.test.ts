import assert from 'node:assert/strict';
import fc from 'fast-check';
import { GIB } from '../../../policy/cost/cost';
import { forecast, type ForecastRequest, type ItemHabit, storedOf } from '../../../policy/cost/forecast';
import { keepsByRule } from '../../../policy/retention';
import { nextSlots } from '../../../policy/schedule';
import { parsePolicy } from '../../../policy/schema';
import { roundPrices } from './prices';

const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 0, 1);
const habit = (change: Partial<ItemHabit> = {}): ItemHabit => ({ itemId: 'web', usedBytes: 100 * GIB, changedBytesPerDay: 2 * GIB, firstFactor: 0.5, changeFactor: 1, measured: true, ...change });
const policy = (schedule: object, retention: object) => parsePolicy({ name: 'p', schedule, items: { all: true }, retention });
const request = (schedule: object, retention: object, change: Partial<ForecastRequest> = {}): ForecastRequest => {
  const document = policy(schedule, retention);
  return { schedule: document.schedule, retention: document.retention, keepBase: 'newest', items: [habit()], startMs: START, months: 12, scrubDays: 30, ...change };
};
const nightly = { daily: { at: ['02:00'] } };

describe('what recovery points need together', () => {
  it('is a first backup for one, and what differs for each further one', () => {
    assert.equal(storedOf(habit(), []), 0);
    assert.equal(storedOf(habit(), [START]), 50 * GIB);
    const two = storedOf(habit(), [START, START + DAY_MS]);
    // 2 of 100 GiB change in a day; some of it falls on the same place twice.
    assert.ok(two > 51.9 * GIB && two < 52 * GIB, String(two / GIB));
  });

  it('never needs more than all of it anew, however long the gap', () => {
    const two = storedOf(habit(), [START, START + 36_500 * DAY_MS]);
    assert.ok(two <= 150 * GIB && two > 149.9 * GIB);
  });

  it('is never less with a recovery point more, and nothing changes where nothing changes', () => {
    fc.assert(fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 400 }), { minLength: 2, maxLength: 20 }), fc.nat(19), (days, drop) => {
      const times = days.sort((a, b) => a - b).map((day) => START + day * DAY_MS);
      const fewer = times.filter((_, index) => index !== drop % times.length);
      assert.ok(storedOf(habit(), times) >= storedOf(habit(), fewer) - 1e-6 * GIB);
      assert.equal(storedOf(habit({ changedBytesPerDay: 0 }), times), 50 * GIB);
    }));
  });
});

describe('the forecast of a policy', () => {
  it('keeps what retention keeps: the same as asking it once at the end', () => {
    for (const retention of [{ keepLast: 3 }, { daily: { count: 30 }, weekly: { count: 8 }, monthly: { count: 12 } }, { keepWithinDays: 20, yearly: { count: 2, month: 'march', day: 31 } }]) {
      const made = request(nightly, retention);
      const result = forecast(made, roundPrices());
      const endMs = Date.parse(result.months.at(-1)?.endsAt ?? '');
      const points = nextSlots(made.schedule, START, 400).filter((slot) => slot <= endMs).map((atMs) => ({ id: String(atMs), atMs, createdAtMs: atMs, scheduled: true, quality: 'good' as const }));
      const keeps = keepsByRule(points, made.retention, endMs);
      const wanted = points.filter(({ id }, index) => index === points.length - 1 || (keeps.get(id)?.length ?? 0) > 0).map(({ atMs }) => new Date(atMs).toISOString());
      assert.deepEqual(result.keptAt, wanted);
      assert.equal(result.months.at(-1)?.recoveryPoints, wanted.length);
    }
  });

  it('counts a first backup, the daily changes, and what waits in the bin', () => {
    const [first] = forecast(request(nightly, { keepLast: 1 }, { months: 1 }), roundPrices()).months;
    assert.equal(first?.recoveryPoints, 1);
    // One is kept, those of the last 22 days are in the bin or on their way out: some 22 days of 2 GiB on top of the first 50.
    const gib = (first?.storedBytes ?? 0) / GIB;
    assert.ok(gib > 50 + 21 * 1.9 && gib < 50 + 23 * 2, String(gib));
  });

  it('costs more for more machines, in proportion', () => {
    const one = forecast(request(nightly, { daily: { count: 30 } }), roundPrices());
    const three = forecast(request(nightly, { daily: { count: 30 } }, { items: [habit(), habit({ itemId: 'db' }), habit({ itemId: 'app', measured: false })] }), roundPrices());
    assert.equal(three.assumed, 1);
    const storage = (result: typeof one): number => result.months.at(-1)?.storedBytes ?? NaN;
    assert.ok(Math.abs(storage(three) - 3 * storage(one)) < 1);
    assert.ok((three.months[5]?.cost.total ?? 0) > (one.months[5]?.cost.total ?? Infinity));
  });

  it('keeps no snapshot, and reads everything, where no base is kept', () => {
    const [base] = forecast(request(nightly, { keepLast: 5 }, { months: 1 }), roundPrices()).months;
    const [none] = forecast(request(nightly, { keepLast: 5 }, { months: 1, keepBase: 'none' }), roundPrices()).months;
    const of = (month: typeof base, what: string): number => month?.cost.lines.find((line) => line.what === what)?.quantity ?? 0;
    assert.ok(of(base, 'snapshots') > 0);
    assert.equal(of(none, 'snapshots'), 0);
    assert.ok(of(none, 'execution') > 5 * of(base, 'execution'));
  });

  it('takes a policy of every five minutes, and one of once a year', () => {
    const dense = forecast(request({ minutes: { every: 5 } }, { keepWithinDays: 1, daily: { count: 7 } }, { months: 2 }), roundPrices());
    assert.ok((dense.months.at(-1)?.recoveryPoints ?? 0) >= 288);
    const rare = forecast(request({ cron: '0 2 1 7 *' }, { keepLast: 2 }), roundPrices());
    assert.deepEqual(rare.months.map(({ recoveryPoints }) => recoveryPoints), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]);
    assert.equal(rare.months[0]?.storedBytes, 0);
  });
});
