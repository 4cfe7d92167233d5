import type { HttpHandler, HttpRequest, HttpResponseInit } from '@azure/functions';
import { catalogue, helpPage } from '../errors/catalogue';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import { redact } from '../errors/redact';

const MAX_BODY_BYTES = 64 * 1024;

/** Problem details (RFC 9457) of an error of the catalogue; `code`, `remedy` and `help` (where the documentation explains it) are extensions. `signIn` says how callers prove who they are (WWW-Authenticate). */
export function problem(error: HoldfastError, signIn?: string): HttpResponseInit {
  const { title, status } = catalogue[error.code];
  return {
    status,
    headers: {
      'content-type': 'application/problem+json',
      ...(error.code === 'UNAUTHENTICATED' && signIn !== undefined ? { 'www-authenticate': signIn } : {}),
      ...(error.code === 'REQUEST_LIMIT' ? { 'retry-after': String(error.data.retryAfterSeconds) } : {}),
    },
    body: JSON.stringify({ type: `/api/errors/${error.code}`, title, status, detail: error.message, code: error.code, remedy: error.remedy, help: helpPage(error.code), data: error.data }),
  };
}

/** Turns whatever a handler throws into problem details. What nobody foresaw is logged and says no more than that it happened. */
export const guarded = (handler: HttpHandler, signIn?: string): HttpHandler => async (request, context) => {
  try {
    return await handler(request, context);
  } catch (error) {
    if (error instanceof HoldfastError) return problem(error, signIn);
    context.error(`${request.method} ${new URL(request.url).pathname} failed: ${redact(messageOf(error))}`);
    return problem(new HoldfastError('INTERNAL', `The request failed; the log has it under ${context.invocationId}`));
  }
};

export const json = (value: unknown, { headers, ...init }: { status?: number; headers?: Readonly<Record<string, string>> } = {}): HttpResponseInit => ({ ...init, headers: { ...headers }, jsonBody: value });

/** Of what was begun or made: its address is in the body and in the header Location. */
export const located = <T extends { readonly location: string }>(value: T, status = 202): HttpResponseInit => json(value, { status, headers: { location: value.location } });

/** The body as text, at most 64 KiB of it. Throws REQUEST_TOO_LARGE. */
export async function readBody(request: HttpRequest): Promise<string> {
  const declared = Number(request.headers.get('content-length') ?? 0);
  const tooLarge = (bytes: string): HoldfastError => new HoldfastError('REQUEST_TOO_LARGE', `The body has ${bytes} bytes`, { data: { limitBytes: MAX_BODY_BYTES } });
  if (declared > MAX_BODY_BYTES) throw tooLarge(String(declared));
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) throw tooLarge(`more than ${MAX_BODY_BYTES}`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** The body as JSON; an empty one is undefined. Throws REQUEST_INVALID. */
export async function readJson(request: HttpRequest): Promise<unknown> {
  const text = await readBody(request);
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HoldfastError('REQUEST_INVALID', `The body is not JSON: ${messageOf(cause)}`, { cause });
  }
}
