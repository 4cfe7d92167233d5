import { openStore } from '../azure/open-store';
import { listPolicies, savePolicy } from '../activities/policy-store';
import { initWithKey } from '../cli/init';
import { defaultKeyPath, refuseKeyInVault } from '../cli/key-file';
import { type NamedKey, namedKeys, providerOfNamed } from '../cli/keys-at-hand';
import { makeNewKey, type NewKeySource } from '../cli/new-key';
import { isHoldfastError } from '../errors/holdfast-error';
import { parsePolicy, type PolicyDocument } from '../policy/schema';
import type { Store } from '../vault/store/store';
import { parseVaultAddress, type StoreSpec } from '../vault/store/store-spec';
import { drawVault, initVault, type NewVault, openVault, opensWithoutKey, readVaultInfo } from '../vault/vault';

/** The policy that a new home begins with: soon enough to be watched, and every machine in it. */
const FIRST_POLICY: PolicyDocument = parsePolicy({
  name: 'every-15-minutes', description: 'Made at the first start: every machine, every 15 minutes', schedule: { minutes: { every: 15 } }, items: { all: true },
});

/** What the environment of `npm start` names besides must not get to the app, which takes one key. */
const NO_KEY = { HOLDFAST_KEY: '', HOLDFAST_PASSPHRASE: '', HOLDFAST_KEY_VAULT: '' };

export interface VaultHome {
  readonly vaultId: Buffer;
  /** The app's settings for the key that opens the vault; all empty for a vault without encryption. */
  readonly keySettings: Readonly<Record<string, string>>;
  /** Where the key is, for people; null for a vault without encryption. */
  readonly key: string | null;
  readonly isNew: boolean;
  readonly policies: readonly string[];
}

/**
 * Makes the vault and its key when there is none yet, and a policy when none is in force. `keyFile` names another place for the key; without it HOLDFAST_PASSPHRASE or
 * HOLDFAST_KEY_VAULT may name another kind of key. Throws KEY_NOT_FOUND, KEY_MALFORMED, KEY_REFUSED and what Key Vault says.
 */
export async function prepareVault(address: string, keyFile: string | undefined): Promise<VaultHome> {
  const spec = parseVaultAddress(address);
  const other = keyFile === undefined ? namedKeys({}).byEnvironment.find(({ kind }) => kind !== 'key-file') : undefined;
  const store = await openStore(spec, process.env, { create: true });
  try {
    let isNew = false;
    let vaultId: Buffer;
    try {
      ({ vaultId } = await readVaultInfo(store));
    } catch (error) {
      if (!isHoldfastError(error, 'VAULT_NOT_FOUND')) throw error;
      const fresh = drawVault();
      if (other) await initVault(store, fresh, (await makeNewKey(sourceOf(other), fresh.vaultId, spec)).provider, other.kind, Date.now());
      else await initWithKeyFile(store, spec, fresh, keyFile ?? defaultKeyPath(fresh.vaultId));
      vaultId = fresh.vaultId;
      isNew = true;
    }
    const named: NamedKey | null = await opensWithoutKey(store) ? null : other ?? { source: 'HOLDFAST_KEY', kind: 'key-file', value: keyFile ?? defaultKeyPath(vaultId) };
    // A key that is missing or of another vault must stop the start, and not every backup after it.
    if (named) await openVault(store, await providerOfNamed(named));
    const broken: string[] = [];
    const policies = await listPolicies(store, (name) => broken.push(name));
    if (policies.length === 0 && broken.length === 0) await savePolicy(store, FIRST_POLICY, null);
    return {
      vaultId, keySettings: { ...NO_KEY, ...(named ? { [named.source]: named.value } : {}) }, key: named && (named.kind === 'passphrase' ? 'the passphrase in HOLDFAST_PASSPHRASE' : named.value), isNew,
      policies: policies.length + broken.length === 0 ? [FIRST_POLICY.name] : [...policies.map(({ document }) => document.name), ...broken.map((name) => `${name} (cannot be read)`)],
    };
  } finally {
    await store.close();
  }
}

async function initWithKeyFile(store: Store, spec: StoreSpec, fresh: NewVault, path: string): Promise<void> {
  if (spec.kind === 'folder') await refuseKeyInVault(path, spec.path);
  await initWithKey(store, fresh, path);
}

const sourceOf = ({ kind, value }: NamedKey): NewKeySource => ({ type: kind, ...(kind === 'passphrase' ? { passphrase: value } : { keyVault: value }) });
