/**
 * The functions that the recordings were made with, written anew: same names, same behaviour. Activities that take time
 * sleep on the clock that they are given.
 */
import { app, HttpResponse, type HttpResponseInit } from '@azure/functions';
import * as df from 'durable-functions';
import type { OrchestrationHandler } from 'durable-functions';
import { Readable } from 'node:stream';
import { CustomError, flows, kindOf, nonDeterministic, orUndefinedMark, raise } from './recorded-orchestrations';

/** A virtual clock, or true time. */
export interface Sleeper {
  sleep(ms: number): Promise<unknown>;
}

const failures: Readonly<Record<string, () => unknown>> = {
  Error: () => new Error('plain failure'),
  TypeError: () => new TypeError('type failure'),
  custom: () => new CustomError('custom failure'),
  cause: () => new Error('outer failure', { cause: new RangeError('inner cause') }),
  string: () => 'a thrown string',
  object: () => ({ some: 'object', n: 1 }),
  undefined: () => undefined,
  null: () => null,
  number: () => 42,
  empty: () => new Error(''),
  multiline: () => new Error('line one\nline two: "quoted" ünï'),
  aggregate: () => new AggregateError([new Error('a'), new Error('b')], 'many'),
};

const gifts: Readonly<Record<string, unknown>> = {
  numStr: '12', quoted: '"q"', jsonStr: '{"a":1}', arrStr: '[1]', trueStr: 'true', nullStr: 'null', empty: '', nul: null, yes: true, no: false, zero: 0, float: 1.5,
  big: Number('12345678901234567890'), date: new Date(0), dateStr: '2020-01-01T00:00:00Z', arr: [1, 'x', null], obj: { a: undefined, b: null, C: 1 }, buf: Buffer.from([1, 2]),
  nan: NaN, spaces: '  12 ',
};

function registerActivities(clock: Sleeper): void {
  const attempts = new Map<string, number>();
  const next = (key: string): number => {
    const attempt = (attempts.get(key) ?? 0) + 1;
    attempts.set(key, attempt);
    return attempt;
  };
  df.app.activity('echo', { handler: (value: unknown) => value });
  df.app.activity('hello', { handler: (value: unknown) => `Hello ${String(value)}` });
  df.app.activity('noReturn', { handler: () => undefined });
  df.app.activity('argInfo', { handler: (value: unknown) => ({ type: kindOf(value), isArray: Array.isArray(value), value }) });
  df.app.activity('slow', {
    handler: async (ms: number) => {
      await clock.sleep(ms);
      return `slow ${String(ms)}`;
    },
  });
  df.app.activity('flaky', {
    handler: ({ key, failTimes }: { key: string; failTimes: number }) => {
      const attempt = next(key);
      if (attempt <= failTimes) throw new Error(`flaky failure ${String(attempt)}`);
      return { attempt };
    },
  });
  df.app.activity('fail', { handler: (kind: string) => raise(failures[kind]?.()) });
  df.app.activity('failOnce', {
    handler: (key: string) => {
      if (next(`once:${key}`) === 1) throw new Error('first run fails');
      return 'second run ok';
    },
  });
  df.app.activity('big', { handler: (text: string) => 'y'.repeat(61440 - 1) + String(text.length % 10) });
  df.app.activity('give', { handler: (kind: string) => gifts[kind] });
}

/** Calls a client method by name, as the recordings' driver did. */
function registerClient(): void {
  app.http('client', {
    route: 'client', methods: ['POST'], authLevel: 'anonymous', extraInputs: [df.input.durableClient()],
    handler: async (request, context) => {
      const { op, args } = (await request.json()) as { op: string; args: unknown[] };
      const client = df.getClient(context) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
      const prepared = args.map((arg) => revive(arg, request));
      try {
        const result = await client[op]?.(...prepared);
        if (result instanceof HttpResponse) return { jsonBody: { httpResponse: { status: result.status, headers: Object.fromEntries(result.headers), body: await result.text() } } };
        return { jsonBody: { ok: true, result: orUndefinedMark(result) } };
      } catch (error) {
        return { jsonBody: { ok: false, name: (error as Error).name, message: (error as Error).message } };
      }
    },
  });
  app.http('clientRaw', {
    methods: ['GET'], authLevel: 'anonymous', extraInputs: [df.input.durableClient()],
    handler: (_request, context) => ({ jsonBody: context.extraInputs.get(context.options.extraInputs[0]?.name ?? '') as unknown }),
  });
  app.http('checkStatus', {
    route: 'check/{id}', methods: ['GET', 'POST'], authLevel: 'anonymous', extraInputs: [df.input.durableClient()],
    handler: (request, context) => df.getClient(context).createCheckStatusResponse(request, request.params['id'] ?? ''),
  });
  df.app.client.http('dfClientHttp', {
    methods: ['POST'], route: 'dfclient/{name}', authLevel: 'anonymous',
    handler: async (request, client) => client.createCheckStatusResponse(request, await client.startNew(request.params['name'] ?? '', {})),
  });
}

