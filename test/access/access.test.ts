import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { type Access, type AccessRequest, type AccessSettings, createAccess } from '../../access/access';
import { newLocalToken } from '../../access/local-token';
import { PRINCIPAL_HEADER } from '../../access/principal';
import type { ErrorCode } from '../../errors/catalogue';
import { isHoldfastError } from '../../errors/holdfast-error';
import { CLIENT, Issuer, OBJECT_IDS, TENANT } from '../support/issuer';

const NOW_MS = Date.UTC(2026, 10, 25, 12);
const APP = 'https://app.example.net';

const ask = (headers: Readonly<Record<string, string>>, method = 'GET', url = `${APP}/api/items`): AccessRequest => ({ method, url, headers: new Headers({ host: new URL(url).host, ...headers }) });
const bearing = (token: string, more: Readonly<Record<string, string>> = {}): AccessRequest => ask({ authorization: `Bearer ${token}`, ...more });

/** What a refusal says must hold nothing of what was sent. */
async function refused(access: Access, request: AccessRequest, code: ErrorCode, message: RegExp): Promise<void> {
  await assert.rejects(access.admit(request), (error) => {
    assert.ok(isHoldfastError(error, code), `${code} was expected: ${String(error)}`);
    assert.match(error.message, message);
    const token = request.headers.get('authorization')?.split(' ')[1];
    if (token !== undefined && token.length > 20) assert.ok(!JSON.stringify(error.toJSON()).includes(token.slice(-20)), 'the refusal holds a part of the token');
    return true;
  });
}

const principalOf = (claims: readonly (readonly [string, string])[], authType = 'aad'): string =>
  Buffer.from(JSON.stringify({ auth_typ: authType, name_typ: 'name', role_typ: 'roles', claims: claims.map(([typ, val]) => ({ typ, val })) })).toString('base64');

