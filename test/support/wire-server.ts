import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Waiting } from '../../azure/disk/backoff';
import { trafficChannel, type Traffic } from '../../local/azure/calls';
import type { JsonObject } from '../../local/azure/wire';

export interface WireRequest {
  readonly method: string;
  /** Path with query, as it came over the wire. */
  readonly target: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  readonly raw: Buffer;
}

export interface WireReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object goes as JSON. */
  readonly body?: string | Buffer | object;
  /** Sends only so many bytes of the body, then breaks the connection. */
  readonly tornAfter?: number;
}

/** 'reset' breaks the connection without an answer, after the request was received whole. */
export type WireAnswer = WireReply | 'reset';
export type WireHandler = (request: WireRequest) => WireAnswer | Promise<WireAnswer>;

export interface WireServer {
  readonly url: string;
  readonly host: string;
  /** Every request so far, "METHOD path". */
  readonly log: string[];
  readonly requests: WireRequest[];
  close(): Promise<void>;
}

/** A real HTTP server on this machine whose answers a test scripts. Speaks plain HTTP over real sockets. */
export async function startWireServer(handler: WireHandler): Promise<WireServer> {
  const requests: WireRequest[] = [];
  const log: string[] = [];
  const server = http.createServer((incoming, outgoing) => {
    void readAll(incoming).then(async (raw) => {
      const target = incoming.url ?? '/';
      const url = new URL(target, 'http://wire');
      const request = { method: incoming.method ?? '', target, path: decodeURIComponent(url.pathname), query: url.searchParams, headers: incoming.headers, body: raw.toString('utf8'), raw };
      requests.push(request);
      tellTraffic(request);
      log.push(`${request.method} ${request.path}`);
      reply(outgoing, request.method, await answerOf(handler, request));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return {
    url: `http://${host}`,
    host,
    log,
    requests,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}

/** What a scripted Resource Manager is sent belongs to the recorded traffic like what the stand-in is sent. */
function tellTraffic({ method, target, headers, body }: WireRequest): void {
  if (/^\/subscriptions\//i.test(target)) trafficChannel.publish({ method, target, userAgent: headers['user-agent'], body: body === '' ? {} : JSON.parse(body) as JsonObject } satisfies Traffic);
}

/** A mistake in a test's script must show as what it is, not as a lost connection. */
async function answerOf(handler: WireHandler, request: WireRequest): Promise<WireAnswer> {
  try {
    return await handler(request);
  } catch (error) {
    return { status: 418, body: { error: { code: 'TestScriptFailed', message: String(error) } } };
  }
}

function reply(outgoing: http.ServerResponse, method: string, answer: WireAnswer): void {
  if (answer === 'reset') {
    outgoing.destroy();
    return;
  }
  const isJson = typeof answer.body === 'object' && !Buffer.isBuffer(answer.body);
  const body = Buffer.isBuffer(answer.body) ? answer.body : Buffer.from(isJson ? JSON.stringify(answer.body) : (answer.body as string | undefined) ?? '');
  outgoing.writeHead(answer.status, {
    ...(isJson ? { 'content-type': 'application/json; charset=utf-8' } : {}),
    ...(answer.status === 204 ? {} : { 'content-length': String(body.length) }),
    ...answer.headers,
  });
  if (method === 'HEAD') outgoing.end();
  else if (answer.tornAfter === undefined) outgoing.end(body);
  else outgoing.write(body.subarray(0, answer.tornAfter), () => outgoing.destroy());
}

async function readAll(incoming: http.IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** A clock that never waits and writes down how long it would have. */
export function recordedWaiting(nowMs = Date.UTC(2026, 0, 1)): Waiting & { readonly pausesMs: number[] } {
  const pausesMs: number[] = [];
  return {
    pausesMs,
    wait: (delayMs) => {
      pausesMs.push(delayMs);
      return Promise.resolve();
    },
    random: () => 0.5,
    now: () => nowMs,
  };
}
