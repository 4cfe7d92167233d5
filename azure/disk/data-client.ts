import http from 'node:http';
import https from 'node:https';
import { HoldfastError } from '../../errors/holdfast-error';

/**
 * One request to a disk's access URL, over node:http with kept-alive sockets. Not the SDK and not fetch, because the
 * bytes of whole disks pass here: node:http hands over the socket's chunks, which are copied once, into the caller's
 * buffer, while fetch adds a web stream and the SDK a pipeline whose retries resume without comparing ETags.
 * And nothing here logs, so no access URL can reach a log. Redirects are not followed.
 */
export interface DataClient {
  send(request: DataRequest): Promise<DataResponse>;
  /** Ends idle sockets. Requests on their way end in an error. */
  close(): void;
}

export interface DataRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What a PUT sends: its memory must stay as it is until the answer. */
  readonly payload?: Buffer;
  /**
   * Where a body of exactly this length is written when `accept` says so. When `accept` refuses a success, its body is
   * dropped unread: it may be a whole disk. Every other body is collected, up to `maxBodyBytes`.
   */
  readonly into?: Buffer;
  accept?(status: number, headers: http.IncomingHttpHeaders): boolean;
  readonly maxBodyBytes: number;
}

export interface DataResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** The collected body; empty when it went into `into`. */
  readonly body: Buffer;
  readonly filled: boolean;
}

/** The answer did not arrive whole: the connection failed, or the body was shorter or longer than it should be. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  constructor(readonly code: string, message: string) {
    super(message);
  }
}

export function createDataClient(options: { readonly maxSockets: number; readonly idleTimeoutMs: number }): DataClient {
  const agentOptions = { keepAlive: true, maxSockets: options.maxSockets, scheduling: 'lifo' } as const;
  const agents = { 'http:': new http.Agent(agentOptions), 'https:': new https.Agent(agentOptions) };
  return {
    send: (request) => sendOnce(request, agents, options.idleTimeoutMs),
    close: () => {
      agents['http:'].destroy();
      agents['https:'].destroy();
    },
  };
}

function sendOnce(request: DataRequest, agents: { 'http:': http.Agent; 'https:': https.Agent }, idleTimeoutMs: number): Promise<DataResponse> {
  const url = new URL(request.url);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new HoldfastError('CLOUD_FAILED', `An access URL with the scheme ${url.protocol} is not read`);
  const isTls = url.protocol === 'https:';
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      // The message of a socket error may hold the address but never the path; it is still built anew, to be sure.
      reject(error instanceof TransportError ? error : new TransportError(error.code ?? 'ECONNRESET', `${request.method} ${url.host}: ${error.code ?? 'connection failed'}`));
    };
    const lengthHeader = request.method === 'PUT' ? { 'content-length': String(request.payload?.length ?? 0) } : {};
    const requestOptions = { method: request.method, headers: { ...request.headers, ...lengthHeader }, agent: isTls ? agents['https:'] : agents['http:'] };
    const outgoing = isTls ? https.request(url, requestOptions) : http.request(url, requestOptions);
    outgoing.setTimeout(idleTimeoutMs, () => outgoing.destroy(new TransportError('ETIMEDOUT', `${request.method} ${url.host}: no byte for ${String(idleTimeoutMs)} ms`)));
    outgoing.on('error', fail);
    outgoing.on('response', (incoming) => receive(request, incoming, resolve, fail));
    outgoing.end(request.payload);
  });
}

function receive(request: DataRequest, incoming: http.IncomingMessage, resolve: (response: DataResponse) => void, fail: (error: Error) => void): void {
  const status = incoming.statusCode ?? 0;
  const into = request.into !== undefined && (request.accept?.(status, incoming.headers) ?? false) ? request.into : undefined;
  if (request.into !== undefined && into === undefined && status < 300) {
    incoming.destroy();
    resolve({ status, headers: incoming.headers, body: Buffer.alloc(0), filled: false });
    return;
  }
  const limitBytes = into?.length ?? request.maxBodyBytes;
  const parts: Buffer[] = [];
  let receivedBytes = 0;
  incoming.on('data', (part: Buffer) => {
    if (receivedBytes + part.length > limitBytes) {
      incoming.destroy(new TransportError('BODY_TOO_LONG', `the answer has more than ${String(limitBytes)} bytes`));
      return;
    }
    if (into === undefined) parts.push(part);
    else part.copy(into, receivedBytes);
    receivedBytes += part.length;
  });
  incoming.on('error', fail);
  incoming.on('aborted', () => fail(new TransportError('BODY_TORN', `the answer broke off after ${String(receivedBytes)} bytes`)));
  incoming.on('end', () => {
    if (!incoming.complete || (into !== undefined && receivedBytes !== into.length)) {
      fail(new TransportError('BODY_TORN', `the answer ended after ${String(receivedBytes)} of ${String(limitBytes)} bytes`));
      return;
    }
    resolve({ status, headers: incoming.headers, body: Buffer.concat(parts), filled: into !== undefined });
  });
}
