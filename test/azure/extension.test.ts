import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { GuestSnapshotRequest } from '../../activities/guest-cloud';
import { createBlobAddresses } from '../../azure/extension/blob-address';
import { extensionSettings, ticksOf } from '../../azure/extension/settings';
import { errorCodeOf, meaningOf } from '../../azure/extension/status-codes';
import { readStatusBlob } from '../../azure/extension/status-blob';
import { isHoldfastError } from '../../errors/holdfast-error';
import type { WireReply } from '../support/wire-server';
import { type ArmScript, compute, ok, refusal, startArm } from './arm-script';

const vmId = `${compute}/virtualMachines/old01`;
const taskId = '0f8fad5b-d9cb-469f-a165-70867728950e';
const extension = `${vmId}/extensions/VMSnapshotLinux`;
const SNAPSHOT = '2026-01-01T00:00:00.1234567Z';

const status = (changes: object = {}): string => JSON.stringify([{ status: {
  name: 'VMSnapshotLinux', operation: 'Enable', status: 'success', code: 1, taskId, formattedMessage: { lang: 'en', message: 'ok' },
  snapshotInfo: [{ isSuccessful: true, snapshotUri: 'https://acc.blob.core.windows.net/vhds/os.vhd?snapshot=x', errorMessage: null, blobUri: 'u' }], ...changes,
} }]);

describe('the status that the snapshot extension writes', () => {
  const read = (text: string, osType: 'Windows' | 'Linux' = 'Linux') => readStatusBlob(text, taskId, osType);
  const failure = (text: string, osType: 'Windows' | 'Linux' = 'Linux'): [string, string] => {
    const report = read(text, osType);
    assert.equal(report.state, 'failed', text);
    return report.state === 'failed' ? [report.failure.code, report.failure.message] : ['', ''];
  };

  it('is read as it is, filled up as a page blob is, or as numbers in texts', () => {
    for (const text of [status(), `${status()}${' '.repeat(100)}`, `${status()}${'\0'.repeat(100)}`, status({ code: '1' })]) {
      const report = read(text);
      assert.deepEqual(report.state === 'succeeded' && [report.consistency, report.snapshotUris.length, report.notes], ['file-system', 1, []]);
    }
    const report = read(status({ code: 0 }));
    assert.equal(report.state === 'succeeded' && report.consistency, 'application');
  });

  it('says nothing while it is empty, of another task, or an interim one', () => {
    for (const text of ['', '   ', '\0\0', status({ taskId: 'b9f0a0a8-0000-4000-8000-000000000000' }), status({ code: 4 }), status({ status: 'transitioning' })]) assert.equal(read(text).state, 'running', text);
  });

  it('never counts as a success when it does not fit', () => {
    for (const text of ['{', '[]', '{}', '[{}]', '[{"status":{"status":"success"}}]', status({ snapshotInfo: [] }), status({ snapshotInfo: null }), status({ status: 'error' }), status({ code: 'x' }),
      status({ snapshotInfo: [{ isSuccessful: false, snapshotUri: 'u' }] }), status({ snapshotInfo: [{ isSuccessful: true, snapshotUri: null }] })]) assert.equal(failure(text)[0], 'GUEST_SNAPSHOT_FAILED', text);
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => read(text).state !== 'succeeded'));
  });

  it('gives the cause of each code in words', () => {
    const cases: readonly [number, string, RegExp][] = [
      [121, 'GUEST_FREEZE_FAILED', /121: fsfreeze failed/], [122, 'GUEST_FREEZE_TIMEOUT', /too long/], [76, 'GUEST_NO_NETWORK', /storage account/], [85, 'SNAPSHOT_LIMIT', /as many snapshots/],
      [173, 'SNAPSHOT_LIMIT', /short time/], [402, 'GUEST_TOO_LATE', /140 minutes/], [556, 'GUEST_SNAPSHOT_FAILED', /host/], [505, 'GUEST_SCRIPT_FAILED', /database/], [16, 'GUEST_AGENT_NOT_READY', /certificate/],
    ];
    for (const [code, expected, words] of cases) {
      const [got, message] = failure(status({ status: 'error', code }));
      assert.equal(got, expected);
      assert.match(message, words);
    }
    for (let code = 300; code <= 318; code++) {
      assert.equal(errorCodeOf(code, '', 'Linux'), 'GUEST_SCRIPT_FAILED');
      assert.ok(meaningOf(code), String(code));
    }
    assert.equal(failure(status({ status: 'error', code: 2, formattedMessage: { message: 'VSS Writer failed' } }), 'Windows')[0], 'GUEST_VSS_FAILED');
    assert.equal(failure(status({ status: 'error', code: 2, formattedMessage: { message: 'VSS Writer failed' } }), 'Linux')[0], 'GUEST_SNAPSHOT_FAILED');
  });

  it('I7: keeps no access signature out of a message from the guest', () => {
    const [, message] = failure(status({ status: 'error', code: 2, formattedMessage: { message: 'PUT https://acc.blob.core.windows.net/a?sv=1&sig=SECRET failed' } }));
    assert.doesNotMatch(message, /SECRET|sig=/);
  });

  it('passes a script over, with a note', () => {
    const report = read(status({ code: 301 }));
    assert.deepEqual(report.state === 'succeeded' && [report.consistency, report.notes], ['file-system', ['The snapshot extension answered code 301: the post-script failed']]);
  });
});

