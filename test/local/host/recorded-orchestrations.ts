/** The orchestrators that the recordings were made with, written anew: same names, same behaviour. */
import * as df from 'durable-functions';
import type { OrchestrationContext, Task } from 'durable-functions';

export type Flow = Generator<Task, unknown, never>;
export type Orchestrator = (context: OrchestrationContext) => Flow;

/** Throws anything, Errors or not, as an app might. */
export function raise(thrown: unknown): never {
  throw thrown as Error;
}

export class CustomError extends Error {
  override readonly name = 'CustomError';
  readonly code = 'E42';
  readonly extra = { a: 1 };
}

export const kindOf = (value: unknown): string => (value === null ? 'null' : typeof value);
export const orUndefinedMark = (value: unknown): unknown => (value === undefined ? '$undefined' : value);

/** An orchestrator that waits for nothing. */
function immediate(body: (context: OrchestrationContext) => unknown): Orchestrator {
  return function* (context) {
    yield* [];
    return body(context);
  };
}

const inMs = (c: OrchestrationContext, ms: number): Date => new Date(c.df.currentUtcDateTime.getTime() + ms);

export const flows: Readonly<Record<string, Orchestrator>> = {
  * o_single(c) { return yield c.df.callActivity('hello', c.df.getInput()); },
  * o_args(c) {
    const out: unknown[] = [];
    for (const value of [undefined, null, 'str', '', '{"json":"text"}', 12, 1.5, true, [1, 'a'], { a: { b: 1 } }, new Date(0)]) out.push(yield c.df.callActivity('argInfo', value));
    out.push((yield c.df.callActivity('noReturn', 'x')) === undefined ? '$undefined' : 'other');
    return out;
  },
  * o_sequence(c) {
    const out: unknown[] = [];
    for (const letter of ['a', 'b', 'c']) out.push(yield c.df.callActivity('hello', letter));
    return out;
  },
  * o_fan(c) { return yield c.df.Task.all([0, 1, 2, 3, 4].map((i) => c.df.callActivity('hello', i))); },
  * o_fanSlow(c) { return yield c.df.Task.all([1500, 100, 3000].map((ms) => c.df.callActivity('slow', ms))); },
  * o_fanFail(c) {
    try {
      return yield c.df.Task.all([c.df.callActivity('slow', 2000), c.df.callActivity('fail', 'Error'), c.df.callActivity('hello', 'x')]);
    } catch (error) {
      const caught = error as Error;
      return { caught: caught.name, message: caught.message, ctor: caught.constructor.name, keys: Object.keys(caught) };
    }
  },
  * o_anyTimer(c) {
    const { work, timeout, cancel } = c.df.getInput<{ work: number; timeout: number; cancel: boolean }>();
    const timer = c.df.createTimer(inMs(c, timeout));
    const activity = c.df.callActivity('slow', work);
    const winner: unknown = yield c.df.Task.any([activity, timer]);
    if (winner === activity) {
      if (cancel) timer.cancel();
      return { winner: 'activity', result: activity.result, timerCanceled: timer.isCanceled };
    }
    return { winner: 'timer', timerResult: orUndefinedMark(timer.result), activityCompleted: activity.isCompleted };
  },
  * o_timer(c) {
    const result: unknown = yield c.df.createTimer(inMs(c, c.df.getInput<number>()));
    return { r: orUndefinedMark(result), now: c.df.currentUtcDateTime };
  },
  * o_failCaught(c) {
    const out: Record<string, unknown> = {};
    for (const kind of c.df.getInput<string[]>()) {
      try {
        out[kind] = yield c.df.callActivity('fail', kind);
      } catch (error) {
        const caught = error as Error;
        out[kind] = { ctor: caught.constructor.name, isTFE: caught instanceof df.TaskFailedError, name: caught.name, message: caught.message, keys: Object.keys(caught) };
      }
    }
    return out;
  },
  * o_fail(c) {
    yield c.df.callActivity('fail', c.df.getInput());
    return undefined;
  },
  * o_retry(c) {
    const input = c.df.getInput<{ key: string; failTimes: number; max: number; coef?: number; catch?: boolean }>();
    const options = new df.RetryOptions(1000, input.max);
    if (input.coef) options.backoffCoefficient = input.coef;
    try {
      return yield c.df.callActivityWithRetry('flaky', options, { key: input.key, failTimes: input.failTimes });
    } catch (error) {
      if (!input.catch) throw error;
      return { caught: (error as Error).name, message: (error as Error).message };
    }
  },
  * o_child(c) {
    const input = c.df.getInput<{ fail?: boolean } | string>();
    if (typeof input === 'object' && input.fail) throw new Error('child failure');
    const result: unknown = yield c.df.callActivity('hello', input);
    return { child: result, parent: c.df.parentInstanceId, id: c.df.instanceId };
  },
  * o_childFlaky(c) { return yield c.df.callActivity('flaky', { key: c.df.getInput(), failTimes: 2 }); },
  * o_sub(c) {
    const out: unknown[] = [];
    out.push(yield c.df.callSubOrchestrator('o_child', 'auto'));
    out.push(yield c.df.callSubOrchestrator('o_child', 'expl', `${c.df.instanceId}-kid`));
    out.push(yield c.df.Task.all([c.df.callSubOrchestrator('o_child', 'p1'), c.df.callSubOrchestrator('o_child', 'p2')]));
    return out;
  },
  * o_subFail(c) {
    try {
      return yield c.df.callSubOrchestrator('o_child', { fail: true });
    } catch (error) {
      if (c.df.getInput() !== 'catch') throw error;
      const caught = error as Error;
      return { ctor: caught.constructor.name, name: caught.name, message: caught.message };
    }
  },
  * o_subRetry(c) { return yield c.df.callSubOrchestratorWithRetry('o_childFlaky', new df.RetryOptions(1000, 3), c.df.getInput()); },
  * o_subMissing(c) { return yield c.df.callSubOrchestrator('doesNotExist', 1); },
  * o_actMissing(c) { return yield c.df.callActivity('doesNotExist', 1); },
  * o_event(c) {
    const out: unknown[] = [];
    const count = c.df.getInput<number | string | null>() || 1;
    for (let i = 0; i < Number(count); i++) {
      const value: unknown = yield c.df.waitForExternalEvent('go');
      out.push({ type: kindOf(value), value: orUndefinedMark(value) });
    }
    return out;
  },
  * o_eventAfterActivity(c) {
    const a: unknown = yield c.df.callActivity('slow', 2500);
    const v: unknown = yield c.df.waitForExternalEvent('go');
    return { a, v };
  },
  * o_eventTimeout(c) {
    const event = c.df.waitForExternalEvent('go');
    const timer = c.df.createTimer(inMs(c, c.df.getInput<number>()));
    const winner: unknown = yield c.df.Task.any([event, timer]);
    if (winner !== event) return 'timed out';
    timer.cancel();
    return { got: event.result };
  },
  * o_eventAll(c) { return yield c.df.Task.all([c.df.waitForExternalEvent('A'), c.df.waitForExternalEvent('B')]); },
  * o_can(c) {
    const generation = c.df.getInput<number>();
    yield c.df.callActivity('hello', generation);
    if (generation >= 3) return `done ${String(generation)}`;
    c.df.continueAsNew(generation + 1);
    return undefined;
  },
  * o_canEvents(c) {
    const got = [...c.df.getInput<{ got: unknown[] }>().got, yield c.df.waitForExternalEvent('item')] as unknown[];
    if (got.length === 1) yield c.df.callActivity('slow', 2500);
    if (got.length >= 3) return got;
    c.df.continueAsNew({ got });
    return undefined;
  },
  * o_custom(c) {
    c.df.setCustomStatus({ step: 1 });
    yield c.df.callActivity('hello', 'a');
    c.df.setCustomStatus('step two');
    yield c.df.callActivity('slow', 1500);
    c.df.setCustomStatus(null);
    yield c.df.callActivity('hello', 'c');
    c.df.setCustomStatus([3]);
    return 'ok';
  },
  o_customOnly: immediate((c) => {
    c.df.setCustomStatus({ only: true });
    return 1;
  }),
  * o_loop(c) {
    for (let i = 0; i < 60; i++) yield c.df.createTimer(inMs(c, 1000));
    return 60;
  },
  * o_rewind(c) {
    const before: unknown = yield c.df.callActivity('hello', 'pre');
    return [before, yield c.df.callActivity('failOnce', c.df.instanceId)] as unknown[];
  },
  o_throw: immediate((c) => {
    c.df.setCustomStatus('about to throw');
    throw new CustomError('orchestrator failure');
  }),
  o_throwString: immediate(() => raise('string from orchestrator')),
  * o_throwAfter(c) {
    yield c.df.callActivity('hello', 'x');
    throw new Error('after activity', { cause: new Error('why') });
  },
  o_undefined: immediate(() => undefined),
  o_null: immediate(() => null),
  o_string: immediate(() => 'a "string" — ünïcode 漢字 😀'),
  o_large: immediate(() => 'z'.repeat(200000)),
  o_notGenerator: (() => 'plain function') as unknown as Orchestrator,
  * o_yieldNonTask() { return orUndefinedMark(yield 5 as unknown as Task); },
  o_input: immediate((c) => {
    const input: unknown = c.df.getInput();
    return { type: kindOf(input), value: orUndefinedMark(input), version: orUndefinedMark((c.df as unknown as { version: unknown }).version) };
  }),
  * o_bigPayload(c) { return ((yield c.df.callActivity('big', 'x'.repeat(61440))) as string).length; },
  * o_unicode(c) {
    const i: unknown = c.df.getInput();
    c.df.setCustomStatus('状態 ✓');
    const r: unknown = yield c.df.callActivity('hello', i);
    return { r, i };
  },
  * o_async(c) {
    const g = c.df.newGuid('seed');
    const t0 = c.df.currentUtcDateTime;
    yield c.df.callActivity('hello', 'x');
    const t1 = c.df.currentUtcDateTime;
    yield c.df.callActivity('slow', 1200);
    return { g, t0, t1, t2: c.df.currentUtcDateTime };
  },
  * o_subMany(c) { return yield c.df.Task.all(Array.from({ length: 18 }, () => c.df.callSubOrchestrator('o_input', 1))); },
  * o_parentWait(c) { return yield c.df.callSubOrchestrator('o_event', 1, `${c.df.instanceId}-kid`); },
  * o_canRace(c) {
    const generation = Number(c.df.getInput<number | string>() || 0);
    const value: unknown = yield c.df.waitForExternalEvent('item');
    if (generation >= 3) return [generation, value];
    c.df.continueAsNew(generation + 1);
    return undefined;
  },
  * o_canTimer(c) {
    const generation = Number(c.df.getInput<number | string>() || 0);
    const timer = c.df.createTimer(inMs(c, 3000));
    yield c.df.Task.any([c.df.callActivity('hello', generation), timer]);
    if (generation < 1) {
      c.df.continueAsNew(generation + 1);
      return undefined;
    }
    timer.cancel();
    return `end ${String(generation)}`;
  },
  o_noAwait: immediate((c) => {
    c.df.callActivity('hello', 'not awaited');
    c.df.callActivity('slow', 1500);
    return 'returned first';
  }),
  * o_retryMax(c) {
    const options = new df.RetryOptions(1500, 6);
    options.backoffCoefficient = 3;
    options.maxRetryIntervalInMilliseconds = 4000;
    options.retryTimeoutInMilliseconds = 9000;
    return yield c.df.callActivityWithRetry('flaky', options, { key: c.df.instanceId, failTimes: 9 });
  },
  * o_give(c) {
    const out: Record<string, unknown> = {};
    for (const kind of c.df.getInput<string[]>()) {
      const value: unknown = yield c.df.callActivity('give', kind);
      out[kind] = [kindOf(value), value];
    }
    return out;
  },
  * o_takeBool(c) {
    const out: unknown[] = [];
    for (const value of [false, '12', 'true', [], ' x ', '2020-01-01T00:00:00Z', { d: '2020-01-01T00:00:00Z', n: null, t: true }, 1e21, 0.1]) out.push(yield c.df.callActivity('argInfo', value));
    return out;
  },
  o_jsonString: immediate((c) => c.df.getInput()),
  * o_subString(c) {
    const out: unknown[] = [];
    for (const value of ['12', '{"a":1}', 'plain', true, null, 1.5]) {
      const answer: unknown = yield c.df.callSubOrchestrator('o_jsonString', value);
      out.push([kindOf(answer), answer]);
    }
    return out;
  },
  * o_refused(c) { return yield c.df.callHttp({ method: 'GET', url: 'http://127.0.0.1:9' }); },
  o_sigOnly: immediate((c) => {
    c.df.signalEntity(new df.EntityId('counter', 'sig'), 'add', 2);
    return 'signalled';
  }),
};

/** Orchestrators that do something else when they are replayed; they count their runs from here. */
export function nonDeterministic(): Readonly<Record<string, Orchestrator>> {
  const runs = new Map<string, number>();
  const firstRun = (name: string): boolean => {
    runs.set(name, (runs.get(name) ?? 0) + 1);
    return runs.get(name) === 1;
  };
  return {
    * o_nondet(c) {
      if (firstRun('kind')) yield c.df.callActivity('hello', 'first');
      else yield c.df.createTimer(inMs(c, 1000));
      return 'x';
    },
    * o_nondetName(c) {
      yield c.df.callActivity(firstRun('name') ? 'hello' : 'echo', 'first');
      return 'x';
    },
    * o_nondetFewer(c) {
      if (firstRun('fewer')) yield c.df.callActivity('hello', 'first');
      return 'x';
    },
  };
}
