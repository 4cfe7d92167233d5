import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSettings, settingNames } from '../../functions/settings';
import { appSettings, type Deployed, evaluate, infraFolder, readSnapshot } from './bicep-snapshot';

/** Not the app's own: the Functions host reads them, and the platform. */
const hostSettings = [
  'AzureWebJobsStorage__blobServiceUri', 'AzureWebJobsStorage__queueServiceUri', 'AzureWebJobsStorage__tableServiceUri', 'AzureWebJobsStorage__credential', 'AzureWebJobsStorage__clientId',
  'APPLICATIONINSIGHTS_CONNECTION_STRING', 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING', 'AzureWebJobsDisableHomepage',
];
const schedulerSettings = [
  'DURABLE_TASK_SCHEDULER_CONNECTION_STRING', 'AzureFunctionsJobHost__extensions__durableTask__hubName',
  'AzureFunctionsJobHost__extensions__durableTask__storageProvider__type', 'AzureFunctionsJobHost__extensions__durableTask__storageProvider__connectionStringName',
];

/** Flex Consumption has these among the properties of the app. */
const premiumSettings = ['FUNCTIONS_EXTENSION_VERSION', 'FUNCTIONS_WORKER_RUNTIME', 'WEBSITE_RUN_FROM_PACKAGE', 'WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID'];

/** Settings of the app that a deployment must not set: the vault takes one key, and that one is in Key Vault; and the token of the local home is for a home that only its machine reaches. */
const otherKeys = ['HOLDFAST_KEY', 'HOLDFAST_PASSPHRASE', 'HOLDFAST_AUTH_TOKEN_FILE'];

/** Read outside functions/settings.ts: by the platform's wish, or where the vault's container is not opened by an identity. */
const readElsewhere = ['APPLICATIONINSIGHTS_AUTHENTICATION_STRING', 'APPLICATIONINSIGHTS_CONNECTION_STRING', 'AZURE_STORAGE_ACCOUNT', 'AZURE_STORAGE_CONNECTION_STRING', 'AZURE_STORAGE_KEY', 'WEBSITE_AUTH_ENABLED', 'WEBSITE_HOSTNAME', 'WEBSITE_SITE_NAME'];

const identity = (digit: number) => ({ id: `/identities/${digit}`, clientId: `00000000-0000-4000-8000-00000000000${digit}`, principalId: `00000000-0000-4000-9000-00000000000${digit}` });
const deployed: Deployed = {
  outputs: {
    identities: { host: identity(0), backup: identity(1), maintenance: identity(2), restore: identity(3) },
    taskHub: { packageContainerUrl: 'https://hub.blob.core.windows.net/app-package', endpoints: { blob: 'https://hub.blob.core.windows.net/', queue: 'https://hub.queue.core.windows.net/', table: 'https://hub.table.core.windows.net/' } },
    telemetry: { connectionString: 'InstrumentationKey=00000000-0000-4000-8000-000000000004' },
    vault: { containerUrl: 'https://acmevault.blob.core.windows.net/vault' },
    keyVault: { keyUri: 'https://kv-acme.vault.azure.net/keys/vault' },
    taskScheduler: { endpoint: 'https://acme.westeurope.durabletask.io', hubName: 'holdfast' },
  },
  environment: { resourceManager: 'https://management.azure.com/', authentication: { loginEndpoint: 'https://login.microsoftonline.com/' }, suffixes: { storage: 'core.windows.net' } },
};

for (const estate of ['main', 'main.large', 'main.premium'] as const) {
  describe(`the settings that ${estate}.bicepparam deploys`, () => {
    const settings = appSettings(readSnapshot(estate));
    const values = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, evaluate(value, deployed)]));

    it('are all that the app reads and nothing else, beside what the host reads', () => {
      const host = [...hostSettings, ...(estate === 'main.large' ? schedulerSettings : []), ...(estate === 'main.premium' ? premiumSettings : [])];
      assert.deepEqual(Object.keys(settings).sort(), [...settingNames.filter((name) => !otherKeys.includes(name)), ...host].sort());
    });

    it('start the app, with an identity for each duty', () => {
      const read = readSettings(values);
      assert.deepEqual([read.credential, read.maintenanceCredential, read.restoreCredential], [1, 2, 3].map((digit) => `managed-identity:${identity(digit).clientId}`));
      assert.equal(read.vault, 'https://acmevault.blob.core.windows.net/vault');
      assert.equal(read.keyVault, 'https://kv-acme.vault.azure.net/keys/vault');
      assert.deepEqual(read.auth, estate !== 'main.large' ? undefined : {
        kind: 'platform', entra: { clientId: '44444444-4444-4444-4444-444444444444', tenantId: '55555555-5555-5555-5555-555555555555', authority: 'https://login.microsoftonline.com' },
      }, 'without an app registration nobody is let in');
      assert.equal(read.lockDays, estate === 'main.large' ? 30 : undefined);
      assert.deepEqual(read.restoreContainers, estate === 'main.large' ? ['https://acmerestores.blob.core.windows.net/restored'] : []);
    });

    it('hold no secret, and the host has an identity of its own', () => {
      for (const [name, value] of Object.entries(values)) assert.doesNotMatch(value, /AccountKey=|SharedAccess|[?&]sig=|Password/i, name);
      assert.equal(values.AzureWebJobsStorage__clientId, identity(0).clientId);
      assert.equal(values.APPLICATIONINSIGHTS_AUTHENTICATION_STRING, `ClientId=${identity(0).clientId};Authorization=AAD`);
    });
  });
}

describe('the settings that the code reads', () => {
  it('are those of functions/settings.ts, and a few that are known', () => {
    const root = join(infraFolder, '..');
    const read = new Set<string>();
    for (const file of globSync('{access,activities,azure,errors,functions,orchestrations,policy,vault}/**/*.ts', { cwd: root })) {
      const text = readFileSync(join(root, file), 'utf8');
      for (const [, dotted, quoted] of text.matchAll(/\benv(?:\.([A-Z][A-Z0-9_]+)|\[['"]([A-Z][A-Z0-9_]+)['"]\])/g)) read.add(dotted ?? quoted ?? '');
    }
    assert.deepEqual([...read].filter((name) => !settingNames.includes(name)).sort(), readElsewhere);
  });
});
