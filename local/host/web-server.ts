/** A small HTTP server in front of a handler of whole requests and streamed replies. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HoldfastError, messageOf } from '../../errors/holdfast-error';
import type { HostRequest } from './http-types';

/** Larger bodies are refused; the genuine host has a limit of the same order. */
const maxBodyBytes = 200 * 1024 * 1024;

export interface WebServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Throws PORT_IN_USE when the port is taken. Port 0 takes any that is free. */
export async function listen(port: number, hostname: string, handle: (request: HostRequest) => Promise<Response>, log: (message: string) => void): Promise<WebServer> {
  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing, handle).catch((error: unknown) => {
      log(`${incoming.method ?? ''} failed: ${messageOf(error)}`);
      if (!outgoing.headersSent) outgoing.writeHead(500).end();
      else outgoing.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE'
        ? new HoldfastError('PORT_IN_USE', `Port ${String(port)} on ${hostname} is in use.`, { data: { port, hostname }, cause: error })
        : error);
    });
    server.listen(port, hostname, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => closed(server) };
}

/** How long a reply under way may still take once the server closes. */
const closingMs = 1000;

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), closingMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}

async function serve(incoming: IncomingMessage, outgoing: ServerResponse, handle: (request: HostRequest) => Promise<Response>): Promise<void> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) {
      outgoing.writeHead(413, { connection: 'close' }).end();
      return;
    }
    chunks.push(chunk);
  }
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  const url = requestUrl(incoming);
  if (!url) {
    outgoing.writeHead(400).end();
    return;
  }
  await send(await handle({ method: (incoming.method ?? 'GET').toUpperCase(), url, headers, body: Buffer.concat(chunks) }), outgoing);
}

function requestUrl(incoming: IncomingMessage): URL | undefined {
  const path = incoming.url ?? '/';
  const absolute = path.startsWith('/') ? `http://${incoming.headers.host ?? 'localhost'}${path}` : path;
  return URL.canParse(absolute) ? new URL(absolute) : undefined;
}

async function send(response: Response, outgoing: ServerResponse): Promise<void> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of response.headers) if (name !== 'set-cookie') headers[name] = value;
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) headers['set-cookie'] = cookies;
  if (!response.body && response.status !== 204) headers['content-length'] = '0';
  outgoing.writeHead(response.status, headers);
  if (!response.body) outgoing.end();
  else await pipeline(Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]), outgoing);
}

const loopbackNames = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * True for a request that a program on this machine makes for itself. A page in a browser sends an Origin header or a Host
 * that is not loopback (DNS rebinding), and must not get through.
 */
export function isLocalProgram(request: HostRequest): boolean {
  return !request.headers.has('origin') && loopbackNames.has(request.url.hostname);
}

/**
 * True for a request that a page of another site makes through somebody's browser: its Origin is not the address that it asks, or its Host is
 * not this machine (DNS rebinding). On a port that only this machine reaches and that asks for no key, such pages must not get through.
 */
export function isForeignPage(request: HostRequest): boolean {
  const origin = request.headers.get('origin');
  return !loopbackNames.has(request.url.hostname) || (origin !== null && origin !== request.url.origin);
}

export const isLoopback = (hostname: string): boolean => loopbackNames.has(hostname) || hostname === '::1';
