import { z } from 'zod';
import { HoldfastError } from '../../errors/holdfast-error';
import { redact } from '../../errors/redact';
import { APPLICATION_CONSISTENT, errorCodeOf, FILE_SYSTEM_CONSISTENT, meaningOf, STILL_AT_WORK } from './status-codes';

/** What the extension said, before anything that it names was looked for. */
export type GuestReport =
  | { readonly state: 'running' }
  | { readonly state: 'succeeded'; readonly consistency: 'application' | 'file-system'; readonly snapshotUris: readonly string[]; readonly notes: readonly string[] }
  | { readonly state: 'failed'; readonly failure: HoldfastError };

const snapshotInfo = z.object({ isSuccessful: z.boolean(), snapshotUri: z.string().nullish(), errorMessage: z.string().nullish(), blobUri: z.string().nullish() });
const statusDocument = z.array(z.object({
  status: z.object({
    status: z.string(),
    code: z.coerce.number().int(),
    taskId: z.string().nullish(),
    formattedMessage: z.object({ message: z.string().nullish() }).nullish(),
    snapshotInfo: z.array(snapshotInfo).nullish(),
  }),
})).min(1);

/** The extension writes no more than this (its public source). */
export const maxStatusBytes = 10 * 1024 * 1024;
const maxMessageChars = 500;

/**
 * Reads the status blob as the extension writes it. It comes out of the guest, so nothing in it is trusted: what does not fit is a failure
 * of the snapshot, never a success. A page blob is filled up with spaces or zeros. A status of another task, from a run before, says nothing of this one.
 */
export function readStatusBlob(text: string, taskId: string, osType: 'Windows' | 'Linux'): GuestReport {
  const trimmed = text.replaceAll('\0', ' ').trim();
  if (trimmed === '') return { state: 'running' };
  const parsed = statusDocument.safeParse(jsonOf(trimmed));
  const status = parsed.data?.[0]?.status;
  if (!status) return failed(new HoldfastError('GUEST_SNAPSHOT_FAILED', `The snapshot extension wrote a status that cannot be read: ${JSON.stringify(trimmed.slice(0, 100))}`, { data: { serviceCode: '' } }));
  if (status.taskId && status.taskId.toLowerCase() !== taskId.toLowerCase()) return { state: 'running' };
  const message = redact(status.formattedMessage?.message ?? '').slice(0, maxMessageChars);
  const state = status.status.toLowerCase();
  if (state === 'transitioning' || (state === 'success' && status.code === STILL_AT_WORK)) return { state: 'running' };
  const infos = status.snapshotInfo ?? [];
  const broken = infos.find(({ isSuccessful, snapshotUri }) => !isSuccessful || !snapshotUri);
  if (state !== 'success' || broken || infos.length === 0) {
    const detail = [meaningOf(status.code), message, broken?.errorMessage && redact(broken.errorMessage).slice(0, maxMessageChars)].filter(Boolean).join(': ');
    return failed(new HoldfastError(errorCodeOf(status.code, `${message} ${broken?.errorMessage ?? ''}`, osType), `The snapshot extension answered code ${status.code}: ${detail || 'no reason was given'}`, { data: { serviceCode: String(status.code) } }));
  }
  // Scripts may fail and be passed over (continueBackupOnFailure): the snapshot is then what the file systems alone give, and whoever reads of it should know.
  const note = status.code === APPLICATION_CONSISTENT || status.code === FILE_SYSTEM_CONSISTENT ? null : `The snapshot extension answered code ${status.code}: ${meaningOf(status.code) ?? message}`;
  return {
    state: 'succeeded', consistency: status.code === APPLICATION_CONSISTENT ? 'application' : 'file-system',
    snapshotUris: infos.map(({ snapshotUri }) => snapshotUri ?? ''), notes: note === null ? [] : [note],
  };
}

const failed = (failure: HoldfastError): GuestReport => ({ state: 'failed', failure });

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
