/** HTTP and timer functions against recordings 22 and 23. */
import assert from 'node:assert/strict';
import { app } from '@azure/functions';
import { HoldfastError } from '../../../errors/holdfast-error';
import { VirtualClock } from '../../../local/host/clock';
import { createHost } from '../../../local/host/host';
import { recordedHost, runStory } from './conformance-stories';
import { readRecording } from './recordings';

/** What another program between client and host adds, or a web server says about itself. */
const comparedHeaders = ['content-type', 'location', 'set-cookie', 'x-custom', 'x-w', 'www-authenticate'];
const kept = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => comparedHeaders.includes(name)));
const samePort = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null).replaceAll(/localhost:\d+/g, 'localhost'));

describe('embedded host: HTTP functions', () => {
  it('answers every recorded request alike (23)', async () => {
    // The landing page of the genuine host is not imitated.
    const chosen = (event: { note?: string }): boolean => event.note !== 'root';
    await runStory(readRecording('23-http-trigger'), ({ replies }) => {
      for (const { event, status, headers, body } of replies) {
        const label = `${String(event.n)} ${event.note ?? ''} ${event.request?.method ?? ''} ${event.request?.url ?? ''}`;
        assert.equal(status, event.response?.status, label);
        assert.deepEqual(kept(headers), kept(event.response?.headers ?? {}), label);
        if (/echoBody|ret\/buffer/.test(event.request?.url ?? '')) continue;
        assert.deepEqual(samePort(body), samePort(event.response?.body), label);
      }
      assert.equal(replies.length, 53);
    }, chosen);
  });

  it('passes bodies on byte by byte', async () => {
    const host = await recordedHost();
    try {
      const bytes = await (await host.fetch('/api/ret/buffer')).arrayBuffer();
      assert.deepEqual([...new Uint8Array(bytes)], [0, 1, 255]);
      const echoed = (await (await host.fetch('/api/echoBody?a=1&a=2', { method: 'PUT', body: 'ünï', headers: { 'x-two': '1' } })).json()) as { text: string; query: unknown; headers: Record<string, string> };
      assert.deepEqual([echoed.text, echoed.query, echoed.headers['x-two']], ['ünï', { a: '1,2' }, '1']);
    } finally {
      await host.stop();
    }
  });

  it('streams a reply as it is written', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => { release = resolve; });
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('first');
      await gate;
      yield Buffer.from('second');
    }
    const host = await createHost({ stateFolder: ':memory:', port: 0, load: () => app.http('stream', { methods: ['GET'], handler: () => ({ body: body() }) }) });
    await host.start();
    try {
      const reader = (await fetch(`${host.url}/api/stream`)).body?.getReader();
      const first = await reader?.read();
      assert.equal(Buffer.from(first?.value ?? []).toString(), 'first');
      release();
      assert.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), 'second');
      assert.equal((await reader?.read())?.done, true);
    } finally {
      await host.stop();
    }
  });

  it('refuses routes that the genuine host refuses, and those it cannot match', async () => {
    for (const route of ['/leading', 'a{b', 'x/{id:nosuch}']) {
      await assert.rejects(async () => createHost({ stateFolder: ':memory:', load: () => app.http('bad', { route, handler: () => ({}) }) }).then(() => undefined),
        (error: unknown) => error instanceof HoldfastError && error.code === 'HOST_APP_INVALID' && error.message.includes(route), route);
    }
  });
});

describe('embedded host: timer functions', () => {
  it('passes the recorded payload, and the admin endpoint answers as recorded (22)', async () => {
    const recording = readRecording('22-timer-trigger');
    const chosen = new Set(['fire a timer manually', 'with input', 'no key', 'no body, no content type', 'unknown function']);
    await runStory(recording, ({ replies, ticks }) => {
      for (const { event, status } of replies) assert.equal(status, event.response?.status, event.note);
      assert.equal(replies.length, chosen.size);
      const [first] = ticks.filter((tick) => (tick as { function: string }).function === 'tick');
      assert.deepEqual(first, {
        function: 'tick', retryContext: null,
        timer: {
          schedule: { adjustForDST: true }, isPastDue: false,
          scheduleStatus: { last: '0001-01-01T00:00:00+00:00', next: '2026-11-23T03:00:00+00:00', lastUpdated: '2026-11-22T22:46:00+00:00' },
        },
      });
      const recorded = recording.events.find((event) => event.kind === 'timer-in' && event.function === 'everyTwo') as { input?: unknown; retryContext?: unknown } | undefined;
      const [startup] = ticks.filter((tick) => (tick as { function: string }).function === 'everyTwo');
      assert.deepEqual(startup, { function: 'everyTwo', timer: recorded?.input, retryContext: { retryCount: 0, maxRetryCount: 2 } });
    }, (event) => chosen.has(event.note ?? ''));
  });

  it('lives through a month of daily runs', async () => {
    const clock = new VirtualClock(Date.UTC(2026, 0, 1));
    const runs: string[] = [];
    const host = await createHost({ stateFolder: ':memory:', clock, load: () => app.timer('daily', { schedule: '0 30 2 * * *', handler: () => void runs.push(new Date(clock.now()).toISOString()) }) });
    await host.start();
    try {
      await host.advanceTo(Date.UTC(2026, 0, 31, 12));
      assert.deepEqual(runs, Array.from({ length: 31 }, (_, day) => `2026-01-${String(day + 1).padStart(2, '0')}T02:30:00.000Z`));
    } finally {
      await host.stop();
    }
  });

  it('runs a timer again that fails, as its retry policy says, with one invocation id', async () => {
    const clock = new VirtualClock();
    const seen: { at: number; id: string; retry: unknown }[] = [];
    const host = await createHost({
      stateFolder: ':memory:', clock,
      load: () => app.timer('failing', {
        schedule: '0 0 3 * * *', retry: { strategy: 'fixedDelay', delayInterval: { seconds: 5 }, maxRetryCount: 2 },
        handler: (_timer, context) => {
          seen.push({ at: clock.now(), id: context.invocationId, retry: context.retryContext });
          throw new Error('no luck');
        },
      }),
    });
    await host.start();
    try {
      await host.advanceTo(clock.now() + 4 * 3_600_000);
      assert.deepEqual(seen.map(({ retry }) => (retry as { retryCount: number }).retryCount), [0, 1, 2]);
      assert.equal(new Set(seen.map(({ id }) => id)).size, 1);
      assert.deepEqual(seen.map(({ at }) => at - (seen[0]?.at ?? 0)), [0, 5000, 10000]);
      assert.match(JSON.stringify(seen[1]?.retry), /no luck/);
    } finally {
      await host.stop();
    }
  });

  it('takes a schedule from a setting, and refuses a wrong one by name', async () => {
    const load = (): void => app.timer('set', { schedule: '%HOLDFAST_TEST_SCHEDULE%', handler: () => undefined });
    const host = await createHost({ stateFolder: ':memory:', clock: new VirtualClock(), env: { HOLDFAST_TEST_SCHEDULE: '0 0 1 * * *' }, load });
    await host.stop();
    assert.equal(process.env['HOLDFAST_TEST_SCHEDULE'], undefined);
    await assert.rejects(async () => createHost({ stateFolder: ':memory:', load: () => app.timer('wrong', { schedule: '* * *', handler: () => undefined }) }).then(() => undefined), /"\* \* \*".*"wrong"/);
  });
});
