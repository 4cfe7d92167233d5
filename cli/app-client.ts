import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isErrorCode } from '../errors/catalogue';
import { type ErrorData, HoldfastError, messageOf } from '../errors/holdfast-error';
import type { CommonOptions } from './command-options';
import { LOOPBACK_NAMES, type TokenSource, tokenSourceFor } from './sign-in';

const TIMEOUT_MS = 230_000;
/** The app answers with JSON of a few kilobytes; anything much larger is not the app. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** Tries of a request that was refused because there were too many, or whose answer was lost, and the longest pause between them. */
const MAX_TRIES = 6;
/** Ways for an answer to be lost on its way. Where nobody listens there is none. */
const LOST = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'];
const MAX_PAUSE_MS = 60_000;

/**
 * The app that a command is for: the one of --url; or, where no vault is named, that of HOLDFAST_URL. null: the command is for a vault. Throws USAGE where both are named.
 */
export function appNamed(options: CommonOptions): AppClient | null {
  if (options.url !== undefined) {
    if (options.vault !== undefined) throw new HoldfastError('USAGE', 'Name an app with --url or a vault with --vault, not both');
    return new AppClient(options.url, options.state);
  }
  const address = process.env['HOLDFAST_URL'] ?? '';
  if (address === '' || options.vault !== undefined || (process.env['HOLDFAST_VAULT'] ?? '') !== '') return null;
  return new AppClient(address, options.state);
}

/** The same for a command that only an app has. */
export function appNeeded(options: CommonOptions, what: string): AppClient {
  const address = options.url ?? process.env['HOLDFAST_URL'] ?? '';
  if (address === '') throw new HoldfastError('USAGE', `${what} is done by the app: name it with --url or HOLDFAST_URL`);
  return new AppClient(address, options.state);
}

/** The HTTP API of a deployment, or of the app on this machine. */
export class AppClient {
  private readonly base: URL;
  private readonly token: TokenSource;

  /** Throws USAGE for what is no address of an app, and UNAUTHENTICATED where nothing says who is calling. Tokens are sent over https, or to this machine. */
  constructor(address: string, stateFolder: string | undefined) {
    if (!URL.canParse(address)) throw new HoldfastError('USAGE', `${JSON.stringify(address)} is not the address of an app: it reads http://127.0.0.1:7071 or https://NAME.azurewebsites.net`);
    const base = new URL(address);
    const isHere = LOOPBACK_NAMES.includes(base.hostname);
    if (base.protocol !== 'https:' && !(base.protocol === 'http:' && isHere)) throw new HoldfastError('USAGE', `${base.origin} is neither https nor this machine: nothing is asked for in the clear`);
    this.base = base;
    this.token = tokenSourceFor(base, process.env, stateFolder);
  }

  /**
   * The answer's JSON. Throws the app's own error where it answers with one. A POST has a key of its own, the same for all of its tries, so one whose answer was lost is
   * repeated and still done once.
   */
  async send(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object, more: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const headers = method === 'POST' ? { 'idempotency-key': randomUUID(), ...more } : more;
    for (let tries = 1; ; tries++) {
      const sent = await this.#once(method, path, body, headers).catch((error: unknown) => {
        if (method !== 'POST' || !wasLost(error) || tries === MAX_TRIES) throw error;
      });
      const isBusy = sent?.response.status === 409 && parse(sent.text)?.code === 'REQUEST_IN_PROGRESS';
      if (!sent || ((sent.response.status === 429 || isBusy) && tries < MAX_TRIES)) {
        await delay(Math.min(MAX_PAUSE_MS, 1000 * Math.max(1, Number(sent?.response.headers.get('retry-after') ?? 1))));
        continue;
      }
      const { response, text } = sent;
      if (response.status === 204) return undefined;
      const answer = parse(text);
      if (response.status === 202 && isWaiting(answer)) {
        throw new HoldfastError('APPROVAL_NEEDED', `Nothing was done yet: it waits for another Admin, as the approval ${answer.approval}, until ${answer.expiresAt}`, { data: { approval: answer.approval, expiresAt: answer.expiresAt } });
      }
      if (response.ok && answer !== undefined) return answer;
      throw errorOf(answer, response.status, this.base.origin);
    }
  }

  /** Every entry of a list, page by page. */
  async all<T>(path: string): Promise<T[]> {
    const entries: T[] = [];
    for (let next: string | null = path; next !== null;) {
      const page = await this.send('GET', next) as { value: T[]; nextLink: string | null };
      entries.push(...page.value);
      next = page.nextLink;
    }
    return entries;
  }

  get origin(): string {
    return this.base.origin;
  }

  async #once(method: string, path: string, body: object | undefined, more: Readonly<Record<string, string>>): Promise<{ response: Response; text: string }> {
    const url = new URL(path, this.base);
    // A next page is on the same app, or the token goes elsewhere.
    if (url.origin !== this.base.origin) throw new HoldfastError('APP_UNREACHABLE', `The app at ${this.base.origin} answered with an address of ${url.origin}`, { data: { url: this.base.origin } });
    const authorization = `Bearer ${await this.token()}`;
    let response: Response;
    let text: string;
    try {
      response = await fetch(url, {
        method, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: { accept: 'application/json', authorization, ...more, ...(body ? { 'content-type': 'application/json' } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
      text = (await response.text()).slice(0, MAX_ANSWER_BYTES);
    } catch (cause) {
      throw new HoldfastError('APP_UNREACHABLE', `The app at ${this.base.origin} does not answer: ${messageOf(cause instanceof Error && cause.cause ? cause.cause : cause)}`, { cause, data: { url: this.base.origin } });
    }
    return { response, text };
  }
}

/** What the app answers in place of doing what needs a second person. */
const isWaiting = (answer: unknown): answer is { readonly approval: string; readonly expiresAt: string } =>
  typeof answer === 'object' && answer !== null && 'approval' in answer && 'expiresAt' in answer && typeof answer.approval === 'string' && typeof answer.expiresAt === 'string';

/** True when the request may have arrived and its answer did not. */
const wasLost = (error: unknown): boolean => {
  const socket = error instanceof HoldfastError && error.cause instanceof Error ? error.cause.cause as { readonly code?: string } | undefined : undefined;
  return LOST.includes(socket?.code ?? '');
};

function parse(text: string): { readonly code?: unknown } | undefined {
  try {
    return JSON.parse(text) as { readonly code?: unknown };
  } catch {
    return undefined;
  }
}

/** The error that an app told as problem details; anything else came from something in between. */
function errorOf(answer: unknown, status: number, origin: string): HoldfastError {
  const problem = typeof answer === 'object' && answer !== null ? answer as { code?: unknown; detail?: unknown; data?: unknown } : {};
  if (typeof problem.code === 'string' && isErrorCode(problem.code)) return new HoldfastError(problem.code, String(problem.detail ?? ''), { data: (problem.data ?? {}) as ErrorData });
  // The platform in front of the app answers by itself, and not as the app does.
  if (status === 401 || status === 403) return new HoldfastError(status === 401 ? 'UNAUTHENTICATED' : 'FORBIDDEN', `What stands in front of the app at ${origin} refused the sign-in (${status})`, { data: { url: origin, status } });
  return new HoldfastError('APP_UNREACHABLE', `The app at ${origin} answered ${status} to what it should know`, { data: { url: origin, status } });
}
