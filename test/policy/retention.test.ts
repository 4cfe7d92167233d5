import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MONTHS, WEEKDAYS, WEEKS_OF_MONTH } from '../../policy/calendar';
import { keepsByRule, type RetentionPoint } from '../../policy/retention';
import { type PlannedPoint, planItemRetention, type Retentions } from '../../policy/retention-plan';
import { type Retention, retentionSchema } from '../../policy/retention-schema';
import { formatStamp } from '../../policy/slot';
import { modelKeeps } from './retention-model';

const DAY = 86_400_000;
const HOUR = DAY / 24;
const at = (text: string): number => Date.parse(text.length === 10 ? `${text}T02:00:00Z` : text);

const point = (when: string | number, more: Partial<PlannedPoint> = {}): PlannedPoint => {
  const atMs = typeof when === 'number' ? when : at(when);
  return { id: formatStamp(atMs), atMs, createdAtMs: atMs, scheduled: true, quality: 'unproven', held: false, undeleted: false, policy: 'p', ...more };
};
const daily = (from: string, to: string, more: Partial<PlannedPoint> = {}): PlannedPoint[] => {
  const points: PlannedPoint[] = [];
  for (let ms = at(from); ms <= at(to); ms += DAY) points.push(point(ms, more));
  return points;
};
const rules = (retention: Retention): Retention => retentionSchema.parse(retention);
const kept = (points: readonly PlannedPoint[], retention: Retention, nowMs: number): string[] =>
  [...keepsByRule(points, rules(retention), nowMs)].filter(([, keeps]) => keeps.length > 0).map(([id]) => `${id.slice(0, 4)}-${id.slice(4, 6)}-${id.slice(6, 8)}`).sort();

const choice = fc.oneof(
  fc.constant({}),
  fc.record({ day: fc.oneof(fc.integer({ min: 1, max: 31 }), fc.constantFrom(29, 30, 31), fc.constant('last' as const)) }),
  fc.record({ week: fc.constantFrom(...WEEKS_OF_MONTH), weekday: fc.constantFrom(...WEEKDAYS) }),
);
const count = fc.integer({ min: 1, max: 14 });
const yearly = fc.record({ count: fc.integer({ min: 1, max: 5 }), month: fc.constantFrom(...MONTHS) }).chain((rule) => choice.map((day) => ({ ...rule, ...day })));
const retentionArbitrary = fc.record({
  keepLast: count, keepWithinDays: fc.integer({ min: 1, max: 60 }), daily: fc.record({ count }),
  weekly: fc.record({ count, weekday: fc.constantFrom(...WEEKDAYS) }, { requiredKeys: ['count'] }),
  monthly: fc.tuple(count, choice).map(([number, day]) => ({ count: number, ...day })),
  yearly: fc.oneof(yearly, count.map((number) => ({ count: number }))),
}, { requiredKeys: [] }).filter((rule) => retentionSchema.safeParse(rule).success).map((rule) => retentionSchema.parse(rule));

/** Recovery points over some years, leap days among them: steady ones, gaps, several a day, on demand, damaged, dated by a wrong clock, caught up late. */
const pointsArbitrary = fc.record({
  startMs: fc.integer({ min: Date.UTC(2019, 0, 1), max: Date.UTC(2024, 11, 31) }),
  gaps: fc.array(fc.record({
    hours: fc.oneof({ weight: 6, arbitrary: fc.constant(24) }, { weight: 3, arbitrary: fc.integer({ min: 1, max: 60 }) }, { weight: 1, arbitrary: fc.integer({ min: 100, max: 9000 }) }),
    scheduled: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    quality: fc.oneof({ weight: 6, arbitrary: fc.constant('unproven' as const) }, { weight: 2, arbitrary: fc.constant('good' as const) }, { weight: 1, arbitrary: fc.constant('damaged' as const) }),
    lateHours: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 300 }) }),
  }), { minLength: 1, maxLength: 90 }),
}).map(({ startMs, gaps }) => {
  let ms = Math.floor(startMs / HOUR) * HOUR;
  return gaps.map(({ hours, lateHours, ...more }) => {
    ms += hours * HOUR;
    return point(ms, { ...more, createdAtMs: ms + lateHours * HOUR });
  });
});

