import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { HoldfastError } from '../errors/holdfast-error';
import { readObject } from './format/documents';
import { BLOCK_BYTES, CUT_BELOW, FORMAT_VERSION, KEY_BYTES, MAX_CHUNK_BLOCKS, MIN_CHUNK_BLOCKS, VAULT_ID_BYTES, WINDOW_BLOCKS } from './format/format';
import { keyDocumentName, parseKeyDocument, wrapContext } from './keys/key-document';
import { type KeyProvider, openKeyProvider } from './keys/key-providers';
import { deriveVaultKeys } from './keys/keys';
import type { Store } from './store/store';
import type { VaultAccess } from './format/tree';
import { keyCheckOf, unlock, type VaultInfo } from './keys/unlock';

const CHUNKING = { blockBytes: BLOCK_BYTES, minBlocks: MIN_CHUNK_BLOCKS, maxBlocks: MAX_CHUNK_BLOCKS, cutBelow: CUT_BELOW, windowBlocks: WINDOW_BLOCKS };

const vaultSchema = z.object({
  format: z.literal('holdfast-vault'),
  version: z.literal(FORMAT_VERSION),
  vaultId: z.string().regex(/^[0-9a-f]{32}$/),
  createdAt: z.string(),
  keyCheck: z.string().regex(/^[0-9a-f]{64}$/).optional(),
  chunking: z.object({
    blockBytes: z.literal(BLOCK_BYTES), minBlocks: z.literal(MIN_CHUNK_BLOCKS), maxBlocks: z.literal(MAX_CHUNK_BLOCKS),
    cutBelow: z.literal(CUT_BELOW), windowBlocks: z.literal(WINDOW_BLOCKS),
  }),
});

const NAME = 'vault.json';

export interface NewVault {
  readonly vaultId: Buffer;
  readonly masterKey: Buffer;
}

/** A vault's identity and master key before anything is stored, so that the key can be kept safe first. */
export const drawVault = (): NewVault => ({ vaultId: randomBytes(VAULT_ID_BYTES), masterKey: randomBytes(KEY_BYTES) });

/** Makes the vault. The key document first: a vault.json without a key would be a vault that nobody can open. Throws VAULT_EXISTS. */
export async function initVault(store: Store, fresh: NewVault, provider: KeyProvider, label: string, nowMs: number): Promise<VaultAccess> {
  if (await store.stat(NAME)) throw new HoldfastError('VAULT_EXISTS', `${store.description} holds a vault already`);
  const createdAt = new Date(nowMs).toISOString();
  const keyCheck = keyCheckOf(fresh.vaultId, fresh.masterKey).toString('hex');
  const vaultJson = Buffer.from(`${JSON.stringify({ format: 'holdfast-vault', version: FORMAT_VERSION, vaultId: fresh.vaultId.toString('hex'), createdAt, keyCheck, chunking: CHUNKING }, null, 2)}\n`);
  await storeKeyDocument(store, fresh, vaultJson, provider, label, nowMs);
  if (await store.create(NAME, vaultJson) === 'exists') throw new HoldfastError('VAULT_EXISTS', `${store.description} was made a vault by someone else just now`);
  return { store, keys: deriveVaultKeys(fresh.vaultId, fresh.masterKey) };
}

/** Wraps the master key in a new key document, proves that it opens, and only then stores it. Answers the new key's id. */
export async function storeKeyDocument(store: Store, { vaultId, masterKey }: NewVault, vaultJson: Buffer, provider: KeyProvider, label: string, nowMs: number): Promise<string> {
  const keyId = randomBytes(8).toString('hex');
  const name = keyDocumentName(keyId);
  const context = wrapContext(vaultId, vaultJson);
  const wrapped = await provider.wrap(masterKey, context);
  const document = Buffer.from(`${JSON.stringify({ version: 1, keyId, type: provider.type, createdAt: new Date(nowMs).toISOString(), label, ...wrapped }, null, 2)}\n`);
  // A vault whose key does not open it would be found out at the first restore: prove it before the document exists.
  if (!(await provider.unwrap(parseKeyDocument(name, document), context)).equals(masterKey)) {
    throw new HoldfastError('WRITE_NOT_VERIFIED', 'The new key document does not open to the key that was wrapped');
  }
  if (await store.create(name, document) === 'exists') throw new HoldfastError('INTERNAL', `The new key document ${name} exists already`);
  return keyId;
}

/** What vault.json says, without any key. Throws VAULT_NOT_FOUND, VAULT_NEWER_FORMAT, VAULT_DAMAGED. */
export async function readVaultInfo(store: Store): Promise<VaultInfo> {
  const bytes = await readObject({ store }, NAME);
  if (!bytes) throw new HoldfastError('VAULT_NOT_FOUND', `${store.description} holds no vault`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new HoldfastError('VAULT_DAMAGED', `vault.json in ${store.description} is not JSON`, { cause });
  }
  const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
  if (typeof version === 'number' && version > FORMAT_VERSION) {
    throw new HoldfastError('VAULT_NEWER_FORMAT', `The vault in ${store.description} has format ${version}; this version of Holdfast knows ${FORMAT_VERSION}`, { data: { version } });
  }
  const parsed = vaultSchema.safeParse(value);
  if (!parsed.success) throw new HoldfastError('VAULT_DAMAGED', `vault.json in ${store.description} is not what it should be: ${parsed.error.issues[0]?.message ?? ''}`);
  const { vaultId, keyCheck } = parsed.data;
  return { vaultId: Buffer.from(vaultId, 'hex'), bytes, keyCheck: keyCheck === undefined ? undefined : Buffer.from(keyCheck, 'hex') };
}

/** True when the vault was made without encryption, so that it opens without a key. Throws what readVaultInfo throws. */
export async function opensWithoutKey(store: Store): Promise<boolean> {
  const found = await unlock(store, await readVaultInfo(store), openKeyProvider);
  return 'masterKey' in found;
}

/**
 * Opens a vault with the first key document that the provider can unwrap. Throws KEY_REFUSED, or what kept the provider from being asked, or
 * VAULT_DAMAGED when the only key document is damaged, before anything else is read or written.
 */
export async function openVault(store: Store, provider: KeyProvider): Promise<VaultAccess> {
  return (await openVaultBy(store, provider)).vault;
}

/** As openVault, and says which key document it was. */
export async function openVaultBy(store: Store, provider: KeyProvider): Promise<{ readonly vault: VaultAccess; readonly keyId: string }> {
  const info = await readVaultInfo(store);
  const found = await unlock(store, info, provider);
  if ('masterKey' in found) return { vault: { store, keys: deriveVaultKeys(info.vaultId, found.masterKey) }, keyId: found.keyId };
  throw found.refused ?? new HoldfastError('KEY_REFUSED', `The vault in ${store.description} has no key of the type ${provider.type}`);
}
