import { readFileSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { hostname } from 'node:os';
import path from 'node:path';
import { type AccessSettings, createAccess } from '../access/access';
import { type ActivityDeps, DUTIES, type Duty } from '../activities/deps';
import { parseArmEndpoint } from '../azure/compute/arm-client';
import { createCredential } from '../azure/credential';
import { createCloud, createRestoreCloud } from '../azure/compute/cloud';
import { parseKeyId } from '../azure/keyvault/key-id';
import { createKeyVaultKeys } from '../azure/keyvault/remote-keys';
import { openSnapshotSource } from '../azure/disk/snapshot-source';
import { openStore } from '../azure/open-store';
import { openPageTarget } from '../azure/page-target';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import type { Courier } from '../activities/courier';
import { createCourier } from '../webhooks/courier';
import { isUnfollowed, parseWebhookSecrets } from '../webhooks/secrets';
import { observedStore } from '../telemetry/observed-store';
import { createTelemetry } from '../telemetry/otel';
import type { startAzureMonitor as StartAzureMonitor } from '../telemetry/azure-monitor';
import type { RunningTelemetry } from '../telemetry/providers';
import { type KeyProvider, keyFileProvider, openKeyProvider, parseKeyFile } from '../vault/keys/key-providers';
import { passphraseProvider } from '../vault/keys/passphrase';
import { remoteKeyProvider } from '../vault/keys/remote-key';
import { parseVaultAddress } from '../vault/store/store-spec';
import type { VaultAccess } from '../vault/format/tree';
import { openVault } from '../vault/vault';
import { type Services, withFleet } from './services';
import { readSettings, type Settings } from './settings';

/**
 * Begins to send telemetry where Application Insights is named, as the Functions host itself does by the same settings. Its packages are loaded only then: they take a
 * share of every cold start. `undefined` where there is none; in the local home the home itself listens.
 */
export function startMonitoring(env: NodeJS.ProcessEnv): RunningTelemetry | undefined {
  const connectionString = env.APPLICATIONINSIGHTS_CONNECTION_STRING ?? '';
  if (connectionString === '') return undefined;
  const { startAzureMonitor } = createRequire(__filename)('../telemetry/azure-monitor') as { startAzureMonitor: typeof StartAzureMonitor };
  const authentication = env.APPLICATIONINSIGHTS_AUTHENTICATION_STRING ?? '';
  const clientId = /(?:^|;)\s*ClientId=([^;]+)/i.exec(authentication)?.[1];
  const credential = /(?:^|;)\s*Authorization=AAD\b/i.test(authentication) ? createCredential(clientId === undefined ? 'managed-identity' : `managed-identity:${clientId.trim()}`) : undefined;
  return startAzureMonitor({ connectionString, ...(credential ? { credential } : {}), keepPercent: readSettings(env).traceCallsPercent, appName: appNameOf(env) });
}

const appNameOf = (env: NodeJS.ProcessEnv): string => env.WEBSITE_SITE_NAME ?? hostname();

/** The composition root of the app: settings in, services out. Nothing is opened before it is needed. */
export function compose(env: NodeJS.ProcessEnv): Services {
  const settings = readSettings(env, {
    HOLDFAST_KEY_VAULT: parseKeyId, HOLDFAST_ARM_ENDPOINT: parseArmEndpoint,
    HOLDFAST_AZURE_CREDENTIAL: createCredential, HOLDFAST_MAINTENANCE_CREDENTIAL: createCredential, HOLDFAST_RESTORE_CREDENTIAL: createCredential, HOLDFAST_WEBHOOK_SECRETS: parseWebhookSecrets,
  });
  if (isUnfollowed(settings.webhookSecrets)) logOf('Nobody is told of anything: the platform could not follow the reference in HOLDFAST_WEBHOOK_SECRETS (docs/notifications.md). Backups go on.');
  const access = accessOf(settings, env);
  if (access.kind === 'none') logOf('Nobody is let in over HTTP: HOLDFAST_AUTH does not say how callers prove who they are (docs/access.md). Backups go on by their policies.');
  if (access.kind === 'platform' && !access.platformIsOn) logOf('The authentication of the platform is off (WEBSITE_AUTH_ENABLED): sessions of the portal are refused, access tokens are taken.');
  return withFleet({
    access: createAccess(access, { nowMs: Date.now, requestsPerMinute: settings.requestsPerMinute }),
    schedulerCron: settings.schedulerCron,
    lookCron: settings.lookCron,
    housekeeping: { reconcileCron: settings.reconcileCron, sweepCron: settings.sweepCron, maintainCron: settings.maintainCron },
    notifications: { cron: settings.notifyCron, courier: courierOf(settings, env) },
    scrubs: { cron: settings.scrubCron, days: settings.scrubDays },
    deps: depsOf('backup', settings, env),
    others: { maintenance: depsOf('maintenance', settings, env), restore: depsOf('restore', settings, env) },
  });
}

/** In Azure no machine of ours is a target; on one machine, where people try things out, this one may be. */
const courierOf = ({ webhookSecrets }: Settings, env: NodeJS.ProcessEnv): Courier => createCourier({
  secrets: parseWebhookSecrets(webhookSecrets), allowLoopback: env.WEBSITE_SITE_NAME === undefined, origin: env.WEBSITE_HOSTNAME ?? hostname(),
});

const telemetry = createTelemetry();

/** Each duty opens the vault and reaches Azure with its own identity, in its transfer threads as well. */
function depsOf(duty: Duty, settings: Settings, env: NodeJS.ProcessEnv): ActivityDeps {
  const identity = identitiesOf(settings)[duty];
  const spec = parseVaultAddress(settings.vault);
  const credential = createCredential(identity);
  const cloudSettings = { subscriptionIds: settings.subscriptionIds, credential, duty, ...(settings.armEndpoint ? { armEndpoint: settings.armEndpoint } : {}) };
  return {
    vault: once(async () => {
      const store = await openStore(spec, env, { credential, duty });
      return openVault(observedStore(store, telemetry), await keyProvider(settings, credential, duty));
    }),
    cloud: createCloud(cloudSettings),
    keys: () => keysOf(settings),
    openSnapshotSource,
    restoreCloud: createRestoreCloud({ ...cloudSettings, restoreContainers: settings.restoreContainers, env }),
    openPageTarget,
    transfer: { factory: path.join(__dirname, '..', 'azure', 'transfer-factory.js'), store: { ...spec, credential: identity, duty }, threads: settings.transferThreads },
    lockKeepMs: settings.lockDays === undefined ? undefined : settings.lockDays * 86_400_000,
    appName: appNameOf(env),
    telemetry,
    nowMs: () => Date.now(),
    log: logOf,
  };
}

const logOf: ActivityDeps['log'] = (message, fields) => console.warn(JSON.stringify({ message, ...fields }));

/** What is known of callers, from the settings and from what the platform says of itself. Throws SETTING_INVALID. */
function accessOf({ auth }: Settings, env: NodeJS.ProcessEnv): AccessSettings {
  if (auth === undefined) return { kind: 'none' };
  if (auth.kind === 'local') return { kind: 'local', token: localTokenIn(auth.tokenFile) };
  if (auth.kind === 'bearer') return { kind: 'bearer', entra: auth.entra };
  return { kind: 'platform', entra: auth.entra, platformIsOn: (env.WEBSITE_AUTH_ENABLED ?? '').toLowerCase() === 'true', ownHost: env.WEBSITE_HOSTNAME ?? null };
}

/** At least 256 bits, however they are written. */
const MIN_TOKEN_CHARACTERS = 43;

function localTokenIn(file: string): string {
  const refused = (why: string, cause?: unknown): HoldfastError => new HoldfastError('SETTING_INVALID', `Settings are missing or wrong:\n  HOLDFAST_AUTH_TOKEN_FILE: ${why}; it is "${file.slice(0, 200)}" (docs/settings.md)`, { cause });
  try {
    if ((statSync(file).mode & 0o077) !== 0) throw refused('others than its owner may read or write it (chmod 600)');
    const token = readFileSync(file, 'utf8').trim();
    if (token.length < MIN_TOKEN_CHARACTERS) throw refused(`expects a token of at least ${MIN_TOKEN_CHARACTERS} characters in it (head -c 32 /dev/urandom | base64)`);
    return token;
  } catch (error) {
    throw error instanceof HoldfastError ? error : refused(`expects a file with the token (${messageOf(error)})`, error);
  }
}

const identitiesOf = (settings: Settings): Readonly<Record<Duty, string>> => ({ backup: settings.credential, maintenance: settings.maintenanceCredential, restore: settings.restoreCredential });

/** One for each identity; a key that is no service's is the same for all of them. */
async function keysOf(settings: Settings): Promise<Awaited<ReturnType<ActivityDeps['keys']>>> {
  if (settings.keyVault === '') return [{ provider: await keyProvider(settings, createCredential(settings.credential), 'backup'), identityOf: DUTIES }];
  const identities = identitiesOf(settings);
  const distinct = DUTIES.filter((duty, index) => DUTIES.findIndex((other) => identities[other] === identities[duty]) === index);
  return Promise.all(distinct.map(async (duty) => ({
    provider: await keyProvider(settings, createCredential(identities[duty]), duty), identityOf: DUTIES.filter((other) => identities[other] === identities[duty]),
  })));
}

async function keyProvider(settings: Settings, credential: ReturnType<typeof createCredential>, duty: Duty): Promise<KeyProvider> {
  if (settings.keyVault !== '') return remoteKeyProvider(createKeyVaultKeys({ key: settings.keyVault, credential, duty }));
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
