import { hostname } from 'node:os';
import { type HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import type { ErrorCode } from '../errors/catalogue';
import type { Doing } from '../vault/trail/record';
import { recorded } from '../vault/trail/recorded';
import type { VaultAccess } from '../vault/format/tree';
import type { CommonOptions } from './command-options';
import { userName } from './decider';
import { withStore } from './open-vault';
import type { Output } from './output';

/** What a command does, for the audit trail. */
export interface CommandAction {
  readonly action: string;
  readonly target: string | null;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Who that is, the operating system says; nobody proved it. */
export const doingHere = ({ action, target, details }: CommandAction): Doing => {
  const name = userName();
  return { who: { id: `${name}@${hostname()}`, name, kind: 'os-user', roles: [], verified: false }, from: hostname(), action, target, ...(details && { details }) };
};

/** Changes the vault between two records of its audit trail. Throws AUDIT_NOT_WRITTEN when it could not be recorded, so that nothing was done. */
export function recordedChange<T>(vault: VaultAccess, action: CommandAction, out: Output, work: () => Promise<T>, details?: (result: T) => Readonly<Record<string, unknown>>): Promise<T> {
  return recorded(vault, doingHere(action), work, { ...(details && { details }), onUnrecorded: (error) => unrecorded(out, error) });
}

/** The vault's own place is read-only, or full: then a restore is what it may be needed for most. */
const CANNOT_WRITE: readonly ErrorCode[] = ['STORE_READ_ONLY', 'STORE_ACCESS_DENIED', 'STORE_FULL'];

/**
 * Takes data out of a vault that is open for reading, between two records of the audit trail. Where the vault cannot be written to it is done all the same, and said: whoever has the key and
 * can read the objects needs no leave of this command, and a copy that is read-only may be all that is left (docs/decisions/audit-trail.md).
 */
export async function recordedReading<T>(vault: VaultAccess, options: CommonOptions, action: CommandAction, out: Output, work: () => Promise<T>): Promise<T> {
  let begun = false;
  const started = async (): Promise<T> => {
    begun = true;
    return work();
  };
  try {
    return await withStore(options, 'write', (store) => recorded({ store, keys: vault.keys }, doingHere(action), started, { onUnrecorded: (error) => unrecorded(out, error) }));
  } catch (error) {
    if (begun || !cannotWrite(error)) throw error;
    out.warn(`this is not in the vault's audit trail, because the vault cannot be written to: ${(error as Error).message}`);
    return work();
  }
}

const cannotWrite = (error: unknown): boolean => isHoldfastError(error)
  && (CANNOT_WRITE.includes(error.code) || (error.code === 'AUDIT_NOT_WRITTEN' && CANNOT_WRITE.includes(String(error.data['cause']) as ErrorCode)));

const unrecorded = (out: Output, error: HoldfastError): void => out.warn(`it was done, but the audit trail says only that it was begun: ${error.message}`);
