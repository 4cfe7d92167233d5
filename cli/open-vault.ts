import { setFlagsFromString } from 'node:v8';
import { HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import type { Store } from '../vault/store/store';
import { parseVaultAddress, type StoreSpec } from '../vault/store/store-spec';
import type { VaultAccess } from '../vault/format/tree';
import { openVault, readVaultInfo } from '../vault/vault';
import type { CommonOptions } from './command-options';
import { openingProvider } from './keys-at-hand';
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

/** Opens the vault with its key, gives it to `use`, and closes it whatever happens. */
export async function withVault<T>(options: CommonOptions, mode: 'read' | 'write' | 'dry-run', use: (opened: OpenedVault) => Promise<T>): Promise<T> {
  return withStore(options, mode, async (store, spec) => use({ vault: await openVault(store, await openingProvider(store, options)), spec }));
}

/**
 * Garbage is mostly the memory of chunks, which V8 sees too little of: with its own rule it marks the whole heap a hundred times during a backup of 4 GiB, for a
 * tenth of all processor time. With this one it does so sixty times, and some 15 MiB more pile up. Not with a container, whose client holds memory enough.
 * No sooner than here, when threads have begun to start: under other flags than it was built with, Node compiles all that is its own anew.
 */
function collectGarbageLessOften(): void {
  setFlagsFromString('--heap-growing-percent=200');
}

/** Opens the vault's place without its key. */
export async function withStore<T>(options: CommonOptions, mode: 'read' | 'write' | 'dry-run', use: (store: Store, spec: OpenedVault['spec']) => Promise<T>): Promise<T> {
  const spec = { store: namedVault(options), readOnly: mode === 'read', discard: mode === 'dry-run' };
  if (spec.store.kind === 'folder') collectGarbageLessOften();
  const store = await openSpec(spec);
  try {
    return await use(store, spec);
  } finally {
    await store.close();
  }
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