describe('retention rules', () => {
  it('fault 41: agree with a slow plain model over years, leap days included', () => {
    fc.assert(fc.property(pointsArbitrary, retentionArbitrary, fc.integer({ min: -200, max: 4000 }), fc.nat(), (points, retention, hoursAfter, seed) => {
      const nowMs = (points.at(-1) as PlannedPoint).atMs + hoursAfter * HOUR;
      const shuffled = [...points].sort((a, b) => ((a.atMs * (seed | 1)) % 1009) - ((b.atMs * (seed | 1)) % 1009));
      const got = [...keepsByRule(shuffled, retention, nowMs)].filter(([, keeps]) => keeps.length > 0).map(([id]) => id).sort();
      assert.deepEqual(got, [...modelKeeps(points, retention, nowMs)].sort());
    }), { numRuns: 150 });
  });

  it('applied every few days they leave exactly what applied once at the end they would', () => {
    fc.assert(fc.property(pointsArbitrary, retentionArbitrary, fc.integer({ min: 1, max: 40 }), (points, retention, everyDays) => {
      const arriving = [...points].sort((a, b) => a.createdAtMs - b.createdAtMs);
      const endMs = (arriving.at(-1) as PlannedPoint).createdAtMs + DAY;
      let left: RetentionPoint[] = [];
      let next = 0;
      for (let nowMs = (arriving[0] as PlannedPoint).createdAtMs; ; nowMs = Math.min(endMs, nowMs + everyDays * DAY)) {
        for (; (arriving[next]?.createdAtMs ?? Infinity) <= nowMs; next++) left.push(arriving[next] as PlannedPoint);
        const keeps = keepsByRule(left, retention, nowMs);
        left = left.filter(({ id }) => (keeps.get(id)?.length ?? 0) > 0);
        if (nowMs === endMs) break;
      }
      assert.deepEqual(left.map(({ id }) => id).sort(), [...modelKeeps(points, retention, endMs)].sort());
    }), { numRuns: 80 });
  });

  it('never let a recovery point go before the time that they named, when one is made every day', () => {
    fc.assert(fc.property(retentionArbitrary, fc.integer({ min: 1, max: 120 }), fc.integer({ min: 1, max: 500 }), (retention, before, after) => {
      const points = daily('2023-11-20', new Date(at('2023-11-20') + before * DAY).toISOString().slice(0, 10));
      const nowMs = (points.at(-1) as PlannedPoint).atMs + HOUR;
      const promised = keepsByRule(points, retention, nowMs);
      const thenMs = nowMs + after * DAY;
      const more = [...points];
      for (let ms = (points.at(-1) as PlannedPoint).atMs + DAY; ms <= thenMs; ms += DAY) more.push(point(ms));
      const then = keepsByRule(more, retention, thenMs);
      for (const [id, keeps] of promised) {
        for (const { rule, untilMs, exact } of keeps) {
          if (untilMs === null) continue;
          const stays = then.get(id)?.some((keep) => keep.rule === rule) === true;
          if (thenMs < untilMs) assert.ok(stays, `${id}, ${rule}, promised until ${new Date(untilMs).toISOString()}, gone at ${new Date(thenMs).toISOString()}`);
          if (exact && thenMs >= untilMs) assert.ok(!stays, `${id}, ${rule} was to end exactly then`);
        }
      }
    }), { numRuns: 150 });
  });

  it('keep one for each of the last days, weeks, months and years that have one', () => {
    const points = daily('2023-12-25', '2024-03-05');
    const nowMs = at('2024-03-05T12:00:00Z');
    assert.deepEqual(kept(points, { daily: { count: 3 } }, nowMs), ['2024-03-03', '2024-03-04', '2024-03-05']);
    assert.deepEqual(kept(points, { weekly: { count: 3 } }, nowMs), ['2024-02-25', '2024-03-03', '2024-03-05'], 'weeks end on Sunday; the running one has its newest');
    assert.deepEqual(kept(points, { weekly: { count: 2, weekday: 'sunday' } }, nowMs), ['2024-03-03', '2024-03-05'], 'no Sunday yet this week: the nearest day there is');
    assert.deepEqual(kept(points, { monthly: { count: 3 } }, nowMs), ['2024-01-31', '2024-02-29', '2024-03-05']);
    assert.deepEqual(kept(points, { yearly: { count: 5 } }, nowMs), ['2023-12-31', '2024-03-05']);
  });

  it('take the last day of a month for one that it lacks, and the leap day where there is one', () => {
    const points = [...daily('2023-01-01', '2023-04-30'), ...daily('2024-01-01', '2024-04-30')];
    const nowMs = at('2024-05-01');
    assert.deepEqual(kept(points, { monthly: { count: 8, day: 31 } }, nowMs), ['2023-01-31', '2023-02-28', '2023-03-31', '2023-04-30', '2024-01-31', '2024-02-29', '2024-03-31', '2024-04-30']);
    assert.deepEqual(kept(points, { monthly: { count: 8, day: 'last' } }, nowMs), kept(points, { monthly: { count: 8, day: 31 } }, nowMs));
    assert.deepEqual(kept(points, { yearly: { count: 2, month: 'february', day: 29 } }, nowMs), ['2023-02-28', '2024-02-29']);
    assert.deepEqual(kept(points, { monthly: { count: 2, week: 'second', weekday: 'tuesday' } }, nowMs), ['2024-03-12', '2024-04-09']);
    assert.deepEqual(kept(points, { yearly: { count: 1, month: 'february', week: 'last', weekday: 'thursday' } }, nowMs), ['2024-02-29']);
  });

  it('take the next day that has one where the named day has none, else the one before', () => {
    const without = (day: string): PlannedPoint[] => daily('2024-02-01', '2024-02-29').filter(({ atMs }) => !new Date(atMs).toISOString().startsWith(day));
    const nowMs = at('2024-03-01');
    assert.deepEqual(kept(without('2024-02-15'), { monthly: { count: 1, day: 15 } }, nowMs), ['2024-02-16']);
    assert.deepEqual(kept(without('2024-02-29'), { monthly: { count: 1, day: 'last' } }, nowMs), ['2024-02-28']);
    assert.deepEqual(kept(without('2024-02-13'), { monthly: { count: 1, week: 'second', weekday: 'tuesday' } }, nowMs), ['2024-02-14']);
    assert.deepEqual(kept([point('2024-02-03')], { monthly: { count: 1, day: 31 } }, nowMs), ['2024-02-03']);
    assert.deepEqual(kept([point('2023-03-03'), point('2023-11-03')], { yearly: { count: 1, month: 'june' } }, nowMs), ['2023-11-03']);
  });

  it('fault 41: damaged ones and ones on demand push no good scheduled one out', () => {
    const nowMs = at('2024-03-05T12:00:00Z');
    const good = daily('2024-02-01', '2024-03-05');
    const garbage = [...good].flatMap(({ atMs }) => [1, 2, 3].map((hour) => point(atMs + hour * HOUR, { scheduled: false })));
    const damaged = good.map(({ atMs }) => point(atMs + 5 * HOUR, { quality: 'damaged' }));
    for (const retention of [{ keepLast: 3 }, { daily: { count: 10 } }, { weekly: { count: 3 } }, { monthly: { count: 2, day: 10 } }] satisfies Retention[]) {
      const alone = new Set(kept(good, retention, nowMs));
      const ids = (points: PlannedPoint[]): Set<string> => new Set([...keepsByRule(points, rules(retention), nowMs)].filter(([, keeps]) => keeps.length > 0).map(([id]) => id));
      const among = ids([...good, ...garbage, ...damaged]);
      for (const one of good) assert.equal(among.has(one.id), alone.has(new Date(one.atMs).toISOString().slice(0, 10)), `${one.id} ${JSON.stringify(retention)}`);
    }
  });

  it('count what is dated in the future for nothing, whatever it is', () => {
    const nowMs = at('2024-03-05T12:00:00Z');
    const points = [...daily('2024-03-01', '2024-03-05'), ...daily('2034-03-01', '2034-03-05')];
    assert.deepEqual(kept(points, { keepLast: 2, daily: { count: 2 } }, nowMs), ['2024-03-04', '2024-03-05']);
  });
});

