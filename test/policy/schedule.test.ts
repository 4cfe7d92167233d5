import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isHoldfastError } from '../../errors/holdfast-error';
import { WEEKDAYS } from '../../policy/calendar';
import { CronSyntaxError, parseCron } from '../../policy/cron';
import { latestSlot, nextSlots, toCron, type Schedule } from '../../policy/schedule';
import { DAY_MS, MINUTE_MS, lastDay, slotsBetween, type CronModel } from './slot-model';

const at = (text: string): number => Date.parse(text);
const texts = (slots: readonly number[]): string[] => slots.map((ms) => new Date(ms).toISOString().slice(0, 16));

/** Two months around a leap day, plain Februaries (one of a century), a year's end, months of 30 days, and far ahead. */
const WINDOW_STARTS = ['2024-02-01', '2024-02-20', '2023-02-10', '2100-02-10', '2000-02-15', '2025-12-15', '2026-04-10', '2028-02-25', '2199-12-20'].map((day) => at(`${day}T00:00:00Z`));

const time = fc.record({ hour: fc.nat(23), minute: fc.nat(59) }).map(({ hour, minute }) => `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`);
const times = fc.uniqueArray(time, { minLength: 1, maxLength: 4 });
const plainSchedule: fc.Arbitrary<Schedule> = fc.oneof(
  fc.record({ daily: fc.record({ at: times }) }),
  fc.record({ hourly: fc.record({ every: fc.constantFrom(1, 2, 3, 4, 6, 8, 12), minute: fc.nat(59) }) }),
  fc.record({ weekly: fc.record({ days: fc.uniqueArray(fc.constantFrom(...WEEKDAYS), { minLength: 1, maxLength: 7 }), at: times }) }),
  fc.record({ monthly: fc.record({ days: fc.uniqueArray(fc.oneof(fc.constantFrom(1, 15, 28, 29, 30, 31), fc.integer({ min: 1, max: 31 }), fc.constant('last' as const)), { minLength: 1, maxLength: 4 }), at: times }) }),
  fc.record({ minutes: fc.record({ every: fc.constantFrom(5, 10, 15, 20, 30) }) }),
);

interface FieldModel {
  readonly text: string;
  readonly allows: (value: number) => boolean;
}

/** A cron field with its meaning: a star, a step, a list of values and ranges. */
const field = (min: number, max: number): fc.Arbitrary<FieldModel> => fc.oneof(
  fc.constant({ text: '*', allows: () => true }),
  fc.integer({ min: 2, max: max - min }).map((step) => ({ text: `${min}-${max}/${step}`, allows: (value: number) => (value - min) % step === 0 })),
  fc.array(fc.tuple(fc.integer({ min, max }), fc.integer({ min, max })), { minLength: 1, maxLength: 3 }).map((pairs) => {
    const ranges = pairs.map(([one, other]) => [Math.min(one, other), Math.max(one, other)] as const);
    return {
      text: ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(','),
      allows: (value: number) => ranges.some(([from, to]) => value >= from && value <= to),
    };
  }),
);

const cronSchedule: fc.Arbitrary<CronModel> = fc.record({
  minute: fc.nat(59), hour: field(0, 23), day: field(1, 31), month: field(1, 12), weekday: field(0, 6), withLast: fc.boolean(),
}).map(({ minute, hour, day, month, weekday, withLast }) => {
  const hasLast = withLast && day.text !== '*';
  return {
    text: `${minute} ${hour.text} ${day.text}${hasLast ? ',L' : ''} ${month.text} ${weekday.text}`,
    matches: (date: Date) => {
      if (date.getUTCMinutes() !== minute || !hour.allows(date.getUTCHours()) || !month.allows(date.getUTCMonth() + 1)) return false;
      const byDay = day.allows(date.getUTCDate()) || (hasLast && date.getUTCDate() === lastDay(date));
      const byWeekday = weekday.allows(date.getUTCDay());
      if (day.text !== '*' && weekday.text !== '*') return byDay || byWeekday;
      return byDay && byWeekday;
    },
  };
}).filter(({ text }) => comesTrue(text));

