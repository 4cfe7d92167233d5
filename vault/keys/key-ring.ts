import { z } from 'zod';
import { HoldfastError, isHoldfastError, messageOf } from '../../errors/holdfast-error';
import { createDocument, findDocument } from '../format/documents';
import type { KeyProvider } from './key-providers';
import type { VaultAccess } from '../format/tree';
import { readKeyDocuments, type StoredKey, unwrapProved } from './unlock';
import { readVaultInfo, storeKeyDocument } from '../vault';

/** What a person may know of a key, without having it. */
export interface KeyFacts {
  readonly keyId: string;
  readonly type: string;
  readonly label: string;
  readonly createdAt: string;
  /** The full id of the key in Key Vault, version included; null for other types. */
  readonly keyVaultKey: string | null;
  /** Why the document cannot be used, or null. */
  readonly problem: string | null;
}

export type KeyOutcome = 'opens' | 'refused' | 'failed' | 'not-tried' | 'damaged';

export interface KeyTest extends KeyFacts {
  /**
   * `refused`: the keys at hand of this type do not open it (another one may); `failed`: a key could not be asked; `not-tried`: no key of
   * its type is at hand.
   */
  readonly outcome: KeyOutcome;
  readonly message: string | null;
  /** True when its removal was decided and its object is still there. */
  readonly removed: boolean;
}

export interface KeyTestReport {
  /** True when every key at hand opens the vault, and there is one at least. */
  readonly ok: boolean;
  readonly keys: readonly KeyTest[];
}

export const factsOf = ({ keyId, document, error }: StoredKey): KeyFacts => ({
  keyId, type: document?.type ?? 'unknown', label: document?.label ?? '', createdAt: document?.createdAt ?? '', keyVaultKey: document?.keyVault?.key ?? null, problem: error?.message ?? null,
});

/** Wraps the vault's master key once more, for another key. The new document is proved by unwrapping before it is stored. Answers its id. Throws VAULT_NOT_ENCRYPTED. */
export async function addKey(vault: VaultAccess, provider: KeyProvider, label: string, nowMs: number): Promise<string> {
  const info = await readVaultInfo(vault.store);
  const documents = await readKeyDocuments(vault.store);
  if (documents.some(({ document }) => document?.type === 'none')) {
    throw new HoldfastError('VAULT_NOT_ENCRYPTED', `The vault in ${vault.store.description} was made without encryption: its master key is known to whoever can read it`);
  }
  if (!provider.provesOrigin && info.keyCheck === undefined) {
    throw new HoldfastError('KEY_REFUSED', `The vault in ${vault.store.description} has no key check, which a key of the type ${provider.type} needs: make a new vault for it`);
  }
  return storeKeyDocument(vault.store, { vaultId: info.vaultId, masterKey: vault.keys.masterKey }, info.bytes, provider, label, nowMs);
}

/** Tries every key at hand on every key document of its type: the vault's master key must come out. Writes nothing. */
export async function testKeys(vault: VaultAccess, providers: readonly KeyProvider[]): Promise<KeyTestReport> {
  const info = await readVaultInfo(vault.store);
  const removed = new Set((await readRemovals(vault)).map(({ keyId }) => keyId));
  const tries = new Map<KeyProvider, number>();
  const useful = new Set<KeyProvider>();
  const keys: KeyTest[] = [];
  for (const stored of await readKeyDocuments(vault.store)) {
    const { document } = stored;
    const facts = { ...factsOf(stored), removed: removed.has(stored.keyId) };
    if (document === undefined) {
      keys.push({ ...facts, outcome: 'damaged', message: facts.problem });
      continue;
    }
    let result: { outcome: KeyOutcome; message: string | null } = { outcome: 'not-tried', message: null };
    for (const provider of providers.filter(({ type }) => type === document.type)) {
      const count = tries.get(provider) ?? 0;
      if (result.outcome === 'opens' || count >= (provider.maxTries ?? Infinity)) continue;
      tries.set(provider, count + 1);
      result = await tryOne();
      if (result.outcome === 'opens') useful.add(provider);

      async function tryOne(): Promise<{ outcome: KeyOutcome; message: string | null }> {
        try {
          const same = (await unwrapProved(info, document as NonNullable<typeof document>, provider)).equals(vault.keys.masterKey);
          return same ? { outcome: 'opens', message: null } : { outcome: 'refused', message: 'It opens to another key than the one that opened the vault' };
        } catch (error) {
          return { outcome: isHoldfastError(error, 'KEY_REFUSED') ? 'refused' : isHoldfastError(error, 'VAULT_DAMAGED') ? 'damaged' : 'failed', message: messageOf(error) };
        }
      }
    }
    keys.push({ ...facts, ...result });
  }
  return { ok: providers.length > 0 && providers.every((provider) => useful.has(provider)), keys };
}

