import type { ErrorCode } from '../../errors/catalogue';
import { HoldfastError, messageOf } from '../../errors/holdfast-error';
import { redact } from '../../errors/redact';

/** The body of every failure (Key Vault REST API, "Key Vault error"). */
interface ErrorBody { readonly error?: { readonly code?: unknown; readonly message?: unknown; readonly innererror?: { readonly code?: unknown }; readonly innerError?: { readonly code?: unknown } } }

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** What an answer that is no success means. `key` is the full id of the key; nothing secret is in the message. */
export function answerError(status: number, body: string, key: string, doing: string): HoldfastError {
  const { error } = parse(body);
  const inner = text(error?.innererror?.code ?? error?.innerError?.code);
  const serviceCode = inner === '' ? text(error?.code) : inner;
  const said = redact(text(error?.message)).split('\n', 1)[0]?.slice(0, 300) ?? '';
  return new HoldfastError(codeOf(status, serviceCode), `Could not ${doing} ${key}: ${String(status)} ${serviceCode}${said === '' ? '' : `: ${said}`}`, { data: { key, status, serviceCode } });
}

function codeOf(status: number, serviceCode: string): ErrorCode {
  if (status === 429) return 'KEY_VAULT_THROTTLED';
  if (status === 401) return 'KEY_VAULT_DENIED';
  // A disabled key, one that is not valid yet or no more, and one without the operation are all 403 (Authentication, requests and responses).
  if (status === 403) return /Disabled|Expired|NotYetValid/i.test(serviceCode) ? 'KEY_VAULT_KEY_UNUSABLE' : 'KEY_VAULT_DENIED';
  if (status === 404 || (status === 409 && /Deleted/i.test(serviceCode))) return 'KEY_VAULT_KEY_GONE';
  // BadParameter: this key did not wrap this text, or it is no RSA key.
  if (status === 400) return 'KEY_REFUSED';
  return 'KEY_VAULT_UNREACHABLE';
}

/** No answer came: the network, DNS, TLS, or the sign-in. */
export function transportError(error: unknown, key: string, doing: string): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const name = error instanceof Error ? error.name : '';
  const isSignIn = /Credential|Authentication/.test(name);
  return new HoldfastError(isSignIn ? 'KEY_VAULT_DENIED' : 'KEY_VAULT_UNREACHABLE', `Could not ${doing} ${key}: ${redact(messageOf(error)).split('\n', 1)[0]?.slice(0, 300) ?? ''}`, { data: { key, status: 0, serviceCode: name } });
}

function parse(body: string): ErrorBody {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    // An answer that is no JSON is a gateway's; its status says enough.
    return {};
  }
}
