import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DUTIES } from '../../activities/deps';
import { transferFactory } from '../../azure/transfer-factory';
import { isHoldfastError } from '../../errors/holdfast-error';
import { compose } from '../../functions/compose';

const [backup, maintenance, restore] = [1, 2, 3].map((digit) => `managed-identity:00000000-0000-4000-8000-00000000000${digit}`);
const needed = { HOLDFAST_VAULT: 'https://acme.blob.core.windows.net/vault', AZURE_SUBSCRIPTION_IDS: '0f0e0d0c-1111-2222-3333-444455556666' };

describe('the duties of the app', () => {
  /** For whom the machine's managed identity was asked for a token; each is refused. One server for all tests: the SDK keeps the address of the first. */
  const clientIds: (string | null)[] = [];
  const server = createServer((request, response) => {
    clientIds.push(new URL(request.url ?? '', 'http://x').searchParams.get('client_id'));
    response.writeHead(400, { 'content-type': 'application/json' }).end('{"statusCode":400,"message":"no such identity"}');
  });
  const names = ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER'] as const;
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    Object.assign(process.env, { IDENTITY_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}/msi/token`, IDENTITY_HEADER: 'secret' });
  });
  after(async () => {
    // Each by its name: a plain object in the place of process.env would no longer set the time zone or anything else of the process.
    for (const name of names) delete process.env[name];
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  beforeEach(() => { clientIds.length = 0; });

  it('show each its own identity to the vault, in the main thread and in the threads of a transfer', async () => {
    const services = compose({ ...needed, HOLDFAST_AZURE_CREDENTIAL: backup, HOLDFAST_MAINTENANCE_CREDENTIAL: maintenance, HOLDFAST_RESTORE_CREDENTIAL: restore });
    const wanted = { backup, maintenance, restore };
    for (const duty of DUTIES) {
      const deps = duty === 'backup' ? services.deps : services.others[duty];
      const clientId = wanted[duty]?.split(':')[1];
      clientIds.length = 0;
      await assert.rejects(deps.vault());
      assert.deepEqual([...new Set(clientIds)], [clientId], `the vault of ${duty}`);
      clientIds.length = 0;
      const store = await transferFactory.openStore(deps.transfer.store);
      await assert.rejects(store.stat('vault.json'));
      assert.deepEqual([...new Set(clientIds)], [clientId], `a thread of ${duty}`);
      await store.close();
    }
  });

  it('each have their right to the key tried by the test of keys, one that several share once', async () => {
    const identities = { HOLDFAST_AZURE_CREDENTIAL: backup, HOLDFAST_RESTORE_CREDENTIAL: restore };
    const { others } = compose({ ...needed, ...identities, HOLDFAST_KEY_VAULT: 'https://acme.vault.azure.net/keys/vault' });
    const keys = await others.maintenance.keys();
    assert.deepEqual(keys.map(({ identityOf }) => identityOf), [['backup', 'maintenance'], ['restore']]);
    for (const { provider } of keys) await assert.rejects(provider.wrap(Buffer.alloc(32), {} as never), (error) => isHoldfastError(error, 'KEY_VAULT_DENIED'));
    assert.deepEqual([...new Set(clientIds)], [backup, restore].map((one) => one?.split(':')[1]));
    assert.equal((await compose({ ...needed, ...identities }).deps.keys()).length, 1);
  });

  it('share one identity where no other is named', () => {
    const { deps, others } = compose({ ...needed, HOLDFAST_AZURE_CREDENTIAL: backup });
    assert.deepEqual([deps, others.maintenance, others.restore].map(({ transfer }) => transfer.store.credential), [backup, backup, backup]);
  });

  it('are refused an identity that cannot be one', () => {
    for (const name of ['HOLDFAST_MAINTENANCE_CREDENTIAL', 'HOLDFAST_RESTORE_CREDENTIAL']) {
      assert.throws(() => compose({ ...needed, [name]: 'me' }), (error) => isHoldfastError(error, 'SETTING_INVALID') && error.message.includes(`${name}: `));
    }
  });
});
