import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { setLogLevel } from '@azure/logger';
import { isDataPlaneHost } from '../../azure/compute/access';
import type { ErrorCode } from '../../errors/catalogue';
import { isHoldfastError } from '../../errors/holdfast-error';
import { type ArmScript, compute, ok, refusal, startArm, subscription } from './arm-script';

const gib = 1024 ** 3;
const snapshotId = `${compute}/snapshots/snap-1`;
const point = `${compute}/restorePointCollections/c/restorePoints/p`;
const drpId = `${point}/diskRestorePoints/os_0f0f`;
const snapshot = { kind: 'snapshot', id: snapshotId } as const;
const drp = { kind: 'diskRestorePoint', id: drpId } as const;

describe('access to a snapshot', () => {
  let arm: ArmScript;
  let printed: string[];
  const originalWrite = process.stderr.write.bind(process.stderr);
  beforeEach(async () => {
    arm = await startArm();
    arm.on(`GET ${snapshotId}`, ok({ id: snapshotId, properties: { diskSizeBytes: gib } }));
    arm.on('HEAD /md-1/abcd', { status: 200, headers: { 'content-length': String(gib + 512) } });
    printed = [];
  });
  afterEach(async () => {
    process.stderr.write = originalWrite;
    await arm.close();
  });

  const sas = (): string => `${arm.server.url}/md-1/abcd?sv=2017-04-17&sr=b&si=x&sig=TopSecret%3D`;
  const granted = () => ok({ accessSAS: sas() });
  const posts = (path: string) => arm.server.requests.filter((one) => one.method === 'POST' && one.path === path);
  const failing = async (promise: Promise<unknown>, code: ErrorCode) => {
    const error = await promise.then(() => undefined, (reason: unknown) => reason);
    assert.ok(isHoldfastError(error, code), `wanted ${code}, got ${inspect(error)}`);
    assert.doesNotMatch(inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error), /sig=|TopSecret/);
    assert.doesNotMatch(arm.lines.join('\n'), /sig=|TopSecret/);
    return error;
  };

  it('asks for reading only, polls at the service\'s pace, and gives the size without the footer', async () => {
    arm.on(`POST ${snapshotId}/beginGetAccess`, (request) => {
      assert.deepEqual(JSON.parse(request.body), { access: 'Read', durationInSeconds: 3600 });
      return { status: 202, headers: { location: `${arm.server.url}/operations/1?api-version=1`, 'retry-after': '3' } };
    });
    arm.on('GET /operations/1', { status: 202, headers: { location: `${arm.server.url}/operations/1?api-version=1`, 'retry-after': '9' } }, granted);
    const access = await arm.cloud.grantRead(snapshot, 3600);
    assert.deepEqual(access, { url: sas(), sizeBytes: gib });
    assert.deepEqual(arm.pausesMs, [3000, 9000]);
    assert.equal(posts(`${snapshotId}/beginGetAccess`).length, 1);
  });

  it('polls the operation that Azure-AsyncOperation names and takes the result from Location', async () => {
    arm.on(`POST ${snapshotId}/beginGetAccess`, () => ({ status: 202, headers: { 'azure-asyncoperation': `${arm.server.url}/operations/2`, location: `${arm.server.url}/results/2` } }));
    arm.on('GET /operations/2', ok({ status: 'InProgress' }), ok({ status: 'Succeeded' }));
    arm.on('GET /results/2', granted);
    assert.equal((await arm.cloud.grantRead(snapshot, 60)).url, sas());
  });

  it('works for a disk restore point, and compares its size once only', async () => {
    arm.on(`POST ${drpId}/beginGetAccess`, granted);
    arm.on(`GET ${point}`, ok({ properties: { sourceMetadata: { storageProfile: { osDisk: { diskSizeGB: 1, diskRestorePoint: { id: drpId.toLowerCase() } } } } } }));
    assert.equal((await arm.cloud.grantRead(drp, 60)).sizeBytes, gib);
    await arm.cloud.grantRead(drp, 60);
    assert.equal(arm.server.log.filter((line) => line === `GET ${point}`).length, 1);
  });

  it('repeats a grant whose answer was lost: it is idempotent', async () => {
    arm.on(`POST ${snapshotId}/beginGetAccess`, 'reset', refusal(503, 'ServerBusy'), granted);
    assert.equal((await arm.cloud.grantRead(snapshot, 60)).sizeBytes, gib);
  });

  it('does not read a blob of another size than the resource', async () => {
    arm.on(`POST ${snapshotId}/beginGetAccess`, granted);
    arm.on('HEAD /md-1/abcd', { status: 200, headers: { 'content-length': String(gib) } });
    const error = await failing(arm.cloud.grantRead(snapshot, 60), 'CLOUD_FAILED');
    assert.match(error.message, /1073741824 bytes with its footer.*1073741824 bytes/);
    arm.on(`POST ${drpId}/beginGetAccess`, granted);
    arm.on(`GET ${point}`, ok({ properties: { sourceMetadata: { storageProfile: { dataDisks: [{ lun: 0, diskSizeGB: 64, diskRestorePoint: { id: drpId } }] } } } }));
    await failing(arm.cloud.grantRead(drp, 60), 'CLOUD_FAILED');
    for (const length of ['0', '512', '1025']) {
      arm.on('HEAD /md-1/abcd', { status: 200, headers: { 'content-length': length } });
      await failing(arm.cloud.grantRead(snapshot, 60), 'CLOUD_FAILED');
    }
    arm.on('HEAD /md-1/abcd', { status: 403 });
    await failing(arm.cloud.grantRead(snapshot, 60), 'CLOUD_ACCESS_EXPIRED');
  });

  it('takes no URL to another host, and no answer without a URL', async () => {
    for (const accessSAS of ['https://example.org/a?sig=TopSecret', 'http://md-1.blob.storage.azure.net/a?sig=TopSecret', 'https://evil-blob.storage.azure.net.example.org/a?sig=TopSecret', 'nonsense sig=TopSecret', undefined]) {
      arm.on(`POST ${snapshotId}/beginGetAccess`, ok({ accessSAS }));
      await failing(arm.cloud.grantRead(snapshot, 60), 'CLOUD_FAILED');
    }
    assert.ok(!arm.server.log.some((line) => line.startsWith('HEAD')), 'nothing was fetched');
  });

  it('knows the hosts of disks', () => {
    const arms = { azure: new URL('https://management.azure.com'), here: new URL('http://127.0.0.1:9') };
    const cases: [string, boolean][] = [
      ['https://md-pbhlk3l5mb1q.z27.blob.storage.azure.net:443/zzv/abcd?snapshot=1', true],
      ['https://md-impexp-t0rdsfgsdfg4.blob.core.windows.net/w2c/abcd?sig=x', true],
      ['https://md-dd-0f0f.z48.disk.storage.azure.net/disks/0f0f/snapshots?snapshotId=1', true],
      ['https://customer.blob.core.windows.net/vault/x', false],
      ['https://blob.storage.azure.net.example.org/x', false],
      ['https://127.0.0.1/x', false],
      ['http://localhost:10000/x', false],
      ['http://md-1.z1.blob.storage.azure.net/x', false],
      ['https://md-1.blob.core.chinacloudapi.cn/x', false],
    ];
    for (const [url, wanted] of cases) assert.equal(isDataPlaneHost(new URL(url), arms.azure, []), wanted, url);
    assert.equal(isDataPlaneHost(new URL('http://127.0.0.1:5/x'), arms.here, []), true);
    assert.equal(isDataPlaneHost(new URL('http://169.254.169.254/x'), arms.here, []), false);
    assert.equal(isDataPlaneHost(new URL('https://md-1.blob.core.chinacloudapi.cn/x'), arms.azure, ['blob.core.chinacloudapi.cn']), true);
    assert.equal(isDataPlaneHost(new URL('https://evilblob.core.chinacloudapi.cn/x'), arms.azure, ['blob.core.chinacloudapi.cn']), false);
  });

  it('reads the code of a failed operation out of its text', async () => {
    const answer = (code: string, message: string) => {
      arm.on(`POST ${snapshotId}/beginGetAccess`, () => ({ status: 202, headers: { 'azure-asyncoperation': `${arm.server.url}/operations/3` } }));
      arm.on('GET /operations/3', ok({ status: 'Failed', error: { code, message } }));
      return arm.cloud.grantRead(snapshot, 60);
    };
    assert.equal((await failing(answer('ResourceNotFound', `Gone. ${sas()}`), 'CLOUD_NOT_FOUND')).data['serviceCode'], 'ResourceNotFound');
    assert.equal((await failing(answer('InternalExecutionError', 'An internal error occurred.'), 'CLOUD_FAILED')).data['serviceCode'], 'InternalExecutionError');
    await failing(answer('OperationNotAllowed', 'The number of snapshots with an active SAS exceeds the limit 5.'), 'CLOUD_ACCESS_LIMIT');
  });

  it('says that too many snapshots of the family are open', async () => {
    for (const status of [400, 409]) {
      arm.on(`POST ${snapshotId}/beginGetAccess`, refusal(status, 'OperationNotAllowed', 'Cannot grant access: 5 incremental snapshots of this disk have active SAS URIs, which is the maximum.'));
      await failing(arm.cloud.grantRead(snapshot, 60), 'CLOUD_ACCESS_LIMIT');
    }
  });

  it('does not poll for ever', async () => {
    arm.on(`POST ${snapshotId}/beginGetAccess`, () => ({ status: 202, headers: { location: `${arm.server.url}/operations/4`, 'retry-after': '60' } }));
    arm.on('GET /operations/4', () => ({ status: 202, headers: { location: `${arm.server.url}/operations/4`, 'retry-after': '60' } }));
    await failing(arm.cloud.grantRead(snapshot, 60), 'CLOUD_FAILED');
    assert.equal(arm.pausesMs.length, 4);
  });

  it('polls no address outside Resource Manager, because each poll carries the token', async () => {
    arm.on(`POST ${snapshotId}/beginGetAccess`, () => ({ status: 202, headers: { location: 'http://169.254.169.254/token' } }));
    const error = await failing(arm.cloud.grantRead(snapshot, 60), 'CLOUD_FAILED');
    assert.match(error.message, /169\.254\.169\.254/);
  });

  it('prints no access URL, even when the SDK is told to log everything', async () => {
    process.stderr.write = ((text: string) => printed.push(text) > 0) as typeof process.stderr.write;
    setLogLevel('verbose');
    try {
      arm.on(`POST ${snapshotId}/beginGetAccess`, () => ({ status: 202, headers: { location: `${arm.server.url}/operations/5` } }));
      arm.on('GET /operations/5', granted);
      await arm.cloud.grantRead(snapshot, 60);
    } finally {
      setLogLevel(undefined);
      process.stderr.write = originalWrite;
    }
    assert.match(printed.join(''), /beginGetAccess/, 'the SDK did log');
    assert.doesNotMatch(printed.join(''), /sig=|TopSecret/);
  });

  it('ends access, and is content when there is nothing to end', async () => {
    arm.on(`POST ${drpId}/endGetAccess`, () => ({ status: 202, headers: { location: `${arm.server.url}/operations/6` } }), refusal(404, 'ResourceNotFound'));
    await arm.cloud.endAccess(drp);
    await arm.cloud.endAccess(drp);
    arm.on(`POST ${snapshotId}/endGetAccess`, 'reset', { status: 200 });
    await arm.cloud.endAccess(snapshot);
    assert.equal(posts(`${snapshotId}/endGetAccess`).length, 2, 'ending twice is no harm, so a lost answer is asked again');
    arm.on(`POST ${snapshotId}/endGetAccess`, refusal(403, 'AuthorizationFailed'));
    await failing(arm.cloud.endAccess(snapshot), 'CLOUD_ACCESS_DENIED');
  });

  it('refuses foreign and malformed handles before anything is sent', async () => {
    await failing(arm.cloud.grantRead({ kind: 'snapshot', id: snapshotId.replace(subscription, '99999999-2222-3333-4444-555555555555') }, 60), 'CLOUD_ACCESS_DENIED');
    await failing(arm.cloud.grantRead({ kind: 'snapshot', id: drpId }, 60), 'CLOUD_ID_INVALID');
    await failing(arm.cloud.endAccess({ kind: 'diskRestorePoint', id: snapshotId }), 'CLOUD_ID_INVALID');
    assert.deepEqual(arm.server.log, []);
  });
});
