import { catalogue, type ErrorCode } from './catalogue';

export type ErrorData = Readonly<Record<string, string | number | boolean | null | readonly (string | number)[]>>;

/** What travels in JSON: through durable history, HTTP answers and `--json` output. Never holds a secret. */
export interface ErrorReport {
  readonly code: ErrorCode;
  /** What happened, with the value that was received. */
  readonly message: string;
  /** What to do about it. */
  readonly remedy: string;
  readonly data: ErrorData;
}

/**
 * The one error class that a user may see. `code` is a key of the catalogue, which supplies the remedy,
 * the HTTP status and the exit code; `message` says what happened this time.
 */
export class HoldfastError extends Error {
  override readonly name = 'HoldfastError';
  readonly code: ErrorCode;
  readonly data: ErrorData;

  constructor(code: ErrorCode, message: string, options: { data?: ErrorData; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.data = options.data ?? {};
  }

  get remedy(): string {
    return catalogue[this.code].remedy;
  }

  toJSON(): ErrorReport {
    return { code: this.code, message: this.message, remedy: this.remedy, data: this.data };
  }
}

/** Brings back an error that travelled as JSON, for instance out of a worker thread. */
export const fromReport = (report: ErrorReport, cause?: unknown): HoldfastError =>
  new HoldfastError(report.code, report.message, { data: report.data, cause });

/** Anything that was thrown, as a report: what is no HoldfastError becomes INTERNAL with its message. */
export const toReport = (error: unknown): ErrorReport =>
  (error instanceof HoldfastError ? error : new HoldfastError('INTERNAL', messageOf(error), { cause: error })).toJSON();

/** True for a HoldfastError of the given code, or of any code when none is given. */
export function isHoldfastError(error: unknown, code?: ErrorCode): error is HoldfastError {
  return error instanceof HoldfastError && (code === undefined || error.code === code);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
