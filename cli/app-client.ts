import { catalogue, type ErrorCode } from '../errors/catalogue';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import { LOOPBACK_NAMES, type TokenSource, tokenSourceFor } from './sign-in';

const TIMEOUT_MS = 230_000;
/** The app answers with JSON of a few kilobytes; anything much larger is not the app. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

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

  /** The answer's JSON. Throws the app's own error where it answers with one. */
  async send(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
    const url = new URL(path, this.base);
    const authorization = `Bearer ${await this.token()}`;
    let response: Response;
    let text: string;
    try {
      response = await fetch(url, {
        method, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: { accept: 'application/json', authorization, ...(body ? { 'content-type': 'application/json' } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
      text = (await response.text()).slice(0, MAX_ANSWER_BYTES);
    } catch (cause) {
      throw new HoldfastError('APP_UNREACHABLE', `The app at ${this.base.origin} does not answer: ${messageOf(cause instanceof Error && cause.cause ? cause.cause : cause)}`, { cause, data: { url: this.base.origin } });
    }
    const answer = parse(text);
    if (response.ok && answer !== undefined) return answer;
    throw errorOf(answer, response.status, this.base.origin);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** The error that an app told as problem details; anything else came from something in between. */
function errorOf(answer: unknown, status: number, origin: string): HoldfastError {
  const problem = typeof answer === 'object' && answer !== null ? answer as { code?: unknown; detail?: unknown } : {};
  if (typeof problem.code === 'string' && Object.hasOwn(catalogue, problem.code)) return new HoldfastError(problem.code as ErrorCode, String(problem.detail ?? ''));
  // The platform in front of the app answers by itself, and not as the app does.
  if (status === 401 || status === 403) return new HoldfastError(status === 401 ? 'UNAUTHENTICATED' : 'FORBIDDEN', `What stands in front of the app at ${origin} refused the sign-in (${status})`, { data: { url: origin, status } });
  return new HoldfastError('APP_UNREACHABLE', `The app at ${origin} answered ${status} to what it should know`, { data: { url: origin, status } });
}
