/** What the recordings do not show: limits, refusals, measurements, and several hosts in one process. */
import assert from 'node:assert/strict';
import { app } from '@azure/functions';
import * as df from 'durable-functions';
import type { OrchestrationHandler } from 'durable-functions';
import fc from 'fast-check';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { VirtualClock, type Clock } from '../../../local/host/clock';
import { EventType, timestamp } from '../../../local/host/history';
import { createHost, type EmbeddedHost, type HostOptions } from '../../../local/host/host';
import { registerRecordedApp } from './recorded-app';

const flow = (name: string, handler: (context: Parameters<OrchestrationHandler>[0]) => Generator<df.Task, unknown, never>): void => void df.app.orchestration(name, handler as OrchestrationHandler);

async function withHost(options: Omit<HostOptions, 'stateFolder' | 'load'> & { load: (clock: VirtualClock) => void }, use: (host: EmbeddedHost, clock: VirtualClock) => Promise<void>): Promise<void> {
  const clock = new VirtualClock();
  const host = await createHost({ ...options, stateFolder: ':memory:', clock, load: () => options.load(clock) });
  await host.start();
  try {
    await use(host, clock);
  } finally {
    await host.stop();
  }
}

describe('embedded host: limits and refusals', () => {
  it('runs at most as many activities at once as allowed', async () => {
    let now = 0;
    let most = 0;
    await withHost({
      maxConcurrentActivities: 3,
      load: (clock) => {
        df.app.activity('work', { handler: async () => { most = Math.max(most, ++now); await clock.sleep(1000); now--; } });
        flow('many', function* (c) { yield c.df.Task.all(Array.from({ length: 10 }, (_, i) => c.df.callActivity('work', i))); return 'done'; });
      },
    }, async (host, clock) => {
      const startMs = clock.now();
      host.client.startNew('many', { instanceId: 'm' });
      await host.waitFor('m');
      assert.deepEqual([most, clock.now() - startMs], [3, 4000]);
    });
  });

  for (const [name, words] of [['o_refused', /callHttp/], ['o_sigOnly', /signalEntity/]] as const) {
    it(`fails an instance with words that uses what is not supported: ${words.source}`, async () => {
      await withHost({ load: (clock) => registerRecordedApp(clock) }, async (host) => {
        host.client.startNew(name, { instanceId: 'x' });
        const status = await host.waitFor('x', { until: 'finished' });
        assert.equal(status.runtimeStatus, 'Failed');
        assert.match(String(status.output), words);
        assert.match(String(status.output), /does not support/);
      });
    });
  }

  it('fails an instance whose orchestrator calls another activity when it is replayed', async () => {
    await withHost({ load: (clock) => registerRecordedApp(clock) }, async (host) => {
      host.client.startNew('o_nondetName', { instanceId: 'x' });
      const status = await host.waitFor('x', { until: 'finished' });
      assert.match(String(status.output), /^Non-Deterministic workflow detected.*named 'hello'.*named 'echo'/);
    });
  });

  it('refuses entities and unknown triggers when the app is loaded', async () => {
    await assert.rejects(createHost({ stateFolder: ':memory:', load: () => df.app.entity('counter', () => undefined) }), (error: unknown) => isHoldfastError(error, 'HOST_APP_INVALID') && /counter.*entityTrigger/.test(error.message));
    await assert.rejects(createHost({ stateFolder: ':memory:', load: () => app.storageQueue('q', { queueName: 'q', connection: 'c', handler: () => undefined }) }), /queueTrigger/);
    await assert.rejects(createHost({ stateFolder: ':memory:', load: () => undefined }), /registered no function/);
  });

  it('warns loudly about what will never finish', async () => {
    const warnings: string[] = [];
    await withHost({ load: (clock) => registerRecordedApp(clock), log: (level, message) => { if (level === 'warning') warnings.push(message); } }, async (host) => {
      for (const name of ['o_actMissing', 'o_subMissing', 'o_throwString']) host.client.startNew(name, { instanceId: name });
      await host.runUntilIdle();
      assert.match(warnings.join('\n'), /o_actMissing.*activity "doesNotExist".*not registered/);
      assert.match(warnings.join('\n'), /o_subMissing.*sub-orchestration "doesNotExist"/);
      assert.match(warnings.join('\n'), /o_throwString.*not an Error/);
      assert.equal(host.client.getStatus('o_throwString').runtimeStatus, 'Running');
    });
  });

  it('schedules a task again that is handed to a second Task.any, as the genuine extension does', async () => {
    const ran: string[] = [];
    await withHost({
      load: (clock) => {
        df.app.activity('work', { handler: async (name: string) => { ran.push(name); await clock.sleep(name === 'slow' ? 5000 : 10); return name; } });
        flow('twice', function* (c) {
          const slow = c.df.callActivity('work', 'slow');
          yield c.df.Task.any([slow, c.df.callActivity('work', 'quick')]);
          yield c.df.Task.any([slow, c.df.callActivity('work', 'other')]);
          return 'done';
        });
      },
    }, async (host) => {
      host.client.startNew('twice', { instanceId: 't' });
      await host.runUntilIdle();
      assert.equal(ran.filter((name) => name === 'slow').length, 2);
    });
  });
});

