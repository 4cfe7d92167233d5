/** Brings notifications to webhooks: CloudEvents over HTTP, signed by Standard Webhooks, to addresses of the internet alone. */
import { request as requestHttp, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { Courier, Delivery, Parcel } from '../activities/courier';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import { redact } from '../errors/redact';
import { hostOf, isLoopback, isPublic, namesLoopback, type Resolve, type Resolved, resolveBySystem } from './addresses';
import { signatureHeaders } from './signature';
import type { TargetSecrets } from './secrets';

export interface CourierOptions {
  readonly secrets: ReadonlyMap<string, TargetSecrets>;
  /** Whether this machine may be a target, without TLS as well: the local home, never in Azure. */
  readonly allowLoopback: boolean;
  /** Who asks, in the handshake: the app's host name. */
  readonly origin: string;
  readonly resolve?: Resolve;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 15_000;
const MOST_ANSWER_BYTES = 64 * 1024;
const MOST_RETRY_AFTER_MS = 6 * 3_600_000;
/** So long a receiver's consent counts. */
const CONSENT_MS = 24 * 3_600_000;

/** An address that nothing is sent to. */
class Refused extends Error {}

interface Answer { readonly status: number; readonly headers: Readonly<Record<string, string | string[] | undefined>> }

export function createCourier(options: CourierOptions): Courier {
  const { secrets, allowLoopback, origin, resolve = resolveBySystem, timeoutMs = TIMEOUT_MS } = options;
  const consents = new Map<string, number>();

  /** Throws Refused. */
  function checked(text: string): URL {
    if (!URL.canParse(text)) throw new Refused('it is no address');
    const url = new URL(text);
    const here = allowLoopback && namesLoopback(url);
    if (url.protocol !== 'https:' && !(here && url.protocol === 'http:')) throw new Refused('expects an https address');
    if (url.username !== '' || url.password !== '') throw new Refused('it holds a name or a password');
    if (url.hash !== '') throw new Refused('it has a fragment');
    if (url.search !== '') throw new Refused('its query may be a secret: put it into HOLDFAST_WEBHOOK_SECRETS');
    if (!here && (namesLoopback(url) || (isIP(hostOf(url)) !== 0 && !isPublic(hostOf(url))))) throw new Refused(`${hostOf(url)} is no address of the internet`);
    return url;
  }

  /** Looked up once: what was looked at is what is connected to. Throws Refused where any of them is not of the internet. */
  async function addressesOf(url: URL): Promise<readonly Resolved[]> {
    const host = hostOf(url);
    const family = isIP(host);
    const found = family === 0 ? await resolve(host) : [{ address: host, family: family as 4 | 6 }];
    const wrong = found.find(({ address }) => !isPublic(address) && !(allowLoopback && namesLoopback(url) && isLoopback(address)));
    if (wrong) throw new Refused(`${host} stands for ${wrong.address}, which is no address of the internet`);
    if (found.length === 0) throw new Error(`${host} stands for no address`);
    return found;
  }

  async function consented(key: string, ask: () => Promise<Answer>, nowMs: number): Promise<boolean> {
    if (nowMs - (consents.get(key) ?? -Infinity) < CONSENT_MS) return true;
    const { status, headers } = await ask();
    const allowed = String(headers['webhook-allowed-origin'] ?? '').trim().toLowerCase();
    if (status < 200 || status > 299 || (allowed !== '*' && allowed !== origin.toLowerCase())) return false;
    consents.set(key, nowMs);
    return true;
  }

  async function attempt({ target, url: text, id, body, handshake, nowMs }: Parcel, signal: AbortSignal): Promise<Delivery> {
    const own = secrets.get(target);
    if (!own) return retry(null, 'HOLDFAST_WEBHOOK_SECRETS has no secret for this target');
    const url = checked(text);
    const addresses = await within(addressesOf(url), signal);
    if (own.query !== '') url.search = own.query;
    const send = (method: string, headers: Readonly<Record<string, string>>, content: string | null): Promise<Answer> => exchange(url, addresses, method, headers, content, signal);
    if (handshake && !await consented(`${target} ${text}`, () => send('OPTIONS', { 'webhook-request-origin': origin }, null), nowMs)) return retry(null, `the receiver did not consent to ${origin} in the handshake`);
    const answer = await send('POST', { 'content-type': 'application/cloudevents+json; charset=utf-8', ...signatureHeaders(own.keys, id, body, nowMs) }, body);
    return deliveryOf(answer, nowMs);
  }

  return {
    hasSecret: (target) => secrets.has(target),
    requireAddress(url) {
      try {
        checked(url);
      } catch (error) {
        throw new HoldfastError('NOTIFICATIONS_INVALID', `The address ${shown(url)} is refused: ${messageOf(error)}`);
      }
    },
    async send(parcel) {
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        return await attempt(parcel, signal);
      } catch (error) {
        if (error instanceof Refused) return { outcome: 'dead', status: null, reason: `the address is refused: ${messageOf(error)}`, retryAfterMs: null };
        if (signal.aborted) return retry(null, `no answer within ${timeoutMs / 1000} s`);
        return retry(null, redact(messageOf(error)).slice(0, 200));
      }
    },
  };
}

const shown = (text: string): string => JSON.stringify(text.replace(/\?.*$/s, '?…').replace(/\/\/[^/@]*@/, '//…@').slice(0, 120));

const retry = (status: number | null, reason: string, retryAfterMs: number | null = null): Delivery => ({ outcome: 'retry', status, reason, retryAfterMs });

function deliveryOf({ status, headers }: Answer, nowMs: number): Delivery {
  if (status >= 200 && status <= 299) return { outcome: 'delivered', status, reason: 'delivered', retryAfterMs: null };
  if (status === 410) return { outcome: 'dead', status, reason: 'the receiver says that it is gone', retryAfterMs: null };
  if (status >= 300 && status <= 399) return retry(status, 'the receiver points elsewhere, which is not followed');
  return retry(status, `the receiver answered ${status}`, retryAfter(headers['retry-after'], nowMs));
}

function retryAfter(value: string | string[] | undefined, nowMs: number): number | null {
  const text = Array.isArray(value) ? value[0] ?? '' : value ?? '';
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, MOST_RETRY_AFTER_MS) : null;
}

/** One request over a connection of its own to one of the addresses; what the answer holds beyond its headers is of no interest. */
function exchange(url: URL, addresses: readonly Resolved[], method: string, headers: Readonly<Record<string, string>>, content: string | null, signal: AbortSignal): Promise<Answer> {
  const pinned: LookupFunction = (_hostname, { all }, answer) => {
    if (all) answer(null, [...addresses]);
    else answer(null, addresses[0]?.address ?? '', addresses[0]?.family);
  };
  const bytes = content === null ? null : Buffer.from(content, 'utf8');
  const options: RequestOptions = {
    method, agent: false, lookup: pinned, signal, headers: { 'user-agent': 'holdfast-webhook', accept: '*/*', ...(bytes ? { 'content-length': String(bytes.length) } : {}), ...headers },
  };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, options, (response) => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers });
      // What more it says is let through, up to a limit; that it breaks off changes nothing.
      let bytes = 0;
      response.on('data', (part: Buffer) => { if ((bytes += part.length) > MOST_ANSWER_BYTES) response.destroy(); });
      response.on('error', () => undefined);
    });
    request.on('error', reject);
    request.end(bytes ?? undefined);
  });
}

/** A promise that is given up when the signal says so. */
function within<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('timed out')), { once: true });
    work.then(resolve, reject);
  });
}
