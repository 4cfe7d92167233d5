import assert from 'node:assert/strict';
import fc from 'fast-check';
import { dueSlot, type DueQuestion } from '../../policy/due-slot';
import type { Schedule } from '../../policy/schedule';
import { DAY_MS, MINUTE_MS, slotsBetween } from './slot-model';

const at = (text: string): number => Date.parse(text);
const daily: Schedule = { daily: { at: ['02:00'] } };

/** An item with a recovery point, a policy in force for long, and the slot of yesterday done. */
const question = (given: Partial<DueQuestion>): DueQuestion => ({
  schedule: daily, firstBackup: 'now', policyEffectiveAtMs: at('2026-01-01T00:00:00Z'), lastSlotMs: at('2026-03-09T02:00:00Z'),
  hasRecoveryPoint: true, nowMs: at('2026-03-10T02:03:00Z'), maxAgeHours: null, ...given,
});
const today = at('2026-03-10T02:00:00Z');

describe('policy/due-slot', () => {
  it('fault 30: the same slot is never due twice', () => {
    assert.deepEqual(dueSlot(question({ lastSlotMs: today })), { slotMs: null, reason: 'already-started' });
    assert.deepEqual(dueSlot(question({ lastSlotMs: today, hasRecoveryPoint: false })), { slotMs: null, reason: 'already-started' }, 'also when its run left nothing');
  });

  it('fault 30: a clock that goes back gives nothing new', () => {
    assert.deepEqual(dueSlot(question({ lastSlotMs: today, nowMs: today - 1 })), { slotMs: null, reason: 'clock-behind' });
    assert.deepEqual(dueSlot(question({ lastSlotMs: today, nowMs: today - 40 * DAY_MS, hasRecoveryPoint: false })), { slotMs: null, reason: 'clock-behind' });
    // The last slot may be of an earlier schedule, between two slots of this one.
    assert.deepEqual(dueSlot(question({ lastSlotMs: today + MINUTE_MS, nowMs: today + 2 * MINUTE_MS })), { slotMs: null, reason: 'already-started' });
  });

  it('a slot from before the policy took effect is not due', () => {
    assert.deepEqual(dueSlot(question({ policyEffectiveAtMs: today + 1, lastSlotMs: null })), { slotMs: null, reason: 'before-policy' });
    assert.deepEqual(dueSlot(question({ policyEffectiveAtMs: today + 1, lastSlotMs: null, hasRecoveryPoint: false, firstBackup: 'next-slot' })), { slotMs: null, reason: 'before-policy' });
    assert.deepEqual(dueSlot(question({ policyEffectiveAtMs: today, lastSlotMs: null })), { slotMs: today, reason: 'slot' });
  });

  it('a first backup is due at once with the latest slot, however old, unless it is to wait', () => {
    const first = { lastSlotMs: null, hasRecoveryPoint: false, policyEffectiveAtMs: today + DAY_MS / 2, nowMs: today + DAY_MS / 2, maxAgeHours: 1 };
    assert.deepEqual(dueSlot(question(first)), { slotMs: today, reason: 'first-backup' });
    assert.deepEqual(dueSlot(question({ ...first, firstBackup: 'next-slot' })), { slotMs: null, reason: 'before-policy' });
    assert.deepEqual(dueSlot(question({ ...first, firstBackup: 'next-slot', nowMs: today + DAY_MS })), { slotMs: today + DAY_MS, reason: 'slot' });
    assert.deepEqual(dueSlot(question({ ...first, schedule: { monthly: { days: [1], at: ['00:00'] } } })), { slotMs: at('2026-03-01T00:00:00Z'), reason: 'first-backup' });
  });

  it('fault 30: a week without a timer is caught up with the latest slot only', () => {
    assert.deepEqual(dueSlot(question({ lastSlotMs: today - 7 * DAY_MS, nowMs: today + 13 * 60 * MINUTE_MS })), { slotMs: today, reason: 'slot' });
  });

  it('a slot missed by more than the limit waits for the next', () => {
    const late = { nowMs: today + 180 * MINUTE_MS };
    assert.deepEqual(dueSlot(question({ ...late, maxAgeHours: 3 })), { slotMs: today, reason: 'slot' });
    assert.deepEqual(dueSlot(question({ nowMs: late.nowMs + 1, maxAgeHours: 3 })), { slotMs: null, reason: 'too-late' });
    assert.deepEqual(dueSlot(question({ nowMs: today + DAY_MS - 1, maxAgeHours: null })), { slotMs: today, reason: 'slot' });
  });

  it('a timer of 5 minutes, each tick doubled, makes exactly one run a slot for a month of two time changes', () => {
    for (const schedule of [daily, { hourly: { every: 6, minute: 7 } }, { cron: '30 1,2,3 * * SUN' }] satisfies Schedule[]) {
      const fromMs = at('2026-03-05T00:00:00Z');
      const toMs = fromMs + 31 * DAY_MS;
      let lastSlotMs: number | null = null;
      const runs: number[] = [];
      for (let tick = fromMs; tick <= toMs; tick += 2.5 * MINUTE_MS) {
        const nowMs = Math.floor(tick / (5 * MINUTE_MS)) * 5 * MINUTE_MS;
        const answer = dueSlot({ schedule, firstBackup: 'next-slot', policyEffectiveAtMs: fromMs, lastSlotMs, hasRecoveryPoint: runs.length > 0, nowMs, maxAgeHours: 24 });
        if (answer.slotMs === null) continue;
        runs.push(answer.slotMs);
        lastSlotMs = answer.slotMs;
      }
      const expected = 'cron' in schedule
        ? slotsBetween({ text: '', matches: (date) => date.getUTCDay() === 0 && date.getUTCMinutes() === 30 && [1, 2, 3].includes(date.getUTCHours()) }, fromMs, toMs)
        : slotsBetween(schedule, fromMs, toMs);
      assert.ok(expected.length > 10);
      assert.deepEqual(runs, expected);
    }
  });

  it('whatever the timer and the clock do, slots only rise, are real, and none is older than the policy', () => {
    const schedule: Schedule = { weekly: { days: ['sunday', 'wednesday'], at: ['02:00', '13:35'] } };
    const startMs = at('2024-02-20T00:00:00Z');
    const real = new Set(slotsBetween(schedule, startMs - 8 * DAY_MS, startMs + 60 * DAY_MS));
    const step = fc.oneof(fc.integer({ min: 0, max: 600 }), fc.integer({ min: 0, max: 3 * 24 * 60 }), fc.integer({ min: -2 * 24 * 60, max: 0 }));
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), fc.option(fc.integer({ min: 1, max: 48 })), (steps, waits, maxAgeHours) => {
      let nowMs = startMs;
      let lastSlotMs: number | null = null;
      for (const minutes of steps) {
        nowMs = Math.min(Math.max(nowMs + minutes * MINUTE_MS, startMs), startMs + 59 * DAY_MS);
        const answer = dueSlot({ schedule, firstBackup: waits ? 'next-slot' : 'now', policyEffectiveAtMs: startMs, lastSlotMs, hasRecoveryPoint: lastSlotMs !== null, nowMs, maxAgeHours });
        if (answer.slotMs === null) continue;
        assert.ok(real.has(answer.slotMs), new Date(answer.slotMs).toISOString());
        assert.ok(answer.slotMs <= nowMs && (lastSlotMs === null || answer.slotMs > lastSlotMs));
        assert.equal(answer.slotMs, Math.max(...[...real].filter((slot) => slot <= nowMs)), 'the latest only');
        if (waits || lastSlotMs !== null) assert.ok(answer.slotMs >= startMs && (maxAgeHours === null || nowMs - answer.slotMs <= maxAgeHours * 60 * MINUTE_MS));
        lastSlotMs = answer.slotMs;
      }
    }), { numRuns: 200 });
  });
});
