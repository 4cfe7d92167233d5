import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { addVm, type Home, noise, startHome } from '../support/home';
import { CLIENT, Issuer, TENANT } from '../support/issuer';
import { CliHome } from './cli-home';

describe('holdfast --url with a sign-in to Entra ID', function () {
  this.timeout(120_000);
  let home: Home;
  let issuer: Issuer;
  let cli: CliHome;
  /** The endpoint of a managed identity, which hands out tokens of the issuer to whoever runs on this machine. */
  let identity: Server;
  let roles: string[];
  let isRefusing = false;
  const asked: string[] = [];

  before(async () => {
    issuer = await Issuer.start();
    identity = createServer((request, response) => {
      const resource = new URL(request.url ?? '/', 'http://localhost').searchParams.get('resource') ?? '';
      asked.push(resource);
      if (isRefusing) {
        response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ statusCode: 400, message: 'No managed identity was found' }));
        return;
      }
      void issuer.token(roles).then((token) => response.writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ access_token: token, token_type: 'Bearer', resource, expires_on: String(Math.floor(Date.now() / 1000) + 3600) })));
    });
    await new Promise<void>((resolve) => { identity.listen(0, '127.0.0.1', resolve); });
    home = await startHome((disks) => addVm(disks, 'web', { os: noise(4096, 1) }), { startMs: Date.now(), host: { port: 0 }, access: { kind: 'bearer', entra: issuer.settings } });
    cli = await CliHome.make();
    cli.defaults = {
      HOLDFAST_VAULT: '', HOLDFAST_URL: home.host.url, HOLDFAST_AUTH_CLIENT_ID: CLIENT, HOLDFAST_AUTH_TENANT: TENANT,
      IDENTITY_ENDPOINT: `http://127.0.0.1:${(identity.address() as AddressInfo).port}/msi/token`, IDENTITY_HEADER: 'secret',
    };
  });
  after(async () => {
    await cli.remove();
    await home.dispose();
    await new Promise((resolve) => { identity.close(resolve); identity.closeAllConnections(); });
    await issuer.close();
  });

  it('asks for a token of this app and no other, and may what its role may', async () => {
    roles = ['Operator'];
    assert.deepEqual(await cli.json(['items']), []);
    assert.deepEqual([...new Set(asked)], [`api://${CLIENT}`]);
    const refused = await cli.fails(['policy', 'delete', 'nightly'], 'FORBIDDEN', 5);
    assert.match(refused.message, /takes the role Admin; operator@example\.com has the role Operator/);
    roles = ['Admin'];
    await cli.fails(['policy', 'delete', 'nightly'], 'POLICY_NOT_FOUND', 3);
    roles = [];
    assert.match((await cli.fails(['items'], 'FORBIDDEN', 5)).message, /has no role of this app/);
  });

  it('says that there is no token when nobody is signed in', async () => {
    isRefusing = true;
    const { message } = await cli.fails(['items'], 'UNAUTHENTICATED', 5, { AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential' });
    assert.match(message, new RegExp(`Entra ID gave no token for api://${CLIENT}: `));
  });
});