describe('embedded host: time', () => {
  it('never forgets a timer that falls due between two looks at the clock', async () => {
    // A clock on which every look takes a millisecond, so that something falls due at any point of the code.
    let nowMs = Date.UTC(2026, 0, 1);
    const creeping: Clock = {
      now: () => nowMs++,
      setTimer: (atMs, fire) => {
        const handle = setImmediate(() => {
          nowMs = Math.max(nowMs, atMs);
          fire();
        });
        return () => clearImmediate(handle);
      },
    };
    const load = (): void => flow('ticking', function* (c) {
      for (let i = 0; i < 100; i++) yield c.df.createTimer(new Date(c.df.currentUtcDateTime.getTime() + (i % 25)));
      return 'done';
    });
    const host = await createHost({ stateFolder: ':memory:', clock: creeping, load });
    await host.start();
    host.client.startNew('ticking', { instanceId: 't' });
    assert.equal((await host.waitFor('t', { timeoutMs: 20_000 })).output, 'done');
    await host.stop();
  });

  it('hands every kind of input on to the next generation', async () => {
    for (const value of ['text', '{"looks":"like JSON"}', 7, true, [1], { a: 1 }]) {
      await withHost({
        load: () => flow('again', function* (c) {
          yield c.df.createTimer(c.df.currentUtcDateTime);
          const input = c.df.getInput<unknown>();
          if (input !== 'first') return input;
          c.df.continueAsNew(value);
          return undefined;
        }),
      }, async (host) => {
        host.client.startNew('again', { instanceId: 'g', input: 'first' });
        assert.deepEqual((await host.waitFor('g')).output, value);
      });
    }
  });

  it('lives through months of durable timers, and splits long ones as recorded', async () => {
    await withHost({
      load: () => flow('long', function* (c) {
        yield c.df.createTimer(new Date(c.df.currentUtcDateTime.getTime() + 100 * 86_400_000));
        return c.df.currentUtcDateTime.toISOString();
      }),
    }, async (host) => {
      host.client.startNew('long', { instanceId: 'l' });
      assert.equal((await host.waitFor('l')).output, '2026-04-11T00:00:00.000Z');
      // 32 steps of three days, then the last four days.
      assert.equal(host.client.history('l').filter(({ EventType: type }) => type === EventType.TimerCreated).length, 33);
    });
  });
});

describe('embedded host: measurements', () => {
  it('reports payloads above 45 KB and the longest history', async () => {
    const large: [string, string, number][] = [];
    await withHost({ load: (clock) => registerRecordedApp(clock), onLargePayload: (kind, name, bytes) => large.push([kind, name, bytes]) }, async (host) => {
      host.client.startNew('o_bigPayload', { instanceId: 'big' });
      host.client.startNew('o_single', { instanceId: 'small', input: 'x' });
      await host.runUntilIdle();
      assert.deepEqual(large.map(([kind, name]) => [kind, name]), [['activityInput', 'big'], ['activityResult', 'big']]);
      assert.ok(large.every(([, , bytes]) => bytes > 60_000));
      assert.equal(host.metrics().largePayloads, 2);
      assert.equal(host.metrics().longestHistory['o_single'], host.client.history('small').length);
    });
  });

  it('tells listeners about every change of a status', async () => {
    const seen: string[] = [];
    await withHost({ load: (clock) => registerRecordedApp(clock) }, async (host) => {
      host.onStatusChange(({ instanceId, runtimeStatus }) => seen.push(`${instanceId} ${runtimeStatus}`));
      host.client.startNew('o_single', { instanceId: 's', input: 'x' });
      await host.waitFor('s');
      assert.deepEqual(seen, ['s Pending', 's Running', 's Completed']);
    });
  });

  it('writes times as .NET does: no zeros at the end', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 4e12 }), (atMs) => {
      const text = timestamp(atMs);
      assert.equal(Date.parse(text), atMs);
      assert.doesNotMatch(text, /\.\d*0Z$|\.Z$/);
    }));
  });
});

describe('embedded host: several in one process', () => {
  it('keeps registrations, state and environment apart', async () => {
    const loadNamed = (name: string): (() => void) => () => void app.http(name, { methods: ['GET'], handler: () => ({ body: `${name} ${process.env['HOLDFAST_TEST_NAME'] ?? ''}` }) });
    for (const name of ['one', 'two']) {
      const host = await createHost({ stateFolder: ':memory:', load: loadNamed(name), env: { HOLDFAST_TEST_NAME: name } });
      await host.start();
      assert.equal(await (await host.fetch(`/api/${name}`)).text(), `${name} ${name}`);
      assert.equal((await host.fetch(`/api/${name === 'one' ? 'two' : 'one'}`)).status, 404);
      await host.stop();
      await assert.rejects(host.fetch(`/api/${name}`), (error: unknown) => isHoldfastError(error, 'HOST_STOPPED'));
    }
    assert.equal(process.env['HOLDFAST_TEST_NAME'], undefined);
  });

  it('loads an entry file anew for every host', async () => {
    for (let run = 1; run <= 2; run++) {
      const host = await createHost({ stateFolder: ':memory:', entry: require.resolve('./sample-entry') });
      await host.start();
      assert.equal(await (await host.fetch('/api/calls')).text(), '1', `in host ${String(run)}`);
      await host.stop();
    }
  });

  it('passes context.log on with the function and the invocation', async () => {
    const lines: { message: string; fields: Readonly<Record<string, unknown>> | undefined }[] = [];
    await withHost({
      load: () => app.http('talk', { methods: ['GET'], handler: (_request, context) => { context.warn('hello %s', 'log'); return {}; } }),
      log: (level, message, fields) => { if (level === 'warning') lines.push({ message, fields }); },
    }, async (host) => {
      await host.fetch('/api/talk');
      assert.equal(lines[0]?.message, 'hello log');
      assert.equal(lines[0]?.fields?.['function'], 'talk');
      assert.match(String(lines[0]?.fields?.['invocationId']), /^[0-9a-f-]{36}$/);
    });
  });
});
