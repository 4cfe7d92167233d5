import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { createArmClient, parseArmEndpoint } from '../../azure/compute/arm-client';
import { createCloud } from '../../azure/compute/cloud';
import { cloudError, isUnknownOutcome } from '../../azure/compute/errors';
import { createResourceIds, isSameId } from '../../azure/compute/resource-id';
import { createCredential } from '../../azure/credential';
import { redact } from '../../errors/redact';
import type { ErrorCode } from '../../errors/catalogue';
import { isHoldfastError } from '../../errors/holdfast-error';
import { recordedWaiting } from '../support/wire-server';
import { compute, startArm, subscription } from './arm-script';

const noToken = { getToken: () => Promise.reject(new Error('not asked for')) };
const isCode = (code: ErrorCode) => (error: unknown): boolean => isHoldfastError(error, code);

describe('the connection to Azure', () => {
  describe('endpoint', () => {
    it('is https, or http to this machine only', () => {
      for (const endpoint of ['https://management.azure.com', 'https://management.usgovcloudapi.net/', 'http://127.0.0.1:8080', 'http://localhost:1', 'http://[::1]:1', 'https://127.0.0.1:1']) assert.ok(parseArmEndpoint(endpoint), endpoint);
      for (const endpoint of ['http://management.azure.com', 'http://127.0.0.1.example.org', 'http://localhost.example.org', 'ftp://127.0.0.1', 'management.azure.com', '', 'https://user:word@management.azure.com', 'https://management.azure.com?sig=1']) {
        assert.throws(() => parseArmEndpoint(endpoint), isCode('CLOUD_SETTING_INVALID'), endpoint);
      }
    });

    it('drops the token policy over http and keeps it over https', () => {
      const policies = (endpoint: string) => createArmClient(subscription, { endpoint: new URL(endpoint), credential: noToken, waiting: recordedWaiting(), patience: { attempts: 1, baseMs: 1, capMs: 1, longestPauseMs: 1 }, requestTimeoutMs: 1 }).pipeline.getOrderedPolicies().map((policy) => policy.name);
      assert.ok(!policies('http://127.0.0.1:1').includes('bearerTokenAuthenticationPolicy'));
      const overTls = policies('https://management.azure.com');
      assert.ok(overTls.includes('bearerTokenAuthenticationPolicy'));
      assert.ok(!overTls.includes('redirectPolicy'), 'a redirect would carry the token away');
      assert.ok(overTls.indexOf('holdfastRetryKnownOutcomes') < overTls.indexOf('holdfastSameHostOnly'));
    });

    it('is unreachable, not absent, when nobody listens there', async () => {
      const arm = await startArm();
      const address = arm.server.url;
      await arm.close();
      const waiting = recordedWaiting();
      const cloud = createCloud({ subscriptionIds: [subscription], armEndpoint: address, credential: noToken, waiting });
      await assert.rejects(cloud.getSnapshot(`${compute}/snapshots/s`), (error) => isHoldfastError(error, 'CLOUD_UNREACHABLE') && error.data['networkCode'] === 'ECONNREFUSED');
      assert.equal(waiting.pausesMs.length, 4);
    });

    it('is unreachable when it stays silent', async () => {
      const arm = await startArm({ requestTimeoutMs: 20 });
      arm.on(`GET ${compute}/snapshots/s`, () => new Promise(() => undefined));
      await assert.rejects(arm.cloud.getSnapshot(`${compute}/snapshots/s`), isCode('CLOUD_UNREACHABLE'));
      await arm.close();
    });

    it('does not follow a redirect', async () => {
      const arm = await startArm();
      arm.on(`GET ${compute}/snapshots/s`, { status: 307, headers: { location: `${arm.server.url}/elsewhere` } });
      await assert.rejects(arm.cloud.getSnapshot(`${compute}/snapshots/s`), isCode('CLOUD_FAILED'));
      assert.ok(!arm.server.log.includes('GET /elsewhere'));
      await arm.close();
    });
  });

  describe('resource ids', () => {
    const ids = createResourceIds([subscription.toUpperCase()]);

    it('give their parts, whatever the case of the fixed words', () => {
      assert.deepEqual(ids.parse(`/SUBSCRIPTIONS/${subscription}/resourcegroups/Rg.1_(x)/Providers/microsoft.compute/Disks/my-disk.1`, 'disks'), { subscriptionId: subscription, resourceGroup: 'Rg.1_(x)', name: 'my-disk.1' });
      const drp = ids.parseDiskRestorePoint(`${compute}/restorePointCollections/c/restorePoints/p/diskRestorePoints/os_0f0f`);
      assert.deepEqual(drp, { subscriptionId: subscription, resourceGroup: 'rg-app', collection: 'c', restorePoint: 'p', name: 'os_0f0f' });
    });

    it('are refused in every other form', () => {
      const good = `${compute}/disks/d`;
      const bad = ['', '/', good.slice(1), `${good}/`, `${good}/extra/x`, `/${good}`, good.replace('disks', 'snapshots'), good.replace('Microsoft.Compute', 'Microsoft.Storage'), good.replace('rg-app', ''), good.replace('rg-app', '..'), good.replace('rg-app', 'a%2f'), `${compute}/disks/..`, `${compute}/disks/.`, `${compute}/disks/a?x=1`, `${compute}/disks/a#b`, `${compute}/disks/a b`, `${compute}/disks/a\n`, `${compute}/disks/${'x'.repeat(200)}`, good.replace(subscription, 'not-a-guid'), 'x'.repeat(5000)];
      for (const id of bad) assert.throws(() => ids.parse(id, 'disks'), isCode('CLOUD_ID_INVALID'), JSON.stringify(id));
    });

    it('never let a strange character through', () => {
      fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), (name) => {
        let parsed: string | undefined;
        try {
          parsed = ids.parse(`${compute}/disks/${name}`, 'disks').name;
        } catch (error) {
          assert.ok(isHoldfastError(error, 'CLOUD_ID_INVALID'));
        }
        if (parsed !== undefined) assert.match(parsed, /^[\p{L}\p{N}_.-]+$/u);
      }), { numRuns: 500 });
    });

    it('of another subscription are refused, with the value', () => {
      const foreign = '99999999-2222-3333-4444-555555555555';
      assert.throws(() => ids.parse(`${compute}/disks/d`.replace(subscription, foreign), 'disks'), (error) => isHoldfastError(error, 'CLOUD_ACCESS_DENIED') && error.message.includes(foreign) && error.data['subscriptionId'] === foreign);
      assert.throws(() => createResourceIds(['nonsense']), isCode('CLOUD_SETTING_INVALID'));
    });

    it('are the same whatever their case, and nothing is the same as nothing', () => {
      assert.ok(isSameId('/A/b', '/a/B'));
      assert.ok(!isSameId(undefined, undefined));
    });
  });

  describe('errors', () => {
    it('lose every query, signature and token', () => {
      assert.equal(redact('GET https://md-1.z1.blob.storage.azure.net/a/abcd?sv=1&sig=S%3D failed, "http://x/y?sig=S" too'), 'GET https://md-1.z1.blob.storage.azure.net/a/abcd?[redacted] failed, "http://x/y?[redacted]" too');
      assert.equal(redact('x?a=1&sig=S&b=2 Bearer ey.J0.x AccountKey=K=='), 'x?a=1&sig:[redacted]&b=2 Bearer [redacted] AccountKey:[redacted]');
    });

    const rest = (statusCode: number, code: string, message = 'm'): Error => Object.assign(new Error(message), { name: 'RestError', statusCode, code });
    const failedOperation = (code: string): Error => new Error(`The long-running operation has failed. ${code}. Because of this. And that.`);
    const cases: [string, Error, ErrorCode, string][] = [
      ['403', rest(403, 'AuthorizationFailed'), 'CLOUD_ACCESS_DENIED', 'AuthorizationFailed'],
      ['401', rest(401, 'InvalidAuthenticationToken'), 'CLOUD_ACCESS_DENIED', 'InvalidAuthenticationToken'],
      ['404', rest(404, 'ResourceGroupNotFound'), 'CLOUD_NOT_FOUND', 'ResourceGroupNotFound'],
      ['409', rest(409, 'AttachDiskWhileBeingDetached'), 'CLOUD_CONFLICT', 'AttachDiskWhileBeingDetached'],
      ['429', rest(429, 'OperationNotAllowed'), 'CLOUD_THROTTLED', 'OperationNotAllowed'],
      ['503', rest(503, 'ServiceUnavailable'), 'CLOUD_THROTTLED', 'ServiceUnavailable'],
      ['500', rest(500, 'InternalServerError'), 'CLOUD_FAILED', 'InternalServerError'],
      ['400', rest(400, 'InvalidParameter'), 'CLOUD_FAILED', 'InvalidParameter'],
      ['a failed operation: conflict', failedOperation('Conflict'), 'CLOUD_CONFLICT', 'Conflict'],
      ['a failed operation: quota', failedOperation('QuotaExceeded'), 'CLOUD_QUOTA', 'QuotaExceeded'],
      ['a failed operation: throttled', failedOperation('TooManyRequests'), 'CLOUD_THROTTLED', 'TooManyRequests'],
      ['a failed operation: denied', failedOperation('LinkedAuthorizationFailed'), 'CLOUD_ACCESS_DENIED', 'LinkedAuthorizationFailed'],
      ['a failed operation: other', failedOperation('DiskServiceInternalError'), 'CLOUD_FAILED', 'DiskServiceInternalError'],
      ['no network', Object.assign(new Error('getaddrinfo ENOTFOUND x'), { name: 'RestError', code: 'ENOTFOUND' }), 'CLOUD_UNREACHABLE', ''],
      ['a bad certificate', Object.assign(new Error('self-signed'), { name: 'RestError', code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }), 'CLOUD_UNREACHABLE', ''],
      ['a credential', Object.assign(new Error('no identity'), { name: 'CredentialUnavailableError' }), 'CLOUD_ACCESS_DENIED', ''],
      ['a refused sign-in', Object.assign(new Error('wrong client id'), { name: 'AuthenticationError', statusCode: 400 }), 'CLOUD_ACCESS_DENIED', ''],
      ['a bug', new TypeError('x is not a function'), 'CLOUD_FAILED', ''],
    ];
    it('have an unknown outcome unless the service refused or nothing was sent', () => {
      for (const status of [400, 403, 404, 409, 412, 429]) assert.ok(!isUnknownOutcome(rest(status, 'X')), String(status));
      for (const status of [200, 307, 408, 500, 502, 503, 504]) assert.ok(isUnknownOutcome(rest(status, 'X')), String(status));
      assert.ok(isUnknownOutcome(new SyntaxError('Unexpected end of JSON input')));
      assert.ok(!isUnknownOutcome(Object.assign(new Error('no identity'), { name: 'CredentialUnavailableError' })));
    });

    it('stay short, whatever the service writes', () => {
      assert.ok(cloudError(new Error('x'.repeat(100_000)), 'to do something').message.length <= 2000);
    });

    for (const [name, error, code, serviceCode] of cases) {
      it(`${name} becomes ${code}`, () => {
        const mapped = cloudError(error, 'to do something');
        assert.equal(mapped.code, code);
        assert.equal(mapped.data['serviceCode'], serviceCode);
        assert.equal(mapped.cause, undefined, 'the SDK\'s error holds request and response');
      });
    }
  });

  describe('credential', () => {
    it('is made from its setting without a request', () => {
      for (const setting of ['default', 'managed-identity', `managed-identity:${subscription}`]) assert.equal(typeof createCredential(setting).getToken, 'function');
      for (const setting of ['', 'Default', 'managed-identity:', 'managed-identity:me', 'secret']) assert.throws(() => createCredential(setting), isCode('CLOUD_SETTING_INVALID'), setting);
    });

    it('does not load the identity package before it is needed', () => {
      const script = `require(${JSON.stringify(require.resolve('../../azure/credential'))}).createCredential('default'); console.log(Object.keys(require.cache).filter((path) => path.includes('identity')).length)`;
      assert.equal(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }).trim(), '0');
    });
  });
});
