import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import { type KeyProvider, keyFileProvider, openKeyProvider } from '../vault/key-providers';
import type { Store } from '../vault/store/store';
import { parseVaultAddress, type StoreSpec } from '../vault/store/store-spec';
import type { VaultAccess } from '../vault/tree';
import { openVault, opensWithoutKey, readVaultInfo } from '../vault/vault';
import type { CommonOptions } from './command-options';
import { defaultKeyPath, readKeyFile } from './key-file';
import { openSpec, type VaultSpec } from './transfer-factory';

export interface OpenedVault {
  readonly vault: VaultAccess;
  /** What a transfer thread needs to open the same store. */
  readonly spec: VaultSpec & Readonly<Record<string, unknown>>;
}

/** The vault's address from --vault or HOLDFAST_VAULT. Throws VAULT_NOT_NAMED, VAULT_ADDRESS. */
export function namedVault(options: CommonOptions): StoreSpec {
  const address = options.vault ?? process.env['HOLDFAST_VAULT'] ?? '';
  if (address === '') throw new HoldfastError('VAULT_NOT_NAMED', 'The command needs a vault and none was named');
  return parseVaultAddress(address);
}

/** The key's place from --key or HOLDFAST_KEY, when one of them names it. */
export function namedKey(options: CommonOptions): string | undefined {
  const path = options.key ?? process.env['HOLDFAST_KEY'] ?? '';
  return path === '' ? undefined : resolve(path);
}

/** Opens the vault with its key, gives it to `use`, and closes it whatever happens. */
export async function withVault<T>(options: CommonOptions, mode: 'read' | 'write' | 'dry-run', use: (opened: OpenedVault) => Promise<T>): Promise<T> {
  const spec = { store: namedVault(options), readOnly: mode === 'read', discard: mode === 'dry-run' };
  const store = await openSpec(spec);
  try {
    const vault = await openVault(store, await providerOf(store, namedKey(options)));
    return await use({ vault, spec });
  } finally {
    await store.close();
  }
}

async function providerOf(store: Store, keyPath: string | undefined): Promise<KeyProvider> {
  const { vaultId } = await readVaultInfo(store);
  if (keyPath !== undefined) {
    const secret = await readKeyFile(keyPath);
    // A key was named, so the vault is thought to be encrypted: writing to one that is not would be a surprise.
    if (await opensWithoutKey(store)) throw new HoldfastError('KEY_REFUSED', `A key was named, and the vault in ${store.description} was made without encryption: leave --key and HOLDFAST_KEY away`);
    return keyFileProvider(secret);
  }
  const path = defaultKeyPath(vaultId);
  const isThere = await access(path).then(() => true, () => false);
  if (!isThere && (await opensWithoutKey(store))) return openKeyProvider;
  return keyFileProvider(await readKeyFile(path));
}

/** The id of the vault in a store, or undefined when there definitely is none. */
export async function vaultIdIn(store: Store): Promise<Buffer | undefined> {
  try {
    return (await readVaultInfo(store)).vaultId;
  } catch (error) {
    if (isHoldfastError(error, 'VAULT_NOT_FOUND')) return undefined;
    throw error;
  }
}
