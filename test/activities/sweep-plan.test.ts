import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type ItemFacts, planSweep, SWEEP_MARGIN_MS, type Tagged } from '../../activities/sweep-plan';

const NOW = Date.UTC(2026, 10, 25);
const item: ItemFacts = { itemId: 'web01', base: ['/s/Base'], baseIsIdleBecause: null, hasMachine: true, hasOpenRun: false };
const old = NOW - SWEEP_MARGIN_MS - 1;
const snapshot = (id: string, changes: Partial<Tagged> = {}): Tagged =>
  ({ kind: 'snapshot', id, made: { kind: 'snapshots', ids: [id] }, itemId: 'web01', createdAtMs: old, isOpen: false, run: { sequence: 3, endedAtMs: old }, ...changes });

describe('the plan of a sweep', () => {
  it('fault 28: removes what its run left behind, and keeps the base of the newest recovery point', () => {
    const plan = planSweep(item, [snapshot('/s/a'), snapshot('/S/base')], NOW);
    assert.deepEqual(plan.remove.map(({ id }) => id), ['/s/a']);
    assert.deepEqual(plan.keep.map(({ why }) => why), ['base of the next comparison']);
  });

  it('touches nothing of a run that has not ended, of an item with a run under way, or that is young', () => {
    for (const [facts, one] of [
      [item, snapshot('/s/a', { run: { sequence: 4, endedAtMs: null } })], [{ ...item, hasOpenRun: true }, snapshot('/s/a')],
      [item, snapshot('/s/a', { run: { sequence: 3, endedAtMs: NOW - SWEEP_MARGIN_MS + 1 } })], [item, snapshot('/s/a', { createdAtMs: NOW - 1 })],
    ] as const) {
      const plan = planSweep(facts, [one], NOW);
      assert.deepEqual([plan.remove, plan.unknown, plan.keep.length], [[], [], 1], JSON.stringify(one));
    }
  });

  it('tells what carries the tag and is in no record, and leaves it alone', () => {
    const plan = planSweep(item, [snapshot('/s/a', { run: null })], NOW);
    assert.deepEqual([plan.remove, plan.keep, plan.unknown.length], [[], [], 1]);
  });

  it('ends access to a base that no run reads, and not while one does', () => {
    assert.deepEqual(planSweep(item, [snapshot('/s/base', { isOpen: true })], NOW).endAccess.map(({ id }) => id), ['/s/base']);
    assert.deepEqual(planSweep({ ...item, hasOpenRun: true }, [snapshot('/s/base', { isOpen: true })], NOW).endAccess, []);
  });

  it('removes a base that nobody needs, with the reason', () => {
    const plan = planSweep({ ...item, baseIsIdleBecause: 'the policy keeps none' }, [snapshot('/s/base')], NOW);
    assert.match(plan.remove[0]?.why ?? '', /the policy keeps none/);
  });

  it('removes an empty collection only when the machine is gone: deleting one deletes what is in it', () => {
    const empty = snapshot('/c/a', { kind: 'emptyCollection' });
    assert.deepEqual(planSweep(item, [empty], NOW).keep.map(({ why }) => why), ['the machine is there, and its next run may use it']);
    assert.deepEqual(planSweep({ ...item, hasMachine: false }, [empty], NOW).remove.map(({ id }) => id), ['/c/a']);
    assert.deepEqual(planSweep({ ...item, hasMachine: false, hasOpenRun: true }, [empty], NOW).remove, []);
  });

  it('whatever the facts: each thing is in exactly one place, and removed is only what has a run that ended long ago', () => {
    const time = fc.integer({ min: NOW - 3 * SWEEP_MARGIN_MS, max: NOW });
    const tagged = fc.uniqueArray(fc.record({
      id: fc.constantFrom('/s/base', '/s/a', '/s/b', '/s/c'), isOpen: fc.boolean(), createdAtMs: fc.option(time), run: fc.option(fc.record({ sequence: fc.nat(9), endedAtMs: fc.option(time) })),
    }), { selector: ({ id }) => id });
    fc.assert(fc.property(tagged, fc.boolean(), fc.option(fc.constant('gone')), (all, hasOpenRun, baseIsIdleBecause) => {
      const things = all.map(({ id, ...rest }) => snapshot(id, rest));
      const plan = planSweep({ ...item, hasOpenRun, baseIsIdleBecause }, things, NOW);
      assert.deepEqual([...plan.remove, ...plan.keep, ...plan.unknown].map(({ id }) => id).sort(), things.map(({ id }) => id).sort());
      for (const { id } of plan.remove) {
        const one = things.find((thing) => thing.id === id);
        assert.ok(!hasOpenRun && one?.run && one.run.endedAtMs !== null && NOW - one.run.endedAtMs >= SWEEP_MARGIN_MS && NOW - (one.createdAtMs ?? 0) >= SWEEP_MARGIN_MS);
        assert.ok(id !== '/s/base' || baseIsIdleBecause !== null);
      }
    }));
  });
});
