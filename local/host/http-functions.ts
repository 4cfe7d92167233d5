/** HTTP-triggered functions: which one answers a request, whether its key fits, and how what it returned becomes a reply. */
import { HttpRequest, HttpResponse, type Cookie } from '@azure/functions';
import { messageOf } from '../../errors/holdfast-error';
import type { HostRequest } from './http-types';
import type { Invoker, LogSink } from './invoke';
import { isOneOf, presentedKey, type HostKeys } from './keys';
import type { FunctionRegistry, RegisteredFunction } from './registration';
import { type HostTraces, parseTraceparent } from './traces';
import { byPrecedence, matchRoute, parseRoute, type Route } from './routes';

interface Endpoint {
  readonly target: RegisteredFunction;
  readonly route: Route;
  readonly methods: ReadonlySet<string>;
}

export class HttpFunctions {
  readonly #endpoints: readonly Endpoint[];

  constructor(
    registry: FunctionRegistry,
    private readonly routePrefix: string,
    private readonly keys: HostKeys,
    private readonly invoker: Invoker,
    private readonly durableClient: (origin: string) => unknown,
    private readonly log: LogSink,
    private readonly traces: HostTraces,
  ) {
    this.#endpoints = registry.ofKind('httpTrigger').map((target) => ({
      target,
      route: parseRoute(target.trigger.route ?? target.name, target.name),
      methods: new Set((target.trigger.methods ?? ['GET', 'POST']).map((method) => method.toUpperCase())),
    })).sort((left, right) => byPrecedence(left.route, right.route));
  }

  /** Routes with their methods, for a list of addresses at start. */
  routes(): { readonly name: string; readonly path: string; readonly methods: readonly string[] }[] {
    return this.#endpoints.map(({ target, route, methods }) => ({ name: target.name, path: `/${[this.routePrefix, route.template].filter(Boolean).join('/')}`, methods: [...methods] }));
  }

  /** undefined when no function has the route and method; the caller then answers 404, as observed (not 405). */
  async handle(request: HostRequest): Promise<Response | undefined> {
    const path = this.#withoutPrefix(request.url.pathname);
    if (path === undefined) return undefined;
    for (const { target, route, methods } of this.#endpoints) {
      const params = methods.has(request.method) ? matchRoute(route, path) : undefined;
      if (params) return this.#mayCall(target, request) ? this.#call(target, request, params) : new Response(null, { status: 401 });
    }
    return undefined;
  }

  #withoutPrefix(pathname: string): string | undefined {
    if (this.routePrefix === '') return pathname.slice(1);
    const prefix = `/${this.routePrefix}/`.toLowerCase();
    return pathname.toLowerCase().startsWith(prefix) ? pathname.slice(prefix.length) : undefined;
  }

  #mayCall(target: RegisteredFunction, request: HostRequest): boolean {
    const level = target.trigger.authLevel?.toLowerCase() ?? 'anonymous';
    if (level === 'anonymous') return true;
    const accepted = level === 'admin' ? [this.keys.master] : [this.keys.function, this.keys.master];
    return isOneOf(presentedKey(request.url, request.headers), accepted);
  }

  async #call(target: RegisteredFunction, request: HostRequest, params: Record<string, string>): Promise<Response> {
    const argument = new HttpRequest({
      method: request.method,
      url: request.url.href,
      headers: Object.fromEntries(request.headers),
      query: joinedQuery(request.url.searchParams),
      params,
      ...(request.body.length === 0 ? {} : { body: { bytes: request.body } }),
    });
    try {
      const about = { 'faas.trigger': 'http', 'http.request.method': request.method, 'url.path': request.url.pathname };
      return await this.traces.run(target.name, parseTraceparent(request.headers.get('traceparent')), about, async (trace) =>
        toResponse((await this.invoker.invoke(target, { argument, durableClient: () => this.durableClient(request.url.origin), trace })).returned), ({ status }) => status >= 500);
    } catch (error) {
      this.log('error', `Function "${target.name}" failed: ${messageOf(error)}`, { function: target.name });
      return new Response(null, { status: 500 });
    }
  }
}

/** Repeated values arrive joined by commas, as without HTTP streaming in Azure. */
function joinedQuery(query: URLSearchParams): Record<string, string> {
  const joined: Record<string, string> = {};
  for (const name of new Set(query.keys())) joined[name] = query.getAll(name).join(',');
  return joined;
}

/** The body is passed on as a stream, so that a function can send more than fits in memory. */
function toResponse(returned: unknown): Response {
  if (returned === undefined || returned === null) return new Response(null, { status: 204 });
  if (typeof returned !== 'object') throw new TypeError(`An HTTP function must return an object, not ${typeof returned}.`);
  const response = returned instanceof HttpResponse ? returned : new HttpResponse(returned);
  const headers = new Headers(Array.from(response.headers));
  for (const cookie of response.cookies) headers.append('set-cookie', cookieHeader(cookie));
  return new Response(response.body as ReadableStream | null, { status: response.status, headers });
}

function cookieHeader(cookie: Cookie): string {
  const parts = [`${cookie.name}=${encodeURIComponent(cookie.value)}`];
  if (cookie.expires !== undefined) parts.push(`expires=${new Date(cookie.expires).toUTCString()}`);
  if (cookie.maxAge !== undefined) parts.push(`max-age=${String(cookie.maxAge)}`);
  if (cookie.domain !== undefined) parts.push(`domain=${cookie.domain}`);
  parts.push(`path=${cookie.path ?? '/'}`);
  if (cookie.secure) parts.push('secure');
  if (cookie.sameSite !== undefined) parts.push(`samesite=${cookie.sameSite.toLowerCase()}`);
  if (cookie.httpOnly) parts.push('httponly');
  return parts.join('; ');
}
