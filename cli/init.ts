import { resolve } from 'node:path';
import { HoldfastError } from '../errors/holdfast-error';
import { keyFileProvider, newKeyFile, openKeyProvider } from '../vault/keys/key-providers';
import { drawVault, initVault, type NewVault } from '../vault/vault';
import type { Store } from '../vault/store/store';
import type { StoreSpec } from '../vault/store/store-spec';
import type { CommonOptions } from './command-options';
import { defaultKeyPath, refuseKeyInVault, removeKeyFile, writeKeyFile } from './key-file';
import { namedKeys, type NamedKey, oneNamedKey } from './keys-at-hand';
import { makeNewKey } from './new-key';
import { namedVault, vaultIdIn } from './open-vault';
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
  const byOption = namedKeys(options).byOption[0];
  if (!options.encryption && byOption !== undefined) throw new HoldfastError('USAGE', `${byOption.source} and --no-encryption do not go together`);
  const named: NamedKey = oneNamedKey(options) ?? { source: 'default', kind: 'key-file', value: defaultKeyPath(fresh.vaultId) };
  const keyPath = options.encryption && named.kind === 'key-file' ? resolve(named.value) : undefined;
  if (keyPath !== undefined && place.kind === 'folder') await refuseKeyInVault(keyPath, place.path);
  const store = await openSpec({ store: place, readOnly: false, discard: false }, true);
  try {
    if (await vaultIdIn(store)) throw new HoldfastError('VAULT_EXISTS', `${store.description} holds a vault already`);
    if (!options.encryption) await initVault(store, fresh, openKeyProvider, 'no encryption', Date.now());
    else if (keyPath !== undefined) await initWithKey(store, fresh, keyPath);
    else await initWithout(store, fresh, named, place);
    const vaultId = fresh.vaultId.toString('hex');
    const keyType = options.encryption ? named.kind : 'none';
    out.result({ vault: store.description, vaultId, encrypted: options.encryption, keyType, keyFile: keyPath ?? null }, () => [`Made the vault ${store.description}.`, ...aboutKey(keyType, keyPath)]);
    if (out.quiet && !out.json && keyPath !== undefined) out.warn(`the key of the new vault is ${keyPath}; without it nothing can be restored`);
    return 0;
  } finally {
    await store.close();
  }
}

function aboutKey(type: string, keyPath: string | undefined): readonly string[] {
  if (type === 'none') return ['It is not encrypted: whoever can read it can read every disk in it.'];
  if (keyPath !== undefined) return [`Its key is ${keyPath}`, 'Without this key nothing in the vault can be restored, by anyone. Keep a copy in a safe place, apart from the vault.'];
  if (type === 'passphrase') return ['Its key is the passphrase.', 'Without it nothing in the vault can be restored, by anyone. Keep a copy in a safe place, apart from the vault.'];
  return ['Its key is in Azure Key Vault. If that key or its Key Vault is lost, nothing in the vault can be restored, by anyone.',
    'Add a second key for that day and keep it apart: holdfast key add --type key-file --new-key FILE --escrow'];
}

/** A passphrase or a key of Key Vault: there is no file to write first. */
async function initWithout(store: Store, fresh: NewVault, named: NamedKey, place: StoreSpec): Promise<void> {
  const { provider } = await makeNewKey({
    type: named.kind,
    keyVault: named.kind === 'key-vault' ? named.value : undefined,
    passphraseFile: named.source === '--passphrase-file' ? named.value : undefined,
    passphrase: named.source === 'HOLDFAST_PASSPHRASE' ? named.value : process.env['HOLDFAST_PASSPHRASE'],
  }, fresh.vaultId, place);
  await initVault(store, fresh, provider, named.kind === 'passphrase' ? 'passphrase' : 'Azure Key Vault', Date.now());
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
