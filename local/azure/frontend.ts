import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { routeArm } from './arm-router';
import { trafficChannel, type Traffic } from './calls';
import { StorageAccount } from './storage-account';
import { localAccount } from './storage-access';
import type { ArmThrottle } from './arm-throttle';
import { header, sendBlobError } from './blob-http';
import type { DataPlane } from './data-plane';
import { faultSchema } from './faults';
import { ArmError, BlobError, isObject, maxBodyBytes, objectAt, parseJsonObject, readBody, sendJson, type ArmReply, type Json, type JsonObject } from './wire';
import type { World } from './world';

const anyAddress = ['0.0.0.0', '::'];

/** Takes every request apart, applies the faults that are planned for it, and hands it to who answers it. */
export class Frontend {
  private readonly account: StorageAccount;

  constructor(private readonly world: World, private readonly dataPlane: DataPlane, private readonly throttle: ArmThrottle, private readonly hostname: string) {
    this.account = new StorageAccount(world);
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://stand-in');
    if (!this.isFromHere(request)) {
      sendJson(response, errorReply(403, 'Forbidden', 'The stand-in answers programs on this machine, not pages of other sites.'));
      return;
    }
    if (url.pathname.startsWith('/_standin/')) return this.admin(request, response, url);
    if (await this.struck(request, response, url)) return;
    if (url.pathname.startsWith('/disk/')) await this.dataPlane.handle(request, response, url);
    else if (url.pathname.startsWith(`/${localAccount}/`)) await this.account.handle(request, response, url);
    else await this.arm(request, response, url);
  }

  /**
   * A web page of another site can make a browser send requests here, and with a name server of its own even
   * read the answers; neither may reach the images.
   */
  private isFromHere(request: IncomingMessage): boolean {
    const site = request.headers['sec-fetch-site'];
    if (site === 'cross-site' || site === 'same-site') return false;
    if (anyAddress.includes(this.hostname)) return true;
    const host = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
    return [this.hostname, 'localhost', '127.0.0.1', '::1'].includes(host);
  }

