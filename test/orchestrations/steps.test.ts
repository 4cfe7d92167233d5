import assert from 'node:assert/strict';
import * as df from 'durable-functions';
import { activity, type Outcome } from '../../activities/outcome';
import { HoldfastError } from '../../errors/holdfast-error';
import { VirtualClock } from '../../local/host/clock';
import { createHost, type EmbeddedHost } from '../../local/host/host';
import { activityTask, batches, firstFailure, once, persist, step } from '../../orchestrations/steps';

const ok = <T>(value: T): Outcome<T> => ({ ok: true, value });

describe('steps of an orchestration', () => {
  let host: EmbeddedHost;
  afterEach(() => host.stop());

  async function run(orchestration: df.OrchestrationHandler, activities: Readonly<Record<string, (input: number) => unknown>>): Promise<unknown> {
    host = await createHost({ stateFolder: ':memory:', clock: new VirtualClock(), load: () => {
      df.app.orchestration('main', orchestration);
      for (const [name, handler] of Object.entries(activities)) df.app.activity(name, { handler: (input: unknown) => handler((input as { n: number }).n) });
    } });
    await host.start();
    return (await host.waitFor(host.client.startNew('main'))).output;
  }

  it('batches give outcomes in the order of the starts, run each once, and never more than the limit at once', async () => {
    const calls: number[] = [];
    const progress: number[] = [];
    let running = 0;
    let most = 0;
    const output = await run(function* (context) {
      let done = 0;
      const outcomes = yield* batches<number>(context, [5, 4, 3, 2, 1, 0, 6].map((n) => () => activityTask(context, 'work', { n })), 3, () => { done++; });
      if (!context.df.isReplaying) progress.push(done);
      return outcomes;
    }, { work: async (n) => {
      calls.push(n);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return ok(n * 10);
    } });
    assert.equal(most, 3);
    assert.deepEqual(output, [50, 40, 30, 20, 10, 0, 60].map((value) => ok(value)));
    assert.deepEqual([...calls].sort(), [0, 1, 2, 3, 4, 5, 6], 'each was executed once');
    assert.deepEqual(progress, [7]);
  });

  it('batches start nothing after a batch with a failure, and keep the outcomes of its siblings', async () => {
    const calls: number[] = [];
    const output = await run(function* (context) {
      const outcomes = yield* batches<number>(context, [0, 1, 2, 3].map((n) => () => activityTask(context, 'work', { n })), 2);
      return { outcomes, failure: firstFailure(outcomes)?.code };
    }, { work: (n) => { calls.push(n); return n === 0 ? { ok: false, error: new HoldfastError('STORE_FULL', 'full').toJSON() } : ok(n); } });
    assert.deepEqual([...calls].sort(), [0, 1]);
    const { outcomes, failure } = output as { outcomes: Outcome<number>[]; failure: string };
    assert.deepEqual(outcomes.map((outcome) => outcome.ok), [false, true]);
    assert.equal(failure, 'STORE_FULL');
  });

  it('batches wait for the siblings of a task that throws, and of none make nothing', async () => {
    const output = await run(function* (context) {
      const none = yield* batches<number>(context, [], 3);
      const outcomes = yield* batches<number>(context, [0, 1, 2].map((n) => () => context.df.callActivity('work', { n })), 3);
      return [none.length, ...outcomes.map((outcome) => (outcome.ok ? outcome.value : outcome.error.code))];
    }, { work: (n) => { if (n === 1) throw new Error('a bug'); return ok(n); } });
    assert.deepEqual(output, [0, 0, 'INTERNAL', 2]);
  });

  it('a step is repeated while it throws, and its last report comes back', async () => {
    let calls = 0;
    const output = await run(function* (context) {
      return [yield* step<number>(context, 'mends', { n: 1 }), yield* step<number>(context, 'never', { n: 1 })];
    }, {
      mends: activity((n: number) => { calls++; return calls < 4 ? Promise.reject(new HoldfastError('STORE_UNREACHABLE', 'away')) : Promise.resolve(n); }),
      never: activity(() => Promise.reject(new HoldfastError('CLOUD_THROTTLED', 'not now', { data: { retryAfterMs: 7 } }))),
    });
    assert.equal(calls, 4);
    const [mended, failed] = output as Outcome<number>[];
    assert.deepEqual(mended, ok(1));
    assert.deepEqual(failed, { ok: false, error: new HoldfastError('CLOUD_THROTTLED', 'not now', { data: { retryAfterMs: 7 } }).toJSON() });
  });

  it('what persists goes on through transient failures until its time is over, and stops at once at one for good', async () => {
    const counts = { transient: 0, forGood: 0, pending: 0, once: 0 };
    const patience = { firstMs: 1000, mostMs: 60_000, limitMs: 600_000 };
    const output = await run(function* (context) {
      const startMs = context.df.currentUtcDateTime.getTime();
      const transient = yield* persist<number>(context, 'transient', { n: 0 }, patience);
      const tookMs = context.df.currentUtcDateTime.getTime() - startMs;
      const forGood = yield* persist<number>(context, 'forGood', { n: 0 }, patience);
      const pending = yield* persist<number>(context, 'pending', { n: 0 }, patience, (value) => value === 3);
      const single = yield* once<number>(context, 'once', { n: 0 });
      return { transient: transient.ok, tookMs, forGood: forGood.ok, pending, single: single.ok };
    }, {
      transient: activity(() => { counts.transient++; return Promise.reject(new HoldfastError('STORE_UNREACHABLE', 'away')); }),
      forGood: activity(() => { counts.forGood++; return Promise.reject(new HoldfastError('CLOUD_ACCESS_DENIED', 'no')); }),
      pending: activity(() => Promise.resolve(++counts.pending)),
      once: activity(() => { counts.once++; return Promise.reject(new HoldfastError('STORE_UNREACHABLE', 'away')); }),
    });
    const { transient, tookMs, forGood, pending, single } = output as { transient: boolean; tookMs: number; forGood: boolean; pending: unknown; single: boolean };
    assert.deepEqual([transient, forGood, pending, single], [false, false, ok(3), false]);
    assert.ok(tookMs >= 600_000 && tookMs < 700_000, `${tookMs} ms`);
    assert.deepEqual([counts.forGood, counts.pending, counts.once], [1, 3, 1]);
    assert.ok(counts.transient > 10 && counts.transient < 20);
  });
});
