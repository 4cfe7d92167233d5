import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import { readObject } from './documents';
import { BLOCK_BYTES, CUT_BELOW, FORMAT_VERSION, KEY_BYTES, MAX_CHUNK_BLOCKS, MIN_CHUNK_BLOCKS, VAULT_ID_BYTES, WINDOW_BLOCKS } from './format';
import { type KeyProvider, openKeyProvider, parseKeyDocument, wrapContext } from './key-providers';
import { deriveVaultKeys } from './keys';
import type { Store } from './store/store';
import type { VaultAccess } from './tree';

const CHUNKING = { blockBytes: BLOCK_BYTES, minBlocks: MIN_CHUNK_BLOCKS, maxBlocks: MAX_CHUNK_BLOCKS, cutBelow: CUT_BELOW, windowBlocks: WINDOW_BLOCKS };

const vaultSchema = z.object({
  format: z.literal('holdfast-vault'),
  version: z.literal(FORMAT_VERSION),
  vaultId: z.string().regex(/^[0-9a-f]{32}$/),
  createdAt: z.string(),
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
  const vaultJson = Buffer.from(`${JSON.stringify({ format: 'holdfast-vault', version: FORMAT_VERSION, vaultId: fresh.vaultId.toString('hex'), createdAt, chunking: CHUNKING }, null, 2)}\n`);
  const keyId = randomBytes(8).toString('hex');
  const context = wrapContext(fresh.vaultId, vaultJson);
  const wrapped = await provider.wrap(fresh.masterKey, context);
  const document = Buffer.from(`${JSON.stringify({ version: 1, keyId, type: provider.type, createdAt, label, ...wrapped }, null, 2)}\n`);
  const name = `keys/${keyId}.json`;
  // A vault whose key does not open it would be found out at the first restore: prove it before the vault exists.
  if (!(await provider.unwrap(parseKeyDocument(name, document), context)).equals(fresh.masterKey)) {
    throw new HoldfastError('WRITE_NOT_VERIFIED', 'The new key document does not open to the key that was wrapped');
  }
  await store.create(name, document);
  if (await store.create(NAME, vaultJson) === 'exists') throw new HoldfastError('VAULT_EXISTS', `${store.description} was made a vault by someone else just now`);
  return { store, keys: deriveVaultKeys(fresh.vaultId, fresh.masterKey) };
}

/** What vault.json says, without any key. Throws VAULT_NOT_FOUND, VAULT_NEWER_FORMAT, VAULT_DAMAGED. */
export async function readVaultInfo(store: Store): Promise<{ readonly vaultId: Buffer; readonly bytes: Buffer }> {
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
  return { vaultId: Buffer.from(parsed.data.vaultId, 'hex'), bytes };
}

/** True when the vault was made without encryption, so that it opens without a key. Throws what readVaultInfo throws. */
export async function opensWithoutKey(store: Store): Promise<boolean> {
  const found = await unwrapMasterKey(store, await readVaultInfo(store), openKeyProvider);
  return 'masterKey' in found;
}

/**
 * Opens a vault with the first key document that the provider can unwrap. Throws KEY_REFUSED, or VAULT_DAMAGED when the only key
 * document is damaged, before anything else is read or written.
 */
export async function openVault(store: Store, provider: KeyProvider): Promise<VaultAccess> {
  const info = await readVaultInfo(store);
  const found = await unwrapMasterKey(store, info, provider);
  if ('masterKey' in found) return { store, keys: deriveVaultKeys(info.vaultId, found.masterKey) };
  throw found.refused ?? new HoldfastError('KEY_REFUSED', `The vault in ${store.description} has no key of the type ${provider.type}`);
}

/** Tries every key document: one that is damaged or of another key must not keep the others from opening the vault. */
async function unwrapMasterKey(store: Store, info: { readonly vaultId: Buffer; readonly bytes: Buffer }, provider: KeyProvider): Promise<{ readonly masterKey: Buffer } | { readonly refused: unknown }> {
  const context = wrapContext(info.vaultId, info.bytes);
  let refused: unknown;
  for await (const { name } of store.list('keys/')) {
    const bytes = await store.read(name);
    try {
      const document = parseKeyDocument(name, bytes);
      if (document.type === provider.type) return { masterKey: await provider.unwrap(document, context) };
    } catch (error) {
      // That the key was refused says more than that another document is damaged.
      if (!isHoldfastError(refused, 'KEY_REFUSED')) refused = error;
    }
  }
  return { refused };
}
