import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseKeyId, textOf } from '../../../azure/keyvault/key-id';
import { parseChallenge } from '../../../azure/keyvault/key-vault-client';
import { createKeyVaultKeys } from '../../../azure/keyvault/remote-keys';
import type { ErrorCode } from '../../../errors/catalogue';
import { isHoldfastError } from '../../../errors/holdfast-error';
import type { RemoteKeys } from '../../../vault/keys/remote-key';
import { type FakeKeyVault, json, startFakeKeyVault } from '../../support/fake-key-vault';
import { recordedWaiting } from '../../support/wire-server';

const code = (...wanted: ErrorCode[]) => (error: unknown): boolean => isHoldfastError(error) && wanted.includes(error.code);
const secret = Buffer.alloc(32, 9);

describe('keys in Azure Key Vault', () => {
  let service: FakeKeyVault;
  let pausesMs: readonly number[];

  beforeEach(async () => { service = await startFakeKeyVault(); });
  afterEach(() => service.close());

  const keysOf = (key: string, credential = service.credential): RemoteKeys => {
    const waiting = recordedWaiting();
    ({ pausesMs } = waiting);
    return createKeyVaultKeys({ key, credential, ca: service.ca, waiting });
  };

  it('wrap and unwrap with RSA-OAEP-256 and pin the version that wrapped', async () => {
    const first = service.rotate('vault-key');
    const newest = keysOf(`${service.origin}/keys/vault-key`);
    const { key, wrapped } = await newest.wrap(secret);
    assert.equal(key, first);
    const second = service.rotate('vault-key');
    assert.ok((await newest.unwrap(key, wrapped)).equals(secret), 'the version that wrapped still unwraps after a rotation');
    assert.equal((await newest.wrap(secret)).key, second);
    await assert.rejects(newest.unwrap(second, wrapped), code('KEY_REFUSED'));
    assert.ok(service.bodies.every((body) => (JSON.parse(body) as { alg: string }).alg === 'RSA-OAEP-256'));
    assert.ok(service.log.every((line) => line.startsWith('POST /keys/vault-key/')), 'no permission but wrapKey and unwrapKey is needed');
  });

  it('that are named with a version are that version and no other', async () => {
    const first = service.rotate('vault-key');
    const second = service.rotate('vault-key');
    const pinned = keysOf(first);
    assert.equal((await pinned.wrap(secret)).key, first);
    assert.deepEqual([first, second, first.toUpperCase().replace('HTTPS', 'https'), `${service.origin}/keys/other/${'0'.repeat(32)}`, `${service.origin}/keys/vault-key`, 'rubbish'].map((one) => pinned.mayUse(one)), [true, false, false, false, false, false]);
    assert.equal(keysOf(`${service.origin}/keys/vault-key`).mayUse(second), true);
    assert.equal(keysOf('https://mine.vault.azure.net/keys/k').mayUse(`https://evil.vault.azure.net/keys/k/${'0'.repeat(32)}`), false);
  });

  for (const [what, answer, expected, tries] of [
    ['refuses access', json(403, { error: { code: 'Forbidden', message: 'Caller is not authorized', innererror: { code: 'ForbiddenByRbac' } } }), 'KEY_VAULT_DENIED', 1],
    ['is closed by its firewall', json(403, { error: { code: 'Forbidden', message: 'Client address is not authorized', innererror: { code: 'ForbiddenByFirewall' } } }), 'KEY_VAULT_DENIED', 1],
    ['has the key disabled', json(403, { error: { code: 'Forbidden', message: 'Operation unwrapKey is not allowed on a disabled key.', innererror: { code: 'KeyDisabled' } } }), 'KEY_VAULT_KEY_UNUSABLE', 1],
    ['does not have the key', json(404, { error: { code: 'KeyNotFound', message: 'not found' } }), 'KEY_VAULT_KEY_GONE', 1],
    ['keeps throttling', { ...json(429, { error: { code: 'Throttled', message: 'too many' } }), headers: { 'retry-after': '3' } }, 'KEY_VAULT_THROTTLED', 5],
    ['asks for a long pause', { ...json(429, {}), headers: { 'retry-after': '3600' } }, 'KEY_VAULT_THROTTLED', 1],
    ['stays out of order', { status: 503, body: '<html>gateway' }, 'KEY_VAULT_UNREACHABLE', 5],
    ['answers something else', { status: 200, body: '<html>sign in' }, 'KEY_VAULT_UNREACHABLE', 1],
    ['answers of another key', json(200, { kid: `https://localhost/keys/other/${'0'.repeat(32)}`, value: 'AAAA' }), 'KEY_VAULT_UNREACHABLE', 1],
  ] as const) {
    it(`say so when the Key Vault ${what}`, async () => {
      const id = service.rotate('vault-key');
      service.plan(...Array.from({ length: tries }, () => answer));
      await assert.rejects(keysOf(id).unwrap(id, Buffer.alloc(256)), code(expected));
      assert.equal(service.log.length, tries);
    });
  }

  it('wait as long as they are asked to, and go on', async () => {
    const id = service.rotate('vault-key');
    const keys = keysOf(id);
    service.plan({ ...json(429, {}), headers: { 'retry-after': '7' } }, { status: 503, body: '' });
    assert.ok((await keys.unwrap(id, (await keys.wrap(secret)).wrapped)).equals(secret));
    assert.ok(pausesMs.length === 2 && (pausesMs[0] ?? 0) >= 7000, String(pausesMs));
  });

  it('get a token of the tenant that the challenge names, once', async () => {
    const id = service.rotate('vault-key');
    service.demandTenant();
    assert.equal((await keysOf(id).wrap(secret)).key, id);
    assert.deepEqual(service.tenants, [undefined, 'aaaaaaaa-0000-4000-8000-000000000001']);
    assert.deepEqual(service.log.map((line) => line.slice(-3)), ['401', '200']);
  });

  it('say when no token is to be had, and never what the token was', async () => {
    const id = service.rotate('vault-key');
    const refused = Object.assign(new Error('no identity here: eyJ0oken'), { name: 'CredentialUnavailableError' });
    await assert.rejects(keysOf(id, { getToken: () => Promise.reject(refused) }).wrap(secret), code('KEY_VAULT_DENIED'));
    service.plan(json(403, { error: { code: 'Forbidden', message: 'Authorization: Bearer token-of-home was no good' } }));
    await assert.rejects(keysOf(id).wrap(secret), (error: Error) => !error.message.includes('token-of-home'));
  });

  it('are unreachable where nothing listens or the certificate is not trusted', async () => {
    const id = service.rotate('vault-key');
    await assert.rejects(createKeyVaultKeys({ key: id, credential: service.credential, waiting: recordedWaiting() }).wrap(secret), code('KEY_VAULT_UNREACHABLE'));
    await service.close();
    await assert.rejects(keysOf(id).wrap(secret), code('KEY_VAULT_UNREACHABLE'));
    service = await startFakeKeyVault();
  });
});