function comesTrue(text: string): boolean {
  try {
    return parseCron(text).minutes.length > 0;
  } catch (error) {
    assert.ok(error instanceof CronSyntaxError && /no such day/.test(error.message), `${text}: ${String(error)}`);
    return false;
  }
}

/** Compares with the model at every slot, just before and after it, and at given instants between. */
function agreesWithModel(schedule: Schedule, model: Schedule | CronModel, fromMs: number, days: number, offsets: readonly number[]): void {
  const toMs = fromMs + days * DAY_MS;
  const slots = slotsBetween(model, fromMs, toMs);
  const sampled = slots.length > 40 ? slots.filter((_, index) => index % Math.ceil(slots.length / 40) === 0) : slots;
  const instants = [...sampled.flatMap((slot) => [slot - 1, slot, slot + 1, slot + MINUTE_MS - 1]), ...offsets.map((offset) => fromMs + (offset % (toMs - fromMs)))];
  for (const instant of instants.filter((ms) => ms >= fromMs)) {
    const where = `${JSON.stringify(schedule)} at ${new Date(instant).toISOString()}`;
    const expected = slots.findLast((slot) => slot <= instant);
    const found = latestSlot(schedule, instant);
    if (expected === undefined) assert.ok(found === null || found < fromMs, where);
    else assert.equal(found, expected, where);
    const coming = slots.filter((slot) => slot > instant).slice(0, 3);
    assert.deepEqual(nextSlots(schedule, instant, 3).filter((slot) => slot <= toMs), coming, where);
  }
}