  /** Faults that come before the request is looked at. True when nothing more is to be done. */
  private async struck(request: IncomingMessage, response: ServerResponse, url: URL): Promise<boolean> {
    const { faults } = this.world;
    const method = request.method ?? 'GET';
    const subjects = this.subjects(url);
    const slow = faults.take('delay', method, subjects);
    if (slow !== undefined) await delay(slow.ms);
    if (faults.take('reset', method, subjects) !== undefined) {
      request.socket.destroy();
      return true;
    }
    const refusal = faults.take('respond', method, subjects);
    if (refusal !== undefined) {
      const headers: Record<string, string> = refusal.retryAfterSeconds === undefined ? {} : { 'retry-after': String(refusal.retryAfterSeconds) };
      const code = refusal.code ?? (refusal.status === 429 ? 'TooManyRequests' : 'ServerBusy');
      const message = refusal.message ?? 'The server is busy.';
      request.resume();
      if (/^\/disk\/|^\/localvhds\//.test(url.pathname)) sendBlobError(request, response, new BlobError(refusal.status, code, message, headers), randomUUID());
      else {
        sendJson(response, { ...errorReply(refusal.status, code, message), headers: { ...headers, 'x-ms-request-id': randomUUID() } });
        this.record(request, url, null, refusal.status);
      }
      return true;
    }
    if (faults.take('loseAnswer', method, subjects) !== undefined) loseAnswer(request, response);
    return false;
  }

  private async arm(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    let body: JsonObject | null = null;
    let reply: ArmReply;
    let limitHeaders: Record<string, string> = {};
    try {
      body = parseJsonObject(await readBody(request, maxBodyBytes));
      trafficChannel.publish({ method: request.method ?? 'GET', target: request.url ?? '/', userAgent: header(request, 'user-agent'), body } satisfies Traffic);
      limitHeaders = this.throttle.spend(request.method ?? 'GET');
      reply = await this.route(request, url, body);
    } catch (error) {
      if (!(error instanceof ArmError)) this.world.log(`${request.method ?? ''} ${url.pathname}: ${error instanceof Error ? error.message : String(error)}`);
      reply = error instanceof ArmError
        ? { ...errorReply(error.status, error.code, error.message), headers: error.headers }
        : errorReply(500, 'InternalServerError', error instanceof Error ? error.message : 'Unknown error');
    }
    const ids = { 'x-ms-request-id': randomUUID(), 'x-ms-correlation-request-id': randomUUID(), 'cache-control': 'no-cache' };
    sendJson(response, { ...reply, headers: { ...ids, ...limitHeaders, ...reply.headers } });
    this.record(request, url, body, request.socket.destroyed ? 0 : reply.status);
  }

  private async route(request: IncomingMessage, url: URL, body: JsonObject): Promise<ArmReply> {
    const path = decodedPath(url);
    if (!/^\/subscriptions(\/|$)/i.test(path)) throw new ArmError(404, 'NotFound', `There is nothing at ${path}.`);
    const apiVersion = url.searchParams.get('api-version') ?? '';
    if (!/^\d{4}-\d{2}-\d{2}(-preview)?$/.test(apiVersion)) {
      throw new ArmError(400, 'MissingApiVersionParameter', 'The api-version query parameter (?api-version=) is required for all requests.');
    }
    return routeArm(this.world, { method: request.method ?? 'GET', path, query: url.searchParams, apiVersion, ifMatch: header(request, 'if-match'), ifNoneMatch: header(request, 'if-none-match'), body });
  }

  /** /_standin/faults (GET, POST, DELETE) and /_standin/calls (GET, DELETE): for tests in other processes. */
  private async admin(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const what = `${request.method ?? 'GET'} ${url.pathname}`;
    const { faults, calls } = this.world;
    try {
      const body = await readBody(request, maxBodyBytes);
      if (what === 'POST /_standin/faults') {
        const planned = z.union([faultSchema, z.array(faultSchema)]).parse(JSON.parse(body.toString('utf8')));
        const ids = (Array.isArray(planned) ? planned : [planned]).map((fault) => faults.add(fault));
        sendJson(response, { status: 201, body: { ids } });
      } else if (what === 'GET /_standin/faults') sendJson(response, { status: 200, body: { faults: asJson(faults.list()) } });
      else if (what === 'DELETE /_standin/faults') {
        faults.clear();
        sendJson(response, { status: 204 });
      } else if (what === 'GET /_standin/calls') sendJson(response, { status: 200, body: { calls: asJson(calls.all()), data: asJson(calls.data) } });
      else if (what === 'DELETE /_standin/calls') {
        calls.clear();
        sendJson(response, { status: 204 });
      } else sendJson(response, errorReply(404, 'NotFound', `There is no ${what}.`));
    } catch (error) {
      sendJson(response, errorReply(400, 'InvalidRequestContent', error instanceof z.ZodError ? z.prettifyError(error) : String(error)));
    }
  }

  private subjects(url: URL): string[] {
    const comp = url.searchParams.get('comp');
    const access = this.world.state.accesses[url.pathname.split('/')[2] ?? ''];
    return [`${decodedPath(url)}${comp === null ? '' : `?comp=${comp}`}`, ...(access === undefined ? [] : [access.resourceId])];
  }

  private record(request: IncomingMessage, url: URL, body: JsonObject | null, status: number): void {
    this.world.calls.record({
      atMs: this.world.now(), method: request.method ?? 'GET', path: decodedPath(url), apiVersion: url.searchParams.get('api-version'),
      body: body !== null && Object.keys(body).length === 0 ? null : withoutProtected(body), status,
    });
  }
}

/** The request is carried out, but whatever is written as its answer goes nowhere and the connection breaks. */
function loseAnswer(request: IncomingMessage, response: ServerResponse): void {
  const drop = (): ServerResponse => {
    request.socket.destroy();
    return response;
  };
  response.writeHead = drop;
  response.write = () => true;
  response.end = drop;
}

/** What only the guest may see is not written down. */
function withoutProtected(body: JsonObject | null): JsonObject | null {
  const properties = body?.['properties'];
  if (body === null || !isObject(properties) || properties['protectedSettings'] === undefined) return body;
  return { ...body, properties: { ...properties, protectedSettings: { members: Object.keys(objectAt(properties, 'protectedSettings')).sort() } } };
}

function decodedPath(url: URL): string {
  try {
    return decodeURIComponent(url.pathname);
  } catch (error) {
    if (error instanceof URIError) return url.pathname;
    throw error;
  }
}

function errorReply(status: number, code: string, message: string): ArmReply {
  return { status, body: { error: { code, message } } };
}

function asJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}
