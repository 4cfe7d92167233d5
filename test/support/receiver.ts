import { createServer as createHttp, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import tls from 'node:tls';

export interface Received { readonly method: string; readonly url: string; readonly headers: IncomingHttpHeaders; readonly body: string }
/** What the receiver answers: a status with headers, or nothing at all, as one that hangs. */
export type Reply = { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string } | 'silence';

const files = path.join(__dirname, '..', '..', '..', 'test', 'fixtures', 'tls');

/** A webhook's receiver over a socket: keeps what came, and answers as it is told. */
export class Receiver {
  readonly received: Received[] = [];
  /** Called for each request; by default everything is taken. */
  reply: (request: Received, index: number) => Reply = () => ({ status: 204 });
  private constructor(readonly url: string, private readonly stopServer: () => Promise<void>) {}

  static async start(scheme: 'http' | 'https' = 'http', port = 0): Promise<Receiver> {
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const one = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, body: Buffer.concat(parts).toString('utf8') };
        const reply = receiver.reply(one, receiver.received.push(one) - 1);
        if (reply !== 'silence') response.writeHead(reply.status, reply.headers).end(reply.body);
      });
    };
    const cert = readFileSync(path.join(files, 'localhost.crt'), 'utf8');
    if (scheme === 'https') tls.setDefaultCACertificates([...new Set([...tls.getCACertificates('default'), cert])]);
    const server = scheme === 'https' ? createHttps({ cert, key: readFileSync(path.join(files, 'localhost.key')) }, listener) : createHttp(listener);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const receiver: Receiver = new Receiver(`${scheme}://localhost:${(server.address() as AddressInfo).port}/hook`, () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    }));
    return receiver;
  }

  get events(): { id: string; type: string; source: string; data: Record<string, unknown> & { subject: string; text: string } }[] {
    return this.received.filter(({ method }) => method === 'POST').map(({ body }) => JSON.parse(body) as Receiver['events'][number]);
  }

  stop(): Promise<void> {
    return this.stopServer();
  }
}

export const SECRET = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
