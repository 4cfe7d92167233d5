/** What the host answers over HTTP: functions, the management API, a few admin endpoints, and the durable client's own port. */
import { randomBytes } from 'node:crypto';
import { messageOf } from '../../errors/holdfast-error';
import type { Clock } from './clock';
import type { DurableEngine } from './engine';
import type { HostRequest } from './http-types';
import type { LogSink } from './invoke';
import type { Journal } from './journal';
import { isOneOf, presentedKey, type HostKeys } from './keys';
import { durableClientBinding } from './links';
import { handleManagement, type ManagementDeps } from './management-api';
import type { FunctionRegistry } from './registration';
import { isForeignPage, isLocalProgram, isLoopback, listen, type WebServer } from './web-server';

export interface HostWebDeps {
  readonly journal: Journal;
  readonly engine: DurableEngine;
  readonly clock: Clock;
  readonly keys: HostKeys;
  readonly taskHubName: string;
  readonly registry: FunctionRegistry;
  readonly log: LogSink;
  readonly http: (request: HostRequest) => Promise<Response | undefined>;
  readonly metricsText?: (() => Promise<string>) | undefined;
  readonly fireTimer: (name: string) => Promise<boolean>;
  readonly waitUntilFinished: ManagementDeps['waitUntilFinished'];
  readonly onChange: () => void;
}

const webhookPrefix = '/runtime/webhooks/durabletask/';
const defaultOrigin = 'http://localhost:7071';

export class HostWeb {
  readonly #deps: HostWebDeps;
  /** Part of the loopback address, so that other users of this machine cannot guess it. */
  readonly #rpcToken = randomBytes(16).toString('hex');
  #inFlight = 0;
  #public: WebServer | undefined;
  #rpc: WebServer | undefined;
  #origin = defaultOrigin;
  #restoreHostname: () => void = () => undefined;

  constructor(deps: HostWebDeps) {
    this.#deps = deps;
  }

  get origin(): string {
    return this.#origin;
  }

  /** Requests under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  async open(port: number | undefined, hostname: string): Promise<void> {
    const log = (message: string): void => this.#deps.log('error', message);
    if (port !== undefined) {
      const guarded = isLoopback(hostname);
      this.#public = await listen(port, hostname, (request) => (guarded && isForeignPage(request) ? Promise.resolve(new Response(null, { status: 403 })) : this.handle(request)), log);
      this.#origin = `http://${hostname === '127.0.0.1' || hostname === '::1' || hostname === '0.0.0.0' ? 'localhost' : hostname}:${String(this.#public.port)}`;
    }
    try {
      this.#rpc = await listen(0, '127.0.0.1', (request) => this.#count(() => this.#handleRpc(request)), log);
    } catch (error) {
      await this.#public?.close();
      throw error;
    }
    const before = process.env['WEBSITE_HOSTNAME'];
    // Without it the durable client would replace the origin of every link by localhost:7071.
    process.env['WEBSITE_HOSTNAME'] = new URL(this.#origin).host;
    this.#restoreHostname = () => {
      if (before === undefined) Reflect.deleteProperty(process.env, 'WEBSITE_HOSTNAME');
      else process.env['WEBSITE_HOSTNAME'] = before;
    };
  }

  async close(): Promise<void> {
    this.#restoreHostname();
    await Promise.all([this.#public?.close(), this.#rpc?.close()]);
  }

  durableClient(origin: string = this.#origin): unknown {
    const rpcBaseUrl = `http://127.0.0.1:${String(this.#rpc?.port ?? 0)}/${this.#rpcToken}/durabletask/`;
    return durableClientBinding(origin, rpcBaseUrl, this.#deps.taskHubName, this.#deps.keys.system);
  }

  handle(request: HostRequest): Promise<Response> {
    return this.#count(() => this.#route(request));
  }

  async #count(work: () => Promise<Response>): Promise<Response> {
    this.#inFlight++;
    try {
      return await work();
    } catch (error) {
      this.#deps.log('error', `A request failed: ${messageOf(error)}`);
      return new Response(null, { status: 500 });
    } finally {
      this.#inFlight--;
      this.#deps.onChange();
    }
  }

  async #route(request: HostRequest): Promise<Response> {
    const path = request.url.pathname;
    if (path.toLowerCase().startsWith(webhookPrefix)) {
      const { system, master } = this.#deps.keys;
      if (!isOneOf(presentedKey(request.url, request.headers), [system, master])) return unauthorized();
      return handleManagement(this.#management(), request, path.slice(webhookPrefix.length), request.url.origin);
    }
    if (path.toLowerCase().startsWith('/admin/')) return this.#admin(request, path.slice('/admin/'.length).split('/'));
    const { metricsText } = this.#deps;
    if (path === '/metrics' && request.method === 'GET' && metricsText) return new Response(await metricsText(), { headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } });
    return (await this.#deps.http(request)) ?? new Response(null, { status: 404 });
  }

  async #handleRpc(request: HostRequest): Promise<Response> {
    const prefix = `/${this.#rpcToken}/durabletask/`;
    if (!isLocalProgram(request)) return new Response(null, { status: 403 });
    if (!request.url.pathname.startsWith(prefix)) return new Response(null, { status: 404 });
    return handleManagement(this.#management(), request, request.url.pathname.slice(prefix.length), this.#origin);
  }

  #management(): ManagementDeps {
    const { journal, engine, clock, taskHubName, keys } = this.#deps;
    return { journal, engine, clock, taskHubName, systemKey: keys.system, waitUntilFinished: (id, timeoutMs) => this.#wait(id, timeoutMs) };
  }

  /** A request that waits for an instance does not keep the host from being at rest. */
  async #wait(instanceId: string, timeoutMs: number): Promise<void> {
    this.#inFlight--;
    this.#deps.onChange();
    try {
      await this.#deps.waitUntilFinished(instanceId, timeoutMs);
    } finally {
      this.#inFlight++;
    }
  }

  /** `POST functions/<timer>` runs it now; `GET host/ping` and `host/status` tell that the host is up. */
  async #admin(request: HostRequest, [area, name, ...more]: string[]): Promise<Response> {
    if (area === 'host' && name === 'ping') return new Response(null, { status: 200 });
    if (!isOneOf(presentedKey(request.url, request.headers), [this.#deps.keys.master])) return unauthorized();
    if (area === 'host' && name === 'status') return Response.json({ state: 'Running', version: '4.1037.0.0' });
    if (area !== 'functions' || name === undefined || more.length > 0 || request.method !== 'POST') return new Response(null, { status: 404 });
    if (!this.#deps.registry.byName(name)) return new Response(null, { status: 404 });
    if (!/^application\/json\b/i.test(request.headers.get('content-type') ?? '')) return new Response(null, { status: 415 });
    if (!this.#deps.registry.find('timerTrigger', name)) return new Response('Only timer functions can be run through the admin endpoint of the embedded host.', { status: 501 });
    void this.#deps.fireTimer(name);
    return new Response(null, { status: 202 });
  }
}

const unauthorized = (): Response => new Response(null, { status: 401, headers: { 'www-authenticate': 'Bearer' } });
