import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { createCredential } from '../azure/credential';
import { createCloud, createRestoreCloud } from '../azure/compute/cloud';
import { parseKeyId } from '../azure/keyvault/key-id';
import { createKeyVaultKeys } from '../azure/keyvault/remote-keys';
import { openSnapshotSource } from '../azure/disk/snapshot-source';
import { openStore } from '../azure/open-store';
import { openPageTarget } from '../azure/page-target';
import { HoldfastError } from '../errors/holdfast-error';
import { type KeyProvider, keyFileProvider, openKeyProvider, parseKeyFile } from '../vault/keys/key-providers';
import { passphraseProvider } from '../vault/keys/passphrase';
import { remoteKeyProvider } from '../vault/keys/remote-key';
import { parseVaultAddress } from '../vault/store/store-spec';
import type { VaultAccess } from '../vault/format/tree';
import { openVault } from '../vault/vault';
import type { Services } from './services';
import { readSettings, type Settings } from './settings';

/** The composition root of the app: settings in, services out. Nothing is opened before it is needed. */
export function compose(env: NodeJS.ProcessEnv): Services {
  const settings = readSettings(env);
  const spec = parseVaultAddress(settings.vault);
  const credential = createCredential(settings.credential);
  const cloudSettings = { subscriptionIds: settings.subscriptionIds, credential, ...(settings.armEndpoint ? { armEndpoint: settings.armEndpoint } : {}) };
  if (settings.keyVault !== '') parseKeyId(settings.keyVault);
  return {
    http: settings,
    schedulerCron: settings.schedulerCron,
    housekeeping: { reconcileCron: settings.reconcileCron, sweepCron: settings.sweepCron, maintainCron: settings.maintainCron },
    scrubs: { cron: settings.scrubCron, days: settings.scrubDays },
    deps: {
      vault: once(async () => {
        const store = await openStore(spec, env, { credential });
        return openVault(store, await keyProvider(settings, credential));
      }),
      cloud: createCloud(cloudSettings),
      keys: async () => [await keyProvider(settings, credential)],
      openSnapshotSource,
      restoreCloud: createRestoreCloud({ ...cloudSettings, restoreContainers: settings.restoreContainers, env }),
      openPageTarget,
      transfer: { factory: path.join(__dirname, '..', 'azure', 'transfer-factory.js'), store: { ...spec }, threads: settings.transferThreads },
      lockKeepMs: settings.lockDays === undefined ? undefined : settings.lockDays * 86_400_000,
      appName: env.WEBSITE_SITE_NAME ?? hostname(),
      nowMs: () => Date.now(),
      log: (message, fields) => console.warn(JSON.stringify({ message, ...fields })),
    },
  };
}

async function keyProvider(settings: Settings, credential: ReturnType<typeof createCredential>): Promise<KeyProvider> {
  if (settings.keyVault !== '') return remoteKeyProvider(createKeyVaultKeys({ key: settings.keyVault, credential }));
  if (settings.passphrase !== '') return passphraseProvider(settings.passphrase);
  if (settings.keyFile === '') return openKeyProvider;
  try {
    return keyFileProvider(parseKeyFile(await readFile(settings.keyFile, 'utf8'), settings.keyFile));
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause;
    throw new HoldfastError('KEY_NOT_FOUND', `The key file ${settings.keyFile} cannot be read`, { cause, data: { path: settings.keyFile } });
  }
}

/** Opens once and keeps it; a failure is not kept, so the next one who asks tries again. */
function once(open: () => Promise<VaultAccess>): () => Promise<VaultAccess> {
  let opened: Promise<VaultAccess> | undefined;
  return () => {
    opened ??= open().catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
}