describe('addresses of page blobs', () => {
  const azure = createBlobAddresses(new URL('https://management.azure.com'), ['core.chinacloudapi.cn']);
  const local = createBlobAddresses(new URL('http://127.0.0.1:1'), []);

  it('are taken apart', () => {
    assert.deepEqual(azure.parse('https://acc1.blob.core.windows.net/vhds/a/os%20disk.vhd'), {
      serviceUrl: 'https://acc1.blob.core.windows.net', account: 'acc1', container: 'vhds', blob: 'a/os disk.vhd', url: 'https://acc1.blob.core.windows.net/vhds/a/os%20disk.vhd', snapshot: null,
    });
    assert.equal(azure.parseSnapshot(`https://acc1.z12.blob.storage.azure.net/vhds/os.vhd?snapshot=${SNAPSHOT}`).snapshot, SNAPSHOT);
    assert.equal(azure.parse('https://acc1.blob.core.chinacloudapi.cn/vhds/os.vhd').account, 'acc1');
    assert.deepEqual([local.parse('http://127.0.0.1:7/acc1/vhds/os.vhd')].map(({ serviceUrl, container, blob }) => [serviceUrl, container, blob]), [['http://127.0.0.1:7/acc1', 'vhds', 'os.vhd']]);
  });

  const bad = [
    '', 'x', 'http://acc1.blob.core.windows.net/vhds/os.vhd', 'https://acc1.blob.core.windows.net.evil.com/vhds/os.vhd', 'https://evil.com/vhds/os.vhd', 'https://acc1.blob.core.windows.net:444/vhds/os.vhd',
    'https://u:p@acc1.blob.core.windows.net/vhds/os.vhd', 'https://acc1.blob.core.windows.net/vhds/os.vhd?sig=x', 'https://acc1.blob.core.windows.net/vhds/os.vhd?snapshot=', 'https://acc1.blob.core.windows.net/vhds/os.vhd#x',
    `https://acc1.blob.core.windows.net/vhds/os.vhd?snapshot=${SNAPSHOT}&sig=x`, 'https://acc1.blob.core.windows.net/vhds/os.vhd?snapshot=2026', 'https://acc1.blob.core.windows.net/os.vhd', 'https://acc1.blob.core.windows.net/vhds/',
    'https://ACC_1.blob.core.windows.net/vhds/os.vhd', 'https://acc1.file.core.windows.net/vhds/os.vhd', 'https://acc1.blob.core.windows.net/VHDS/os.vhd', 'http://127.0.0.1:7/acc1/vhds/os.vhd', 'https://acc1.blob.core.windows.net/vhds/%E0%A4%A.vhd',
    'https://a.b.blob.core.windows.net/vhds/os.vhd', 'file:///vhds/os.vhd',
  ];
  for (const text of bad) it(`are refused: ${text || '(empty)'}`, () => assert.throws(() => azure.parse(text), (error) => isHoldfastError(error, 'CLOUD_ID_INVALID') && !/sig=/.test(error.message)));

  it('of a snapshot must name it', () => assert.throws(() => azure.parseSnapshot('https://acc1.blob.core.windows.net/vhds/os.vhd'), (error) => isHoldfastError(error, 'CLOUD_ID_INVALID')));
});

