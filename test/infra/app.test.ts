import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createKeyVaultKeys } from '../../azure/keyvault/remote-keys';
import { openStore } from '../../azure/open-store';
import type { JobView } from '../../functions/job-view';
import { createAzureStandIn } from '../../local/azure/stand-in';
import { remoteKeyProvider } from '../../vault/keys/remote-key';
import { drawVault, initVault } from '../../vault/vault';
import { startAzurite } from '../support/azurite';
import { startFakeKeyVault } from '../support/fake-key-vault';
import { addVm, halfDisk } from '../support/home';
import { Issuer } from '../support/issuer';
import { makeTempFolder } from '../support/temp-folder';
import { appSettings, type Deployed, evaluate, readSnapshot } from './bicep-snapshot';

const identity = (digit: number) => ({ id: `/identities/${digit}`, clientId: `00000000-0000-4000-8000-00000000000${digit}`, principalId: '' });
const clientIds = [1, 2, 3].map((digit) => identity(digit).clientId);

interface Listening { readonly url: string }

describe('the app with the settings that the Bicep files give it', function () {
  this.timeout(240_000);
  const undo: (() => unknown)[] = [];
  afterEach(async () => { for (const step of undo.splice(0).reverse()) await step(); });

  /** The app as a process of its own, which sees no other setting than these. */
  async function startApp(env: NodeJS.ProcessEnv): Promise<Listening> {
    const child: ChildProcess = spawn(process.execPath, [path.join(__dirname, 'deployed-app.js')], { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    let told = '';
    child.stderr?.on('data', (text: Buffer) => { told += text.toString(); });
    undo.push(async () => {
      const ended = child.exitCode === null ? once(child, 'exit') : undefined;
      child.stdin?.destroy();
      await ended;
    });
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    const [line] = await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => assert.fail(`the app ended: ${told}`))]) as [string];
    return JSON.parse(line) as Listening;
  }

  it('starts, backs a machine up into a container with the key in Key Vault, and each identity is shown for its own duty alone', async () => {
    const temp = await makeTempFolder();
    undo.push(() => temp.remove());
    const disks = path.join(temp.path, 'disks');
    await mkdir(disks);
    await addVm(disks, 'web', { os: halfDisk(4, 1) });
    const standIn = createAzureStandIn({ disksFolder: disks, stateFolder: path.join(temp.path, 'azure'), port: 0 });
    await standIn.start();
    undo.push(() => standIn.stop());
    const keyVault = await startFakeKeyVault();
    undo.push(() => keyVault.close());
    keyVault.rotate('vault');
    const containerUrl = (await startAzurite()).newContainerUrl();

    // The stand-ins in place of what the deployment makes.
    const deployed: Deployed = {
      outputs: {
        identities: { host: identity(0), backup: identity(1), maintenance: identity(2), restore: identity(3) },
        taskHub: { endpoints: { blob: '', queue: '', table: '' } }, telemetry: { connectionString: '' },
        vault: { containerUrl }, keyVault: { keyUri: `${keyVault.origin}/keys/vault` },
      },
      environment: { resourceManager: standIn.url, authentication: { loginEndpoint: '' }, suffixes: { storage: '' } },
    };
    const settings = Object.fromEntries(Object.entries(appSettings(readSnapshot('main'))).map(([name, value]) => [name, evaluate(value, deployed)]));
    settings.AZURE_SUBSCRIPTION_IDS = standIn.subscriptionId;

    const store = await openStore({ kind: 'blob', containerUrl }, {}, { create: true });
    undo.push(() => store.close());
    const admin = remoteKeyProvider(createKeyVaultKeys({ key: `${keyVault.origin}/keys/vault`, credential: keyVault.credential, ca: keyVault.ca }));
    await initVault(store, drawVault(), admin, 'Key Vault', Date.now());

    const closed = await startApp({ ...settings, ...keyVault.env });
    const nobody = await fetch(`${closed.url}/api/items`);
    assert.equal(nobody.status, 401);
    assert.match(((await nobody.json()) as { detail: string }).detail, /HOLDFAST_AUTH/, 'without an app registration it lets nobody in, and says so');

    const issuer = await Issuer.start();
    undo.push(() => issuer.close());
    const app = await startApp({ ...settings, ...keyVault.env, ...issuer.env, HOLDFAST_AUTH: 'platform', WEBSITE_AUTH_ENABLED: 'True' });
    const authorization = `Bearer ${await issuer.token(['Admin'])}`;
    const ask = async (address: string, init: RequestInit = {}): Promise<Response> => fetch(`${app.url}${address}`, { ...init, headers: { authorization } });
    assert.equal((await fetch(`${app.url}/api/items`)).status, 401, 'whoever does not sign in gets no answer');

    const started = await ask('/api/items/web/backups', { method: 'POST' });
    assert.equal(started.status, 202, await started.clone().text());
    const { id } = await started.json() as { id: string };
    let job: JobView;
    do {
      await delay(50);
      job = await (await ask(`/api/jobs/${id}`)).json() as JobView;
    } while (job.state === 'running' || job.state === 'queued');
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assert.deepEqual([...new Set(keyVault.identities)], [clientIds[0]], 'a backup shows the identity of backups alone');

    const maintained = await ask('/api/vault/maintenance', { method: 'POST' });
    assert.equal(maintained.status, 202, await maintained.clone().text());
    let last: { readonly error: unknown; readonly keys: { readonly opened: readonly string[] } | null } | undefined;
    do {
      await delay(50);
      [last] = (await (await ask('/api/vault/maintenance')).json() as { last: typeof last[] }).last;
    } while (last === undefined);
    assert.equal(last.error, null, JSON.stringify(last.error));
    assert.equal(last.keys?.opened.length, 1);
    assert.deepEqual([...new Set(keyVault.identities)].sort(), clientIds, 'the test of keys tries the key with each identity');

    const restored = path.join(temp.path, 'os.img');
    await promisify(execFile)(process.execPath, [path.join(__dirname, '../../../bin/holdfast.js'), 'restore', job.recoveryPoint ?? '', '--to', restored, '--vault', containerUrl, '--key-vault', `${keyVault.origin}/keys/vault`], { env: { PATH: process.env.PATH, HOME: temp.path, ...keyVault.env } });
    assert.ok((await readFile(restored)).equals(halfDisk(4, 1)));
  });
});