describe('ids of keys in Azure Key Vault', () => {
  const version = '0123456789abcdef0123456789abcdef';
  it('are taken as the portal shows them', () => {
    for (const id of [`https://acme-keys.vault.azure.net/keys/backup/${version}`, 'https://acme-keys.vault.azure.net/keys/backup', `https://acme.managedhsm.azure.net/keys/K-1/${version}`, `https://acme.vault.usgovcloudapi.net/keys/a/${version}`, `https://localhost:8443/keys/a/${version}`]) {
      assert.equal(textOf(parseKeyId(id)), id);
    }
    assert.equal(textOf(parseKeyId('https://ACME.vault.azure.net:443/keys/a/')), 'https://acme.vault.azure.net/keys/a');
  });

  it('of any other host or shape are refused', () => {
    for (const bad of ['', 'key', 'http://acme.vault.azure.net/keys/a', 'https://acme.vault.azure.net.evil.com/keys/a', 'https://evil.com/keys/a', 'https://vault.azure.net/keys/a', 'https://a.b.vault.azure.net/keys/a',
      'https://user@acme.vault.azure.net/keys/a', 'https://acme.vault.azure.net:8443/keys/a', 'https://acme.vault.azure.net/keys/a?x=1', 'https://acme.vault.azure.net/keys/a#b', 'https://acme.vault.azure.net/secrets/a',
      'https://acme.vault.azure.net/keys/a/b', 'https://acme.vault.azure.net/keys/../keys/a/b', `https://acme.vault.azure.net/keys/a/${version}/unwrapkey`, 'https://acme.vault.azure.net/keys/a%2fb', `https://acme.vault.azure.net/keys/${'a'.repeat(128)}`]) {
      assert.throws(() => parseKeyId(bad), code('KEY_VAULT_ID'), bad);
    }
    fc.assert(fc.property(fc.oneof(fc.string(), fc.webUrl()), (text) => {
      try {
        assert.match(parseKeyId(text).origin, /^https:\/\/([a-z0-9-]+\.(vault|managedhsm)\.|localhost|127\.)/);
      } catch (error) {
        assert.ok(code('KEY_VAULT_ID')(error));
      }
    }));
  });

  it('challenges for a token of another audience are not followed', () => {
    const audience = 'https://vault.azure.net';
    assert.deepEqual(parseChallenge('Bearer authorization="https://login.windows.net/t1", resource="https://vault.azure.net"', audience), { tenantId: 't1' });
    assert.deepEqual(parseChallenge(`Bearer authorization="https://login.windows.net/t1", error="insufficient_claims", claims="${Buffer.from('{"a":1}').toString('base64')}"`, audience), { tenantId: 't1', claims: '{"a":1}' });
    assert.equal(parseChallenge('Bearer authorization="https://login.windows.net/t1", resource="https://management.azure.com"', audience), undefined);
    assert.equal(parseChallenge('Basic realm="x"', audience), undefined);
  });
});
