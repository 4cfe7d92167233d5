import { catalogue, type ErrorCode } from '../errors/catalogue';
import { HoldfastError, messageOf } from '../errors/holdfast-error';

const TIMEOUT_MS = 230_000;
/** The app answers with JSON of a few kilobytes; anything much larger is not the app. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** The HTTP API of a deployment, or of the app on this machine. */
export class AppClient {
  private readonly base: URL;

  /** Throws USAGE for what is no address of an app. `key` is a function key; it is sent over https, or to this machine. */
  constructor(address: string, private readonly key: string | undefined) {
    if (!URL.canParse(address)) throw new HoldfastError('USAGE', `${JSON.stringify(address)} is not the address of an app: it reads http://127.0.0.1:7071 or https://NAME.azurewebsites.net`);
    const base = new URL(address);
    const isHere = ['127.0.0.1', 'localhost', '[::1]'].includes(base.hostname);
    if (base.protocol !== 'https:' && !(base.protocol === 'http:' && isHere)) throw new HoldfastError('USAGE', `${base.origin} is neither https nor this machine: restores are not asked for in the clear`);
    this.base = base;
  }

  /** The answer's JSON. Throws the app's own error where it answers with one. */
  async send(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
    const url = new URL(path, this.base);
    let response: Response;
    let text: string;
    try {
      response = await fetch(url, {
        method, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: { accept: 'application/json', ...(body ? { 'content-type': 'application/json' } : {}), ...(this.key ? { 'x-functions-key': this.key } : {}) },
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
  const why = status === 401 || status === 403 ? 'asks for a key: set HOLDFAST_APP_KEY' : `answered ${status} to what it should know`;
  return new HoldfastError('APP_UNREACHABLE', `The app at ${origin} ${why}`, { data: { url: origin, status } });
}
