import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import * as df from 'durable-functions';
import fc from 'fast-check';
import { activity, type Outcome, reportOfFailedTask } from '../../activities/outcome';
import { withinLimit } from '../../activities/step-limit';
import { HoldfastError } from '../../errors/holdfast-error';
import { VirtualClock } from '../../local/host/clock';
import { createHost, type EmbeddedHost } from '../../local/host/host';
import { parallelism, STEP_LIMIT_MS, STEP_RACE_MS } from '../../orchestrations/limits';
import { batches, firstFailure, once, persist, step, steps } from '../../orchestrations/steps';

const ok = <T>(value: T): Outcome<T> => ({ ok: true, value });

describe('steps of an orchestration', () => {
  let host: EmbeddedHost;
  let clock: VirtualClock;
  afterEach(() => host.stop());

  async function run(orchestration: df.OrchestrationHandler, activities: Readonly<Record<string, (input: number) => unknown>>): Promise<unknown> {
    clock = new VirtualClock();
    host = await createHost({ stateFolder: ':memory:', clock, load: () => {
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
      const outcomes = yield* batches<number>(context, [5, 4, 3, 2, 1, 0, 6].map((n) => () => context.df.callActivity('work', { n })), 3, () => { done++; });
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
      const outcomes = yield* batches<number>(context, [0, 1, 2, 3].map((n) => () => context.df.callActivity('work', { n })), 2);
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

  it('a bug gets a few tries where an outage gets a day: it holds nothing up', async () => {
    let calls = 0;
    const output = await run(function* (context) {
      const startMs = context.df.currentUtcDateTime.getTime();
      const outcome = yield* persist<number>(context, 'bug', { n: 0 }, { firstMs: 5000, mostMs: 7_200_000, limitMs: 86_400_000 });
      return { outcome, tookMs: context.df.currentUtcDateTime.getTime() - startMs };
    }, { bug: () => { calls++; throw new TypeError('x is not a function'); } });
    const { outcome, tookMs } = output as { outcome: Outcome<number>; tookMs: number };
    assert.equal(!outcome.ok && outcome.error.code, 'INTERNAL');
    assert.equal(calls, 5);
    assert.ok(tookMs < 5 * 60_000, `${tookMs} ms`);
  });

  it('fault 34: a step that does not come back is given up by its timer and tried once more; its siblings keep their results', async () => {
    const calls: number[] = [];
    const output = await run(function* (context) {
      const startMs = context.df.currentUtcDateTime.getTime();
      const outcomes = yield* steps<number>(context, 'work', [{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }], { limit: 3 });
      return { outcomes, tookMs: context.df.currentUtcDateTime.getTime() - startMs };
    }, { work: async (n) => {
      calls.push(n);
      if (n === 1) await clock.sleep(20 * 86_400_000);
      return ok(n);
    } });
    const { outcomes, tookMs } = output as { outcomes: Outcome<number>[]; tookMs: number };
    assert.deepEqual([outcomes[0], outcomes[2]], [ok(0), ok(2)]);
    assert.equal(outcomes[1]?.ok === false && outcomes[1].error.code, 'STEP_TIMEOUT');
    assert.deepEqual([...calls].sort(), [0, 1, 1, 2], 'nothing after the failure, the siblings once');
    assert.ok(tookMs >= 2 * STEP_RACE_MS && tookMs < 2 * STEP_RACE_MS + 60_000, `${tookMs} ms`);
  });

  it('fault 34: a second try that comes back counts, and the late result of the first changes nothing', async () => {
    let calls = 0;
    const output = await run(function* (context) {
      const first = yield* step<number>(context, 'work', { n: 7 });
      yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 30 * 86_400_000));
      return [first, yield* step<number>(context, 'work', { n: 8 })];
    }, { work: async (n) => {
      const call = ++calls;
      if (call === 1) await clock.sleep(86_400_000);
      return ok(n * 100 + call);
    } });
    assert.deepEqual(output, [ok(702), ok(803)]);
  });

  it('fault 34: a child that does not end is given up as well', async () => {
    const output = await run(function* (context) {
      return (yield* batches<number>(context, [1, 2].map((n) => () => context.df.callActivity('work', { n })), 2, undefined, 60_000)).map((outcome) => (outcome.ok ? outcome.value : outcome.error.code));
    }, { work: async (n) => { if (n === 1) await clock.sleep(86_400_000); return ok(n); } });
    assert.deepEqual(output, ['STEP_TIMEOUT', 2]);
  });

  it('fault 34: a step ends by itself long before its timer, and the step gives way to the host only after that', async () => {
    assert.ok(STEP_LIMIT_MS * 1.4 < STEP_RACE_MS);
    const host30 = 30 * 60_000;
    assert.ok(STEP_LIMIT_MS < host30 && host30 < STEP_RACE_MS, 'the functionTimeout of host.json lies between');
    assert.equal((JSON.parse(await readFile(path.join(__dirname, '..', '..', '..', 'host.json'), 'utf8')) as { functionTimeout: string }).functionTimeout, '00:30:00');
    let fire = (): void => undefined;
    let cancelled = 0;
    const setTimer = (ms: number, fireIt: () => void): (() => void) => { assert.equal(ms, STEP_LIMIT_MS); fire = fireIt; return () => { cancelled++; }; };
    const stuck = withinLimit('transferSlice', () => new Promise<Outcome<number>>(() => undefined), setTimer)(null);
    fire();
    const thrown = await stuck.then(() => assert.fail(), (error: unknown) => error);
    assert.equal(reportOfFailedTask(thrown).code, 'STEP_TIMEOUT');
    assert.match(reportOfFailedTask(thrown).message, /transferSlice/);
    assert.deepEqual(await withinLimit('x', () => Promise.resolve(ok(1)), setTimer)(null), ok(1));
    await assert.rejects(withinLimit('x', () => Promise.reject(new Error('a bug')), setTimer)(null), /a bug/);
    assert.equal(cancelled, 2);
  });

  it('fault 19: where too many snapshots are open a step queues in durable time, and goes on when there is a place', async () => {
    let calls = 0;
    const output = await run(function* (context) {
      const startMs = context.df.currentUtcDateTime.getTime();
      const outcome = yield* step<number>(context, 'open', { n: 0 }, startMs + 24 * 3_600_000);
      return { outcome, hours: (context.df.currentUtcDateTime.getTime() - startMs) / 3_600_000 };
    }, { open: activity(() => (++calls < 15 ? Promise.reject(new HoldfastError('CLOUD_ACCESS_LIMIT', 'five are open')) : Promise.resolve(1))) });
    const { outcome, hours } = output as { outcome: Outcome<number>; hours: number };
    assert.deepEqual(outcome, ok(1));
    assert.ok(hours > 3 && hours < 12, `${hours} h`);
  });

  it('fault 19: no place until the deadline is a clear failure, and the queue keeps the history short', async () => {
    let calls = 0;
    const output = await run(function* (context) {
      const startMs = context.df.currentUtcDateTime.getTime();
      const outcome = yield* step<number>(context, 'open', { n: 0 }, startMs + 24 * 3_600_000);
      const at = (context.df.currentUtcDateTime.getTime() - startMs) / 3_600_000;
      return { outcome, at, unasked: yield* step<number>(context, 'open', { n: 0 }) };
    }, { open: activity(() => { calls++; return Promise.reject(new HoldfastError('CLOUD_ACCESS_LIMIT', 'five are open')); }) });
    const { outcome, at, unasked } = output as { outcome: Outcome<number>; at: number; unasked: Outcome<number> };
    assert.equal(!outcome.ok && outcome.error.code, 'CLOUD_ACCESS_LIMIT');
    assert.equal(!unasked.ok && unasked.error.code, 'CLOUD_ACCESS_LIMIT', 'without a deadline it does not queue');
    assert.ok(at > 23 && at < 24, `${at} h`);
    assert.ok(calls > 30 && calls < 70, `${calls} looks`);
  });

  it('fault 17: a longer pause that Azure asks for is kept', async () => {
    let calls = 0;
    const output = await run(function* (context) {
      const startMs = context.df.currentUtcDateTime.getTime();
      yield* step<number>(context, 'busy', { n: 0 });
      return context.df.currentUtcDateTime.getTime() - startMs;
    }, { busy: activity(() => (++calls < 2 ? Promise.reject(new HoldfastError('CLOUD_THROTTLED', 'later', { data: { retryAfterMs: 300_000 } })) : Promise.resolve(1))) });
    assert.ok(Number(output) >= 300_000 && Number(output) < 310_000, String(output));
  });
});

describe('how much of a backup runs at once', () => {
  it('fault 34: no transfer under any bandwidth comes near to the limit of a step, and the bandwidth is kept', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 65 }), fc.integer({ min: 1, max: 16 }), fc.option(fc.double({ min: 0.1, max: 100_000, noNaN: true })), (disks, transfers, bandwidth) => {
      const at = parallelism(disks, transfers, bandwidth);
      assert.deepEqual(parallelism(disks, at.transfers, bandwidth), at, 'the same for whoever asks again');
      assert.ok(at.disks >= 1 && at.disks <= 3 && at.regions >= 1 && at.regions <= 2 && at.transfers >= 1 && at.transfers <= transfers && at.sliceWindows >= 1 && at.sliceWindows <= 16);
      if (bandwidth === null) assert.equal(at.sliceWindows, 16);
      else assert.ok((at.sliceWindows * 64) / (bandwidth / (at.disks * at.regions * at.transfers)) * 1000 <= STEP_LIMIT_MS * 0.55);
    }));
  });
});