const removalSchema = z.object({ version: z.literal(1), keyId: z.string(), at: z.string(), provedBy: z.array(z.string()) });
export type KeyRemoval = z.infer<typeof removalSchema>;
const removalName = (number: number): string => `key-removals/${String(number).padStart(4, '0')}`;

/** The removals that were decided, in order. */
export async function readRemovals(vault: VaultAccess): Promise<readonly KeyRemoval[]> {
  const removals: KeyRemoval[] = [];
  for (;;) {
    const found = await findDocument(vault, removalName(removals.length + 1), removalSchema);
    if (!found) return removals;
    removals.push(found);
  }
}

export interface RemovedKey {
  readonly keyId: string;
  /** `later`: the store holds the object against deletion, until `untilMs` where that is known. */
  readonly state: 'removed' | 'later';
  readonly untilMs: number | null;
}

/**
 * Removes a key document. `proved` are the keys that were seen to open the vault a moment ago: one of them, other than this one, must stay, or this
 * throws KEY_LAST. The decision is a create-only record with a number, so of two who decide at the same time one looks again at what the other left.
 * Throws KEY_UNKNOWN.
 */
export async function removeKey(vault: VaultAccess, keyId: string, proved: ReadonlySet<string>, nowMs: number): Promise<RemovedKey> {
  for (;;) {
    const removals = await readRemovals(vault);
    const gone = new Set(removals.map((one) => one.keyId));
    if (gone.has(keyId)) break;
    const documents = await readKeyDocuments(vault.store);
    if (!documents.some((one) => one.keyId === keyId)) throw new HoldfastError('KEY_UNKNOWN', `The vault in ${vault.store.description} has no key ${keyId}`, { data: { keyId } });
    const provedBy = documents.filter((one) => one.keyId !== keyId && !gone.has(one.keyId) && proved.has(one.keyId)).map((one) => one.keyId);
    if (provedBy.length === 0) throw lastKey(keyId, documents.filter((one) => one.keyId !== keyId && !gone.has(one.keyId)));
    const removal = { version: 1, keyId, at: new Date(nowMs).toISOString(), provedBy } satisfies KeyRemoval;
    if (await createDocument(vault, removalName(removals.length + 1), removal) === 'created') break;
  }
  return { keyId, ...(await deleteDocument(vault, keyId)) };
}

function lastKey(keyId: string, others: readonly StoredKey[]): HoldfastError {
  const why = others.length === 0
    ? `${keyId} is the vault's only key`
    : `of the vault's other keys (${others.map((one) => one.keyId).join(', ')}) none was proved to open it by a key at hand`;
  return new HoldfastError('KEY_LAST', `The key ${keyId} is not removed: ${why}`, { data: { keyId, others: others.map((one) => one.keyId) } });
}

async function deleteDocument(vault: VaultAccess, keyId: string): Promise<Pick<RemovedKey, 'state' | 'untilMs'>> {
  try {
    await vault.store.delete(`keys/${keyId}.json`);
    return { state: 'removed', untilMs: null };
  } catch (error) {
    if (!isHoldfastError(error, 'STORE_IMMUTABLE')) throw error;
    const until = error.data['untilMs'];
    return { state: 'later', untilMs: typeof until === 'number' ? until : null };
  }
}
