import { HoldfastError } from '../errors/holdfast-error';
import { keyFileProvider, newKeyFile, openKeyProvider } from '../vault/key-providers';
import { drawVault, initVault, type NewVault } from '../vault/vault';
import type { Store } from '../vault/store/store';
import type { CommonOptions } from './command-options';
import { defaultKeyPath, refuseKeyInVault, removeKeyFile, writeKeyFile } from './key-file';
import { namedKey, namedVault, vaultIdIn } from './open-vault';
import type { Output } from './output';
import { openSpec } from './transfer-factory';

export interface InitOptions extends CommonOptions {
  /** False with --no-encryption. */
  readonly encryption: boolean;
}

/** Makes a vault and its key. The key is safe on disk before the vault exists, so there is never a vault without a key. */
export async function runInit(options: InitOptions, out: Output): Promise<number> {
  const place = namedVault(options);
  const fresh = drawVault();
  const keyPath = options.encryption ? namedKey(options) ?? defaultKeyPath(fresh.vaultId) : undefined;
  if (!options.encryption && options.key !== undefined) throw new HoldfastError('USAGE', '--key and --no-encryption do not go together');
  if (keyPath !== undefined && place.kind === 'folder') await refuseKeyInVault(keyPath, place.path);
  const store = await openSpec({ store: place, readOnly: false, discard: false }, true);
  try {
    if (await vaultIdIn(store)) throw new HoldfastError('VAULT_EXISTS', `${store.description} holds a vault already`);
    if (keyPath === undefined) await initVault(store, fresh, openKeyProvider, 'no encryption', Date.now());
    else await initWithKey(store, fresh, keyPath);
    const vaultId = fresh.vaultId.toString('hex');
    out.result({ vault: store.description, vaultId, encrypted: keyPath !== undefined, keyFile: keyPath ?? null }, () => [
      `Made the vault ${store.description}.`,
      ...(keyPath === undefined
        ? ['It is not encrypted: whoever can read it can read every disk in it.']
        : [`Its key is ${keyPath}`, 'Without this key nothing in the vault can be restored, by anyone. Keep a copy in a safe place, apart from the vault.']),
    ]);
    if (out.quiet && !out.json && keyPath !== undefined) out.warn(`the key of the new vault is ${keyPath}; without it nothing can be restored`);
    return 0;
  } finally {
    await store.close();
  }
}

export async function initWithKey(store: Store, fresh: NewVault, keyPath: string): Promise<void> {
  const { text, secret } = newKeyFile(fresh.vaultId);
  await writeKeyFile(keyPath, text);
  try {
    await initVault(store, fresh, keyFileProvider(secret), 'key file', Date.now());
  } catch (error) {
    // Only when the vault is certainly not this one does the key open nothing; in doubt it stays.
    const isOurs = await vaultIdIn(store).then((id) => id?.equals(fresh.vaultId) ?? false, () => true);
    if (!isOurs) await removeKeyFile(keyPath);
    throw error;
  }
}
