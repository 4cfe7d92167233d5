import { openStore } from '../azure/open-store';
import { listPolicies, savePolicy } from '../activities/policy-store';
import { initWithKey } from '../cli/init';
import { defaultKeyPath, readKeyFile, refuseKeyInVault } from '../cli/key-file';
import { isHoldfastError } from '../errors/holdfast-error';
import { parsePolicy, type PolicyDocument } from '../policy/schema';
import { keyFileProvider } from '../vault/key-providers';
import { parseVaultAddress } from '../vault/store/store-spec';
import { drawVault, openVault, opensWithoutKey, readVaultInfo } from '../vault/vault';

/** The policy that a new home begins with: soon enough to be watched, and every machine in it. */
const FIRST_POLICY: PolicyDocument = parsePolicy({
  name: 'every-15-minutes', description: 'Made at the first start: every machine, every 15 minutes', schedule: { minutes: { every: 15 } }, items: { all: true },
});

export interface VaultHome {
  readonly vaultId: Buffer;
  /** Path of the key file; empty for a vault without encryption. */
  readonly keyFile: string;
  readonly isNew: boolean;
  readonly policies: readonly string[];
}

/** Makes the vault and its key when there is none yet, and a policy when none is in force. `keyFile` names another place for the key. Throws KEY_NOT_FOUND, KEY_MALFORMED, KEY_REFUSED. */
export async function prepareVault(address: string, keyFile: string | undefined): Promise<VaultHome> {
  const spec = parseVaultAddress(address);
  const store = await openStore(spec, process.env, { create: true });
  try {
    let isNew = false;
    let vaultId: Buffer;
    try {
      ({ vaultId } = await readVaultInfo(store));
    } catch (error) {
      if (!isHoldfastError(error, 'VAULT_NOT_FOUND')) throw error;
      const fresh = drawVault();
      const path = keyFile ?? defaultKeyPath(fresh.vaultId);
      if (spec.kind === 'folder') await refuseKeyInVault(path, spec.path);
      await initWithKey(store, fresh, path);
      vaultId = fresh.vaultId;
      isNew = true;
    }
    const key = await opensWithoutKey(store) ? '' : keyFile ?? defaultKeyPath(vaultId);
    // A key that is missing or of another vault must stop the start, and not every backup after it.
    if (key !== '') await openVault(store, keyFileProvider(await readKeyFile(key)));
    const broken: string[] = [];
    const policies = await listPolicies(store, (name) => broken.push(name));
    if (policies.length === 0 && broken.length === 0) await savePolicy(store, FIRST_POLICY, null);
    return { vaultId, keyFile: key, isNew, policies: policies.length + broken.length === 0 ? [FIRST_POLICY.name] : [...policies.map(({ document }) => document.name), ...broken.map((name) => `${name} (cannot be read)`)] };
  } finally {
    await store.close();
  }
}
