import { createHash } from 'node:crypto';
import { HoldfastError, messageOf } from '../../errors/holdfast-error';
import { parseDocument, readObject } from '../format/documents';
import { sealDocument } from '../format/sealed-document';
import type { VaultAccess } from '../format/tree';
import type { Store } from '../store/store';
import { MAX_NUMBER, type NewRecord, recordOf, type TrailAnchor, trailName, type TrailRecord, trailSchema } from './record';

/** Each try is lost to another writer who came through, so this many writers would have to be at it at once. */
const MAX_TRIES = 200;

/** SHA-256 of an object, in hex. */
export const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The last record that this process read or wrote, for each vault that it has open, and who of it writes now: one after another, so that they do not take numbers from each other. */
const known = new WeakMap<Store, TrailAnchor>();
const queues = new WeakMap<Store, Promise<unknown>>();

/** The last record's number and digest; null for a trail without records. About 2 log2(n) looks at names the first time, then one. */
export async function trailHead({ store }: Pick<VaultAccess, 'store'>): Promise<TrailAnchor | null> {
  const from = known.get(store) ?? null;
  const last = await lastNumber(store, from?.number ?? 0);
  if (last === 0 || last === from?.number) return from;
  const head = { number: last, digest: digestOf(await store.read(trailName(last))) };
  known.set(store, head);
  return head;
}

/** The last number that is there, going on from one that is or was. */
async function lastNumber(store: Store, from: number): Promise<number> {
  const isThere = async (number: number): Promise<boolean> => number <= MAX_NUMBER && await store.stat(trailName(number)) !== undefined;
  let low = from;
  let step = 1;
  while (await isThere(low + step)) {
    low += step;
    step *= 2;
  }
  let high = low + step;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await isThere(middle)) low = middle; else high = middle;
  }
  return low;
}

/**
 * Writes the next record. Durable when it resolves, with the record as it stands. Safe beside any number of writers: of those who want the same number one gets it, the others look again.
 * Throws AUDIT_NOT_WRITTEN, with what kept it from being written as its cause: then it may be there or not.
 */
export async function appendRecord(vault: VaultAccess, record: NewRecord): Promise<TrailRecord> {
  const before = queues.get(vault.store) ?? Promise.resolve();
  const turn = before.then(() => append(vault, record));
  queues.set(vault.store, turn.catch(() => undefined));
  try {
    return await turn;
  } catch (cause) {
    if (cause instanceof HoldfastError && (cause.code === 'AUDIT_NOT_WRITTEN' || cause.code === 'INTERNAL')) throw cause;
    throw new HoldfastError('AUDIT_NOT_WRITTEN', `The record of "${record.action}" could not be written into the audit trail: ${messageOf(cause)}`, { cause, data: { cause: cause instanceof HoldfastError ? cause.code : 'INTERNAL' } });
  }
}

async function append(vault: VaultAccess, record: NewRecord): Promise<TrailRecord> {
  const { store, keys } = vault;
  const at = new Date(await store.serverTimeMs()).toISOString();
  let head = known.get(store) ?? await trailHead(vault);
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const number = (head?.number ?? 0) + 1;
    const stored = recordOf(record, { number, before: head?.digest ?? null, at });
    const bytes = sealDocument(keys, trailName(number), stored);
    if (await store.create(trailName(number), bytes) === 'created') {
      known.set(store, { number, digest: digestOf(bytes) });
      return stored;
    }
    head = await trailHead(vault);
  }
  throw new HoldfastError('AUDIT_NOT_WRITTEN', `Other writers took the next number of the audit trail ${MAX_TRIES} times`, { data: { cause: 'contention' } });
}

/** SHA-256 of a record's object; null when it is not there. */
export async function recordDigest({ store }: Pick<VaultAccess, 'store'>, number: number): Promise<string | null> {
  const bytes = await readObject({ store }, trailName(number));
  return bytes ? digestOf(bytes) : null;
}

/** A record with the digest of its object. Throws DOCUMENT_DAMAGED, VAULT_NEWER_FORMAT, STORE_OBJECT_NOT_FOUND. */
export async function readRecord(vault: VaultAccess, number: number): Promise<{ readonly record: TrailRecord; readonly digest: string }> {
  const name = trailName(number);
  const bytes = await vault.store.read(name);
  return { record: parseDocument(vault, name, bytes, trailSchema), digest: digestOf(bytes) };
}
