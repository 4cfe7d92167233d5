/**
 * Requests to Azure, seen by Node's own diagnostics channels: whoever sends one over node:http, the SDK's clients, the reader of disks and the writer of
 * packs, is seen at one place and in every thread, without a patched library. Nothing here keeps a query, a header or a body.
 */
import diagnostics from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';

export type Service = 'arm' | 'disk' | 'blob' | 'keyvault' | 'identity' | 'other';

/** One request that ended. JSON-safe: threads send it to the main thread. */
export interface Call {
  readonly service: Service;
  readonly method: string;
  /** What it asks for: Azure's `comp` or `restype`, or the last part of the path of a request to Resource Manager that is an action. */
  readonly operation: string;
  readonly host: string;
  /** Address without query. */
  readonly url: string;
  readonly startMs: number;
  readonly endMs: number;
  /** 0 when no answer came. */
  readonly status: number;
  /** The code of a connection that failed. */
  readonly error: string | null;
  /** Of the answer, as it says; 0 when it does not. */
  readonly responseBytes: number;
}

/**
 * Tells of each request that ends. `begin` is called when one is made, in the context of whoever makes it, and may refuse it; its value comes back with the call.
 * Returns the function that stops it.
 */
export function observeCalls<T>(begin: () => T | undefined, ended: (call: Call, begun: T) => void): () => void {
  const open = new WeakMap<ClientRequest, { readonly begun: T; readonly startMs: number }>();
  const finish = (request: ClientRequest, status: number, error: string | null, responseBytes: number): void => {
    const one = open.get(request);
    if (!one) return;
    open.delete(request);
    const about = describe(request);
    if (about) ended({ ...about, startMs: one.startMs, endMs: nowMs(), status, error, responseBytes }, one.begun);
  };
  const subscriptions: readonly (readonly [string, (message: unknown) => void])[] = [
    ['http.client.request.created', (message) => {
      const { request } = message as { request: ClientRequest };
      const begun = begin();
      if (begun !== undefined) open.set(request, { begun, startMs: nowMs() });
    }],
    ['http.client.response.finish', (message) => {
      const { request, response } = message as { request: ClientRequest; response: IncomingMessage };
      if (!open.has(request)) return;
      const bytes = Number(response.headers['content-length'] ?? 0);
      response.once('close', () => finish(request, response.statusCode ?? 0, response.complete ? null : 'BODY_TORN', Number.isFinite(bytes) ? bytes : 0));
    }],
    ['http.client.request.error', (message) => {
      const { request, error } = message as { request: ClientRequest; error: NodeJS.ErrnoException };
      finish(request, 0, error.code ?? error.name, 0);
    }],
  ];
  for (const [name, listener] of subscriptions) diagnostics.subscribe(name, listener);
  return () => { for (const [name, listener] of subscriptions) diagnostics.unsubscribe(name, listener); };
}

/** Wall-clock milliseconds with a fraction: most calls take few. */
const nowMs = (): number => performance.timeOrigin + performance.now();

function describe(request: ClientRequest): Pick<Call, 'service' | 'method' | 'operation' | 'host' | 'url'> | undefined {
  const host = String(request.getHeader('host') ?? request.host);
  const [path = '/', query = ''] = request.path.split('?');
  // The durable client's calls to its own host are no dependency: the host's own spans tell of them.
  if (path.includes('/durabletask/')) return undefined;
  const service = serviceOf(host, path, request);
  return { service, method: request.method, operation: operationOf(service, path, query), host, url: `${request.protocol}//${host}${path}` };
}

const SECRET_HOSTS = /^(login\.|169\.254\.169\.254$)/;

function serviceOf(host: string, path: string, request: ClientRequest): Service {
  if (/^\/subscriptions(\/|$)/i.test(path)) return 'arm';
  if (/^\/keys\/[^/]+(\/[^/]*)?\/(un)?wrapkey$/i.test(path)) return 'keyvault';
  if (request.hasHeader('x-ms-version')) return /^md-|\.disk\.storage\./i.test(host) || DISK_PATH.test(path) ? 'disk' : 'blob';
  if (SECRET_HOSTS.test(host) || /^\/(msi|metadata\/identity)\//i.test(path)) return 'identity';
  return 'other';
}

/** Snapshots and disks of Azure lie in accounts named md-…; those of the stand-in on this machine under /disk/. */
const DISK_PATH = /^\/disk\//;

function operationOf(service: Service, path: string, query: string): string {
  if (service === 'arm') return /\/([A-Za-z]+)$/.exec(path)?.[1] ?? '';
  if (service === 'keyvault') return path.split('/').at(-1) ?? '';
  const asked = new URLSearchParams(query);
  return (asked.get('comp') ?? asked.get('restype') ?? '').slice(0, 20);
}