describe('access', () => {
  let issuer: Issuer;
  let nowMs = NOW_MS;
  const made = (settings: AccessSettings, requestsPerMinute = 1000): Access => createAccess(settings, { nowMs: () => nowMs, requestsPerMinute });
  const bearer = (): Access => made({ kind: 'bearer', entra: issuer.settings });
  const platform = (platformIsOn = true): Access => made({ kind: 'platform', entra: issuer.settings, platformIsOn, ownHost: 'app.azurewebsites.net' });
  before(async () => { issuer = await Issuer.start(() => nowMs); });
  beforeEach(() => { nowMs = NOW_MS; issuer.answer = null; });
  after(() => issuer.close());

  describe('with nothing configured', () => {
    it('lets nobody in, and says which setting is missing', async () => {
      await refused(made({ kind: 'none' }), ask({}), 'UNAUTHENTICATED', /HOLDFAST_AUTH/);
      await refused(made({ kind: 'none' }), bearing(await issuer.token(['Admin'])), 'UNAUTHENTICATED', /HOLDFAST_AUTH/);
    });
  });

  describe('with access tokens of Entra ID', () => {
    it('says who calls: a person or a program, in tokens of either version, with the roles that there are', async () => {
      const person = await bearer().admit(bearing(await issuer.token(['Reader', 'Chief', 'RestoreOperator']), { 'x-forwarded-for': '10.9.9.9, 203.0.113.7:51234' }));
      assert.deepEqual(person, { id: OBJECT_IDS.Reader, name: 'reader@example.com', kind: 'user', roles: ['Reader', 'RestoreOperator'], from: '203.0.113.7' });

      const v1 = { iss: `${issuer.settings.authority}/${TENANT}/`, aud: `api://${CLIENT}`, ver: '1.0', upn: 'ann@example.com' };
      assert.equal((await bearer().admit(bearing(await issuer.token(['Admin'], { claims: v1, without: ['preferred_username'] })))).name, 'ann@example.com');

      const program = { sub: OBJECT_IDS.Operator, app_displayname: 'nightly-report' };
      const app = await bearer().admit(bearing(await issuer.token(['Operator'], { claims: program, without: ['scp', 'preferred_username'] })));
      assert.deepEqual([app.id, app.name, app.kind, app.roles, app.from], [OBJECT_IDS.Operator, 'nightly-report', 'app', ['Operator'], null]);
      assert.deepEqual((await bearer().admit(bearing(await issuer.token([])))).roles, []);
    });

    it('refuses what is not signed by the tenant, in any of the known ways', async () => {
      const access = bearer();
      const good = await issuer.token(['Admin']);
      const [header, payload, signature] = good.split('.') as [string, string, string];
      const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
      await refused(access, bearing(await issuer.token(['Admin'], { foreignKey: true })), 'UNAUTHENTICATED', /not signed with a key of the tenant/);
      await refused(access, bearing(`${header}.${part({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()) as object, roles: ['Admin'], oid: 'another' })}.${signature}`), 'UNAUTHENTICATED', /not signed/);
      await refused(access, bearing(`${part({ alg: 'none', typ: 'JWT' })}.${payload}.`), 'UNAUTHENTICATED', /not signed with RS256/);
      // The public key taken for a shared secret.
      const forged = `${part({ alg: 'HS256', kid: 'key-1', typ: 'JWT' })}.${payload}`;
      await refused(access, bearing(`${forged}.${createHmac('sha256', issuer.publicKey).update(forged).digest('base64url')}`), 'UNAUTHENTICATED', /not signed with RS256/);
      // A key that the token brings along, or says where to fetch.
      await refused(access, bearing(`${part({ alg: 'RS256', kid: 'mine', jku: `${issuer.settings.authority}/mine`, jwk: JSON.parse(issuer.publicKey) as object })}.${payload}.${signature}`), 'UNAUTHENTICATED', /not signed with a key of the tenant/);
      for (const text of ['x', 'a.b', 'a.b.c', `${good}.more`, 'é']) await refused(access, ask({ authorization: `Bearer ${encodeURIComponent(text)}` }), 'UNAUTHENTICATED', /can be read|not "Bearer"/);
      await refused(access, bearing('a'.repeat(20_000)), 'UNAUTHENTICATED', /too long/);
      await refused(access, ask({ authorization: 'Basic dXNlcjpwYXNz' }), 'UNAUTHENTICATED', /not "Bearer"/);
      assert.equal((await access.admit(bearing(good))).roles[0], 'Admin', 'the one that all of them were made of is good');
    });

    it('refuses tokens of others, for others, of another time, and those that are no access tokens', async () => {
      const cases: readonly (readonly [Parameters<Issuer['token']>[1], RegExp])[] = [
        [{ claims: { aud: 'https://graph.microsoft.com' } }, /another app \(audience\)/],
        [{ claims: { aud: [`api://${CLIENT}x`] } }, /audience/],
        [{ claims: { iss: 'https://login.microsoftonline.com/common/v2.0' } }, /issuer/],
        [{ claims: { tid: '22222222-2222-4333-8444-555555555555' } }, /another tenant/],
        [{ claims: { exp: NOW_MS / 1000 - 61 } }, /time is over/],
        [{ claims: { nbf: NOW_MS / 1000 + 61 } }, /time has not come/],
        [{ without: ['exp'] }, /"exp" is missing/],
        [{ without: ['nbf'] }, /"nbf" is missing/],
        [{ without: ['oid'] }, /"oid" is missing/],
        [{ without: ['tid'] }, /"tid" is missing/],
        [{ without: ['aud'] }, /"aud" is missing/],
        // An ID token of a sign-in to this very app has audience and roles, too.
        [{ without: ['scp'] }, /not an access token/],
        [{ claims: { scp: '' } }, /not an access token/],
      ];
      for (const [options, message] of cases) await refused(bearer(), bearing(await issuer.token(['Admin'], options)), 'UNAUTHENTICATED', message);
      const skewed = await issuer.token(['Admin'], { claims: { exp: NOW_MS / 1000 - 59, nbf: NOW_MS / 1000 - 4000 } });
      assert.equal((await bearer().admit(bearing(skewed))).id, OBJECT_IDS.Admin, 'clocks may be a minute apart');
    });

    it('takes roles that are a text, or objects, for none', async () => {
      for (const roles of ['Admin', [{ value: 'Admin' }], { Admin: true }, ['admin']]) assert.deepEqual((await bearer().admit(bearing(await issuer.token(['Admin'], { claims: { roles } })))).roles, []);
    });

    it('keeps the keys, takes in new ones, and asks for them no more often than twice a minute however many tokens name a key that is not there', async () => {
      const access = bearer();
      const before = issuer.asked;
      const token = await issuer.token(['Reader']);
      for (let times = 0; times < 20; times++) await access.admit(bearing(token));
      assert.equal(issuer.asked - before, 1);
      for (let times = 0; times < 20; times++) await refused(access, bearing(await issuer.token(['Reader'], { foreignKey: true })), 'UNAUTHENTICATED', /not signed/);
      const unknown = `${Buffer.from(JSON.stringify({ alg: 'RS256', kid: 'nobody-has-it' })).toString('base64url')}.${token.split('.')[1]}.${token.split('.')[2]}`;
      for (let times = 0; times < 20; times++) await refused(access, bearing(unknown), 'UNAUTHENTICATED', /not signed with a key of the tenant/);
      assert.equal(issuer.asked - before, 1, 'junk makes no traffic towards Entra ID');
      await issuer.rotate();
      assert.equal((await bearer().admit(bearing(await issuer.token(['Reader'])))).id, OBJECT_IDS.Reader);
    });

    it('says that Entra ID cannot be asked, and not that the caller is nobody; then it asks no more for a while', async () => {
      const cases = [{ status: 500, body: 'no' }, { status: 302, body: '' }, { status: 200, body: 'x'.repeat(300_000) }, { status: 200, body: '{"keys":7}' }, { status: 200, body: '<html>' }];
      for (const answer of cases) {
        issuer.answer = answer;
        const [access, before] = [bearer(), issuer.asked];
        const token = await issuer.token(['Reader']);
        await refused(access, bearing(token), 'IDENTITY_UNREACHABLE', /cannot be had from http:\/\/127/);
        for (let times = 0; times < 5; times++) await refused(access, bearing(token), 'IDENTITY_UNREACHABLE', /a moment ago/);
        assert.equal(issuer.asked - before, 1);
      }
    });
  });

  describe('with the authentication of the platform (threat 11)', () => {
    const claims = [['http://schemas.microsoft.com/identity/claims/objectidentifier', OBJECT_IDS.Admin], ['http://schemas.microsoft.com/identity/claims/tenantid', TENANT], ['aud', CLIENT], ['preferred_username', 'ann@example.com'], ['roles', 'Admin'], ['roles', 'Chief']] as const;
    const session = (more: Readonly<Record<string, string>> = {}, method = 'GET'): AccessRequest => ask({ [PRINCIPAL_HEADER]: principalOf(claims), ...more }, method);

    it('takes its principal while it is on', async () => {
      assert.deepEqual(await platform().admit(session({ 'x-forwarded-for': '[2001:db8::1]:4711' })), { id: OBJECT_IDS.Admin, name: 'ann@example.com', kind: 'user', roles: ['Admin'], from: '2001:db8::1' });
      const short = principalOf([['oid', OBJECT_IDS.Reader], ['tid', TENANT], ['http://schemas.microsoft.com/ws/2008/06/identity/claims/role', 'Reader']]);
      assert.deepEqual((await platform().admit(ask({ [PRINCIPAL_HEADER]: short }))).roles, ['Reader']);
    });

    it('takes no principal where it is off, nor where only tokens or the local token count: anybody could have written it', async () => {
      await refused(platform(false), session(), 'UNAUTHENTICATED', /WEBSITE_AUTH_ENABLED/);
      await refused(bearer(), session(), 'UNAUTHENTICATED', /proves nothing here/);
      await refused(made({ kind: 'none' }), session(), 'UNAUTHENTICATED', /HOLDFAST_AUTH/);
      await refused(made({ kind: 'local', token: newLocalToken() }), ask({ [PRINCIPAL_HEADER]: principalOf(claims) }, 'GET', 'http://127.0.0.1:7071/api/items'), 'UNAUTHENTICATED', /no token/);
      await refused(platform(), ask({}), 'UNAUTHENTICATED', /no access token and no session/);
    });

    it('takes no principal of another tenant, app or provider, and none that cannot be read', async () => {
      const [oid, tid, ...rest] = claims;
      const wrong: readonly (readonly [string, RegExp])[] = [
        [principalOf(claims, 'google'), /no sign-in with Entra ID/],
        [principalOf([oid, ['tid', '22222222-2222-4333-8444-555555555555'], ...rest]), /another tenant/],
        [principalOf([...claims, ['tid', '22222222-2222-4333-8444-555555555555']]), /another tenant/],
        [principalOf([oid, ...rest]), /another tenant/],
        [principalOf([tid, ...rest]), /one object/],
        [principalOf([...claims, ['oid', OBJECT_IDS.Reader]]), /one object/],
        [principalOf([oid, tid, ['aud', 'another-app']]), /another app/],
        [principalOf([...claims, ['iss', 'https://evil.example/']]), /somebody else issued it/],
        ['!!!', /not base64/], [Buffer.from('{').toString('base64'), /JSON/], [Buffer.from('[]').toString('base64'), /no sign-in/], ['A'.repeat(70_000), /sensible size/],
      ];
      for (const [header, message] of wrong) await refused(platform(), ask({ [PRINCIPAL_HEADER]: header }), 'UNAUTHENTICATED', message);
    });

    it('lets the token decide where there is one, and not the session beside it', async () => {
      const both = (token: string): AccessRequest => bearing(token, { [PRINCIPAL_HEADER]: principalOf(claims) });
      assert.equal((await platform().admit(both(await issuer.token(['Reader'])))).id, OBJECT_IDS.Reader);
      await refused(platform(), both(await issuer.token(['Reader'], { foreignKey: true })), 'UNAUTHENTICATED', /not signed/);
    });

    it('lets pages of the app alone change something with a session', async () => {
      const change = (headers: Readonly<Record<string, string>>): AccessRequest => session(headers, 'POST');
      const own: readonly Readonly<Record<string, string>>[] = [
        { origin: APP }, { origin: 'https://app.azurewebsites.net' }, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'same-origin', origin: 'https://proxy.example' },
      ];
      for (const headers of own) assert.equal((await platform().admit(change(headers))).id, OBJECT_IDS.Admin);
      const others: readonly Readonly<Record<string, string>>[] = [
        {}, { origin: 'https://evil.example' }, { origin: 'null' }, { origin: 'http://app.example.net' }, { origin: `${APP}.evil.example` }, { origin: `${APP}:8443` },
        { 'sec-fetch-site': 'cross-site', origin: APP }, { 'sec-fetch-site': 'same-site' }, { 'sec-fetch-site': 'none' }, { referer: `${APP}/` },
      ];
      for (const headers of others) for (const method of ['POST', 'PUT', 'DELETE']) await refused(platform(), session(headers, method), 'REQUEST_FOREIGN', /not come from a page of this app/);
      assert.equal((await platform().admit({ ...change({ origin: 'https://evil.example' }), headers: bearing(await issuer.token(['Admin']), { origin: 'https://evil.example' }).headers })).id, OBJECT_IDS.Admin, 'no browser sends a token unasked');
    });
  });

  describe('with the token of the local home', () => {
    const token = newLocalToken();
    const local = (): Access => made({ kind: 'local', token });
    const home = (headers: Readonly<Record<string, string>>, host = '127.0.0.1:7071', method = 'POST'): AccessRequest => ask({ authorization: `Bearer ${token}`, host, ...headers }, method, `http://${host}/api/items`);

    it('is 256 bits, another each time, and lets in whoever has it', async () => {
      assert.equal(Buffer.from(token, 'base64url').length, 32);
      assert.notEqual(newLocalToken(), token);
      assert.deepEqual(await local().admit(home({})), { id: 'local', name: 'local', kind: 'local', roles: ['Admin'], from: '127.0.0.1' });
    });

    it('refuses everybody else', async () => {
      await refused(local(), ask({}, 'GET', 'http://127.0.0.1:7071/api/items'), 'UNAUTHENTICATED', /access\/token/);
      for (const wrong of [newLocalToken(), token.slice(0, -1), `${token}A`, token.toLowerCase()]) await refused(local(), home({ authorization: `Bearer ${wrong}` }), 'UNAUTHENTICATED', /not the one of this start/);
      await refused(local(), ask({}, 'GET', `http://127.0.0.1:7071/api/items?token=${token}&code=${token}`), 'UNAUTHENTICATED', /no token/);
    });

    it('refuses pages of other sites, even with the token: a foreign Origin, and a name that was bent to this machine', async () => {
      for (const host of ['127.0.0.1:7071', 'localhost:7071', '[::1]:7071', 'localhost']) assert.equal((await local().admit(home({ origin: `http://${host}` }, host))).id, 'local');
      for (const host of ['evil.example:7071', '127.0.0.1.evil.example:7071', '192.168.1.5:7071', 'localhost.:7071']) await refused(local(), home({}, host), 'REQUEST_FOREIGN', /not a name of this machine/);
      for (const origin of ['http://evil.example', 'null', 'https://127.0.0.1:7071', 'http://127.0.0.1:7072', 'http://localhost:7071']) await refused(local(), home({ origin }), 'REQUEST_FOREIGN', /A page of/);
      assert.throws(() => local().admitAnybody(home({ origin: 'http://evil.example' })), (error) => isHoldfastError(error, 'REQUEST_FOREIGN'));
    });
  });

  describe('limits (threat 18)', () => {
    it('each caller for itself, a change as ten, with the time to wait; the share comes back evenly', async () => {
      const access = made({ kind: 'bearer', entra: issuer.settings }, 60);
      const reader = bearing(await issuer.token(['Reader']));
      for (let times = 0; times < 60; times++) await access.admit(reader);
      await assert.rejects(access.admit(reader), (error) => {
        assert.ok(isHoldfastError(error, 'REQUEST_LIMIT'));
        assert.deepEqual(error.data, { retryAfterSeconds: 1, requestsPerMinute: 60 });
        return true;
      });
      const admin: AccessRequest = { ...bearing(await issuer.token(['Admin'])), method: 'DELETE' };
      for (let times = 0; times < 6; times++) await access.admit(admin);
      await assert.rejects(access.admit(admin), (error) => isHoldfastError(error, 'REQUEST_LIMIT') && error.data.retryAfterSeconds === 10);
      nowMs += 9_000;
      await refused(access, admin, 'REQUEST_LIMIT', /asked more than 60 times/);
      nowMs += 1_000;
      await access.admit(admin);
      await access.admit(reader);
    });

    it('whoever is not let in takes nothing from anybody, and anybody has one share together', () => {
      const access = made({ kind: 'none' }, 2);
      assert.deepEqual(access.admitAnybody(ask({ 'x-forwarded-for': '203.0.113.7' })), { id: 'anybody', name: 'anybody', kind: 'user', roles: [], from: '203.0.113.7' });
      access.admitAnybody(ask({}));
      assert.throws(() => access.admitAnybody(ask({})), (error) => isHoldfastError(error, 'REQUEST_LIMIT'));
    });
  });
});