describe('policy/schedule', () => {
  it('refuses a schedule that is none, and an instant that is none', () => {
    assert.throws(() => toCron({}), (error) => isHoldfastError(error, 'INTERNAL'));
    for (const ms of [Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => latestSlot({ daily: { at: ['02:00'] } }, ms), (error) => isHoldfastError(error, 'INTERNAL'));
    }
  });

  it('agrees with a slow plain model, minute by minute over weeks', () => {
    fc.assert(fc.property(plainSchedule, fc.constantFrom(...WINDOW_STARTS), fc.array(fc.nat(), { maxLength: 5 }), (schedule, fromMs, offsets) => {
      agreesWithModel(schedule, schedule, fromMs, 25, offsets);
    }), { numRuns: 80 });
  }).timeout(60_000);

  it('agrees with the model for cron expressions', () => {
    fc.assert(fc.property(cronSchedule, fc.constantFrom(...WINDOW_STARTS), fc.array(fc.nat(), { maxLength: 5 }), (model, fromMs, offsets) => {
      agreesWithModel({ cron: model.text }, model, fromMs, 25, offsets);
    }), { numRuns: 80 });
  }).timeout(60_000);

  it('is the greatest slot not after the instant, to the millisecond', () => {
    const schedule: Schedule = { daily: { at: ['02:00'] } };
    assert.equal(latestSlot(schedule, at('2026-03-01T02:00:00Z')), at('2026-03-01T02:00:00Z'));
    assert.equal(latestSlot(schedule, at('2026-03-01T01:59:59.999Z')), at('2026-02-28T02:00:00Z'));
    assert.deepEqual(texts(nextSlots(schedule, at('2026-03-01T02:00:00Z'), 1)), ['2026-03-02T02:00'], 'strictly after');
    assert.deepEqual(texts(nextSlots(schedule, at('2026-03-01T01:59:59.999Z'), 1)), ['2026-03-01T02:00']);
    assert.deepEqual(nextSlots(schedule, 0, 0), []);
  });

  it('fault 30: a day that a month lacks is its last day, so no month goes without a backup', () => {
    const slots = nextSlots({ monthly: { days: [31], at: ['02:00'] } }, at('2023-12-31T12:00:00Z'), 14);
    assert.deepEqual(texts(slots).map((text) => text.slice(0, 10)), [
      '2024-01-31', '2024-02-29', '2024-03-31', '2024-04-30', '2024-05-31', '2024-06-30', '2024-07-31', '2024-08-31',
      '2024-09-30', '2024-10-31', '2024-11-30', '2024-12-31', '2025-01-31', '2025-02-28',
    ]);
    assert.deepEqual(nextSlots({ monthly: { days: ['last'], at: ['02:00'] } }, at('2023-12-31T12:00:00Z'), 14), slots);
    assert.equal(latestSlot({ monthly: { days: [29], at: ['02:00'] } }, at('2100-03-01T00:00:00Z')), at('2100-02-28T02:00:00Z'), '2100 has no leap day');
  });

  it('knows the rarest days', () => {
    assert.equal(latestSlot({ cron: '0 2 29 2 *' }, at('2104-02-29T01:59:00Z')), at('2096-02-29T02:00:00Z'));
    assert.deepEqual(texts(nextSlots({ cron: '0 2 29 2 *' }, at('2096-03-01T00:00:00Z'), 1)), ['2104-02-29T02:00']);
    assert.deepEqual(texts(nextSlots({ cron: '0 2 * * SUN#1' }, at('2026-01-31T00:00:00Z'), 3)), ['2026-02-01T02:00', '2026-03-01T02:00', '2026-04-05T02:00']);
    assert.deepEqual(texts(nextSlots({ cron: '0 2 * * MON#5' }, at('2026-01-01T00:00:00Z'), 2)), ['2026-03-30T02:00', '2026-06-29T02:00']);
    assert.equal(latestSlot({ cron: '0 2 * * 7' }, at('2026-03-03T00:00:00Z')), at('2026-03-01T02:00:00Z'), '7 is Sunday');
  });

  it('fault 30: the time zone of the machine and its daylight saving play no part', () => {
    const schedules: Schedule[] = [{ daily: { at: ['02:30', '23:30'] } }, { hourly: { every: 1, minute: 30 } }, { cron: '30 1-3 * 3,11 SUN' }];
    const before = process.env['TZ'];
    const answers = ['UTC', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Tokyo'].map((zone) => {
      process.env['TZ'] = zone;
      try {
        assert.equal(new Intl.DateTimeFormat().resolvedOptions().timeZone, zone, 'the zone is in force');
        // New York: forward on 8 March, back on 1 November 2026, both at 2 o'clock.
        return ['2026-03-08', '2026-11-01'].flatMap((day) => schedules.flatMap((schedule) => Array.from({ length: 30 }, (_, hour) => {
          const ms = at(`${day}T00:00:00Z`) + hour * 60 * MINUTE_MS;
          return [latestSlot(schedule, ms), ...nextSlots(schedule, ms, 2)];
        })));
      } finally {
        if (before === undefined) delete process.env['TZ'];
        else process.env['TZ'] = before;
      }
    });
    for (const answer of answers.slice(1)) assert.deepEqual(answer, answers[0]);
  });

  it('writes cron expressions, one for each minute of the hour', () => {
    assert.deepEqual(toCron({ daily: { at: ['14:30', '02:00', '04:00'] } }), ['0 2,4 * * *', '30 14 * * *']);
    assert.deepEqual(toCron({ hourly: { every: 1, minute: 5 } }), ['5 * * * *']);
    assert.deepEqual(toCron({ hourly: { every: 6, minute: 0 } }), ['0 */6 * * *']);
    assert.deepEqual(toCron({ weekly: { days: ['sunday', 'monday'], at: ['02:00'] } }), ['0 2 * * 0,1']);
    assert.deepEqual(toCron({ monthly: { days: [15, 1], at: ['02:00'] } }), ['0 2 1,15 * *']);
    assert.deepEqual(toCron({ monthly: { days: [30], at: ['02:00'] } }), ['0 2 30 1,3,4,5,6,7,8,9,10,11,12 *', '0 2 L 2 *']);
    assert.deepEqual(toCron({ minutes: { every: 15 } }), ['*/15 * * * *']);
    assert.deepEqual(toCron({ cron: ' 0 2 * * MON-FRI ' }), ['0 2 * * MON-FRI']);
  });

  it('its expressions, each taken as a cron schedule, have the same slots together', () => {
    fc.assert(fc.property(plainSchedule, fc.constantFrom(...WINDOW_STARTS), (schedule, fromMs) => {
      const slots = toCron(schedule).flatMap((cron) => nextSlots({ cron }, fromMs, 5));
      assert.deepEqual([...new Set(slots)].sort((a, b) => a - b).slice(0, 5), nextSlots(schedule, fromMs, 5));
    }), { numRuns: 50 });
  });
});

