import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HoldfastError } from '../errors/holdfast-error';
import { type KeyProvider, keyFileProvider, openKeyProvider } from '../vault/keys/key-providers';
import { passphraseProvider } from '../vault/keys/passphrase';
import { remoteKeyProvider } from '../vault/keys/remote-key';
import type { Store } from '../vault/store/store';
import { readKeyDocuments } from '../vault/keys/unlock';
import { opensWithoutKey, readVaultInfo } from '../vault/vault';
import type { CommonOptions } from './command-options';
import { defaultKeyPath, readKeyFile } from './key-file';
import { askPassphrase, canAsk, readPassphraseFile } from './passphrase';

/** A key that somebody named, and where. Nothing is read, asked or sent before `provider` is called. */
export interface NamedKey {
  /** The option or the variable. */
  readonly source: string;
  readonly kind: 'key-file' | 'passphrase' | 'key-vault';
  /** Path of the file, or id of the Key Vault key; empty for a passphrase that is asked for. */
  readonly value: string;
}

/** The keys that options name, and those that the environment names, each in this order: key file, passphrase, Key Vault. */
export function namedKeys(options: CommonOptions): { readonly byOption: readonly NamedKey[]; readonly byEnvironment: readonly NamedKey[] } {
  const env = (name: string): string => process.env[name] ?? '';
  const all = (keys: readonly (NamedKey | undefined)[]): NamedKey[] => keys.flatMap((key) => (key ? [key] : []));
  const named = (source: string, kind: NamedKey['kind'], value: string | undefined): NamedKey | undefined => (value === undefined || value === '' ? undefined : { source, kind, value });
  return {
    byOption: all([
      named('--key', 'key-file', options.key),
      options.passphrase === true ? { source: '--passphrase', kind: 'passphrase', value: '' } : undefined,
      named('--passphrase-file', 'passphrase', options.passphraseFile),
      named('--key-vault', 'key-vault', options.keyVault),
    ]),
    byEnvironment: all([
      named('HOLDFAST_KEY', 'key-file', env('HOLDFAST_KEY')),
      named('HOLDFAST_PASSPHRASE', 'passphrase', env('HOLDFAST_PASSPHRASE')),
      named('HOLDFAST_KEY_VAULT', 'key-vault', env('HOLDFAST_KEY_VAULT')),
    ]),
  };
}

/** The one key to use where one is needed: an option goes before the environment. Two options at once are a mistake. Throws USAGE. */
export function oneNamedKey(options: CommonOptions): NamedKey | undefined {
  const { byOption, byEnvironment } = namedKeys(options);
  if (byOption.length > 1) throw new HoldfastError('USAGE', `${byOption.map(({ source }) => source).join(' and ')} each name a key; this command takes one`);
  return byOption[0] ?? byEnvironment[0];
}

/** The key, made ready: the file is read, the passphrase asked for. Throws KEY_NOT_FOUND, KEY_MALFORMED, PASSPHRASE_NOT_GIVEN, KEY_VAULT_ID. */
export async function providerOfNamed(key: NamedKey): Promise<KeyProvider> {
  if (key.kind === 'key-file') return keyFileProvider(await readKeyFile(resolve(key.value)));
  if (key.kind === 'key-vault') return keyVaultProvider(key.value);
  return passphraseProvider(await passphraseOf(key));
}

function passphraseOf({ source, value }: NamedKey): Promise<string> {
  if (source === '--passphrase') return process.env['HOLDFAST_PASSPHRASE'] && !canAsk() ? Promise.resolve(process.env['HOLDFAST_PASSPHRASE']) : askPassphrase('Passphrase');
  return source === '--passphrase-file' ? readPassphraseFile(value) : Promise.resolve(value);
}

/** The Azure client is loaded here: a key file never waits for it. */
export async function keyVaultProvider(key: string): Promise<KeyProvider> {
  const { createCredential } = await import('../azure/credential.js');
  const { createKeyVaultKeys } = await import('../azure/keyvault/remote-keys.js');
  return remoteKeyProvider(createKeyVaultKeys({ key, credential: createCredential(process.env['HOLDFAST_AZURE_CREDENTIAL'] || 'default') }));
}

/** The key that opens the vault, as docs/command-line.md states the rule. */
export async function openingProvider(store: Store, options: CommonOptions): Promise<KeyProvider> {
  const { vaultId } = await readVaultInfo(store);
  const named = oneNamedKey(options);
  if (named !== undefined) {
    const provider = await providerOfNamed(named);
    // A key was named, so the vault is thought to be encrypted: writing to one that is not would be a surprise.
    if (await opensWithoutKey(store)) throw new HoldfastError('KEY_REFUSED', `A key was named by ${named.source}, and the vault in ${store.description} was made without encryption: leave it away`);
    return provider;
  }
  const path = defaultKeyPath(vaultId);
  if (await isThere(path)) return keyFileProvider(await readKeyFile(path));
  if (await opensWithoutKey(store)) return openKeyProvider;
  const types = await keyTypes(store);
  if (types.has('passphrase') && canAsk()) return passphraseProvider(await askPassphrase(`Passphrase of the vault ${store.description}`));
  if (types.has('key-file') || types.size === 0) return keyFileProvider(await readKeyFile(path));
  throw new HoldfastError('KEY_NOT_FOUND', `No key was named, and there is none at ${path}; the vault has keys of the type ${[...types].join(', ')}`, { data: { path, types: [...types] } });
}

/** Every key that is named or lies in its usual place, for commands that prove keys. At least one, or what openingProvider says. */
export async function keysAtHand(store: Store, options: CommonOptions, alsoFiles: readonly string[] = []): Promise<readonly KeyProvider[]> {
  const { byOption, byEnvironment } = namedKeys(options);
  const path = defaultKeyPath((await readVaultInfo(store)).vaultId);
  const providers: KeyProvider[] = [];
  for (const key of [...byOption, ...byEnvironment]) providers.push(await providerOfNamed(key));
  for (const file of alsoFiles) providers.push(keyFileProvider(await readKeyFile(resolve(file))));
  if (byOption.length === 0 && (await isThere(path))) providers.push(keyFileProvider(await readKeyFile(path)));
  return providers.length > 0 ? providers : [await openingProvider(store, options)];
}

async function keyTypes(store: Store): Promise<Set<string>> {
  return new Set((await readKeyDocuments(store)).flatMap(({ document }) => (document ? [document.type] : [])));
}

const isThere = (path: string): Promise<boolean> => access(path).then(() => true, () => false);
