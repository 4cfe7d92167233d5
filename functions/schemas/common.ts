import { z } from 'zod';
import type { ErrorData, ErrorReport } from '../../errors/holdfast-error';
import { catalogue, type ErrorCode } from '../../errors/catalogue';
import type { TransferStats } from '../../vault/transfer/transfer-types';
import { JOB_STATES } from '../job-view';

// What answers are made of. Each schema says exactly what goes out: a field that is in an answer and not here fails the tests.

/** ISO 8601, UTC. */
export const time = z.string().meta({ format: 'date-time' });
export const bytes = z.number().min(0);
export const count = z.int().min(0);
export const percent = z.int().min(0).max(100);

export const errorCode = z.enum(Object.keys(catalogue) as [ErrorCode, ...ErrorCode[]]);

const scalar = [z.string(), z.number()] as const;
const errorData: z.ZodType<ErrorData> = z.record(z.string(), z.union([...scalar, z.boolean(), z.null(), z.array(z.union(scalar))]));

/** An error inside of an answer: of a job, of a manifest that does not open. */
export const errorReport: z.ZodType<ErrorReport> = z.strictObject({ code: errorCode, message: z.string(), remedy: z.string(), data: errorData }).meta({ id: 'ErrorReport' });

/** Problem details (RFC 9457). */
export const problemSchema = z.strictObject({
  type: z.string().meta({ description: 'Address of the page that explains the error' }),
  title: z.string(), status: z.int(), detail: z.string(), code: errorCode, remedy: z.string(),
  help: z.string().meta({ description: 'Where the documentation explains it' }), data: errorData,
}).meta({ id: 'Problem' });

/** Of a job that failed. */
export const jobError = z.strictObject({ code: z.string(), cause: z.string(), message: z.string(), remedy: z.string() }).nullable();
export const jobState = z.enum(JOB_STATES);

/** Of what was started and is not over yet. */
export const started = z.strictObject({ id: z.string(), state: z.literal('queued'), location: z.string().meta({ description: 'Also in the header Location' }) });
export const cancelling = z.strictObject({ id: z.string(), state: z.literal('cancelling') }).meta({ id: 'Cancelling' });

export const transferStats: z.ZodType<TransferStats> = z.strictObject({
  windows: count, readBytes: bytes, changedBytes: bytes, newChunks: count, newBytes: bytes, reusedChunks: count, reusedBytes: bytes, storedBytes: bytes, healedWindows: count, forwardedChunks: count, forwardedBytes: bytes,
}).meta({ id: 'TransferStats' });

export const damagedBy = z.enum(['check', 'scrub', 'backup']);