describe('policy/cron', () => {
  it('refuses each malformation with its reason', () => {
    const refusals: readonly (readonly [string, RegExp])[] = [
      ['', /found 0/], ['0 2 * *', /found 4/], ['0 0 2 * * *', /found 6/], ['@daily', /found 1/], ['60 2 * * *', /minute "60" is not between 0 and 59/],
      ['0 24 * * *', /hour "24"/], ['0 2 0 * *', /day of the month "0"/], ['0 2 32 * *', /day of the month "32"/], ['0 2 * 13 *', /month "13"/], ['0 2 * * 8', /weekday "8"/],
      ['0 2 * JANU *', /month "JANU"/], ['MON 2 * * *', /minute "MON"/], ['? 2 * * *', /minute "\?"/], ['0 2 ? * *', /day of the month/], ['0 2 15W * *', /day of the month/],
      ['0 2 * * L', /weekday "L"/], ['0 2 * * FRIL', /weekday "FRIL"/], ['0 2 L-3 * *', /day of the month/], ['5-1 2 * * *', /ends before it begins/], ['0 2 * * SAT-MON', /ends before/],
      ['0/5 2 * * *', /step without a range; write 0-59\/5/], ['*/0 2 * * *', /step that does not fit/], ['*/60 2 * * *', /step that does not fit/], ['1-5/9 2 * * *', /step/],
      ['0, 2 * * *', /minute ""/], [',0 2 * * *', /minute ""/], ['-1 2 * * *', /minute/], ['1-2-3 2 * * *', /minute/], ['1.5 2 * * *', /minute/], ['0 2 * * MON#6', /week of the month/],
      ['0 2 * * MON#0', /week of the month/], ['0 2 * * MON#1#2', /week of the month/], ['0 2 * * MON-FRI#1', /week of the month/], ['0 2 * * *#1', /week of the month/],
      ['0 2 31 2,4,6,9,11 *', /no such day ever comes/], ['0 2 * 2 MON#5', /no such day ever comes/], ['0 2 */2 * MON', /different things to different crons/], ['0 2 1 * */2', /different things/],
      ['0 2 * * *; rm', /found 6/], ['0\n2 * * *', /found 4/], ['００ 2 * * *', /minute/],
    ];
    for (const [text, reason] of refusals) {
      assert.throws(() => parseCron(text), (error) => {
        assert.ok(error instanceof CronSyntaxError, `${JSON.stringify(text)} threw ${String(error)}`);
        assert.match(error.message, reason, JSON.stringify(text));
        return true;
      }, JSON.stringify(text));
    }
  });

  it('takes names in any case, Sunday at both ends, steps and lists', () => {
    assert.deepEqual(parseCron('*/15 8-10 1,L jan,DEC *'), { minutes: [0, 15, 30, 45], hours: [8, 9, 10], daysOfMonth: [1, 'L'], months: [1, 12], weekdays: null });
    const days = (text: string): number[] => parseCron(`0 2 * * ${text}`).weekdays?.map(({ day }) => day) ?? [];
    assert.deepEqual(days('MON-SUN'), [0, 1, 2, 3, 4, 5, 6]);
    assert.deepEqual(days('sun-tue'), [0, 1, 2]);
    assert.deepEqual(days('5-7'), [0, 5, 6]);
    assert.deepEqual(days('0,7'), [0]);
    assert.deepEqual(days('*/2'), [0, 2, 4, 6]);
    assert.deepEqual(parseCron('0 2 * * MON#1,3#3').weekdays, [{ day: 1, week: 1 }, { day: 3, week: 3 }]);
  });
});
