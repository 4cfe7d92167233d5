import { type ErrorReport, HoldfastError, isHoldfastError, messageOf } from '../errors/holdfast-error';
import { redact } from '../errors/redact';
import type { ErrorCode } from '../errors/catalogue';

/** What an activity returns: expected failures are values, so that no retry repeats them and none of their fields is lost. */
export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: ErrorReport };

/** Failures that may be gone in a minute: these are thrown, so that the orchestration's retry policy repeats the step. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set([
  'STORE_UNREACHABLE', 'STORE_THROTTLED', 'STORE_FAILED', 'CLOUD_UNREACHABLE', 'CLOUD_THROTTLED', 'CLOUD_CONFLICT', 'CLOUD_ACCESS_EXPIRED', 'STEP_TIMEOUT',
  'KEY_VAULT_UNREACHABLE', 'KEY_VAULT_THROTTLED', 'AUDIT_NOT_WRITTEN',
] satisfies ErrorCode[]);

/** What is no HoldfastError is a bug or a crash of the worker: which of them cannot be told, so it counts as gone in a minute as well, but not as gone tomorrow. */
export const isBug = (error: ErrorReport): boolean => error.code === 'INTERNAL';
export const isTransient = (error: ErrorReport): boolean => isBug(error) || TRANSIENT.has(error.code);

const MARK = 'HOLDFAST_ERROR:';
const END = ':END';
/** The same within a JSON string, where alone it can occur. */
const ESCAPED_END = '\\u003aEND';

/**
 * Makes a step of a function: its HoldfastErrors become outcomes, transient ones are thrown with their report in the message,
 * because the message is all of an activity's error that reaches the orchestration. Anything else is a bug and thrown as it is, but for
 * signatures of access URLs, which nobody but HoldfastError's makers looked for (I7).
 */
export function activity<I, O>(step: (input: I) => Promise<O>): (input: I) => Promise<Outcome<O>> {
  return async (input) => {
    try {
      return { ok: true, value: await step(input) };
    } catch (error) {
      if (!isHoldfastError(error)) throw bugOf(error);
      if (TRANSIENT.has(error.code)) throw new Error(`${MARK}${JSON.stringify(error.toJSON()).replaceAll(END, ESCAPED_END)}${END}`, { cause: error });
      return { ok: false, error: error.toJSON() };
    }
  };
}

function bugOf(error: unknown): Error {
  const bug = new Error(redact(messageOf(error)));
  if (error instanceof Error && error.stack) bug.stack = redact(error.stack);
  return bug;
}

/** Finds the report again in the message of a failed task; anything else is INTERNAL with its first line. Pure: orchestrations use it. */
export function reportOfFailedTask(error: unknown): ErrorReport {
  const message = messageOf(error);
  const start = message.indexOf(MARK);
  const end = message.indexOf(END, start);
  if (start >= 0 && end > start) {
    try {
      return JSON.parse(message.slice(start + MARK.length, end)) as ErrorReport;
    } catch {
      // A message that was cut on its way falls through to the general report.
    }
  }
  return new HoldfastError('INTERNAL', (message.split('\n')[0] ?? '').slice(0, 500)).toJSON();
}