function revive(arg: unknown, request: unknown): unknown {
  if (typeof arg !== 'object' || arg === null) return arg;
  if ('$req' in arg) return request;
  return Object.fromEntries(Object.entries(arg).map(([key, value]) => [key, typeof value === 'object' && value !== null && '$date' in value ? new Date(String(value.$date)) : (value as unknown)]));
}

const replies: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  empty: () => ({}),
  string: () => 'just a string',
  null: () => null,
  json: () => ({ jsonBody: { a: 1 } }),
  jsonundef: () => ({ jsonBody: undefined }),
  buffer: () => ({ body: Buffer.from([0, 1, 255]) }),
  HttpResponse: () => new HttpResponse({ status: 202, body: 'r' }),
  Response: () => new Response('web response', { status: 203, headers: { 'x-w': '1' } }),
  throw: () => raise(new Error('handler threw')),
  204: () => ({ status: 204 }),
  500: () => ({ status: 500, body: 'mine' }),
  stream: () => ({ headers: { 'content-type': 'text/plain' }, body: Readable.from(['chunk0\n', 'chunk1\n', 'chunk2\n']) }),
  redirect: () => ({ status: 302, headers: { location: '/api/ping' } }),
};

function registerHttp(): void {
  const anonymous = 'anonymous' as const;
  app.http('ping', { methods: ['GET'], authLevel: anonymous, handler: () => ({ body: 'pong' }) });
  app.http('defaults', { handler: (request) => ({ jsonBody: { method: request.method, url: request.url.replace(/code=[^&]+/, 'code=<key>') } }) });
  app.http('plain', { authLevel: anonymous, handler: (request) => ({ jsonBody: { method: request.method } }) });
  app.http('params', {
    route: 'items/{category:alpha}/{id:int?}', methods: ['GET'], authLevel: anonymous,
    handler: (request, context) => ({ jsonBody: { params: request.params, query: Object.fromEntries(request.query), url: request.url, trig: context.triggerMetadata } }),
  });
  app.http('catchall', { route: 'files/{*path}', methods: ['GET'], authLevel: anonymous, handler: (request) => ({ jsonBody: { params: request.params, url: request.url } }) });
  app.http('level_function', { methods: ['GET'], authLevel: 'function', handler: () => ({ body: 'ok' }) });
  app.http('level_admin', { methods: ['GET'], authLevel: 'admin', handler: () => ({ body: 'ok' }) });
  app.http('echoBody', {
    methods: ['POST', 'PUT', 'PATCH', 'DELETE'], authLevel: anonymous,
    handler: async (request) => ({ jsonBody: { method: request.method, text: await request.text(), headers: Object.fromEntries(request.headers), query: Object.fromEntries(request.query), bodyUsed: request.bodyUsed, user: request.user } }),
  });
  app.http('headersOut', {
    methods: ['GET'], authLevel: anonymous,
    handler: () => ({
      status: 201, headers: { 'X-Custom': 'a', 'Content-Type': 'text/csv' }, body: 'a,b',
      cookies: [{ name: 'c1', value: 'v1', httpOnly: true, path: '/', sameSite: 'Lax', maxAge: 60 }, { name: 'c2', value: 'v 2' }],
    }),
  });
  app.http('ret', { route: 'ret/{kind}', methods: ['GET'], authLevel: anonymous, handler: (request) => replies[request.params['kind'] ?? '']?.() as HttpResponseInit });
  app.http('multi', { route: 'multi', methods: ['GET'], authLevel: anonymous, handler: () => ({ body: 'get' }) });
  app.http('multiPost', { route: 'multi', methods: ['POST'], authLevel: anonymous, handler: () => ({ body: 'post' }) });
}

/** Registers all of it with the host that is loading. `ticks` receives what the timer functions got. */
export function registerRecordedApp(clock: Sleeper, ticks: unknown[] = []): void {
  registerActivities(clock);
  for (const [name, flow] of Object.entries({ ...flows, ...nonDeterministic() })) df.app.orchestration(name, flow as unknown as OrchestrationHandler);
  registerClient();
  registerHttp();
  app.timer('tick', { schedule: '0 0 3 * * *', handler: (timer, context) => void ticks.push({ function: context.functionName, timer, retryContext: context.retryContext ?? null }) });
  app.timer('everyTwo', {
    schedule: '*/30 * * * * *', runOnStartup: true, useMonitor: false, retry: { strategy: 'fixedDelay', delayInterval: { seconds: 1 }, maxRetryCount: 2 },
    handler: (timer, context) => void ticks.push({ function: context.functionName, timer, retryContext: context.retryContext ?? null }),
  });
}