describe('the snapshot extension over the wire', () => {
  let arm: ArmScript;
  beforeEach(async () => { arm = await startArm(); });
  afterEach(() => arm.close());

  const blobUrl = (name: string): string => `${arm.server.url}/acc1/vhds/${name}.vhd`;
  const request = (): GuestSnapshotRequest => ({
    vmId, location: 'westeurope', osType: 'Linux', taskId, askedAtMs: Date.UTC(2026, 0, 1), isPartial: false, accessSeconds: 4500, tags: { holdfastvault: 'v', holdfastrun: '7' },
    disks: [{ lun: 'os', blobUrl: blobUrl('os') }, { lun: '3', blobUrl: blobUrl('data') }], files: { blobUrl: blobUrl('os'), folder: 'v/old01', sequence: 7 },
  });
  const query = () => ({ ...request(), blobUrls: request().disks.map((disk) => disk.blobUrl) });
  const delegation: WireReply = { status: 200, headers: { 'content-type': 'application/xml' }, body: `<?xml version="1.0"?><UserDelegationKey><SignedOid>o</SignedOid><SignedTid>t</SignedTid><SignedStart>2026-01-01T00:00:00Z</SignedStart><SignedExpiry>2026-01-01T06:00:00Z</SignedExpiry><SignedService>b</SignedService><SignedVersion>2022-11-02</SignedVersion><Value>${Buffer.alloc(32).toString('base64')}</Value></UserDelegationKey>` };
  const made: WireReply = { status: 201, headers: { etag: '"1"', 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT' } };
  const prepare = (): void => {
    arm.on('POST /acc1/', delegation);
    arm.on('PUT /acc1/holdfast-status', made);
    arm.on('PUT /acc1/holdfast-status/v/old01/0000000007.status', made);
    arm.on('PUT /acc1/holdfast-status/v/old01/0000000007.log', made);
  };
  const puts = () => arm.server.requests.filter(({ method, path }) => method === 'PUT' && path === extension);

  it('is set with what its public parser needs, secrets in the protected settings alone', async () => {
    prepare();
    arm.on(`PUT ${extension}`, { status: 201, body: { properties: { provisioningState: 'Creating' } } });
    assert.equal(await arm.cloud.startGuestSnapshot(request()), 'started');
    const body = JSON.parse(puts()[0]?.body ?? '') as { location: string; properties: { settings: Record<string, string>; protectedSettings: Record<string, string> } };
    const { settings, protectedSettings, ...rest } = body.properties;
    assert.deepEqual(rest, { publisher: 'Microsoft.Azure.RecoveryServices', type: 'VMSnapshotLinux', typeHandlerVersion: '1.0', autoUpgradeMinorVersion: true });
    assert.deepEqual({ ...settings, objectStr: '', customSettings: '' }, {
      locale: 'en-us', taskId, commandToExecute: 'snapshot', commandStartTimeUTCTicks: '639028224000000000', vmType: 'microsoft.compute/virtualmachines', objectStr: '', customSettings: '',
    });
    const decode = (text = ''): Record<string, unknown> => JSON.parse(Buffer.from(text, 'base64').toString('ascii')) as Record<string, unknown>;
    assert.deepEqual(decode(settings['objectStr'])['backupMetadata'], [{ Key: 'holdfastvault', Value: 'v' }, { Key: 'holdfastrun', Value: '7' }]);
    assert.deepEqual((decode(settings['objectStr'])['includedDisks'] as Record<string, unknown>)['dataDiskLunList'], [3]);
    assert.equal((JSON.parse(settings['customSettings'] ?? '') as Record<string, unknown>)['takeSnapshotFrom'], 'onlyGuest');
    const urls = decode(protectedSettings['objectStr'])['blobSASUri'] as string[];
    assert.deepEqual(urls.map((url) => url.split('?')[0]), [blobUrl('os'), blobUrl('data')]);
    for (const url of urls) {
      const { searchParams } = new URL(url);
      assert.deepEqual([searchParams.get('sp'), searchParams.get('sr'), searchParams.get('se')], ['rc', 'b', '2026-01-01T01:15:00Z']);
    }
    assert.match(protectedSettings['statusBlobUri'] ?? '', /holdfast-status\/v\/old01\/0000000007\.status\?.*sig=/);
    assert.doesNotMatch(JSON.stringify(settings), /sig=/);
    for (const { path, headers, body: text } of arm.server.requests.filter((one) => /\.(status|log)$/.test(one.path))) assert.deepEqual([headers['if-none-match'], text], ['*', ''], path);
    assert.deepEqual(arm.lines, [], 'nothing is logged');
  });

  it('8: is looked for by its task before and after, and never set twice', async () => {
    prepare();
    arm.on(`GET ${extension}`, refusal(404, 'ResourceNotFound'), ok({ properties: { provisioningState: 'Updating', settings: { taskId } } }));
    arm.on(`PUT ${extension}`, 'reset');
    assert.equal(await arm.cloud.startGuestSnapshot(request()), 'started');
    assert.equal(await arm.cloud.startGuestSnapshot(request()), 'exists');
    assert.equal(puts().length, 1);
  });

  it('is left alone while it works for someone else, and a machine without an agent is called that', async () => {
    prepare();
    arm.on(`GET ${extension}`, ok({ properties: { provisioningState: 'Updating', settings: { taskId: 'of Azure Backup' } } }));
    await assert.rejects(arm.cloud.startGuestSnapshot(request()), (error) => isHoldfastError(error, 'CLOUD_CONFLICT'));
    assert.equal(puts().length, 0);
    arm.on(`GET ${extension}`, ok({ properties: { provisioningState: 'Succeeded', settings: { taskId: 'of Azure Backup' } } }));
    arm.on(`PUT ${extension}`, refusal(409, 'OperationNotAllowed', 'Cannot modify extensions in the VM when the VM is not running.'));
    await assert.rejects(arm.cloud.startGuestSnapshot(request()), (error) => isHoldfastError(error, 'GUEST_AGENT_NOT_READY'));
  });

  it('tells how it stands while it wrote nothing', async () => {
    const state = async (properties: object | undefined): Promise<string> => {
      arm.on(`GET ${extension}`, properties ? ok({ properties: { settings: { taskId }, ...properties } }) : refusal(404, 'ResourceNotFound'));
      const answer = await arm.cloud.getGuestSnapshot(query());
      return answer.state === 'failed' ? answer.failure.code : answer.state;
    };
    arm.on('HEAD /acc1/holdfast-status/v/old01/0000000007.status', { status: 404, headers: { 'x-ms-error-code': 'BlobNotFound' } });
    assert.equal(await state({ provisioningState: 'Updating' }), 'running');
    assert.equal(await state({ provisioningState: 'Succeeded' }), 'running');
    assert.equal(await state({ provisioningState: 'Failed', instanceView: { statuses: [{ code: 'ProvisioningState/failed/VMExtensionHandlerNotReady', level: 'Error', message: 'no VM agent' }] } }), 'GUEST_AGENT_NOT_READY');
    assert.equal(await state({ provisioningState: 'Failed', instanceView: { statuses: [{ code: 'ProvisioningState/failed/1', level: 'Error', message: 'x' }] } }), 'GUEST_SNAPSHOT_FAILED');
    assert.equal(await state({ provisioningState: 'Succeeded', settings: { taskId: 'other' } }), 'GUEST_SNAPSHOT_FAILED');
    assert.equal(await state(undefined), 'GUEST_SNAPSHOT_FAILED');
  });

  it('I6: a snapshot that the guest names counts only when the service has it, with the run\'s tags', async () => {
    const body = Buffer.from(status({ snapshotInfo: ['os', 'data'].map((name) => ({ isSuccessful: true, snapshotUri: `${blobUrl(name)}?snapshot=${SNAPSHOT}&sv=1&sig=x` })) }));
    const at = '/acc1/holdfast-status/v/old01/0000000007.status';
    arm.on(`HEAD ${at}`, { status: 200, headers: { 'x-ms-blob-type': 'BlockBlob', 'content-length': String(body.length), etag: '"1"' } });
    arm.on(`GET ${at}`, { status: 206, body, headers: { etag: '"1"', 'content-range': `bytes 0-${body.length - 1}/${body.length}`, 'x-ms-blob-type': 'BlockBlob' } });
    const listed = (tags: string) => ({ status: 200, headers: { 'content-type': 'application/xml' }, body: `<?xml version="1.0"?><EnumerationResults><Blobs>${['data', 'os'].map((name) => `<Blob><Name>${name}.vhd</Name><Snapshot>${SNAPSHOT}</Snapshot><Properties><BlobType>PageBlob</BlobType></Properties><Metadata>${tags}</Metadata></Blob>`).join('')}</Blobs><NextMarker/></EnumerationResults>` });
    arm.on('GET /acc1/vhds', listed('<holdfastvault>v</holdfastvault><holdfastrun>7</holdfastrun>'));
    const good = await arm.cloud.getGuestSnapshot(query());
    assert.deepEqual(good.state === 'succeeded' && good.snapshots.map(({ id }) => id), [`${blobUrl('os')}?snapshot=${SNAPSHOT}`, `${blobUrl('data')}?snapshot=${SNAPSHOT}`]);
    arm.on('GET /acc1/vhds', listed('<holdfastvault>v</holdfastvault><holdfastrun>6</holdfastrun>'));
    assert.equal((await arm.cloud.getGuestSnapshot(query())).state, 'failed');
  });

  it('13: a list of snapshots that cannot be had is an error, and only a definite absence is none', async () => {
    arm.on('GET /acc1/vhds', { status: 404, headers: { 'x-ms-error-code': 'ContainerNotFound' }, body: '' });
    assert.deepEqual(await arm.cloud.listBlobSnapshots(blobUrl('os'), {}), []);
    for (const [code, name] of [[404, 'SomethingElse'], [403, 'AuthorizationFailure']] as const) {
      arm.on('GET /acc1/vhds', { status: code, headers: { 'x-ms-error-code': name }, body: '' });
      await assert.rejects(arm.cloud.listBlobSnapshots(blobUrl('os'), {}), isHoldfastError);
    }
  });

  it('deletes a snapshot by its time, and never a disk', async () => {
    arm.on('DELETE /acc1/vhds/os.vhd', { status: 202 }, { status: 404, headers: { 'x-ms-error-code': 'BlobNotFound' } });
    assert.equal(await arm.cloud.deleteBlobSnapshot(`${blobUrl('os')}?snapshot=${SNAPSHOT}`), 'deleted');
    assert.equal(arm.server.requests.at(-1)?.query.get('snapshot'), SNAPSHOT);
    assert.equal(await arm.cloud.deleteBlobSnapshot(`${blobUrl('os')}?snapshot=${SNAPSHOT}`), 'absent');
    const before = arm.server.requests.length;
    await assert.rejects(arm.cloud.deleteBlobSnapshot(blobUrl('os')), (error) => isHoldfastError(error, 'CLOUD_ID_INVALID'));
    assert.equal(arm.server.requests.length, before);
  });

  it('compares snapshots of one blob by their times, and no others', async () => {
    arm.on('GET /acc1/vhds/os.vhd', { status: 200, headers: { 'content-type': 'application/xml' }, body: '<?xml version="1.0"?><PageList><PageRange><Start>0</Start><End>511</End></PageRange><ClearRange><Start>1024</Start><End>1535</End></ClearRange></PageList>' });
    const access = (name: string, time: string) => ({ url: `${blobUrl(name)}?snapshot=${time}&sig=x`, sizeBytes: 4096, blobSnapshot: time });
    const found = [];
    for await (const range of arm.cloud.listChangedRanges(access('os', SNAPSHOT), access('os', '2025-01-01T00:00:00.0000000Z'), { offset: 0, length: 4096 })) found.push([range.offset, range.length]);
    assert.deepEqual(found, [[0, 512], [1024, 512]]);
    const asked = arm.server.requests.at(-1);
    assert.deepEqual([asked?.query.get('snapshot'), asked?.query.get('prevsnapshot'), asked?.headers['x-ms-previous-snapshot-url']], [SNAPSHOT, '2025-01-01T00:00:00.0000000Z', undefined]);
    for (const base of [access('data', SNAPSHOT), { url: 'https://md-1.blob.core.windows.net/a/abcd?sig=x', sizeBytes: 4096 }]) {
      await assert.rejects(async () => { for await (const range of arm.cloud.listChangedRanges(access('os', SNAPSHOT), base, { offset: 0, length: 4096 })) assert.fail(String(range.offset)); }, (error) => isHoldfastError(error, 'CLOUD_DIFF_UNSUPPORTED'));
    }
  });
});

describe('settings of the snapshot extension', () => {
  it('are the same for the same request, and count time in ticks', () => {
    assert.equal(ticksOf(0), '621355968000000000');
    const request: GuestSnapshotRequest = { vmId, location: 'l', osType: 'Windows', taskId, askedAtMs: 0, isPartial: true, accessSeconds: 1, tags: { a: 'ü' }, disks: [{ lun: '1', blobUrl: 'u' }], files: { blobUrl: 'u', folder: 'f', sequence: 1 } };
    const made = extensionSettings(request, { diskUrls: ['d'], statusUrl: 's', logUrl: 'l' });
    assert.deepEqual(made, extensionSettings(request, { diskUrls: ['d'], statusUrl: 's', logUrl: 'l' }));
    assert.deepEqual([made.typePropertiesType, made.typeHandlerVersion], ['VMSnapshot', '1.9']);
    assert.ok(/^[\x20-\x7e]*$/.test(Buffer.from(String((made.settings as { objectStr: string }).objectStr), 'base64').toString('latin1')), 'the guest reads ASCII');
  });
});