describe('retention of an item', () => {
  const nowMs = at('2024-03-05T12:00:00Z');
  const policies = (entries: Readonly<Record<string, Retention>>): Retentions => new Map(Object.entries(entries).map(([name, retention]) => [name, rules(retention)]));
  const plan = (points: readonly PlannedPoint[], entries: Readonly<Record<string, Retention>>): Record<string, string> =>
    Object.fromEntries(planItemRetention(points, policies(entries), nowMs).map(({ id, keeps }) => [id.slice(4, 8), keeps.map(({ rule, policy }) => (policy === null ? rule : `${policy}:${rule}`)).join(' ')]));

  it('keeps the last good one, the newest and what is held, whatever the rules say', () => {
    const points = [point('2023-01-01', { held: true }), point('2023-02-01', { quality: 'good' }), point('2023-03-01'), point('2023-04-01', { quality: 'damaged' })];
    assert.deepEqual(plan(points, { p: { keepWithinDays: 1 } }), { '0101': 'hold', '0201': 'last-good', '0301': 'last-good', '0401': '' });
    assert.deepEqual(plan([point('2023-01-01', { undeleted: true }), point('2023-02-01')], { p: { keepWithinDays: 1 } }), { '0101': 'undeleted', '0201': 'last-good' });
    assert.deepEqual(plan(points.slice(3), { p: { keepWithinDays: 1 } }), { '0401': 'last-good' }, 'the only one stays, even damaged');
  });

  it('never lets all of them go, and never one of the window', () => {
    fc.assert(fc.property(pointsArbitrary, retentionArbitrary, fc.integer({ min: -300, max: 90_000 }), (points, retention, hoursAfter) => {
      const atMs = (points.at(-1) as PlannedPoint).atMs + hoursAfter * HOUR;
      const planned = planItemRetention(points, new Map([['p', retention]]), atMs);
      const going = new Set(planned.filter(({ keeps }) => keeps.length === 0).map(({ id }) => id));
      const whole = points.filter(({ quality }) => quality !== 'damaged');
      assert.ok((whole.length === 0 ? points : whole).some(({ id }) => !going.has(id)));
      for (const one of points) if (retention.keepWithinDays !== undefined && atMs - one.atMs < retention.keepWithinDays * DAY) assert.ok(!going.has(one.id));
    }), { numRuns: 200 });
  });

  it('lets nothing go that no policy in force speaks for', () => {
    const points = [point('2023-01-01', { policy: 'gone' }), point('2023-01-02', { policy: null }), ...daily('2024-03-01', '2024-03-03', { policy: 'p' })];
    assert.deepEqual(plan(points, { p: { keepLast: 1 } }), { '0101': 'no-policy', '0102': '', '0301': '', '0302': '', '0303': 'last-good p:keepLast' });
    assert.deepEqual(new Set(Object.values(plan(points, {}))), new Set(['no-policy', 'last-good no-policy']));
    assert.deepEqual(plan([point('2023-01-02', { policy: null }), point('2023-01-03', { policy: null })], { p: { keepLast: 1 } }), { '0102': 'no-policy', '0103': 'last-good no-policy' });
  });

  it('counts each policy over its own, so that none takes the place of another\'s', () => {
    const noon = daily('2024-03-01', '2024-03-05').map(({ atMs }) => point(atMs + 10 * HOUR - 2 * HOUR, { policy: 'noon' }));
    const night = daily('2024-03-01', '2024-03-05', { policy: 'night' });
    const planned = planItemRetention([...night, ...noon], policies({ night: { daily: { count: 30 } }, noon: { keepLast: 2 } }), nowMs);
    assert.deepEqual(planned.map(({ keeps }) => keeps.filter(({ rule }) => rule !== 'last-good').length), [1, 1, 1, 1, 1, 0, 0, 0, 1, 1]);
  });

  it('says until when each rule keeps one, as far as that can be known', () => {
    const points = daily('2024-02-01', '2024-03-05');
    const planned = planItemRetention(points, policies({ p: { keepLast: 2, keepWithinDays: 7, daily: { count: 5 }, monthly: { count: 2 } } }), nowMs);
    const of = (day: string) => planned.find(({ id }) => id.startsWith(day.replaceAll('-', '')));
    const told = (day: string) => of(day)?.keeps.map(({ rule, untilAt, exact, period }) => [rule, untilAt, exact, period]);
    assert.deepEqual(told('2024-03-02'), [['keepWithinDays', '2024-03-09T02:00:00.000Z', true, null], ['daily', '2024-03-07T00:00:00.000Z', false, '2024-03-02']]);
    assert.deepEqual(told('2024-02-29'), [['keepWithinDays', '2024-03-07T02:00:00.000Z', true, null], ['monthly', '2024-04-01T00:00:00.000Z', false, '2024-02']]);
    assert.equal(of('2024-02-29')?.atLeastUntilAt, '2024-04-01T00:00:00.000Z');
    assert.deepEqual(told('2024-03-05')?.map(([rule, untilAt]) => [rule, untilAt]), [['last-good', null], ['keepLast', null], ['keepWithinDays', '2024-03-12T02:00:00.000Z'], ['daily', null], ['monthly', null]]);
    assert.deepEqual(of('2024-02-20'), { id: point('2024-02-20').id, keeps: [], atLeastUntilAt: null });
  });
});
