/** The one place that talks to the HTTP API: the token, problem details, entity tags, pages. */

const TOKEN_KEY = 'holdfast.token';

/** What the API refused, or why it could not be reached, in words that a person can act on. */
export class Problem extends Error {
  override readonly name = 'Problem';
  constructor(readonly status: number, readonly code: string, readonly title: string, message: string, readonly remedy: string, readonly data: Readonly<Record<string, unknown>> = {}) {
    super(message);
  }
}

/** Anything that was thrown, as a problem that can be shown. */
export const toProblem = (error: unknown): Problem => (error instanceof Problem ? error
  : new Problem(0, 'PORTAL_ERROR', 'Something went wrong in the portal', error instanceof Error ? error.message : String(error), 'Load the page again; if it happens again, report it with what you did.'));

export interface Answer<T> {
  readonly status: number;
  /** undefined for 204 and for 304. */
  readonly body: T;
  readonly etag: string | null;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Takes the token out of the address (`#token=…`) and keeps it for this tab alone; the address then no longer shows it. */
export function takeToken(): void {
  const token = /^#token=([A-Za-z0-9._~+/=-]{1,4096})$/.exec(location.hash)?.[1];
  if (token === undefined) return;
  sessionStorage.setItem(TOKEN_KEY, token);
  history.replaceState(null, '', `${location.pathname}#/`);
}

export const hasToken = (): boolean => sessionStorage.getItem(TOKEN_KEY) !== null;
export const setToken = (token: string): void => sessionStorage.setItem(TOKEN_KEY, token);
export const dropToken = (): void => sessionStorage.removeItem(TOKEN_KEY);

/** A request to the API. Throws a Problem for everything but success and 304. */
export async function call<T>(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, { body, headers, signal }: CallOptions = {}): Promise<Answer<T>> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  let response: Response;
  try {
    response = await fetch(path, {
      method, signal: signal ?? null, redirect: 'error', cache: 'no-store', credentials: 'same-origin',
      headers: {
        accept: 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(method === 'POST' ? { 'idempotency-key': crypto.randomUUID() } : {}), ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (cause) {
    if (signal?.aborted === true) throw cause;
    throw new Problem(0, 'NOT_REACHED', 'The app cannot be reached', 'No answer came from the app', 'Look whether it runs and whether this browser still has a network; the portal tries again by itself.');
  }
  if (response.status === 304) return { status: 304, body: undefined as T, etag: response.headers.get('etag') };
  const text = await response.text();
  const json = parse(text);
  if (!response.ok) throw problemOf(response.status, json);
  return { status: response.status, body: json as T, etag: response.headers.get('etag') };
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function problemOf(status: number, json: unknown): Problem {
  const of = (typeof json === 'object' && json !== null ? json : {}) as Readonly<Record<string, unknown>>;
  const text = (name: string, fallback: string): string => (typeof of[name] === 'string' ? of[name] : fallback);
  return new Problem(status, text('code', status === 401 ? 'UNAUTHENTICATED' : `HTTP_${status}`), text('title', status === 401 ? 'You are not signed in' : `The app answered with status ${status}`),
    text('detail', ''), text('remedy', ''), (typeof of['data'] === 'object' && of['data'] !== null ? of['data'] : {}) as Readonly<Record<string, unknown>>);
}

/** Lets the browser keep what an address answers as a file. */
export async function download(path: string, fileName: string): Promise<void> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const response = await fetch(path, { redirect: 'error', cache: 'no-store', headers: token === null ? {} : { authorization: `Bearer ${token}` } });
  if (!response.ok) throw problemOf(response.status, parse(await response.text()));
  const address = URL.createObjectURL(await response.blob());
  const link = Object.assign(document.createElement('a'), { href: address, download: fileName });
  link.click();
  URL.revokeObjectURL(address);
}

/** An address below /api/ from its parts, each encoded. */
export const api = (...parts: readonly string[]): string => `/api/${parts.map(encodeURIComponent).join('/')}`;
