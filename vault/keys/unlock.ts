import { timingSafeEqual } from 'node:crypto';
import { HoldfastError, isHoldfastError } from '../../errors/holdfast-error';
import { KEY_BYTES } from '../format/format';
import { KEY_DOCUMENT_LIMIT_BYTES, type KeyDocument, parseKeyDocument, wrapContext } from './key-document';
import type { KeyProvider } from './key-providers';
import { derive } from './keys';
import type { Store } from '../store/store';

/** What vault.json says, as read without any key. */
export interface VaultInfo {
  readonly vaultId: Buffer;
  readonly bytes: Buffer;
  /** What the right master key derives to; undefined for a vault made before this was kept. */
  readonly keyCheck: Buffer | undefined;
}

/** One object under keys/. */
export interface StoredKey {
  readonly name: string;
  readonly keyId: string;
  /** By the store's clock. */
  readonly modifiedAtMs: number;
  /** Absent when it cannot be parsed; `error` then says why. */
  readonly document?: KeyDocument;
  readonly error?: HoldfastError;
}

export const keyCheckOf = (vaultId: Buffer, masterKey: Buffer): Buffer => derive(masterKey, vaultId, 'holdfast key check v1');

const NAME = /^keys\/([0-9a-f]{16})\.json$/;

/** Every key document, the oldest first by the store's clock: what was put there later cannot crowd out what was there before. */
export async function readKeyDocuments(store: Store): Promise<readonly StoredKey[]> {
  const found: StoredKey[] = [];
  for await (const { name, modifiedAtMs, sizeBytes } of store.list('keys/')) {
    const keyId = NAME.exec(name)?.[1];
    if (keyId === undefined) continue;
    const entry = { name, keyId, modifiedAtMs };
    try {
      if (sizeBytes > KEY_DOCUMENT_LIMIT_BYTES) throw new HoldfastError('VAULT_DAMAGED', `The key document ${name} has ${sizeBytes} bytes`, { data: { name } });
      const document = parseKeyDocument(name, await store.read(name));
      if (document.keyId !== keyId) throw new HoldfastError('VAULT_DAMAGED', `The key document ${name} says that it is ${document.keyId}`, { data: { name } });
      found.push({ ...entry, document });
    } catch (error) {
      // Removed since the list was read: then it is no key any more.
      if (isHoldfastError(error, 'STORE_OBJECT_NOT_FOUND')) continue;
      if (!isHoldfastError(error, 'VAULT_DAMAGED') && !isHoldfastError(error, 'VAULT_NEWER_FORMAT')) throw error;
      found.push({ ...entry, error });
    }
  }
  return found.sort((a, b) => a.modifiedAtMs - b.modifiedAtMs || (a.name < b.name ? -1 : 1));
}

/** The vault's master key out of one document. Throws KEY_REFUSED and what the provider throws. */
export async function unwrapProved(info: VaultInfo, document: KeyDocument, provider: KeyProvider): Promise<Buffer> {
  if (!provider.provesOrigin && info.keyCheck === undefined) {
    throw new HoldfastError('KEY_REFUSED', `A key of the type ${provider.type} cannot open this vault: its vault.json has no key check, so a document made by someone else could not be told apart`);
  }
  const masterKey = await provider.unwrap(document, wrapContext(info.vaultId, info.bytes));
  const fits = masterKey.length === KEY_BYTES && (info.keyCheck === undefined || timingSafeEqual(keyCheckOf(info.vaultId, masterKey), info.keyCheck));
  if (!fits) throw new HoldfastError('KEY_REFUSED', `The key document ${document.keyId} opens to a key that is not this vault's`, { data: { keyId: document.keyId } });
  return masterKey;
}

export type Unlocked = { readonly masterKey: Buffer; readonly keyId: string } | { readonly refused: unknown };

/** Tries every key document of the provider's type: one that is damaged or of another key must not keep the others from opening the vault. */
export async function unlock(store: Store, info: VaultInfo, provider: KeyProvider): Promise<Unlocked> {
  const refusals: unknown[] = [];
  let left = provider.maxTries ?? Infinity;
  for (const { keyId, document, error } of await readKeyDocuments(store)) {
    if (document === undefined) refusals.push(error);
    if (document?.type !== provider.type) continue;
    if (left-- <= 0) {
      refusals.push(new HoldfastError('KEY_REFUSED', `The key does not open the oldest ${String(provider.maxTries)} key documents of the type ${provider.type}, and no more are tried: look at \`holdfast key list\``));
      break;
    }
    try {
      return { masterKey: await unwrapProved(info, document, provider), keyId };
    } catch (failure) {
      refusals.push(failure);
    }
  }
  return { refused: mostTelling(refusals) };
}

/** That a key could not be asked says more than that another was refused, and that more than that some document is damaged or too new. */
function mostTelling(refusals: readonly unknown[]): unknown {
  const codes = ['KEY_REFUSED', 'VAULT_NEWER_FORMAT', 'VAULT_DAMAGED'] as const;
  const rank = (error: unknown): number => 1 + codes.findIndex((code) => isHoldfastError(error, code));
  return [...refusals].sort((a, b) => rank(a) - rank(b))[0];
}
