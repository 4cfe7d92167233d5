import { resolve } from 'node:path';
import { HoldfastError } from '../errors/holdfast-error';
import { type KeyProvider, keyFileProvider, newKeyFile } from '../vault/keys/key-providers';
import { assertGoodPassphrase, passphraseProvider } from '../vault/keys/passphrase';
import type { StoreSpec } from '../vault/store/store-spec';
import { refuseKeyInVault, writeKeyFile } from './key-file';
import { keyVaultProvider } from './keys-at-hand';
import { askNewPassphrase, readPassphraseFile } from './passphrase';

/** A key that is about to be made for a vault. */
export interface NewKey {
  readonly type: 'key-file' | 'passphrase' | 'key-vault';
  readonly provider: KeyProvider;
  /** Path of the key file that was written; null for other types. */
  readonly keyFile: string | null;
}

/** Where a new key comes from, as options say it. */
export interface NewKeySource {
  readonly type: NewKey['type'];
  readonly file?: string | undefined;
  readonly passphraseFile?: string | undefined;
  /** A passphrase from the environment. */
  readonly passphrase?: string | undefined;
  readonly keyVault?: string | undefined;
}

/**
 * Makes a new key ready. A key file is safe on disk, outside the vault, before it returns. Throws KEY_EXISTS, KEY_IN_VAULT, KEY_NOT_WRITTEN,
 * PASSPHRASE_WEAK, PASSPHRASE_NOT_GIVEN, KEY_VAULT_ID, USAGE.
 */
export async function makeNewKey(source: NewKeySource, vaultId: Buffer, place: StoreSpec): Promise<NewKey> {
  const { type } = source;
  if (type === 'key-file') {
    if (source.file === undefined) throw new HoldfastError('USAGE', 'A new key file needs a place: name it with --new-key');
    const keyFile = resolve(source.file);
    if (place.kind === 'folder') await refuseKeyInVault(keyFile, place.path);
    const { text, secret } = newKeyFile(vaultId);
    await writeKeyFile(keyFile, text);
    return { type, keyFile, provider: keyFileProvider(secret) };
  }
  if (type === 'key-vault') {
    if (source.keyVault === undefined) throw new HoldfastError('USAGE', 'A key of the type key-vault needs the id of the key in Azure Key Vault: name it with --new-key-vault');
    return { type, keyFile: null, provider: await keyVaultProvider(source.keyVault) };
  }
  const passphrase = source.passphraseFile !== undefined ? await readPassphraseFile(source.passphraseFile) : source.passphrase || await askNewPassphrase();
  assertGoodPassphrase(passphrase);
  return { type, keyFile: null, provider: passphraseProvider(passphrase) };
}
