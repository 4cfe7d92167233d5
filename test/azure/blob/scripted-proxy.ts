import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request on its way, in the hands of the test's script. */
export interface Exchange {
  readonly method: string;
  readonly url: string;
  /** Sends the request on, with another body if one is given, and gives its answer without passing it back: the effect happens, the caller hears nothing yet. */
  forward(changedBody?: Buffer): Promise<Answer>;
  reply(answer: Answer): void;
  /** Passes back the headers and the first `bytes` of the body, then breaks the connection. */
  replyTorn(answer: Answer, bytes: number): void;
  /** Breaks the connection without an answer. */
  reset(): void;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Step {
  readonly method: string;
  readonly act: (exchange: Exchange) => void | Promise<void>;
}

/** An HTTP proxy in front of Azurite. Each planned step takes the next request of its method; without a step a request passes unharmed. */
export interface ScriptedProxy {
  /** The address of the container, through the proxy. */
  readonly containerUrl: string;
  /** The methods of all requests so far, in order. */
  readonly methods: readonly string[];
  plan(...steps: Step[]): void;
  /** Fails when a step was never reached or a script threw. */
  assertAllPlayed(): void;
  close(): Promise<void>;
}

export async function startScriptedProxy(containerUrl: string): Promise<ScriptedProxy> {
  const target = new URL(containerUrl);
  const steps: Step[] = [];
  const methods: string[] = [];
  const problems: unknown[] = [];
  const server = createServer((incoming, outgoing) => {
    const parts: Buffer[] = [];
    incoming.on('data', (part: Buffer) => parts.push(part));
    incoming.on('end', () => {
      const method = incoming.method ?? '';
      methods.push(method);
      const at = steps.findIndex((step) => step.method === method);
      const step = at < 0 ? undefined : steps.splice(at, 1)[0];
      const exchange = exchangeOf(target, { method, url: incoming.url ?? '', headers: incoming.headers, body: Buffer.concat(parts) }, outgoing);
      const act = step?.act ?? (async (each: Exchange) => each.reply(await each.forward()));
      Promise.resolve(act(exchange)).catch((error: unknown) => {
        problems.push(error);
        outgoing.destroy();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    containerUrl: `http://127.0.0.1:${port}${target.pathname}`,
    methods,
    plan: (...planned) => void steps.push(...planned),
    assertAllPlayed: () => {
      assert.deepEqual(problems, []);
      assert.deepEqual(steps.map((step) => step.method), [], 'planned steps that no request reached');
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

function exchangeOf(target: URL, received: Received, outgoing: ServerResponse): Exchange {
  return {
    method: received.method,
    url: received.url,
    forward: (changedBody) => forward(target, { ...received, body: changedBody ?? received.body }),
    reply: ({ status, headers, body }) => void outgoing.writeHead(status, definite(headers)).end(body),
    replyTorn: ({ status, headers, body }, bytes) => {
      outgoing.writeHead(status, definite(headers));
      outgoing.write(body.subarray(0, bytes), () => outgoing.destroy());
    },
    reset: () => void outgoing.destroy(),
  };
}

function forward(target: URL, { method, url, headers, body }: Received): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: target.hostname, port: target.port, method, path: url, headers: { ...headers, host: target.host, connection: 'close' } }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('error', reject);
      answer.on('end', () => {
        // The body is whole here, so its length is known and the encoding of the hop is not passed on.
        const whole = Buffer.concat(parts);
        const passed: IncomingHttpHeaders = { ...answer.headers, ...(method !== 'HEAD' && { 'content-length': String(whole.length) }) };
        delete passed['transfer-encoding'];
        delete passed['connection'];
        resolve({ status: answer.statusCode ?? 0, headers: passed, body: whole });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Without the headers that a script removed by setting them to undefined. */
function definite(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
}
