import { catalogue } from '../../errors/catalogue';
import { HoldfastError, toReport } from '../../errors/holdfast-error';
import type { VaultAccess } from '../format/tree';
import type { Doing } from './record';
import { appendRecord } from './trail';

export interface Recording<T> {
  /** What the outcome's record says of it beside what `begun` said. */
  readonly details?: (result: T) => Readonly<Record<string, unknown>>;
  /** Told when the outcome could not be written: what was done stands, and the trail says only that it was begun. */
  readonly onUnrecorded: (error: HoldfastError) => void;
}

/**
 * Does something between two records of the audit trail: nothing is done before `begun` is durable, and what came of it follows. Throws AUDIT_NOT_WRITTEN when nothing was done
 * because it could not be recorded, else what `work` throws. Why in this order: docs/decisions/audit-trail.md.
 */
export async function recorded<T>(vault: VaultAccess, doing: Doing, work: () => Promise<T>, { details, onUnrecorded }: Recording<T>): Promise<T> {
  const { number } = await appendRecord(vault, { ...doing, outcome: 'begun' });
  const end = async (outcome: 'done' | 'refused' | 'failed', code: string | null, more: Readonly<Record<string, unknown>>): Promise<void> => {
    try {
      await appendRecord(vault, { ...doing, outcome, begun: number, code, details: { ...doing.details, ...more } });
    } catch (error) {
      onUnrecorded(error instanceof HoldfastError ? error : new HoldfastError('AUDIT_NOT_WRITTEN', toReport(error).message, { cause: error }));
    }
  };
  let result: T;
  try {
    result = await work();
  } catch (error) {
    const { code, message } = toReport(error);
    await end(isRefusal(error) ? 'refused' : 'failed', code, { error: message.slice(0, 1000) });
    throw error;
  }
  await end('done', null, details?.(result) ?? {});
  return result;
}

/** What the caller can put right (4xx) was turned down; a store or a cloud that fails in the middle was not. */
export const isRefusal = (error: unknown): boolean => error instanceof HoldfastError && catalogue[error.code].status < 500 && !/^(STORE_|CLOUD_|KEY_VAULT_|CANCELLED)/.test(error.code);
