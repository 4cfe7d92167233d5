import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { HoldfastError } from '../errors/holdfast-error';
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
  const wrapped = await provider.wrap(fresh.masterKey, wrapContext(fresh.vaultId, vaultJson));
  const document = { version: 1, keyId, type: provider.type, createdAt, label, ...wrapped };
  await store.create(`keys/${keyId}.json`, Buffer.from(`${JSON.stringify(document, null, 2)}\n`));
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

/** True when the vault was made without encryption, so that it opens without a key. */
export async function opensWithoutKey(store: Store): Promise<boolean> {
  for await (const { name } of store.list('keys/')) if (parseKeyDocument(name, await store.read(name)).type === openKeyProvider.type) return true;
  return false;
}

/** Opens a vault with the first key document that the provider can unwrap. Throws KEY_REFUSED before anything else is read or written. */
export async function openVault(store: Store, provider: KeyProvider): Promise<VaultAccess> {
  const info = await readVaultInfo(store);
  const context = wrapContext(info.vaultId, info.bytes);
  let refused: unknown;
  for await (const { name } of store.list('keys/')) {
    const document = parseKeyDocument(name, await store.read(name));
    if (document.type !== provider.type) continue;
    try {
      return { store, keys: deriveVaultKeys(info.vaultId, await provider.unwrap(document, context)) };
    } catch (error) {
      refused = error;
    }
  }
  throw refused ?? new HoldfastError('KEY_REFUSED', `The vault in ${store.description} has no key of the type ${provider.type}`);
}
